"""Asynchronous calls that are over when their callee returns: unfused beside fused, and what is refused."""

from __future__ import annotations

import pytest
import wasmtime
from both import same

from meld.files import decode
from meld.ir.module import Module
from meld.notes.tasks import Planned
from meld.passes import Registry
from meld.passmanager import plan_default, run

U32 = '(param "x" u32) (result u32)'
RETURNS_U32 = '(result u32) (memory (core memory $memory "m"))'
REALLOC = '(memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 512))'


def pair(
    callee: str,
    caller: str = "(drop (call $f (i32.const 5) (i32.const 16))) (i32.load (i32.const 16))",
    *,
    type: str = U32,
    lift: str = "async",
    lower: str = "async",
    lowered: str = "(param i32 i32) (result i32)",
    returns: str = RETURNS_U32,
    return_type: str = "(param i32)",
    waits: bool = False,
) -> str:
    """`b` calls `a`'s function `f`, which it lowers asynchronously, in `g`. `waits`: `a` has something to wait with."""
    wait = '(canon waitable-set.wait (memory (core memory $memory "m")))'
    return f"""(component
  (component $A
    (core module $memory {REALLOC})
    (core instance $memory (instantiate $memory))
    (core func $return (canon task.return {returns}))
    {f"(core func $wait {wait})" if waits else ""}
    (core module $m
      (import "" "m" (memory 1))
      (import "" "return" (func $return {return_type}))
      {'(import "" "wait" (func (param i32 i32) (result i32)))' if waits else ""}
      (data (i32.const 100) "hello, world")
      {callee})
    (core instance $i (instantiate $m (with "" (instance
      (export "m" (memory $memory "m")) (export "return" (func $return))
      {'(export "wait" (func $wait))' if waits else ""}))))
    (func (export "f") async {type} (canon lift (core func $i "f") {lift}
      (memory (core memory $memory "m")) (realloc (core func $memory "r")))))
  (instance $a (instantiate $A))
  (component $B
    (import "f" (func $f async {type}))
    (core module $memory {REALLOC})
    (core instance $memory (instantiate $memory))
    (core func $f (canon lower (func $f) {lower}
      (memory (core memory $memory "m")) (realloc (core func $memory "r"))))
    (core module $m
      (import "" "m" (memory 1))
      (import "" "f" (func $f {lowered}))
      (func (export "g") (result i32) {caller}))
    (core instance $i (instantiate $m (with "" (instance
      (export "m" (memory $memory "m")) (export "f" (func $f))))))
    (func (export "g") (result u32) (canon lift (core func $i "g"))))
  (instance $b (instantiate $B (with "f" (func $a "f"))))
  (export "g" (func $b "g")))"""


ADD = '(func (export "f") (param i32) (call $return (i32.add (i32.const 3) (local.get 0))))'
CODE = "(call $f (i32.const 5) (i32.const 16))"


def test_what_a_task_returns() -> None:
    assert same(pair(ADD), ("g",), ("g",)) == [8, 8]
    assert same(pair(ADD, CODE), ("g",)) == [2]


def test_a_synchronous_lift() -> None:
    lifted = '(func (export "f") (param i32) (result i32) (i32.add (i32.const 3) (local.get 0)))'
    assert same(pair(lifted, lift=""), ("g",)) == [8]
    assert same(pair(lifted, CODE, lift=""), ("g",)) == [2]


def test_no_result() -> None:
    done = pair(
        '(func (export "f") (param i32) (call $return))',
        "(call $f (i32.const 5))",
        type='(param "x" u32)',
        lowered="(param i32) (result i32)",
        returns="",
        return_type="",
    )
    assert same(done, ("g",)) == [2]


FIVE = {
    "type": '(param "x" (tuple u32 u32 u32 u32 u32)) (result string)',
    "returns": '(result string) (memory (core memory $memory "m"))',
    "return_type": "(param i32 i32)",
}


