"""One write and one read through the bridge, against two bare copies and against streams of a host in Python."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from measure import MISSING, NONE, Row, show_rows
from running import fused_by_rival, interleaved, times, with_driver

import meld
from meld.runtime.host import Host
from meld.runtime.instantiate import instantiate
from meld.text.reading.program import parse_module

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
  (import "program" "write" (func $write (param i32 i32) (result i32)))
  (import "program" "read" (func $read (param i32 i32) (result i32)))
  (func (export "pump") (param $readable i32) (param $writable i32) (param $size i32) (param $rounds i32)
    (loop $next
      (drop (call $write (local.get $writable) (local.get $size)))
      (drop (call $read (local.get $readable) (local.get $size)))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $next (local.get $rounds)))))
"""

FLOOR = """
(module
  (memory $a 1) (memory $b 2 2) (memory $c 1)
  (func (export "new") (result i64) (i64.const 0))
  (func (export "write") (param i32 i32) (result i32)
    (memory.copy $b $a (i32.const 65536) (i32.const 0) (local.get 1))
    (local.get 1))
  (func (export "read") (param i32 i32) (result i32)
    (memory.copy $c $b (i32.const 0) (i32.const 65536) (local.get 1))
    (local.get 1)))
"""

# The same copies where a shim stands, one call further in: what a shim would take that checks nothing.
FLOOR_OF_SHIMS = """
(module
  (memory $a 1) (memory $b 2 2) (memory $c 1)
  (func (export "new") (result i64) (i64.const 0))
  (func $write (param i32 i32 i32 i32) (result i32)
    (memory.copy $b $a (i32.const 65536) (local.get 1) (local.get 2))
    (local.get 2))
  (func $read (param i32 i32 i32 i32) (result i32)
    (memory.copy $c $b (local.get 1) (i32.const 65536) (local.get 2))
    (local.get 2))
  (func (export "write") (param i32 i32) (result i32)
    (call $write (local.get 0) (i32.const 0) (local.get 1) (i32.const 0)))
  (func (export "read") (param i32 i32) (result i32)
    (call $read (local.get 0) (i32.const 0) (local.get 1) (i32.const 0))))
"""

SIZES = (1, 4, 16, 32, 64, 256, 1024, 4096)
TARGETS = {16: "≤ 0.75 × rival", 4096: "≥ 0.95 of the floor; ≥ 300 × host"}


def pumping(module: meld.Module) -> Callable[[int], Callable[[int], object]]:
    """For a size: runs so many rounds of so many bytes through a new stream, from the start of its ring."""
    running = instantiate(with_driver(module, PUMP), Host())

    def through(size: int) -> Callable[[int], object]:
        pair = running.call("new")
        readable, writable = pair & 0xFFFF_FFFF, pair >> 32 & 0xFFFF_FFFF
        return lambda rounds: running.call("pump", readable, writable, size, rounds)

    return through


def programs(directory: Path) -> dict[str, Callable[[int], Callable[[int], object]]]:
    """What is compared; the rival may be missing."""
    texts, binaries = [], []
    for name, text in zip(("producer", "consumer"), PARTIES, strict=True):
        texts.append(directory / f"{name}.wat")
        texts[-1].write_text(text)
        binaries.append(directory / f"{name}.wasm")
        binaries[-1].write_bytes(meld.encode(meld.compile(texts[-1], passes="")))
    found = {"ours": meld.compile(texts), "floor": parse_module(FLOOR, "floor")}
    found["shims"] = parse_module(FLOOR_OF_SHIMS, "shims")
    theirs = fused_by_rival(binaries, directory / "rival.wasm")
    if theirs is not None:
        found["rival"] = theirs
    found["host"] = meld.compile(texts, stop_after="merge")
    return {name: pumping(module) for name, module in found.items()}


def rows() -> list[Row]:
    """One write and one read of a stream, by size."""
    with tempfile.TemporaryDirectory() as directory:
        pumps = programs(Path(directory))
    found = []
    for size in SIZES:
        through = {name: pump(size) for name, pump in pumps.items()}
        rounds = dict.fromkeys(through, 20_000 if size <= 256 else 5_000)
        host = interleaved({"host": through.pop("host")}, {"host": 20}, turns=20)["host"]
        taken = interleaved(through, rounds)
        ours, floor, rival = (taken.get(name) for name in ("ours", "floor", "rival"))
        assert ours is not None
        shims = f"shims without checks {times(floor, taken['shims']):.2f}"
        reached = f"{times(floor, ours):.2f} of the floor ({shims}); {host.median / ours.median:,.0f} × host"
        if rival is not None:
            reached = f"{times(ours, rival):.2f} × rival; {reached}; the rival {times(floor, rival):.2f}"
        found.append(
            Row(
                f"bridge, {size} B write+read",
                ours,
                rival or MISSING,
                host,
                floor or NONE,
                TARGETS.get(size, ""),
                reached,
            )
        )
    return found


if __name__ == "__main__":
    show_rows("Streams; unfused: a host in Python; floor: two bare copies", rows())
