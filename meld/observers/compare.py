"""How two runs differ that are the same up to a step: what that step did in one, and what in the other."""

from __future__ import annotations

from dataclasses import field

from meld.journal import Change, Difference, Journal, Symbol, What
from meld.observers.recorder import Recorder
from meld.passes.base import Program
from meld.passmanager import Observer, Ran, Step
from meld.support.records import record


@record()
class OneStep(Observer):
    """Records one step of a run, by its number: step 0 of the journal is what stands before it."""

    number: int
    recorder: Recorder = field(default_factory=Recorder)

    @property
    def journal(self) -> Journal:
        return self.recorder.journal

    def before(self, number: int, step: Step, program: Program) -> None:
        if number == self.number:
            self.recorder.before(number, step, program)

    def after(self, ran: Ran, program: Program) -> None:
        if ran.number == self.number:
            self.recorder.after(ran, program)


def between_runs(first: Journal, second: Journal) -> list[Difference]:
    """What differs after the last step of two journals that are the same before it."""
    sides = [_changes(journal) for journal in (first, second)]
    found = []
    for key, (symbol, _) in (sides[0] | sides[1]).items():
        changes = [side[key][1] if key in side else None for side in sides]
        there = [_there(changes[i], changes[1 - i]) for i in (0, 1)]
        texts = [
            _text(changes[i], changes[1 - i], journal, other)
            for i, (journal, other) in enumerate(((first, second), (second, first)))
        ]
        if there == [False, False] or (all(there) and texts[0] == texts[1]):
            continue
        what = What.CHANGED if all(there) else What.CREATED if there[1] else What.REMOVED
        found.append(Difference(symbol, what, *texts))
    return found


def _changes(journal: Journal) -> dict[tuple[str, str], tuple[Symbol, Change]]:
    """The changes of the last step by the kind and name of their symbol."""
    named = ((journal.symbols[change.symbol], change) for change in journal.steps[-1].changes)
    return {(symbol.kind, symbol.name): (symbol, change) for symbol, change in named}


def _there(mine: Change | None, other: Change | None) -> bool:
    if mine is not None:
        return mine.what is not What.REMOVED
    return other is not None and other.what is not What.CREATED


def _text(mine: Change | None, other: Change | None, journal: Journal, others: Journal) -> str | None:
    """The text on one side; what it did not change is what the other side had before it changed it."""
    if mine is not None:
        return journal.blob(mine.after)
    return None if other is None else others.blob(other.before)
