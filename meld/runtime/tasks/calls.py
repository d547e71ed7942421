"""Calls between instances, and calls of the host: `canon lift` and `canon lower`.

Source: Component Model, CanonicalABI.md: `canon lift`, `canon lower`, Task State, Subtask State.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from meld.abi.layout import MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Layout
from meld.abi.options import Options
from meld.ir import component as c
from meld.ir.module import Function, Table
from meld.ir.notes import Instance
from meld.notes.boundaries import Boundary, HostExport
from meld.runtime.canonical import Handles, Side, Value, trap_if
from meld.runtime.items import Callee
from meld.runtime.lifting import lift_values
from meld.runtime.lowering import lower_values
from meld.runtime.tables import AtExport, Held, Inside, Scope
from meld.runtime.tasks.frames import Frames
from meld.runtime.tasks.scheduler import Coroutine, InstanceState, Scheduler, State, Switched, Task, Thread
from meld.runtime.tasks.trace import Trace
from meld.runtime.tasks.waitables import CANCELLED, NOTHING, Event, Status, Subtask, WaitableSet
from meld.support.records import record

NO_RESULT = "async-lifted export failed to produce a result"
TWICE = "`task.return` or `task.cancel` called more than once for current task"
EXIT, YIELD, WAIT = 0, 1, 2
"""The result of a callback, in the low four bits; a waitable set above them."""
DTOR = c.CompFuncType((("rep", c.Prim.U32),), None)
START = c.CompFuncType((), None)


@record(frozen=True)
class Entry:
    """How an exported function is called that is not called as it is lifted any more.

    Attributes:
        runs: takes flat parameters and returns the flat result; None if the function itself does.
        lift: the options by which the result is lifted.
        most: how many core values it may have before it is in memory.
    """

    runs: Callable[[Sequence[int]], list[int]] | None
    lift: Options
    most: int


@record(eq=False)
class Calls:
    """The calls of one running module.

    Attributes:
        state: the state of an instance.
        side: one side of a call: its options and its handles.
        handles: the handle table of an instance, for the time of a call.
        at_export: the same, for a call by the host.
        layout: the layout of parameters, or of a result, on a side.
        element: the function at an index of a core table, and whether it is of an i32; None if there is none.
        threaded: the instances that make threads, or refer to them: frames of all their tasks may leave the stack.
        lets_in: whether a call, of a caller and a callee, counts as started though the callee holds it back: as one
            into a component does in which another instance is free.
    """

    scheduler: Scheduler
    frames: Frames
    trace: Trace
    state: Callable[[Instance], InstanceState]
    side: Callable[[Options, InstanceState, Handles], Side]
    handles: Callable[[InstanceState, Scope], Held | Inside]
    at_export: Callable[[Held | Inside], AtExport]
    layout: Callable[[Side, Sequence[Any]], Layout]
    element: Callable[[Table, int], tuple[Callee, bool] | None]
    threaded: frozenset[Instance] = frozenset()
    lets_in: Callable[[InstanceState, InstanceState], bool] = lambda _caller, _callee: False

    # --- canon lower ---

    def lowered(self, note: Boundary, cores: Sequence[int]) -> Coroutine:
        """A call across a boundary, with the caller's core values. Returns what its core function returns."""
        caller, callee = self.state(note.caller), self.state(note.callee)
        trap_if(caller is callee, f"cannot enter component instance: `{note.label}`: an instance calls itself")
        caller.check_leave()
        subtask = Subtask()
        task = self._task_of(note, cores, subtask, caller, callee)
        self.trace.call(caller, callee, note.label, note.lower)
        self.begin(task)
        if not note.type.is_async:
            self.scheduler.run_until(lambda: task.resolved, callee)
        elif not note.lower.is_async:
            subtask.waiter = self.scheduler.current
            while not subtask.resolved:
                yield
        if subtask.resolved:
            subtask.finish()
            answer = [int(Status.RETURNED)] if note.lower.is_async else subtask.answer
            return answer[0] if answer else None
        subtask.handle = caller.table.add(subtask)
        self.trace.subtask(caller, note.label, subtask.handle, subtask.status)
        return subtask.status | subtask.handle << 4

    def _task_of(
        self, note: Boundary, cores: Sequence[int], subtask: Subtask, caller: InstanceState, callee: InstanceState
    ) -> Task:
        """The task that a call starts; what it does to the caller's memory and to its own."""
        lender, borrower = self.handles(caller, subtask.scope), self.handles(callee, subtask.scope)
        up, down = self.side(note.lower, caller, lender), self.side(note.lift, callee, borrower)
        types = [t for _, t in note.type.params]
        result_types = [] if note.type.result is None else [note.type.result]
        params, results = self.layout(up, types), self.layout(up, result_types)
        most_params = MAX_FLAT_ASYNC_PARAMS if note.lower.is_async else MAX_FLAT_PARAMS
        most_results = 0 if note.lower.is_async else MAX_FLAT_RESULTS
        subtask.release = lender.end_loans

        lifted: list[Value] = []

        def let_in() -> None:
            subtask.advance(Status.STARTED, self.scheduler)
            lender.begin()
            lifted.append(lift_values(up, params, list(cores), most_params))

        def held_back() -> None:
            if self.lets_in(caller, callee):
                let_in()

        def start(_task: Task) -> list[int]:
            if not lifted:
                let_in()
            return lower(callee, down, self.layout(down, types), lifted.pop(), MAX_FLAT_PARAMS)

        def resolve(task: Task, returned: list[int] | None) -> None:
            self.trace.end(callee, note.label, cancelled=returned is None)
            if returned is None:
                borrower.end_borrows()
                subtask.advance(Status.CANCELLED_BEFORE_RETURNED, self.scheduler)
                return
            values = lift_values(down, self.layout(down, result_types), returned, _most(task))
            borrower.end_borrows()
            out = cores[-1] if len(results.flat) > most_results else None
            subtask.answer = lower(caller, up, results, values, most_results, out)
            subtask.advance(Status.RETURNED, self.scheduler)

        task = Task(note.label, callee, note.type, note.lift, note.target, start, resolve, held_back)
        task.closes = note.lower.is_async
        task.moves = note.type.is_async or note.lift.is_async or note.callee in self.threaded
        subtask.task = task
        return task

    # --- calls of the host, and of destructors ---

    def invoke(self, export: HostExport, values: Sequence[Value], entry: Entry | None = None) -> Value:
        """Calls what the program exports with component values. Returns the result, None if there is none."""
        scope, instance = Scope(), self.state(export.instance)
        handles = self.at_export(self.handles(instance, scope))
        side = self.side(export.lift, instance, handles)
        source = side if entry is None else self.side(entry.lift, instance, handles)
        result_types = [] if export.type.result is None else [export.type.result]
        answer: list[Value] = []

        def start(_task: Task) -> list[int]:
            handles.begin()
            params = self.layout(side, [t for _, t in export.type.params])
            return lower(instance, side, params, tuple(values), MAX_FLAT_PARAMS)

        def resolve(task: Task, returned: list[int] | None) -> None:
            assert returned is not None  # it is never cancelled
            self.trace.end(instance, export.label, cancelled=False)
            most = _most(task) if entry is None else entry.most
            answer[:] = lift_values(source, self.layout(source, result_types), returned, most)
            handles.end_borrows()

        self._root(export, instance, start, resolve, entry)
        handles.end_loans()
        return answer[0] if answer else None

    def invoke_core(self, export: HostExport, cores: list[int], entry: Entry | None = None) -> list[int]:
        """Calls what the program exports with core values; returns those of the result, in the callee's memory."""
        answer: list[int] = []
        instance = self.state(export.instance)

        def resolve(_task: Task, returned: list[int] | None) -> None:
            self.trace.end(instance, export.label, cancelled=False)
            answer[:] = returned or []

        self._root(export, instance, lambda _: cores, resolve, entry, raw=True)
        return answer

    def _root(
        self,
        export: HostExport,
        instance: InstanceState,
        start: Callable[[Task], list[int]],
        resolve: Callable[[Task, list[int] | None], None],
        entry: Entry | None,
        *,
        raw: bool = False,
    ) -> None:
        """Runs a task of the host's until it has resolved; what is left then continues in the next call."""
        lift = replace(export.lift, post_return=None) if raw else export.lift
        if entry is not None:
            lift = replace(lift, is_async=False, callback=None)
        moves = lift.is_async or export.instance in self.threaded
        task = Task(export.label, instance, export.type, lift, export.target, start, resolve, moves=moves)
        task.runs = None if entry is None else entry.runs
        self.trace.call(None, instance, export.label, export.lift)
        self.scheduler.current = self.scheduler.confined = None
        self.scheduler.tick()
        if not export.type.is_async:
            self.begin(task)
            self.scheduler.run_until(lambda: task.resolved, instance)
        else:
            self.scheduler.wake(self._thread(task))
            self.scheduler.run_batches(lambda: task.resolved)

    def destroy(self, owner: Instance | None, dtor: Function, label: str, rep: int) -> Coroutine:
        """Calls the destructor of a resource: a synchronous call into the instance that defines it, or of the host."""
        if owner is None:
            self.frames.plain(dtor, [rep])
            return
        yield from self.synchronous(owner, dtor, f"destructor of {label}", rep)

    def synchronous(self, owner: Instance, target: Function, label: str, *cores: int) -> Coroutine:
        """Calls a destructor, or a start function: a synchronous task."""
        instance = self.state(owner)
        task = Task(
            label,
            instance,
            DTOR if cores else START,
            Options(),
            target,
            lambda _: list(cores),
            lambda _task, _returned: None,
            moves=owner in self.threaded,
        )
        self.begin(task)
        self.scheduler.run_until(lambda: task.resolved, instance)
        return
        yield

    # --- canon lift ---

    def begin(self, task: Task) -> None:
        """Starts a task, and runs it until it waits or ends."""
        self.scheduler.run(self._thread(task))

    def _thread(self, task: Task) -> Thread:
        thread = task.thread = Thread(task)
        thread.body = self._execute(task, thread)
        return thread

    def _execute(self, task: Task, thread: Thread) -> Coroutine:
        """What the thread of a task does."""
        scheduler, lift = self.scheduler, task.lift
        if task.type.is_async:
            if task.held_back is not None and not task.may_enter():
                task.held_back()
            yield from scheduler.enter(thread, task.may_enter)
        self._number(thread)
        task.state = State.STARTED
        passed = task.start(task)
        if task.runs is not None:
            returned = task.runs(passed)
        else:
            returned = yield from self.frames.guest(task.target, passed, moves=task.moves)
        if not lift.is_async:
            self.resolve(task, returned)
            self._post_return(task, lift.post_return, returned)
        elif lift.callback is not None:
            yield from self._callbacks(task, thread, lift.callback, returned[0])
        scheduler.leave(thread)
        self._exit(thread)

    def new_thread(self, task: Task, function: Callee, argument: int) -> Thread:
        """A thread of a task, suspended, that calls a core function of an i32 when it is resumed."""
        thread = Thread(task, switched=Switched.SUSPENDED)
        thread.body = self._thread_of_its_own(thread, function, argument)
        self._number(thread)
        return thread

    def _thread_of_its_own(self, thread: Thread, function: Callee, argument: int) -> Coroutine:
        yield from self.frames.guest(function, [argument], moves=True)
        self._exit(thread)

    def _number(self, thread: Thread) -> None:
        """A thread begins: it gets an index, and its task is not over before it is."""
        thread.task.threads += 1
        thread.index = thread.task.instance.threads.add(thread)

    def _exit(self, thread: Thread) -> None:
        """A thread has ended. Raises HostTrap if it was the last one, and its task is a call without a result."""
        task = thread.task
        task.threads -= 1
        task.instance.threads.take(thread.index)
        trap_if(not task.threads and not task.resolved and task.thread is not None, NO_RESULT)

    def _post_return(self, task: Task, function: Function | None, returned: list[int]) -> None:
        if function is not None:
            task.instance.closed = task.closes
            self.frames.plain(function, returned)
            task.instance.closed = False

    def _callbacks(self, task: Task, thread: Thread, callback: Function, answer: int) -> Coroutine:
        """Calls the callback with events until it exits."""
        while answer & 0xF != EXIT:
            code, index = answer & 0xF, answer >> 4
            trap_if(code > WAIT, "unsupported callback code")
            joined = task.instance.table.get(WaitableSet, index) if code == WAIT else None
            event = yield from self._between(task, thread, joined)
            self.trace.event(task.instance, event, f"{task.label} (callback)")
            (answer,) = yield from self.frames.guest(callback, list(event), moves=task.moves)

    def _between(self, task: Task, thread: Thread, joined: WaitableSet | None) -> Coroutine:
        """Waits between two callbacks: for an event of a set, or just for others to run. Returns the event."""
        scheduler = self.scheduler
        scheduler.leave(thread)
        task.waits = True
        if joined is None and task.state is not State.CANCEL_PENDING:
            if not scheduler.choose(2):
                scheduler.rest(thread)
                yield
        elif (joined is None or joined.ready or task.state is State.CANCEL_PENDING) and not scheduler.choose(2):
            scheduler.wake(thread)
            yield
        while True:
            if joined is not None and not joined.ready and task.state is not State.CANCEL_PENDING:
                yield from joined.park(thread)
            elif not task.may_return():
                task.instance.entering.append((thread, task.may_return))
                yield
            else:
                break
        if task.exclusive:
            task.instance.exclusive = thread
        task.waits = False
        return self._next_event(task, joined)

    def _next_event(self, task: Task, joined: WaitableSet | None) -> Event:
        if task.state is State.CANCEL_PENDING:
            task.state, task.told = State.STARTED, True
            return CANCELLED
        return NOTHING if joined is None else joined.poll(self.scheduler)

    def resolve(self, task: Task, returned: list[int] | None) -> None:
        """The task has its result (`task.return`, or a synchronous function returns), or was cancelled: None."""
        trap_if(task.resolved, TWICE)
        task.resolve(task, returned)
        task.state = State.RESOLVED

    # --- cancellation ---

    def cancel(self, subtask: Subtask) -> None:
        """Asks for the cancellation of a subtask that has not been resolved."""
        task = subtask.task
        assert task is not None and task.thread is not None
        thread, scheduler = task.thread, self.scheduler
        if task.state is State.INITIAL:
            task.instance.entering = [(t, free) for t, free in task.instance.entering if t is not thread]
            scheduler.unqueue(thread)
            task.state = State.RESOLVED
            subtask.advance(
                Status.CANCELLED_BEFORE_RETURNED
                if subtask.status is Status.STARTED
                else Status.CANCELLED_BEFORE_STARTED,
                scheduler,
            )
            return
        task.state = State.CANCEL_PENDING
        if not task.waits:
            return
        if thread.among is not None:
            thread.among.remove(thread)
            thread.among = None
            scheduler.wake(thread)
        if task.may_return():
            scheduler.unqueue(thread)
            scheduler.run(thread)


def lower(
    instance: InstanceState, side: Side, layout: Layout, values: Value, most: int, out: int | None = None
) -> list[int]:
    """Lowers into an instance, which must not call out meanwhile."""
    # Not undone by a trap: the instance is in no state to go on.
    before, instance.closed = instance.closed, True
    cores = lower_values(side, layout, values, most, out)
    instance.closed = before
    return cores


def _most(task: Task) -> int:
    """How many core values a result may have before it is in memory."""
    return MAX_FLAT_PARAMS if task.lift.is_async else MAX_FLAT_RESULTS
