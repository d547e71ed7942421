"""What validation costs: small programs fused as whole processes, with it and without, by the time of the processor.

Two validations, each beside its floor. By our rules: what components connect, with `meld.validity` out of the way for
the floor: nothing of it is imported, and `check` does nothing. By the engine: the core modules of inputs and product,
on another thread where there is one; the floor is ``--verify=off``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fuse import SMALL
from measure import NO_INPUT, Process, Row, in_turn, ratio, show_rows

TIMES = 5

RUN = """
import sys, types
{without}
sys.argv = ["meldc", *sys.argv[1:]]
from meld.cli import main
main()
"""
WITHOUT = """
for name, given in {"components": {"check": lambda component: None, "validate": lambda component: None}}.items():
    sys.modules["meld.validity." + name] = module = types.ModuleType(name)
    module.__dict__.update(given)
"""
FLOORS: dict[str, tuple[str, tuple[str, ...]]] = {
    "by our rules": (WITHOUT, ()),
    "by the engine": ("", ("--verify=off",)),
}
"""What is validated, with the code and the options that leave it out."""


def rows() -> list[Row]:
    """Two rows per program."""
    return [row for name, paths in SMALL.items() for row in _rows(name, paths)]


def _rows(name: str, paths: list[Path]) -> list[Row]:
    works, target = [f"{name.replace('fuse', 'validate', 1)} {how}" for how in FLOORS], "≤ 5 % of the fuse"
    if not all(path.exists() for path in paths):
        return [Row(work, NO_INPUT, target=target) for work in works]
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out.wasm"
        commands = {
            way: [sys.executable, "-c", RUN.format(without=code), *paths, "-q", "-o", out, *options]
            for way, (code, options) in {"": ("", ()), **FLOORS}.items()
        }
        found = in_turn(commands, times=TIMES)
    return [_row(work, found[""], found[how], target) for work, how in zip(works, FLOORS, strict=True)]


def _row(work: str, ours: Process | str, floor: Process | str, target: str) -> Row:
    if not isinstance(ours, Process) or not isinstance(floor, Process):
        return Row(work, str(ours), floor=str(floor), target=target)
    times = ours.processor, floor.processor
    return Row(work, times[0], floor=times[1], target=target, reached=f"{ratio(*times)} × the floor")


if __name__ == "__main__":
    show_rows("Fusing with validation; floor: without", rows())
