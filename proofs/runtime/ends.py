"""Ends and sets that come to be, and readable ends that go from one instance to another, in bit-vectors.

`stream.new` and `future.new` add two handles. Each entry is one that was freed, or one that was never used, and the
table may grow on the way, at the first or at the second; never at both. Of the free list exist the two entries that
are used first; what is behind them is not said.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3

from meld.abi.traps import Trap
from proofs.runtime.cells import NEW, Cell, bits, full, symbol
from proofs.runtime.channels import BUSY, BUSY_END, DONE, KINDS, WRONG_END, End, Kind
from proofs.runtime.check import YES, Event, Get, Scenario, Want, taken
from proofs.runtime.handles import HANDLE, RECORD, Add, Table, added, new_block, record_words, room

WAITABLE = symbol("waitable")
MADE = symbol("made")
"""The channel or set that is new."""


def scenarios(limit: int) -> Iterator[Scenario]:
    """What makes ends and sets, and what carries ends."""
    yield new_set(limit)
    for kind in KINDS[:2]:
        yield new_channel(kind, limit)
        yield lift(kind, limit)
    yield lower(limit)


def new_channel(kind: Kind, limit: int) -> Scenario:
    """A channel, and a handle of either end."""
    t = Table(limit)
    first = t.add
    second = Add(first.after, limit, ".2")
    block = Cell("channel", MADE, 64, z3.Not(full(0)), zero=True)
    wants = [
        add.want({0: bits(kind.type + n), 4: MADE + 16 * n, 8: bits(0), 12: bits(0)}, block=1)
        for n, add in enumerate((first, second))
    ]
    readable, writable = (want.results[0] for want in wants)
    code = (2 + 2 * kind.future) << 28
    words = wants[0].words | wants[1].words | record_words(t.record, second.after)
    words |= {block.word(0): readable | bits(code), block.word(16): writable | bits(code | 1 << 28)}
    behind = second.cells[0]
    twice = z3.And(first.reuse, second.reuse)
    free = z3.Implies(twice, z3.And(behind.first(0) == 0, z3.ULT(behind.first(12), t.length)))
    made = End(kind, False, limit)
    made.channel = block

    def after(get: Get) -> z3.BoolRef:
        return z3.And(made.invariant(get), t.invariant(get), readable != writable, readable != 0, writable != 0)

    return Scenario(
        f"{'future' if kind.future else 'stream'}.new",
        "channel_new",
        (RECORD, bits(kind.type)),
        [t.record, *first.cells, *second.cells],
        z3.And(
            t.invariant(),
            t.placed,
            free,
            t.beyond(t.record),
            t.beyond(block),
            *(z3.Implies(add.grow, room(add, t.record, block)) for add in (first, second)),
            z3.Implies(first.reuse, t.freed.first(12) != t.free),
            z3.Implies(twice, behind.first(12) != t.free),
        ),
        Want(
            [taken(0, YES), *wants[0].traps, *wants[1].traps],
            (z3.Concat(writable, readable),),
            words,
            [Event(NEW, (bits(64),)), *wants[0].events, *wants[1].events],
            [*wants[0].moved, *wants[1].moved],
        ),
        [block, new_block(number=1)],
        after,
        atomic=False,
        low=[(t.at, t.capacity != 0)],
    )


def new_set(limit: int) -> Scenario:
    """A set, and its handle."""
    t = Table(limit)
    block = Cell("made", MADE, 16, z3.Not(full(0)), zero=True)
    want = added(t, bits(1), MADE, bits(0), bits(0), block=1)
    want.traps.insert(0, taken(0, YES))
    want.events.insert(0, Event(NEW, (bits(16),)))
    return Scenario(
        "waitable-set.new",
        "set_new",
        (RECORD,),
        [t.record, *t.add.cells],
        z3.And(
            t.invariant(),
            t.placed,
            t.beyond(t.record),
            t.beyond(block),
            z3.Implies(t.add.grow, room(t.add, t.record, block)),
        ),
        want,
        [block, new_block(number=1)],
        t.invariant,
        atomic=False,
        low=[(t.at, t.capacity != 0)],
    )


def lift(kind: Kind, limit: int) -> Scenario:
    """A readable end leaves an instance: it is idle, in no set, and not done; a future has not been read."""
    end = End(kind, False, limit)
    future = kind.future
    read, joined = (
        (Trap.LIFT_READ_FUTURE, Trap.LIFT_JOINED_FUTURE) if future else (Trap.LIFT_DONE_STREAM, Trap.LIFT_JOINED_STREAM)
    )
    traps = [
        *end.traps(WRONG_END[future, False]),
        (BUSY_END[future, False].value, end.has(BUSY)),
        (read.value, end.has(DONE)),
        (joined.value, end.word(4) != 0),
    ]
    if future:
        traps.append((Trap.LIFT_READ_FUTURE.value, end.written))
    return Scenario(
        f"lift, {end.name}",
        "end_lift",
        (RECORD, bits(end.type), HANDLE),
        [end.table.record, end.entry, end.channel],
        end.base,
        Want(traps, (end.entry.first(4),), end.table.released()),
        invariant=lambda get: z3.And(end.invariant(get), end.table.invariant(get)),
        low=[(end.table.at, end.table.capacity != 0)],
    )


def lower(limit: int) -> Scenario:
    """An instance is given a readable end; its events name the new handle."""
    t, end = Table(limit), Cell("end", WAITABLE, 16)
    want = added(t, symbol("type"), WAITABLE, bits(0), bits(0))
    code = end.first(0) & bits(0xF0000000)
    want.words[end.word(0)] = code | want.results[0]
    return Scenario(
        "lower, readable end",
        "end_lower",
        (RECORD, symbol("type"), WAITABLE),
        [t.record, *t.add.cells, end],
        z3.And(
            t.invariant(), t.placed, t.beyond(t.record), t.beyond(end), room(t.add, t.record, end), symbol("type") != 0
        ),
        want,
        [new_block()],
        lambda get: z3.And(t.invariant(get), z3.LShR(get(end, 0), 28) == z3.LShR(end.first(0), 28)),
        atomic=True,
        low=[(t.at, t.capacity != 0)],
    )
