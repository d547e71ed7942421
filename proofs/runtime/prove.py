"""Proves the runtime, refutes its mutants: `python -m proofs.runtime.prove`, a part of `make prove`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import cache

import meld.rewriting.handles as tables
from proofs.runtime import (
    blocking,
    channels,
    ends,
    handles,
    heap,
    heap_world,
    inlining,
    stubs,
    subtasks,
    tasks,
    threads,
    waitables,
    worlds,
)
from proofs.runtime.check import Figures, Program, Scenario, prove, read
from proofs.runtime.mutants import EQUIVALENT, WRONG, Mutant, mutated, refute
from proofs.runtime.program import build, build_stubs, build_tasks

INSTANCES, ELEMENTS = 2, ["u8", "none"]
PROGRAMS = ("channels", "stubs", "tasks", "blocking", "threads")


FEW = 64
"""Entries of a table in programs that counter-examples run in."""


def build_program(name: str) -> Program:
    """Two instances with streams and futures of bytes, and of nothing; or two instances, tasks, and the scheduler."""
    if name in ("tasks", "blocking", "threads"):
        return read(build_tasks(tasks.MOST_TASKS, hooked=name == "blocking", threaded=name == "threads")[0])
    if name == "stubs":
        return read(build_stubs(stubs.SIZES)[0])
    return read(build(INSTANCES, ELEMENTS, pages=2, watched=True, told=True))


def build_small(name: str) -> Program:
    """The same with tables of a few entries, so that one that is full can be had."""
    space, fewest = tables.TABLE_SPACE, tables.FEWEST_ENTRIES
    tables.TABLE_SPACE, tables.FEWEST_ENTRIES = 1 << 10, FEW
    try:
        return build_program(name)
    finally:
        tables.TABLE_SPACE, tables.FEWEST_ENTRIES = space, fewest


original = cache(build_program)
small = cache(build_small)


def scenarios(limit: int | None = None) -> Iterator[Scenario]:
    """All that is proved, of programs whose tables have so many entries at most, or what is usual."""
    for part in (heap, handles, waitables, channels, ends, stubs):
        yield from part.scenarios(limit or tables.limit_of(INSTANCES, tables.CHANNEL_BYTES))
    for part in (tasks, subtasks, blocking, threads):
        yield from part.scenarios(limit or tables.limit_of(INSTANCES))


def is_proved(mutant: Mutant) -> bool:
    """Whether everything holds for a mutant that changes nothing."""
    with mutated(mutant):
        changed = {name: build_small(name) for name in PROGRAMS}
    figures = Figures()
    for scenario in scenarios(FEW):
        if mutant.reaches(original(scenario.program), scenario):
            prove(changed[scenario.program], scenario, figures)
    return not figures.failed


def main() -> int:
    """Proves all scenarios, and says what that took."""
    status, start, figures = 0, time.process_time(), Figures()
    for scenario in scenarios():
        before = figures.paths, figures.obligations
        began = time.process_time()
        prove(original(scenario.program), scenario, figures)
        paths, obligations = figures.paths - before[0], figures.obligations - before[1]
        took = time.process_time() - began
        print(f"{scenario.name}: {paths} paths, {obligations} obligations, {took:.1f} s", flush=True)
    for name in figures.failed:
        print(f"  fails: {name}")
        status = 1
    took = time.process_time() - start
    print(f"the runtime: {figures.paths} paths, {figures.obligations} obligations, {took:.1f} s", flush=True)
    every, refuted = list(scenarios(FEW)), 0
    for mutant in WRONG:
        try:
            refute(mutant, build_small, every, small)
            refuted += 1
        except AssertionError as error:
            print(f"  not refuted: {error}", flush=True)
            status = 1
    for mutant in EQUIVALENT:
        if not is_proved(mutant):
            print(f"  not proved: {mutant.name}")
            status = 1
    took = time.process_time() - start
    print(
        f"{refuted} mutants of the runtime refuted, {len(EQUIVALENT)} equivalent ones, {took:.1f} s in all", flush=True
    )
    status |= inlining.main()
    heap_world.main()
    worlds.main()
    return status


if __name__ == "__main__":
    sys.exit(main())
