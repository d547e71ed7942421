"""Asynchronous calls of the host that go on: several at once, waited for in each way, cancelled, beside the engine."""

from __future__ import annotations

import pytest
from hosted import TARGETS, both
from open_guests import LIBC

HOST = f"""(component {LIBC}
  (core func $yield (canon thread.yield))
  (core func $set-new (canon waitable-set.new))
  (core func $cancelled (canon task.cancel))
  (core func $return-late (canon task.return (result string) (memory (core memory $libc "m"))))
  (core func $return-never (canon task.return (result u32)))
  (core module $m
    (import "" "yield" (func $yield (result i32)))
    (import "" "set-new" (func $set-new (result i32)))
    (import "" "cancelled" (func $cancelled))
    (import "" "return-late" (func $return-late (param i32 i32)))
    ;; yields so often, then returns what it was given
    (func (export "late") (param $n i32) (param $at i32) (param $length i32)
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $n)))
        (drop (call $yield))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $more)))
      (call $return-late (local.get $at) (local.get $length)))
    (func (export "never") (result i32) (i32.or (i32.const 2) (i32.shl (call $set-new) (i32.const 4))))
    (func (export "back") (param $event i32) (param i32 i32) (result i32)
      (if (i32.ne (local.get $event) (i32.const 6)) (then unreachable))
      (call $cancelled)
      (i32.const 0)))
  (core instance $i (instantiate $m (with "" (instance (export "yield" (func $yield))
    (export "set-new" (func $set-new)) (export "cancelled" (func $cancelled))
    (export "return-late" (func $return-late))))))
  (func (export "late") async (param "n" u32) (param "s" string) (result string)
    (canon lift (core func $i "late") async (memory (core memory $libc "m")) (realloc (core func $libc "realloc"))))
  (func (export "never") async (result u32)
    (canon lift (core func $i "never") async (callback (core func $i "back")))))
"""

