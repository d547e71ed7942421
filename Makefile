# What a developer does here. Needs Python 3.11 or later and make; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= auto

.PHONY: demo test test-large lint format bench prove clean

# Fuse the streaming examples and run them: bytes over the host and over the bridge, then two asynchronous components.
demo: $(STAMP)
	@$(BIN)/python examples/stream/demo.py
	@$(BIN)/python examples/async/demo.py

# Each worker has its tests in a row, so that what one of a file compiled serves the next; who is done takes from others.
test: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

# Programs that toolchains for Python, JavaScript and C make: tens of megabytes, some 15 minutes.
LARGE := .large
test-large: $(STAMP)
	test -x $(LARGE)/venv/bin/componentize-py || { $(PYTHON) -m venv $(LARGE)/venv && $(LARGE)/venv/bin/python -m pip install --quiet --disable-pip-version-check componentize-py ziglang; }
	test -d $(LARGE)/node_modules || ! command -v npm >/dev/null || npm install --silent --no-save --prefix $(LARGE) @bytecodealliance/componentize-js @bytecodealliance/jco
	MELD_LARGE=$(LARGE) $(BIN)/python -m pytest $(ARGS) tests/oracles/test_large.py tests/oracles/test_real_stages.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict meld

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One table of all benchmarks, printed and written to benchmarks/RESULTS.md. None asserts anything.
bench: $(STAMP)
	$(BIN)/python benchmarks/table.py $(ARGS)

# The proofs: what the bridge promises, checked for all inputs within stated bounds.
prove: $(STAMP)
	$(BIN)/python -m proofs.prove
	$(BIN)/python -m proofs.runtime.prove

# Installed once; again when the dependencies change.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or later; name it with make PYTHON=…")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) $(LARGE) .bench build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
