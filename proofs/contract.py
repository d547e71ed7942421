"""The stream contract in bit-vectors: what each shim has to do, given what the headers say.

Written unlike the shims, in fields rather than masks and shifts, so that an error has to be made twice to go unseen.
The reference for people is specs/stream_model.py; tests compare the two on random states.

A header is four words (`wr rd key state`) and means a stream in `Fields`: live, generation, dropped ends, fill. The
invariant of a header is assumed before a call and has to be shown after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import z3

from proofs.subject import FOCUS, Shape

Words = dict[str, z3.BitVecRef]
"""The words of one header by name."""


def number(value: int, bits: int = 32) -> z3.BitVecRef:
    return z3.BitVecVal(value, bits)


def bit(word: z3.BitVecRef, n: int) -> z3.BoolRef:
    """Whether a bit is set."""
    return z3.Extract(n, n, word) == 1


def wide(word: z3.BitVecRef) -> z3.BitVecRef:
    """64 bits, so that sums of words do not wrap."""
    return z3.Concat(z3.BitVecVal(0, 64 - word.size()), word)


@dataclass(frozen=True, slots=True)
class Handle:
    """The fields of a handle, from bit 31 down: local, end, kind, generation, slot."""

    word: z3.BitVecRef
    slot_bits: int

    @property
    def local(self) -> z3.BoolRef:
        return bit(self.word, 31)

    @property
    def writable(self) -> z3.BoolRef:
        return bit(self.word, 30)

    @property
    def future(self) -> z3.BoolRef:
        return bit(self.word, 29)

    @property
    def generation(self) -> z3.BitVecRef:
        return z3.Extract(28, self.slot_bits, self.word)

    @property
    def slot(self) -> z3.BitVecRef:
        return z3.Extract(self.slot_bits - 1, 0, self.word)


def make_handle(kind: str, slot: z3.BitVecRef, generation: z3.BitVecRef, writable: bool) -> z3.BitVecRef:
    """The handle of an end of a local stream or future."""
    return z3.Concat(number(1, 1), number(int(writable), 1), number(int(kind == "future"), 1), generation, slot)


@dataclass(frozen=True, slots=True)
class Fields:
    """What the header of a slot says."""

    shape: Shape
    slot: z3.BitVecRef  # as many bits as a handle has for it
    words: Words

    @property
    def live(self) -> z3.BoolRef:
        return self.words["key"] != 0

    @property
    def generation(self) -> z3.BitVecRef:
        return z3.Extract(30 - self.slot.size(), 2, self.words["state"])

    @property
    def reader_dropped(self) -> z3.BoolRef:
        return bit(self.words["state"], 0)

    @property
    def writer_dropped(self) -> z3.BoolRef:
        return bit(self.words["state"], 1)

    @property
    def fill(self) -> z3.BitVecRef:
        return self.words["wr"] - self.words["rd"]

    @property
    def retired(self) -> z3.BoolRef:
        """No generation is left: the last one is all ones and is never given out."""
        return ~self.generation == 0

    def invariant(self) -> z3.BoolRef:
        """What holds of a header between calls."""
        above = 29 - self.slot.size() + 2
        free = z3.And(z3.Not(self.reader_dropped), z3.Not(self.writer_dropped))
        alive = z3.And(
            self.words["key"] == make_handle(self.shape.kind, self.slot, self.generation, writable=False),
            z3.Not(self.retired),
            z3.Not(z3.And(self.reader_dropped, self.writer_dropped)),
            z3.ULE(self.fill, self.shape.ring) if self.shape.kind == "stream" else z3.ULE(self.words["wr"], 1),
            z3.ULT(wide(self.slot), self.shape.slots),
        )
        return z3.And(z3.Extract(31, above, self.words["state"]) == 0, z3.If(self.live, alive, free))

    def names(self, handle: Handle, writable: bool) -> z3.BoolRef:
        """Whether a handle is valid for an end of the stream in this slot."""
        return z3.And(
            handle.local,
            handle.writable if writable else z3.Not(handle.writable),
            handle.future if self.shape.kind == "future" else z3.Not(handle.future),
            handle.slot == self.slot,
            self.live,
            handle.generation == self.generation,
        )

    @property
    def resolved(self) -> z3.BoolRef:
        return self.words["wr"] != 0


Place = Callable[[z3.BitVecRef], z3.BitVecRef]


@dataclass(frozen=True, slots=True)
class Bytes:
    """The bytes that go between the caller's memory, from `pointer` on, and the bridge memory.

    `place` gives the address in the bridge memory (64 bits) of the byte with a number (32 bits), `number` the number
    of the byte at an address: all ones, or any number that is too high, if there is none.
    """

    inwards: bool  # into the bridge
    count: z3.BitVecRef
    pointer: z3.BitVecRef
    place: Place
    number: Place


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has to happen: exactly one of `host`, `trap`, or a return of `result` (None if there is nothing to return).

    `words` is each header afterwards, by slot.
    """

    host: z3.BoolRef
    trap: z3.BoolRef
    result: z3.BitVecRef | None
    words: dict[int | str, Words]
    moved: Bytes | None = None


