"""A model of streams, futures and waitable sets: what each operation returns, delivers and traps for.

Written from the Component Model's specification (CanonicalABI.md: Waitable, WaitableSet, SharedStreamImpl,
SharedFutureImpl, CopyEnd) and, where it differs, from what the engine does: a dropped end is reported to an idle other
end at once, CANCELLED beats COMPLETED for streams, a read that would block is refused only then for a waitable in a
set. It knows nothing of the generated code: objects and lists instead of cells and bits.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

COMPLETED, DROPPED, CANCELLED = 0, 1, 2
BLOCKED = 0xFFFFFFFF
PAGE = 65536


class Trapped(Exception):
    """An operation traps; the argument is the engine's message, or a part of it."""


@dataclass(frozen=True)
class Element:
    """An element type: its size and alignment in bytes (0 and 1 for none), and whether it is a number or none."""

    name: str
    size: int
    align: int
    numeric: bool = True


@dataclass(eq=False)
class Set:
    """A waitable set: its members, and those of them that have an event, oldest first."""

    members: list[End] = field(default_factory=list)
    ready: deque[End] = field(default_factory=deque)


@dataclass(eq=False)
class Channel:
    """A stream or a future."""

    element: Element
    future: bool
    ends: list[End] = field(default_factory=list)  # readable, writable
    written: bool = False  # a future has handed over its value


@dataclass(eq=False)
class Buffer:
    """The memory that an end has offered: an address, and the number of elements that are left."""

    instance: Instance
    address: int
    left: int


@dataclass(eq=False)
class End:
    """One end of a channel. `event` is (result, progress) if one is pending."""

    channel: Channel
    writable: bool
    handle: int = 0
    busy: bool = False
    done: bool = False
    dropped: bool = False
    buffer: Buffer | None = None
    event: tuple[int, int] | None = None
    set: Set | None = None

    @property
    def other(self) -> End:
        return self.channel.ends[not self.writable]

    def pack(self, result: int, progress: int) -> int:
        return result if self.channel.future else result | progress << 4

    def notify(self, result: int, progress: int) -> None:
        new = self.event is None
        self.event = (result, progress)
        if new and self.set:
            self.set.ready.append(self)

    def take(self) -> int:
        """Delivers the pending event."""
        assert self.event is not None
        result, progress = self.event
        self.event = None
        if self.set and self in self.set.ready:
            self.set.ready.remove(self)
        self.busy = False
        self.done = self.done or result == DROPPED
        self.buffer = None
        return self.pack(result, progress)

    def join(self, target: Set | None) -> None:
        if self.set:
            self.set.members.remove(self)
            if self in self.set.ready:
                self.set.ready.remove(self)
        self.set = target
        if target:
            target.members.append(self)
            if self.event:
                target.ready.append(self)


def code_of(end: End) -> int:
    """The code of an end's events."""
    return 2 + 2 * end.channel.future + end.writable


