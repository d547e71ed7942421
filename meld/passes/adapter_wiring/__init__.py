"""The pass `adapter-wiring`: calls between components become calls inside the module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cache, partial
from typing import TypeVar

from meld.diagnostics import MeldError
from meld.ir.instructions import Instruction
from meld.ir.module import CoreItem, Function, Global, Item, Module
from meld.ir.notes import Instance, Note
from meld.ir.types import I32, NumType, TypeDef, ValType
from meld.notes.boundaries import Boundary, CanonCall, Edge, HostCall, Wired
from meld.notes.channels import ElementCopy
from meld.notes.tasks import ContextSlots, How, Planned, TaskCall, TaskFunctions, TaskHalf
from meld.passes.adapter_wiring.adapter_module import AdapterModule
from meld.passes.adapter_wiring.call import Call, Called, analyse, analyse_edge, place_of
from meld.passes.adapter_wiring.closers import call_closed, called_by_host, closer_name, may_call_out
from meld.passes.adapter_wiring.edges import EdgeWriter
from meld.passes.adapter_wiring.elements import write_element_copy
from meld.passes.adapter_wiring.halves import analyse_half, closes, write_half
from meld.passes.adapter_wiring.handles import Handles
from meld.passes.adapter_wiring.tasks import Surroundings, Tasks
from meld.passes.adapter_wiring.writer import AdapterWriter
from meld.passes.base import Pass, PassContext, option
from meld.rewriting.inline import inline_calls
from meld.rewriting.liveness import Reached
from meld.rewriting.rebind import rebind_notes
from meld.rewriting.splice import splice
from meld.rewriting.state import State
from meld.rewriting.template import generated
from meld.support.records import record

N = TypeVar("N", bound=Note)

INLINED = ("string", "list", "transcode", "bytes", "realloc")
"""Helpers that are inlined where few call them, by the first part of their keys."""
INLINED_ONCE = ("elements", "run")
"""Helpers that are inlined where one place calls them, outside a loop."""
INLINED_CALLS = 4
"""Calls of one of the former up to which each is inlined; with more the size counts."""


class AdapterWiring(Pass):
    """Replace each call between components by an adapter, or by the callee itself.

    An adapter lifts and lowers by the types and options of both sides, with every check of the Canonical ABI. Where
    lifting and lowering do nothing at all (32- and 64-bit numbers), the caller is wired to the callee.

    Two rules of the Canonical ABI are about calls. *No call out of an instance while something is being lowered
    into it* (`may_leave`): instances whose `realloc` an adapter or the host runs, or whose `post-return` the host runs,
    have a global for it if that may reach a call out, and what they call checks it. *No re-entrance*: engines enforce
    it where an instance lowers what it lifts itself, which is known here; such an adapter traps. An instance that is
    entered again by way of another may run.

    An edge becomes an adapter that translates the handles between an instance and the outside.

        (import "meld:boundary" "a->b/f" (func $a/f (@meld.boundary
          (target $b/f) (type (param "c" char) (result char)) …) …))
        (func $a/run … (call $a/f …))
    becomes
        (func $a/f.adapter (param $p0 i32) (result i32)
          ;; traps unless the parameter is a char
          (call $b/f (local.get $p0))
          ;; traps unless the result is one
          …)
        (func $a/run … (call $a/f.adapter …))
    """

    name = "adapter-wiring"
    requires = frozenset({"merged"})
    establishes = frozenset({"wired"})
    repeatable = True
    simd: bool = option(True, "whether strings and lists are copied by SIMD")

    def run(self, module: Module, cx: PassContext) -> None:
        adapters = AdapterModule(simd=self.simd)
        handles = Handles.of(adapters, module)
        chosen = _choose(module, adapters, handles, cx)
        wiring = _write(module, chosen, _writer(module, adapters, handles, chosen), cx)
        _install(module, chosen.calls, wiring, adapters, cx)


@record()
class _Chosen:
    """What is wired now: each with what was found out about it.

    Attributes:
        calls: boundaries.
        edges: between an instance and the host.
        copies: of the elements of streams.
        halves: of calls that are tasks.
        host_calls: functions that the host calls while it lifts or lowers, with their instances.
    """

    calls: dict[Function, Call]
    edges: dict[Function, tuple[Edge, Call]]
    copies: dict[Function, ElementCopy]
    halves: dict[Function, tuple[TaskHalf, Call]]
    host_calls: list[Called]

    def closed(self, adapters: AdapterModule) -> list[Called]:
        """What runs while its instance must not call out, with the instance."""
        closing = [*self.calls.values(), *(call for n, call in self.halves.values() if closes(n))]
        closing += [call for edge, call in self.edges.values() if edge.copies]
        return [
            *(called for call in closing for called in call.leaves_closed),
            *_closed_by(adapters, self.copies.values()),
            *self.host_calls,
            *((e.inner.post_return, e.instance) for e, _ in self.edges.values() if e.inner.post_return is not None),
        ]


@record()
class _Wiring:
    """The replacements of imports: a callee itself, or the name of a function in the text of the adapters."""

    direct: dict[CoreItem, CoreItem] = field(default_factory=dict)
    written: dict[Function, str] = field(default_factory=dict)
    guarded: dict[Function, str] = field(default_factory=dict)
    closed: dict[Called, str] = field(default_factory=dict)


def _choose(module: Module, adapters: AdapterModule, handles: Handles, cx: PassContext) -> _Chosen:
    """Analyses what is pending and may be wired now."""

    def wired(function: Function, call: Call) -> bool:
        return _carried(handles, call, cx) and cx.allows("wire", function)

    live = Reached(module)  # emit-tasks leaves tasks that no code starts
    pending = [(f, n, f.note(Planned)) for f, n in _noted(module, Boundary)]
    wanted = [(f, n, p) for f, n, p in pending if p is None or p.how != How.TASK.value or f in live]
    boundaries = [(f, analyse(adapters, n, f, planned)) for f, n, planned in wanted]
    calls = {f: call for f, call in boundaries if wired(f, call)}
    edges = {f: (n, analyse_edge(adapters, n, f)) for f, n in _noted(module, Edge)}
    edges = {f: (n, call) for f, (n, call) in edges.items() if wired(f, call)}
    copies = {f: n for f, n in _noted(module, ElementCopy) if cx.allows("copy", f)}
    halves = {f: (n, analyse_half(adapters, n, f)) for f, n in _noted(module, TaskHalf) if cx.allows("wire", f)}
    for _, call in halves.values():
        handles.check(call)
    return _Chosen(calls, edges, copies, halves, called_by_host(module))


def _writer(module: Module, adapters: AdapterModule, handles: Handles, chosen: _Chosen) -> AdapterWriter:
    """The writer of the adapters, with the flags of instances and what tasks need."""
    calls = chosen.calls.values()
    flags = _make_flags(module, chosen.closed(adapters), _calling_out(module, calls, chosen.edges.values()))
    catches = any(True for _ in _tags(module))
    tasks = _make_tasks(module, adapters, calls)
    slots = module.notes_of(ContextSlots)
    scheduler = module.notes_of(TaskFunctions)
    surroundings = Surroundings(adapters, slots[0] if slots else None, scheduler[0] if scheduler else None)
    may_leave = {i: adapters.global_(g) for i, g in flags.items()}
    return AdapterWriter(adapters, may_leave, catches, handles, surroundings, tasks)


def _carried(handles: Handles, call: Call, cx: PassContext) -> bool:
    """Whether the handles of a call can be carried over; not if what that needs was held back. Raises MeldError."""
    try:
        handles.check(call)
    except MeldError:
        if not cx.gate.refused:
            raise
        return False
    return True


def _write(module: Module, chosen: _Chosen, writer: AdapterWriter, cx: PassContext) -> _Wiring:
    """Writes what takes the place of each import."""
    wiring = _write_calls(module, chosen.calls, chosen.copies, writer)
    for function, (half, call) in chosen.halves.items():
        wiring.written[function] = write_half(writer, call, half, function)
    _write_edges(module, chosen.edges, writer, wiring)
    for function, instance in chosen.host_calls:
        if instance in writer.may_leave and cx.allows("close", function):
            wiring.closed[function, instance] = writer.close(function, instance, closer_name(function))
    _write_guards(module, writer, {edge.target for edge, _ in chosen.edges.values()}, wiring, cx)
    return wiring


def _write_calls(
    module: Module, calls: Mapping[Function, Call], copies: Mapping[Function, ElementCopy], writer: AdapterWriter
) -> _Wiring:
    """Writes the adapters of boundaries, `task.return` of prompt callees, and copies of elements."""
    wiring = _Wiring()
    catches = writer.catches
    for function, call in calls.items():
        boundary = call.boundary
        reason = call.reason or _closed(boundary.caller, writer.may_leave, catches)
        if reason is None:
            wiring.direct[function] = boundary.target
        else:
            wiring.written[function] = writer.write(call, f"{boundary.caller.name}/{boundary.label}.adapter")
        how, why = ("adapter", reason) if reason else ("direct", "nothing to adapt: plain numbers")
        module.notes.append(Wired(boundary.caller, boundary.callee, boundary.label, boundary.type, how, why))
    for function, builtin in _noted(module, CanonCall):
        if builtin.builtin == "task.return" and builtin.instance in writer.tasks:
            name = f"{builtin.instance.name}/task.return"
            wiring.written[function] = writer.write_task_return(function, builtin, name)
    for function, copy in copies.items():
        name = f"{copy.writer.name}->{copy.reader.name}/elements"
        wiring.written[function] = write_element_copy(writer, copy, name)
    return wiring


def _write_edges(
    module: Module, edges: Mapping[Function, tuple[Edge, Call]], writer: AdapterWriter, wiring: _Wiring
) -> None:
    """Writes the adapters of edges."""
    if not edges:
        return
    edge_writer = EdgeWriter(writer, State.of(module))
    for function, (edge, call) in edges.items():
        wiring.written[function] = edge_writer.write(edge, call, f"{edge.instance.name}/{edge.label}.edge")


def _write_guards(
    module: Module,
    writer: AdapterWriter,
    checked: set[Function],
    wiring: _Wiring,
    cx: PassContext,
) -> None:
    """Writes the guards of closed instances; calls of what is in `checked` are checked already."""
    for function, instance, name in _guardable(module):
        if instance in writer.may_leave and function not in checked and cx.allows("guard", function):
            wiring.guarded[function] = writer.guard(function, instance, f"{instance.name}/{name}.guard")


def _install(
    module: Module, calls: Mapping[Function, Call], wiring: _Wiring, adapters: AdapterModule, cx: PassContext
) -> None:
    """Places what was written into the module and rebinds the imports to it."""
    made = place(adapters, module)
    written: dict[CoreItem, CoreItem] = {function: made[name] for function, name in wiring.written.items()}
    cx.stats["inlined calls"] += _inline_helpers(module, adapters, made, cx)
    closers = {called: _function(made[name]) for called, name in wiring.closed.items()}
    for (_, instance), closer in closers.items():
        closer.owner = instance  # its export is named after it
    call_closed(module, closers)
    guards: dict[CoreItem, CoreItem] = {function: made[name] for function, name in wiring.guarded.items()}
    guard_functions = {id(g) for g in guards.values()}
    module.replace_uses(guards, unless=lambda item: id(item) in guard_functions)
    new = {f: guards.get(item, item) for f, item in _resolved({**wiring.direct, **written}, calls).items()}
    module.replace_uses(new)
    rebind_notes(module, {**guards, **new})
    module.imports = [item for item in module.imports if item not in new]
    cx.stats["called directly"] += len(wiring.direct)
    cx.stats["adapted"] += len(written)
    cx.stats["guarded imports"] += len(guards)


def _function(item: CoreItem) -> Function:
    assert isinstance(item, Function)
    return item


def place(adapters: AdapterModule, module: Module) -> dict[str, CoreItem]:
    """Adds to a module all functions that were written; returns what each name in their texts stands for."""
    shapes = adapters.finish()  # which may bind more items
    made = dict(adapters.bound)
    sources: dict[str, Module] = {}
    for shape in shapes:
        again = shape.text in sources
        source = sources[shape.text] if again else generated(shape.text, "adapter")
        sources[shape.text] = source
        bindings = {item: made[name] for item, name in zip(source.imports, shape.uses, strict=True)}
        kind, name = adapters.kinds.get(shape.name, "adapter"), adapters.names[shape.name]
        rename = partial(_named, name)
        spliced = splice(source, module, bindings, synthetic=kind, rename=rename, again=again)
        made[shape.name] = spliced.new[source.functions[0]]
    return made


def _named(name: str, _: Item) -> str:
    return name


def _inline_helpers(module: Module, adapters: AdapterModule, made: Mapping[str, CoreItem], cx: PassContext) -> int:
    """Inlines helpers that few call, callees first: what is short costs what its calls cost."""
    helpers = {made[name] for name in adapters.helpers_of(*INLINED)}
    parts = {made[name] for name in adapters.helpers_of(*INLINED_ONCE)}
    called = {
        function: [i.args[0] for i in function.instructions if i.op == "call"]
        for name, function in made.items()
        if name not in adapters.bound and isinstance(function, Function)
    }
    count = Counter(callee for callees in called.values() for callee in callees)

    @cache
    def results(*types: ValType) -> TypeDef:
        return module.func_type((), types)

    def wanted(callee: Function) -> bool:
        return count[callee] <= (INLINED_CALLS if callee in helpers else callee in parts)

    return sum(
        inline_calls(caller, wanted, results)
        for caller, callees in called.items()
        if any(map(wanted, callees)) and cx.allows("inline", caller)
    )


def _noted(module: Module, kind: type[N]) -> list[tuple[Function, N]]:
    """The functions with a note of a class, and the note."""
    noted = module.noted(kind, (*module.imports, *module.functions))
    return [(item, n) for item, n in noted if isinstance(item, Function)]


def _tags(module: Module) -> Iterable[CoreItem]:
    """Without tags nothing throws."""
    return module.space("tags")


def _closed(caller: Instance, flags: Mapping[Instance, str], catches: bool) -> str | None:
    """Why a call that needs no adapting needs an adapter after all."""
    if caller in flags:
        return "the caller must not call out while its memory is being prepared"
    return "no exception may come out of the callee" if catches else None


def _guardable(module: Module) -> list[tuple[Function, Instance, str]]:
    """Functions that a closed instance must not call (of the host, built-ins, tasks): function, instance, name."""
    found = [(f, call.instance, call.label) for f, call in _noted(module, HostCall)]
    found += [(f, call.caller, call.label) for f, call in _noted(module, TaskCall)]
    for f, call in _noted(module, CanonCall):
        # `task.return` of a prompt callee, still an import, asks itself
        if call.leaves and (call.builtin != "task.return" or f.imported is None):
            found.append((f, call.instance, call.builtin))
    return found


def _calling_out(module: Module, calls: Iterable[Call], edges: Iterable[tuple[Edge, Call]]) -> set[Instance]:
    """The instances that call anything at all. For others it makes no difference whether they may."""
    out = {edge.instance for edge, _ in edges if edge.way == "out"}
    return out | {call.boundary.caller for call in calls} | {instance for _, instance, _ in _guardable(module)}


def _closed_by(adapters: AdapterModule, copies: Iterable[ElementCopy]) -> Iterable[Called]:
    """The `realloc` that is called while elements are copied to an instance, with the instance."""
    for copy in copies:
        allocates = copy.host != "reader" and adapters.layouts[I32].of(copy.type).allocates
        if allocates and copy.lower.realloc is not None:
            yield copy.lower.realloc, copy.reader


def _make_flags(module: Module, closed: Iterable[Called], calling_out: set[Instance]) -> dict[Instance, Global]:
    """The `may_leave` global of each instance that is closed at times, and may call out then."""
    flags: dict[Instance, Global] = {}
    leaves: dict[Function, bool] = {}
    for function, instance in closed:
        if instance not in calling_out or instance in flags:
            continue
        if function not in leaves:
            leaves[function] = may_call_out(function)
        if leaves[function]:
            flags[instance] = Global(
                I32,
                mutable=True,
                init=[Instruction("i32.const", (1,))],
                name=f"{instance.name}/may-leave",
                owner=instance,
                synthetic="adapter",
            )
            module.add(flags[instance])
    return flags


def _make_tasks(module: Module, adapters: AdapterModule, calls: Iterable[Call]) -> dict[Instance, Tasks]:
    """The tasks of the instances whose functions are lifted asynchronously."""
    tasks: dict[Instance, Tasks] = {}
    for call in calls:
        callee = call.boundary.callee
        if not call.boundary.lift.is_async:
            continue
        if callee not in tasks:
            tasks[callee] = Tasks(adapters, _global(module, callee, "task", I32), {})
        outs = tasks[callee].outs
        if call.caller.pointer not in outs:
            outs[call.caller.pointer] = _global(
                module, callee, f"task.out.{call.caller.pointer.value}", call.caller.pointer
            )
        tasks[callee].calls.append(call)
    return tasks


def _global(module: Module, owner: Instance, name: str, core: NumType) -> Global:
    """A new global that is 0."""
    zero = [Instruction(f"{core.value}.const", (0,))]
    made = Global(core, mutable=True, init=zero, name=f"{owner.name}/{name}", owner=owner, synthetic="adapter")
    module.add(made)
    return made


def _resolved(new: Mapping[CoreItem, CoreItem], calls: Mapping[Function, Call]) -> dict[CoreItem, CoreItem]:
    """Follows replacements to their end: a function that is lifted may itself be a lowered import."""
    out: dict[CoreItem, CoreItem] = {}
    for function, item in new.items():
        steps = 0
        while item in new:
            item = new[item]
            steps += 1
            if steps > len(new):
                assert isinstance(function, Function)
                raise MeldError("the call leads to itself", where=place_of(calls[function].boundary))
        out[function] = item
    return out
