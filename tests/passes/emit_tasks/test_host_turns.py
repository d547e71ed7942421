"""Calls of the host's that have to wait for their turn in an instance inside: STARTING, beside the engine."""

from __future__ import annotations

import pytest
from both import unfused
from hosted import TARGETS, composed, product
from open_guests import LIBC, MEMORY

LIFTS = {"sync": "", "callback": 'async (callback (core func $i "back"))', "stackful": "async"}
HOLDS = {
    "blocks": """
      (local.set $ends (call $new))
      (global.set $end (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (drop (call $read (i32.wrap_i64 (local.get $ends)) (i32.const 64) (i32.const 1)))""",
    "yields": "(drop (call $yield)) (drop (call $yield))",
    "backpressure": "(call $inc) (global.set $held (i32.const 1))",
}
"""How a function holds back those that are called after it, until `wake`."""


def instance(name: str, holds: str, lift: str) -> str:
    """An instance whose function `enter` holds others back if it is given 1."""
    returned = "(i32.const 7)" if lift == "sync" else "(call $return (i32.const 7))"
    return f"""(component ${name} {LIBC}
  (type $s (stream u8))
  (core func $new (canon stream.new $s)) (core func $read (canon stream.read $s {MEMORY}))
  (core func $write (canon stream.write $s async {MEMORY}))
  (core func $inc (canon backpressure.inc)) (core func $dec (canon backpressure.dec))
  (core func $yield (canon thread.yield)) (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "new" (func $new (result i64))) (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "inc" (func $inc)) (import "" "dec" (func $dec))
    (import "" "yield" (func $yield (result i32))) (import "" "return" (func $return (param i32)))
    (global $end (mut i32) (i32.const 0)) (global $held (mut i32) (i32.const 0))
    (func (export "enter") (param $holds i32) {"" if lift == "stackful" else "(result i32)"} (local $ends i64)
      (if (local.get $holds) (then {HOLDS[holds]}))
      {returned} {"(i32.const 0)" if lift == "callback" else ""})
    (func (export "back") (param i32 i32 i32) (result i32) (i32.const 0))
    (func (export "wake")
      (if (global.get $held) (then (global.set $held (i32.const 0)) (call $dec)))
      (if (global.get $end)
        (then (drop (call $write (global.get $end) (i32.const 32) (i32.const 1))) (global.set $end (i32.const 0))))))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $new)) (export "read" (func $read))
    (export "write" (func $write)) (export "inc" (func $inc)) (export "dec" (func $dec))
    (export "yield" (func $yield)) (export "return" (func $return))))))
  (func (export "enter") async (param "holds" u32) (result u32) (canon lift (core func $i "enter") {LIFTS[lift]}))
  (func (export "wake") (canon lift (core func $i "wake"))))"""


def program(*instances: tuple[str, str]) -> str:
    """A program of instances, each with what holds calls back and how its function is lifted."""
    parts = []
    for i, (holds, lift) in enumerate(instances):
        parts.append(instance(f"c{i}", holds, lift) + f"(instance $i{i} (instantiate $c{i}))")
        parts += [f'(export "{name}{i}" (func $i{i} "{name}"))' for name in ("enter", "wake")]
    return "(component\n" + "\n".join(parts) + ")"


