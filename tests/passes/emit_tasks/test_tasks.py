"""Asynchronous components that need no scheduler: unfused beside fused, and what is linked in for them."""

from __future__ import annotations

import pytest
from both import same

CONTEXT = """(component
  (component $lib
    (core func $get (canon context.get i32 0))
    (core func $set (canon context.set i32 0))
    (core module $m
      (import "" "get" (func $get (result i32)))
      (import "" "set" (func $set (param i32)))
      (memory (export "memory") 1)
      (func (export "f") (param i32 i32) (result i32)
        (if (call $get) (then unreachable))
        (call $set (i32.const 9))
        (local.get 1))
      (func (export "post") (param i32)
        (if (i32.ne (call $get) (i32.const 9)) (then unreachable))
        (call $set (i32.const 10)))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (if (call $get) (then unreachable))
        (call $set (i32.const 11))
        (i32.const 64)))
    (core instance $i (instantiate $m (with "" (instance
      (export "get" (func $get)) (export "set" (func $set))))))
    (func (export "f") (param "s" string) (result u32) (canon lift (core func $i "f")
      (memory (core memory $i "memory")) (realloc (core func $i "realloc")) (post-return (core func $i "post")))))
  (component $app
    (import "f" (func $f (param "s" string) (result u32)))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (core func $f (canon lower (func $f) (memory (core memory $memory "memory"))))
    (core func $get (canon context.get i32 0))
    (core func $set (canon context.set i32 0))
    (core module $m
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (import "" "get" (func $get (result i32)))
      (import "" "set" (func $set (param i32)))
      (func (export "run") (param i32) (result i32) (local $length i32)
        (if (call $get) (then unreachable))
        (call $set (local.get 0))
        (local.set $length (call $f (i32.const 16) (i32.const 3)))
        (i32.add (call $get) (local.get $length))))
    (core instance $i (instantiate $m (with "" (instance
      (export "f" (func $f)) (export "get" (func $get)) (export "set" (func $set))))))
    (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $l (instantiate $lib))
  (instance $a (instantiate $app (with "f" (func $l "f"))))
  (export "run" (func $a "run")))"""


def test_context_slots_belong_to_a_call() -> None:
    """Callee, caller, `realloc` and `post-return` each see their own, or the callee's."""
    assert same(CONTEXT, ("run", 5), ("run", 700)) == [8, 703]


def async_type(kind: str = "async", callee: str = "(i32.add (local.get 0) (i32.const 1))") -> str:
    """`run`, a function of a kind, calls one of asynchronous type; nobody lifts or lowers asynchronously."""
    return f"""(component
      (component $lib
        (core module $m (func (export "f") (param i32) (result i32) {callee}))
        (core instance $i (instantiate $m))
        (func (export "f") async (param "x" u32) (result u32) (canon lift (core func $i "f"))))
      (component $app
        (import "f" (func $f async (param "x" u32) (result u32)))
        (core func $f (canon lower (func $f)))
        (core module $m
          (import "" "f" (func $f (param i32) (result i32)))
          (func (export "run") (result i32) (call $f (i32.const 41))))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
        (func (export "run") {kind} (result u32) (canon lift (core func $i "run"))))
      (instance $l (instantiate $lib))
      (instance $a (instantiate $app (with "f" (func $l "f"))))
      (export "run" (func $a "run")))"""


def test_functions_of_async_type_with_a_synchronous_abi() -> None:
    assert same(async_type(), ("run",)) == [42]


def test_a_synchronous_task_may_call_what_does_not_block() -> None:
    assert same(async_type(""), ("run",)) == [42]


BUILTINS = {
    "thread.yield": ("(result i32)", "(call $b)", 0),
    "task.cancel": ("", "(call $b) (i32.const 1)", "trap: `task.cancel` called by task which has not been cancelled"),
    "backpressure.inc": ("", "(call $b) (i32.const 3)", 3),
    "backpressure.dec": ("", "(call $b) (i32.const 3)", "trap: backpressure counter overflow"),
}


@pytest.mark.parametrize("name", BUILTINS)
def test_built_ins_in_a_world_without_tasks(name: str) -> None:
    shape, code, answer = BUILTINS[name]
    assert same(
        f"""(component
          (core func $b (canon {name}))
          (core module $m (import "" "b" (func $b {shape})) (func (export "f") (result i32) {code}))
          (core instance $i (instantiate $m (with "" (instance (export "b" (func $b))))))
          (func (export "f") (result u32) (canon lift (core func $i "f"))))""",
        ("f",),
    ) == [answer]


def test_backpressure_overflows() -> None:
    program = """(component
      (core func $b (canon backpressure.inc))
      (core module $m (import "" "b" (func $b)) (func (export "f") (param i32) (result i32)
        (loop $more (call $b) (br_if $more (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 1)))
      (core instance $i (instantiate $m (with "" (instance (export "b" (func $b))))))
      (func (export "f") (param "n" u32) (result u32) (canon lift (core func $i "f"))))"""
    assert same(program, ("f", 65535), ("f", 1)) == [1, "trap: backpressure counter overflow"]
