"""Two runs compared step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from difflib import SequenceMatcher
from typing import TypeAlias

from meld.journal import Difference, Journal, Symbol, What
from meld.support.records import record

Key: TypeAlias = tuple[str, str]
"""Kind and name of a symbol."""


@record()
class Step:
    """A step of the one run beside one of the other; a label is None where only the other run has the step.

    Attributes:
        number: the row, from 0 for the inputs.
        apart: how many symbols differ after it.
        new: those that did not differ before.
    """

    number: int
    labels: tuple[str | None, str | None]
    apart: int
    new: list[Difference] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether the step is the same in both runs, and so is what it left."""
        return not self.apart and self.labels[0] == self.labels[1]


class _Run:
    """A run as it goes: the text (its hash) of each symbol that is there."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.now: dict[Key, str | None] = {}
        self.symbols: dict[Key, Symbol] = {}

    def go(self, number: int | None) -> set[Key]:
        """Takes a step, unless there is none; which symbols it touched."""
        touched: set[Key] = set()
        if number is None:
            return touched
        for change in self.journal.steps[number].changes:
            symbol = self.journal.symbols[change.symbol]
            key = symbol.kind, symbol.name
            touched.add(key)
            if change.what is What.REMOVED:
                self.now.pop(key, None)
            else:
                self.now[key] = change.after
                self.symbols[key] = symbol
        return touched

    def label(self, number: int | None) -> str | None:
        steps = self.journal.steps
        return None if number is None else steps[number].spec or steps[number].label


def beside(first: list[str], second: list[str]) -> Iterator[tuple[int | None, int | None]]:
    """The steps of two runs by number, those of one pass beside each other; None where only one run has the step."""
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    for what, a, a_end, b, b_end in matcher.get_opcodes():
        if what == "equal":
            yield from zip(range(a, a_end), range(b, b_end), strict=True)
        else:
            yield from ((number, None) for number in range(a, a_end))
            yield from ((None, number) for number in range(b, b_end))


def compare(first: Journal, second: Journal) -> list[Step]:
    """The steps of two runs side by side, matched by the names of their passes."""
    a, b = _Run(first), _Run(second)
    apart: set[Key] = set()
    found: list[Step] = []
    names = [[step.label.partition("#")[0] for step in journal.steps] for journal in (first, second)]
    for number, (one, other) in enumerate(beside(*names)):
        touched = a.go(one) | b.go(other)
        now = {key for key in touched if (key in a.now) != (key in b.now) or a.now.get(key) != b.now.get(key)}
        new = [_difference(a, b, key) for key in sorted(now - apart)]
        apart = (apart - touched) | now
        found.append(Step(number, (a.label(one), b.label(other)), len(apart), new))
    return found


def _difference(a: _Run, b: _Run, key: Key) -> Difference:
    what = What.CHANGED if key in a.now and key in b.now else What.CREATED if key in b.now else What.REMOVED
    symbol = (b if key in b.now else a).symbols[key]
    return Difference(symbol, what, a.journal.blob(a.now.get(key)), b.journal.blob(b.now.get(key)))


def headlines(first: Journal, second: Journal, steps: list[Step]) -> Iterator[str]:
    """What differs between two runs, in a few lines: versions, inputs, the steps, where they part, how they end."""
    if first.version != second.version:
        yield f"versions: {first.version} | {second.version}"
    for i in range(max(len(first.inputs), len(second.inputs))):
        sides = [j.inputs[i] if i < len(j.inputs) else None for j in (first, second)]
        shown = [f"{s[0]}, {s[1]:,} bytes, {s[2][:12]}" if s else "none" for s in sides]
        if (sides[0] or (0, 0, 0))[1:] != (sides[1] or (0, 0, 0))[1:]:
            yield f"input {i + 1}: {shown[0]} | {shown[1]}"
    ways = [f"{j.status}" + (f", {j.message}" if j.message else "") for j in (first, second)]
    if ways[0] != ways[1]:
        yield f"end: {ways[0]} | {ways[1]}"
    parting = next((step for step in steps if not step.same), None)
    if parting is None:
        yield f"the same after each of {len(steps) - 1} steps"
        return
    for step in steps[parting.number :]:
        left, right = (label or "(not in this run)" for label in step.labels)
        label = left if left == right else f"{left} | {right}"
        apart = f"{step.apart} symbols differ, {len(step.new)} of them first here" if step.apart else "the same"
        yield f"{step.number:2} {label}: {apart}"
    yield f"the first difference is after step {parting.number}, {parting.labels[0] or parting.labels[1]}"
