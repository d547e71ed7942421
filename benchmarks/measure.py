"""What the benchmarks share: repeated measurement, whole processes, and rows of the table.

Each script has a function ``rows() -> list[Row]``, which measures; run by itself it prints them.
Nothing is asserted. What is not there (the rival, a large input) is said in the row.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
FIXTURES = ROOT.parent / "shared" / "fixtures"
RIVAL = Path(os.environ.get("MELD_RIVAL", ROOT / ".bench" / "bin" / "meld"))
"""The published tool in Rust (meld-cli on PyPI), if it is installed."""
LARGE = Path(os.environ.get("MELD_INPUTS", ROOT / ".bench" / "large"))
"""Where the large inputs are (inputs.py builds them)."""

MISSING, REFUSED, NO_INPUT, NONE = "not installed", "refuses", "input is not here", ""


@dataclass(frozen=True)
class Sample:
    """Repeated measurements of one thing.

    Attributes:
        values: what was measured, in `unit`.
        per: how many operations one measurement takes together; values are shown of one.
        unit: ``s``, or what else was measured: ``MB``, ``MB/s``.
    """

    values: tuple[float, ...]
    per: int = 1
    unit: str = "s"

    @property
    def median(self) -> float:
        """The median, of one operation."""
        return statistics.median(self.values) / self.per

    @property
    def least(self) -> float:
        """The least, of one operation: what a quiet machine would show."""
        return min(self.values) / self.per

    def shown(self, per: int = 0) -> str:
        """Median, and in parentheses the least and the most, of one operation among `per`."""
        per = per or self.per
        median, low, high = (
            quantity(value / per, self.unit)
            for value in (statistics.median(self.values), min(self.values), max(self.values))
        )
        return median if low == high else f"{median} ({low} – {high})"

    def rate(self, amount: float, unit: str = "MB/s") -> Sample:
        """`amount` by time."""
        return Sample(tuple(amount * self.per / value for value in self.values), unit=unit)


Cell: TypeAlias = Sample | str
"""A measurement, or why there is none."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        work: what is done.
        ours: what it takes with meldc.
        rival: with the published tool.
        unfused: with the engine's own composition, or with a host in Python.
        floor: at the least that the machine can do.
        target: what was aimed at, in words.
        reached: the figure that the target is about.
    """

    work: str
    ours: Cell
    rival: Cell = NONE
    unfused: Cell = NONE
    floor: Cell = NONE
    target: str = ""
    reached: str = ""

    def cells(self) -> list[str]:
        """The row as text."""
        cells: list[Cell] = [self.work, self.ours, self.rival, self.unfused, self.floor, self.target, self.reached]
        return [cell if isinstance(cell, str) else cell.shown() for cell in cells]


HEADINGS = ("work", "meldc", "rival", "unfused", "floor", "target", "reached")


def ratio(a: Cell, b: Cell, places: int = 2) -> str:
    """How many times b goes into a: the median of the turns, or else by medians; nothing where one was not measured."""
    if isinstance(a, str) or isinstance(b, str):
        return ""
    if len(a.values) != len(b.values):
        return f"{a.median / b.median:.{places}f}"
    turns = statistics.median(over / under for over, under in zip(a.values, b.values, strict=True))
    return f"{turns * b.per / a.per:.{places}f}"


def quantity(value: float, unit: str) -> str:
    """A measured value for people."""
    return duration(value) if unit == "s" else f"{value:.3g} {unit}"


def duration(seconds: float) -> str:
    """Seconds for people."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def timed(run: Callable[[], object], times: int = 9, per: int = 1) -> Sample:
    """Runs something once to warm up, then several times."""
    run()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return Sample(tuple(seconds), per)


@dataclass(frozen=True)
class Process:
    """A command run as a whole process, several times: wall-clock time, the most memory that was resident, and the
    time of the processor, of all threads."""

    time: Sample
    memory: Sample
    processor: Sample


NOT_THERE = 127
LAUNCHER = f"""
import os, sys, time
quiet = os.open(os.devnull, os.O_WRONLY)
began = time.perf_counter()
try:
    child = os.posix_spawnp(
        sys.argv[1], sys.argv[1:], os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)])
except OSError:
    sys.exit({NOT_THERE})
_, status, usage = os.wait4(child, 0)
took = time.perf_counter() - began
if status:
    sys.exit(1)
print(took, usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
"""
"""Runs a command and says how long it took and how much memory it had. The system counts to a process what the one had
that made it, so the one that does is small."""


def process(
    *args: str | Path, times: int = 7, warm: bool = True, env: Mapping[str, str] | None = None
) -> Process | str:
    """A command as a whole process; why not, if it is not installed or fails.

    Args:
        times: how often it is measured.
        warm: whether it is run once before, so that files and caches are warm.
        env: what is added to the environment.
    """
    return in_turn({"it": args}, times=times, warm=warm, env=env)["it"]


def in_turn(
    commands: Mapping[str, Sequence[str | Path]],
    times: int = 7,
    warm: bool = True,
    env: Mapping[str, str] | None = None,
) -> dict[str, Process | str]:
    """Commands as whole processes, taken in turns: what disturbs the machine disturbs all alike. As `process`."""
    # as it is installed, with the bytecode of its modules beside them
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | dict(env or {})
    measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    failed: dict[str, str] = {}
    for number in range(times + warm):
        for name, words in commands.items():
            if name in failed:
                continue
            try:
                done = subprocess.run(
                    [sys.executable, "-S", "-c", LAUNCHER, *map(str, words)],
                    env=environ,
                    capture_output=True,
                    text=True,
                    check=True,
                )
            except subprocess.CalledProcessError as e:
                failed[name] = MISSING if e.returncode == NOT_THERE else REFUSED
                continue
            if number or not warm:
                took, resident, processor = done.stdout.split()
                measured[name].append((float(took), int(resident) * 1024 / 1e6, float(processor)))
    found: dict[str, Process | str] = dict(failed)
    for name, runs in measured.items():
        if name not in failed:
            seconds, memory, processor = zip(*runs, strict=True)
            found[name] = Process(Sample(seconds), Sample(memory, unit="MB"), Sample(processor))
    return found


def command(*args: str | Path, times: int = 7) -> Sample | None:
    """The time of a command as a whole process; None if it is not installed or fails."""
    found = process(*args, times=times)
    return None if isinstance(found, str) else found.time


def show(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table to standard output."""
    table = Table(*headings, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(width=160).print(table)


def show_rows(title: str, rows: Sequence[Row]) -> None:
    """Prints rows, without the columns in which nothing stands."""
    cells = [row.cells() for row in rows]
    used = [i for i in range(len(HEADINGS)) if any(line[i] for line in cells)]
    show(title, [HEADINGS[i] for i in used], [[line[i] for i in used] for line in cells])
