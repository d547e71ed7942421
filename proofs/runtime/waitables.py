"""Waitables and sets in bit-vectors: the state machine of events (CanonicalABI.md, "Waitable State").

A waitable has a handle, a set (0 if none, 1 while a synchronous call waits), a next one in the list of those that are
ready, and an event (0 if none). It is in the list of its set exactly while it has an event. Of a list exist the
waitable that a function is about, those before it (up to `BEFORE`), and the last one; how many stand in between is not
said.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3

from meld.abi.traps import Trap
from meld.notes.channels import FIRST_STREAM
from proofs.runtime.cells import FREE, WAKE, Cell, bits, symbol
from proofs.runtime.check import YES, Event, Scenario, Want
from proofs.runtime.handles import HANDLE, RECORD, Table
from proofs.subject import Word

BEFORE = 3
"""Ready waitables before the one that is taken out of a list."""
WAITABLE, EVENT = symbol("waitable"), symbol("event")
WAKES = frozenset({WAKE})


class List:
    """The ready waitables of a set, and one of them (`mine`, at a place from 0 to `BEFORE`) or none of them."""

    def __init__(
        self, base: z3.BitVecRef, mine: Cell, at: int, name: str = "set", when: z3.BoolRef = YES, most: int = BEFORE
    ) -> None:
        self.set = Cell(name, base, 16, when)
        self.mine = mine
        addresses = [self.set.first(0)]
        self.before: list[Cell] = []
        for n in range(most):
            cell = Cell(f"{name}.before{n}", addresses[-1], 16, z3.And(when, z3.UGT(PLACE, n)))
            self.before.append(cell)
            addresses.append(cell.first(8))
        self.at = at
        reached = [z3.Implies(n == PLACE, address == mine.base + at) for n, address in enumerate(addresses)]
        last = mine.first(at + 8) == 0
        self.facts = z3.And(z3.ULE(PLACE, most), *reached, z3.Implies(last, self.set.first(4) == mine.base + at))

    def removed(self) -> dict[Word, z3.BitVecRef]:
        """The words that change where it is taken out."""
        following = self.mine.first(self.at + 8)
        before = self.set.first(0)
        words = {self.set.word(0): z3.If(PLACE == 0, following, self.set.first(0))}
        previous = bits(0)
        for n, cell in enumerate(self.before):
            words[cell.word(8)] = z3.If(n + 1 == PLACE, following, cell.first(8))
            previous = z3.If(n + 1 == PLACE, before, previous)
            before = cell.first(8)
        words[self.set.word(4)] = z3.If(following == 0, previous, self.set.first(4))
        return words


PLACE = symbol("place")
"""Where in the list of its set a waitable stands."""


def appended(
    target: Cell, tail: Cell, mine: Cell, at: int, when: z3.BoolRef = YES
) -> tuple[dict[Word, z3.BitVecRef], Event]:
    """A waitable becomes the last ready one of a set, whose last one so far is `tail`; a task that waits is woken."""
    empty = target.first(0) == 0
    own = mine.base + at

    def changed(cell: Cell, offset: int, value: z3.BitVecRef, condition: z3.BoolRef = YES) -> tuple[Word, z3.BitVecRef]:
        return cell.word(offset), z3.If(z3.And(when, condition), value, cell.first(offset))

    words = dict(
        [
            changed(mine, at + 8, bits(0)),
            changed(target, 0, own, empty),
            changed(target, 4, own),
            changed(tail, 8, own, z3.Not(empty)),
        ]
    )
    return words, Event(WAKE, (target.base,), z3.And(when, target.first(12) != 0))


def tail_of(target: Cell, when: z3.BoolRef = YES) -> Cell:
    """The last ready waitable of a set."""
    return Cell(f"{target.name}.tail", target.first(4), 16, z3.And(when, target.first(0) != 0))


def scenarios(limit: int) -> Iterator[Scenario]:
    """Every function over waitables and sets."""
    mine, target = Cell("waitable", WAITABLE, 16), Cell("set", symbol("set"), 16)
    tail = tail_of(target)
    words, wakes = appended(target, tail, mine, 0)
    yield Scenario(
        "set_append",
        "set_append",
        (target.base, mine.base),
        [mine, target, tail],
        YES,
        Want([], (), words, [wakes]),
        summaries=WAKES,
    )
    listed = List(symbol("set"), mine, 0)
    yield Scenario(
        "set_remove",
        "set_remove",
        (listed.set.base, mine.base),
        [mine, listed.set, *listed.before],
        listed.facts,
        Want([], (), listed.removed()),
    )
    yield _set_event(mine)
    yield from _joins(mine)
    yield from _handles(limit)


def _set_event(mine: Cell) -> Scenario:
    joined = z3.UGT(mine.first(4), 1)
    target = Cell("set", mine.first(4), 16, joined)
    new = z3.And(joined, mine.first(12) == 0)
    tail = tail_of(target, joined)
    words, wakes = appended(target, tail, mine, 0, new)
    return Scenario(
        "waitable_set_event",
        "waitable_set_event",
        (mine.base, EVENT),
        [mine, target, tail],
        YES,
        Want([], (), words | {mine.word(12): EVENT}, [wakes]),
        summaries=WAKES,
    )


def _joins(mine: Cell) -> Iterator[Scenario]:
    """A waitable, in a set or not, with an event or not, joins another set, or none."""
    ready = mine.first(12) != 0
    old = List(mine.first(4), mine, 0, "old")
    new = Cell("new.set", symbol("joined"), 16)
    tail = tail_of(new)
    for was_in in (False, True):
        for joins in (False, True):
            cells, facts = [mine], [(mine.first(4) != 0) == z3.BoolVal(was_in), (symbol("joined") != 0) == joins]
            words: dict[Word, z3.BitVecRef] = {mine.word(4): symbol("joined")}
            events = []
            if was_in:
                cells += [old.set, *old.before]
                facts += [z3.Implies(ready, old.facts), z3.Implies(z3.Not(ready), PLACE == 0)]
                words |= {w: z3.If(ready, v, first_of(cells, w)) for w, v in old.removed().items()}
                words[old.set.word(8)] = old.set.first(8) - 1
            if joins:
                cells += [new, tail]
                more, wakes = appended(new, tail, mine, 0, ready)
                words |= more | {new.word(8): new.first(8) + 1}
                events.append(wakes)
            yield Scenario(
                f"waitable_join_set, {'in a set' if was_in else 'in none'}, to {'another' if joins else 'none'}",
                "waitable_join_set",
                (mine.base, symbol("joined")),
                cells,
                z3.And(*facts),
                Want([], (), words, events),
                summaries=WAKES,
            )


def first_of(cells: list[Cell], word: Word) -> z3.BitVecRef:
    """What a word of one of these cells holds before the call."""
    return next(c for c in cells if c.name == word[0]).first(int(word[1]))


NOT_SET, NOT_SET_TO_DROP = Trap.NOT_SET.value, Trap.NOT_SET_TO_DROP.value
UNKNOWN = "unknown handle index"


def _handles(limit: int) -> Iterator[Scenario]:
    """What begins with a handle."""
    t = Table(limit)
    entry, record = t.entry, t.record
    base = z3.And(t.invariant(), t.placed, t.beyond(record), z3.Implies(HANDLE == 0, entry.first(0) == 0))
    unknown = (UNKNOWN, z3.Or(z3.UGE(HANDLE, t.length), entry.first(0) == 0))
    two, low = (RECORD, HANDLE), [(t.at, t.capacity != 0)]
    is_set = z3.And(z3.ULT(HANDLE, t.length), entry.first(0) == 1)
    held = Cell("held", entry.first(4), 16, is_set)
    yield Scenario("entry_of", "entry_of", two, [record, entry], base, Want([unknown], (entry.base,)), low=low)
    yield Scenario(
        "set_get",
        "set_get",
        two,
        [record, entry],
        base,
        Want([unknown, (NOT_SET, entry.first(0) != 1)], (entry.first(4),)),
        low=low,
    )
    kind = entry.first(0)
    yield Scenario(
        "waitable_of",
        "waitable_of",
        two,
        [record, entry],
        base,
        Want(
            [unknown, (Trap.NOT_WAITABLE.value, z3.And(kind != 2, kind < FIRST_STREAM))],
            (z3.If(kind == 2, entry.first(4) + 16, entry.first(4)),),
        ),
        low=low,
    )
    yield Scenario(
        "set_drop",
        "set_drop",
        two,
        [record, entry, held],
        z3.And(base, z3.Implies(is_set, t.beyond(held))),
        Want(
            [
                unknown,
                (NOT_SET_TO_DROP, kind != 1),
                (Trap.SET_HAS_WAITERS.value, held.first(12) != 0),
                (Trap.SET_HAS_MEMBERS.value, held.first(8) != 0),
            ],
            (),
            t.released(),
            [Event(FREE, (held.base, bits(16)))],
        ),
        invariant=t.invariant,
        low=low,
    )
