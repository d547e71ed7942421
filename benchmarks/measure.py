"""What the benchmarks share: repeated timing, commands as whole processes, and tables."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
FIXTURES = ROOT.parent / "shared" / "fixtures"


@dataclass(frozen=True)
class Sample:
    """Repeated timings of one thing, in seconds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def shown(self, per: int = 1) -> str:
        """Median, and in parentheses the least and the most, of one operation among `per`."""
        low, high = min(self.seconds) / per, max(self.seconds) / per
        return f"{duration(self.median / per)} ({duration(low)} – {duration(high)})"


def duration(seconds: float) -> str:
    """Seconds for people."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def timed(run: Callable[[], object], times: int = 9) -> Sample:
    """Runs something once to warm up, then several times."""
    run()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return Sample(tuple(seconds))


def command(*args: str | Path, times: int = 7) -> Sample | None:
    """A command as a whole process; None if it is not installed or fails."""
    words = [str(arg) for arg in args]

    def run() -> None:
        subprocess.run(words, check=True, capture_output=True)

    try:
        return timed(run, times)
    except (OSError, subprocess.CalledProcessError):
        return None


def show(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table to standard output."""
    table = Table(*headings, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)
