"""The public conformance suites: their files, and what the engine's own component support does with each.

A directive counts if it belongs to a component with calls between components and without imports.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from smith import WASM_TOOLS

CONFORMANCE = Path(__file__).parents[3] / "shared" / "conformance"

Group = dict[str, Any]
"""A component and the directives on it."""


@cache
def runner() -> ModuleType:
    """The runner that comes with the suites. It sorts files by topic and says what each directive does."""
    spec = importlib.util.spec_from_file_location("run_wast", CONFORMANCE / "run_wast.py")
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    engine = module.engine()
    module.engine = lambda: engine
    return module  # type: ignore[no-any-return]


def files(topics: str) -> list[Any]:
    """The files of some topics, as parameters; one that says why there are none where the suites are missing."""
    if not CONFORMANCE.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason="needs ../shared/conformance"))]
    found = sorted((CONFORMANCE / "suites").rglob("*.wast"))
    wanted = [path for path in found if runner().topic(str(path))[0] in topics]
    return [pytest.param(path, id=str(path.relative_to(CONFORMANCE / "suites"))) for path in wanted]


def groups(path: Path, directory: Path) -> Iterator[tuple[str, Group, list[list[str]]]]:
    """The components of a file that count, with their directives and what each does unfused.

    What the engine passes none of is left out: it lacks something. Skips the test if wasm-tools does not read the file.
    """
    environment = {**os.environ, "WAST_STRICT_COMPONENT_INDICES": "0"}
    command = [WASM_TOOLS, "json-from-wast", path, "-o", directory / "x.json", "--wasm-dir", directory]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"wasm-tools does not read it: {done.stderr.strip().splitlines()[0]}")
    for group in runner().groups(json.loads((directory / "x.json").read_text()), str(directory)):
        wasm = group["wasm"]
        is_core = not wasm or Path(wasm).read_bytes()[4:8] == b"\1\0\0\0"
        if is_core or not group["dirs"] or not _crosses(Path(wasm)):
            continue
        wanted = outcomes(runner().worker_unfused, group)
        if any(row[0] == "pass" for row in wanted):
            yield wasm, group, wanted


def _crosses(wasm: Path) -> bool:
    """Whether components call each other in it, and it imports nothing."""
    done = subprocess.run([WASM_TOOLS, "print", wasm], capture_output=True, text=True, check=True)
    inside = re.search(r"^\s+\(component\b", done.stdout, re.M) and "(canon lower" in done.stdout
    return bool(inside) and not re.search(r"^  \(import ", done.stdout, re.M)


def outcomes(worker: Any, group: Group) -> list[list[str]]:
    """What each directive of a group does: how it ended, and the message."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        worker(group)
    start, *rows = [json.loads(line) for line in out.getvalue().splitlines()]
    return rows if start[0] == "I:ok" else [start] * len(group["dirs"])
