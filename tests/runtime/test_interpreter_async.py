"""The interpreter on the public conformance suites of streams, tasks and threads, after `merge`.

A directive counts if it passes in the engine's own component support.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from suites import files, groups

from meld.driver import Options, build
from meld.ir import component as c
from meld.ir.module import Module
from meld.runtime.instantiate import Running, Trapped, instantiate
from meld.runtime.typed import find_export

NOT_HERE = {
    "fuel allocated for hostcalls has been exhausted",  # the engine's own limit, which the specification does not have
}


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


@pytest.mark.parametrize("path", files("123"))
def test_suite(path: Path, tmp_path: Path) -> None:
    merged: dict[str, Module] = {}
    for wasm, group, wanted in groups(path, tmp_path):
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
