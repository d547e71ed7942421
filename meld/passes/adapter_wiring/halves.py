"""The two halves of a call that is a task: what lowers its parameters, and what lowers its result.

They copy values and nothing else; when they run is up to the scheduler (`meld.passes.emit_tasks`).

Source: Component Model, CanonicalABI.md: canon lift, canon lower (`on_start`, `on_resolve`).
"""

from __future__ import annotations

from meld.abi.layout import MAX_FLAT
from meld.abi.options import Options
from meld.abi.signatures import lowered_type
from meld.abi.traps import Trap
from meld.abi.types import function_types
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import CompFuncType
from meld.ir.module import Function
from meld.ir.types import I32, FuncType, NumType
from meld.notes.boundaries import Boundary
from meld.notes.tasks import RESULT, Planned, TaskHalf
from meld.passes.adapter_wiring.adapter_module import AdapterModule, Body
from meld.passes.adapter_wiring.call import OUTSIDE, Call, lay_out, place_of
from meld.passes.adapter_wiring.values import InMemory, OnStack, Place, Translator
from meld.passes.adapter_wiring.writer import AdapterWriter, cores


def analyse_half(adapters: AdapterModule, half: TaskHalf, import_: Function) -> Call:
    """The layouts of the call that a half belongs to. Raises MeldError."""
    n = half
    caller, callee = OUTSIDE if n.outside else n.caller, OUTSIDE if n.to_host else n.callee
    boundary = Boundary(caller, callee, n.label, import_, n.type, n.lower, n.lift)
    if n.to_host:
        return lay_out(adapters, boundary, Planned("task", n.call), lifted=_given_to_host)
    return lay_out(adapters, boundary, Planned("task", n.call))


def _given_to_host(t: CompFuncType, options: Options) -> FuncType:
    """What a function of the host that is lowered asynchronously takes, but for the address of the result."""
    params = lowered_type(t, options).params
    return FuncType(params if t.result is None else params[:-1])


def closes(half: TaskHalf) -> bool:
    """Whether a `realloc` of an instance may run, rather than that of the state memory."""
    return half.half != RESULT or (half.lower.realloc is half.lift.realloc and half.lower.realloc is not None)


def write_half(writer: AdapterWriter, call: Call, half: TaskHalf, import_: Function) -> str:
    """Writes what stands for a half. Returns the name of its export."""
    params = tuple((f"$p{i}", core) for i, core in enumerate(cores(import_.signature.params)))
    body = Body(list(params), cores(import_.signature.results))
    match half.half:
        case "start":
            results = _start(writer, call, body, params, keeps=half.to_host)
        case "return":
            results = _return(writer, call, body, params)
        case "result":
            results = _result(writer, call, body, params)
        case other:
            raise MeldError(f"a half of a call is called `{other}`", where=place_of(call.boundary))
    for local, _ in results:
        body.emit(f"local.get {local}")
    return writer.finished(body, f"{half.caller.name}/{half.label}.{half.half}")


Locals = tuple[tuple[str, NumType], ...]


def _start(writer: AdapterWriter, call: Call, body: Body, params: Locals, *, keeps: bool) -> Locals:
    borrows = any(isinstance(t, c.Borrow) for t in function_types(call.boundary.type))
    if borrows:
        (scope, core), *rest = params
        assert core is I32
        return writer.lower_params(body, call, tuple(rest), scope, keeps=keeps)
    return writer.lower_params(body, call, params, None, keeps=keeps)


def _return(writer: AdapterWriter, call: Call, body: Body, params: Locals) -> Locals:
    out = params[-1:] if call.spills_results[0] else ()
    return writer.lower_results(body, call, out, params[: len(params) - len(out)])


def _result(writer: AdapterWriter, call: Call, body: Body, params: Locals) -> Locals:
    """A result with what it points to, from the callee's memory to where the host reads it."""
    adapters, source, target = writer.adapters, call.callee, call.caller
    src, dst = call.results[1], call.results[0]
    in_memory = len(dst.flat) > MAX_FLAT
    returned = tuple((body.local(core), core) for core in ((target.pointer,) if in_memory else dst.flat))
    from_: Place = OnStack(params)
    to: Place = OnStack(returned)
    if len(src.flat) > MAX_FLAT:
        writer.check_area(body, source, src, params[0][0])
        from_ = InMemory(source, params[0][0])
    writer.set_may_leave(body, target.instance, False)
    if in_memory:
        assert target.realloc is not None
        q = target.pointer.value
        realloc = adapters.realloc(target, Trap.AREA)
        area = f"(call {realloc} ({q}.const 0) ({q}.const 0) ({q}.const {dst.align}) ({q}.const {dst.size}))"
        body.emit(f"(local.set {returned[0][0]} {area})")
        to = InMemory(target, returned[0][0])
    Translator(adapters, body, source, target, writer.handles.carry).inline(src, from_, dst, to)
    writer.set_may_leave(body, target.instance, True)
    return returned
