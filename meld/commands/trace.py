"""`meldc trace`: what each step of a run did, the life of a symbol, and where an instruction comes from."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meld.journal import Journal


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld.commands import add_format

    parser.description = "Show what the steps of a recorded run did, and to whom."
    parser.epilog = """\
examples:
  meldc a.wasm b.wasm -o fused.wasm --journal=run.json
  meldc trace run.json
  meldc trace run.json --symbol=producer/p_write
  meldc trace run.json --symbol=func:b/* --json
  meldc trace run.json --symbol=run --blame
  meldc trace run.json --symbol=run --instruction=17"""
    parser.add_argument("journal", metavar="JOURNAL", help="what --journal=FILE wrote")
    parser.add_argument("--symbol", metavar="NAME", help="the life of a function, memory, export, …; `*` for several")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--blame", action="store_true", help="its text, each line with the step that wrote it")
    how.add_argument("--instruction", metavar="N", type=int, help="where its instruction N (from 0) comes from")
    parser.add_argument("--at", metavar="STEP", help="its text after that step instead of at the end")
    add_format(parser)


def main(args: argparse.Namespace) -> int:
    """Prints what is asked for. Raises MeldError."""
    from meld.diagnostics import MeldError
    from meld.journal import Journal

    journal = Journal.load(args.journal)
    looks = args.blame or args.instruction is not None
    if args.symbol is None and (looks or args.at):
        raise MeldError("--blame, --instruction and --at are about a symbol", hint="name it with --symbol=NAME")
    if args.at and not looks:
        raise MeldError("--at goes with --blame or --instruction")
    if args.symbol is None:
        _steps(journal, args.format == "json")
    elif looks:
        _lines(journal, args)
    else:
        _lives(journal, args)
    return 0


def _steps(journal: Journal, as_json: bool) -> None:
    from meld.journal.trace import step_row, steps_text

    if as_json:
        rows = [step_row(step) for step in journal.steps]
        _json({"version": journal.version, "status": journal.status, "message": journal.message, "steps": rows})
        return
    _print(steps_text(journal))


def _lives(journal: Journal, args: argparse.Namespace) -> None:
    from meld.journal.trace import life_row, lives

    symbols = journal.find(args.symbol)
    if args.format == "json":
        _json([life_row(journal, symbol) for symbol in symbols])
    else:
        _print(lives(journal, symbols))


def _lines(journal: Journal, args: argparse.Namespace) -> None:
    from meld.diagnostics import MeldError
    from meld.journal.trace import blame, blamed, instruction, origin

    step = journal.steps[-1] if args.at is None else journal.step(args.at)
    symbols = journal.find(args.symbol)
    there = [symbol for symbol in symbols if journal.alive(symbol, step.number)] or symbols
    if args.instruction is not None:
        there = [symbol for symbol in there if journal.symbols[symbol].kind == "func"] or there
    if len(there) > 1:
        names = [f"{journal.symbols[s].kind}:{journal.symbols[s].name}" for s in there]
        more = ", …" * (len(names) > 5)
        raise MeldError(f"`{args.symbol}` is {len(names)} symbols", hint="name one of " + ", ".join(names[:5]) + more)
    lines = blame(journal, there[0], step.number)
    name = journal.symbols[there[0]].name
    if args.instruction is not None:
        lines = [instruction(lines, args.instruction, name)]
    if args.format == "json":
        past = [[{"step": s.number, "pass": s.label, "before": old} for s, old in line.past] for line in lines]
        _json([{"text": line.text, "past": steps} for line, steps in zip(lines, past, strict=True)])
    elif args.instruction is not None:
        _print([f"instruction {args.instruction} of {name}: {lines[0].text.strip()}", *origin(lines[0])])
    else:
        _print(blamed(lines))


def _print(lines: Iterable[str]) -> None:
    from meld.support.terminal import show

    show(lines)


def _json(data: object) -> None:
    from meld.support.terminal import json_text, say

    say(json_text(data))
