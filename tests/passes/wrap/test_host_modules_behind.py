"""Core modules that the host provides, and that import from the program: the engine, unfused and fused."""

from __future__ import annotations

from pathlib import Path

import wasmtime
from both import unfused
from worlds import inside, same_world
from wrapped import tool

NUMBERS = """(module
  (import "" "one" (global $one i32)) (import "" "big" (global $big i64)) (import "" "half" (global $half f64))
  (memory (export "memory") 1)
  (global (export "sum") i32 (global.get $one))
  (func $start (i64.store (i32.const 0) (global.get $big)) (f64.store (i32.const 8) (global.get $half)))
  (start $start))"""
FIRST = """(module
  (import "p" "memory" (memory 1)) (import "p" "table" (table 4 funcref)) (import "p" "n" (global $n (mut i32)))
  (import "p" "tag" (tag $tag (param i32))) (import "p" "twice" (func $twice (param i32) (result i32)))
  (import "p" "log" (func $log (param i32 i32)))
  (type $f (func (result i32)))
  (memory $own (export "own") 1)
  (data (i32.const 16) "HH") (elem (i32.const 2) func $seven)
  (func $seven (result i32) (i32.add (i32.const 7) (call_indirect (type $f) (i32.const 1))))
  (func (export "get") (param i32) (result i32) (call $twice (i32.load8_u (local.get 0))))
  (func (export "throw") (param i32) (throw $tag (local.get 0)))
  (func (export "wide") (param i64 f32 v128) (result i64 f64)
    (local.get 0) (f64.add (f64.promote_f32 (local.get 1)) (f64x2.extract_lane 1 (local.get 2))))
  (func $start
    (call $log (i32.const 16) (i32.const 4))
    (global.set $n (i32.add (call $twice (global.get $n)) (call_indirect (type $f) (i32.const 1))))
    (i32.store8 $own (i32.const 3) (i32.load8_u 0 (i32.const 16))))
  (start $start))"""
SECOND = """(module
  (import "first" "own" (memory 1)) (import "first" "get" (func $get (param i32) (result i32)))
  (import "q" "after" (func $after (param i32) (result i32)))
  (func $start (i32.store8 (i32.const 4) (call $after (call $get (i32.const 17)))))
  (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (start $start))"""
FIRST_TYPE = """
    (import "p" "memory" (memory 1)) (import "p" "table" (table 4 funcref)) (import "p" "n" (global (mut i32)))
    (import "p" "tag" (tag (param i32))) (import "p" "twice" (func (param i32) (result i32)))
    (import "p" "log" (func (param i32 i32)))
    (export "own" (memory 1)) (export "get" (func (param i32) (result i32))) (export "throw" (func (param i32)))
    (export "wide" (func (param i64 f32 v128) (result i64 f64)))"""
