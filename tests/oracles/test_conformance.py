"""The public conformance suites: what passes unfused passes fused, or is refused by name.

Topics 1 to 8: streams and futures, asynchronous calls, threads, synchronous calls, strings, resources, values,
linking. A directive counts if it belongs to a component with calls between components and without imports. A trap
passes if it says why in the engine's words.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import meld

CONFORMANCE = Path(__file__).parents[3] / "shared" / "conformance"
WASM_TOOLS = Path(sys.executable).with_name("wasm-tools")


FUEL = "streams-massive-send.wast"
"""Wants the engine to run out of its own fuel for calls of the host."""


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


def files() -> list[Any]:
    """The files of those topics; one that says why there are none where the suites are missing."""
    if not CONFORMANCE.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason="needs ../shared/conformance"))]
    found = sorted((CONFORMANCE / "suites").rglob("*.wast"))
    wanted = [path for path in found if runner().topic(str(path))[0] in "12345678"]
    return [pytest.param(path, id=str(path.relative_to(CONFORMANCE / "suites"))) for path in wanted]


def crosses(wasm: Path) -> bool:
    """Whether components call each other in it, and it imports nothing."""
    done = subprocess.run([WASM_TOOLS, "print", wasm], capture_output=True, text=True, check=True)
    inside = re.search(r"^\s+\(component\b", done.stdout, re.M) and "(canon lower" in done.stdout
    return bool(inside) and not re.search(r"^  \(import ", done.stdout, re.M)


def outcomes(worker: Any, group: dict[str, Any]) -> list[list[str]]:
    """What each directive of a group does: how it ended, and the message."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        worker(group)
    start, *rows = [json.loads(line) for line in out.getvalue().splitlines()]
    return rows if start[0] == "I:ok" else [start] * len(group["dirs"])


@pytest.mark.parametrize("path", files())
def test_suite(path: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "WAST_STRICT_COMPONENT_INDICES": "0"}
    command = [WASM_TOOLS, "json-from-wast", path, "-o", tmp_path / "x.json", "--wasm-dir", tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"wasm-tools does not read it: {done.stderr.strip().splitlines()[0]}")
    fused: dict[str, str] = {}
    for group in runner().groups(json.loads((tmp_path / "x.json").read_text()), str(tmp_path)):
        wasm = group["wasm"]
        is_core = not wasm or Path(wasm).read_bytes()[4:8] == b"\1\0\0\0"
        if is_core or not group["dirs"] or not crosses(Path(wasm)):
            continue
        wanted = outcomes(runner().worker_unfused, group)
        if all(row[0] != "pass" for row in wanted):
            continue  # the engine lacks something
        if wasm not in fused:
            fused[wasm] = f"{wasm}.fused"
            Path(fused[wasm]).write_bytes(meld.encode(meld.compile([wasm])))
        got = outcomes(runner().worker_fused, {**group, "wasm": fused[wasm]})
        for directive, want, row in zip(group["dirs"], wanted, got, strict=True):
            where = f"{path}:{directive['line']}"
            if want[0] != "pass" or row[0] == "nonflat" or path.name == FUEL:  # values that the runner cannot compare
                continue
            assert row[0] == "pass", f"{where}: {row}"
