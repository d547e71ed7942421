"""One call across a boundary: its types on both sides, its storage, and whether an adapter can be written for it."""

from __future__ import annotations

from collections.abc import Callable

from meld.abi.layout import MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Layout
from meld.abi.options import Options
from meld.abi.signatures import lifted_type, lowered_type
from meld.abi.types import show
from meld.diagnostics import MeldError
from meld.ir.component import CompFuncType
from meld.ir.module import Function
from meld.ir.notes import Instance
from meld.ir.types import FuncType
from meld.notes.boundaries import Boundary, Edge
from meld.notes.tasks import How, Planned
from meld.passes.adapter_wiring.adapter_module import AdapterModule, Side
from meld.support.records import record

OUTSIDE = Instance(name="outside")
"""The side of a call that is the host, or the component around the module."""

Called = tuple[Function, Instance]
"""A `realloc` or `post-return`, and the instance that it belongs to."""


@record(frozen=True)
class Call:
    """A boundary with the layouts of its types on either side. Make it with `analyse`, or `analyse_edge`."""

    boundary: Boundary
    caller: Side
    callee: Side
    params: tuple[Layout, Layout]  # the caller's, the callee's: a record of all parameters
    results: tuple[Layout, Layout]  # a record of the result, or of nothing
    lower: FuncType
    lift: FuncType
    planned: Planned

    @property
    def spills_params(self) -> tuple[bool, bool]:
        """Whether the caller's, the callee's parameters are in memory."""
        flat = len(self.params[0].flat)
        most = MAX_FLAT_ASYNC_PARAMS if self.boundary.lower.is_async else MAX_FLAT_PARAMS
        return flat > most, flat > (MAX_FLAT_ASYNC_PARAMS if self._calls_host else MAX_FLAT_PARAMS)

    @property
    def _calls_host(self) -> bool:
        """Whether the host is called asynchronously: its function is lowered on both sides."""
        return self.boundary.callee is OUTSIDE and self.boundary.lift.is_async

    @property
    def spills_results(self) -> tuple[bool, bool]:
        """Whether the caller's, the callee's result is in memory."""
        flat = len(self.results[0].flat)
        most = MAX_FLAT_PARAMS if self.boundary.lift.is_async else MAX_FLAT_RESULTS
        return (
            flat > (0 if self.boundary.lower.is_async else MAX_FLAT_RESULTS),
            flat > (0 if self._calls_host else most),
        )

    @property
    def leaves_closed(self) -> tuple[Called, ...]:
        """What may run while its instance must not call out: the `realloc` of either side, with the instance.

        The specification asks for the same while `post-return` runs. Engines let it call out of a component that
        another one has called, and a program that runs unfused has to run fused.
        """
        found = []
        if self.params[1].allocates or self.spills_params[1]:
            found.append((self.boundary.lift.realloc, self.boundary.callee))
        if self.results[0].allocates:
            found.append((self.boundary.lower.realloc, self.boundary.caller))
        return tuple((function, instance) for function, instance in found if function is not None)

    @property
    def reason(self) -> str | None:
        """Why the callee itself cannot stand for the import; None if lifting and lowering do nothing."""
        parts = [layout for record in (self.params[0], self.results[0]) for _, layout in record.fields]
        if self.boundary.caller is self.boundary.callee:
            return "an instance that calls itself traps"
        if self.boundary.lower.is_async or self.boundary.lift.is_async:
            return "the call is asynchronous"
        if any(self.spills_params) or any(self.spills_results):
            return "values travel in memory"
        if any(not layout.identical for layout in parts):
            kinds = {kind.value for layout in parts if not layout.identical for kind in layout.kinds()}
            return f"values are checked or converted: {', '.join(sorted(kinds))}"
        if self.planned.outside:
            return "the callee has no task that may block"
        if self.planned.context:
            return "the callee has context slots of its own"
        return "the callee has a post-return function" if self.boundary.lift.post_return else None


def place_of(boundary: Boundary) -> str:
    """A boundary for people: who calls whom."""
    return f"call of `{boundary.label}` from `{boundary.caller.name}` into `{boundary.callee.name}`"


