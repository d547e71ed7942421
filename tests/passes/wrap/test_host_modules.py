"""`--emit=component` where core modules that the host provides are instantiated: the engine, unfused and fused."""

from __future__ import annotations

from pathlib import Path

import wasmtime
from both import unfused
from worlds import inside, same_world
from wrapped import tool

LIBC = """(module
  (memory (export "memory") 1) (global $n (export "n") (mut i32) (i32.const 1024))
  (global (export "seven") i32 (i32.const 7))
  (table (export "table") 2 funcref) (tag (export "tag") (param i32))
  (func (export "realloc") (param i32 i32 i32 i32) (result i32)
    (global.get $n) (global.set $n (i32.add (global.get $n) (i32.const 64)))))"""
SECOND = """(module (import "libc" "memory" (memory 1)) (import "libc" "n" (global $n (mut i32)))
  (data (i32.const 0) "\\2a")
  (func $start (i32.store8 (i32.const 1) (i32.const 9)) (global.set $n (i32.const 2048)))
  (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (start $start))"""
PROGRAM = """(component
  (import "host" (instance $host (export "libc" (core module
    (export "memory" (memory 1)) (export "n" (global (mut i32))) (export "seven" (global i32))
    (export "table" (table 2 funcref)) (export "tag" (tag (param i32)))
    (export "realloc" (func (param i32 i32 i32 i32) (result i32)))))))
  (import "second" (core module $second
    (import "libc" "n" (global (mut i32))) (import "libc" "memory" (memory 1))
    (export "get" (func (param i32) (result i32)))))
  (import "log" (func $log (param "s" string)))
  (component $A
    (import "second" (core module $second
      (import "libc" "n" (global (mut i32))) (import "libc" "memory" (memory 1))
      (export "get" (func (param i32) (result i32)))))
    (import "libc" (core module $libc
      (export "memory" (memory 1)) (export "n" (global (mut i32))) (export "seven" (global i32))
      (export "table" (table 2 funcref)) (export "tag" (tag (param i32)))
      (export "realloc" (func (param i32 i32 i32 i32) (result i32)))))
    (import "log" (func $log (param "s" string)))
    (core instance $libc (instantiate $libc))
    (core instance $second (instantiate $second (with "libc" (instance $libc))))
    (core func $log' (canon lower (func $log)
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core module $m
      (import "libc" "memory" (memory 1)) (import "libc" "seven" (global $seven i32))
      (import "libc" "table" (table 2 funcref)) (import "libc" "tag" (tag $t (param i32)))
      (import "second" "get" (func $get (param i32) (result i32)))
      (import "" "log" (func $log (param i32 i32)))
      (type $f (func (result i32)))
      (elem (i32.const 1) func $nine)
      (func $nine (result i32) (i32.load8_u (i32.const 1)))
      (func (export "len") (param i32 i32) (result i32)
        (call $log (local.get 0) (local.get 1))
        (block $b (result i32) (try_table (catch $t $b) (throw $t (local.get 1))) unreachable))
      (func (export "run") (result i32)
        (i32.add (call $get (i32.const 0)) (i32.add (global.get $seven) (call_indirect (type $f) (i32.const 1))))))
    (core instance $m (instantiate $m (with "libc" (instance $libc)) (with "second" (instance $second))
      (with "" (instance (export "log" (func $log'))))))
    (func (export "len") (param "s" string) (result u32)
      (canon lift (core func $m "len") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (func (export "run") (result u32) (canon lift (core func $m "run"))))
  (alias export $host "libc" (core module $libc))
  (instance $a (instantiate $A (with "second" (core module $second)) (with "libc" (core module $libc))
    (with "log" (func $log))))
  (instance $b (instantiate $A (with "second" (core module $second)) (with "libc" (core module $libc))
    (with "log" (func $log))))
  (component $C
    (import "len" (func $len (param "s" string) (result u32)))
    (core module $libc (memory (export "memory") 1) (data (i32.const 8) "hello"))
    (core instance $libc (instantiate $libc))
    (core func $len (canon lower (func $len) (memory (core memory $libc "memory"))))
    (core module $m (import "" "len" (func $len (param i32 i32) (result i32)))
      (func (export "f") (result i32) (call $len (i32.const 8) (i32.const 5))))
    (core instance $m (instantiate $m (with "" (instance (export "len" (func $len))))))
    (func (export "f") (result u32) (canon lift (core func $m "f"))))
  (instance $c (instantiate $C (with "len" (func $b "len"))))
  (export "len" (func $a "len")) (export "run" (func $b "run")) (export "f" (func $c "f")))
"""
AROUND = """(component
  (component $P {program})
  (core module $libc {libc})
  (core module $second {second})
  (component $L
    (core module $m (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
      (func (export "log") (param i32 i32)
        (if (i32.ne (i32.load8_u (local.get 0)) (i32.const 104)) (then unreachable))))
    (core instance $m (instantiate $m))
    (func (export "log") (param "s" string)
      (canon lift (core func $m "log") (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
  (instance $l (instantiate $L))
  (instance $p (instantiate $P (with "host" (instance (export "libc" (core module $libc))))
    (with "second" (core module $second)) (with "log" (func $l "log"))))
  (export "len" (func $p "len")) (export "run" (func $p "run")) (export "f" (func $p "f")))
"""


def test_host_modules(tmp_path: Path) -> None:
    """Memory, table, globals, tag and functions of the host's modules; one imports from another, and starts; twice."""
    made = same_world(PROGRAM, tmp_path)
    calls = (("len", "h\N{GREEK SMALL LETTER ALPHA}"), ("run",), ("f",), ("run",), ("len", "x"))
    libc, second = inside(LIBC, "(module"), inside(SECOND, "(module")
    answers = []
    for program in (PROGRAM, tool("print", made)):
        text = AROUND.format(program=inside(program), libc=libc, second=second)
        answers.append(unfused(bytes(wasmtime.wat2wasm(text)), calls))
    assert answers[0] == answers[1]
    assert answers[0][:4] == [3, 42 + 7 + 9, 5, 42 + 7 + 9] and "unreachable" in str(answers[0][4])
