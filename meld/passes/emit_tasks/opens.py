"""What a program has with its host that may go on, if it will be a component: ends, calls, and tasks that are left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meld.abi.types import Type, function_types, is_end, is_end_or_error
from meld.ir import component as c
from meld.ir.module import Function, Module
from meld.ir.notes import Instance
from meld.notes.boundaries import Boundary, CanonCall, Edge, HostCall, HostExport, ResourceExport, threaded_instances
from meld.notes.tasks import How, Planned, PlannedExport
from meld.passes.emit_tasks.host_tasks import host_tasks
from meld.passes.emit_tasks.open_ends import ends_of_host
from meld.rewriting.liveness import Reached
from meld.rewriting.outer import open_edges
from meld.support.records import record

FOR_COMPONENTS = "exposed-resources"
"""The fact that the product will be a component."""


def plans(module: Module) -> Iterator[tuple[Function, Boundary, Planned]]:
    """The calls that are planned."""
    for item in module.imports:
        planned = item.note(Planned)
        boundary = item.note(Boundary)
        if planned is not None and boundary is not None and isinstance(item, Function):
            yield item, boundary, planned


@record()
class Opens:
    """What a program has with its host that may go on; nothing unless the product will be a component.

    Attributes:
        types: of the ends that the host may have.
        calls: asynchronous calls of the host.
        several: whether the host may make calls that wait for one another.
        errors: whether calls over the edge of the program carry error contexts, for which nothing waits.
        leaves: whether functions that the host does not wait for may leave tasks or threads.
        entered: the instances whose functions of asynchronous type may have to wait for their turn when it calls them.
    """

    types: Sequence[Type] = ()
    calls: Sequence[tuple[Function, Edge]] = ()
    several: bool = False
    errors: bool = False
    leaves: bool = False
    entered: Sequence[Instance] = ()

    def __bool__(self) -> bool:
        return bool(self.types or self.calls or self.several or self.leaves)


def opens_of(module: Module, live: Reached) -> Opens:
    """What a program has with its host; puts edges in front of what carries ends."""
    if FOR_COMPONENTS not in module.facts:
        return Opens()
    exports = [n.type for n in module.notes_of(HostExport)]
    carrying = [(f, n.type) for f, n in module.noted(HostCall) if any(map(is_end_or_error, function_types(n.type)))]
    carried = [t for each in (*exports, *(t for f, t in carrying if f in live)) for t in function_types(each)]
    types = ends_of_host(module) if any(map(is_end, carried)) else []
    errors = c.Prim.ERROR_CONTEXT in carried
    waits = _is_task_anywhere(module) and any(n.type.is_async and f in live for f, n in module.noted(HostCall))
    if types or errors or waits:
        open_edges(module, errors=errors, waits=waits)
    leaves = _leaves(module, live)
    return Opens(types, host_tasks(module, live), leaves or _several(module), errors, leaves, _entered(module))


def _leaves(module: Module, live: Reached) -> bool:
    """Whether an exported function, or a destructor, may leave tasks or threads though it is over when it returns."""
    task = How.TASK.value
    exports, planned = module.notes_of(HostExport), module.notes_of(PlannedExport)
    drops = any(n.drop is not None for n in module.notes_of(ResourceExport))
    if threaded_instances(n for f, n in module.noted(CanonCall) if f in live):
        return drops or any(not n.type.is_async for n in exports)
    calls = any(n.how == task for *_, n in plans(module))
    return calls and (drops or any(n.how != task for n in planned))


def _is_task_anywhere(module: Module) -> bool:
    """Whether any call is a task, which could go on while another one waits for the host."""
    task = How.TASK.value
    exports, calls = module.notes_of(PlannedExport), plans(module)
    return any(n.how == task for n in exports) or any(plan.how == task for _, _, plan in calls)


def _several(module: Module) -> bool:
    """Whether a call of an exported function may wait for what another call does, be it of the same function.

    A call waits in its code, in its callback, or to start: for other calls of its instance, or because of backpressure.
    """
    tasks = {n.label: n for n in module.notes_of(PlannedExport) if n.how == How.TASK.value}
    exports = [n for n in module.notes_of(HostExport) if n.label in tasks]
    holding = _holding(module)
    return any(
        tasks[n.label].blocks or n.lift.callback is not None or n.instance in holding
        for n in exports
        if n.lift.is_async
    )


def _holding(module: Module) -> set[Instance]:
    """The instances that may hold calls back: they have backpressure, or a call from inside may block in them."""
    found = {n.instance for _, n in module.noted(CanonCall) if n.builtin == "backpressure.inc"}
    return found | {n.callee for _, n, plan in plans(module) if plan.blocks}


def _entered(module: Module) -> list[Instance]:
    """The instances whose functions of asynchronous type are exported; none if one never holds calls back.

    An instance does if it has backpressure, or while a task that has it for itself has left the stack.
    """
    exports = [n for n in module.notes_of(HostExport) if n.type.is_async]
    blocking = {n.label for n in module.notes_of(PlannedExport) if n.blocks}
    holding = _holding(module) | {n.instance for n in exports if n.label in blocking}
    entered = list(dict.fromkeys(n.instance for n in exports))
    return entered if holding.issuperset(entered) else []
