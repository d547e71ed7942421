"""The canonical built-ins. Each is a function of the call, or a generator where it may wait.

Source: Component Model, CanonicalABI.md: Canonical Definitions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from meld.abi.layout import Kind, Layout
from meld.abi.types import Resource
from meld.ir import component as c
from meld.ir.builtins import BUILTINS
from meld.notes.boundaries import CanonCall
from meld.runtime.canonical import Side, trap_if
from meld.runtime.lifting import lift_flat
from meld.runtime.lowering import store
from meld.runtime.streams import HostTrap
from meld.runtime.tables import Scope
from meld.runtime.tasks.calls import TWICE, Calls
from meld.runtime.tasks.channels import Buffer, Channel, End, EndState, ErrorContext, end_of
from meld.runtime.tasks.scheduler import MAX_BACKPRESSURE, Coroutine, InstanceState, Switched, Thread
from meld.runtime.tasks.waitables import BLOCKED, Event, Subtask, Waitable, WaitableSet
from meld.support.records import record

BAD_RETURN = "invalid `task.return` signature and/or options for current task"
OVERFLOW = "backpressure counter overflow"
NOT_SUSPENDED = "cannot resume thread which is not suspended"


@record(eq=False)
class BuiltinCall:
    """A call of a built-in: what it was declared as, by which instance, and who calls it now."""

    note: CanonCall
    instance: InstanceState
    calls: Calls

    @property
    def thread(self) -> Thread:
        thread = self.calls.scheduler.current
        assert thread is not None
        return thread

    @property
    def side(self) -> Side:
        handles = self.calls.handles(self.instance, Scope())
        return self.calls.side(self.note.options, self.instance, handles)

    def end(self, handle: int, *, writes: bool) -> End:
        """The end of this built-in's type that a handle means."""
        return end_of(self.instance.table, self.note.type, handle, writes=writes)


Perform: TypeAlias = Callable[..., Any]

PERFORMED: dict[str, Perform] = {}
"""What a built-in does, by its name."""


def performs(*names: str) -> Callable[[Perform], Perform]:
    """Registers a function as what built-ins do: it takes the call and the core arguments."""

    def registered(function: Perform) -> Perform:
        PERFORMED.update({BUILTINS[name].name: function for name in names})
        return function

    return registered


# --- resources ---


@performs("resource.new")
def resource_new(call: BuiltinCall, rep: int) -> int:
    return call.instance.table.new(_resource(call), rep)


@performs("resource.rep")
def resource_rep(call: BuiltinCall, handle: int) -> int:
    return call.instance.table.rep(_resource(call), handle)


@performs("resource.drop")
def resource_drop(call: BuiltinCall, handle: int) -> Coroutine:
    resource = _resource(call)
    rep = call.instance.table.drop(resource, handle)
    if rep is not None and resource.dtor is not None:
        yield from call.calls.destroy(resource.owner, resource.dtor, resource.label, rep)


def _resource(call: BuiltinCall) -> Resource:
    resource: Any = call.note.type.resource
    return resource  # type: ignore[no-any-return]


# --- tasks ---


@performs("context.get")
def context_get(call: BuiltinCall) -> int:
    return call.thread.context[call.note.slot or 0]


@performs("context.set")
def context_set(call: BuiltinCall, value: int) -> None:
    call.thread.context[call.note.slot or 0] = value


@performs("backpressure.inc")
def backpressure_inc(call: BuiltinCall) -> None:
    call.instance.backpressure += 1
    trap_if(call.instance.backpressure == MAX_BACKPRESSURE, OVERFLOW)


@performs("backpressure.dec")
def backpressure_dec(call: BuiltinCall) -> None:
    call.instance.backpressure -= 1
    trap_if(call.instance.backpressure < 0, OVERFLOW)
    if call.instance.backpressure == 0:
        call.calls.scheduler.admit(call.instance)


@performs("task.return")
def task_return(call: BuiltinCall, *cores: int) -> None:
    task, options = call.thread.task, call.note.options
    trap_if(task.resolved, TWICE)
    trap_if(
        not task.lift.is_async
        or call.note.type != task.type.result
        or options.encoding != task.lift.encoding
        or (options.memory is not None and options.memory is not task.lift.memory),
        BAD_RETURN,
    )
    call.calls.resolve(task, list(cores))


@performs("task.cancel")
def task_cancel(call: BuiltinCall) -> None:
    task = call.thread.task
    trap_if(task.resolved, TWICE)
    trap_if(not task.told, "`task.cancel` called by task which has not been cancelled")
    call.calls.resolve(task, None)