def test_parameters_in_memory_and_a_string() -> None:
    """More than four parameters are in memory on the caller's side only."""
    callee = '(func (export "f") (param i32 i32 i32 i32 i32) (call $return (i32.const 100) (local.get 4)))'
    caller = """(i32.store (i32.const 48) (i32.const 4)) (drop (call $f (i32.const 32) (i32.const 16)))
      (i32.add (i32.load8_u offset=1 (i32.load (i32.const 16))) (i32.load (i32.const 20)))"""
    assert same(pair(callee, caller, **FIVE), ("g",)) == [ord("e") + 4]
    unaligned = "(drop (call $f (i32.const 33) (i32.const 16))) i32.const 0"
    assert same(pair(callee, unaligned, **FIVE), ("g",)) == ["trap: unaligned pointer"]


def test_a_result_in_memory() -> None:
    """More than sixteen core values are handed over in the callee's memory."""
    numbers = f"(result (tuple {'u8 ' * 17}))"
    done = pair(
        '(func (export "f") (param i32 i32) (call $return (i32.const 100)))',
        "(drop (call $f (i32.const 33) (i32.const 2) (i32.const 16))) (i32.load8_u (i32.const 20))",
        type=f'(param "x" string) {numbers}',
        lowered="(param i32 i32 i32) (result i32)",
        returns=f'{numbers} (memory (core memory $memory "m"))',
    )
    assert same(done, ("g",)) == [ord("o")]


TRAPS = {
    "none": (pair('(func (export "f") (param i32))'), "async-lifted export failed to produce a result"),
    "twice": (
        pair('(func (export "f") (param i32) (call $return (i32.const 3)) (call $return (i32.const 3)))'),
        "`task.return` or `task.cancel` called more than once for current task",
    ),
    "type": (
        pair(ADD, returns='(result s32) (memory (core memory $memory "m"))'),
        "invalid `task.return` signature and/or options for current task",
    ),
    "encoding": (
        pair(ADD, returns=RETURNS_U32 + " string-encoding=utf16"),
        "invalid `task.return` signature and/or options for current task",
    ),
    "unaligned": (pair(ADD, "(call $f (i32.const 5) (i32.const 17))"), "unaligned pointer"),
    "outside": (pair(ADD, "(call $f (i32.const 5) (i32.const 0x10000))"), "out of bounds memory access"),
    "outside, nothing returned": (
        pair('(func (export "f") (param i32))', "(call $f (i32.const 5) (i32.const 0x10000))"),
        "async-lifted export failed to produce a result",
    ),
}


@pytest.mark.parametrize("text", TRAPS)
def test_traps(text: str) -> None:
    program, why = TRAPS[text]
    assert same(program, ("g",), ("g",)) == [f"trap: {why}", "trap: cannot enter component instance"]


def test_a_built_in_that_nothing_calls_blocks_nobody() -> None:
    assert same(pair(ADD, waits=True), ("g",)) == [8]


def test_task_return_without_a_memory() -> None:
    """The specification wants the memory of the lift; engines do not, where the type needs none."""
    assert same(pair(ADD, returns="(result u32)"), ("g",)) == [8]


TASKS = {
    "it has a callback": (
        pair(
            """(func (export "f") (param i32) (result i32) (call $return (i32.const 1)) i32.const 0)
        (func (export "back") (param i32 i32 i32) (result i32) i32.const 0)""",
            lift='async (callback (core func $i "back"))',
        ),
        1,
    ),
    "it is lowered synchronously": (
        pair(ADD, "(call $f (i32.const 5))", lower="", lowered="(param i32) (result i32)"),
        8,
    ),
}


@pytest.mark.parametrize("case", TASKS)
def test_what_may_need_a_scheduler_is_a_task(case: str) -> None:
    program, answer = TASKS[case]
    assert same(program, ("g",), ("g",)) == [answer, answer]
    planned = compiled(program, "plan-tasks")
    notes = [n for item in planned.imports for n in item.notes if isinstance(n, Planned)]
    assert [n.how for n in notes] == ["task"]


def compiled(text: str, stop_after: str) -> Module:
    program = decode(bytes(wasmtime.wat2wasm(text)), "pair")
    plan = plan_default(program, Registry.standard())
    product, _ = run(plan, program, steps=plan.position(stop_after, option="--stop-after"))
    assert isinstance(product, Module)
    return product
