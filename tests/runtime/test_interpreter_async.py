"""The interpreter on the public conformance suites of streams, tasks and threads, after `merge`.

A directive counts if it belongs to a component with calls between components and without imports, and passes in the
engine's own component support.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meld.driver import Options, build
from meld.ir import component as c
from meld.ir.module import Module
from meld.runtime.instantiate import Running, Trapped, instantiate
from meld.runtime.typed import find_export
from tests.oracles.test_conformance import CONFORMANCE, WASM_TOOLS, crosses, outcomes, runner

NOT_HERE = {
    "fuel allocated for hostcalls has been exhausted",  # the engine's own limit, which the specification does not have
}


def files() -> list[Any]:
    """The files of topics 1 to 3; one that says why there are none where the suites are missing."""
    if not CONFORMANCE.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason="needs ../shared/conformance"))]
    found = sorted((CONFORMANCE / "suites").rglob("*.wast"))
    wanted = [path for path in found if runner().topic(str(path))[0] in "123"]
    return [pytest.param(path, id=str(path.relative_to(CONFORMANCE / "suites"))) for path in wanted]


def value(t: Any, given: dict[str, Any]) -> Any:
    """A value of a test file in the form of `meld.runtime.canonical`."""
    match t:
        case c.Prim.STRING | c.Prim.CHAR:
            return given["value"]
        case c.Prim.BOOL:
            return given["value"] in (True, "true")
        case c.Prim():
            return int(given["value"])
        case c.Tuple(elements):
            return tuple(value(e, x) for e, x in zip(elements, given["value"], strict=True))
        case c.ListType(element):
            return [value(element, x) for x in given["value"]]
        case c.Option(element):
            return (0, None) if given["value"] is None else (1, value(element, given["value"]))
        case c.Result(ok, error):
            (key, inner), is_error = next(iter(given["value"].items())), "Err" in given["value"]
            payload = error if is_error else ok
            assert key in ("Ok", "Err")
            return (int(is_error), None if payload is None else value(payload, inner))
    raise NotImplementedError(t)


def outcome(running: Running, directive: dict[str, Any]) -> str:
    """What is wrong with what a directive does; empty if nothing is."""
    action = directive["action"]
    export = find_export(running.module, action["field"])
    values = [value(t, x) for (_, t), x in zip(export.type.params, action["args"], strict=True)]
    try:
        got = running.invoke(export, values)
    except Trapped as trap:
        wanted = directive.get("text", "").removeprefix("wasm trap: ")
        if directive["type"] == "assert_trap" and wanted in str(trap):
            return ""
        return f"trapped: {trap}"
    if directive["type"] == "assert_trap":
        return f"returned {got!r}"
    expected = directive.get("expected") or []
    if expected and got != value(export.type.result, expected[0]):
        return f"returned {got!r}, not {expected[0]}"
    return ""


@pytest.mark.parametrize("path", files())
def test_suite(path: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "WAST_STRICT_COMPONENT_INDICES": "0"}
    command = [WASM_TOOLS, "json-from-wast", path, "-o", tmp_path / "x.json", "--wasm-dir", tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(done.stderr.strip().splitlines()[0])
    merged: dict[str, Module] = {}
    for group in runner().groups(json.loads((tmp_path / "x.json").read_text()), str(tmp_path)):
        wasm = group["wasm"]
        is_core = not wasm or Path(wasm).read_bytes()[4:8] == b"\1\0\0\0"
        if is_core or not group["dirs"] or not crosses(Path(wasm)):
            continue
        wanted = outcomes(runner().worker_unfused, group)
        if all(row[0] != "pass" for row in wanted):
            continue  # the engine lacks something
        if wasm not in merged:
            program = build([wasm], Options(stop_after="merge")).program
            assert isinstance(program, Module)
            merged[wasm] = program
        running = instantiate(merged[wasm])
        for directive, want in zip(group["dirs"], wanted, strict=True):
            if want[0] == "pass" and directive.get("text") not in NOT_HERE:
                wrong = outcome(running, directive)
                assert not wrong, f"{path}:{directive['line']}: {wrong}; wanted {directive.get('text')}"


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, *sys.argv[1:]]))
