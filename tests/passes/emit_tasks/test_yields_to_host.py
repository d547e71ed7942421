"""Exported functions that yield until the host has called another one, beside the engine."""

from __future__ import annotations

import pytest
from both import unfused
from hosted import composed, product

PROGRAM = """(component
  (core func $return (canon task.return (result u32)))
  (core func $yield (canon thread.yield))
  (core module $m
    (import "" "return" (func $return (param i32)))
    (import "" "yield" (func $yield (result i32)))
    (global $flag (mut i32) (i32.const 0))
    (func (export "calls-back") (result i32) (i32.const 1))
    (func (export "back") (param i32 i32 i32) (result i32)
      (if (i32.eqz (global.get $flag)) (then (return (i32.const 1))))
      (call $return (global.get $flag))
      (i32.const 0))
    (func (export "stays")
      (loop $more (drop (call $yield)) (br_if $more (i32.eqz (global.get $flag))))
      (call $return (global.get $flag)))
    (func (export "set") (param i32) (global.set $flag (local.get 0))))
  (core instance $i (instantiate $m (with "" (instance
    (export "return" (func $return)) (export "yield" (func $yield))))))
  (func (export "calls-back") async (result u32)
    (canon lift (core func $i "calls-back") async (callback (core func $i "back"))))
  (func (export "stays") async (result u32) (canon lift (core func $i "stays") async))
  (func (export "set") (param "n" u32) (canon lift (core func $i "set"))))
"""

DRIVER = """(component
  (import "calls-back" (func $calls-back async (result u32)))
  (import "stays" (func $stays async (result u32)))
  (import "set" (func $set (param "n" u32)))
  (core module $libc (memory (export "m") 1))
  (core instance $libc (instantiate $libc))
  (core func $calls-back' (canon lower (func $calls-back) async (memory (core memory $libc "m"))))
  (core func $stays' (canon lower (func $stays) async (memory (core memory $libc "m"))))
  (core func $set' (canon lower (func $set)))
  (core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait (memory (core memory $libc "m"))))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "m" (memory 1))
    (import "" "calls-back" (func $calls-back (param i32) (result i32)))
    (import "" "stays" (func $stays (param i32) (result i32)))
    (import "" "set" (func $set (param i32)))
    (import "" "set-new" (func $set-new (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "return" (func $return (param i32)))
    (func (export "run") (param $stays i32) (local $status i32) (local $set i32)
      (local.set $status
        (if (result i32) (local.get $stays)
          (then (call $stays (i32.const 64)))
          (else (call $calls-back (i32.const 64)))))
      (call $set (i32.const 7))
      (local.set $set (call $set-new))
      (call $join (i32.shr_u (local.get $status) (i32.const 4)) (local.get $set))
      (drop (call $wait (local.get $set) (i32.const 2048)))
      (call $return (i32.load (i32.const 64)))))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m"))
    (export "calls-back" (func $calls-back')) (export "stays" (func $stays')) (export "set" (func $set'))
    (export "set-new" (func $set-new)) (export "join" (func $join)) (export "wait" (func $wait))
    (export "return" (func $return))))))
  (func (export "run") async (param "stays" bool) (result u32)
    (canon lift (core func $i "run") async)))
"""

NAMES = ("func calls-back", "func stays", "func set")


@pytest.mark.parametrize("stays", [False, True])
def test_the_host_has_its_turn(stays: bool) -> None:
    calls = (("run", stays),)
    assert unfused(composed(PROGRAM, DRIVER, NAMES, ("func run",)), calls) == [7]
    assert unfused(composed(product(PROGRAM), DRIVER, NAMES, ("func run",)), calls) == [7]
