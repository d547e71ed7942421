"""`meldc diff`: the differences between two points of a run, or between two runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meld.journal import Difference, Journal


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld.commands import add_format

    parser.usage = "meldc diff JOURNAL STEP [STEP] | JOURNAL JOURNAL [--only GLOB] [--stat] [--format=json]"
    parser.description = (
        "Show how the programs after two steps of a run differ, what one step did, or how two runs differ: "
        "the first step after which they do, and how. A step is a name, PASS#2, or a number; `input` is step 0."
    )
    parser.epilog = """\
examples:
  meldc diff run.json merge finish --only 'producer/*'
  meldc diff run.json rewire-calls
  meldc diff yesterday.json today.json --stat"""
    parser.add_argument("journal", metavar="JOURNAL", help="what --journal=FILE wrote")
    parser.add_argument("first", metavar="STEP", help="a step, or another journal")
    parser.add_argument("second", nargs="?", metavar="STEP", help="a later step; without it, what the first one did")
    parser.add_argument("--only", metavar="GLOB", help="only symbols with a name like this")
    parser.add_argument("--stat", action="store_true", help="a line for each symbol")
    add_format(parser)


def main(args: argparse.Namespace) -> int:
    """Prints the differences. Raises MeldError."""
    from pathlib import Path

    from meld.journal import Journal
    from meld.support.terminal import json_text, say, show

    journal = Journal.load(args.journal)
    if args.second is None and Path(args.first).is_file():
        data, lines = _runs(journal, Journal.load(args.first), args)
    else:
        first = journal.step(args.first)
        last = first if args.second is None else journal.step(args.second)
        number = max(0, first.number - 1) if args.second is None else first.number
        found = _wanted(journal.between(number, last.number), args.only)
        data, lines = [_row(one) for one in found], _shown(found, args.stat)
    if args.format == "json":
        say(json_text(data))
    else:
        show(lines)
    return 0


def _runs(first: Journal, second: Journal, args: argparse.Namespace) -> tuple[Any, Iterator[str]]:
    from meld.journal.runs import compare, headlines

    steps = compare(first, second)
    parting = next((step for step in steps if not step.same), None)
    found = _wanted(parting.new if parting else [], args.only)
    data = {
        "same": parting is None,
        "first": parting and parting.number,
        "steps": [{"step": s.number, "passes": s.labels, "apart": s.apart, "new": len(s.new)} for s in steps],
        "differences": [_row(one) for one in found],
    }

    def lines() -> Iterator[str]:
        yield from headlines(first, second, steps)
        yield from _shown(found, args.stat)

    return data, lines()


def _wanted(found: Iterable[Difference], only: str | None) -> list[Difference]:
    from fnmatch import fnmatchcase

    return [one for one in found if only is None or fnmatchcase(one.symbol.name, only)]


def _shown(found: list[Difference], stat: bool) -> Iterator[str]:
    from meld.observers.dumps import diff_lines, stat_line

    return (stat_line(one) for one in found) if stat else diff_lines(found)


def _row(one: Difference) -> dict[str, str | None]:
    symbol = one.symbol
    return {
        "kind": symbol.kind,
        "name": symbol.name,
        "what": one.what.value,
        "before": one.before,
        "after": one.after,
    }
