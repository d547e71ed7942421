"""Streams and futures of the host: the state behind `pulseengine:async`, without an engine.

A stream is a queue of bytes with a limit; a future is a value that is written once. Each has two ends, dropped
independently, and is discarded when both are. Source: specs/stream-contract.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import TypeAlias

from meld.abi.intrinsics import LOCAL_BIT, Code, End, Intrinsic, Kind, Operation
from meld.support.records import record

Memories: TypeAlias = Callable[[int], memoryview | None]
"""The bytes of the memory with a given index, writable; None if the module has no such memory."""

MASK = 0xFFFF_FFFF


class HostTrap(Exception):
    """The host stops the program: it broke the contract."""


@record(eq=False)
class _Stream:
    queue: bytearray = field(default_factory=bytearray)
    dropped: set[End] = field(default_factory=set)


@record(eq=False)
class _Future:
    value: bytes | None = None
    dropped: set[End] = field(default_factory=set)


@record()
class Streams:
    """All streams and futures of one program.

    Attributes:
        limit: bytes that a stream holds before it pushes back.
        unit: bytes of an element; only whole elements move.
        future_size: bytes of a future's value, which the ABI does not say.
        capacity: streams and futures that may be open at once.
        moved: bytes read from streams so far.
    """

    limit: int = 4096
    unit: int = 1
    future_size: int = 4
    capacity: int = 1 << 16
    moved: int = 0
    _ends: dict[int, tuple[_Stream | _Future, End]] = field(default_factory=dict)
    _next: int = 1

    def perform(self, intrinsic: Intrinsic, args: tuple[int, ...], memories: Memories) -> int | None:
        """Performs one intrinsic.

        Args:
            intrinsic: which.
            args: its arguments; signs do not matter.
            memories: the memories of the caller.

        Returns:
            The i32 or i64 result, signed; None if the intrinsic has none.

        Raises:
            HostTrap: a drop of an end that is not there; a buffer outside its memory; a memory that is not there.
        """
        match intrinsic.operation:
            case Operation.NEW:
                return self._new(intrinsic.kind)
            case Operation.CANCEL:  # nothing blocks, so nothing is ever pending
                return Code.INVALID_HANDLE if self._end(intrinsic, args[0]) is None else 0
            case Operation.DROP:
                self._drop(intrinsic, args[0])
                return None
            case Operation.TRANSFER:
                one = self._end(intrinsic, args[0])
                if one is None:
                    return Code.INVALID_HANDLE
                if intrinsic.end in one.dropped:
                    return Code.CLOSED
                reads = intrinsic.end is End.READABLE
                ptr, mem = args[1] & MASK, args[-1] & MASK
                if isinstance(one, _Stream):
                    return (self._read if reads else self._write)(one, ptr, args[2] & MASK, mem, memories)
                return (self._get if reads else self._set)(one, ptr, mem, memories)

    @property
    def open(self) -> int:
        """Streams and futures of which an end is still there."""
        return len(self._ends) // 2

    def _new(self, kind: Kind) -> int:
        """Both ends; their handles are never used again."""
        if self.open >= self.capacity or self._next + 1 >= LOCAL_BIT:
            return Code.OOM & MASK
        one = _Stream() if kind is Kind.STREAM else _Future()
        readable, writable = self._next, self._next + 1
        self._next += 2
        self._ends[readable] = one, End.READABLE
        self._ends[writable] = one, End.WRITABLE
        return writable << 32 | readable

    def _end(self, intrinsic: Intrinsic, handle: int) -> _Stream | _Future | None:
        one, end = self._ends.get(handle & MASK, (None, None))
        fits = isinstance(one, _Stream if intrinsic.kind is Kind.STREAM else _Future)
        return one if fits and end is intrinsic.end else None

    def _drop(self, intrinsic: Intrinsic, handle: int) -> None:
        one = self._end(intrinsic, handle)
        assert intrinsic.end is not None
        if one is None:
            raise HostTrap(f"{intrinsic.name}: {handle & MASK:#x} is not a {intrinsic.end.value} end")
        if intrinsic.end in one.dropped:
            raise HostTrap(f"{intrinsic.name}: the {intrinsic.end.value} end {handle & MASK:#x} was dropped before")
        one.dropped.add(intrinsic.end)
        if len(one.dropped) == 2:
            readable = (handle & MASK) - 1 | 1  # the ends of one stream are 2n + 1 and 2n + 2
            del self._ends[readable], self._ends[readable + 1]

    # --- streams ---------------------------------------------------------------------------------------------------

    def _read(self, stream: _Stream, ptr: int, length: int, mem: int, memories: Memories) -> int:
        if not stream.queue:
            return 0 if End.WRITABLE in stream.dropped else Code.PENDING
        n = self._whole(min(length, len(stream.queue)))
        if n == 0:
            return Code.PENDING  # 0 is kept for the end of the stream
        _buffer(memories, mem, ptr, n)[:] = stream.queue[:n]
        del stream.queue[:n]
        self.moved += n
        return n

    def _write(self, stream: _Stream, ptr: int, length: int, mem: int, memories: Memories) -> int:
        if End.READABLE in stream.dropped:
            return Code.CLOSED
        n = self._whole(min(length, self.limit - len(stream.queue)))
        if n:
            stream.queue += _buffer(memories, mem, ptr, n)
        return n

    def _whole(self, n: int) -> int:
        return n - n % self.unit

    # --- futures ---------------------------------------------------------------------------------------------------

    def _get(self, future: _Future, ptr: int, mem: int, memories: Memories) -> int:
        """The value; it can be read several times."""
        if future.value is None:
            return Code.CLOSED if End.WRITABLE in future.dropped else 0
        _buffer(memories, mem, ptr, len(future.value))[:] = future.value
        return 1

    def _set(self, future: _Future, ptr: int, mem: int, memories: Memories) -> int:
        if End.READABLE in future.dropped:
            return Code.CLOSED
        if future.value is not None:
            return Code.RUNTIME
        future.value = bytes(_buffer(memories, mem, ptr, self.future_size))
        return 1


def _buffer(memories: Memories, mem: int, ptr: int, n: int) -> memoryview:
    """`n` bytes at `ptr`; traps before anything has moved. An empty range is always in bounds."""
    if n == 0:
        return memoryview(bytearray())
    memory = memories(mem)
    if memory is None:
        raise HostTrap(f"the call names memory {mem - (mem >> 31 << 32)}, which the module does not have")
    if ptr + n > len(memory):
        raise HostTrap(f"out of bounds: {n} bytes at {ptr:#x} of a memory of {len(memory):#x} bytes")
    return memory[ptr : ptr + n]
