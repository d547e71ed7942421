"""All benchmarks in one table: printed, and written to RESULTS.md with the machine and the versions.

Each other script has a function ``rows() -> list[Row]``. Names on the command line choose some, and write nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import inputs
from measure import HEADINGS, Row, show_rows
from running import rival

import meld

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
SHARED = {"measure", "running", "inputs", "table"}
FIRST = ("bridge", "calls", "guard_entries", "host_memory", "lower_multi_memory")

ABOUT = """\
# Benchmarks

`make bench` measures all this anew and writes this file. Times are medians, with the least and the most in
parentheses. What runs inside a module loops there, on the time of the processor, all candidates in turn; a ratio is the
median of the ratios of the turns. On a machine that does other work, ratios mean more than times.

- *rival*: meld-cli from PyPI, which checks neither strings nor lists nor handles.
- *unfused*: streams through a host in Python; calls by the engine's own adapters; streams and tasks of the Component
  Model by the engine's own support, in the same process; real programs as they were composed, under the same engine.
- *floor*: the least that could do it. Two bare `memory.copy`; a call that allocates, copies and checks nothing; the
  program without what is measured; for fusing, a process that only moves the bytes; for memory, one that only reads the
  inputs, since there is an object for each function.
- *streams and tasks* (`python benchmarks/table.py tasks` measures them alone): the floor is one `memory.copy` for each
  hop; for a switch, two frames that leave the stack and come back with nothing scheduled; for a subtask, the two
  indirect calls of its callee. Ratios are those of the least times. Where a copy itself is less than ten times as fast
  as the engine, as at 64 KiB, ten times the engine cannot be reached by anything that copies.
  On a machine that does other work, ratios of 4096 bytes vary by a quarter. The machine instructions of one operation
  with 16 bytes do not (cachegrind, copies included): plain functions at most 220, callback tasks 410, five components
  that block 2460, a switch 660, a subtask's life 1690. Where the buffers of 4096 bytes lie makes no difference, in
  eight places from 1024 to 4608.
- *shims without checks*: the two copies one call further in, which is where a shim stands: the most that one can reach.
- *a bare copy that checks*: the best loop found that copies and checks plain text, with nothing around it.
"""


def machine() -> list[tuple[str, str]]:
    """What it was measured on and with; nothing that names a host or a path."""
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = platform.system()
    return [
        ("processor", f"{_processor()}, {os.cpu_count()} logical cores"),
        ("system", f"{system}, {platform.machine()}"),
        ("Python", platform.python_version()),
        ("wasmtime", metadata.version("wasmtime")),
        ("meldc", meld.__version__),
        ("meld-cli", _rival_version()),
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _rival_version() -> str:
    program = rival()
    if program is None:
        return "not installed"
    return subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split()[-1]


def scripts() -> list[str]:
    """The names of all scripts, in the order of the table."""
    there = {path.stem for path in HERE.glob("*.py") if "def rows(" in path.read_text(encoding="utf-8")} - SHARED
    return [name for name in FIRST if name in there] + sorted(there - set(FIRST))


def written(rows: list[Row]) -> str:
    """The table as Markdown."""
    lines = [ABOUT, "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in machine()), ""]
    lines += ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description="Prints one table; writes RESULTS.md if all is measured.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(scripts())}")
    chosen = parser.parse_args().names
    if unknown := set(chosen) - set(scripts()):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    names = chosen or scripts()
    rival()  # installs it, for scripts that only look whether it is there
    if {"fuse", "journal", "programs"} & set(names):
        inputs.main()
    found: list[Row] = []
    for name in names:
        print(f"measuring: {name}", file=sys.stderr)
        found += import_module(name).rows()
    show_rows("Benchmarks", found)
    if not chosen:
        RESULTS.write_text(written(found), encoding="utf-8")


if __name__ == "__main__":
    main()
