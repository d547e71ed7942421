"""What validation costs: small programs fused as whole processes, with it and without.

The floor is the same process with `meld.validity` out of the way: nothing of it is imported, and `check` does nothing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fuse import SMALL
from measure import NO_INPUT, Process, Row, in_turn, ratio, show_rows

TIMES = 21

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


def rows() -> list[Row]:
    """One row per program."""
    return [_row(name, paths) for name, paths in SMALL.items()]


def _row(name: str, paths: list[Path]) -> Row:
    work, target = name.replace("fuse", "validate", 1), "≤ 5 % of the fuse"
    if not all(path.exists() for path in paths):
        return Row(work, NO_INPUT, target=target)
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out.wasm"
        commands: dict[str, list[str | Path]] = {
            way: [sys.executable, "-c", RUN.format(without=code), *paths, "-q", "-o", out]
            for way, code in {"with": "", "without": WITHOUT}.items()
        }
        found = in_turn(commands, times=TIMES)
    ours, floor = found["with"], found["without"]
    if not isinstance(ours, Process) or not isinstance(floor, Process):
        return Row(work, str(ours), floor=str(floor), target=target)
    return Row(work, ours.time, floor=floor.time, target=target, reached=f"{ratio(ours.time, floor.time)} × the floor")


if __name__ == "__main__":
    show_rows("Fusing with validation; floor: without", rows())
