"""Dumps: what the program is, or how it changed, around the steps of a run.

A full dump is a valid file of the IR; the other forms are views of the journal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from meld.diagnostics import MeldError
from meld.files import print_text, write_file
from meld.ir.module import Module
from meld.journal import Difference, StepRecord
from meld.observers.recorder import Listener, Recorded
from meld.passes.base import Program
from meld.passmanager import Plan, Ran, Step
from meld.support.records import record
from meld.support.terminal import harmless, painted_all, say
from meld.text.printing.module import ModulePrinter

FORMS = {"full": "wat", "diff": "diff", "stat": "txt"}
"""The forms of a dump, and how the names of their files end."""

ALWAYS, CHANGED, FAILED = "all", "changed", "failed"
"""In place of the name of a pass: every one, those that changed something, the one that failed."""


@record()
class Dumper(Listener):
    """Writes dumps; forms other than the full one are of what a recorder recorded.

    Attributes:
        steps_before, steps_after: labels of steps, or `ALWAYS`, for the latter also `CHANGED` and `FAILED`.
        form: ``full``, ``diff`` or ``stat``; before a step there is only the full form.
        only: a pattern of the names of what is shown; everything if None.
        directory: where numbered files and ``index.json`` go; standard error if None.
    """

    steps_before: Sequence[str] = ()
    steps_after: Sequence[str] = ()
    form: str = "full"
    only: str | None = None
    directory: Path | None = None
    _index: list[dict[str, Any]] = field(default_factory=list)

    def planned(self, plan: Plan) -> None:
        for option, wanted in (("--dump-before", self.steps_before), ("--dump-after", self.steps_after)):
            for name in wanted:
                if name not in (ALWAYS, CHANGED, FAILED):
                    plan.position(name, option=option)

    def before(self, number: int, step: Step, program: Program) -> None:
        if ALWAYS in self.steps_before or any(step.matches(name) for name in self.steps_before):
            self._write("before", number, step, self._full(program), "full")

    def recorded(self, ran: Ran, program: Program, recorded: Recorded) -> None:
        record = recorded.step
        named = ALWAYS in self.steps_after or any(ran.step.matches(name) for name in self.steps_after)
        if named or (CHANGED in self.steps_after and record.changes):
            match self.form:
                case "full":
                    text = self._full(program)
                case "diff":
                    text = "".join(line + "\n" for line in diff_lines(self._chosen(recorded)))
                case _:
                    text = "".join(line + "\n" for line in stat_lines(record, self._chosen(recorded)))
            self._write("after", ran.number, ran.step, text, self.form, len(record.changes))

    def failed(self, number: int, step: Step, program: Program, error: MeldError) -> None:
        if FAILED in self.steps_after:
            try:
                text = self._full(program)
            except MeldError as e:  # it may be broken in a way that cannot be printed
                text = f";; cannot be printed: {e.message}\n"
            self._write("failed", number, step, text, "full")

    def _chosen(self, recorded: Recorded) -> list[Difference]:
        return [d for d in recorded.differences() if self.only is None or fnmatchcase(d.symbol.name, self.only)]

    def _full(self, program: Program) -> str:
        if self.only is None or not isinstance(program, Module):
            return print_text(program)
        return "".join(line + "\n" for line in _matching(program, self.only))

    def _write(self, when: str, number: int, step: Step, text: str, form: str, changes: int | None = None) -> None:
        if self.directory is None:
            head = f";; {when} {step.label} (pass {number})\n"
            if form == "diff" and sys.stderr.isatty():
                print(harmless(head) + painted_all(text), file=sys.stderr)
            else:
                say(head + text, error=True)
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise MeldError(f"cannot make the directory: {e.strerror}", where=str(self.directory)) from e
        name = f"{number:02}-{when}-{step.label}.{FORMS[form]}"
        write_file(self.directory / name, text.encode())
        row = {"file": name, "step": number, "pass": step.label, "when": when, "form": form, "changes": changes}
        self._index.append(row)
        write_file(self.directory / "index.json", (json.dumps(self._index, indent=1) + "\n").encode())


def _matching(module: Module, pattern: str) -> Iterator[str]:
    """The lines of the items whose names in the full text match."""
    show = ModulePrinter(module, 0)
    for space in ("functions", "tables", "memories", "globals", "tags", "elements", "datas"):
        for item in module.space(space):
            name = show.names.ref(space, item).removeprefix("$")
            if fnmatchcase(name, pattern) or (item.name and fnmatchcase(item.name, pattern)):
                yield from [show.import_(item)] if item.imported else show.item(item)


def diff_lines(differences: Sequence[Difference]) -> Iterator[str]:
    """Unified diffs, one symbol after the other; a line for each that has no text."""
    for one in differences:
        lines = one.lines()
        yield from lines or [f"{MARKS[one.what.value]} {one.symbol}  ;; its text was not kept"]


MARKS = {"created": "+", "changed": "~", "removed": "-"}


def stat_lines(record: StepRecord, differences: Sequence[Difference]) -> Iterator[str]:
    """What changed, a line for each symbol: how, and how many lines came and went."""
    yield from map(stat_line, differences)
    yield f"{len(differences)} changes; the program has {sum(record.counts.values())} symbols"
    yield from (f"{name}: {count}" for name, count in record.stats.items())


def stat_line(one: Difference) -> str:
    """How a symbol changed, and how many lines came and went."""
    lines = one.lines(0)[2:]
    plus = sum(line.startswith("+") for line in lines)
    minus = sum(line.startswith("-") for line in lines)
    return f"{MARKS[one.what.value]} {one.symbol}" + (f"  +{plus} -{minus}" if lines else "")
