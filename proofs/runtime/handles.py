"""The handle tables in bit-vectors: what each function of handles.wat has to do (CanonicalABI.md, "Table State").

Of a table only the record exists, the entry that a handle names, the one that was freed last, and the next that was
never used; handles, addresses, sizes and types are symbols. The invariant:

- no more entries were used than there is room for, and no more than the quota; a table that is not there has none;
- entry 0 is free, and so is the one that was freed last; the one behind that has been used;
- an entry that is not free and does not own has a scope with a borrow handle, or none of the functions is asked for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import z3

from meld.notes.channels import FIRST_STREAM
from meld.notes.handles import FIRST_RESOURCE
from proofs.runtime.cells import FREE, NEW, Cell, bits, full, symbol
from proofs.runtime.check import SIZE, YES, Event, Get, Moved, Scenario, Want, taken
from proofs.subject import Word

UNKNOWN, WRONG_TYPE = "unknown handle index", "handle index used with the wrong type"
NO_RESOURCE = "index is not a resource"
TABLE_FULL = "cannot allocate another handle"
LENT, NOT_OWN = "cannot remove owned resource while borrowed", "cannot lift own resource from a borrow"
BORROWS = "borrow handles still remain at the end of the call"
FIRST = 16
"""Entries of a new table."""
RECORD, TYPE, HANDLE, OBJECT, WORD, SCOPE = map(symbol, ("record", "type", "handle", "object", "word", "scope"))


def is_resource(number: z3.BitVecRef) -> z3.BoolRef:
    """Whether a type number is that of a resource type."""
    return z3.And(z3.UGE(number, FIRST_RESOURCE), z3.ULT(number, FIRST_STREAM))


def entry_at(table: z3.BitVecRef, index: z3.BitVecRef) -> z3.BitVecRef:
    """The address of an entry."""
    return table + (index << 4)


class Table:
    """The record of an instance and its table, before a call."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.record = Cell("record", RECORD, 128)
        self.at, self.length, self.free, self.capacity = (self.record.first(n) for n in (0, 4, 8, 12))
        self.loans = self.record.first(64)
        self.add = Add(Fields(self.at, self.length, self.free, self.capacity), limit)
        self.freed = self.add.cells[0]
        self.entry = self.entry_of("entry", HANDLE)

    def entry_of(self, name: str, handle: z3.BitVecRef) -> Cell:
        """The entry of a handle."""
        return Cell(name, entry_at(self.at, handle), 16, z3.ULT(handle, self.length))

    def invariant(self, get: Get | None = None) -> z3.BoolRef:
        """What holds of the record between calls."""
        read = get or (lambda cell, at: cell.first(at))
        length, free, capacity, loans = (read(self.record, n) for n in (4, 8, 12, 64))
        return z3.And(
            z3.ULE(length, capacity),
            z3.ULE(capacity, self.limit),
            capacity & (capacity - 1) == 0,
            z3.Or(capacity == 0, z3.UGE(capacity, FIRST)),
            (length == 0) == (capacity == 0),
            z3.Or(free == 0, z3.ULT(free, length)),
            z3.ULE(loans, self.limit),
        )

    @property
    def placed(self) -> z3.BoolRef:
        """The table lies in the memory, apart from the other cells and from a block that is new."""
        wide = z3.ZeroExt(32, self.at) + (z3.ZeroExt(32, self.capacity) << 4)
        return z3.And(
            z3.ULE(SIZE, 1 << 32),
            z3.Implies(self.capacity != 0, z3.And(z3.UGE(self.at, 16), z3.ULE(wide, SIZE), z3.ULE(wide, 0xFFFFFFF0))),
            z3.Extract(3, 0, self.at) == 0,
            z3.Implies(self.free != 0, z3.And(self.freed.first(0) == 0, z3.ULT(self.freed.first(12), self.length))),
        )

    def beyond(self, cell: Cell) -> z3.BoolRef:
        """A cell is no part of the table."""
        end = self.at + (self.capacity << 4)
        return z3.Or(self.capacity == 0, z3.ULE(cell.base + cell.size, self.at), z3.ULE(end, cell.base))

    def traps(self, handle: z3.BitVecRef = HANDLE, entry: Cell | None = None) -> list[tuple[str, z3.BoolRef]]:
        """Those of a handle that is not there, or not of the type."""
        found = (entry or self.entry).first(0)
        strange = z3.And(is_resource(TYPE), z3.Not(is_resource(found & 0x7FFFFFFF)))
        return [
            (UNKNOWN, z3.Or(z3.UGE(handle, self.length), found == 0)),
            (NO_RESOURCE, strange),
            (WRONG_TYPE, found != TYPE),
        ]

    def released(self) -> dict[Word, z3.BitVecRef]:
        """The words that change where the handle goes: its entry is free, and the next to be used."""
        entry = self.entry.word
        return {entry(0): bits(0), entry(12): self.free, self.record.word(8): HANDLE}