def host(count: int, body: str) -> str:
    """Runs steps, and makes a number of the states that calls are in."""
    numbers = range(count)
    imports = "".join(
        f"""
  (import "enter{i}" (func $enter{i} async (param "holds" u32) (result u32))) (import "wake{i}" (func $wake{i}))
  (core func $enter{i}' (canon lower (func $enter{i}) async {MEMORY}))
  (core func $wake{i}' (canon lower (func $wake{i})))"""
        for i in numbers
    )
    core = "".join(
        f"""
    (import "" "enter{i}" (func $enter{i} (param i32 i32) (result i32))) (import "" "wake{i}" (func $wake{i}))"""
        for i in numbers
    )
    given = "".join(f"""(export "enter{i}" (func $enter{i}')) (export "wake{i}" (func $wake{i}'))""" for i in numbers)
    return f"""(component {LIBC} {imports}
  (core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait {MEMORY})) (core func $end (canon subtask.drop))
  (core func $cancel (canon subtask.cancel)) (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "m" (memory 1)) {core}
    (import "" "set-new" (func $set-new (result i32))) (import "" "join" (func $join (param i32 i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32))) (import "" "end" (func $end (param i32)))
    (import "" "cancel" (func $cancel (param i32) (result i32))) (import "" "return" (func $return (param i32)))
    (global $sum (mut i32) (i32.const 0)) (global $set (mut i32) (i32.const 0)) (global $open (mut i32) (i32.const 0))
    (func $log (param $n i32)
      (global.set $sum (i32.add (i32.mul (global.get $sum) (i32.const 5)) (i32.add (local.get $n) (i32.const 1)))))
    (func $called (param $status i32) (result i32)
      (call $log (i32.and (local.get $status) (i32.const 15)))
      (if (i32.shr_u (local.get $status) (i32.const 4))
        (then
          (global.set $open (i32.add (global.get $open) (i32.const 1)))
          (call $join (i32.shr_u (local.get $status) (i32.const 4)) (global.get $set))))
      (i32.shr_u (local.get $status) (i32.const 4)))
    (func $cancelled (param $task i32)
      (if (i32.eqz (local.get $task)) (then (return)))  ;; it has returned
      (call $join (local.get $task) (i32.const 0))
      (call $log (call $cancel (local.get $task)))
      (call $end (local.get $task))
      (global.set $open (i32.sub (global.get $open) (i32.const 1))))
    ;; until all have returned, in whatever order
    (func $all
      (loop $more
        (if (i32.eqz (global.get $open)) (then (return)))
        (drop (call $wait (global.get $set) (i32.const 2048)))
        (if (i32.ge_u (i32.load (i32.const 2052)) (i32.const 2))
          (then
            (global.set $open (i32.sub (global.get $open) (i32.const 1)))
            (call $end (i32.load (i32.const 2048)))))
        (br $more)))
    (func (export "run") (local $task i32)
      (global.set $set (call $set-new))
      {body}
      (call $all)
      (call $return (global.get $sum))))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m")) {given}
    (export "set-new" (func $set-new)) (export "join" (func $join)) (export "wait" (func $wait))
    (export "end" (func $end)) (export "cancel" (func $cancel)) (export "return" (func $return))))))
  (func (export "run") async (result u32) (canon lift (core func $i "run") async)))"""


def answers(instances: tuple[tuple[str, str], ...], body: str, target: str | None) -> list[object]:
    """What the host finds, twice over, in one instance of the program; fused for a target, or not."""
    inside, count = program(*instances), len(instances)
    imports = tuple(f"func {name}{i}" for i in range(count) for name in ("enter", "wake"))
    made = inside if target is None else product(inside, target)
    return unfused(composed(made, host(count, body), imports, ("func run",)), (("run",), ("run",)))


def enter(i: int, holds: int, then: str = "drop") -> str:
    return f"(call $called (call $enter{i} (i32.const {holds}) (i32.const 16))) {then}\n"


ONE = {
    "waits": enter(0, 1) + enter(0, 0) + enter(0, 0) + "(call $wake0)",
    "cancelled": enter(0, 1) + enter(0, 0, "(local.set $task) (call $cancelled (local.get $task))") + "(call $wake0)",
    "again": enter(0, 1)
    + enter(0, 0)
    + "(call $wake0) (call $all)"
    + enter(0, 0)
    + enter(0, 1)
    + enter(0, 0)
    + "(call $wake0)",
}


@pytest.mark.parametrize("lift", LIFTS)
@pytest.mark.parametrize("holds", HOLDS)
def test_one_instance(holds: str, lift: str) -> None:
    for name, body in ONE.items():
        want = answers(((holds, lift),), body, None)
        assert all(isinstance(answer, int) for answer in want), (name, want)
        for target in TARGETS:
            assert answers(((holds, lift),), body, target) == want, (name, target)


TWO = {
    "both": enter(0, 1) + enter(1, 1) + enter(0, 0) + enter(1, 0) + "(call $wake0) (call $wake1)",
    "one": enter(0, 1) + enter(1, 0) + "(call $wake0)",
    "other": enter(1, 1) + enter(0, 0) + "(call $wake1)" + enter(0, 1) + enter(1, 0) + "(call $wake0)",
}


@pytest.mark.parametrize("body", TWO)
def test_two_instances(body: str) -> None:
    """Where another one is free, it is entered."""
    instances = (("blocks", "callback"), ("backpressure", "sync"))
    assert answers(instances, TWO[body], "wasm3") == answers(instances, TWO[body], None)
