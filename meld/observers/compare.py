"""How two runs differ that are the same up to a step: what that step did in one, and what in the other."""

from __future__ import annotations

from dataclasses import field

from meld.journal import Change, Difference, Journal, Symbol, What
from meld.observers.recorder import Recorded, Recorder
from meld.passes.base import Program
from meld.passmanager import Observer, Ran, Step
from meld.support.records import record


@record()
class OneStep(Observer):
    """Records one step of a run, by its number: step 0 of the journal is what stands before it."""

    number: int
    _recorded: Recorded | None = None
    _recorder: Recorder = field(default_factory=Recorder)

    def before(self, number: int, step: Step, program: Program) -> None:
        if number == self.number:
            self._recorder.before(number, step, program)

    def after(self, ran: Ran, program: Program) -> None:
        if ran.number == self.number:
            self._recorded = self._recorder.record_step(ran, program)

    def result(self) -> Recorded:
        """What was recorded, once the step has run."""
        assert self._recorded is not None
        return self._recorded


def between_runs(first: Recorded, second: Recorded) -> list[Difference]:
    """What differs after a step of two runs that are the same before it."""
    sides = [_changes(recorded) for recorded in (first, second)]
    found = []
    for key, (symbol, _) in (sides[0] | sides[1]).items():
        changes = [side[key][1] if key in side else None for side in sides]
        there = [_there(changes[i], changes[1 - i]) for i in (0, 1)]
        texts = [
            _text(changes[i], changes[1 - i], one.journal, other.journal)
            for i, (one, other) in enumerate(((first, second), (second, first)))
        ]
        if there == [False, False] or (all(there) and texts[0] == texts[1]):
            continue
        what = What.CHANGED if all(there) else What.CREATED if there[1] else What.REMOVED
        found.append(Difference(symbol, what, *texts))
    return found


def _changes(recorded: Recorded) -> dict[tuple[str, str], tuple[Symbol, Change]]:
    """The changes of a step by the kind and name of their symbol."""
    named = ((recorded.journal.symbols[change.symbol], change) for change in recorded.step.changes)
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