@dataclass(frozen=True, slots=True)
class Fields:
    """The words of a record that tell where its table is."""

    at: z3.BitVecRef
    length: z3.BitVecRef
    free: z3.BitVecRef
    capacity: z3.BitVecRef


@dataclass(slots=True)
class Add:
    """One more handle: the entry that was freed last, else the next one, in a table of twice the size if it is full."""

    before: Fields
    limit: int
    name: str = ""
    new: z3.BitVecRef = field(default_factory=lambda: symbol("new"))
    when: z3.BoolRef = YES

    @property
    def reuse(self) -> z3.BoolRef:
        return self.before.free != 0

    @property
    def grow(self) -> z3.BoolRef:
        return z3.And(self.before.free == 0, self.before.length == self.before.capacity)

    @property
    def index(self) -> z3.BitVecRef:
        f = self.before
        return z3.If(self.reuse, f.free, z3.If(f.length == 0, bits(1), f.length))

    @property
    def bytes(self) -> z3.BitVecRef:
        """Those of the new table."""
        return z3.If(self.before.length == 0, bits(16 * FIRST), self.before.length * 32)

    @property
    def cells(self) -> tuple[Cell, Cell, Cell]:
        """The entry: one that was freed, one that was never used, one in a table that has grown."""
        f, index = self.before, z3.If(self.before.length == 0, bits(1), self.before.length)
        append = z3.And(f.free == 0, z3.ULT(f.length, f.capacity))
        return (
            Cell(f"freed{self.name}", entry_at(f.at, f.free), 16, z3.And(self.when, self.reuse)),
            Cell(f"last{self.name}", entry_at(f.at, f.length), 16, z3.And(self.when, append)),
            Cell(f"grown{self.name}", entry_at(self.new, index), 16, z3.And(self.when, self.grow), zero=True),
        )

    @property
    def after(self) -> Fields:
        f, freed = self.before, self.cells[0]
        return Fields(
            z3.If(self.grow, self.new, f.at),
            z3.If(self.reuse, f.length, self.index + 1),
            z3.If(self.reuse, freed.first(12), f.free),
            z3.If(self.grow, z3.If(f.length == 0, bits(FIRST), f.length * 2), f.capacity),
        )

    def want(self, values: dict[int, z3.BitVecRef], block: int = 0) -> Want:
        """What is asked for, but for the words of the record; `block` is the number of the table's block."""
        words: dict[Word, z3.BitVecRef] = {}
        for cell in self.cells:
            words |= {cell.word(at): z3.If(cell.when, value, cell.first(at)) for at, value in values.items()}
        f, old = self.before, self.before.length * 16
        moves = z3.And(self.grow, f.length != 0)
        return Want(
            [(TABLE_FULL, z3.And(self.grow, z3.UGE(f.length, self.limit))), taken(block, self.grow)],
            (self.index,),
            words,
            [Event(NEW, (self.bytes,), self.grow), Event(FREE, (f.at, old), moves)],
            [Moved("state", "state", self.new, f.at, old, moves)],
        )


def record_words(record: Cell, after: Fields) -> dict[Word, z3.BitVecRef]:
    """The words of a record that say where its table is."""
    values = (after.at, after.length, after.free, after.capacity)
    return {record.word(4 * n): value for n, value in enumerate(values)}


def added(
    table: Table, type_: z3.BitVecRef, object_: z3.BitVecRef, word: z3.BitVecRef, last: z3.BitVecRef, block: int = 0
) -> Want:
    """What a new handle asks for."""
    want = table.add.want({0: type_, 4: object_, 8: word, 12: last}, block)
    want.words |= record_words(table.record, table.add.after)
    return want


