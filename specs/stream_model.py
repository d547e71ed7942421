"""The stream contract as plain Python: what a bridge does, without how.

This is the specification that the emitted shims are compared with, so it shares nothing with them. A stream is a queue
of bytes with a capacity; the cursors, keys and headers of the compiled bridge do not occur. Everything a caller can see
does: result codes, traps, guest memories, the bits of a handle. See specs/stream-contract.md for the reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

CLOSED, INVALID_HANDLE, PENDING = -1, -2, -5
END_OF_STREAM = 0
LOCAL, WRITABLE, FUTURE = 1 << 31, 1 << 30, 1 << 29


class Trap(Exception):
    """The operation trapped. Nothing has changed."""


@dataclass(slots=True)
class Caller:
    """A component instance as the bridge sees it: its memory, and the sizes of the elements that it streams.

    `whole` divides the size of every element it streams, `unit` is a multiple of each; both are the size itself where
    there is one kind of element only.
    """

    memory: bytearray
    whole: int = 1
    unit: int = 1


@dataclass(slots=True)
class Slot:
    """One place for a stream. `generation` counts the streams that lived in it and are gone."""

    generation: int = 0
    live: bool = False
    reader_dropped: bool = False
    writer_dropped: bool = False
    queue: bytearray = field(default_factory=bytearray)


def no_host(operation: str, *arguments: int) -> int:
    """A host that must not be asked."""
    raise AssertionError(f"host call {operation}{arguments}")


class Bridge:
    """`slots` streams of up to `ring` bytes each; all others live on the host.

    Args:
        host: called as ``host(operation, *arguments)`` for handles that are not local, and for a stream too many.
    """

    def __init__(self, slots: int, ring: int, host: Callable[..., int] = no_host) -> None:
        self.ring = ring
        self.host = host
        self.slot_bits = max(1, (slots - 1).bit_length())
        self.generations = (1 << (29 - self.slot_bits)) - 1
        self.slots = [Slot() for _ in range(slots)]

    # Handles: local, end, kind, generation, slot

    def handle(self, number: int, generation: int, end: int = 0) -> int:
        """The handle of an end (0 or `WRITABLE`) of a slot, as an unsigned number of 32 bits."""
        return LOCAL | end | generation << self.slot_bits | number

    def find(self, handle: int, end: int) -> Slot | None:
        """The slot that a local handle names, or None if the handle is not valid for that end."""
        for number, slot in enumerate(self.slots):
            if slot.live and handle == self.handle(number, slot.generation, end):
                return slot
        return None

    # The seven operations. Handles, pointers, lengths: unsigned, 32 bits. Results: signed.

    def stream_new(self) -> int:
        """Both ends in 64 bits, the readable one low: in the first slot that is free, else on the host."""
        for number, slot in enumerate(self.slots):
            if not slot.live and slot.generation < self.generations:
                self.slots[number] = Slot(slot.generation, live=True)
                return self.handle(number, slot.generation) | self.handle(number, slot.generation, WRITABLE) << 32
        return self.host("stream_new")

    def stream_read(self, caller: Caller, handle: int, ptr: int, length: int, mem: int = 0) -> int:
        """Bytes moved from the stream to the caller's memory, or a code."""
        if handle < LOCAL:
            return self.host("stream_read", handle, ptr, length, mem)
        slot = self.find(handle, 0)
        if slot is None:
            return INVALID_HANDLE
        if slot.reader_dropped:
            return CLOSED
        if not slot.queue:
            return END_OF_STREAM if slot.writer_dropped else PENDING
        count = min(_multiple(length, caller.whole), len(slot.queue))
        if count == 0:
            return PENDING
        _check(caller, ptr, count)
        caller.memory[ptr : ptr + count] = slot.queue[:count]
        del slot.queue[:count]
        return count

    def stream_write(self, caller: Caller, handle: int, ptr: int, length: int, mem: int = 0) -> int:
        """Bytes moved from the caller's memory to the stream (0 is backpressure), or a code."""
        if handle < LOCAL:
            return self.host("stream_write", handle, ptr, length, mem)
        slot = self.find(handle, WRITABLE)
        if slot is None:
            return INVALID_HANDLE
        if slot.reader_dropped or slot.writer_dropped:
            return CLOSED
        free = self.ring - len(slot.queue)
        count = min(_multiple(length, caller.whole), _multiple(free, caller.unit))
        if count == 0:
            return 0
        _check(caller, ptr, count)
        slot.queue += caller.memory[ptr : ptr + count]
        return count

    def stream_cancel_read(self, handle: int) -> int:
        """0: nothing is ever pending on a local stream."""
        if handle < LOCAL:
            return self.host("stream_cancel_read", handle)
        return INVALID_HANDLE if self.find(handle, 0) is None else 0

    def stream_cancel_write(self, handle: int) -> int:
        """0: nothing is ever pending on a local stream."""
        if handle < LOCAL:
            return self.host("stream_cancel_write", handle)
        return INVALID_HANDLE if self.find(handle, WRITABLE) is None else 0

    def stream_drop_readable(self, handle: int) -> None:
        """The reader is gone. Traps if the handle is not valid or the end was dropped before."""
        if handle < LOCAL:
            self.host("stream_drop_readable", handle)
            return
        slot = self.find(handle, 0)
        if slot is None or slot.reader_dropped:
            raise Trap
        slot.reader_dropped = True
        _reclaim(slot)

    def stream_drop_writable(self, handle: int) -> None:
        """The writer is gone; what it wrote can still be read. Traps as `stream_drop_readable`."""
        if handle < LOCAL:
            self.host("stream_drop_writable", handle)
            return
        slot = self.find(handle, WRITABLE)
        if slot is None or slot.writer_dropped:
            raise Trap
        slot.writer_dropped = True
        _reclaim(slot)


def _multiple(count: int, size: int) -> int:
    """The largest multiple of `size` up to `count`."""
    return count // size * size


def _check(caller: Caller, ptr: int, count: int) -> None:
    if ptr + count > len(caller.memory):
        raise Trap


def _reclaim(slot: Slot) -> None:
    """With both ends gone, the slot is free and its handles are void."""
    if slot.reader_dropped and slot.writer_dropped:
        slot.generation += 1
        slot.live = slot.reader_dropped = slot.writer_dropped = False
        slot.queue.clear()
