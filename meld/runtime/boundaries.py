"""The interpreter of what is still pending: calls between components, and canonical built-ins.

After `merge` a call into another component is an import with a `Boundary` note, and a canonical built-in one with a
`CanonCall` note. This module supplies them in Python, so that a module runs at any stage with the same results as the
compiled one. What an import stands for is known from notes alone, so the module must come as text or as objects: a
binary does not carry them. What calls and built-ins do is in `meld.runtime.tasks`; here they meet the module.

Adapters compile the same rules, with the same two liberties that engines take: `post-return` may call out, and an
instance that is re-entered through another may run.

Source: Component Model, CanonicalABI.md: `canon lift`, `canon lower`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from functools import partial
from typing import Any, TypeAlias, TypeVar

import wasmtime

from meld.abi.layout import MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Layout, Layouts
from meld.abi.options import Options
from meld.abi.signatures import builtin_type, lifted_type, lowered_type, task_return_type
from meld.abi.types import Resource, show
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.builtins import THREAD_START
from meld.ir.module import CoreItem, Function, Module
from meld.ir.module import Table as CoreTable
from meld.ir.notes import Instance, Note
from meld.ir.types import I32, I64, FuncType, NumType
from meld.notes.boundaries import (
    Boundary,
    CanonCall,
    Edge,
    HostCall,
    HostExport,
    OuterCall,
    ResourceExport,
    threaded_instances,
)
from meld.notes.handles import FUNCTIONS, Exposed, HandleFunctions, HandleTable, type_numbers
from meld.notes.tasks import ContextSlots, SynchronousCall
from meld.runtime.canonical import Handles, Side, Value, trap_if
from meld.runtime.edges import Passing
from meld.runtime.host import engine_type
from meld.runtime.items import Globals, Items, bits_of, engine_value
from meld.runtime.lifting import lift_values
from meld.runtime.lowering import lower_values
from meld.runtime.remains import Remains, remaining_items
from meld.runtime.streams import HostTrap
from meld.runtime.tables import AtExport, Held, Inside, Outside, Scope, Table
from meld.runtime.tasks.builtins import PERFORMED, BuiltinCall
from meld.runtime.tasks.calls import DTOR, Calls, lower
from meld.runtime.tasks.channels import Carried
from meld.runtime.tasks.frames import Frames
from meld.runtime.tasks.scheduler import InstanceState, Scheduler, State, Task, Thread
from meld.runtime.tasks.trace import Trace
from meld.runtime.tasks.unwinding import unwindable
from meld.runtime.tasks.waitables import Status
from meld.support.records import record

T = TypeVar("T")
Pair: TypeAlias = tuple[T, T]
"""The caller's, the callee's."""
POISONED = "cannot enter component instance"
"""What every call is told after one has trapped."""


@record()
class Interpreter:
    """Serves the pending imports of one running module, and typed calls of what it exports.

    Attributes:
        calls: how often each boundary was called, by its label.
        trace: told of calls, events and copies.
    """

    module: Module
    calls: Counter[str] = field(default_factory=Counter)
    trace: Trace = field(default_factory=Trace)
    trapped: bool = False
    _items: Items = field(default_factory=Items)
    _scheduler: Scheduler = field(default_factory=Scheduler)
    _layouts: dict[NumType, Layouts] = field(default_factory=lambda: {t: Layouts(t) for t in (I32, I64)})
    _states: dict[Instance, InstanceState] = field(default_factory=dict)
    _outside: dict[Instance, Thread] = field(default_factory=dict)
    _records: dict[Instance, int] = field(default_factory=dict)  # of handle tables in the module
    _over_tables: HandleFunctions | None = None
    _numbers: dict[Resource, int] = field(default_factory=dict)  # of resource types, in the module's handle tables
    _outer: Table = field(default_factory=Table)  # of exposed resources, outside the module
    _exposed: dict[Resource, Exposed] = field(default_factory=dict)
    _drops: dict[Resource, Function] = field(default_factory=dict)  # their destructors, for the outside
    _remains: Remains = field(default_factory=lambda: Remains(Module(), Items()))
    _frames: Frames | None = None
    _tasks: Calls | None = None

    def __post_init__(self) -> None:
        self._records = {note.instance: note.record for note in self.module.notes_of(HandleTable)}
        self._over_tables = next(iter(self.module.notes_of(HandleFunctions)), None)
        self._numbers = type_numbers(self.module)
        self._exposed = {note.resource: note for note in self.module.notes_of(Exposed)}
        self._drops = {n.resource: n.drop for n in self.module.notes_of(ResourceExport) if n.drop is not None}
        self._items = Items.of(self.module, _needed(self.module))
        self._remains = Remains.of(self.module, self._items)
        self._frames = Frames(self._scheduler, self._items.call)
        for note in self.module.notes_of(ContextSlots):
            self._scheduler.slots = Globals(self._items, (note.first, note.second))
        self._tasks = Calls(
            self._scheduler,
            self._frames,
            self.trace,
            self._state,
            self._side,
            self._handles,
            lambda inside: AtExport(inside, self._outer),
            self._record,
            self._element,
            threaded_instances(n for _, n in self.module.noted(CanonCall)),
        )

    @property
    def serves(self) -> bool:
        """Whether there is anything that it has to do."""
        return any(isinstance(n, Boundary | CanonCall) for item in self.module.imports for n in item.notes)

    def encoded(self) -> AbstractContextManager[Module]:
        """The module for the engine; `exports` is known only inside the context."""
        assert self._frames is not None
        return unwindable(self.module, self._items, self._frames)

    @property
    def exports(self) -> dict[str, CoreItem]:
        """What the module must export so that this works, by reserved name."""
        return {name: item for item, name in self._items.names.items()}

    def attach(self, instance: wasmtime.Instance, store: wasmtime.Store) -> None:
        """Sets the instance, once there is one; before, items are found through the caller."""
        self._items.attach(instance, store)

    # --- what is supplied for imports ---

    def function(self, wanted: Function) -> Callable[..., Any] | None:
        """What to supply for an import; it takes the caller first. None if its notes say nothing."""
        for note in wanted.notes:
            match note:
                case Boundary():
                    return self._boundary(note, wanted)
                case CanonCall():
                    return self._builtin(note, wanted)
                case Edge():
                    return self._edge(note, wanted)
                case SynchronousCall() if self._tasks is not None:
                    return self._served(
                        wanted, note.instance, partial(self._tasks.synchronous, note.instance, note.target, note.label)
                    )
                case OuterCall(resource=Resource(owner=Instance() as owner)):
                    return self._served(wanted, owner, partial(self._outer_call, note))
                case _ if self._tasks is not None and (found := self._remains.served(note, self._tasks)):
                    return self._served(wanted, *found)
        return None

    def guarded(self, wanted: Function, given: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the host, which an instance must not call while something is lowered into it."""
        notes = [n for n in wanted.notes if isinstance(n, HostCall)]
        if not notes:
            return given

        def call(*args: Any) -> Any:
            self._state(notes[0].instance).check_leave()
            return given(*args)

        return call

    def _boundary(self, note: Boundary, wanted: Function) -> Callable[..., Any]:
        where = f"call of `{note.label}` from `{note.caller.name}` into `{note.callee.name}`"
        if wanted.signature != lowered_type(note.type, note.lower):
            raise MeldError(f"its core function does not have the type of {show(note.type)}", where=where)
        _check_lift(note.type, note.lift, note.target, where)
        _check_realloc(note.lower, where)

        def start(*cores: int) -> Any:
            self.calls[note.label] += 1
            assert self._tasks is not None
            return self._remains.around(wanted, self._tasks.lowered(note, cores))

        return self._served(wanted, note.caller, start)

    def _edge(self, note: Edge, wanted: Function) -> Callable[..., Any]:
        """A call over the edge. Blocks that it takes in the state memory are not given back."""
        out = note.way == "out"
        params = [t for _, t in note.type.params]
        results = [] if note.type.result is None else [note.type.result]

        def start(*cores: int) -> int | None:
            self.calls[note.label] += 1
            instance = self._state(note.instance)
            if out:
                instance.check_leave()
            inside = self._handles(instance, Scope(outside=not out))
            inside.begin()
            inner = self._side(note.inner, instance, inside)
            outer = self._side(note.outer, instance, Outside(self._exposed, self._answer))
            up, down = (inner, outer) if out else (outer, inner)
            go = self._copying if note.copies else self._passing
            answer, returned = go(
                note,
                (up, down),
                (self._record(up, params), self._record(down, params)),
                (self._record(up, results), self._record(down, results)),
                list(cores),
            )
            inside.end_loans()
            post_return = note.inner.post_return
            if not out and post_return is not None and post_return is not note.outer.post_return:
                self._plain(post_return, returned)
            return answer[0] if answer else None

        return self._served(wanted, note.instance, start)

    def _passing(
        self, note: Edge, sides: Pair[Side], params: Pair[Layout], results: Pair[Layout], cores: list[int]
    ) -> Pair[list[int]]:
        """A call over the edge that passes values on with translated handles; returns its result, and the target's."""
        up, down = sides
        assert up.handles is not None and down.handles is not None
        there, back = Passing(up.handles, down.handles, up), Passing(down.handles, up.handles, up)
        passed = cores if len(params[0].flat) > MAX_FLAT_PARAMS else there.in_cores(params[0], cores)
        there.put()
        returned = self._plain(note.target, passed)
        there.restore()
        down.handles.end_borrows()
        if len(results[0].flat) <= MAX_FLAT_RESULTS:
            return back.in_cores(results[0], returned), returned
        if note.way == "out":
            back.in_memory(results[0], cores[-1])
        return returned, returned

    def _copying(
        self, note: Edge, sides: Pair[Side], params: Pair[Layout], results: Pair[Layout], cores: list[int]
    ) -> Pair[list[int]]:
        """A call over the edge for which the host has the state memory; as `_passing`."""
        (up, down), out, instance = sides, note.way == "out", self._state(note.instance)
        assert down.handles is not None
        most = MAX_FLAT_ASYNC_PARAMS if note.inner.is_async else MAX_FLAT_PARAMS
        values = lift_values(up, params[0], cores, most)
        spilled = len(results[0].flat) > MAX_FLAT_RESULTS
        if out:
            passed = lower_values(down, params[1], values, MAX_FLAT_PARAMS)
            passed += [down.allocate(0, 0, results[1].align, results[1].size)] if spilled else []
        else:
            passed = lower(instance, down, params[1], values, MAX_FLAT_PARAMS)
        returned = self._plain(note.target, passed)
        result = lift_values(down, results[1], passed[-1:] if out and spilled else returned, MAX_FLAT_RESULTS)
        down.handles.end_borrows()
        if out and note.inner.is_async:
            lower(instance, up, results[0], result, 0, cores[-1] if results[0].flat else None)
            return [int(Status.RETURNED)], []
        if out:
            at = cores[-1] if spilled else None
            return lower(instance, up, results[0], result, MAX_FLAT_RESULTS, at), []
        return lower_values(up, results[0], result, MAX_FLAT_RESULTS), returned

    def _outer_call(self, note: OuterCall, value: int) -> Any:
        """A built-in of an exposed resource over the handles outside, where the interpreter is the outside."""
        if note.builtin == "resource.new":
            return self._outer.new(note.resource, value)
        if note.builtin == "resource.rep":
            return self._outer.rep(note.resource, value)
        rep = self._outer.drop(note.resource, value)
        assert self._tasks is not None
        resource = note.resource
        drop = self._drops.get(resource)
        if rep is None or drop is None:
            return None
        return self._tasks.destroy(resource.owner, drop, resource.label, rep)

    def _plain(self, function: Function, cores: Sequence[int]) -> list[int]:
        """Calls what must not wait."""
        assert self._frames is not None
        return self._frames.plain(function, cores)

    def _answer(self, function: Function, *args: int) -> int:
        """What a core function returns; 0 if it returns nothing."""
        return (self._plain(function, args) or [0])[0]

    def _builtin(self, note: CanonCall, wanted: Function) -> Callable[..., Any]:
        perform = PERFORMED.get(note.builtin)
        if (
            perform is None
            or (note.builtin == "thread.new-indirect" and I64 in wanted.signature.params)
            or (note.builtin.startswith("resource.") and not _is_ours(note))
        ):
            return _pending(f"the canonical built-in {note.builtin} of `{note.instance.name}`")
        if not _is_of_type(wanted.signature, note):
            raise MeldError(f"the import {wanted.imported} is not of the type of {note.builtin}")
        note.check_buffers()
        assert self._tasks is not None
        call = BuiltinCall(note, self._state(note.instance), self._tasks)

        def start(*cores: int) -> Any:
            if note.leaves:
                call.instance.check_leave()
            return perform(call, *cores)

        return self._served(wanted, note.instance, start)

    def _served(self, wanted: Function, caller: Instance, start: Callable[..., Any]) -> Callable[..., Any]:
        """The import that does something for an instance."""
        signature = wanted.signature

        def call(store: wasmtime.Caller, *args: Any) -> Any:
            assert self._frames is not None
            cores = [bits_of(value, t) for value, t in zip(args, signature.params, strict=True)]
            thread = self._scheduler.current
            if thread is None:
                self._scheduler.current = self._thread_outside(caller)
            self._items.stores.append(store)
            try:
                answer = self._frames.imported(wanted, start, cores)
            finally:
                self._items.stores.pop()
                self._scheduler.current = thread
            if isinstance(answer, list):
                values = [engine_value(bits, t) for bits, t in zip(answer, signature.results, strict=True)]
                return values if len(values) > 1 else values[0] if values else None
            return engine_value(answer or 0, signature.results[0]) if signature.results else None

        return call

    # --- calls of exports ---

    def invoke(self, export: HostExport, values: Sequence[Value]) -> Value:
        """Calls what the program exports.

        Args:
            values: the arguments, in the form of `meld.runtime.canonical`.

        Returns:
            The result in that form; None if there is none.

        Raises:
            HostTrap: lifting or lowering trapped. What the engine raises comes through.
            MeldError: the function does not have the type that the export says.
        """
        assert self._tasks is not None
        self._enter(export)
        answer = self._tasks.invoke(export, values, self._remains.entry(export))
        self.trapped = False
        return answer

    def entry(self, name: str) -> HostExport | None:
        """The component function that a name is exported for, if the core function needs a task to run in."""
        if "entered" in self.module.facts or not self._is_async:
            return None
        exported: dict[str, CoreItem] = {export.name: export.item for export in self.module.exports}
        exports = self.module.notes_of(HostExport)
        for export in exports:
            if export.label == name and exported.get(name) is export.target:
                return export
        for resource, drop in self._drops.items():
            if exported.get(name) is drop and resource.owner is not None:
                return HostExport(name, resource.owner, drop, DTOR)
        return None

    @property
    def _is_async(self) -> bool:
        """Whether anything is left that asks for the current task."""
        return (
            self._remains.tasks is not None
            or any(n.type.is_async or n.lower.is_async or n.lift.is_async for _, n in self.module.noted(Boundary))
            or any(not n.builtin.startswith("resource.") for _, n in self.module.noted(CanonCall))
            or any(n.lift.is_async for n in self.module.notes_of(HostExport))
        )

    def entry_type(self, export: HostExport) -> FuncType:
        """The core type of an entry: with the values that `task.return` gets as its results."""
        if not export.lift.is_async:
            return export.target.signature
        returned = task_return_type(export.type.result, export.lift)
        return FuncType(export.target.signature.params, returned.params)

    def invoke_core(self, export: HostExport, cores: list[int]) -> list[int]:
        """Calls an entry with core values as unsigned bits; returns those of its result. Raises like `invoke`."""
        assert self._tasks is not None
        self._enter(export)
        answer = self._tasks.invoke_core(export, cores, self._remains.entry(export))
        self.trapped = False
        return answer

    def _enter(self, export: HostExport) -> None:
        entry = self._remains.entry(export)
        if entry is None or entry.runs is not None:
            _check_lift(export.type, export.lift, export.target, f"export `{export.label}`")
        trap_if(self.trapped, POISONED)
        self.trapped = True  # until it has returned

    # --- the module's items ---

    def _record(self, side: Side, types: Sequence[Any]) -> Layout:
        return self._layouts[side.pointer].tuple_of(types)

    def _element(self, table: CoreTable, index: int) -> tuple[wasmtime.Func, bool] | None:
        """The function that a table holds, and whether a thread can begin with it; None if there is none."""
        function = self._items.element(table, index)
        if function is None:
            return None
        found, starts = function.type(self._items.stores[-1]), engine_type(THREAD_START)
        return function, (found.params, found.results) == (starts.params, starts.results)

    def _side(self, options: Options, instance: InstanceState, handles: Handles) -> Side:
        memory, realloc = options.memory, options.realloc
        side = Side(lambda: memoryview(b""), encoding=options.encoding, handles=handles)
        side.carried = self._remains.carried(instance.note) or Carried(instance.table)
        if memory is not None:
            side.pointer = I64 if memory.limits.is64 else I32
            side.memory = lambda: self._items.bytes_of(memory)
        if realloc is not None:
            side.realloc = lambda *args: self._reallocated(realloc, instance, args)
        return side

    def _reallocated(self, realloc: Function, instance: InstanceState, args: Sequence[int]) -> int:
        """What `realloc` returns, called in a task of its own: it is independent of those that run."""
        assert self._frames is not None
        before, self._scheduler.current = self._scheduler.current, Thread(_task_outside(instance))
        try:
            return self._frames.plain(realloc, args)[0]
        finally:
            self._scheduler.current = before

    def _thread_outside(self, instance: Instance) -> Thread:
        """What an instance runs in while the program starts, or when a core function is called as such."""
        return self._outside.setdefault(instance, Thread(_task_outside(self._state(instance))))

    def _handles(self, instance: InstanceState, scope: Scope) -> Held | Inside:
        record = self._records.get(instance.note)
        if record is None or self._over_tables is None:
            return Held(instance.table, instance.note, scope)

        return Inside(self._over_tables, instance.note, record, self._numbers, self._answer, scope)

    def _state(self, instance: Instance) -> InstanceState:
        if instance not in self._states:
            self._states[instance] = InstanceState(instance)
        return self._states[instance]


