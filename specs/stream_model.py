"""The stream contract as plain Python: what a bridge does, without how.

This is the specification that the emitted shims are compared with, so it shares nothing with them. A stream is a queue
of bytes with a capacity, a future is a value or none yet; the cursors, keys and headers of the compiled bridge do not
occur. Everything a caller can see does: result codes, traps, guest memories, the bits of a handle. The reasons are in
specs/stream-contract.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

CLOSED, INVALID_HANDLE, PENDING, RUNTIME = -1, -2, -5, -6
END_OF_STREAM = NOT_YET = 0
DONE = 1
LOCAL, WRITABLE, FUTURE = 1 << 31, 1 << 30, 1 << 29


class Trap(Exception):
    """The operation trapped. Nothing has changed."""


@dataclass(slots=True)
class Caller:
    """A component instance as the bridge sees it: its memory, and the sizes of the elements that it streams.

    `whole` divides the size of every element it streams, `unit` is a multiple of each; both are the size itself where
    there is one kind of element only. `value` is the size of the value of its futures.
    """

    memory: bytearray
    whole: int = 1
    unit: int = 1
    value: int = 1


@dataclass(slots=True)
class Slot:
    """One place for a stream or a future. `generation` counts those that lived in it and are gone.

    `data` are the bytes that were written and not read yet; of a future, the value once it is `resolved`.
    """

    generation: int = 0
    live: bool = False
    reader_dropped: bool = False
    writer_dropped: bool = False
    resolved: bool = False
    data: bytearray = field(default_factory=bytearray)


def no_host(operation: str, *arguments: int) -> int:
    """A host that must not be asked."""
    raise AssertionError(f"host call {operation}{arguments}")


class Ends:
    """What streams and futures have in common: two ends with handles, in one of a fixed number of slots.

    Handles, pointers and lengths are unsigned, 32 bits; results are signed.

    Args:
        host: called as ``host(operation, *arguments)`` for handles that are not local, and for one stream too many.
    """

    kind = ""
    tag = 0

    def __init__(self, slots: int, host: Callable[..., int] = no_host) -> None:
        self.host = host
        self.slot_bits = max(1, (slots - 1).bit_length())
        self.generations = (1 << (29 - self.slot_bits)) - 1
        self.slots = [Slot() for _ in range(slots)]

    def handle(self, number: int, generation: int, end: int = 0) -> int:
        """The handle of an end (0 or `WRITABLE`): local, end, kind, generation, slot."""
        return self.tag | end | generation << self.slot_bits | number

    def find(self, handle: int, end: int) -> Slot | None:
        """The slot that a local handle names, or None if the handle is not valid for that end."""
        for number, slot in enumerate(self.slots):
            if slot.live and handle == self.handle(number, slot.generation, end):
                return slot
        return None

    def new(self) -> int:
        """Both ends in 64 bits, the readable one low: in the first slot that is free, else on the host."""
        for number, slot in enumerate(self.slots):
            if not slot.live and slot.generation < self.generations:
                self.slots[number] = Slot(slot.generation, live=True)
                return self.handle(number, slot.generation) | self.handle(number, slot.generation, WRITABLE) << 32
        return self.host(f"{self.kind}_new")

    def cancel_read(self, handle: int) -> int:
        """0: nothing is ever pending on a local end."""
        return self._cancel("cancel_read", handle, 0)

    def cancel_write(self, handle: int) -> int:
        """0: nothing is ever pending on a local end."""
        return self._cancel("cancel_write", handle, WRITABLE)

    def _cancel(self, operation: str, handle: int, end: int) -> int:
        if handle < LOCAL:
            return self.host(f"{self.kind}_{operation}", handle)
        return INVALID_HANDLE if self.find(handle, end) is None else 0

    def drop_readable(self, handle: int) -> None:
        """The reader is gone. Traps if the handle is not valid or the end was dropped before."""
        if handle < LOCAL:
            self.host(f"{self.kind}_drop_readable", handle)
            return
        slot = self.find(handle, 0)
        if slot is None or slot.reader_dropped:
            raise Trap
        slot.reader_dropped = True
        _reclaim(slot)

    def drop_writable(self, handle: int) -> None:
        """The writer is gone; what it wrote can still be read. Traps as `drop_readable`."""
        if handle < LOCAL:
            self.host(f"{self.kind}_drop_writable", handle)
            return
        slot = self.find(handle, WRITABLE)
        if slot is None or slot.writer_dropped:
            raise Trap
        slot.writer_dropped = True
        _reclaim(slot)


class Streams(Ends):
    """Streams of up to `ring` bytes each."""

    kind, tag = "stream", LOCAL

    def __init__(self, slots: int, ring: int, host: Callable[..., int] = no_host) -> None:
        super().__init__(slots, host)
        self.ring = ring

    def read(self, caller: Caller, handle: int, ptr: int, length: int, mem: int = 0) -> int:
        """Bytes moved from the stream to the caller's memory, or a code."""
        if handle < LOCAL:
            return self.host("stream_read", handle, ptr, length, mem)
        slot = self.find(handle, 0)
        if slot is None:
            return INVALID_HANDLE
        if slot.reader_dropped:
            return CLOSED
        if not slot.data:
            return END_OF_STREAM if slot.writer_dropped else PENDING
        count = min(_multiple(length, caller.whole), len(slot.data))
        if count == 0:
            return PENDING
        _check(caller, ptr, count, mem)
        caller.memory[ptr : ptr + count] = slot.data[:count]
        del slot.data[:count]
        return count

    def write(self, caller: Caller, handle: int, ptr: int, length: int, mem: int = 0) -> int:
        """Bytes moved from the caller's memory to the stream (0 is backpressure), or a code."""
        if handle < LOCAL:
            return self.host("stream_write", handle, ptr, length, mem)
        slot = self.find(handle, WRITABLE)
        if slot is None:
            return INVALID_HANDLE
        if slot.reader_dropped or slot.writer_dropped:
            return CLOSED
        free = self.ring - len(slot.data)
        count = min(_multiple(length, caller.whole), _multiple(free, caller.unit))
        if count == 0:
            return 0
        _check(caller, ptr, count, mem)
        slot.data += caller.memory[ptr : ptr + count]
        return count


