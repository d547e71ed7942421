"""Calls that are tasks: every form of lift beside every form of lower, unfused and fused; what happens to subtasks."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime
from both import same, unfused

import meld
from meld.driver import Options, build
from meld.verify.engine import engine_problems

FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures"
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="needs ../shared/fixtures")

TYPES = {
    "u32": ("u32", "i32", "(i32.const 7)", "(i32.load (i32.const 512))"),
    "u64": ("u64", "i64", "(i64.const 7)", "(i32.wrap_i64 (i64.load (i32.const 512)))"),
    "f64": ("f64", "f64", "(f64.const 7)", "(i32.trunc_f64_s (f64.load (i32.const 512)))"),
}

LIFTS = {
    "synchronous": ("", "(result {core})", "{value}"),
    "without a callback": ("async", "", "(call $return {value})"),
    "with a callback": (
        'async (callback (core func $i "back"))',
        "(result i32)",
        "(call $return {value}) (i32.const 0)",
    ),
    "that yields first": (
        'async (callback (core func $i "late"))',
        "(result i32)",
        "(global.set $kept {value}) (i32.const 1)",
    ),
}


def program(lift: str, type_: str, *, is_async: bool) -> str:
    """`run` calls `f`, which returns 7, and answers 7; asynchronously, it waits for the subtask if need be."""
    options, result, body = LIFTS[lift]
    value_type, core, value, load = TYPES[type_]
    code = body.format(value=value, core=core)
    if is_async:
        lowered, call = "(param i32) (result i32)", "(call $await (call $f (i32.const 512)))"
    else:
        lowered = f"(result {core})"
        call = f"({core}.store (i32.const 512) (call $f))"
    return f"""(component
  (component $lib
    (core func $return (canon task.return (result {value_type})))
    (core module $m
      (import "" "return" (func $return (param {core})))
      (global $kept (mut {core}) ({core}.const 0))
      (func (export "f") {result.format(core=core)} {code})
      (func (export "back") (param i32 i32 i32) (result i32) (unreachable))
      (func (export "late") (param i32 i32 i32) (result i32) (call $return (global.get $kept)) (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "f") async (result {value_type}) (canon lift (core func $i "f") {options})))
  (component $app
    (import "f" (func $f async (result {value_type})))
    (core module $memory (memory (export "m") 1))
    (core instance $memory (instantiate $memory))
    (core func $f (canon lower (func $f) {"async" if is_async else ""} (memory (core memory $memory "m"))))
    (core func $new (canon waitable-set.new))
    (core func $wait (canon waitable-set.wait (memory (core memory $memory "m"))))
    (core func $join (canon waitable.join))
    (core func $drop (canon subtask.drop))
    (core func $drop-set (canon waitable-set.drop))
    (core module $m
      (import "" "m" (memory 1))
      (import "" "f" (func $f {lowered}))
      (import "" "new" (func $new (result i32)))
      (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (import "" "join" (func $join (param i32 i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "drop-set" (func $drop-set (param i32)))
      (func $await (param i32) (local $set i32)
        (if (i32.eq (local.get 0) (i32.const 2)) (then (return)))
        (if (i32.ne (i32.and (local.get 0) (i32.const 15)) (i32.const 1)) (then unreachable))
        (local.set 0 (i32.shr_u (local.get 0) (i32.const 4)))
        (local.set $set (call $new))
        (call $join (local.get 0) (local.get $set))
        (if (i32.ne (call $wait (local.get $set) (i32.const 600)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 600)) (local.get 0)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 604)) (i32.const 2)) (then unreachable))
        (call $drop (local.get 0))
        (call $drop-set (local.get $set)))
      (func (export "run") (result i32) {call} {load}))
    (core instance $i (instantiate $m (with "" (instance
      (export "m" (memory $memory "m")) (export "f" (func $f)) (export "new" (func $new))
      (export "wait" (func $wait)) (export "join" (func $join)) (export "drop" (func $drop))
      (export "drop-set" (func $drop-set))))))
    (func (export "run") async (result u32) (canon lift (core func $i "run"))))
  (instance $l (instantiate $lib))
  (instance $a (instantiate $app (with "f" (func $l "f"))))
  (export "run" (func $a "run")))"""


@pytest.mark.parametrize("is_async", [False, True], ids=["lowered synchronously", "lowered asynchronously"])
@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("lift", LIFTS)
def test_every_lift_with_every_lower(lift: str, type_: str, is_async: bool) -> None:
    assert same(program(lift, type_, is_async=is_async), ("run",), ("run",)) == [7, 7]


def backpressure(then: str) -> str:
    """`lib` has backpressure from `start` on, until `stop`. `run` calls `f`, which so does not start, and then …"""
    return f"""(component
  (component $lib
    (core func $inc (canon backpressure.inc))
    (core func $dec (canon backpressure.dec))
    (core func $return (canon task.return))
    (core module $m
      (import "" "inc" (func $inc)) (import "" "dec" (func $dec)) (import "" "return" (func $return))
      (global $ran (mut i32) (i32.const 0))
      (func (export "f") (result i32) (global.set $ran (i32.const 1)) (call $return) (i32.const 0))
      (func (export "back") (param i32 i32 i32) (result i32) unreachable)
      (func (export "start") (call $inc)) (func (export "stop") (call $dec))
      (func (export "ran") (result i32) (global.get $ran)))
    (core instance $i (instantiate $m (with "" (instance
      (export "inc" (func $inc)) (export "dec" (func $dec)) (export "return" (func $return))))))
    (func (export "f") async (canon lift (core func $i "f") async (callback (core func $i "back"))))
    (func (export "start") (canon lift (core func $i "start")))
    (func (export "stop") (canon lift (core func $i "stop")))
    (func (export "ran") (result u32) (canon lift (core func $i "ran"))))
  (instance $l (instantiate $lib))
  (component $app
    (import "l" (instance $l
      (export "f" (func async)) (export "start" (func)) (export "stop" (func)) (export "ran" (func (result u32)))))
    (core module $memory (memory (export "m") 1))
    (core instance $memory (instantiate $memory))
    (core func $f (canon lower (func $l "f") async))
    (core func $start (canon lower (func $l "start")))
    (core func $stop (canon lower (func $l "stop")))
    (core func $ran (canon lower (func $l "ran")))
    (core func $new (canon waitable-set.new))
    (core func $wait (canon waitable-set.wait (memory (core memory $memory "m"))))
    (core func $join (canon waitable.join))
    (core func $drop (canon subtask.drop))
    (core func $cancel (canon subtask.cancel async))
    (core module $m
      (import "" "m" (memory 1))
      (import "" "f" (func $f (result i32))) (import "" "start" (func $start)) (import "" "stop" (func $stop))
      (import "" "ran" (func $ran (result i32))) (import "" "new" (func $new (result i32)))
      (import "" "wait" (func $wait (param i32 i32) (result i32))) (import "" "join" (func $join (param i32 i32)))
      (import "" "drop" (func $drop (param i32))) (import "" "cancel" (func $cancel (param i32) (result i32)))
      (func (export "run") (result i32) (local $t i32) (local $s i32)
        (call $start)
        (local.set $t (call $f))
        (if (i32.and (local.get $t) (i32.const 15)) (then unreachable))  ;; STARTING
        (local.set $t (i32.shr_u (local.get $t) (i32.const 4)))
        {then}))
    (core instance $i (instantiate $m (with "" (instance
      (export "m" (memory $memory "m")) (export "f" (func $f)) (export "start" (func $start))
      (export "stop" (func $stop)) (export "ran" (func $ran)) (export "new" (func $new)) (export "wait" (func $wait))
      (export "join" (func $join)) (export "drop" (func $drop)) (export "cancel" (func $cancel))))))
    (func (export "run") async (result u32) (canon lift (core func $i "run"))))
  (instance $a (instantiate $app (with "l" (instance $l))))
  (export "run" (func $a "run")))"""


THEN = {
    "it starts when the pressure is off": (
        """(call $stop)
        (local.set $s (call $new))
        (call $join (local.get $t) (local.get $s))
        (if (i32.ne (call $wait (local.get $s) (i32.const 8)) (i32.const 1)) (then unreachable))
        (call $drop (local.get $t))
        (i32.add (i32.mul (i32.load (i32.const 12)) (i32.const 10)) (call $ran))""",
        21,
    ),
    "it is cancelled before": (
        """(local.set $s (call $cancel (local.get $t)))
        (call $drop (local.get $t)) (call $stop)
        (i32.add (i32.mul (local.get $s) (i32.const 10)) (call $ran))""",
        30,
    ),
    "it is dropped before": (
        "(call $drop (local.get $t)) (i32.const 1)",
        "trap: cannot drop a subtask which has not yet resolved",
    ),
    "it is cancelled twice": (
        "(drop (call $cancel (local.get $t))) (call $cancel (local.get $t))",
        "trap: `subtask.cancel` called after terminal status delivered",
    ),
    "it is waited for in vain": (
        """(local.set $s (call $new))
        (call $join (local.get $t) (local.get $s))
        (call $wait (local.get $s) (i32.const 8))""",
        "trap: deadlock detected: event loop cannot make further progress",
    ),
}


@pytest.mark.parametrize("case", THEN)
def test_a_call_that_meets_backpressure(case: str) -> None:
    then, answer = THEN[case]
    assert same(backpressure(then), ("run",)) == [answer]


# --- real components --------------------------------------------------------------------------------------------------

FLOW = "bytes={n}/{sum}|0:r0:0.000,1:r1:0.500,2:r2:1.000,3:r3:1.500,4:r4:2.000,|title-{n}|[6, 8]|count={count}"
ANSWERS = {
    3000: FLOW.format(n=3000, sum=382468, count=375876),
    7: FLOW.format(n=7, sum=168, count=21),
    0: FLOW.format(n=0, sum=0, count=0),
}
INPUTS = {
    "from parts": [FIXTURES / "flow-p3" / "cons.wasm", FIXTURES / "flow-p3" / "prod.wasm"],
    "composed": [FIXTURES / "flow-p3" / "comp.wasm"],
}


@needs_fixtures
@pytest.mark.parametrize("case", INPUTS)
def test_flow_as_a_core_module(case: str) -> None:
    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, meld.encode(meld.compile(INPUTS[case])))
    assert not module.imports
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, module, []).exports(store)
    for n, answer in ANSWERS.items():
        pointer, length = exports["run"](store, n)
        assert exports["memory"].read(store, pointer, pointer + length).decode() == answer


@needs_fixtures
@pytest.mark.parametrize("case", INPUTS)
def test_flow_as_a_component(case: str) -> None:
    product = build(INPUTS[case], Options(wrap=True)).program
    assert unfused(meld.encode(product), tuple(("run", n) for n in ANSWERS)) == list(ANSWERS.values())


@needs_fixtures
@pytest.mark.parametrize("fixture", ["flow-p3/comp.wasm", "stream-u8/composed.wasm"])
def test_what_each_pass_leaves_is_valid(fixture: str) -> None:
    plan = build([FIXTURES / fixture], Options(), steps=0).plan
    for steps in range(2, len(plan.steps) + 1):
        program = build([FIXTURES / fixture], Options(), steps=steps).program
        assert not engine_problems(program), plan.steps[steps - 1].label
