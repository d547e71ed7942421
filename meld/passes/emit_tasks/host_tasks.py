"""Asynchronous calls of the host, in a module that becomes a component: tasks whose callee is the host.

An edge whose inner side is asynchronous can stand for a call that blocks (`meld.rewriting.outer`). Where the module can
wait for the host, it becomes a call that goes on, as it was written: the host's function is lowered asynchronously, and
the handle of its subtask is known to the runtime only, which gives the instance a subtask of its own (`open_ends.wat`).
Values go through the state memory, in two halves, as for tasks inside.

Source: Component Model, CanonicalABI.md: canon lower (async), canon subtask.{cancel,drop}.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field

from meld.abi.layout import Layouts
from meld.abi.options import Options
from meld.abi.signatures import lowered_type
from meld.abi.types import Type, function_types, is_end
from meld.ir import component as c
from meld.ir.module import Function, ImportName, Module
from meld.ir.types import I32, FuncType
from meld.notes.boundaries import BOUNDARY_MODULE, Edge, HostCall
from meld.notes.tasks import HELD, OUT, RETURN, START, VALUES, TaskCall, TaskHalf, task_bytes
from meld.passes.emit_tasks.calls import CALL_OF_TASK, numbers, switch
from meld.passes.emit_tasks.shares import Shares
from meld.rewriting.handles import Tables
from meld.rewriting.liveness import Reached
from meld.rewriting.outer import uses_memory
from meld.rewriting.text import Text
from meld.support.records import record

OF_HOST, RETURNS_MEMORY = 512, 1024
"""Flags of a task: its callee is the host; what the host returns lies in blocks (`host_blocks.wat`)."""


def host_tasks(module: Module, live: Reached) -> list[tuple[Function, Edge]]:
    """The calls of asynchronous functions of the host that code reaches, or reached before there was an edge."""
    edges = [(f, n) for f, n in module.noted(Edge) if n.way == "out" and n.type.is_async]
    return [(f, n) for f, n in edges if isinstance(f, Function) and (f in live or n.target in live)]


@record()
class HostTasks:
    """Writes what stands in place of the edges into the text of the runtime.

    Attributes:
        shares: what tasks count for.
        first: the number of the first of these calls; others have smaller ones.
        halves: the imports that copy values, to be added to the module.
        stubs: for each edge, the export of the text that stands for it.
    """

    module: Module
    text: Text
    tables: Tables
    edges: Sequence[tuple[Function, Edge]]
    shares: Shares
    first: int
    halves: list[Function] = field(default_factory=list)
    stubs: dict[Function, str] = field(default_factory=dict)

    def emit(self) -> None:
        """Writes everything."""
        returns: dict[int, str] = {}
        for number, (function, edge) in enumerate(self.edges, self.first):
            self._lower_asynchronously(edge)
            self.stubs[function] = self._stub(number, function, edge)
            if edge.type.result is not None:
                returns[number] = f"{self._return(number, function, edge)} (return)"
        self.text.add(f"  (func $host_return (param $task i32)\n{switch(returns, CALL_OF_TASK)})")

    def _return(self, number: int, function: Function, edge: Edge) -> str:
        """Code that carries a result to where the instance wants it, or keeps it in the task until the call returns."""
        area = "(i32.load $state offset=36 (local.get $task))"
        if _has_out(function, edge):
            half = self._half(number, edge, RETURN, FuncType((I32, I32), ()))
            return f"(call {self.text.use(half)} {area} (i32.load $state offset={OUT} (local.get $task)))"
        (core,) = results = numbers(function.signature.results)
        half = self._half(number, edge, RETURN, FuncType((I32,), results))
        return f"({core.value}.store $state offset={VALUES} (local.get $task) (call {self.text.use(half)} {area}))"

    def notes(self, function: Function) -> TaskCall:
        """What is noted on the function in place of an edge."""
        edge = next(n for f, n in self.edges if f is function)
        blocks = None if edge.inner.is_async else f"{edge.label} of the host"
        return TaskCall(edge.instance, edge.instance, edge.label, edge.type, blocks)

    @property
    def borrows(self) -> bool:
        """Whether any call lends handles."""
        return any(map(_borrows, self.edges))

    def _lower_asynchronously(self, edge: Edge) -> None:
        outer = Options(edge.inner.encoding, is_async=True)
        if uses_memory(edge.type, outer, imported=True):
            if "host_realloc" not in self.tables.state.linked:
                self.tables.state.link(__package__, "host_blocks.wat", kind=self.text.kind)
            realloc = self.tables.state.function("host_realloc")
            outer = Options(edge.inner.encoding, self.tables.state.memory, realloc, is_async=True)
        edge.outer = outer
        shape = lowered_type(edge.type, outer)
        edge.target.type = self.module.func_type(shape.params, shape.results)
        for n in edge.target.notes:
            if isinstance(n, HostCall):
                n.lower = outer

    def _stub(self, number: int, function: Function, edge: Edge) -> str:
        """Makes a task, calls the host, and returns its result, with a handle of the instance, or waits for it."""
        has_result, has_out = edge.type.result is not None, _has_out(function, edge)
        values = numbers(function.signature.params)[: -1 if has_out else None]
        given = numbers(edge.target.signature.params)[: -1 if has_result else None]
        result = None if edge.type.result is None else Layouts().of(edge.type.result)
        record_ = f"(i32.const {self.tables.record(edge.instance)})"
        flags = HELD | OF_HOST | (RETURNS_MEMORY if result is not None and result.allocates else 0)
        flags |= self.shares.flag(edge.instance, None)
        scope = (I32,) if _borrows((function, edge)) else ()
        start = self._half(number, edge, START, FuncType((*scope, *values), given))
        operands = ["(i32.add (local.get $task) (i32.const 48))"] if scope else []
        operands += [f"(local.get {i})" for i in range(len(values))]
        lines = ["(local $task i32) (local $blocks i32)"]
        lines += [f"(local $h{i} {t.value})" for i, t in enumerate(given)]
        new = f"(i32.const {number}) (i32.const {task_bytes(1)}) {record_} {record_} (i32.const {flags})"
        lines.append(f"(local.set $task (call $task_new {new}))")
        if has_out:
            lines.append(f"(i32.store $state offset={OUT} (local.get $task) (local.get {len(values)}))")
        lines.append(f"(local.set $blocks (call {self._state('arena_take')}))")
        lines.append(f"(call {self.text.use(start)} {' '.join(operands)})")
        lines += [f"local.set $h{i}" for i in reversed(range(len(given)))]
        if _kept(edge):
            lines.append("(call $arguments_kept (local.get $task))")
        area = ""
        if result is not None:
            size = f"(i32.const 0) (i32.const 0) (i32.const {result.align}) (i32.const {result.size})"
            lines.append(f"(i32.store $state offset=36 (local.get $task) (call {self._state('arena_realloc')} {size}))")
            area = " (i32.load $state offset=36 (local.get $task))"
        lines.append(f"(i32.store $state offset=80 (local.get $task) (call {self._state('arena_take')}))")
        lines.append(f"(call {self._state('arena_put')} (local.get $blocks))")
        if flags & RETURNS_MEMORY:
            lines.append(f"(call {self._state('host_begin')})")
        called = " ".join(f"(local.get $h{i})" for i in range(len(given)))
        called = f"(local.get $task) (call {self.text.use(edge.target)} {called}{area})"
        if edge.inner.is_async:
            lines.append(f"(call $host_called {called})")
        else:
            lines.append(f"(call $host_awaited {called})")
            results = numbers(function.signature.results)
            lines += [f"({t.value}.load $state offset={VALUES} (local.get $task))" for t in results]
            lines.append("(call $let_go (local.get $task))")
        name = f"call.{number}"
        self.text.function(name, function.signature, "\n    " + "\n    ".join(lines))
        return name

    def _state(self, name: str) -> str:
        return self.text.use(self.tables.state.function(name))

    def _half(self, number: int, edge: Edge, half: str, shape: FuncType) -> Function:
        note = TaskHalf(
            half, number, edge.instance, edge.instance, edge.label, edge.type, edge.inner, edge.outer, to_host=True
        )
        name = f"{edge.instance.name}->{edge.label}#{number} {half}"
        made = Function(
            self.module.func_type(shape.params, shape.results),
            name=name,
            imported=ImportName(BOUNDARY_MODULE, name),
            owner=edge.instance,
            notes=[note],
        )
        self.halves.append(made)
        return made


def _has_out(function: Function, edge: Edge) -> bool:
    """Whether the instance has said where in its memory the result goes."""
    return edge.type.result is not None and (edge.inner.is_async or not function.signature.results)


def kept_arguments(edges: Iterable[tuple[Function, Edge]]) -> list[Type]:
    """The types of handles in arguments of these calls that are the caller's until they start."""
    return [t for _, edge in edges for t in _kept(edge)]


def _kept(edge: Edge) -> list[Type]:
    params = function_types(c.CompFuncType(edge.type.params, None))
    return [t for t in params if is_end(t) or isinstance(t, c.Own | c.Borrow)]


def _borrows(call: tuple[Function, Edge]) -> bool:
    return any(isinstance(t, c.Borrow) for t in function_types(call[1].type))