@performs("thread.yield")
def thread_yield(call: BuiltinCall) -> Coroutine:
    scheduler = call.calls.scheduler
    if not scheduler.choose(2):
        yield from _leave(call, Switched.YIELDS)
    return 0


# --- threads ---


@performs("thread.index")
def thread_index(call: BuiltinCall) -> int:
    return call.thread.index or call.instance.threads.next  # of a call, where no thread runs


@performs("thread.new-indirect")
def thread_new_indirect(call: BuiltinCall, at: int, argument: int) -> int:
    found = call.calls.element(call.note.table, at)
    if found is None:
        raise HostTrap("the start function index points to an uninitialized function")
    function, starts = found
    trap_if(not starts, "start function does not match expected type (currently only `(i32) -> ()` is supported)")
    return call.calls.new_thread(call.thread.task, function, argument).index


@performs("thread.resume-later")
def thread_resume_later(call: BuiltinCall, index: int) -> None:
    call.calls.scheduler.rest(_woken(call, index))


@performs("thread.suspend")
def thread_suspend(call: BuiltinCall) -> Coroutine:
    return _leave(call, Switched.SUSPENDED)


@performs("thread.suspend-then-resume")
def thread_suspend_then_resume(call: BuiltinCall, index: int) -> Coroutine:
    return _leave(call, Switched.SUSPENDED, _woken(call, index))


@performs("thread.yield-then-resume")
def thread_yield_then_resume(call: BuiltinCall, index: int) -> Coroutine:
    return _leave(call, Switched.YIELDS, _woken(call, index))


@performs("thread.suspend-then-promote")
def thread_suspend_then_promote(call: BuiltinCall, index: int) -> Coroutine:
    return _leave(call, Switched.SUSPENDED, _promoted(call, index))


@performs("thread.yield-then-promote")
def thread_yield_then_promote(call: BuiltinCall, index: int) -> Coroutine:
    return _leave(call, Switched.YIELDS, _promoted(call, index))


def _woken(call: BuiltinCall, index: int) -> Thread:
    """The thread of an index, which is suspended no more. Raises HostTrap if it was not."""
    thread = call.instance.threads.get(Thread, index)
    trap_if(thread.switched is not Switched.SUSPENDED, NOT_SUSPENDED)
    thread.switched = Switched.NO
    return thread


def _promoted(call: BuiltinCall, index: int) -> Thread | None:
    """The thread of an index, out of its queue; None if it does not yield."""
    thread = call.instance.threads.get(Thread, index)
    trap_if(thread is call.thread, NOT_SUSPENDED)
    if thread.switched is not Switched.YIELDS:
        return None
    call.calls.scheduler.unqueue(thread)
    return thread


def _leave(call: BuiltinCall, how: Switched, target: Thread | None = None) -> Coroutine:
    """The running thread suspends itself, or yields; the target runs next."""
    thread, scheduler = call.thread, call.calls.scheduler
    thread.switched, scheduler.target = how, target
    if how is Switched.YIELDS:
        scheduler.rest(thread)
    yield
    return 0


# --- subtasks ---


@performs("subtask.cancel")
def subtask_cancel(call: BuiltinCall, handle: int) -> Coroutine:
    subtask = call.instance.table.get(Subtask, handle)
    if not call.note.options.is_async:
        subtask.check_alone()
    trap_if(subtask.released, "`subtask.cancel` called after terminal status delivered")
    if not subtask.resolved:
        call.calls.cancel(subtask)
        if not subtask.resolved:
            if call.note.options.is_async:
                return BLOCKED
            yield from _until(lambda: subtask.resolved, subtask, call)
    subtask.deliver()
    return subtask.status


def _until(done: Callable[[], bool], waitable: Waitable, call: BuiltinCall) -> Coroutine:
    """Waits for one waitable alone."""
    waitable.waiter = call.thread
    while not done():
        yield
    waitable.waiter = None


@performs("subtask.drop")
def subtask_drop(call: BuiltinCall, handle: int) -> None:
    subtask = call.instance.table.get(Subtask, handle)
    trap_if(not subtask.released, "cannot drop a subtask which has not yet resolved")
    subtask.join(None, call.calls.scheduler)
    call.instance.table.take(handle)


# --- waitable sets ---


@performs("waitable-set.new")
def waitable_set_new(call: BuiltinCall) -> int:
    return call.instance.table.add(WaitableSet())


