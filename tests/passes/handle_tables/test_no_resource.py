"""Handles of other kinds where a resource is due: the engine, unfused and fused, in the same words."""

from __future__ import annotations

import pytest
import wasmtime
from both import Fused, Unfused

PROGRAM = """(component
  (component $A
    (type $r' (resource (rep i32)))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (result i32) (call $new (i32.const 4)))
      (func (export "take") (param i32)))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "make") (result (own $r)) (canon lift (core func $i "make")))
    (func (export "take") (param "x" (own $r)) (canon lift (core func $i "take")))
    (func (export "look") (param "x" (borrow $r)) (canon lift (core func $i "take"))))
  (instance $a (instantiate $A))
  (component $B
    (import "a" (instance $a
      (export "r" (type $r (sub resource)))
      (export "make" (func (result (own $r))))
      (export "take" (func (param "x" (own $r))))
      (export "look" (func (param "x" (borrow $r))))))
    (alias export $a "r" (type $r))
    (type $mine (resource (rep i32)))
    (type $s (stream u8)) (type $f (future u8))
    (core func $make (canon lower (func $a "make")))
    (core func $take (canon lower (func $a "take")))
    (core func $look (canon lower (func $a "look")))
    (core func $drop (canon resource.drop $r))
    (core func $rep-mine (canon resource.rep $mine))
    (core func $drop-mine (canon resource.drop $mine))
    (core func $set (canon waitable-set.new))
    (core func $stream (canon stream.new $s))
    (core func $future (canon future.new $f))
    (core module $m
      (import "" "make" (func $make (result i32)))
      (import "" "take" (func $take (param i32)))
      (import "" "look" (func $look (param i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "rep-mine" (func $rep-mine (param i32) (result i32)))
      (import "" "drop-mine" (func $drop-mine (param i32)))
      (import "" "set" (func $set (result i32)))
      (import "" "stream" (func $stream (result i64)))
      (import "" "future" (func $future (result i64)))
      (func (export "g") (param $h i32) (param $how i32)
        (drop (call $set)) (drop (call $stream)) (drop (call $future)) (drop (call $make))
        (block $5 (block $4 (block $3 (block $2 (block $1
          (br_table $1 $2 $3 $4 $5 (local.get $how)))
          (call $take (local.get $h)) (return))
          (call $look (local.get $h)) (return))
          (call $drop (local.get $h)) (return))
          (call $drop-mine (local.get $h)) (return))
        (drop (call $rep-mine (local.get $h)))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make)) (export "take" (func $take)) (export "look" (func $look))
      (export "drop" (func $drop)) (export "rep-mine" (func $rep-mine)) (export "drop-mine" (func $drop-mine))
      (export "set" (func $set)) (export "stream" (func $stream)) (export "future" (func $future))))))
    (func (export "g") (param "h" u32) (param "how" u32) (canon lift (core func $i "g"))))
  (instance $b (instantiate $B (with "a" (instance $a))))
  (export "g" (func $b "g")))"""
WAYS = ("take", "look", "drop", "drop one of another type", "rep")
WRONG_TYPE = "used with the wrong type, expected guest-defined resource but found a different guest-defined resource"


@pytest.fixture(scope="module")
def sides() -> tuple[Unfused, Fused]:
    """The program under the engine's own support, and fused."""
    wasm = bytes(wasmtime.wat2wasm(PROGRAM))
    return Unfused(wasm), Fused(wasm)


@pytest.mark.parametrize("handle", range(1, 8), ids=("set", "reader", "writer", "read", "write", "resource", "none"))
def test_a_handle_where_a_resource_is_due(handle: int, sides: tuple[Unfused, Fused]) -> None:
    """`resource.rep` alone does not say which index it is."""
    for how, way in enumerate(WAYS):
        if handle == 7:
            why = "trap: unknown handle index 7"
        elif handle == 6:
            why = None if how < 3 else f"trap: handle index 6 {WRONG_TYPE}"
        else:
            why = "trap: index is not a resource" if way == "rep" else f"trap: index {handle} is not a resource"
        assert [side.answers((("g", handle, how),)) for side in sides] == [[why], [why]], way