class Instance:
    """A component instance: its memory and its handles. A handle that was freed last is given out first."""

    def __init__(self, pages: int = 1) -> None:
        self.memory = bytearray(pages * PAGE)
        self.table: list[Any] = [None]
        self.free: list[int] = []

    # --- handles

    def add(self, item: Any) -> int:
        if self.free:
            index = self.free.pop()
            self.table[index] = item
        else:
            index = len(self.table)
            self.table.append(item)
        return index

    def remove(self, handle: int) -> None:
        self.table[handle] = None
        self.free.append(handle)

    def get(self, handle: int) -> Any:
        item = self.table[handle] if handle < len(self.table) else None
        if item is None:
            raise Trapped("unknown handle index")
        return item

    def end(self, handle: int, future: bool, element: Element) -> End:
        item = self.get(handle)
        kind = "future" if future else "stream"
        if not isinstance(item, End) or item.channel.future != future:
            raise Trapped(f"handle is not a {kind}")
        if item.channel.element != element:
            raise Trapped(f"handle is a {kind} of a different type")
        return item

    def set_of(self, handle: int) -> Set:
        item = self.get(handle)
        if not isinstance(item, Set):
            raise Trapped("handle is not a")  # the engine says "an" or "a", depending on the operation
        return item

    # --- operations

    def new(self, future: bool, element: Element) -> int:
        channel = Channel(element, future)
        channel.ends = [End(channel, False), End(channel, True)]
        for end in channel.ends:
            end.handle = self.add(end)
        return channel.ends[0].handle | channel.ends[1].handle << 32

    def copy(self, write: bool, future: bool, element: Element, handle: int, address: int, count: int) -> int:
        if count >= 1 << 28:
            raise Trapped("stream read/write count too large")
        if count and element.size:
            if address + count * element.size > len(self.memory):
                raise Trapped("read pointer out of bounds of memory")
            if address % element.align:
                raise Trapped("pointer not aligned")
        end = self.end(handle, future, element)
        if end.writable != write or end.busy:
            raise Trapped("cannot have concurrent operations active on a future/stream")
        channel, other = end.channel, end.other
        if future and (end.done or channel.written):
            raise Trapped("cannot write to future after" if write else "cannot read from future after")
        if end.done:
            verb, gone = ("write to", "readable") if write else ("read from", "writable")
            raise Trapped(f"cannot {verb} stream after being notified that the {gone} end dropped")
        if other.dropped:
            if end.event:
                end.take()
            end.done = True
            channel.written = future
            return end.pack(DROPPED, 0)
        if other.buffer is None:
            return self._park(end, address, count)
        if other.buffer.instance is self and not element.numeric:
            raise Trapped("cannot read from and write to intra-component future/stream with non-numeric payload")
        if other.buffer.left == 0:
            if write and count == 0:
                return end.pack(COMPLETED, 0)
            other.buffer = None
            other.notify(COMPLETED, 0)
            return self._park(end, address, count)
        moved = min(count, other.buffer.left)
        if moved:
            mine, theirs = Buffer(self, address, count), other.buffer
            source, target = (mine, theirs) if write else (theirs, mine)
            size = moved * element.size
            data = bytes(source.instance.memory[source.address : source.address + size])
            data = carried(element, source.instance, target.instance, data)
            target.instance.memory[target.address : target.address + size] = data
            theirs.address += size
            theirs.left -= moved
            other.notify(COMPLETED, moved + (other.event[1] if other.event else 0))
            if theirs.left == 0:
                other.buffer = None
            channel.written = future
        return end.pack(COMPLETED, moved)

    def _park(self, end: End, address: int, count: int) -> int:
        end.busy = True
        end.buffer = Buffer(self, address, count)
        return BLOCKED

    def cancel(self, write: bool, future: bool, element: Element, handle: int, sync: bool) -> int:
        end = self.end(handle, future, element)
        if end.writable != write and not end.busy:
            raise Trapped("passed read end to" if write else "passed write end to")
        if end.writable != write:  # the engine cannot tell, and would cancel the other end's operation
            raise Trapped("passed read end to" if write else "passed write end to")
        if not end.busy:
            raise Trapped("cancelled when no write is pending" if write else "cancelled when no read is pending")
        if sync and end.set:
            raise Trapped("waitable cannot be used synchronously while added to a waitable set")
        if end.event is None:
            end.busy = False
            end.buffer = None
            return end.pack(CANCELLED, 0)
        result, progress = end.event
        end.take()
        return end.pack(CANCELLED if result == COMPLETED and not future else result, progress)

    def drop(self, write: bool, future: bool, element: Element, handle: int) -> None:
        end = self.end(handle, future, element)
        kind = "future" if future else "stream"
        if end.writable != write:
            raise Trapped(
                f"passed read end to `{kind}.drop-writable`" if write else f"handle is not a readable end of a {kind}"
            )
        if end.busy:
            raise Trapped(f"cannot drop busy {kind}" if write else f"cannot remove busy {kind}")
        if future and write and not end.done and not end.channel.written:
            raise Trapped("cannot drop future write end without first writing a value")
        self.remove(handle)
        end.join(None)
        end.dropped = True
        other = end.other
        if other.dropped:
            return
        other.buffer = None
        if other.event is None:
            other.notify(DROPPED, 0)
        elif not future:
            other.notify(DROPPED, other.event[1])

    def set_new(self) -> int:
        return self.add(Set())

    def set_drop(self, handle: int) -> None:
        if self.set_of(handle).members:
            raise Trapped("resource has children")
        self.remove(handle)

    def join(self, handle: int, set_handle: int) -> None:
        item = self.get(handle)
        if not isinstance(item, End):
            raise Trapped("handle is not a waitable")
        item.join(self.set_of(set_handle) if set_handle else None)

    def poll(self, handle: int, address: int) -> int:
        found = self.set_of(handle)
        code, waitable, payload = 0, 0, 0
        if found.ready:
            end = found.ready[0]
            code, waitable, payload = code_of(end), end.handle, end.take()
        if address % 4:
            raise Trapped("pointer not aligned")
        if address + 8 > len(self.memory):
            raise Trapped("pointer out of bounds")
        self.memory[address : address + 8] = waitable.to_bytes(4, "little") + payload.to_bytes(4, "little")
        return code


INNER = Element("u8", 1, 1)


def carried(element: Element, source: Instance, target: Instance, data: bytes) -> bytes:
    """What arrives of some elements. Of strings and the like only that they do: their bytes are elsewhere."""
    if element.name == "bool":
        return bytes(map(bool, data))
    if element.name != "ends":
        return data
    handles = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
    return b"".join(transfer(source, target, False, INNER, handle).to_bytes(4, "little") for handle in handles)


def transfer(source: Instance, target: Instance, future: bool, element: Element, handle: int) -> int:
    """A readable end goes from one instance to another: its handle there."""
    end = source.end(handle, future, element)
    kind = "future" if future else "stream"
    if end.writable:
        raise Trapped(f"handle is not a readable end of a {kind}")
    if end.busy:
        raise Trapped(f"cannot remove busy {kind}")
    if end.done and not future:
        raise Trapped(f"cannot lift {kind} after being notified that the writable end dropped")
    if end.set:
        raise Trapped(f"cannot lift {kind} while it's in a waitable set")
    if end.channel.written or end.done:
        raise Trapped(f"cannot lift {kind} after previous read succeeded")
    source.remove(handle)
    end.handle = target.add(end)
    return end.handle