def room(add: Add, *cells: Cell) -> z3.BoolRef:
    """A new table lies in the memory, apart from the old one and from cells that are no part of either."""
    new, bytes_, old = add.new, add.bytes, add.before
    end = z3.ZeroExt(32, new) + z3.ZeroExt(32, bytes_)
    behind = z3.ULE(old.at + (old.capacity << 4), new)
    return z3.And(
        z3.Or(old.capacity == 0, behind, z3.ULE(end, z3.ZeroExt(32, old.at))),
        z3.UGE(new, 16),
        z3.Extract(3, 0, new) == 0,
        z3.ULE(end, SIZE),
        z3.ULE(end, 0xFFFFFFF0),
        *(z3.Or(z3.ULE(cell.base + cell.size, new), z3.ULE(new + bytes_, cell.base)) for cell in cells),
    )


def new_block(size: int = 0, number: int = 0) -> Cell:
    """The n-th block from `block_new`; of a table, no word but those of the entry that is used is touched."""
    return Cell("new", symbol("new"), size, z3.Not(full(number)), zero=True)


def scenarios(limit: int) -> Iterator[Scenario]:
    """Every function over handle tables, of which each has up to so many entries."""
    t = Table(limit)
    for scenario in _scenarios(t):
        scenario.low = [(t.at, t.capacity != 0)]
        yield scenario


def _scenarios(t: Table) -> Iterator[Scenario]:
    entry, record = t.entry, t.record
    base = z3.And(t.invariant(), t.placed, TYPE != 0, t.beyond(record), z3.Implies(HANDLE == 0, entry.first(0) == 0))
    one = (RECORD, TYPE, HANDLE)

    def function(
        name: str,
        arguments: tuple[z3.BitVecRef, ...],
        given: z3.BoolRef,
        *,
        cells: list[Cell],
        want: Want,
        fresh: list[Cell] | None = None,
        atomic: bool = True,
    ) -> Scenario:
        full_name, cells = f"handle-table.{name}", [record, *cells]
        return Scenario(name, full_name, arguments, cells, given, want, fresh or [], t.invariant, atomic)

    adding = z3.And(t.invariant(), t.placed, room(t.add, record), t.beyond(record), TYPE != 0)
    yield function(
        "handle_add",
        (RECORD, TYPE, OBJECT, WORD),
        adding,
        cells=[*t.add.cells],
        want=added(t, TYPE, OBJECT, WORD, bits(0)),
        fresh=[new_block()],
    )
    scope = Cell("scope", SCOPE, 16)
    want = added(t, TYPE, OBJECT, bits(0), SCOPE)
    want.words[scope.word(0)] = scope.first(0) + 1
    yield function(
        "lower_borrow",
        (RECORD, TYPE, OBJECT, SCOPE),
        z3.And(adding, room(t.add, scope), t.beyond(scope)),
        cells=[*t.add.cells, scope],
        want=want,
        fresh=[new_block()],
        atomic=False,
    )
    at = Want(t.traps(), (entry.base,))
    yield function("handle_entry", one, base, cells=[entry], want=at)
    yield function("handle_get", one, base, cells=[entry], want=Want(t.traps(), (entry.first(4),)))
    yield function("handle_remove", one, base, cells=[entry], want=Want(t.traps(), (entry.first(4),), t.released()))
    word = entry.first(8)
    yield function(
        "lift_own",
        one,
        base,
        cells=[entry],
        want=Want(
            [*t.traps(), (NOT_OWN, word & 1 == 0), (LENT, word != 1)],
            (entry.first(4),),
            t.released(),
        ),
    )
    borrowed = z3.And(z3.ULT(HANDLE, t.length), entry.first(0) != 0, word & 1 == 0)
    own_scope = Cell("lender", entry.first(12), 16, borrowed)
    told = z3.If(word == 1, bits(1), own_scope.first(12) << 1)
    count = own_scope.first(0)
    yield function(
        "drop",
        one,
        z3.And(
            base, z3.Implies(borrowed, z3.And(t.beyond(own_scope), z3.UGE(count, 1), z3.ULE(own_scope.first(12), 1)))
        ),
        cells=[entry, own_scope],
        want=Want(
            [*t.traps(), (LENT, z3.UGT(word, 1))],
            (entry.first(4), told),
            t.released() | {own_scope.word(0): z3.If(word == 0, count - 1, count)},
        ),
    )
    yield from loans(t, base)


