"""Threads, tasks, and the order in which they run.

Source: Component Model, CanonicalABI.md: Threads, Tasks, Component Instances, Embedding (`Store.tick`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import field
from enum import Enum
from typing import Any, Protocol, TypeAlias

from meld.abi.options import Options
from meld.ir.component import CompFuncType
from meld.ir.module import Function
from meld.ir.notes import Instance
from meld.runtime.canonical import trap_if
from meld.runtime.streams import HostTrap
from meld.runtime.tables import Table
from meld.support.records import record

Coroutine: TypeAlias = Generator[None, None, Any]
"""What a thread executes; it yields to wait, after it has registered where it is to be woken."""

DEADLOCK = "deadlock detected: event loop cannot make further progress"
SYNC_BLOCKS = "cannot block a synchronous task before returning"
OUT_OF_ORDER = "a blocked call would have to resume before one that was started later"
MAX_BACKPRESSURE = 1 << 16


@record(eq=False)
class InstanceState:
    """The state of one component instance.

    Attributes:
        closed: whether it must not call out now: something is lowered into it, or a `post-return` runs.
        exclusive: the thread that holds the instance's one stack; tasks that need it wait for each other.
        entering: threads that wait to enter, or to come back in, each with what it waits for.
        threads: its threads by their indices.
    """

    note: Instance
    table: Table = field(default_factory=Table)
    threads: Table = field(default_factory=Table)
    closed: bool = False
    backpressure: int = 0
    exclusive: Thread | None = None
    entering: list[tuple[Thread, Callable[[], bool]]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.note.name or "instance"

    def check_leave(self) -> None:
        """Raises HostTrap if it must not call out now."""
        trap_if(self.closed, f"cannot leave component instance `{self.name}`")


class State(Enum):
    """How far a task is."""

    INITIAL = 1
    STARTED = 2
    CANCEL_PENDING = 3
    RESOLVED = 4


@record(eq=False)
class Task:
    """One call of a lifted function.

    Attributes:
        target: the core function that is lifted.
        start: lifts the arguments from the caller and lowers them; called once, when the task has entered.
        held_back: called if it cannot enter at once; None if that means nothing to the caller.
        resolve: hands the result to the caller: core values of the callee, or None if the task was cancelled.
        runs: what is called in place of the core function, if anything.
        closes: whether its `post-return` must not call out; engines let it between two synchronous sides.
        moves: whether its frames may be taken off the stack while it waits.
        waits: whether it waits between two callbacks, where cancellation reaches it.
        told: whether it has been told of a cancellation, so that it may end by `task.cancel`.
        thread: its implicit thread, which calls the function and its callback.
        threads: how many threads of it have begun or are to, and have not ended.
    """

    label: str
    instance: InstanceState
    type: CompFuncType
    lift: Options
    target: Function
    start: Callable[[Task], list[int]]
    resolve: Callable[[Task, list[int] | None], None]
    held_back: Callable[[], None] | None = None
    runs: Callable[[Sequence[int]], list[int]] | None = None
    closes: bool = True
    moves: bool = False
    state: State = State.INITIAL
    thread: Thread | None = None
    threads: int = 0
    waits: bool = False
    told: bool = False

    @property
    def exclusive(self) -> bool:
        """Whether it needs its instance's one stack."""
        return self.type.is_async and (not self.lift.is_async or self.lift.callback is not None)

    @property
    def resolved(self) -> bool:
        return self.state is State.RESOLVED

    def may_enter(self) -> bool:
        """Whether nothing holds a new call of an async function back."""
        return self.instance.backpressure == 0 and self.instance.exclusive is None

    def may_return(self) -> bool:
        """Whether the instance's one stack is free, if it needs it."""
        return not self.exclusive or self.instance.exclusive is None


class Switched(Enum):
    """What a thread has done to itself by a built-in of threads."""

    NO = 0
    SUSPENDED = 1
    YIELDS = 2


@record(eq=False)
class Thread:
    """What executes a task. `context` has the two slots of `context.get` and `context.set`.

    Attributes:
        index: where it is among the threads of its instance; 0 if it is not.
        switched: whether it has suspended itself, or yields; new ones are suspended.
        queued: whether it is among those that are ready.
        held: whether wasm frames of it wait on the native stack; only the innermost such thread can go on.
        among: the list of those that wait for a set, if it is in one.
    """

    task: Task
    body: Coroutine | None = None
    context: list[int] = field(default_factory=lambda: [0, 0])
    index: int = 0
    switched: Switched = Switched.NO
    queued: bool = False
    held: bool = False
    among: list[Thread] | None = None

    @property
    def exclusive(self) -> bool:
        """Whether it needs its instance's one stack: a task's own threads do not."""
        return self.task.exclusive and self.task.thread is self


class ContextSlots(Protocol):
    """The globals that hold the context slots of whatever runs, once these are no built-ins any more."""

    def read(self) -> list[int]: ...

    def write(self, context: list[int]) -> None: ...


