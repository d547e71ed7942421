"""Each construct that a frame may be suspended in, by itself: suspended at every call, and compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from constructs import CASES, HOST, IMPOSSIBLE
from smith import wasm_tools
from suspended import REWINDING, Machine, binary_of, observe, prepare, read

from meld.diagnostics import MeldError
from meld.ir.module import Function
from meld.rewriting.resumable import make_resumable
from meld.text.printing.program import print_program
from meld.text.reading.program import parse_module

CALLS = [("run", (n,)) for n in (1, 2, 3, 7)]


@pytest.mark.parametrize("name", CASES)
def test_construct(name: str) -> None:
    text = f"{HOST}{CASES[name]})"
    plain = observe(Machine(binary_of(text)), CALLS)
    assert all(not result.startswith("wasm") for result in plain.results), plain.results
    module, _ = prepare(read(text))
    machine = Machine(module, lambda: machine.state != REWINDING)
    wasm_tools("validate", "--features=all", data=machine.binary)
    suspended = observe(machine, CALLS)
    assert suspended.observed() == plain.observed()
    assert suspended.switches == sum(isinstance(question, int) for question in plain.asked)
    assert all(used == 1 for used in machine.kept().values())  # all slots are free, slot 0 aside
    if "reference" in name:
        assert set(machine.kept()) == {"any", "extern", "func"}


def test_impossible_result_is_refused() -> None:
    with pytest.raises(MeldError, match=r"function `impossible` cannot be suspended: there is no value"):
        prepare(read(f"{HOST}{IMPOSSIBLE})"))


def test_import_is_refused() -> None:
    module = read(f"{HOST})")
    imports = [f for f in module.imports if isinstance(f, Function)]
    with pytest.raises(MeldError, match=r"`.*` cannot be suspended: it is an import"):
        make_resumable(module, imports[:1], imports[1:2])


HERE = Path(__file__).parent


def test_scheme(request: pytest.FixtureRequest) -> None:
    """What becomes of a small function, for reading; rewritten with ``--meldc-bless``."""
    source, golden = HERE / "resumable" / "sum.wat", HERE / "resumable" / "sum.resumable.wat"
    module, _ = prepare(parse_module(source.read_text(), source.name))
    module.exports = module.exports[:1]
    text = print_program(module)
    if request.config.getoption("--meldc-bless"):
        golden.write_text(text)
    assert text == golden.read_text()
    parse_module(text, golden.name)
