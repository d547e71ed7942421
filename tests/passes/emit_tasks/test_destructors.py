"""Destructors run as synchronous tasks of their own, whoever drops: with empty context slots, and they must not block.

Source: Component Model, CanonicalABI.md: canon resource.drop.
"""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime
from both import fused, unfused
from hosted import named, product

from meld.files import decode
from meld.ir.module import Module
from meld.passes import Registry
from meld.passmanager import parse_pipeline, plan_named, run
from meld.runtime.instantiate import instantiate

OWNER = """(component
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
    (func (export "seen") (result u32) (canon lift (core func $d "seen"))))"""
"""Defines a resource whose destructor notes its first context slot, and sets it."""

PROGRAM = """(component
  OWNER
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
"""The owner, as `$a`; `$b` drops handles of it, and so does the owner itself."""

STAGES = "link,merge,detect-pairs,emit-bridge,rewire-calls,plan-tasks,handle-tables,emit-tasks,adapter-wiring"


def program(dtor: str, *, hosted: bool = False) -> bytes:
    """`hosted`: the owner alone is fused, so that it is the host that drops the handles of `$b`."""
    owner = OWNER.replace("DTOR", dtor)
    return bytes(wasmtime.wat2wasm(PROGRAM.replace("OWNER", named(product(owner) if hosted else owner, "$a"))))


@pytest.mark.parametrize("dtor", ["", "(drop (call $yield))"], ids=["context", "yield"])
@pytest.mark.parametrize("calls", [("run", "run", "seen", "own", "seen"), ("run-async", "own", "run-async", "seen")])
def test_context_slots(dtor: str, calls: tuple[str, ...]) -> None:
    """Each dropper has its slots back, and no destructor sees those of another task."""
    wasm = program(dtor)
    given = tuple((name,) for name in calls)
    want = unfused(wasm, given)
    assert want == [{"run": 5, "run-async": 5, "own": 7, "seen": 0}[name] for name in calls]
    assert fused(wasm, given) == want
    assert unfused(program(dtor, hosted=True), given) == want


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
    assert unfused(program(dtor, hosted=True), ((call,),)) == [why]


@pytest.mark.parametrize("last", ["expose-resources", "handle-tables", "emit-tasks", "wire-entries"])
def test_what_the_host_calls(last: str) -> None:
    """The export that is called for a drop by the host runs the destructor as a task, at each stage."""
    source = decode(bytes(wasmtime.wat2wasm(OWNER.replace("DTOR", ""))), "program")
    registry = Registry.standard()
    stages = "link,merge,expose-resources,plan-tasks,handle-tables,emit-tasks,adapter-wiring,wire-entries"
    names = stages[: stages.index(last) + len(last)]
    module, _ = run(plan_named(parse_pipeline(names, registry), source, registry), source)
    assert isinstance(module, Module)
    running = instantiate(module, lenient=True)
    for _ in range(2):
        running.call("$root#[dtor]r", 4)
    assert running.call("own") == 7
    running.call("$root#[dtor]r", 5)
    assert running.call("seen") == 0


WAKES = """(component
  (core module $mem (memory (export "m") 1))
  (core instance $mem (instantiate $mem))
  (alias core export $mem "m" (core memory $m))
  (type $f (future u32))
  (core func $new (canon future.new $f))
  (core func $read (canon future.read $f async (memory $m)))
  (core func $write (canon future.write $f async (memory $m)))
  (core func $set (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $ret (canon task.return (result u32)))
  (core module $d
    (import "" "m" (memory 1)) (import "" "write" (func $write (param i32 i32) (result i32)))
    (global $end (export "end") (mut i32) (i32.const 0))
    (func (export "dtor") (param $rep i32)
      (i32.store (i32.const 8) (local.get $rep))
      (if (i32.ne (call $write (global.get $end) (i32.const 8)) (i32.const 0)) (then unreachable))))
  (core instance $d (instantiate $d (with "" (instance (export "m" (memory $m)) (export "write" (func $write))))))
  (type $r' (resource (rep i32) (dtor (core func $d "dtor"))))
  (core func $make (canon resource.new $r'))
  (core module $p
    (import "" "m" (memory 1)) (import "" "end" (global $end (mut i32)))
    (import "" "new" (func $new (result i64))) (import "" "read" (func $read (param i32 i32) (result i32)))
    (import "" "set" (func $set (result i32))) (import "" "join" (func $join (param i32 i32)))
    (import "" "ret" (func $ret (param i32))) (import "" "make" (func $make (param i32) (result i32)))
    (func (export "make") (result i32) (call $make (i32.const 42)))
    (func (export "wait") (result i32)
      (local $both i64) (local $in i32) (local $set i32)
      (local.set $both (call $new))
      (local.set $in (i32.wrap_i64 (local.get $both)))
      (global.set $end (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32))))
      (if (i32.ne (call $read (local.get $in) (i32.const 16)) (i32.const -1)) (then unreachable))
      (local.set $set (call $set))
      (call $join (local.get $in) (local.get $set))
      (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
    (func (export "callback") (param i32 i32 i32) (result i32)
      (call $ret (i32.load (i32.const 16))) (i32.const 0)))
  (core instance $p (instantiate $p (with "" (instance (export "m" (memory $m)) (export "end" (global $d "end"))
    (export "new" (func $new)) (export "read" (func $read)) (export "set" (func $set)) (export "join" (func $join))
    (export "ret" (func $ret)) (export "make" (func $make))))))
  (export $r "r" (type $r'))
  (func (export "make") (result (own $r)) (canon lift (core func $p "make")))
  (func (export "wait") async (result u32)
    (canon lift (core func $p "wait") async (callback (core func $p "callback")))))"""
"""The destructor writes to the future that `wait` waits for."""

DROPS = """(component $b
  (import "a" (instance $a (export "r" (type $r (sub resource))) (export "make" (func (result (own $r))))
    (export "wait" (func async (result u32)))))
  (alias export $a "r" (type $r))
  (core module $mem (memory (export "m") 1))
  (core instance $mem (instantiate $mem))
  (alias core export $mem "m" (core memory $m))
  (core func $make (canon lower (func $a "make")))
  (core func $wait (canon lower (func $a "wait") async (memory $m)))
  (core func $drop (canon resource.drop $r))
  (core func $set (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $ret (canon task.return (result u32)))
  (core module $p
    (import "" "m" (memory 1)) (import "" "make" (func $make (result i32))) (import "" "drop" (func $drop (param i32)))
    (import "" "wait" (func $wait (param i32) (result i32))) (import "" "set" (func $set (result i32)))
    (import "" "join" (func $join (param i32 i32))) (import "" "ret" (func $ret (param i32)))
    (func (export "run") (result i32)
      (local $handle i32) (local $set i32) (local $call i32)
      (local.set $handle (call $make))
      (local.set $call (call $wait (i32.const 16)))
      (if (i32.ne (i32.and (local.get $call) (i32.const 15)) (i32.const 1)) (then unreachable))
      (call $drop (local.get $handle))
      (local.set $set (call $set))
      (call $join (i32.shr_u (local.get $call) (i32.const 4)) (local.get $set))
      (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
    (func (export "callback") (param i32 i32 i32) (result i32)
      (if (i32.eq (local.get 2) (i32.const 2)) (then (call $ret (i32.load (i32.const 16))) (return (i32.const 0))))
      unreachable))
  (core instance $p (instantiate $p (with "" (instance (export "m" (memory $m)) (export "make" (func $make))
    (export "drop" (func $drop)) (export "wait" (func $wait)) (export "set" (func $set)) (export "join" (func $join))
    (export "ret" (func $ret))))))
  (func (export "run") async (result u32)
    (canon lift (core func $p "run") async (callback (core func $p "callback")))))"""
"""Calls `wait`, and drops a handle while that waits."""


def test_tasks_go_on_after_a_drop_of_the_host() -> None:
    """What waits for a destructor goes on when the host has run it, as after a call."""
    for owner in (WAKES, product(WAKES)):
        wasm = f"""(component {named(owner, "$a")} {DROPS} (instance $ia (instantiate $a))
          (instance $ib (instantiate $b (with "a" (instance $ia)))) (export "run" (func $ib "run")))"""
        assert unfused(bytes(wasmtime.wat2wasm(wasm)), (("run",), ("run",))) == [42, 42]
