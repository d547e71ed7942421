"""The rendezvous in bit-vectors: reads, writes, cancels and drops of the ends of a channel, and their events.

A channel says of each end whether it is busy, done, parked, dropped, and of a future whether its value was handed over.
The invariant (CanonicalABI.md, "Stream State", "Future State"):

- at most one end is parked, and it is busy; at most one is dropped, and it is not busy;
- a busy end is parked or has an event; an idle end has none but that the other end was dropped;
- an end whose other end was dropped has an event that says so, or is done, or its future has been handed over;
- no other event says so, and a future has no other event without a value that was handed over;
- of a parked buffer, elements that were moved and those that are left are less than 2²⁸; an empty one has no event;
- an end that an instance has a handle of was not dropped;
- the buffer lies in the memory of its place.

A read or write that blocks waits if it is synchronous: `await_end` is called last, and says what it returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import z3

from meld.abi.traps import Trap
from meld.notes.channels import FIRST_FUTURE, FIRST_STREAM
from proofs.runtime.cells import FREE, GLOBAL, Cell, bits, symbol
from proofs.runtime.check import Event, Get, Moved, Scenario, Want
from proofs.runtime.handles import HANDLE, RECORD, Table
from proofs.runtime.waitables import UNKNOWN, WAKES, List, appended, tail_of
from proofs.subject import Word

MOST = (1 << 28) - 1
"""Elements of a buffer."""
AT, COUNT, PLACE_OF, SYNC = symbol("ptr"), symbol("n"), symbol("place.of"), symbol("sync")
BUSY, DONE, PARKED, DROPPED, WRITTEN = 0, 1, 2, 3, 8
"""Bits of the state of a channel; those of the writable end are four higher."""
MEMORIES = ("memory0", "memory1")
AWAIT = "await_end"


@dataclass(slots=True)
class Kind:
    """A kind of channels of the program.

    Attributes:
        domain: the number of its domain.
        size: bytes of an element, 0 or 1.
    """

    future: bool
    domain: int
    size: int

    @property
    def type(self) -> int:
        """The number of the type of the readable end."""
        return (FIRST_FUTURE if self.future else FIRST_STREAM) + 2 * (self.size == 0)


class End:
    """An end of a channel whose handle is given, with the entry, the channel, and the other end."""

    def __init__(self, kind: Kind, write: bool, limit: int) -> None:
        self.kind, self.write = kind, write
        self.table = t = Table(limit)
        self.entry = t.entry
        self.type = kind.type + write
        self.valid = z3.And(z3.ULT(HANDLE, t.length), self.entry.first(0) == self.type)
        self.mine, self.other = (16, 0) if write else (0, 16)
        self.channel = Cell("channel", self.entry.first(4) - self.mine, 64, self.valid)
        self.state = self.word(32)
        self.base = z3.And(
            t.invariant(),
            t.placed,
            t.beyond(t.record),
            t.beyond(self.channel),
            z3.Implies(HANDLE == 0, self.entry.first(0) == 0),
            z3.Implies(self.valid, z3.And(self.invariant(), z3.Not(self.has(DROPPED)))),
        )

    def word(self, offset: int) -> z3.BitVecRef:
        return self.channel.first(offset)

    def has(self, bit: int, other: bool = False) -> z3.BoolRef:
        """Whether a bit of this end, or of the other one, is set."""
        return _bit(self.state, self.bit(bit, other))

    def bit(self, bit: int, other: bool = False) -> int:
        return bit if bit == WRITTEN else bit + 4 * (self.write != other)

    @property
    def written(self) -> z3.BoolRef:
        return self.has(WRITTEN)

    @property
    def event(self) -> z3.BitVecRef:
        return self.word(self.mine + 12)

    def invariant(self, get: Get | None = None) -> z3.BoolRef:
        """What holds of the channel between calls."""
        read = get or (lambda cell, at: cell.first(at))
        state, left = read(self.channel, 32), read(self.channel, 40)

        def of(write: bool, bit: int) -> z3.BoolRef:
            return _bit(state, bit + 4 * write)

        facts = [z3.ULT(state, 512 if self.kind.future else 256)]
        facts += [z3.Not(z3.And(of(False, bit), of(True, bit))) for bit in (PARKED, DROPPED)]
        for write in (False, True):
            event, handle = read(self.channel, 16 * write + 12), read(self.channel, 16 * write)
            moved, told = z3.LShR(event - 1, 4), (event - 1) & 1 == 1
            inside = z3.And(
                (event - 1) & 15 == 0, moved != 0, left != 0, z3.ULE(moved, MOST), z3.ULE(moved + left, MOST)
            )
            parked = event == 0 if self.kind.future else z3.Or(event == 0, inside)
            handed = _bit(state, WRITTEN) if self.kind.future else z3.BoolVal(False)
            facts += [
                z3.Implies(of(write, PARKED), z3.And(of(write, BUSY), parked, z3.ULE(left, MOST))),
                z3.Implies(of(write, DROPPED), z3.Not(of(write, BUSY))),
                z3.Implies(of(write, BUSY), z3.Or(of(write, PARKED), event != 0)),
                z3.Implies(
                    z3.And(z3.Not(of(write, BUSY)), z3.Not(of(write, DROPPED)), event != 0),
                    z3.And(event == 2, of(not write, DROPPED)),
                ),
                z3.Implies(of(not write, DROPPED), z3.Or(z3.And(event != 0, told), of(write, DONE), handed)),
                z3.Implies(event != 0, z3.And((event - 1) & 14 == 0, z3.Implies(told, of(not write, DROPPED)))),
                z3.LShR(handle, 28) == 2 + 2 * self.kind.future + write,
            ]
            if self.kind.future:
                facts.append(z3.Implies(of(write, PARKED), left == 1))
                facts.append(z3.Or(event == 0, event == 2, z3.And(event == 1, handed)))
            facts.append(z3.ULE(event, (1 << 32) - 14))
        return z3.And(*facts)

    def traps(self, wrong_end: Trap) -> list[tuple[str, z3.BoolRef]]:
        """Those of a handle that is not one of this end."""
        found, future = self.entry.first(0), self.kind.future
        first = FIRST_FUTURE if future else FIRST_STREAM
        outside = z3.ULT(found, first) if future else z3.Or(z3.ULT(found, first), z3.UGE(found, FIRST_FUTURE))
        return [
            (UNKNOWN, z3.Or(z3.UGE(HANDLE, self.table.length), found == 0)),
            (wrong_end.value, found == (self.type ^ 1)),
            ((Trap.NOT_FUTURE if future else Trap.NOT_STREAM).value, z3.And(found != self.type, outside)),
            ((Trap.OTHER_FUTURE if future else Trap.OTHER_STREAM).value, found != self.type),
        ]

    def set(self, *changes: tuple[int, bool, bool], state: z3.BitVecRef | None = None) -> z3.BitVecRef:
        """The state with some bits changed: bit, whether of the other end, and its value."""
        value = self.state if state is None else state
        for bit, other, on in changes:
            mask = 1 << self.bit(bit, other)
            value = value | mask if on else value & bits(~mask & 0xFFFFFFFF)
        return value

    @property
    def name(self) -> str:
        kind = "future" if self.kind.future else "stream"
        return f"{kind}s of {self.kind.size} bytes, {'writable' if self.write else 'readable'} end"


def _bit(word: z3.BitVecRef, n: int) -> z3.BoolRef:
    return z3.Extract(n, n, word) == 1


def merged(cells: list[Cell], *changes: tuple[z3.BoolRef, dict[Word, z3.BitVecRef]]) -> dict[Word, z3.BitVecRef]:
    """Words that change under conditions that exclude one another."""
    words: dict[Word, z3.BitVecRef] = {}
    for when, changed in changes:
        for word, value in changed.items():
            first = next(c for c in cells if c.name == word[0]).first(int(word[1]))
            words[word] = z3.If(when, value, words.get(word, first))
    return words


def copy(end: End, sync: bool = False) -> Scenario:
    """A read or a write; one that is synchronous waits where it would block."""
    future, write, size = end.kind.future, end.write, end.kind.size
    channel = end.channel
    left, parked_at, event = end.word(40), end.word(36), end.event
    idle = z3.And(end.valid, z3.Not(z3.Or(end.has(BUSY), end.has(DONE), z3.And(z3.BoolVal(future), end.written))))
    gone = z3.And(idle, end.has(DROPPED, True))
    meets = z3.And(idle, z3.Not(end.has(DROPPED, True)), end.has(PARKED, True))
    nothing = z3.BoolVal(False)
    zero_left, zero = (nothing, nothing) if future else (left == 0, COUNT == 0)
    first, second = (zero, zero_left) if write else (zero_left, zero)
    first, second = z3.And(meets, first), z3.And(meets, z3.Not(first), second)
    returns, pushed = (first, second) if write else (second, first)  # completes with nothing; the other one completes
    moves = z3.And(meets, z3.Not(returns), z3.Not(pushed))
    parks = z3.And(idle, z3.Not(end.has(DROPPED, True)), z3.Or(z3.Not(end.has(PARKED, True)), pushed))
    n = z3.If(z3.ULT(left, COUNT), left, COUNT)
    progress = bits(0) if future else n << 4
    theirs = end.word(end.other + 12)

    removed = List(
        end.word(end.mine + 4), channel, end.mine, "my.set", z3.And(gone, event != 0, end.word(end.mine + 4) != 0), 1
    )
    their_set = end.word(end.other + 4)
    target = Cell("their.set", their_set, 16, z3.And(meets, z3.UGT(their_set, 1)))
    tail = tail_of(target, target.when)
    notifies = z3.And(z3.Or(moves, pushed), theirs == 0, z3.UGT(their_set, 1))
    list_words, wakes = appended(target, tail, channel, end.other, notifies)
    all_of_it = z3.And(moves, n == left)
    handed = [(WRITTEN, False, True)] if future else []
    word = channel.word
    cells = [end.table.record, end.entry, channel, removed.set, *removed.before, target, tail]
    words = list_words | merged(
        cells,
        (removed.set.when, removed.removed()),
        (gone, {word(32): end.set((DONE, False, True), *handed), word(end.mine + 12): bits(0)}),
    )
    parked_state = z3.If(pushed, end.set((PARKED, True, False)), end.state)
    parked_state = end.set((BUSY, False, True), (PARKED, False, True), state=parked_state)
    words[word(32)] = z3.If(
        parks,
        parked_state,
        z3.If(all_of_it, end.set((PARKED, True, False), *handed), words[word(32)]),
    )
    words[word(end.other + 12)] = z3.If(
        moves, z3.If(theirs == 0, bits(1), theirs) + progress, z3.If(pushed, bits(1), theirs)
    )
    some = z3.And(moves, n != left)
    words[word(36)] = z3.If(parks, AT, z3.If(some, parked_at + n * size, parked_at))
    words[word(40)] = z3.If(parks, COUNT, z3.If(some, left - n, left))
    words[word(44)] = z3.If(parks, PLACE_OF, end.word(44))
    words[word(48)] = z3.If(parks, RECORD, end.word(48))
    verb = "write" if write else "read"
    blocked, waits = bits(-1), []
    if sync:
        blocked, waits = symbol(f"{AWAIT}.answer"), [Event(AWAIT, (end.entry.first(4),), parks)]
        words[GLOBAL, f"{AWAIT}.answer"] = blocked
    result = z3.If(gone, bits(1), z3.If(returns, bits(0), z3.If(moves, progress, blocked)))
    done = (
        (Trap.WRITE_WRITTEN if write else Trap.READ_WRITTEN)
        if future
        else (Trap.WRITE_DONE if write else Trap.READ_DONE)
    )
    shares = {name: z3.BitVec(f"{name}.size", 64) for name in MEMORIES} if size else {}
    moved, facts = [], [z3.ULE(COUNT, MOST), COUNT == 1 if future else z3.BoolVal(True)]
    their_place = end.word(44)
    if size:
        facts += [z3.ULE(share, 1 << 32) for share in shares.values()]
        facts += [z3.ULT(PLACE_OF, 2), z3.Implies(meets, z3.ULT(their_place, 2))]
        for at, count, place, when in ((AT, COUNT, PLACE_OF, z3.BoolVal(True)), (parked_at, left, their_place, meets)):
            end_of = z3.ZeroExt(32, at) + z3.ZeroExt(32, count)
            share = z3.If(place == 0, *shares.values())
            facts.append(z3.Implies(z3.And(when, count != 0), z3.ULE(end_of, share)))
        for a, mine in enumerate(MEMORIES):
            for b, other in enumerate(MEMORIES):
                pair = z3.And(moves, a == PLACE_OF, their_place == b)
                if write:
                    moved.append(Moved(other, mine, parked_at, AT, n, pair))
                else:
                    moved.append(Moved(mine, other, AT, parked_at, n, pair))
    prefix = "future" if future else "stream"
    return Scenario(
        f"{prefix}.{verb}, elements of {size} bytes" + (", synchronous" if sync else ""),
        f"{prefix}_{verb}.{end.kind.domain}" + (".sync" if sync else ""),
        (RECORD, PLACE_OF, HANDLE, AT, COUNT),
        cells,
        z3.And(end.base, z3.Implies(removed.set.when, removed.facts), *facts),
        Want(
            [
                *end.traps(Trap.COPYING),
                (Trap.COPYING.value, end.has(BUSY)),
                (done.value, z3.Not(idle)),
            ],
            (result,),
            words,
            [wakes, *waits],
            moved,
        ),
        invariant=lambda get: end.invariant(get),
        summaries=WAKES | {AWAIT} if sync else WAKES,
        shares=shares,
        low=[(end.table.at, end.table.capacity != 0)],
    )


def delivered(end: End, payload: z3.BitVecRef) -> dict[Word, z3.BitVecRef]:
    """The words that change where the event of an end is delivered: it is idle, and done if the other end is gone."""
    idle = end.set((BUSY, False, False), (PARKED, False, False))
    state = z3.If(payload & 1 == 1, end.set((DONE, False, True), state=idle), idle)
    return {end.channel.word(32): state, end.channel.word(end.mine + 12): bits(0)}


def cancel(end: End) -> Scenario:
    """A read or write is cancelled: an event that is there is its result."""
    own_set = end.word(end.mine + 4)
    ready = z3.And(end.valid, end.has(BUSY), end.event != 0)
    listed = List(own_set, end.channel, end.mine, "my.set", z3.And(ready, z3.UGT(own_set, 1)), 1)
    payload = end.event - 1
    cells = [end.table.record, end.entry, end.channel, listed.set, *listed.before]
    words = merged(
        cells,
        (listed.set.when, listed.removed()),
        (ready, delivered(end, payload)),
        (z3.Not(ready), {end.channel.word(32): end.set((BUSY, False, False), (PARKED, False, False))}),
    )
    completed = payload if end.kind.future else payload | 2
    result = z3.If(ready, z3.If(payload & 1 == 1, payload, completed), bits(2))
    verb = "write" if end.write else "read"
    sync = z3.Or(own_set == 1, z3.And(SYNC != 0, own_set != 0))
    return Scenario(
        f"cancel-{verb}, {end.name}",
        "channel_cancel",
        (RECORD, bits(end.type), HANDLE, SYNC),
        cells,
        z3.And(end.base, z3.Implies(listed.set.when, listed.facts)),
        Want(
            [
                *end.traps(Trap.CANCEL_READ_END if end.write else Trap.CANCEL_WRITE_END),
                ((Trap.NO_WRITE if end.write else Trap.NO_READ).value, z3.Not(end.has(BUSY))),
                (Trap.SYNC_AND_ASYNC.value, sync),
            ],
            (result,),
            words,
        ),
        invariant=lambda get: end.invariant(get),
        low=[(end.table.at, end.table.capacity != 0)],
    )


WRONG_END = {
    (False, False): Trap.NOT_READABLE_STREAM,
    (False, True): Trap.NOT_WRITABLE_STREAM,
    (True, False): Trap.NOT_READABLE_FUTURE,
    (True, True): Trap.NOT_WRITABLE_FUTURE,
}
BUSY_END = {
    (False, False): Trap.BUSY_READABLE_STREAM,
    (False, True): Trap.BUSY_WRITABLE_STREAM,
    (True, False): Trap.BUSY_READABLE_FUTURE,
    (True, True): Trap.BUSY_WRITABLE_FUTURE,
}
"""By future and writable."""


def drop(end: End) -> Scenario:
    """An end goes; the other end is told, or the channel goes with it."""
    future = end.kind.future
    own_set, their_set = end.word(end.mine + 4), end.word(end.other + 4)
    theirs = end.word(end.other + 12)
    last = end.has(DROPPED, True)
    goes = z3.And(end.valid, z3.Not(end.has(BUSY)))
    listed = List(own_set, end.channel, end.mine, "my.set", z3.And(goes, own_set != 0), 1)
    ready = z3.And(listed.set.when, end.event != 0)
    target = Cell("their.set", their_set, 16, z3.And(goes, z3.Not(last), z3.UGT(their_set, 1)))
    tail = tail_of(target, target.when)
    tells = z3.And(target.when, theirs == 0)
    cells = [end.table.record, end.entry, end.channel, listed.set, *listed.before, target, tail]
    list_words, wakes = appended(target, tail, end.channel, end.other, tells)
    word = end.channel.word
    members = {listed.set.word(8): listed.set.first(8) - 1}
    words = list_words | merged(cells, (ready, listed.removed()), (listed.set.when, members))
    words |= end.table.released()
    state = end.set((DROPPED, False, True), (PARKED, False, False), (PARKED, True, False))
    told = theirs if future else ((theirs - 1) | 1) + 1
    words |= {
        word(end.mine + 4): bits(0),
        word(32): z3.If(last, end.state, state),
        word(end.other + 12): z3.If(last, theirs, z3.If(theirs == 0, bits(2), told)),
    }
    traps = [*end.traps(WRONG_END[future, end.write]), (BUSY_END[future, end.write].value, end.has(BUSY))]
    if future and end.write:
        traps.append((Trap.FUTURE_NOT_WRITTEN.value, z3.Not(z3.Or(end.written, end.has(DONE)))))
    return Scenario(
        f"drop, {end.name}",
        "channel_drop",
        (RECORD, bits(end.type), HANDLE),
        cells,
        z3.And(
            end.base,
            z3.Implies(goes, own_set != 1),
            z3.Implies(ready, listed.facts),
        ),
        Want(traps, (), words, [wakes, Event(FREE, (end.channel.base, bits(64)), last)]),
        invariant=lambda get: z3.Or(last, z3.And(end.invariant(get), end.table.invariant(get))),
        summaries=WAKES,
        low=[(end.table.at, end.table.capacity != 0)],
    )


def take(end: End) -> Scenario:
    """The first event of a set is delivered; here it is one of this end, or there is none."""
    target = Cell("my.set", symbol("set"), 16)
    none = target.first(0) == 0
    channel = Cell("channel", target.first(0) - end.mine, 64, z3.Not(none))
    end.channel, end.state = channel, channel.first(32)
    payload, handle = end.event - 1, channel.first(end.mine)
    cells = [target, channel]
    words = merged(cells, (z3.Not(none), {target.word(0): channel.first(end.mine + 8)} | delivered(end, payload)))
    results = (z3.LShR(handle, 28), handle & 0xFFFFFFF, payload)
    return Scenario(
        f"set_take, {end.name}",
        "set_take",
        (target.base,),
        cells,
        z3.Implies(z3.Not(none), z3.And(end.invariant(), end.event != 0)),
        Want([], tuple(z3.If(none, bits(0), r) for r in results), words),
        invariant=lambda get: z3.Or(none, end.invariant(get)),
    )


KINDS = (Kind(False, 0, 1), Kind(True, 1, 1), Kind(False, 2, 0), Kind(True, 3, 0))
"""As the program numbers its domains."""


def scenarios(limit: int) -> Iterator[Scenario]:
    """Every function over ends of channels."""
    for function in (take, cancel, drop):
        for kind in KINDS[:2]:
            yield from (function(End(kind, write, limit)) for write in (False, True))
    for kind in reversed(KINDS):
        yield from (copy(End(kind, write, limit)) for write in (False, True))
    for kind in KINDS[2:]:
        yield from (copy(End(kind, write, limit), sync=True) for write in (False, True))
