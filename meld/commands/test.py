"""`meldc test`: golden tests."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.description = (
        "Run golden tests: .wat files that say in comments which command is run on them and what is expected. In a "
        "directory, those files are run that have such comments."
    )
    parser.epilog = """\
the comments, in short (docs/golden.md):
  ;; meldc: --passes=merge,finish   the command; this file is its input
  ;; run: add(1, 2) == 3            an export of the product; or `traps: why`
  ;; check: TEXT                    in this order: a line with TEXT; `next:` the line behind; `not:` no line between
  ;; remark: TEXT                   a pass says so
  CODE ;; error: TEXT               an error at this line
  ;; output:                        the product is exactly what follows in comments

pytest runs them too: pytest --meldc tests/golden, or the setting `meldc_golden = tests/golden`."""
    parser.add_argument("paths", nargs="+", metavar="DIR|FILE", help="directories or .wat files")
    parser.add_argument(
        "--timeout", metavar="S", type=float, default=60.0, help="seconds that a call may take (default: 60)"
    )
    parser.add_argument("--bless", action="store_true", help="rewrite what is expected to what comes out")


def main(args: argparse.Namespace) -> int:
    """Runs the tests; 1 if one fails or is none. With --bless, what cannot be blessed still fails.

    Raises:
        MeldError: the only file is no test.
    """
    from meld.runtime.interrupt import TIME_LIMIT

    before = TIME_LIMIT.set(args.timeout)
    try:
        return _run(args)
    finally:
        TIME_LIMIT.reset(before)


def _run(args: argparse.Namespace) -> int:
    from meld.commands import COMMANDS
    from meld.diagnostics import MeldError
    from meld.files import write_file
    from meld.golden.running import CommandLine, run_golden
    from meld.support.terminal import say

    meldc = CommandLine(args.main, COMMANDS)
    failed = blessed = count = 0
    files = list(_files(args.paths))
    for path in files:
        count += 1
        try:
            report = run_golden(path, meldc)
        except MeldError as e:
            if e.span is None and e.where is None:
                e.where = str(path)
            if len(files) == 1:
                raise
            failed += 1
            say(f"meldc: error: {e}", error=True)
            continue
        if args.bless and report.failures:
            if report.blessed != "\n".join(report.golden.lines):
                write_file(path, report.blessed.encode())
                blessed += 1
            report = run_golden(path, meldc)
        if report.failures:
            failed += 1
            say(report, error=True)
    said = f"{count} golden test{'s' * (count != 1)}, {failed} failed"
    say(said + (f", {blessed} rewritten" if args.bless else ""))
    return int(failed > 0)


def _files(paths: list[str]) -> Iterator[Path]:
    """The tests, in a directory in the order of their names. Raises MeldError: there are none."""
    from pathlib import Path

    from meld.diagnostics import MeldError
    from meld.golden.expectations import is_golden

    for path in map(Path, paths):
        if not path.is_dir():
            yield path
            continue
        found = [f for f in sorted(path.rglob("*.wat")) if is_golden(f.read_text(encoding="utf-8", errors="replace"))]
        if not found:
            raise MeldError("there are no golden tests in here", where=str(path))
        yield from found
