"""Destructors run as synchronous tasks of their own, whoever drops: with empty context slots, and they must not block.

Source: Component Model, CanonicalABI.md: canon resource.drop.
"""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime
from both import fused, unfused

from meld.files import decode
from meld.ir.module import Module
from meld.passes import Registry
from meld.passmanager import parse_pipeline, plan_named, run
from meld.runtime.instantiate import instantiate

PROGRAM = """(component
  (component $a
    (core module $d
      (import "" "get" (func $get (result i32))) (import "" "set" (func $set (param i32)))
      (import "" "yield" (func $yield (result i32))) (import "" "return" (func $return (param i32)))
      (import "" "new-set" (func $new-set (result i32))) (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (memory (export "m") 1) (global $g (mut i32) (i32.const 0))
      (func (export "dtor") (param i32) (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 100))
        (call $get))) (call $set (local.get 0)) DTOR)
      (func (export "seen") (result i32) (global.get $g)))
    (core func $get (canon context.get i32 0)) (core func $set (canon context.set i32 0)) (core func $yield
      (canon thread.yield))
    (core func $return (canon task.return (result u32))) (core func $new-set (canon waitable-set.new))
    (core module $mem (memory (export "m") 1))
    (core instance $mem (instantiate $mem))
    (core func $wait (canon waitable-set.wait (memory (core memory $mem "m"))))
    (core instance $d (instantiate $d (with "" (instance (export "get" (func $get)) (export "set" (func $set))
      (export "yield" (func $yield)) (export "return" (func $return))
        (export "new-set" (func $new-set)) (export "wait" (func $wait))))))
    (type $r' (resource (rep i32) (dtor (core func $d "dtor"))))
    (core func $new (canon resource.new $r')) (core func $drop (canon resource.drop $r'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32))) (import "" "drop" (func $drop (param i32)))
      (import "" "get" (func $get (result i32))) (import "" "set" (func $set (param i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "own") (result i32)
        (call $set (i32.const 7)) (call $drop (call $new (i32.const 9))) (call $get)))
    (core instance $m (instantiate $m (with "" (instance (export "new" (func $new)) (export "drop" (func $drop))
      (export "get" (func $get)) (export "set" (func $set))))))
    (export $r "r" (type $r'))
    (func (export "make") (param "x" u32) (result (own $r)) (canon lift (core func $m "make")))
    (func (export "own") (result u32) (canon lift (core func $m "own")))
    (func (export "seen") (result u32) (canon lift (core func $d "seen"))))
  (component $b
    (import "a" (instance $a (export "r" (type $r (sub resource))) (export "make" (func (param "x" u32) (result
      (own $r))))))
    (alias export $a "r" (type $r))
    (core func $make (canon lower (func $a "make"))) (core func $drop (canon resource.drop $r))
    (core func $get (canon context.get i32 0)) (core func $set (canon context.set i32 0)) (core func $ret
      (canon task.return (result u32)))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32))) (import "" "drop" (func $drop (param i32)))
      (import "" "get" (func $get (result i32))) (import "" "set" (func $set (param i32))) (import "" "ret"
        (func $ret (param i32)))
      (func $body (result i32)
        (call $set (i32.const 5)) (call $drop (call $make (i32.const 3))) (call $get))
      (func (export "run") (result i32) (call $body))
      (func (export "run-async") (call $ret (call $body))))
    (core instance $m (instantiate $m (with "" (instance (export "make" (func $make)) (export "drop" (func $drop))
      (export "get" (func $get)) (export "set" (func $set)) (export "ret" (func $ret))))))
    (func (export "run") (result u32) (canon lift (core func $m "run")))
    (func (export "run-async") async (result u32) (canon lift (core func $m "run-async") async)))
  (instance $ia (instantiate $a))
  (instance $ib (instantiate $b (with "a" (instance $ia))))
  (export "run" (func $ib "run")) (export "run-async" (func $ib "run-async")) (export "own" (func $ia "own"))
    (export "seen" (func $ia "seen")))"""
"""`$a` defines a resource whose destructor notes its first context slot, and sets it; it and `$b` drop handles."""

STAGES = "link,merge,detect-pairs,emit-bridge,rewire-calls,plan-tasks,handle-tables,emit-tasks,adapter-wiring"


def program(dtor: str) -> bytes:
    return bytes(wasmtime.wat2wasm(PROGRAM.replace("DTOR", dtor)))


@pytest.mark.parametrize("dtor", ["", "(drop (call $yield))"], ids=["context", "yield"])
@pytest.mark.parametrize("calls", [("run", "seen", "own", "seen"), ("run-async", "own", "run-async", "seen")])
def test_context_slots(dtor: str, calls: tuple[str, ...]) -> None:
    """Each dropper has its slots back, and no destructor sees those of another task."""
    wasm = program(dtor)
    given = tuple((name,) for name in calls)
    want = unfused(wasm, given)
    assert want == [{"run": 5, "run-async": 5, "own": 7, "seen": 0}[name] for name in calls]
    assert fused(wasm, given) == want


@pytest.mark.parametrize("last", ["merge", "plan-tasks", "handle-tables", "emit-tasks", "adapter-wiring"])
def test_context_slots_at_each_stage(last: str) -> None:
    source, registry = decode(program(""), "program"), Registry.standard()
    names = STAGES[: STAGES.index(last) + len(last)]
    module, _ = run(plan_named(parse_pipeline(names, registry), source, registry), source)
    assert isinstance(module, Module)
    running = instantiate(module)
    answers: list[Any] = [running.call(name) for name in ("run-async", "own", "run", "seen")]
    assert answers == [5, 7, 5, 0]


BLOCKED = "trap: cannot block a synchronous task before returning"
RETURNED = "trap: invalid `task.return` signature and/or options for current task"


@pytest.mark.parametrize(
    ("dtor", "why"),
    [("(drop (call $wait (call $new-set) (i32.const 0)))", BLOCKED), ("(call $return (i32.const 1))", RETURNED)],
    ids=["wait", "return"],
)
@pytest.mark.parametrize("call", ["run", "run-async", "own"])
def test_what_a_destructor_must_not(dtor: str, why: str, call: str) -> None:
    """It must not block, and has nothing to return, also if the task that drops may."""
    wasm = program(dtor)
    assert unfused(wasm, ((call,),)) == [why]
    assert fused(wasm, ((call,),)) == [why]
