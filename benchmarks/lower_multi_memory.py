"""What `lower-multi-memory` costs: the same programs with several memories and with one, under the engine.

Prints a table and asserts nothing. Times are the best of several runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import meld
from meld.ir.parser import parse_module
from meld.passes.base import PassContext
from meld.passes.lower_multi_memory import LowerMultiMemory
from meld.runtime.instantiate import Running, instantiate

ROOT = Path(__file__).parents[1]
RUNS = 5

LOOPS = """(module
  (memory $a 16) (memory $b 16)
  (func (export "loads") (param $n i32) (result i32) (local $sum i32)
    (loop $next
      (local.set $sum
        (i32.add (local.get $sum) (i32.load $b (i32.shl (i32.and (local.get $n) (i32.const 0x3ffff)) (i32.const 2)))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "stores") (param $n i32) (result i32)
    (loop $next
      (i32.store $b (i32.shl (i32.and (local.get $n) (i32.const 0x3ffff)) (i32.const 2)) (local.get $n))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 0))
  (func (export "copies") (param $n i32) (result i32)
    (loop $next
      (memory.copy $b $a (i32.const 64) (i32.const 4096) (i32.const 4096))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 0))
  (func (export "grows") (param $n i32) (result i32)
    (loop $next
      (drop (memory.grow $a (i32.const 1)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (memory.size $a)))"""


def best(run: Callable[[], Any]) -> float:
    """Seconds, the best of some runs."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def loops(lowered: bool) -> Running:
    """The loops, with two memories or with one."""
    module = parse_module(LOOPS, "loops.wat")
    if lowered:
        LowerMultiMemory().run(module, PassContext("benchmark"))
    return instantiate(module)


def stream(lowered: bool) -> Running:
    """The streaming example, bridged."""
    inputs = [ROOT / "examples" / "stream" / f"{name}.wat" for name in ("producer", "consumer")]
    passes = "detect-pairs,emit-bridge,rewire-calls,adapter-wiring,finish"
    return instantiate(meld.encode(meld.compile(inputs, passes=passes + ",lower-multi-memory" * lowered)))


def rounds(running: Running, n: int) -> None:
    """Sends 4096 bytes through a stream, `n` times."""
    pair = running.call("p_new")
    readable, writable = pair & 0xFFFF_FFFF, pair >> 32 & 0xFFFF_FFFF
    for _ in range(n):
        running.call("p_write", writable, 4096)
        running.call("c_read", readable, 4096)
    running.call("p_drop", writable)
    running.call("c_drop", readable)


def main() -> None:
    """Measures and prints."""
    table = Table("what", "several memories", "one memory", "factor")
    both = loops(False), loops(True)

    def row(what: str, per: int, unit: str, runs: list[Callable[[], Any]]) -> None:
        scale = {"ns": 1e9, "µs": 1e6}[unit]
        one, other = (best(run) / per * scale for run in runs)
        table.add_row(what, f"{one:.2f} {unit}", f"{other:.2f} {unit}", f"{other / one:.1f}")

    n = 5_000_000
    for name, what in (("loads", "i32.load, with its loop"), ("stores", "i32.store, with its loop")):
        row(what, n, "ns", [lambda r=r, name=name: r.call(name, n) for r in both])
    row("memory.copy of 4096 bytes", 200_000, "ns", [lambda r=r: r.call("copies", 200_000) for r in both])
    row("memory.grow, 1 MiB behind", 20, "µs", [lambda r=r: r.call("grows", 20) for r in both])
    streams = stream(False), stream(True)
    row("4096 bytes written and read by calls", 300, "µs", [lambda r=r: rounds(r, 300) for r in streams])
    Console().print(table)
    sizes = [len(meld.encode(r.module)) for r in streams]
    Console().print(f"the streaming example: {sizes[0]} bytes with several memories, {sizes[1]} with one")


if __name__ == "__main__":
    main()
