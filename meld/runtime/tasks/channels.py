"""Streams and futures: two ends, one parked buffer at most, copies from memory to memory.

Source: Component Model, CanonicalABI.md: Buffer State, Stream State, Future State.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Any, TypeAlias

from meld.abi.layout import Kind, Layout
from meld.ir import component as c
from meld.notes.channels import EndFunctions
from meld.runtime.canonical import Side, trap_if
from meld.runtime.lifting import load
from meld.runtime.lowering import store
from meld.runtime.tables import Table
from meld.runtime.tasks.scheduler import InstanceState, Scheduler
from meld.runtime.tasks.waitables import Event, EventCode, Waitable
from meld.support.records import record

MAX_ELEMENTS = (1 << 28) - 1
NUMBERS = frozenset(c.Prim(t) for t in ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64"))
"""What both ends of a channel may carry within one instance."""


class Result(IntEnum):
    """How an operation on an end ends."""

    COMPLETED = 0
    DROPPED = 1
    CANCELLED = 2


class EndState(Enum):
    """The state of an end: idle (may start an operation), copying (may cancel it), done (may only be dropped)."""

    IDLE = 1
    COPYING = 2
    DONE = 3


@record(eq=False)
class Buffer:
    """Memory of a guest that an operation copies to or from; `progress` elements have been."""

    instance: InstanceState
    side: Side
    element: Layout | None
    at: int
    length: int
    progress: int = 0

    def __post_init__(self) -> None:
        trap_if(self.length > MAX_ELEMENTS, "stream read/write count too large")
        if self.element is not None and self.length:
            trap_if(self.at % self.element.align != 0, f"pointer not aligned: {self.at:#x}")
            size = self.length * self.element.size
            trap_if(self.at + size > len(self.side.memory()), f"pointer out of bounds of memory: {self.at:#x}")

    @property
    def left(self) -> int:
        return self.length - self.progress

    @property
    def next(self) -> int:
        """The address of the next element."""
        return self.at + self.progress * (0 if self.element is None else self.element.size)


Copied: TypeAlias = Callable[["Channel", Buffer, Buffer, int], None]
"""Told of each copy: from, to, elements."""


@record(eq=False)
class Channel:
    """What the two ends of a stream or future share. `parked` is the end whose operation waits for the other side."""

    type: Any
    ends: tuple[End, End]
    parked: End | None = None
    done: bool = False

    @classmethod
    def new(cls, t: Any) -> Channel:
        """A channel of a component type: ``(stream u8)``, ``(future)``."""
        made: Any = cls(t, None)  # type: ignore[arg-type]
        made.ends = (End(channel=made), End(channel=made, writes=True))
        return made  # type: ignore[no-any-return]

    @property
    def is_future(self) -> bool:
        return isinstance(self.type, c.Future)

    @property
    def word(self) -> str:
        return "future" if self.is_future else "stream"


@record(eq=False)
class End(Waitable):
    """One end of a channel, in the table of an instance."""

    channel: Channel | None = None
    writes: bool = False
    state: EndState = EndState.IDLE
    dropped: bool = False
    buffer: Buffer | None = None

    @property
    def shared(self) -> Channel:
        assert self.channel is not None
        return self.channel

    @property
    def other(self) -> End:
        return self.shared.ends[not self.writes]

    @property
    def code(self) -> EventCode:
        first = EventCode.FUTURE_READ if self.shared.is_future else EventCode.STREAM_READ
        return EventCode(first + self.writes)

    def begin(self, buffer: Buffer, scheduler: Scheduler, copied: Copied) -> int | None:
        """Begins a read or write. Returns its result; None if it is parked and will have an event."""
        channel = self.shared
        self._check_usable(channel)
        if self.other.dropped:
            channel.done = channel.is_future
            if self.event is not None:
                self.deliver()  # of the drop: the guest learns of it now
            self.state = EndState.DONE
            return Result.DROPPED
        if channel.parked is not None and self._meet(channel.parked, buffer, scheduler, copied):
            self.state = EndState.DONE if channel.is_future else EndState.IDLE
            return Result.COMPLETED if channel.is_future else Result.COMPLETED | buffer.progress << 4
        self.state, self.buffer = EndState.COPYING, buffer
        channel.parked = self
        return None

    def _check_usable(self, channel: Channel) -> None:
        trap_if(self.state is EndState.COPYING, "cannot have concurrent operations active on a future/stream")
        verb, other = ("write to", "readable") if self.writes else ("read from", "writable")
        if channel.is_future:
            past = "write succeeded or readable end dropped" if self.writes else "read succeeded"
            trap_if(channel.done or self.state is EndState.DONE, f"cannot {verb} future after previous {past}")
        told = f"cannot {verb} stream after being notified that the {other} end dropped"
        trap_if(self.state is EndState.DONE, told)

    def _meet(self, other: End, mine: Buffer, scheduler: Scheduler, copied: Copied) -> bool:
        """Meets the other side's parked operation. Returns whether this one is over."""
        parked, channel = other.buffer, self.shared
        assert parked is not None
        element = channel.type.element
        trap_if(
            mine.instance is parked.instance and element is not None and element not in NUMBERS,
            "cannot read from and write to intra-component future/stream with non-numeric payload",
        )
        if parked.left == 0 and not (self.writes and mine.length == 0):
            other._end(Result.COMPLETED, scheduler)
            return False
        count = min(mine.left, parked.left)
        if count:
            reader, writer = (parked, mine) if self.writes else (mine, parked)
            copy(channel, writer, reader, count, copied)
            other._end(Result.COMPLETED, scheduler)
            channel.done = channel.is_future
            if parked.left == 0:
                channel.parked = None
        return True

    def _end(self, result: Result, scheduler: Scheduler) -> None:
        """Sets the result of the pending operation, unless it progresses before delivery."""

        def event() -> Event:
            channel, buffer = self.shared, self.buffer
            assert buffer is not None
            if channel.parked is self:
                channel.parked = None
            over = result is Result.DROPPED or (channel.is_future and result is Result.COMPLETED)
            self.state, self.buffer = EndState.DONE if over else EndState.IDLE, None
            return (self.code, self.handle, result if channel.is_future else result | buffer.progress << 4)

        self.notify(event, scheduler)

    def check_cancellable(self) -> None:
        """Raises HostTrap unless an operation is pending and not waited for."""
        verb = "write" if self.writes else "read"
        trap_if(
            self.state is not EndState.COPYING or self.waiter is not None,
            f"{self.shared.word} {verb} cancelled when no {verb} is pending",
        )

    def cancel(self, scheduler: Scheduler) -> Event:
        """Cancels the pending operation and delivers its result. Both ends are inside: it never waits."""
        channel = self.shared
        if self.event is None:
            self._end(Result.CANCELLED, scheduler)
            return self.deliver()
        code, handle, result = self.deliver()
        if not channel.is_future and result & 0xF == Result.COMPLETED:
            result |= Result.CANCELLED
        return (code, handle, result)

    def drop(self, scheduler: Scheduler) -> None:
        """Drops the end; the other one learns it at once."""
        channel, other = self.shared, self.other
        if self.writes and channel.is_future:
            trap_if(
                not channel.done and self.state is not EndState.DONE,
                "cannot drop future write end without first writing a value",
            )
        self.join(None, scheduler)
        self.dropped = True
        if other.dropped:
            return
        if other.state is EndState.COPYING:
            if other.event is None or not channel.is_future:
                channel.parked = None
                other._end(Result.DROPPED, scheduler)
        elif other.event is None:
            other.notify(other._other_dropped, scheduler)

    def _other_dropped(self) -> Event:
        """What an idle end is told."""
        self.state = EndState.DONE
        return (self.code, self.handle, Result.DROPPED)

    def check_movable(self) -> None:
        """Raises HostTrap unless a readable end can be handed to another instance."""
        word = self.shared.word
        trap_if(self.state is EndState.COPYING, f"cannot remove busy {word}")
        trap_if(self.state is EndState.DONE, f"cannot lift {word} after being notified that the writable end dropped")
        trap_if(self.member is not None, f"cannot lift {word} while it's in a waitable set")
        trap_if(self.shared.is_future and self.shared.done, f"cannot lift {word} after previous read succeeded")


