"""What the benchmarks of running programs share: drivers inside the module, turns taken in one run, the rival."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from measure import RIVAL, Sample

import meld
from meld.ir.module import Export
from meld.text.reading.program import parse_module

Runs = Mapping[str, Callable[[int], object]]
"""By name what runs so many rounds."""


def interleaved(runs: Runs, rounds: Mapping[str, int], turns: int = 80) -> dict[str, Sample]:
    """Time of each on the processor, taken in turns: what disturbs the machine disturbs all alike.

    One turn should take each about a millisecond.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for name, run in runs.items():
        run(rounds[name])
    order = list(runs.items())
    for _ in range(turns):
        order.append(order.pop(0))
        for name, run in order:
            began = time.thread_time()
            run(rounds[name])
            seconds[name].append(time.thread_time() - began)
    return {name: Sample(tuple(times), rounds[name]) for name, times in seconds.items()}


def times(over: Sample | None, under: Sample | None) -> float:
    """How many times as long one takes as the other: the median of the turns; NaN where one of them is missing."""
    if over is None or under is None:
        return math.nan
    return statistics.median(a / b for a, b in zip(over.values, under.values, strict=True)) * under.per / over.per


def with_driver(module: meld.Module, driver: str) -> meld.Module:
    """A module with the functions of a driver in it; what the driver imports are exports of the module."""
    functions = {export.name: export.item for export in module.exports}
    source = parse_module(driver, "driver")
    bindings = {i: functions[i.imported.field] for i in source.imports if i.imported is not None}
    spliced = meld.splice(source, module, bindings)
    module.exports += [Export(name, item) for name, item in spliced.exports.items()]
    return module


@cache
def rival() -> Path | None:
    """The published tool, installed from its package for this purpose only; None if it cannot be had."""
    if not RIVAL.exists() and "MELD_RIVAL" not in os.environ:
        home = RIVAL.parents[1]
        pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "meld-cli"]
        try:
            subprocess.run([sys.executable, "-m", "venv", home], check=True, capture_output=True)
            subprocess.run(pip, check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError):
            print("meld-cli cannot be installed here; its column stays empty", file=sys.stderr)
    return RIVAL if RIVAL.exists() else None


def fused_by_rival(inputs: Sequence[Path], out: Path) -> meld.Module | None:
    """What the rival makes of components in binary form; None if it makes nothing."""
    program = rival()
    if program is None:
        return None
    done = subprocess.run([program, "fuse", *inputs, "-o", out, "--no-attestation"], capture_output=True)
    if done.returncode:
        return None
    found = meld.load(out)
    assert isinstance(found, meld.Module)
    return found