def in_ring(shape: Shape, slot: z3.BitVecRef, cursor: z3.BitVecRef) -> tuple[Place, Place]:
    """`place` and `number` of bytes that lie in the ring of a slot from a cursor on."""
    bits = shape.ring.bit_length() - 1
    base = shape.first_room

    def place(n: z3.BitVecRef) -> z3.BitVecRef:
        return wide(z3.Concat(slot, z3.Extract(bits - 1, 0, cursor + n))) + base

    def number(address: z3.BitVecRef) -> z3.BitVecRef:
        mine = z3.Extract(63, bits, address - base) == z3.ZeroExt(64 - bits - slot.size(), slot)
        past = z3.Extract(bits - 1, 0, address) - z3.Extract(bits - 1, 0, cursor)
        return z3.If(mine, wide(past), ALL_ONES)

    return place, number


def in_value(shape: Shape, slot: z3.BitVecRef) -> tuple[Place, Place]:
    """`place` and `number` of the bytes of the value of a future."""
    start = wide(slot) * shape.value + shape.first_room
    return (lambda n: start + wide(n)), (lambda address: address - start)


def multiple(count: z3.BitVecRef, size: int) -> z3.BitVecRef:
    """The largest multiple of `size` up to `count`."""
    return z3.UDiv(count, number(size)) * size if size & (size - 1) else _without_low_bits(count, size)


def _without_low_bits(count: z3.BitVecRef, size: int) -> z3.BitVecRef:
    bits = size.bit_length() - 1
    return z3.Concat(z3.Extract(31, bits, count), number(0, bits)) if bits else count


def smaller(a: z3.BitVecRef, b: z3.BitVecRef) -> z3.BitVecRef:
    return z3.If(z3.ULE(a, b), a, b)


def cases(*arms: tuple[z3.BoolRef, z3.BitVecRef | int], otherwise: z3.BitVecRef | int) -> z3.BitVecRef:
    """The value of the first arm that holds."""
    value = number(otherwise) if isinstance(otherwise, int) else otherwise
    for condition, arm in reversed(arms):
        value = z3.If(condition, number(arm) if isinstance(arm, int) else arm, value)
    return value


CLOSED, INVALID_HANDLE, PENDING, RUNTIME = -1, -2, -5, -6
END_OF_STREAM, NOT_YET, DONE = 0, 0, 1
ALL_ONES = z3.BitVecVal(-1, 64)


def transfer(
    shape: Shape, before: Words, arguments: Sequence[z3.BitVecRef], size: z3.BitVecRef, write: bool
) -> Outcome:
    """`stream_read` and `stream_write`; `size` is the size of the caller's memory in bytes, 64 bits."""
    handle = Handle(arguments[0], shape.layout.slot_bits)
    pointer, length = arguments[1], arguments[2]
    slot = Fields(shape, handle.slot, before)
    valid = slot.names(handle, writable=write)
    most = multiple(length, shape.whole)
    if write:
        closed = z3.Or(slot.reader_dropped, slot.writer_dropped)
        count = smaller(most, multiple(shape.ring - slot.fill, shape.unit))
        nothing: z3.BitVecRef | int = 0
        empty = z3.BoolVal(False)
    else:
        closed = slot.reader_dropped
        count = smaller(most, slot.fill)
        nothing = PENDING
        empty = slot.fill == 0
    moving = z3.And(valid, z3.Not(closed), count != 0)
    trap = z3.And(moving, z3.Or(arguments[3] != 0, z3.UGT(wide(pointer) + wide(count), size)))
    at_end = z3.If(slot.writer_dropped, number(END_OF_STREAM), number(PENDING))
    moved = z3.If(z3.And(moving, z3.Not(trap)), count, number(0))
    cursor = "wr" if write else "rd"
    place = in_ring(shape, handle.slot, before[cursor])
    return Outcome(
        host=z3.Not(handle.local),
        trap=trap,
        result=cases(
            (z3.Not(valid), INVALID_HANDLE), (closed, CLOSED), (empty, at_end), (count == 0, nothing), otherwise=count
        ),
        words={FOCUS: before | {cursor: before[cursor] + moved}},
        moved=Bytes(write, moved, pointer, *place),
    )