def copy(channel: Channel, writer: Buffer, reader: Buffer, count: int, copied: Copied) -> None:
    """Copies elements from the writer's memory to the reader's."""
    copied(channel, writer, reader, count)
    source, target = writer.element, reader.element
    if source is not None and target is not None:
        if source.plain:
            size = count * source.size
            data = bytes(writer.side.memory()[writer.next : writer.next + size])
            reader.side.memory()[reader.next : reader.next + size] = data
        else:
            values = [load(writer.side, source, writer.next + i * source.size) for i in range(count)]
            reader.instance.closed = True
            for i, value in enumerate(values):
                store(reader.side, target, value, reader.next + i * target.size)
            reader.instance.closed = False
    writer.progress += count
    reader.progress += count


def end_of(table: Table, t: Any, handle: int, *, writes: bool) -> End:
    """The end of a stream or future type that a handle means. Raises HostTrap for what is none."""
    end = table.get(End, handle)
    word = "future" if isinstance(t, c.Future) else "stream"
    trap_if(end.shared.is_future != isinstance(t, c.Future), f"handle {handle} is not a {word}")
    trap_if(end.shared.type != t, f"handle {handle} is a {word} of a different type")
    side = "writable" if writes else "readable"
    trap_if(end.writes != writes, f"handle {handle} is not a {side} end of a {word}")
    return end


@record(eq=False)
class ErrorContext:
    """An error context in a handle table."""

    message: str


@record(eq=False)
class EndHandles:
    """The same as `Carried`, over a table in the module, by the functions that carry ends there.

    Attributes:
        record: the address of the instance's record.
        numbers: the type numbers of readable ends.
    """

    functions: EndFunctions
    record: int
    numbers: dict[Any, int]
    call: Callable[..., int]

    def lift(self, layout: Layout, handle: int) -> int:
        if layout.kind is Kind.ERROR_CONTEXT:
            return self.call(self.functions.error_lift, self.record, handle)
        return self.call(self.functions.end_lift, self.record, self.numbers[layout.carries], handle)

    def lower(self, layout: Layout, value: int) -> int:
        if layout.kind is Kind.ERROR_CONTEXT:
            return self.call(self.functions.error_lower, self.record, value)
        return self.call(self.functions.end_lower, self.record, self.numbers[layout.carries], value)


@record(eq=False)
class Carried:
    """Handles of an instance that are values of calls and elements, and are no resources."""

    table: Table

    def lift(self, layout: Layout, handle: int) -> Any:
        """What a handle means: a readable end, which leaves the table, or an error context, which stays."""
        if layout.kind is Kind.ERROR_CONTEXT:
            return self.table.get(ErrorContext, handle)
        end = end_of(self.table, layout.carries, handle, writes=False)
        end.check_movable()
        self.table.take(handle)
        end.handle = 0
        return end

    def lower(self, _layout: Layout, value: Any) -> int:
        """A handle for it."""
        handle = self.table.add(value)
        if isinstance(value, End):
            value.handle = handle
        return handle
