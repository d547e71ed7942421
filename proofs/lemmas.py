"""What follows from the contract in bit-vectors, so that it is more than a restatement of the code.

The shims are proved to do what contract.py says. Here contract.py is proved to say what streams are: bytes come out in
the order in which they went in, each once; a handle is valid for one stitch of time and never again.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3

from proofs.contract import CLOSED, Bytes, Fields, Handle, Words, number, outcome
from proofs.obligations import Obligation
from proofs.subject import FOCUS, OPERATIONS, WORDS, Shape

SIZE = z3.BitVec("size", 64)
ARGUMENTS = tuple(z3.BitVec(name, 32) for name in ("handle", "ptr", "len", "mem"))
N, M = z3.BitVecs("n m", 32)


def lemmas(shape: Shape) -> Iterator[Obligation]:
    """The lemmas for a shape."""
    zero = {word: number(0) for word in WORDS}
    bits = shape.layout.slot_bits
    slots = [z3.BitVecVal(n, bits) for n in range(shape.headers)]
    fresh = z3.And(*(Fields(shape, slot, zero).invariant() for slot in slots))
    yield Obligation(f"{shape.kind}s: a memory of zeros meets the invariant", (), fresh)
    yield _distinct(shape)
    for name in OPERATIONS:
        yield from _of_generations(shape, name)
    if shape.kind == "stream":
        yield from _of_bytes(shape)


def _words() -> Words:
    return {word: z3.BitVec(word, 32) for word in WORDS}


def _distinct(shape: Shape) -> Obligation:
    """One handle, one end of one slot: valid for two means that they are the same."""
    handle = Handle(ARGUMENTS[0], shape.layout.slot_bits)
    one, other = (z3.BitVec(name, shape.layout.slot_bits) for name in ("one", "other"))
    first, second = (
        Fields(shape, slot, {word: z3.BitVec(f"{word}.{slot}", 32) for word in WORDS}) for slot in (one, other)
    )
    goals = [
        z3.Implies(
            z3.And(first.names(handle, writable=a), second.names(handle, writable=b)),
            z3.And(one == other, z3.BoolVal(a == b)),
        )
        for a in (False, True)
        for b in (False, True)
    ]
    return Obligation(f"{shape.kind}s: a handle names one end of one slot", (), z3.And(*goals))


def _of_generations(shape: Shape, name: str) -> Iterator[Obligation]:
    """A generation goes up when its slot is freed and at no other time: a handle is valid for one life of a slot."""
    operation = f"{shape.kind}_{name}"
    slots: list[int | str] = list(range(shape.headers)) if name == "new" else [FOCUS]
    before = {slot: {word: z3.BitVec(f"{word}.{slot}", 32) for word in WORDS} for slot in slots}
    wanted = outcome(operation, shape, before, ARGUMENTS, SIZE)
    bits = shape.layout.slot_bits
    for slot in slots:
        field = z3.BitVecVal(slot, bits) if isinstance(slot, int) else z3.Extract(bits - 1, 0, ARGUMENTS[0])
        was, is_ = (Fields(shape, field, words[slot]) for words in (before, wanted.words))
        given = tuple(Fields(shape, _slot(shape, n, field), before[n]).invariant() for n in slots)
        up = is_.generation == was.generation + 1
        yield Obligation(
            f"{operation}: the generation goes up by one when slot {slot} is freed, and else stays",
            (*given, z3.Not(wanted.trap), z3.Not(wanted.host)),
            z3.If(z3.And(was.live, z3.Not(is_.live)), up, is_.generation == was.generation),
        )
        yield Obligation(
            f"{operation}: slot {slot} never goes back to a generation that it had",
            given,
            z3.UGE(is_.generation, was.generation),
        )


def _slot(shape: Shape, slot: int | str, focus: z3.BitVecRef) -> z3.BitVecRef:
    return z3.BitVecVal(slot, shape.layout.slot_bits) if isinstance(slot, int) else focus


def _of_bytes(shape: Shape) -> Iterator[Obligation]:
    """First in, first out, each byte once: the fill counts what is waiting, and places do not collide."""
    before = _words()
    slot = z3.Extract(shape.layout.slot_bits - 1, 0, ARGUMENTS[0])
    stream = Fields(shape, slot, before)
    held = stream.invariant()
    moves: dict[str, Bytes] = {}
    for name, sign in (("read", -1), ("write", 1)):
        wanted = outcome(f"stream_{name}", shape, {FOCUS: before}, ARGUMENTS, SIZE)
        assert wanted.moved is not None and wanted.result is not None
        moves[name] = wanted.moved
        after = Fields(shape, slot, wanted.words[FOCUS])
        done = z3.And(held, z3.Not(wanted.host), z3.Not(wanted.trap))
        yield Obligation(
            f"stream_{name}: what is moved is what is answered, and the fill changes by it",
            (done,),
            z3.And(
                after.fill == stream.fill + sign * wanted.moved.count,
                z3.Or(wanted.moved.count == wanted.result, z3.And(wanted.moved.count == 0, wanted.result <= 0)),
            ),
        )
        yield Obligation(
            f"stream_{name}: nothing moves at an end that is dropped",
            (done, stream.reader_dropped, stream.names(Handle(ARGUMENTS[0], slot.size()), writable=name == "write")),
            z3.And(wanted.moved.count == 0, wanted.result == CLOSED),
        )
    read, write = moves["read"], moves["write"]
    unread = z3.ULT(M, stream.fill)
    yield Obligation(
        "the first byte that is read is the one that was written first, and so on",
        (held, z3.ULT(N, read.count)),
        z3.And(z3.ULT(N, stream.fill), read.place(N) == _place(shape, slot, before["rd"] + N)),
    )
    yield Obligation(
        "what is written comes after what is waiting",
        (held, z3.ULT(N, write.count)),
        write.place(N) == _place(shape, slot, before["rd"] + stream.fill + N),
    )
    yield Obligation(
        "no byte that is waiting is written over",
        (held, z3.ULT(N, write.count), unread),
        write.place(N) != _place(shape, slot, before["rd"] + M),
    )
    other = z3.BitVec("other", slot.size())
    yield Obligation(
        "rings of two slots have no byte in common",
        (other != slot,),
        _place(shape, slot, N) != _place(shape, other, M),
    )


def _place(shape: Shape, slot: z3.BitVecRef, cursor: z3.BitVecRef) -> z3.BitVecRef:
    """Where the byte with a number, counted from the opening of the stream, lies: said once more, in arithmetic."""
    wide = z3.ZeroExt(64 - slot.size(), slot)
    return shape.first_room + wide * shape.ring + z3.ZeroExt(32, z3.URem(cursor, z3.BitVecVal(shape.ring, 32)))