def analyse(adapters: AdapterModule, boundary: Boundary, import_: Function, planned: Planned | None) -> Call:
    """The layouts of a boundary, checked against the core types of both sides.

    Args:
        planned: how the call is made; a synchronous one is direct where nothing is said.

    Raises:
        MeldError: what cannot be adapted, by the names of caller, callee and function, and the type.
    """
    where = place_of(boundary)
    options = (boundary.lower, boundary.lift)
    if planned is None and (boundary.type.is_async or any(o.is_async for o in options)):
        message = f"nothing says how this asynchronous call is made: {show(boundary.type)}"
        raise MeldError(message, where=where, hint="run plan-tasks before adapter-wiring")
    if planned is not None and planned.how == How.TASK.value:
        message = f"this call is to be a task: {show(boundary.type)}"
        raise MeldError(message, where=where, hint="run emit-tasks before adapter-wiring")
    call = lay_out(adapters, boundary, planned or Planned(How.DIRECT.value))
    if import_.signature != call.lower or boundary.target.signature != call.lift:
        raise MeldError(f"its core functions do not have the type of {show(boundary.type)}", where=where)
    return call


def lay_out(
    adapters: AdapterModule,
    boundary: Boundary,
    planned: Planned,
    lowered: CoreType = lowered_type,
    lifted: CoreType = lifted_type,
) -> Call:
    """The layouts of a boundary, between functions of core types that follow from its type and options.

    Raises:
        MeldError: a type that no validator accepts, options that are missing.
    """
    where = place_of(boundary)
    caller, callee = adapters.side(boundary.caller, boundary.lower), adapters.side(boundary.callee, boundary.lift)
    up, down = adapters.layouts[caller.pointer], adapters.layouts[callee.pointer]
    params = [t for _, t in boundary.type.params]
    results = [] if boundary.type.result is None else [boundary.type.result]
    try:
        call = Call(
            boundary,
            caller,
            callee,
            (up.tuple_of(params), down.tuple_of(params)),
            (up.tuple_of(results), down.tuple_of(results)),
            lowered(boundary.type, boundary.lower),
            lifted(boundary.type, boundary.lift),
            planned,
        )
        adapters.code.spend(caller.memory, callee.memory, (*call.params, *call.results))
    except MeldError as e:
        raise e.within(where) from None
    if OUTSIDE not in (boundary.caller, boundary.callee):
        _check_options(call, where)
    return call


def analyse_edge(adapters: AdapterModule, edge: Edge, import_: Function) -> Call:
    """An edge as a call from or to `OUTSIDE`; as `analyse`."""
    out = edge.way == "out"
    boundary = Boundary(
        caller=edge.instance if out else OUTSIDE,
        callee=OUTSIDE if out else edge.instance,
        label=edge.label,
        target=edge.target,
        type=edge.type,
        lower=edge.inner if out else edge.outer,
        lift=edge.outer if out else edge.inner,
    )
    # a function of the host is lowered already, and a function that is exported is still to be lifted
    core = lowered_type if out else lifted_type
    call = lay_out(adapters, boundary, Planned(How.DIRECT.value), core, core)
    if import_.signature != call.lower or boundary.target.signature != call.lift:
        message = f"its core functions do not have the type of {show(boundary.type)}"
        raise MeldError(message, where=place_of(boundary))
    return call


def _check_options(call: Call, where: str) -> None:
    """A side whose memory or `realloc` is needed has it. Validation ensures that, a note written by hand may not."""
    into_callee = call.params[1].allocates or call.spills_params[1]
    into_caller = call.results[0].allocates
    caller_memory, callee_memory = (
        into_callee or into_caller or params or results
        for params, results in zip(call.spills_params, call.spills_results, strict=True)
    )
    needs = (
        (caller_memory, call.caller.memory, "canon lower", "memory"),
        (callee_memory, call.callee.memory, "canon lift", "memory"),
        (into_callee, call.callee.realloc, "canon lift", "realloc"),
        (into_caller, call.caller.realloc, "canon lower", "realloc"),
    )
    for needed, have, canon, option in needs:
        if needed and have is None:
            raise MeldError(f"its `{canon}` has no `{option}`, which {show(call.boundary.type)} needs", where=where)


CoreType = Callable[[CompFuncType, Options], FuncType]