def _task_outside(instance: InstanceState) -> Task:
    """A task without an owner, which cannot wait: it is synchronous."""
    nothing: Any = None
    return Task("", instance, DTOR, Options(), nothing, nothing, nothing, state=State.STARTED)


def _needed(module: Module) -> dict[CoreItem, None]:
    """The items that interpreting calls."""
    found: dict[CoreItem, None] = {}

    def add(*items: CoreItem | None) -> None:
        found.update((item, None) for item in items if item is not None)

    def options(o: Options) -> None:
        add(o.memory, o.realloc, o.post_return, o.callback)

    for _, note in module.noted(Note):
        match note:
            case Boundary():
                add(note.target)
                options(note.lower)
                options(note.lift)
            case CanonCall(type=c.Own(resource=Resource(dtor=dtor))) | OuterCall(resource=Resource(dtor=dtor)):
                add(dtor)
            case SynchronousCall():
                add(note.target)
            case Edge():
                add(note.target)
                options(note.inner)
                options(note.outer)
            case CanonCall():
                add(note.table)
                options(note.options)
    for export in module.notes_of(HostExport):
        add(export.target)
        options(export.lift)
    for note in module.notes_of(ContextSlots):
        add(note.first, note.second)
    add(*remaining_items(module))
    for note in module.notes_of(HandleFunctions):
        add(*(getattr(note, name) for name in FUNCTIONS))
    for note in module.notes_of(Exposed):
        add(note.give, note.take)
    for exported in module.notes_of(ResourceExport):
        add(exported.drop)
    return found


