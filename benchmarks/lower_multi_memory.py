"""What `lower-multi-memory` costs: the same programs with several memories and with one, under the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from measure import ROOT, Row, Sample, show_rows
from running import interleaved, times

import meld
from meld.passes.base import PassContext
from meld.passes.fit_target import FitTarget
from meld.passes.lower_multi_memory import LowerMultiMemory
from meld.runtime.instantiate import Running, instantiate
from meld.text.reading.program import parse_module

RUNS = 15

KINDS = {"b": "of a fixed size", "c": "that grows", "a": "that comes last"}
"""The memories of the loops: the first two are checked, the last one is by the engine."""

LOOPS = """(module
  (memory $a 16) (memory $b 16) (memory $c 16)
  {accesses}
  (func (export "copies") (param $n i32) (result i32)
    (loop $next
      (memory.copy $b $a (i32.const 64) (i32.const 4096) (i32.const 4096))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 0))
  (func (export "grows") (param $n i32) (result i32)
    (loop $next
      (drop (memory.grow $a (i32.const 1)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (memory.size $a) (i32.load $a (i32.const 0))))
  (func (export "grows_c") (param $n i32) (result i32)
    (loop $next
      (drop (memory.grow $c (i32.const 1)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (memory.size $c)))"""

ACCESSES = """
  (func (export "loads_{m}") (param $n i32) (result i32) (local $sum i32)
    (loop $next
      (local.set $sum
        (i32.add (local.get $sum) (i32.load ${m} (i32.shl (i32.and (local.get $n) (i32.const 0x3ffff)) (i32.const 2)))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "stores_{m}") (param $n i32) (result i32)
    (loop $next
      (i32.store ${m} (i32.shl (i32.and (local.get $n) (i32.const 0x3ffff)) (i32.const 2)) (local.get $n))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 0))"""


def loops(lowered: bool, reserve: int = 256) -> Running:
    """The loops, with three memories or with one."""
    accesses = "".join(ACCESSES.replace("{m}", m) for m in KINDS)
    module = parse_module(LOOPS.replace("{accesses}", accesses), "loops.wat")
    if lowered:
        LowerMultiMemory(reserve=reserve).run(module, PassContext("benchmark"))
    return instantiate(module)


COPIES = """(module
  (memory 16)
  (func $f (@meld.synthetic adapter) (export "copies") (param $n i32) (result i32)
    (loop $next
      (memory.copy (i32.const 64) (i32.const 8192) (i32.const 4096))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 0)))"""


def copies(target: str) -> Running:
    """Bulk copies for a target; below `wasm2` they are loops."""
    module = parse_module(COPIES, "copies.wat")
    FitTarget(target=target).run(module, PassContext("benchmark"))
    return instantiate(module)


def stream(lowered: bool) -> Running:
    """The streaming example, bridged."""
    inputs = [ROOT / "examples" / "stream" / f"{name}.wat" for name in ("producer", "consumer")]
    passes = "detect-pairs,emit-bridge,rewire-calls,adapter-wiring,finish"
    return instantiate(meld.encode(meld.compile(inputs, passes=passes + ",lower-multi-memory" * lowered)))


def rounds(running: Running, n: int, size: int) -> None:
    """Sends so many bytes through a stream, `n` times."""
    pair = running.call("p_new")
    readable, writable = pair & 0xFFFF_FFFF, pair >> 32 & 0xFFFF_FFFF
    for _ in range(n):
        running.call("p_write", writable, size)
        running.call("c_read", readable, size)
    running.call("p_drop", writable)
    running.call("c_drop", readable)


def rows() -> list[Row]:
    """The programs with several memories are the floor."""
    both = loops(False), loops(True)
    found = []

    def row(what: str, count: int, runs: list[Callable[[int], Any]], target: str = "") -> None:
        names = ("several", "one")
        taken = interleaved(dict(zip(names, runs, strict=True)), dict.fromkeys(names, count), RUNS)
        several, one = (taken[name] for name in names)
        found.append(
            Row(
                f"one memory: {what}",
                one,
                floor=several,
                target=target,
                reached=f"{times(one, several):.1f} × the floor",
            )
        )

    n = 200_000
    for m, kind in KINDS.items():
        for op in ("load", "store"):
            calls = [lambda count, r=r, name=f"{op}s_{m}": r.call(name, count) for r in both]
            row(f"i32.{op}, with its loop, memory {kind}", n, calls, "≤ 1.6 × the floor")
    moving = both[0], loops(True, reserve=0)
    calls = [lambda count, r=r: r.call("loads_a", count) for r in moving]
    row("i32.load, with its loop, memory that moves", n, calls)
    row("memory.copy of 4096 B", 20_000, [lambda count, r=r: r.call("copies", count) for r in both])
    by_target = copies("wasm2"), copies("wasm1")
    row("a copy of 4096 B by a loop, for wasm1", 20_000, [lambda n, r=r: r.call("copies", n) for r in by_target])
    row("memory.grow", 20, [lambda count, r=r: r.call("grows", count) for r in both])
    row("memory.grow, 1 MiB behind that moves", 20, [lambda count, r=r: r.call("grows_c", count) for r in moving])
    streams = stream(False), stream(True)
    for size in (16, 4096):
        row(
            f"{size} B written and read by calls",
            100,
            [lambda count, r=r, n=size: rounds(r, count, n) for r in streams],
        )
    several, one = (Sample((len(meld.encode(r.module)) / 1e3,), unit="KB") for r in streams)
    found.append(Row("one memory: size of the streaming example", one, floor=several))
    return found


if __name__ == "__main__":
    show_rows("The same programs with one memory; floor: with several", rows())