PROGRAM = f"""(component
  (import "late" (func $late async (param "n" u32) (param "s" string) (result string)))
  (import "never" (func $never async (result u32)))
  {LIBC}
  (core func $late' (canon lower (func $late) async (memory (core memory $libc "m"))
    (realloc (core func $libc "realloc"))))
  (core func $never' (canon lower (func $never) async (memory (core memory $libc "m"))))
  (core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait (memory (core memory $libc "m"))))
  (core func $poll (canon waitable-set.poll (memory (core memory $libc "m"))))
  (core func $yield (canon thread.yield))
  (core func $drop (canon subtask.drop)) (core func $cancel (canon subtask.cancel))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "m" (memory 1))
    (import "" "late" (func $late (param i32 i32 i32 i32) (result i32)))
    (import "" "never" (func $never (param i32) (result i32)))
    (import "" "set-new" (func $set-new (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "poll" (func $poll (param i32 i32) (result i32)))
    (import "" "yield" (func $yield (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "cancel" (func $cancel (param i32) (result i32)))
    (import "" "return" (func $return (param i32)))
    (data (i32.const 16) "abcdefghij")
    (global $set (mut i32) (i32.const 0))
    (global $left (mut i32) (i32.const 0))
    (global $order (mut i32) (i32.const 0))
    ;; begins a call that yields n times, with a string of n characters; its subtask joins the set
    (func $begin (param $n i32) (local $status i32)
      (local.set $status
        (call $late (local.get $n) (i32.const 16) (local.get $n) (i32.mul (local.get $n) (i32.const 64))))
      (if (i32.eq (local.get $status) (i32.const 2)) (then (call $ended (local.get $n)) (return)))
      (if (i32.ne (i32.and (local.get $status) (i32.const 15)) (i32.const 1)) (then unreachable))
      (global.set $left (i32.add (global.get $left) (i32.const 1)))
      (i32.store offset=1024 (i32.and (local.get $status) (i32.const -16)) (local.get $n))
      (call $join (i32.shr_u (local.get $status) (i32.const 4)) (global.get $set)))
    ;; a call has returned: its number goes to the order, if its string is there
    (func $ended (param $n i32) (local $at i32)
      (local.set $at (i32.mul (local.get $n) (i32.const 64)))
      (if (i32.ne (i32.load offset=4 (local.get $at)) (local.get $n)) (then unreachable))
      (if (i32.ne (i32.load8_u (i32.add (i32.load (local.get $at)) (i32.sub (local.get $n) (i32.const 1))))
            (i32.add (i32.const 0x60) (local.get $n)))
        (then unreachable))
      (global.set $order (i32.add (i32.mul (global.get $order) (i32.const 10)) (local.get $n))))
    (func $told (param $code i32) (param $handle i32) (param $state i32)
      (if (i32.eqz (local.get $code)) (then (return)))
      (if (i32.ne (i32.or (i32.shl (local.get $code) (i32.const 4)) (local.get $state)) (i32.const 0x12))
        (then unreachable))
      (call $ended (i32.load offset=1024 (i32.shl (local.get $handle) (i32.const 4))))
      (call $join (local.get $handle) (i32.const 0))
      (call $drop (local.get $handle))
      (global.set $left (i32.sub (global.get $left) (i32.const 1))))
    (func $begin-all
      (global.set $order (i32.const 0))
      (global.set $set (call $set-new))
      (call $begin (i32.const 7)) (call $begin (i32.const 1)) (call $begin (i32.const 4)) (call $begin (i32.const 9)))
    (func (export "waits") 
      (call $begin-all)
      (block $done (loop $more
        (br_if $done (i32.eqz (global.get $left)))
        (call $told (call $wait (global.get $set) (i32.const 2048))
          (i32.load (i32.const 2048)) (i32.load (i32.const 2052)))
        (br $more)))
      (call $return (global.get $order)))
    (func (export "polls")
      (call $begin-all)
      (block $done (loop $more
        (br_if $done (i32.eqz (global.get $left)))
        (drop (call $yield))
        (call $told (call $poll (global.get $set) (i32.const 2048))
          (i32.load (i32.const 2048)) (i32.load (i32.const 2052)))
        (br $more)))
      (call $return (global.get $order)))
    (func $answer (result i32)
      (if (global.get $left)
        (then (return (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))))
      (call $return (global.get $order))
      (i32.const 0))
    (func (export "calls-back") (result i32) (call $begin-all) (call $answer))
    (func (export "back") (param i32 i32 i32) (result i32)
      (call $told (local.get 0) (local.get 1) (local.get 2)) (call $answer))
    (func (export "cancels") (local $status i32) (local $handle i32)
      (local.set $status (call $never (i32.const 512)))
      (local.set $handle (i32.shr_u (local.get $status) (i32.const 4)))
      (local.set $status (i32.add (i32.mul (i32.and (local.get $status) (i32.const 15)) (i32.const 10))
        (call $cancel (local.get $handle))))
      (call $drop (local.get $handle))
      (call $return (local.get $status))))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m"))
    (export "late" (func $late')) (export "never" (func $never')) (export "set-new" (func $set-new))
    (export "join" (func $join)) (export "wait" (func $wait)) (export "poll" (func $poll))
    (export "yield" (func $yield)) (export "drop" (func $drop)) (export "cancel" (func $cancel))
    (export "return" (func $return))))))
  (func (export "waits") async (result u32) (canon lift (core func $i "waits") async))
  (func (export "polls") async (result u32) (canon lift (core func $i "polls") async))
  (func (export "cancels") async (result u32) (canon lift (core func $i "cancels") async))
  (func (export "calls-back") async (result u32)
    (canon lift (core func $i "calls-back") async (callback (core func $i "back")))))
"""
EXPECTED = {"waits": 1479, "calls-back": 1479, "cancels": 14, "polls": 1479}


@pytest.mark.parametrize("name", EXPECTED)
def test_calls_of_the_host(name: str) -> None:
    hosts = ("func late", "func never")
    assert both(HOST, PROGRAM, hosts, (name,), (name,), targets=TARGETS) == [EXPECTED[name]] * 2