@performs("waitable-set.wait")
def waitable_set_wait(call: BuiltinCall, handle: int, at: int) -> Coroutine:
    joined = call.instance.table.get(WaitableSet, handle)
    scheduler = call.calls.scheduler
    if joined.ready and scheduler.choose(2):
        scheduler.wake(call.thread)
        yield
    while not joined.ready:
        yield from joined.park(call.thread)
    return _put_event(call, joined.poll(scheduler), at)


@performs("waitable-set.poll")
def waitable_set_poll(call: BuiltinCall, handle: int, at: int) -> int:
    return _put_event(call, call.instance.table.get(WaitableSet, handle).poll(call.calls.scheduler), at)


def _put_event(call: BuiltinCall, event: Event, at: int) -> int:
    code, handle, payload = event
    call.calls.trace.event(call.instance, event, f"{call.thread.task.label} ({call.note.builtin})")
    side = call.side
    pair = Layout(Kind.RECORD, 4, 8, ())
    side.check_area(pair, at)
    side.put(at, 4, handle)
    side.put(at + 4, 4, payload)
    return code


@performs("waitable-set.drop")
def waitable_set_drop(call: BuiltinCall, handle: int) -> None:
    dropped = call.instance.table.get(WaitableSet, handle)
    trap_if(bool(dropped.waiting), "cannot drop waitable set with waiters")
    trap_if(bool(dropped.members), "cannot drop waitable set with members")
    call.instance.table.take(handle)


@performs("waitable.join")
def waitable_join(call: BuiltinCall, handle: int, to: int) -> None:
    waitable = call.instance.table.get(Waitable, handle)
    joined = call.instance.table.get(WaitableSet, to) if to else None
    trap_if(waitable.waiter is not None, "waitable cannot be used synchronously while added to a waitable set")
    waitable.join(joined, call.calls.scheduler)


# --- streams and futures ---


@performs("stream.new", "future.new")
def channel_new(call: BuiltinCall) -> int:
    readable, writable = Channel.new(call.note.type).ends
    for end in (readable, writable):
        end.handle = call.instance.table.add(end)
    return readable.handle | writable.handle << 32


@performs("stream.read", "stream.write", "future.read", "future.write")
def channel_copy(call: BuiltinCall, handle: int, at: int, count: int = 1) -> Coroutine:
    end = call.end(handle, writes=call.note.builtin.endswith("write"))
    side, element = call.side, call.note.type.element
    layout = None if element is None else call.calls.layout(side, [element]).fields[0][1]
    buffer = Buffer(call.instance, side, layout, at, count)
    result = end.begin(buffer, call.calls.scheduler, call.calls.trace.copy)
    if result is None:
        if call.note.options.is_async:
            return BLOCKED
        end.check_alone()
        yield from end.wait(call.thread)
        _, _, result = end.deliver()
    return result


@performs("stream.cancel-read", "stream.cancel-write", "future.cancel-read", "future.cancel-write")
def channel_cancel(call: BuiltinCall, handle: int) -> int:
    end = call.end(handle, writes=call.note.builtin.endswith("write"))
    end.check_cancellable()
    if not call.note.options.is_async:
        end.check_alone()
    _, _, result = end.cancel(call.calls.scheduler)
    return result


@performs("stream.drop-readable", "stream.drop-writable", "future.drop-readable", "future.drop-writable")
def channel_drop(call: BuiltinCall, handle: int) -> None:
    writes = call.note.builtin.endswith("writable")
    end = call.end(handle, writes=writes)
    verb = "drop" if writes else "remove"
    trap_if(end.state is EndState.COPYING, f"cannot {verb} busy {end.shared.word}")
    end.drop(call.calls.scheduler)
    call.instance.table.take(handle)


# --- error contexts ---


@performs("error-context.new")
def error_context_new(call: BuiltinCall, at: int, length: int) -> int:
    side = call.side
    message = lift_flat(side, call.calls.layout(side, [c.Prim.STRING]), [at, length])[0]
    return call.instance.table.add(ErrorContext(message))


@performs("error-context.debug-message")
def error_context_debug_message(call: BuiltinCall, handle: int, at: int) -> None:
    context = call.instance.table.get(ErrorContext, handle)
    side = call.side
    text = call.calls.layout(side, [c.Prim.STRING])
    trap_if(at + text.size > len(side.memory()), "invalid debug message pointer: out of bounds")
    call.instance.closed = True
    store(side, text, (context.message,), at)
    call.instance.closed = False


@performs("error-context.drop")
def error_context_drop(call: BuiltinCall, handle: int) -> None:
    call.instance.table.get(ErrorContext, handle)
    call.instance.table.take(handle)