@record(eq=False)
class Scheduler:
    """The running thread and the queue.

    Attributes:
        choose: one of a number of things that may come next; the first is what the engine does.
        current: the thread that runs; None while the host does.
        confined: the instance whose threads alone may run, during a call of a synchronous function.
        target: the thread that the running one switches to as it leaves.
        slots: where the module keeps the context slots of whatever runs, if it does by itself.
    """

    choose: Callable[[int], int] = lambda _: 0
    ready: deque[Thread] = field(default_factory=deque)
    yielded: deque[Thread] = field(default_factory=deque)
    current: Thread | None = None
    confined: InstanceState | None = None
    target: Thread | None = None
    slots: ContextSlots | None = None

    def wake(self, thread: Thread) -> None:
        """Queues a thread, which checks itself whether it can continue."""
        if not thread.queued:
            thread.queued = True
            self.ready.append(thread)

    def rest(self, thread: Thread) -> None:
        """Queues a thread behind all that are ready, now or until it is its turn."""
        if not thread.queued:
            thread.queued = True
            self.yielded.append(thread)

    def unqueue(self, thread: Thread) -> None:
        """Forgets that a thread was to run."""
        for queue in (self.ready, self.yielded):
            if thread in queue:
                queue.remove(thread)
        thread.queued = False

    def take(self, of: InstanceState | None, innermost: Thread | None = None) -> Thread | None:
        """The next thread that can run, out of its queue; of one instance, if given, and without its one stack.

        Of those whose frames are held, only the innermost one can.
        """
        able = [
            thread
            for thread in (*self.ready, *self.yielded)
            if thread is innermost
            or (not thread.held and (of is None or (thread.task.instance is of and not thread.exclusive)))
        ]
        if not able:
            return None
        thread = able[self.choose(len(able))]
        self.unqueue(thread)
        return thread

    def run(self, thread: Thread) -> None:
        """Runs a thread until it waits or ends, and then what it has switched to, and so on."""
        following: Thread | None = thread
        while following is not None:
            assert following.body is not None
            before, self.current = self.current, following
            following.switched = Switched.NO
            context = self._exchange(following.context)
            try:
                next(following.body, None)
            finally:
                self.current = before
            following.context = self._exchange(context)
            following = self._following()

    def run_target(self) -> None:
        """Runs what a thread whose frames stay has switched to, if anything."""
        following = self._following()
        if following is not None:
            self.run(following)

    def _following(self) -> Thread | None:
        """The thread that the last one has switched to, if any; one whose frames wait below is next in the queue."""
        thread, self.target = self.target, None
        if thread is None or not thread.held:
            return thread
        thread.queued = True
        self.ready.appendleft(thread)
        return None

    def _exchange(self, context: list[int]) -> list[int]:
        """Puts the context slots of a thread where the module looks for them. Returns what was there."""
        if self.slots is None:
            return context
        found = self.slots.read()
        self.slots.write(context)
        return found

    def run_until(self, done: Callable[[], bool], instance: InstanceState | None) -> None:
        """Runs threads until something is so.

        Args:
            instance: whose threads alone may run; None for all.

        Raises:
            HostTrap: no thread can go on.
        """
        before, self.confined = self.confined, instance or self.confined
        while not done():
            thread = self.take(self.confined)
            if thread is None:
                raise HostTrap(self.stuck())
            self.run(thread)
        self.confined = before

    def run_above(self, innermost: Thread, instance: InstanceState | None) -> None:
        """Runs threads above the frames of one that waits, until it is that one's turn.

        Args:
            instance: whose threads alone may run; None for all.

        Raises:
            HostTrap: no thread can go on.
        """
        before, self.confined = self.confined, instance or self.confined
        while (thread := self.take(self.confined, innermost)) is not innermost:
            if thread is None:
                raise HostTrap(self.stuck())
            self.run(thread)
        self.confined = before

    def run_batches(self, done: Callable[[], bool]) -> None:
        """The same for all threads, as the host waits: what was ready with the one that made it so runs too."""
        while not done():
            self.run_until(lambda: True, None)
            batch = len(self.ready) or 1
            for _ in range(batch):
                if done() and self.choose(2):
                    return
                thread = self.take(None)
                if thread is None:
                    break
                self.run(thread)
            else:
                continue
            if not done():
                raise HostTrap(self.stuck())

    def tick(self) -> None:
        """Runs threads between two calls of the host, as many as it chooses to."""
        while (self.ready or self.yielded) and self.choose(2):
            thread = self.take(None)
            if thread is None:
                return
            self.run(thread)

    def stuck(self) -> str:
        """Why no thread can go on."""
        if any(thread.held for thread in self.ready):
            return OUT_OF_ORDER
        return DEADLOCK if self.confined is None else SYNC_BLOCKS

    # --- entering an instance ---

    def enter(self, thread: Thread, free: Callable[[], bool]) -> Coroutine:
        """Waits until an instance can be entered, and takes its one stack if the task needs it."""
        task = thread.task
        while not free():
            task.instance.entering.append((thread, free))
            yield
        if task.exclusive:
            task.instance.exclusive = thread

    def leave(self, thread: Thread) -> None:
        """Gives up the instance's one stack."""
        if thread.task.exclusive:
            thread.task.instance.exclusive = None
            self.admit(thread.task.instance)

    def admit(self, instance: InstanceState) -> None:
        """Wakes those that can enter now."""
        waiting, instance.entering = instance.entering, []
        for thread, free in waiting:
            if free():
                self.wake(thread)
            else:
                instance.entering.append((thread, free))