PROGRAM = f"""(component
  (import "numbers" (core module $numbers
    (import "" "one" (global i32)) (import "" "big" (global i64)) (import "" "half" (global f64))
    (export "memory" (memory 1)) (export "sum" (global i32))))
  (import "first" (core module $first {FIRST_TYPE}))
  (import "second" (core module $second
    (import "first" "own" (memory 1)) (import "first" "get" (func (param i32) (result i32)))
    (import "q" "after" (func (param i32) (result i32))) (export "peek" (func (param i32) (result i32)))))
  (import "log" (func $log (param "s" string)))
  (component $Twice
    (core module $m (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))
    (core instance $m (instantiate $m))
    (func (export "twice") (param "x" u32) (result u32) (canon lift (core func $m "twice"))))
  (instance $twice (instantiate $Twice))

  (core module $constants
    (global (export "one") i32 (i32.const 1)) (global (export "big") i64 (i64.const 0x1_0000_0002))
    (global (export "half") f64 (f64.const 0.5)))
  (core instance $constants (instantiate $constants))
  (core instance $numbers (instantiate $numbers (with "" (instance $constants))))

  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $log' (canon lower (func $log) (memory (core memory $memory "memory"))))
  (core func $twice' (canon lower (func $twice "twice")))
  (core module $p
    (import "m" "memory" (memory 1)) (import "m" "log" (func $log (param i32 i32)))
    (import "numbers" "memory" (memory $numbers 1)) (import "numbers" "sum" (global $sum i32))
    (table (export "table") 4 funcref) (global $n (export "n") (mut i32) (i32.const 20))
    (tag (export "tag") (param i32))
    (data (i32.const 16) "ppqq") (elem (i32.const 1) func $hundred)
    (func $hundred (result i32) (i32.const 100))
    (func $start (global.set $n (i32.add (global.get $n) (i32.const 1))) (call $log (i32.const 16) (i32.const 3)))
    (func (export "numbers") (result i32)
      (i32.add (global.get $sum) (i32.wrap_i64 (i64.shr_u (i64.load $numbers (i32.const 0)) (i64.const 32)))))
    (start $start))
  (core instance $p (instantiate $p
    (with "m" (instance (export "memory" (memory $memory "memory")) (export "log" (func $log'))))
    (with "numbers" (instance $numbers))))
  (core instance $first (instantiate $first (with "p" (instance
    (export "memory" (memory $memory "memory")) (export "table" (table $p "table"))
    (export "n" (global $p "n")) (export "tag" (tag $p "tag"))
    (export "twice" (func $twice')) (export "log" (func $log'))))))

  (core module $q
    (import "m" "memory" (memory 1)) (import "p" "table" (table 4 funcref)) (import "p" "n" (global $n (mut i32)))
    (import "p" "tag" (tag $tag (param i32)))
    (import "first" "get" (func $get (param i32) (result i32))) (import "first" "throw" (func $throw (param i32)))
    (import "first" "wide" (func $wide (param i64 f32 v128) (result i64 f64)))
    (type $f (func (result i32)))
    (data (i32.const 17) "z") (elem (i32.const 3) func $nine)
    (global $seen (mut i32) (i32.const 0))
    (func $nine (result i32) (i32.const 9))
    (func $start
      (global.set $seen (i32.add (call $get (i32.const 16)) (call_indirect (type $f) (i32.const 2)))))
    (func (export "after") (param i32) (result i32) (i32.add (local.get 0) (global.get $n)))
    (func (export "seen") (result i32) (global.get $seen))
    (func (export "n") (result i32) (global.get $n))
    (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "call") (param i32) (result i32) (call_indirect (type $f) (local.get 0)))
    (func (export "catch") (param i32) (result i32)
      (block $b (result i32) (try_table (catch $tag $b) (call $throw (local.get 0))) unreachable))
    (func (export "wide") (result f64) (local $d f64)
      (call $wide (i64.const 5) (f32.const 1.5) (v128.const f64x2 1 2))
      (local.set $d) (f64.convert_i64_s) (f64.add (local.get $d)))
    (start $start))
  (core instance $q (instantiate $q
    (with "m" (instance $memory)) (with "p" (instance $p)) (with "first" (instance $first))))
  (core instance $second (instantiate $second (with "first" (instance $first)) (with "q" (instance $q))))
  (func (export "numbers") (result u32) (canon lift (core func $p "numbers")))
  (func (export "seen") (result u32) (canon lift (core func $q "seen")))
  (func (export "n") (result u32) (canon lift (core func $q "n")))
  (func (export "at") (param "i" u32) (result u32) (canon lift (core func $q "at")))
  (func (export "call") (param "i" u32) (result u32) (canon lift (core func $q "call")))
  (func (export "catch") (param "i" u32) (result u32) (canon lift (core func $q "catch")))
  (func (export "wide") (result f64) (canon lift (core func $q "wide")))
  (func (export "peek") (param "i" u32) (result u32) (canon lift (core func $second "peek"))))
"""
AROUND = """(component
  (component $P {program})
  (core module $numbers {numbers})
  (core module $first {first})
  (core module $second {second})
  (component $L
    (core module $m (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
      (func (export "log") (param i32 i32)
        (if (i32.ne (local.get 1) (i32.const 3))
          (then (if (i32.ne (local.get 1) (i32.const 4)) (then unreachable))))
        (global.set $n (i32.add (i32.mul (global.get $n) (i32.const 3)) (i32.load (local.get 0)))))
      (func (export "logged") (result i32) (global.get $n)))
    (core instance $m (instantiate $m))
    (func (export "log") (param "s" string)
      (canon lift (core func $m "log") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
    (func (export "logged") (result u32) (canon lift (core func $m "logged"))))
  (instance $l (instantiate $L))
  (instance $p (instantiate $P (with "numbers" (core module $numbers)) (with "first" (core module $first))
    (with "second" (core module $second)) (with "log" (func $l "log"))))
  (export "logged" (func $l "logged"))
  {exports})
"""
EXPORTS = ("numbers", "seen", "n", "at", "call", "catch", "wide", "peek")
CALLS = (
    ("logged",), ("numbers",), ("seen",), ("n",), ("at", 16), ("at", 17), ("at", 18), ("call", 1), ("call", 2),
    ("call", 3), ("catch", 77), ("wide",), ("peek", 3), ("peek", 4), ("call", 0),
)  # fmt: skip


def test_modules_behind_the_program(tmp_path: Path) -> None:
    """One in front, given constants; two behind that take memory, table, global, tag and functions; starts in order."""
    made = same_world(PROGRAM, tmp_path)
    modules = {"numbers": NUMBERS, "first": FIRST, "second": SECOND}
    bodies = {name: inside(text, "(module") for name, text in modules.items()}
    exports = " ".join(f'(export "{name}" (func $p "{name}"))' for name in EXPORTS)
    answers = []
    for program in (PROGRAM, tool("print", made)):
        text = AROUND.format(program=inside(program), exports=exports, **bodies)
        answers.append(unfused(bytes(wasmtime.wat2wasm(text)), CALLS))
    assert answers[0] == answers[1]
    h, p, z, q, n = ord("H"), ord("p"), ord("z"), ord("q"), 2 * 21 + 100
    logged = int.from_bytes(b"ppq\0", "little") * 3 + int.from_bytes(b"HHqq", "little")
    assert answers[0][:-1] == [
        logged & 0xFFFF_FFFF, 2, 2 * h + 107, n, h, z, q, 100, 107, 9, 77, 8.5, h, (2 * z + n) & 0xFF
    ]  # fmt: skip
    assert p and "uninitialized element" in str(answers[0][-1])
