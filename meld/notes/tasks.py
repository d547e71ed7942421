"""Notes of `plan-tasks`: how each call between components is made, and how each export is entered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from enum import Enum

from meld.abi.options import Options, read_options, write_options
from meld.abi.types import read_func_type, write_func_type
from meld.ir.component import CompFuncType
from meld.ir.module import Function, Global, Module
from meld.ir.notes import Instance, NameOf, Note, Sexp, coded, flag, note, number, ref, symbol, text


def _write_kept(options: Options | None, name_of: NameOf) -> list[Sexp]:
    return [] if options is None else write_options(options, name_of)


class How(Enum):
    """How a call is made; the value is the word in the note."""

    DIRECT = "direct"
    """The adapter calls the callee and is done when it returns."""
    PROMPT = "prompt"
    """An asynchronous call that is over when the callee returns: no scheduler, one global says what runs."""
    TASK = "task"
    """The callee runs as a task: it may wait, and the caller may continue before the call is over."""


@note("planned")
class Planned(Note):
    """On the import of a boundary: how the call is made.

    Attributes:
        how: a `How`.
        call: the number of a call that is a task, from 1.
        outside: the callee of a direct call finds the task of code that must not block, not its caller's.
        context: the callee has context slots of its own.
        blocks: how the callee may block: a call path, functions separated by ``→``.
    """

    how: str = symbol(positional=True)
    call: int = number(default=0)
    outside: bool = flag(default=False)
    context: bool = flag(default=False)
    blocks: str | None = text(default=None)


@note("planned-export")
class PlannedExport(Note):
    """On the module: how an exported function is entered, by its label. See `Planned`.

    Attributes:
        how: ``direct`` if the callee itself is exported, or ``task``.
        share: what tells the share of its tasks, among their flags (`SHARE`).
        kept: where copies of its result lie, if its task returns what points to memory.
        outer: how the host lifts and lowers its values, if something stands between the host and the callee.
    """

    label: str = text(positional=True)
    how: str = symbol()
    call: int = number(default=0)
    context: bool = flag(default=False)
    blocks: str | None = text(default=None)
    share: int = number(default=0)
    kept: Options | None = coded(_write_kept, read_options, default=None)
    outer: Options | None = coded(_write_kept, read_options, default=None)


@note("uses-context")
class UsesContext(Note):
    """On a `realloc`: it uses context slots, which are its own for each call (0 at the start, discarded at the end)."""


@note("needs-task")
class NeedsTask(Note):
    """On a destructor: it uses context slots, or asks for the running task, which is one of its own."""


@note("synchronous-call")
class SynchronousCall(Note):
    """On an import: calls a function that the guest does not lift as a synchronous task of its own.

    A destructor, ``(representation) → ()``, or a core start function, ``() → ()``. In instances with threads the
    function that `emit-tasks` puts in place of the import keeps the note: its frames may leave the stack.
    """

    instance: Instance = ref("note")
    target: Function = ref("functions")
    label: str = text()


@note("context-slots")
class ContextSlots(Note):
    """On the module: the globals that hold the context slots of whatever runs."""

    first: Global = ref("globals")
    second: Global = ref("globals")


START, RETURN, RESULT = "start", "return", "result"


@note("task-half")
class TaskHalf(Note):
    """On an import: what copies the values of one half of a call that is a task, or of the result for the host.

    ``start``: ``([scope], the caller's flat parameters) → the callee's``. The scope is an address of the state memory,
    given if the call borrows handles that live in the module.
    ``return``: ``(the callee's flat results, [where the result goes in the caller's memory]) → the caller's``.
    ``result``: ``(the callee's flat results) → the same``, a copy that the host may read when the callee has continued.
    The caller is the callee; `lower` says where the copy lies.

    Attributes:
        half: which of the two.
        call: the number of the call (`Planned.call`); what follows are the fields of its `Boundary`.
        outside: the host calls, and `lower` is its side; the caller is the callee.
        to_host: the host is called, and `lift` is its side; the same.
    """

    half: str = symbol(positional=True)
    call: int = number(positional=True)
    caller: Instance = ref("note")
    callee: Instance = ref("note")
    label: str = text()
    type: CompFuncType = coded(write_func_type, read_func_type)
    lower: Options = coded(write_options, read_options, default=Options())
    lift: Options = coded(write_options, read_options, default=Options())
    outside: bool = flag(default=False)
    to_host: bool = flag(default=False)


@note("task-result")
class TaskResult(Note):
    """On an import: what the running task of an exported function hands its flat result over to.

    ``(the task, the flat result) → ()``. The task is an address of the state memory.
    """

    call: int = number(positional=True)
    label: str = text()


@note("task-call")
class TaskCall(Note):
    """On the function in place of a boundary: a call that is a task. The fields are those of `Boundary`, `Planned`."""

    caller: Instance = ref("note")
    callee: Instance = ref("note")
    label: str = text()
    type: CompFuncType = coded(write_func_type, read_func_type)
    blocks: str | None = text(default=None)
    call: int = number(default=0)


def task_calls(module: Module) -> Iterator[PlannedExport | TaskCall]:
    """The exported functions and the calls inside that may be tasks, when `emit-tasks` has run."""
    yield from module.notes_of(PlannedExport)
    yield from (n for f in module.functions for n in f.notes if isinstance(n, TaskCall))


def may_block(module: Module) -> Iterator[str]:
    """What may have to wait on the stack, with the reason, for people."""
    yield from (f"{n.label}: {n.blocks}" for n in task_calls(module) if n.blocks)
    called = (n for f in module.functions for n in f.notes if isinstance(n, SynchronousCall))
    yield from (f"{n.label}: threads of {n.instance.name}" for n in called)


@note("tasks")
class TaskFunctions(Note):
    """On the module: what else refers to running tasks. A task is an address of the state memory (`tasks.wat`).

    Attributes:
        running: the global with the running task.
        outside: the task of code that must not block.
        new: ``(call, bytes, record of the callee's instance, record of the caller's or 0, flags) → task``.
        call: ``(task) → ()``: begins a call and returns when it is resolved.
        let_go: ``(task) → ()``: the caller has the result.
        root_begin: ``(task) → the result of an exported function's callback``, if such functions wait for the host.
        root_event: their callback.
        root_nudge: ``() → ()``, after a function that is no task.
    """

    running: Global = ref("globals")
    outside: int = number()
    new: Function = ref("functions")
    call: Function = ref("functions")
    let_go: Function = ref("functions")
    root_begin: Function | None = ref("functions", default=None)
    root_event: Function | None = ref("functions", default=None)
    root_nudge: Function | None = ref("functions", default=None)


@note("frames")
class FrameFunctions(Note):
    """On the module: what takes frames of tasks off the stack (`frames.wat`), for `resumable-frames`.

    Attributes:
        state, top, limit, grow: of the carrier of frames, which lie in the state memory.
        movable: an immutable global, -1 if frames can leave, else 0.
        drive: the function that runs the code of a task, from its start or from an event.
    """

    state: Global = ref("globals")
    top: Global = ref("globals")
    limit: Global = ref("globals")
    grow: Function = ref("functions")
    movable: Global = ref("globals")
    drive: Function = ref("functions")


@note("leaving")
class LeavingFunctions(Note):
    """On the module: what a driver of another pass needs (`frames.wat`), for `stack-switching`.

    Attributes:
        driven: whether a driver is below, and no call of the host in between.
        off: ``(task, event) → ()``: what a driver does when the frames of a task have left.
    """

    driven: Global = ref("globals")
    off: Function = ref("functions")


@note("suspends")
class Suspends(Note):
    """On a function that may have the frames below it leave: a *leaf* in the words of `meld.rewriting.resumable`."""


FRAME_ITEMS = tuple(f.name for f in fields(FrameFunctions) if f.type in ("Global", "Function"))
"""The fields that are items, by the names that they have in the template."""

MAY_BLOCK, HELD = 1, 8
"""Flags of a new task: it is of asynchronous type; its caller holds on to it."""
SHARE = 1 << 16
"""Multiplied with the number of the share that a task counts for: the upper half of its flags."""
VALUES = 96
"""Where in a task its values begin, 8 bytes each: parameters until it starts, then the result."""
OUT = 88
"""Where in a task the address is to which the result goes in the caller's memory."""


def task_bytes(values: int) -> int:
    """Bytes of a task with so many values."""
    return 128 if VALUES + 8 * values <= 128 else 256
