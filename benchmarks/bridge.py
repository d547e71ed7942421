"""One write and one read through the bridge, against two bare copies and against streams of a host in Python."""

from __future__ import annotations

import tempfile
from pathlib import Path

import wasmtime
from measure import Sample, show, timed

import meld
from meld.runtime.host import Host
from meld.runtime.instantiate import Running, engine, instantiate

# The loop is in WebAssembly, so that only what it calls is timed.
PARTIES = (
    """
(component $producer
  (core module $main
    (import "pulseengine:async" "stream_new" (func $new (result i64)))
    (import "pulseengine:async" "stream_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory 1)
    (func (export "new") (result i64) (call $new))
    (func (export "write") (param i32 i32) (result i32)
      (call $write (local.get 0) (i32.const 0) (local.get 1) (i32.const 0))))
  (type $bytes (stream u8))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func (canon stream.write $bytes (memory $libc "memory")))
  (export "link" (core module $main)))
""",
    """
(component $consumer
  (core type $nothing (module))
  (import "link" (core module (type $nothing)))
  (core module $main
    (import "pulseengine:async" "stream_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory 1)
    (func (export "read") (param i32 i32) (result i32)
      (call $read (local.get 0) (i32.const 0) (local.get 1) (i32.const 0))))
  (type $bytes (stream u8))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func (canon stream.read $bytes (memory $libc "memory")))
)
""",
)

PUMP = """
(module
  (import "fused" "write" (func $write (param i32 i32) (result i32)))
  (import "fused" "read" (func $read (param i32 i32) (result i32)))
  (func (export "pump") (param $readable i32) (param $writable i32) (param $size i32) (param $rounds i32)
    (loop $next
      (drop (call $write (local.get $writable) (local.get $size)))
      (drop (call $read (local.get $readable) (local.get $size)))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $next (local.get $rounds)))))
"""

FLOOR = """
(module
  (memory $a 1) (memory $b 2) (memory $c 1)
  (func $write (param i32) (memory.copy $b $a (i32.const 65536) (i32.const 0) (local.get 0)))
  (func $read (param i32) (memory.copy $c $b (i32.const 0) (i32.const 65536) (local.get 0)))
  (func (export "pump") (param $size i32) (param $rounds i32)
    (loop $next
      (call $write (local.get $size))
      (call $read (local.get $size))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $next (local.get $rounds)))))
"""


def through(module: meld.Module, size: int, rounds: int) -> Sample:
    """Rounds through the streams of a module."""
    store = wasmtime.Store(engine())
    running: Running = instantiate(module, Host(), store=store)
    exports = running.instance.exports(store)
    given = {("fused", name): exports[name] for name in ("write", "read")}
    pump = instantiate(bytes(wasmtime.wat2wasm(PUMP)), given=given, store=store)
    pair = running.call("new")
    return timed(lambda: pump.call("pump", pair & 0xFFFF_FFFF, pair >> 32, size, rounds))


def floor(size: int, rounds: int) -> Sample:
    """Rounds of two bare copies."""
    running = instantiate(bytes(wasmtime.wat2wasm(FLOOR)))
    return timed(lambda: running.call("pump", size, rounds))


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / f"{name}.wat" for name in ("producer", "consumer")]
        for path, text in zip(paths, PARTIES, strict=True):
            path.write_text(text)
        merged, fused = meld.compile(paths, stop_after="merge"), meld.compile(paths)
    rows = []
    for size in (1, 16, 64, 256, 1024, 4096):
        rounds = 200_000 if size <= 256 else 50_000
        bare, inside = floor(size, rounds), through(fused, size, rounds)
        outside = through(merged, size, 200)
        ratio = bare.median / inside.median
        rows.append(
            (
                f"{size} B",
                inside.shown(rounds),
                bare.shown(rounds),
                f"{ratio:.2f}",
                outside.shown(200),
                f"{outside.median / 200 / (inside.median / rounds):,.0f}×",
            )
        )
    headings = ("size", "bridge", "two bare copies", "floor/bridge", "host in Python", "host/bridge")
    show("One write and one read of a stream: median (least – most)", headings, rows)


if __name__ == "__main__":
    main()
