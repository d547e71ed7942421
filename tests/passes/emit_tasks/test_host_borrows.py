"""Handles that are lent to calls of the host: lent from when these start until they return, beside the engine."""

from __future__ import annotations

import pytest
from both import fused, unfused
from hosted import both, composed
from open_guests import LIBC, MEMORY, by_mode

HOST = f"""(component {LIBC}
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r)) (core func $drop (canon resource.drop $r))
  (core func $inc (canon backpressure.inc)) (core func $dec (canon backpressure.dec))
  (core func $yield (canon thread.yield))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32))) (import "" "drop" (func $drop (param i32)))
    (import "" "inc" (func $inc)) (import "" "dec" (func $dec)) (import "" "yield" (func $yield (result i32)))
    (import "" "return" (func $return (param i32)))
    (global $made (mut i32) (i32.const 4)) (global $open (mut i32) (i32.const 0))
    (func (export "make") (result i32)
      (global.set $made (i32.add (global.get $made) (i32.const 1)))
      (call $new (global.get $made)))
    (func (export "take") (param i32) (call $drop (local.get 0)))
    (func (export "hold") (call $inc))
    (func (export "release") (call $dec))
    (func (export "finish") (global.set $open (i32.const 1)))
    (func (export "look") (param $one i32) (param $two i32)
      (loop $more
        (drop (call $yield))
        (br_if $more (i32.eqz (global.get $open))))
      (call $return (i32.add (i32.mul (local.get $one) (i32.const 100)) (local.get $two)))))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $new)) (export "drop" (func $drop))
    (export "inc" (func $inc)) (export "dec" (func $dec)) (export "yield" (func $yield))
    (export "return" (func $return))))))
  (export $R "r" (type $r))
  (func (export "make") (result (own $R)) (canon lift (core func $i "make")))
  (func (export "take") (param "thing" (own $R)) (canon lift (core func $i "take")))
  (func (export "hold") (canon lift (core func $i "hold")))
  (func (export "release") (canon lift (core func $i "release")))
  (func (export "finish") (canon lift (core func $i "finish")))
  (func (export "look") async (param "one" (borrow $R)) (param "two" (borrow $R)) (result u32)
    (canon lift (core func $i "look") async)))"""

DROP, FREE = "(call $drop (local.get $thing))", "(call $release) (call $finish) (call $wait-for)"
MODES = {
    "is over": f"{FREE} {DROP}",
    "dropped before": f"{DROP} {FREE}",
    "dropped once it has started": f"(call $release) (call $started) {DROP}",
    "given away once it has started": "(call $release) (call $started) (call $take (local.get $thing))",
    "given away before": f"(call $take (local.get $thing)) {FREE}",
    "cancelled before": f"(call $log (call $cancel (global.get $task))) {DROP}",
    "dropped and cancelled before": f"{DROP} (call $log (call $cancel (global.get $task)))",
    "another one in its place": f"{DROP} (call $log (call $make)) {FREE}",
    "lent twice": f"(call $again (local.get $thing)) {FREE} {DROP}",
}
"""What a caller does with a handle that it lends to a call that has not started."""
TRAPS = {
    "dropped before": "unknown handle index",
    "given away before": "unknown handle index",
    "dropped once it has started": "cannot remove owned resource while borrowed",
    "lent twice": "cannot remove owned resource while borrowed",
    "given away once it has started": "cannot remove owned resource while borrowed",
}
BODY = by_mode(MODES.values())
HELD = ("make", "take", "hold", "release", "finish")
LOWERED = " ".join(f"(core func ${name}' (canon lower (func ${name})))" for name in HELD)
GIVEN = " ".join(
    [f"""(export "{name}" (func ${name}'))""" for name in (*HELD, "look")]
    + [f"""(export "{n}" (func ${n}))""" for n in ("drop", "set-new", "join", "wait", "end", "cancel", "return")]
)
PROGRAM = f"""(component
  (import "r" (type $R (sub resource)))
  (import "make" (func $make (result (own $R)))) (import "take" (func $take (param "thing" (own $R))))
  (import "hold" (func $hold)) (import "release" (func $release)) (import "finish" (func $finish))
  (import "look" (func $look async (param "one" (borrow $R)) (param "two" (borrow $R)) (result u32)))
  {LIBC}
  {LOWERED}
  (core func $look' (canon lower (func $look) async {MEMORY})) (core func $drop (canon resource.drop $R))
  (core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait {MEMORY}))
  (core func $end (canon subtask.drop)) (core func $cancel (canon subtask.cancel))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "m" (memory 1))
    (import "" "make" (func $make (result i32))) (import "" "take" (func $take (param i32)))
    (import "" "hold" (func $hold)) (import "" "release" (func $release)) (import "" "finish" (func $finish))
    (import "" "look" (func $look (param i32 i32 i32) (result i32))) (import "" "drop" (func $drop (param i32)))
    (import "" "set-new" (func $set-new (result i32))) (import "" "join" (func $join (param i32 i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "end" (func $end (param i32))) (import "" "cancel" (func $cancel (param i32) (result i32)))
    (import "" "return" (func $return (param i32)))
    (global $task (mut i32) (i32.const 0)) (global $sum (mut i32) (i32.const 0)) (global $set (mut i32) (i32.const 0))
    (func $log (param $n i32)
      (global.set $sum (i32.add (i32.mul (global.get $sum) (i32.const 31)) (i32.add (local.get $n) (i32.const 1)))))
    (func $await (param $state i32)
      (call $join (global.get $task) (global.get $set))
      (loop $more
        (drop (call $wait (global.get $set) (i32.const 2048)))
        (br_if $more (i32.lt_u (i32.load (i32.const 2052)) (local.get $state)))))
    (func $started (call $await (i32.const 1)))
    (func $wait-for
      (call $await (i32.const 2))
      (call $log (i32.load (i32.const 32)))
      (call $end (global.get $task)))
    (func $again (param $thing i32)
      (call $log (call $look (local.get $thing) (local.get $thing) (i32.const 40))))
    (func (export "run") (param $mode i32) (local $thing i32) (local $other i32)
      (call $hold)
      (local.set $thing (call $make))
      (local.set $other (call $make))
      (global.set $task (call $look (local.get $thing) (local.get $other) (i32.const 32)))
      (call $log (global.get $task))
      (global.set $task (i32.shr_u (global.get $task) (i32.const 4)))
      (global.set $set (call $set-new))
      {BODY}
      (call $log (call $make))
      (call $return (global.get $sum))))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m"))
    {GIVEN}
  ))))
  (func (export "run") async (param "mode" u32) (result u32) (canon lift (core func $i "run") async)))"""
IMPORTS = ("type r", *(f"func {name}" for name in (*HELD, "look")))


@pytest.mark.parametrize("mode", MODES)
def test_lent_to_a_call_that_waits(mode: str) -> None:
    (answer,) = both(HOST, PROGRAM, IMPORTS, ("run", list(MODES).index(mode)))
    assert isinstance(answer, int) if mode not in TRAPS else TRAPS[mode] in answer


def test_lent_inside() -> None:
    """The same where the callee is fused, too."""
    wasm = composed(HOST, PROGRAM, IMPORTS, ("func run",))
    for number in range(len(MODES)):
        calls = (("run", number),)
        assert fused(wasm, calls) == unfused(wasm, calls), number