def _check_lift(t: c.CompFuncType, lift: Options, target: Function, where: str) -> None:
    """Refuses a note, perhaps written by hand, that does not fit the core functions it names."""
    core = lifted_type(t, lift)
    if lift.callback is not None:
        core = FuncType(core.params, (I32,))
        if lift.callback.signature != FuncType((I32, I32, I32), (I32,)):
            raise MeldError("its `callback` does not have the type of one", where=where)
    if target.signature != core:
        raise MeldError(f"its core function does not have the type of {show(t)}", where=where)
    _check_realloc(lift, where)
    if lift.post_return is not None and lift.post_return.signature != FuncType(core.results):
        raise MeldError("its `post-return` does not take what the function returns", where=where)


def _check_realloc(options: Options, where: str) -> None:
    pointer = I64 if options.memory is not None and options.memory.limits.is64 else I32
    if options.realloc is not None and options.realloc.signature != FuncType((pointer,) * 4, (pointer,)):
        raise MeldError("its `realloc` does not have the type of one", where=where)


def _is_ours(note: CanonCall) -> bool:
    """Whether a built-in is about a resource of the program."""
    return isinstance(note.type, c.Own) and isinstance(note.type.resource, Resource)


def _is_of_type(given: FuncType, note: CanonCall) -> bool:
    """Whether a core type is that of a built-in. Slots of contexts are i32 or i64, which the note does not say."""
    return any(given == builtin_type(note.builtin, note.options, note.type, slot) for slot in (I32, I64))


def _pending(what: str) -> Callable[..., Any]:
    def trap(*_: Any) -> Any:
        raise HostTrap(f"not interpreted yet: {what}")

    return trap
