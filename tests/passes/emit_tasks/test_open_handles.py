"""Streams of handles whose other end the host has: they are carried over once they have gone over, and not before."""

from __future__ import annotations

import pytest
from both import unfused
from hosted import TARGETS, both, composed, product
from open_guests import HELPERS, LIBC, builtins, imports

THINGS = """(type $s (stream (own $thing))) (type $f (future u32))"""

HOST = f"""(component {LIBC}
  (core module $d (global $dropped (mut i32) (i32.const 0))
    (func (export "drop") (param i32) (global.set $dropped (i32.add (global.get $dropped) (local.get 0))))
    (func (export "same") (param i32) (result i32) (local.get 0))
    (func (export "dropped") (result i32) (global.get $dropped)))
  (core instance $d (instantiate $d))
  (type $t (resource (rep i32) (dtor (core func $d "drop"))))
  (export $thing "thing" (type $t))
  {builtins("async", reads="s", writes="sf").replace("(type $s (stream u8)) (type $f (future u32))", THINGS)}
  (core func $new (canon resource.new $thing)) (core func $rep (canon resource.rep $thing))
  (core func $drop (canon resource.drop $thing))
  (core func $return-future (canon task.return (result $f)))
  (core func $return-stream (canon task.return (result $s)))
  (core module $m
    {imports(reads="s", writes="sf")}
    (import "c2" "return-future" (func $return-future (param i32)))
    (import "c2" "return-stream" (func $return-stream (param i32)))
    (import "c2" "new" (func $new (param i32) (result i32)))
    (import "c2" "rep" (func $rep (param i32) (result i32)))
    (import "c2" "drop" (func $drop (param i32)))
    {HELPERS}
    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
    ;; reads some things, two at a time, and gives the sum of what they stand for; the rest is not read
    (func (export "sink") (param $data i32) (param $some i32) (local $ends i64) (local $sum i32) (local $result i32)
      (local $n i32) (local $at i32)
      (local.set $ends (call $f-new))
      (call $return-future (i32.wrap_i64 (local.get $ends)))
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $some)))
        (local.set $result (call $awaited (local.get $data)
          (call $s-read (local.get $data) (i32.const 128)
            (select (local.get $some) (i32.const 2) (i32.lt_u (local.get $some) (i32.const 2))))))
        (local.set $n (i32.shr_u (local.get $result) (i32.const 4)))
        (local.set $some (i32.sub (local.get $some) (local.get $n)))
        (local.set $at (i32.const 128))
        (block $read (loop $each
          (br_if $read (i32.eqz (local.get $n)))
          (local.set $sum (i32.add (local.get $sum) (call $rep (i32.load (local.get $at)))))
          (call $drop (i32.load (local.get $at)))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $each)))
        (br_if $more (i32.eqz (i32.and (local.get $result) (i32.const 15))))))
      (call $s-drop-readable (local.get $data))
      (i32.store (i32.const 64) (local.get $sum))
      (drop (call $awaited (call $high (local.get $ends))
        (call $f-write (call $high (local.get $ends)) (i32.const 64))))
      (call $f-drop-writable (call $high (local.get $ends))))
    (func (export "source") (param $n i32) (local $ends i64) (local $to i32) (local $result i32)
      (local.set $ends (call $s-new))
      (local.set $to (call $high (local.get $ends)))
      (call $return-stream (i32.wrap_i64 (local.get $ends)))
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $n)))
        (i32.store (i32.const 256) (call $new (local.get $n)))
        (local.set $result (call $awaited (local.get $to)
          (call $s-write (local.get $to) (i32.const 256) (i32.const 1))))
        ;; what has not gone over is still its own
        (if (i32.eq (local.get $result) (i32.const 1)) (then (call $drop (i32.load (i32.const 256)))))
        (br_if $done (i32.and (local.get $result) (i32.const 15)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $more)))
      (call $s-drop-writable (local.get $to))))
  (core instance $c2 (export "return-future" (func $return-future)) (export "return-stream" (func $return-stream))
    (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop)))
  (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance $c2))))
  (func (export "make") (param "n" u32) (result (own $thing)) (canon lift (core func $i "make")))
  (func (export "value") (param "x" (borrow $thing)) (result u32) (canon lift (core func $d "same")))
  (func (export "dropped") (result u32) (canon lift (core func $d "dropped")))
  (func (export "hold") (param "data" $s) (result u32) (canon lift (core func $d "same")))
  (func (export "sink") async (param "data" $s) (param "some" u32) (result $f)
    (canon lift (core func $i "sink") async))
  (func (export "source") async (param "n" u32) (result $s) (canon lift (core func $i "source") async)))
"""


