"""The pass `plan-tasks`: which calls need a task, which functions may block, and which need the running task.

Most of what makes calls asynchronous costs something at run time: tasks have records, blocking needs a scheduler,
context slots are saved. This pass decides where none of it is needed. It searches the call graph, function by function,
for what leads to a built-in that blocks, or that needs the running task. The results are notes on the boundaries
and the exports, with the call path, so that later passes and ``--explain`` need not decide again.

Source: Component Model, CanonicalABI.md: Task State, `canon lift`, `canon lower`; behaviour of wasmtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Any, TypeVar

from meld.ir.builtins import CONTEXT_BUILTINS
from meld.ir.module import Function, Module
from meld.ir.notes import Instance, Note
from meld.notes.boundaries import (
    Boundary,
    CanonCall,
    Edge,
    HostCall,
    HostExport,
    destructors,
    resource_of,
    threaded_instances,
)
from meld.notes.tasks import How, NeedsTask, Planned, PlannedExport, SynchronousCall, UsesContext
from meld.passes.base import Pass, PassContext
from meld.passes.plan_tasks.prompt import prompt_calls
from meld.passes.plan_tasks.relifted import relift
from meld.rewriting.calls import CallGraph, path
from meld.support.records import record

OF_THE_TASK = frozenset({"task.return", "task.cancel"})

WAITS_FOR_HOST = "exposed-resources"
"""The fact that the product will be a component, in which only the task waits that calls the host."""

N = TypeVar("N", bound=Note)


class PlanTasks(Pass):
    """Decide for each call between components whether it needs a task, and for each export how it is entered.

    A call is *direct* (the adapter calls the callee), *prompt* (asynchronous, but over when the callee returns) or a
    *task*. A program in which nothing is asynchronous gets no notes.

        (import "meld:boundary" "app->lib/f" (func $app/f (@meld.boundary …)))
        (import "meld:boundary" "app->lib/g" (func $app/g (@meld.boundary …)))
    becomes
        (… (func $app/f (@meld.boundary …) (@meld.planned direct)))
        (… (func $app/g (@meld.boundary …) (@meld.planned task (call 1)
                          (blocks "lib/g → waitable-set.wait"))))
    """

    name = "plan-tasks"
    requires = frozenset({"merged"})
    establishes = frozenset({"task-plan"})
    after = ("rewire-calls",)
    before = ("handle-tables", "adapter-wiring")

    def run(self, module: Module, cx: PassContext) -> None:
        if not any(True for _ in _asynchronous(module)):
            return
        planner = _Planner.of(module)
        planner.plan()
        if relifted := [n for n in _waiting(module, planner.exports) if cx.allows("relift", n.target)]:
            relift(module, relifted)
            cx.stats["relifted"] += len(relifted)
            planner = _Planner.of(module)
            planner.plan()
        for function, planned in planner.planned.items():
            function.notes.append(planned)
            cx.stats[planned.how] += 1
        module.notes += planner.exports
        for realloc in planner.reallocs:
            if realloc in planner.context and realloc.note(UsesContext) is None:
                realloc.notes.append(UsesContext())
        for owner, dtor in destructors(planner.builtins.values()):
            needed = dtor in planner.context or dtor in planner.asking or owner in planner.threaded
            if needed and dtor.note(NeedsTask) is None:
                dtor.notes.append(NeedsTask())
        direct = {
            item: n.target
            for item, n in _noted(module, SynchronousCall).items()
            if n.target not in planner.context and n.instance not in planner.threaded
        }
        module.replace_uses(direct)
        module.imports = [item for item in module.imports if item not in direct]


def _waiting(module: Module, plans: Sequence[PlannedExport]) -> list[HostExport]:
    """The exports of asynchronous type that are lifted synchronously and may have to wait while others are called."""
    if WAITS_FOR_HOST not in module.facts:
        return []
    tasks = {n.label for n in plans if n.how == How.TASK.value}
    return [n for n in module.notes_of(HostExport) if n.label in tasks and n.type.is_async and not n.lift.is_async]


def _asynchronous(module: Module) -> Iterator[Any]:
    """The notes about anything asynchronous."""
    for export in module.notes_of(HostExport):
        if export.type.is_async or export.lift.is_async:
            yield export
    for _, n in module.noted(Note):
        match n:
            case CanonCall() if resource_of(n) is None:
                yield n
            case Boundary(type=type) | HostCall(type=type) if type.is_async or n.lower.is_async:
                yield n


@record()
class _Planner:
    """Plans the calls of a module.

    Attributes:
        waits: the built-ins that may block.
        asks: what asks for the running task: built-ins, and synchronous calls that are tasks, which may block.
        context: what leads to a context slot.
        turns: the calls of functions of asynchronous type that are synchronous on both sides, and may have to wait.
        entered: the instances that may have tasks when they are called.
        threaded: the instances that make threads or refer to them: each call of one is a task.
        asking: functions from which what asks for the running task can be reached.
        reallocs: the functions that lowering calls.
    """

    module: Module
    graph: CallGraph
    boundaries: dict[Function, Boundary]
    builtins: dict[Function, CanonCall]
    exported: list[HostExport]
    prompt: set[Function]
    waits: list[Function] = field(default_factory=list)
    asks: list[Function] = field(default_factory=list)
    turns: set[Function] = field(default_factory=set)
    entered: set[Instance] = field(default_factory=set)
    threaded: frozenset[Instance] = frozenset()
    asking: dict[Any, Any] = field(default_factory=dict)
    context: dict[Any, Any] = field(default_factory=dict)
    blocking: dict[Any, Any] = field(default_factory=dict)
    planned: dict[Function, Planned] = field(default_factory=dict)
    exports: list[PlannedExport] = field(default_factory=list)
    calls: int = 0

    @classmethod
    def of(cls, module: Module) -> _Planner:
        """The planner of a module."""
        graph = CallGraph.of(module)
        boundaries = _noted(module, Boundary)
        prompt = prompt_calls(module, boundaries, graph)
        return cls(module, graph, boundaries, _noted(module, CanonCall), module.notes_of(HostExport), prompt)

    def plan(self) -> None:
        """Finds `planned` and `exports`."""
        builtins = self.builtins.items()
        self.waits = [f for f, n in builtins if n.blocks]
        self.threaded = threaded_instances(n for f, n in builtins if f in self.graph.users)
        if WAITS_FOR_HOST in self.module.facts:
            going_on = {n.target for _, n in self.module.noted(Edge) if n.inner.is_async}
            calls = {f: n for f, n in _noted(self.module, HostCall).items() if f not in going_on}
            self.waits += [f for f, n in calls.items() if n.type.is_async and not n.lower.is_async]
        self.asks = self.waits + [f for f, n in builtins if n.builtin in OF_THE_TASK]
        self.asking = self._take_turns()
        self.context = self.graph.leading_to(f for f, n in builtins if n.builtin in CONTEXT_BUILTINS)
        self.blocking = self._blocking()
        for function, n in self.boundaries.items():
            self.planned[function] = self._plan(function, n)
        self._plan_exports()
        self._plan_running()

    @property
    def reallocs(self) -> Iterator[Function]:
        """The functions that lowering calls, that of the host included."""
        options = [o for n in self.boundaries.values() for o in (n.lower, n.lift)]
        options += [n.options for n in self.builtins.values()]
        options += [n.lift for n in self.exported]
        options += [n.lower for n in _noted(self.module, HostCall).values()]
        return (o.realloc for o in options if o.realloc is not None)

    def _is_task(self, function: Function, n: Boundary) -> bool:
        asynchronous = (n.lower.is_async or n.lift.is_async) and function not in self.prompt
        return asynchronous or function in self.turns or n.callee in self.threaded

    def _blocking(self) -> dict[Any, Any]:
        """Functions from which a blocking built-in can be reached, by synchronous calls of other instances, too."""
        sources: list[Function] = [*self.waits]
        synchronous = {f: n for f, n in self.boundaries.items() if self._waits_for(n)}
        sources += [f for f, n in synchronous.items() if self._is_task(f, n)]
        while True:
            leading = self.graph.leading_to(sources)
            more = [f for f, n in synchronous.items() if f not in leading and n.target in leading]
            if not more:
                return leading
            sources += more

    def _waits_for(self, n: Boundary) -> bool:
        """Whether the caller goes on when the call is over, which may not be when the callee returns."""
        return not n.lower.is_async and (n.type.is_async or n.callee in self.threaded)

    def _plan(self, function: Function, n: Boundary) -> Planned:
        if function in self.prompt:
            return Planned(How.PROMPT.value, context=self._has_context(n))
        if self._is_task(function, n):
            self.calls += 1
            return Planned(How.TASK.value, self.calls, blocks=self._path(n))
        return Planned(How.DIRECT.value, context=self._has_context(n))

    def _has_context(self, n: Boundary | HostExport) -> bool:
        return n.target in self.context or n.lift.post_return in self.context

    def _take_turns(self) -> dict[Any, Any]:
        """Finds `turns` and `entered`. Returns the functions from which what asks for the running task can be reached.

        A call of a function of asynchronous type waits for its turn, however it is lifted and lowered: while another
        task has the instance for itself, or the instance asked for backpressure. It need not if the instance has one
        task at most: no other call of it is a task, and it can neither block nor hold calls back.
        """
        tasks = {f: n for f, n in self.boundaries.items() if self._is_task(f, n)}
        others = self.boundaries.keys() - tasks.keys() - self.prompt
        plain = {f: n for f, n in self.boundaries.items() if n.type.is_async and f in others}
        exports = [n for n in self.exported if n.type.is_async]
        self.asks += [f for f, n in tasks.items() if not n.lower.is_async]
        self.entered = {n.callee for n in tasks.values()} | {n.instance for n in exports if n.lift.is_async}
        self.entered |= {
            n.instance for f, n in self.builtins.items() if n.builtin == "backpressure.inc" and f in self.graph.users
        }
        while True:
            asking = self.graph.leading_to(self.asks)
            more = {f for f, n in plain.items() if n.callee in self.entered or n.target in asking} - self.turns
            outside = {n.instance for n in exports if n.target in asking} - self.entered
            if not more and not outside:
                return asking
            self.asks += more
            self.turns |= more
            self.entered |= outside | {plain[f].callee for f in more}

    def _plan_exports(self) -> None:
        """An export of asynchronous type needs a task if it is lifted so, may block, or may have to wait for its turn.

        A function of synchronous type does not wait for other tasks (CanonicalABI.md, `Task.enter`).
        """
        for n in self.exported:
            threaded = n.instance in self.threaded
            waits = n.type.is_async and (n.instance in self.entered or n.target in self.asking)
            is_task = n.lift.is_async or waits or threaded
            self.calls += is_task
            self.exports.append(
                PlannedExport(
                    n.label,
                    (How.TASK if is_task else How.DIRECT).value,
                    self.calls if is_task else 0,
                    self._has_context(n),
                    self._path(n) if n.type.is_async or threaded else None,
                )
            )

    def _plan_running(self) -> None:
        """Where there are tasks, a direct call, which is none, hides the running one if its callee asks for it."""
        if not self.calls:
            return
        for function, n in self.boundaries.items():
            planned = self.planned[function]
            if planned.how == How.DIRECT.value and n.target in self.asking:
                planned.outside = True

    def _path(self, n: Boundary | HostExport) -> str | None:
        """The call path by which a callee, its callback or a thread may block; None if none can."""
        start = next((f for f in (n.target, n.lift.callback) if f in self.blocking), None)
        if start is None and (n.callee if isinstance(n, Boundary) else n.instance) in self.threaded:
            return f"{self._name(n.target)} → a thread"
        return None if start is None else " → ".join(self._name(item) for item in path(self.blocking, start))

    def _name(self, item: Function) -> str:
        builtin = self.builtins.get(item)
        return builtin.builtin if builtin is not None else item.name or "a function without a name"


def _noted(module: Module, kind: type[N]) -> dict[Function, N]:
    """The imported functions with a note of a class."""
    return {item: n for item, n in module.noted(kind) if isinstance(item, Function)}