class Futures(Ends):
    """Futures: one value each, which can be read until both ends are gone."""

    kind, tag = "future", LOCAL | FUTURE

    def read(self, caller: Caller, handle: int, ptr: int, mem: int = 0) -> int:
        """1: the value is in the caller's memory; 0: not yet; or a code."""
        if handle < LOCAL:
            return self.host("future_read", handle, ptr, mem)
        slot = self.find(handle, 0)
        if slot is None:
            return INVALID_HANDLE
        if slot.reader_dropped:
            return CLOSED
        if not slot.resolved:
            return CLOSED if slot.writer_dropped else NOT_YET
        _check(caller, ptr, caller.value, mem)
        caller.memory[ptr : ptr + caller.value] = slot.data
        return DONE

    def write(self, caller: Caller, handle: int, ptr: int, mem: int = 0) -> int:
        """1: the value is taken; or a code. A future is resolved once."""
        if handle < LOCAL:
            return self.host("future_write", handle, ptr, mem)
        slot = self.find(handle, WRITABLE)
        if slot is None:
            return INVALID_HANDLE
        if slot.reader_dropped or slot.writer_dropped:
            return CLOSED
        if slot.resolved:
            return RUNTIME
        _check(caller, ptr, caller.value, mem)
        slot.data += caller.memory[ptr : ptr + caller.value]
        slot.resolved = True
        return DONE


def _multiple(count: int, size: int) -> int:
    """The largest multiple of `size` up to `count`."""
    return count // size * size


def _check(caller: Caller, ptr: int, count: int, mem: int) -> None:
    """Traps if `count` bytes from `ptr` on are not in the caller's memory, number 0. No bytes are anywhere."""
    if count and (mem or ptr + count > len(caller.memory)):
        raise Trap


def _reclaim(slot: Slot) -> None:
    """With both ends gone, the slot is free and its handles are void."""
    if slot.reader_dropped and slot.writer_dropped:
        slot.generation += 1
        slot.live = slot.reader_dropped = slot.writer_dropped = slot.resolved = False
        slot.data.clear()


class Clusters:
    """The bridges of a program: one for each cluster of linked instances, with slots and handles of its own.

    What follows from that, and from nothing else, for instances of another cluster:

    - *not valid elsewhere*: a handle that one cluster gave out is, in another one, a number like any other. It
      names what that cluster gave out under it, or nothing.
    - *not used up by a stranger*: whatever an instance opens, it takes no slot of another cluster.
    """

    def __init__(self, clusters: Iterable[Iterable[str]], slots: int, ring: int, host: Callable[..., int] = no_host):
        self._bridges = {
            name: bridge for names in clusters for bridge in (Streams(slots, ring, host),) for name in names
        }

    def of(self, instance: str) -> Streams:
        """The bridge of an instance's cluster."""
        return self._bridges[instance]
