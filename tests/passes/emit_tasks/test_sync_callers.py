"""Who calls synchronously waits as well: what blocks traps if any caller on the way must not, beside the engine."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import wasmtime
from both import Fused, Unfused

LEAVES = {
    "answers": ("", "(i32.const 7)"),
    "yields": ("", "(drop (call $yield)) (i32.const 7)"),
    "returns-and-yields": (" async", "(call $return (i32.const 7)) (drop (call $yield))"),
}


def leaf(name: str) -> str:
    """A component whose function answers, and may yield before or after that."""
    lift, body = LEAVES[name]
    result = "" if lift else "(result i32)"
    return f"""(component
      (core func $yield (canon thread.yield))
      (core func $return (canon task.return (result u32)))
      (core module $m
        (import "" "yield" (func $yield (result i32)))
        (import "" "return" (func $return (param i32)))
        (func (export "f") {result} {body}))
      (core instance $i (instantiate $m (with "" (instance
        (export "yield" (func $yield)) (export "return" (func $return))))))
      (func (export "f") async (result u32) (canon lift (core func $i "f"){lift})))"""


def caller(mine: str, callee: str, lowered: str) -> str:
    """A component whose function calls that of another one: what it answers, or where it is."""
    calls = {
        "": ("(result i32)", "(call $g)"),
        "async": (
            "(param i32) (result i32)",
            "(i32.or (i32.shl (call $g (i32.const 0)) (i32.const 8)) (i32.load (i32.const 0)))",
        ),
    }
    shape, body = calls[lowered]
    options = f'{lowered} (memory (core memory $libc "m"))' if lowered else ""
    return f"""(component
      (import "f" (func $g {callee} (result u32)))
      (core module $libc (memory (export "m") 1)) (core instance $libc (instantiate $libc))
      (core func $g (canon lower (func $g) {options}))
      (core module $m
        (import "" "g" (func $g {shape})) (import "" "m" (memory 1))
        (func (export "f") (result i32) {body}))
      (core instance $i (instantiate $m (with "" (instance
        (export "g" (func $g)) (export "m" (memory $libc "m"))))))
      (func (export "f") {mine} (result u32) (canon lift (core func $i "f"))))"""


def chain(inner: str, callers: tuple[tuple[str, str], ...]) -> bytes:
    """Components that call one another, from the leaf to the one that is exported; each its type, and how it calls."""
    parts = [f"(component $c0 {leaf(inner).removeprefix('(component')}", "(instance $i0 (instantiate $c0))"]
    kind = "async"
    for n, (mine, lowered) in enumerate(callers, 1):
        parts.append(f"(component $c{n} {caller(mine, kind, lowered).removeprefix('(component')}")
        parts.append(f'(instance $i{n} (instantiate $c{n} (with "f" (func $i{n - 1} "f"))))')
        kind = mine
    parts.append(f'(export "run" (func $i{len(callers)} "f"))')
    return bytes(wasmtime.wat2wasm("(component\n" + "\n".join(parts) + ")"))


@pytest.mark.parametrize(("inner", "length"), [*product(LEAVES, (1, 2)), ("yields", 3)])
def test_callers(inner: str, length: int) -> None:
    kinds = [("", ""), ("async", ""), ("async", "async"), ("", "async")][: 2 if length == 3 else 4]
    for callers in product(kinds, repeat=length):
        if any(outer[1] > below[0] for below, outer in pairwise(callers)):
            continue  # functions of synchronous type are not lowered asynchronously
        wasm, calls = chain(inner, callers), [("run",), ("run",)]
        assert Fused(wasm).answers(calls) == Unfused(wasm).answers(calls), callers