def loans(t: Table, base: z3.BoolRef) -> Iterator[Scenario]:
    """Handles that are lent for the time of a call, and their return."""
    entry, record = t.entry, t.record
    scope, block = Cell("scope", SCOPE, 16), new_block(16)
    more = scope.first(8) != 0
    word = entry.first(8)
    yield Scenario(
        "lift_borrow",
        "handle-table.lift_borrow",
        (RECORD, TYPE, HANDLE, SCOPE),
        [record, entry, scope],
        z3.And(base, t.beyond(scope), t.beyond(block), z3.ULE(word, 2 * t.limit + 1)),
        Want(
            [*t.traps(), (TABLE_FULL, z3.UGE(t.loans, t.limit)), taken(0, more)],
            (entry.first(4),),
            {
                entry.word(8): word + 2,
                record.word(64): t.loans + 1,
                scope.word(8): z3.If(more, scope.first(8), HANDLE),
                scope.word(4): z3.If(more, block.base, scope.first(4)),
                block.word(0): z3.If(more, HANDLE, bits(0)),
                block.word(4): z3.If(more, scope.first(4), bits(0)),
            },
            [Event(NEW, (bits(16),), more)],
        ),
        [block],
        t.invariant,
        atomic=False,
    )
    yield Scenario(
        "end_borrows",
        "handle-table.end_borrows",
        (SCOPE,),
        [scope],
        z3.BoolVal(True),
        Want([(BORROWS, scope.first(0) != 0)]),
    )
    outside, fresh = symbol("outside"), new_block(16)
    yield Scenario(
        "scope_new",
        "handle-table.scope_new",
        (outside,),
        [],
        z3.BoolVal(True),
        Want([taken(0, z3.BoolVal(True))], (fresh.base,), {fresh.word(12): outside}, [Event(NEW, (bits(16),))]),
        [fresh],
    )
    yield ended(t, 2)


def ended(t: Table, most: int) -> Scenario:
    """`end_loans` where a scope has up to so many loans besides the first; each is one of two handles."""
    scope = Cell("scope", SCOPE, 16)
    entries = [t.entry_of(f"entry{n}", symbol(f"handle{n}")) for n in range(2)]
    handles = [symbol(f"handle{n}") for n in range(2)]
    first = scope.first(8)
    listed: list[tuple[Cell, z3.BoolRef]] = []
    there, address = first != 0, scope.first(4)
    facts = [z3.Implies(first == 0, address == 0)]
    for n in range(most):
        there = z3.And(there, address != 0)
        block = Cell(f"loan{n}", address, 16, there)
        listed.append((block, there))
        address = block.first(4)
    facts.append(z3.Implies(there, address == 0))
    lent = [(first, first != 0), *((block.first(0), when) for block, when in listed)]
    words = {scope.word(4): z3.If(first != 0, bits(0), scope.first(4)), scope.word(8): bits(0)}
    total = bits(0)
    for handle, when in lent:
        facts.append(z3.Implies(when, z3.Or(*(handle == h for h in handles))))
        total = total + z3.If(when, bits(1), bits(0))
    for entry, own in zip(entries, handles, strict=True):
        here = bits(0)
        for handle, when in lent:
            here = here + z3.If(z3.And(when, handle == own), bits(1), bits(0))
        words[entry.word(8)] = entry.first(8) - 2 * here
        facts.append(z3.UGE(entry.first(8), 2 * here))
    words[t.record.word(64)] = t.loans - total
    facts += [z3.UGE(t.loans, total), handles[0] != handles[1]]
    facts += [z3.And(z3.ULT(h, t.length), h != 0) for h in handles]
    blocks = [block for block, _ in listed]
    facts += [z3.Implies(b.when, t.beyond(b)) for b in (scope, t.record, *blocks)]
    return Scenario(
        "end_loans",
        "handle-table.end_loans",
        (RECORD, SCOPE),
        [t.record, scope, *entries, *blocks],
        z3.And(t.invariant(), t.placed, *facts),
        Want([], (), words, [Event(FREE, (b.base, bits(16)), when) for b, when in listed]),
        invariant=t.invariant,
    )