def resolve(shape: Shape, before: Words, arguments: Sequence[z3.BitVecRef], size: z3.BitVecRef, write: bool) -> Outcome:
    """`future_read` and `future_write`; `size` is the size of the caller's memory in bytes, 64 bits."""
    handle = Handle(arguments[0], shape.layout.slot_bits)
    pointer = arguments[1]
    slot = Fields(shape, handle.slot, before)
    valid = slot.names(handle, writable=write)
    if write:
        arms = ((slot.reader_dropped, CLOSED), (slot.writer_dropped, CLOSED), (slot.resolved, RUNTIME))
    else:
        unresolved = z3.Not(slot.resolved)
        gone = z3.And(unresolved, slot.writer_dropped)
        arms = ((slot.reader_dropped, CLOSED), (gone, CLOSED), (unresolved, NOT_YET))
    moving = z3.And(valid, *(z3.Not(condition) for condition, _ in arms))
    outside = z3.Or(arguments[2] != 0, z3.UGT(wide(pointer) + shape.size, size))
    trap = z3.And(moving, shape.size != 0, outside)
    moved = z3.And(moving, z3.Not(trap))
    after = {"wr": z3.If(moved, number(1), before["wr"])} if write else {}
    return Outcome(
        host=z3.Not(handle.local),
        trap=trap,
        result=cases((z3.Not(valid), INVALID_HANDLE), *arms, otherwise=DONE),
        words={FOCUS: before | after},
        moved=Bytes(write, z3.If(moved, number(shape.size), number(0)), pointer, *in_value(shape, handle.slot)),
    )


def cancel(shape: Shape, before: Words, handle_word: z3.BitVecRef, writable: bool) -> Outcome:
    """`cancel_read` and `cancel_write`."""
    handle = Handle(handle_word, shape.layout.slot_bits)
    valid = Fields(shape, handle.slot, before).names(handle, writable)
    return Outcome(
        host=z3.Not(handle.local),
        trap=z3.BoolVal(False),
        result=cases((valid, 0), otherwise=INVALID_HANDLE),
        words={FOCUS: before},
    )


def drop(shape: Shape, before: Words, handle_word: z3.BitVecRef, writable: bool) -> Outcome:
    """`drop_readable` and `drop_writable`."""
    handle = Handle(handle_word, shape.layout.slot_bits)
    slot = Fields(shape, handle.slot, before)
    mine, other = slot.reader_dropped, slot.writer_dropped
    if writable:
        mine, other = other, mine
    state = before["state"]
    done = z3.And(slot.names(handle, writable), z3.Not(mine))
    generation = z3.ZeroExt(1 + slot.slot.size(), slot.generation)  # 30 bits
    freed = z3.Concat(generation + 1, number(0, 2))
    marked = z3.Concat(z3.Extract(31, 2, state), number(2 if writable else 1, 2))
    after = {
        "state": cases((z3.Not(done), state), (other, freed), otherwise=marked),
        "key": cases((z3.And(done, other), 0), otherwise=before["key"]),
    }
    return Outcome(
        host=z3.Not(handle.local),
        trap=z3.And(handle.local, z3.Not(done)),
        result=None,
        words={FOCUS: before | after},
    )


def new(shape: Shape, before: Sequence[Words]) -> Outcome:
    """`new`: the first slot that is free; `before` holds every slot."""
    slot_bits = shape.layout.slot_bits
    earlier = z3.BoolVal(False)
    result = z3.BitVecVal(0, 64)
    words: dict[int | str, Words] = {}
    for n, header in enumerate(before):
        slot = Fields(shape, z3.BitVecVal(n, slot_bits), header)
        usable = z3.And(z3.Not(slot.live), z3.Not(slot.retired), n < shape.slots)
        taken = z3.And(usable, z3.Not(earlier))
        readable, writable = (make_handle(shape.kind, slot.slot, slot.generation, end) for end in (False, True))
        result = z3.If(taken, z3.Concat(writable, readable), result)
        after = {"wr": number(0), "rd": number(0), "key": readable, "state": header["state"]}
        words[n] = {name: z3.If(taken, after[name], header[name]) for name in header}
        earlier = z3.Or(earlier, usable)
    return Outcome(host=z3.Not(earlier), trap=z3.BoolVal(False), result=result, words=words)


def outcome(
    operation: str,
    shape: Shape,
    before: dict[int | str, Words],
    arguments: Sequence[z3.BitVecRef],
    size: z3.BitVecRef,
) -> Outcome:
    """What `operation` has to do. `before` holds the header of the handle's slot, or for `new` all of them."""
    writing = operation.endswith(("write", "writable"))
    match operation.removeprefix(f"{shape.kind}_"):
        case "new":
            return new(shape, [before[n] for n in sorted(before, key=int)])
        case "read" | "write":
            move = transfer if shape.kind == "stream" else resolve
            return move(shape, before[FOCUS], arguments, size, writing)
        case "cancel_read" | "cancel_write":
            return cancel(shape, before[FOCUS], arguments[0], writing)
        case "drop_readable" | "drop_writable":
            return drop(shape, before[FOCUS], arguments[0], writing)
    raise ValueError(operation)
