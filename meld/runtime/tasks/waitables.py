"""Waitables, their events, and the sets that hand out events.

Source: Component Model, CanonicalABI.md: Waitable State, Subtask State.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import field
from enum import IntEnum
from typing import TypeAlias

from meld.runtime.canonical import trap_if
from meld.runtime.tables import Scope
from meld.runtime.tasks.scheduler import Coroutine, Scheduler, Task, Thread
from meld.support.records import record

BLOCKED = 0xFFFF_FFFF
IN_SET = "waitable cannot be used synchronously while added to a waitable set"


class EventCode(IntEnum):
    """What kind of event it is."""

    NONE = 0
    SUBTASK = 1
    STREAM_READ = 2
    STREAM_WRITE = 3
    FUTURE_READ = 4
    FUTURE_WRITE = 5
    TASK_CANCELLED = 6


Event: TypeAlias = tuple[EventCode, int, int]
"""The code and its payload: the handle, and what it says of it."""
NOTHING: Event = (EventCode.NONE, 0, 0)
CANCELLED: Event = (EventCode.TASK_CANCELLED, 0, 0)


@record(eq=False)
class Waitable:
    """What an event can come from.

    Attributes:
        handle: its index in the table of the instance that has it; 0 while it is on its way.
        event: computes the event that waits to be delivered, and notes that it was.
        member: the set that it has joined.
        waiter: the thread that waits for this waitable alone.
    """

    handle: int = 0
    event: Callable[[], Event] | None = None
    member: WaitableSet | None = None
    waiter: Thread | None = None

    def join(self, joined: WaitableSet | None, scheduler: Scheduler) -> None:
        """Leaves the set that it is in, and joins another."""
        if self.member is not None:
            self.member.members.remove(self)
            if self in self.member.ready:
                self.member.ready.remove(self)
        self.member = joined
        if joined is not None:
            joined.members.append(self)
            if self.event is not None:
                joined.notify(self, scheduler)

    def notify(self, event: Callable[[], Event], scheduler: Scheduler) -> None:
        """Sets the event that is to be delivered next, in place of one that was not."""
        self.event = event
        if self.member is not None:
            self.member.notify(self, scheduler)
        if self.waiter is not None:
            scheduler.wake(self.waiter)

    def deliver(self) -> Event:
        """Takes the event."""
        assert self.event is not None
        event, self.event = self.event, None
        if self.member is not None and self in self.member.ready:
            self.member.ready.remove(self)
        return event()

    def check_alone(self) -> None:
        """Raises HostTrap if it is in a set, where a synchronous operation must not wait for it."""
        trap_if(self.member is not None, IN_SET)

    def wait(self, thread: Thread) -> Coroutine:
        """Waits until it has an event; while it does, it can join no set."""
        self.waiter = thread
        while self.event is None:
            yield
        self.waiter = None


@record(eq=False)
class WaitableSet:
    """A set of waitables.

    Attributes:
        ready: those of its members that have an event, in the order in which they got it.
        waiting: threads that wait for an event of any.
    """

    members: list[Waitable] = field(default_factory=list)
    ready: deque[Waitable] = field(default_factory=deque)
    waiting: list[Thread] = field(default_factory=list)

    def notify(self, waitable: Waitable, scheduler: Scheduler) -> None:
        """A member has an event: wakes the thread that waits longest."""
        if waitable not in self.ready:
            self.ready.append(waitable)
        if self.waiting:
            thread = self.waiting.pop(scheduler.choose(len(self.waiting)))
            thread.among = None
            scheduler.wake(thread)

    def park(self, thread: Thread) -> Coroutine:
        """Parks a thread until a member has an event. Another one may take it first, so the caller looks again."""
        thread.among = self.waiting
        self.waiting.append(thread)
        yield

    def poll(self, scheduler: Scheduler) -> Event:
        """The next event, or none."""
        return self.ready[scheduler.choose(len(self.ready))].deliver() if self.ready else NOTHING


class Status(IntEnum):
    """What a caller is told of a subtask."""

    STARTING = 0
    STARTED = 1
    RETURNED = 2
    CANCELLED_BEFORE_STARTED = 3
    CANCELLED_BEFORE_RETURNED = 4


@record(eq=False)
class Subtask(Waitable):
    """A call as its caller sees it.

    Attributes:
        scope: what the caller has lent for the call; given back when it learns that the call is over.
        answer: the core values that a synchronous caller gets.
        released: whether the caller knows that it is over.
    """

    task: Task | None = None
    scope: Scope = field(default_factory=Scope)
    status: Status = Status.STARTING
    released: bool = False
    answer: list[int] = field(default_factory=list)
    release: Callable[[], None] | None = None

    @property
    def resolved(self) -> bool:
        return self.status >= Status.RETURNED

    def advance(self, status: Status, scheduler: Scheduler) -> None:
        """The call has got further; tells the caller, if it has a handle for it or waits for it."""
        self.status = status
        if self.handle:
            self.notify(self._event, scheduler)
        elif self.waiter is not None:
            scheduler.wake(self.waiter)

    def finish(self) -> None:
        """The caller learns that it is over, and has back what it lent."""
        self.released = True
        if self.release is not None:
            self.release()

    def _event(self) -> Event:
        if self.resolved:
            self.finish()
        return (EventCode.SUBTASK, self.handle, self.status)