def program(option: str) -> str:
    return f"""(component
  (import "thing" (type $thing (sub resource)))
  (import "make" (func $make (param "n" u32) (result (own $thing))))
  (import "value" (func $value (param "x" (borrow $thing)) (result u32)))
  (import "dropped" (func $dropped (result u32)))
  (import "sink" (func $sink async (param "data" (stream (own $thing))) (param "some" u32) (result (future u32))))
  (import "source" (func $source async (param "n" u32) (result (stream (own $thing)))))
  (import "hold" (func $hold (param "data" (stream (own $thing))) (result u32)))
  {LIBC}
  {builtins(option, reads="sf", writes="s").replace("(type $s (stream u8)) (type $f (future u32))", THINGS)}
  (core func $make' (canon lower (func $make))) (core func $value' (canon lower (func $value)))
  (core func $dropped' (canon lower (func $dropped)))
  (core func $hold' (canon lower (func $hold)))
  (core func $sink' (canon lower (func $sink))) (core func $source' (canon lower (func $source)))
  (core func $drop (canon resource.drop $thing))
  (core func $return (canon task.return (result u32)))
  (core module $m
    {imports(reads="sf", writes="s")}
    (import "c2" "make" (func $make (param i32) (result i32)))
    (import "c2" "value" (func $value (param i32) (result i32)))
    (import "c2" "dropped" (func $dropped (result i32)))
    (import "c2" "sink" (func $sink (param i32 i32) (result i32)))
    (import "c2" "source" (func $source (param i32) (result i32)))
    (import "c2" "hold" (func $hold (param i32) (result i32)))
    (import "c2" "drop" (func $drop (param i32)))
    (import "c2" "return" (func $return (param i32)))
    {HELPERS}
    ;; the values of n things from an address on, which are dropped
    (func $values (param $at i32) (param $n i32) (result i32) (local $sum i32)
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $sum (i32.add (local.get $sum) (call $value (i32.load (local.get $at)))))
        (call $drop (i32.load (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $more)))
      (local.get $sum))
    (func (export "read") (param $n i32) (local $data i32) (local $sum i32) (local $result i32)
      (local.set $data (call $source (local.get $n)))
      (loop $more
        (local.set $result (call $awaited (local.get $data)
          (call $s-read (local.get $data) (i32.const 128) (i32.const 3))))
        (local.set $sum (i32.add (local.get $sum)
          (call $values (i32.const 128) (i32.shr_u (local.get $result) (i32.const 4)))))
        (br_if $more (i32.eqz (i32.and (local.get $result) (i32.const 15)))))
      (call $s-drop-readable (local.get $data))
      (call $return (i32.add (i32.mul (local.get $sum) (i32.const 1000)) (call $dropped))))
    ;; reads one thing of n; the next one is offered when the stream is dropped
    (func (export "read-one") (param $n i32) (local $data i32)
      (local.set $data (call $source (local.get $n)))
      (drop (call $awaited (local.get $data) (call $s-read (local.get $data) (i32.const 128) (i32.const 1))))
      (drop (call $awaited (local.get $data) (call $s-read (local.get $data) (i32.const 128) (i32.const 0))))
      (call $s-drop-readable (local.get $data))
      (call $return (call $values (i32.const 128) (i32.const 1))))
    ;; a thing is no waitable, also while it is being written
    (func (export "join") (param $n i32) (local $ends i64)
      (local.set $ends (call $s-new))
      (drop (call $hold (i32.wrap_i64 (local.get $ends))))
      (i32.store (i32.const 256) (call $make (local.get $n)))
      (drop (call $s-write (call $high (local.get $ends)) (i32.const 256) (i32.const 1)))
      (call $join (i32.load (i32.const 256)) (call $set-new))
      (call $return (i32.const 0)))
    ;; writes 5 things, 1 to 5, all at once, of which the host reads some; those that are left still have their values
    (func (export "write") (param $some i32) (local $ends i64) (local $future i32) (local $to i32) (local $n i32)
      (local $result i32) (local $gone i32)
      (local.set $ends (call $s-new))
      (local.set $to (call $high (local.get $ends)))
      (local.set $future (call $sink (i32.wrap_i64 (local.get $ends)) (local.get $some)))
      (loop $more
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (i32.store offset=256 (i32.mul (local.get $n) (i32.const 4)) (call $make (local.get $n)))
        (br_if $more (i32.lt_u (local.get $n) (i32.const 5))))
      (block $done (loop $more
        (br_if $done (i32.eq (local.get $gone) (i32.const 5)))
        (local.set $result (call $awaited (local.get $to)
          (call $s-write (local.get $to)
            (i32.add (i32.const 260) (i32.mul (local.get $gone) (i32.const 4)))
            (i32.sub (i32.const 5) (local.get $gone)))))
        (local.set $gone (i32.add (local.get $gone) (i32.shr_u (local.get $result) (i32.const 4))))
        (br_if $more (i32.eqz (i32.and (local.get $result) (i32.const 15))))))
      (call $s-drop-writable (local.get $to))
      (drop (call $awaited (local.get $future) (call $f-read (local.get $future) (i32.const 96))))
      (call $f-drop-readable (local.get $future))
      (call $return
        (i32.add
          (i32.mul (i32.load (i32.const 96)) (i32.const 1000))
          (call $values
            (i32.add (i32.const 260) (i32.mul (local.get $gone) (i32.const 4)))
            (i32.sub (i32.const 5) (local.get $gone)))))))
  (core instance $c2 (export "make" (func $make')) (export "value" (func $value')) (export "dropped" (func $dropped'))
    (export "sink" (func $sink')) (export "source" (func $source')) (export "drop" (func $drop))
    (export "return" (func $return)) (export "hold" (func $hold')))
  (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance $c2))))
  (func (export "read") async (param "n" u32) (result u32) (canon lift (core func $i "read") async))
  (func (export "read-one") async (param "n" u32) (result u32) (canon lift (core func $i "read-one") async))
  (func (export "join") async (param "n" u32) (result u32) (canon lift (core func $i "join") async))
  (func (export "write") async (param "some" u32) (result u32) (canon lift (core func $i "write") async)))
"""


HOSTS = ("type thing", "func make", "func value", "func dropped", "func sink", "func source", "func hold")


CALLS = (("read", 4), ("write", 3), ("write", 5), ("write", 0), ("read", 0), ("read-one", 8), ("read", 0))
ANSWERS = [10010, 6009, 15000, 15, 55, 8, 70]


@pytest.mark.parametrize("option", ["", "async"])
def test_handles(option: str) -> None:
    assert both(HOST, program(option), HOSTS, *CALLS, targets=TARGETS) == ANSWERS


def test_resources_of_the_program() -> None:
    """The other way around: those whose type the program exports."""
    made = composed(product(HOST), program("async"), HOSTS, ("func read", "func read-one", "func write"))
    assert unfused(made, CALLS) == ANSWERS


def test_what_is_written_is_no_waitable() -> None:
    calls = (("join", 3),)
    assert both(HOST, program("async"), HOSTS, *calls, targets=TARGETS) == ["trap: handle is not a waitable"]
