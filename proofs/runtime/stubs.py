"""What stands for a built-in of an instance, in bit-vectors: the checks of its memory, and whom it calls with what.

A read or write of a stream is refused if it is too long; one whose buffer is not empty also if that does not lie in
the memory, or is not aligned (CanonicalABI.md, `Buffer`, canon {stream,future}.{read,write}). Otherwise it asks the
function of its domain, whose proof (channels.py) assumes just that of the buffer; a synchronous one has functions of
its own, which wait. `waitable-set.poll` writes an event to eight bytes, which have to be in the memory and aligned.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import z3

from meld.abi.traps import Trap
from proofs.runtime.cells import GLOBAL, Cell, bits, symbol
from proofs.runtime.channels import AT, COUNT, MOST
from proofs.runtime.check import Event, Scenario, Want
from proofs.runtime.handles import HANDLE, Table
from proofs.runtime.program import ELEMENTS, build_stubs
from proofs.runtime.waitables import NOT_SET, UNKNOWN
from proofs.subject import Word

SIZES = ["none", "u8", "u32", "f64"]
"""Elements of 0, 1, 4 and 8 bytes, aligned to so many."""


@cache
def built() -> tuple[bytes, list[int]]:
    """The program, and the addresses of the records of its instances."""
    return build_stubs(SIZES)


def scenarios(limit: int) -> Iterator[Scenario]:
    """Every stub that has to do with a memory; all of one instance, and of the other those with elements of 4 bytes."""
    for instance in range(2):
        for domain, name in enumerate(SIZES):
            for future in (False, True):
                for verb in ("read", "write") if instance == 0 or name == "u32" else ():
                    for sync in (False, True):
                        yield _copy(instance, 2 * domain + future, name, future=future, verb=verb, sync=sync)
        yield _poll(instance, limit)


def _shares(instance: int) -> tuple[dict[str, z3.BitVecRef], z3.BitVecRef, z3.BoolRef]:
    """The memories of both instances, the size of that of one, and what is known of it: it is one of pages."""
    shares = {f"memory{n}": z3.BitVec(f"memory{n}.size", 64) for n in range(2)}
    facts = [z3.And(z3.ULE(size, 1 << 32), z3.Extract(15, 0, size) == 0) for size in shares.values()]
    return shares, shares[f"memory{instance}"], z3.And(*facts)


def _outside(at: z3.BitVecRef, length: z3.BitVecRef, size: z3.BitVecRef) -> z3.BoolRef:
    """Whether bytes, so many in 64 bits, are not all in a memory."""
    return z3.UGT(z3.ZeroExt(32, at) + length, size)


def _copy(instance: int, domain: int, element: str, *, future: bool, verb: str, sync: bool) -> Scenario:
    """A read or a write."""
    size = ELEMENTS[element][1].size
    shares, own, given = _shares(instance)
    count = bits(1) if future else COUNT
    kind = "future" if future else "stream"
    asked = f"{kind}_{verb}.{domain}{'.sync' if sync else ''}"
    traps = [] if future else [(Trap.TOO_MANY.value, z3.UGT(COUNT, MOST))]
    if size:
        some = count != 0
        unaligned = Trap.READ_ALIGNMENT if verb == "read" else Trap.WRITE_ALIGNMENT
        traps += [
            (Trap.BUFFER.value, z3.And(some, _outside(AT, z3.ZeroExt(32, count) * size, own))),
            (unaligned.value, z3.And(some, z3.URem(AT, bits(size)) != 0)),
        ]
    answer = symbol(f"{asked}.answer")
    place = instance if size else 0
    arguments = (bits(built()[1][instance]), bits(place), HANDLE, AT, count)
    words: dict[Word, z3.BitVecRef] = {(GLOBAL, f"{asked}.answer"): answer}
    events = [Event(asked, arguments)]
    name = f"{instance} {kind}.{verb} {element}{' sync' if sync else ''}"
    return Scenario(
        f"stub: {name}",
        name,
        (HANDLE, AT) if future else (HANDLE, AT, COUNT),
        [],
        given,
        Want(traps, (answer,), words, events),
        shares=shares,
        summaries=frozenset({asked}),
        program="stubs",
    )


def _poll(instance: int, limit: int) -> Scenario:
    """`waitable-set.poll`, of a set whose first event is one of a subtask, if it has any."""
    shares, own, given = _shares(instance)
    t = Table(limit)
    t.record = Cell("record", bits(built()[1][instance]), 128, static=True)
    entry = t.entry
    is_set = z3.And(z3.ULT(HANDLE, t.length), entry.first(0) == 1)
    polled = Cell("set", entry.first(4), 16, is_set)
    first = Cell("first", polled.first(0), 16, z3.And(is_set, polled.first(0) != 0))
    inside = z3.Not(_outside(AT, z3.BitVecVal(8, 64), own))
    area = Cell("event", AT, 8, z3.And(AT & 3 == 0, inside), memory=f"memory{instance}")
    event = (z3.LShR(first.first(0), 28), first.first(0) & 0xFFFFFFF, first.first(12) - 1)
    told = [z3.If(first.when, value, bits(0)) for value in event]
    words = {
        polled.word(0): z3.If(first.when, first.first(8), polled.first(0)),
        first.word(12): z3.If(first.when, bits(0), first.first(12)),
        area.word(0): told[1],
        area.word(4): told[2],
    }
    traps = [
        (UNKNOWN, z3.Or(z3.UGE(HANDLE, t.length), entry.first(0) == 0)),
        (NOT_SET, z3.Not(is_set)),
        (Trap.EVENT_ALIGNMENT.value, AT & 3 != 0),
        (Trap.EVENT_RANGE.value, z3.Not(area.when)),
    ]
    known = [t.invariant(), t.placed, z3.Implies(HANDLE == 0, entry.first(0) == 0)]
    known += [z3.Implies(cell.when, t.beyond(cell)) for cell in (t.record, polled, first)]
    known.append(z3.Implies(first.when, z3.And(z3.LShR(first.first(0), 28) == 1, first.first(12) != 0)))
    name = f"{instance} waitable-set.poll"
    return Scenario(
        f"stub: {name}",
        name,
        (HANDLE, AT),
        [t.record, entry, polled, first, area],
        z3.And(given, *known),
        Want(traps, (told[0],), words),
        shares=shares,
        atomic=False,
        program="stubs",
        low=[(t.at, t.capacity != 0)],
    )
