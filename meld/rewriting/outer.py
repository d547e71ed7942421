"""Calls over the edge of the program that carry resource handles: each gets an adapter that translates them.

An instance knows only indices of its own handle table; the host, or the component around the module, knows handles of
its own. So between an instance and what it imports, and between the host and what an instance exports, stands an `Edge`
wherever a handle crosses. `adapter-wiring` makes an adapter of it. There are two kinds:

* Handles are core values, or lie in memory where it is safe to translate them. The host still uses the instance's
  memory (`Edge.copies` is false). Safe means that nothing of the instance's choice can take the place of a handle. In a
  result of the host the ranges that the instance's `realloc` gave out must not overlap, which is watched. In lists that
  the host reads, handles are found, replaced and put back; this is for lists that hold no addresses and no variants
  beside their handles, since a replaced handle could lie across those.
* Otherwise the host reads and writes the state memory, and the adapter copies the values from there and to there.

A call of an asynchronous function of the host that is lowered asynchronously gets an edge, too. Behind it the host's
function is lowered synchronously: it blocks until it has its result, which the edge copies to where the instance wants
it, and returns that the call has returned.

Source: Component Model, CanonicalABI.md: lift_own, lift_borrow, lower_own, lower_borrow.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from meld.abi.layout import MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Kind, Layout, Layouts, pointer_of
from meld.abi.options import Options
from meld.abi.signatures import lifted_type, lowered_type
from meld.abi.types import Resource, function_types, is_end, is_end_or_error
from meld.ir import component as c
from meld.ir.module import Export, Function, ImportName, Module
from meld.ir.notes import Note
from meld.ir.types import I32
from meld.notes.boundaries import (
    BOUNDARY_MODULE,
    Edge,
    HostCall,
    HostExport,
    OuterCall,
    resource_of,
)
from meld.notes.state import state_memories
from meld.rewriting.rebind import rebind_notes
from meld.rewriting.state import State

KIND = "adapter"
HANDLES = frozenset({Kind.OWN, Kind.BORROW})
PLAIN_WEIGHT = 16
"""Of the elements of lists that are translated in place."""


def close_edges(module: Module) -> None:
    """Puts edges where handles of the host's resources cross, and gives these resources their destructors.

    The destructor of a resource of the host is the import that has the host drop it.
    """
    for resource in dict.fromkeys(n for item in module.imports for n in map(_dropped, item.notes) if n is not None):
        resource.dtor = outer_call(module, "resource.drop", resource)
    close_imports(module)
    for export in module.notes_of(HostExport):
        close_export(module, export)


def _dropped(n: Any) -> Resource | None:
    resource = resource_of(n)
    return resource if resource is not None and resource.owner is None and n.builtin == "resource.drop" else None


def outer_call(module: Module, builtin: str, resource: Resource) -> Function:
    """Adds the import of a built-in over the handles that the outside has, in wit-component's names."""
    name = ImportName(resource.module or "", f"[{builtin.replace('.', '-')}]{resource.label}")
    made = Function(
        module.func_type((I32,), () if builtin == "resource.drop" else (I32,)),
        name=f"{name.module}/{name.field}",
        imported=name,
        notes=[OuterCall(builtin, resource)],
    )
    module.add(made)
    return made


def crosses(t: c.CompFuncType) -> bool:
    """Whether a function type holds handles that the outside knows by other numbers."""
    return any(
        isinstance(x, c.Own | c.Borrow) and isinstance(x.resource, Resource) and x.resource.is_outer
        for x in function_types(t)
    )


def close_imports(module: Module) -> None:
    """Puts an edge in front of each function of the host that takes or returns handles, or is lowered asynchronously.

    Streams, futures and error contexts cannot cross it: a function that has them, and no handles, is left as it is.
    """
    new: dict[Any, Any] = {}
    for item, n in module.noted(HostCall):
        if isinstance(item, Function) and _needs_edge(n):
            new[item] = _import_edge(module, item, n)
    module.replace_uses(new)
    rebind_notes(module, new)
    for outer, edge in new.items():
        edge.notes[0].target = outer
        module.imports.append(edge)
    _watch(module, [edge.notes[0] for edge in new.values()])


def _needs_edge(call: HostCall) -> bool:
    if crosses(call.type):
        return True
    return call.lower.is_async and not any(map(is_end_or_error, function_types(call.type)))


def open_edges(module: Module, *, errors: bool = False, waits: bool = False) -> None:
    """Puts an edge in front of each call over the edge of the program that carries streams or futures.

    Functions that are lifted asynchronously are left as they are.

    Args:
        errors: the same for calls that carry error contexts.
        waits: the same for asynchronous functions of the host, however they are lowered.
    """
    is_carried = is_end_or_error if errors else is_end
    for item, n in list(module.noted(HostCall)):
        if isinstance(item, Function) and ((waits and n.type.is_async) or any(map(is_carried, function_types(n.type)))):
            _separate_import(module, item, n)
    for export in module.notes_of(HostExport):
        if any(map(is_carried, function_types(export.type))) and not export.lift.is_async:
            _export_edge(module, export, separate=True)


def has_end(t: c.CompFuncType) -> bool:
    """Whether a function type holds streams or futures."""
    return any(map(is_end, function_types(t)))


def _watch(module: Module, edges: list[Edge]) -> None:
    """Replaces each `realloc` that the host calls for a result with handles by one that records what it returns."""
    watched: dict[Function, Function] = {}
    for note in edges:
        realloc, result = note.inner.realloc, _result(note.type, note.inner)
        if note.copies or realloc is None or not (result.allocates and result.kinds() & HANDLES):
            continue
        if realloc not in watched:
            p = "i32" if realloc.signature.params[0] is I32 else "i64"
            long = "i64.extend_i32_u" if p == "i32" else "i64.add (i64.const 0)"
            params = {"p": p, "long": long, "who": len(watched) + 1}
            state = State.of(module)
            made = state.link(__package__, "watched.wat", params, {"realloc": realloc}, kind=KIND, shared=False)
            watched[realloc] = made["realloc"]
        note.watch = list(watched).index(realloc) + 1
    for n in (*module.notes_of(HostExport), *(n for _, n in module.noted(Note))):
        match n:
            case HostExport() if n.lift.realloc in watched:
                n.lift = replace(n.lift, realloc=watched[n.lift.realloc])
            case HostCall() if n.lower.realloc in watched:
                n.lower = replace(n.lower, realloc=watched[n.lower.realloc])
            case Edge() if n.outer.realloc in watched:
                n.outer = replace(n.outer, realloc=watched[n.outer.realloc])


def _import_edge(module: Module, outer: Function, call: HostCall) -> Function:
    """The edge in front of an import, which is called by it from now on."""
    name = ImportName(BOUNDARY_MODULE, f"{call.instance.name}->{call.label}")
    inner = call.lower
    note = Edge(call.instance, way="out", label=call.label, target=outer, type=call.type, inner=inner, outer=inner)
    edge = Function(outer.type, name=outer.name, imported=name, owner=outer.owner, notes=[note])
    if inner.is_async:
        _lower_synchronously(module, note, call)
    elif _copies(call.type, inner, imported=True):
        _separate(module, note, call)
    outer.name = f"{call.label}.outer"
    return edge


def _separate(module: Module, edge: Edge, call: HostCall) -> None:
    """Makes the import behind an edge use the state memory."""
    edge.outer = call.lower = _copied(module, edge.inner)
    shape = lowered_type(call.type, edge.outer)
    edge.target.type = module.func_type(shape.params, shape.results)


def _lower_synchronously(module: Module, edge: Edge, call: HostCall) -> None:
    """Makes the import behind an edge block, with the state memory if values lie in memory."""
    plain = Options(edge.inner.encoding)
    edge.outer = call.lower = _copied(module, plain) if uses_memory(call.type, plain, imported=True) else plain
    shape = lowered_type(call.type, edge.outer)
    edge.target.type = module.func_type(shape.params, shape.results)


def uses_memory(t: c.CompFuncType, options: Options, *, imported: bool) -> bool:
    """Whether parameters or results of a call of the host, or of an export, lie in memory."""
    params, result = _layouts(options).tuple_of(x for _, x in t.params), _result(t, options)
    most = MAX_FLAT_ASYNC_PARAMS if options.is_async and imported else MAX_FLAT_PARAMS
    returned = bool(result.flat) if options.is_async and imported else len(result.flat) > MAX_FLAT_RESULTS
    return params.allocates or result.allocates or returned or len(params.flat) > most


def needs_checks(t: c.CompFuncType, options: Options, *, imported: bool) -> bool:
    """Whether something has to be checked before the host may rely on what it is given: pointers, characters, cases."""
    given = _layouts(options).tuple_of(x for _, x in t.params) if imported else _result(t, options)
    return uses_memory(t, options, imported=imported) or bool(given.kinds() & {Kind.CHAR, Kind.VARIANT})


def share_import(module: Module, item: Function, call: HostCall) -> bool:
    """Makes a call of the host use the state memory, by an edge in front of it.

    Returns:
        False if there is nothing to check, or if the call is asynchronous.
    """
    if call.lower.memory in state_memories(module):
        return False
    edges = [n for _, n in module.noted(Edge) if n.target is item]
    if not needs_checks(call.type, call.lower, imported=True):
        call.lower = replace(call.lower, memory=None, realloc=None)
        for edge in edges:
            edge.outer = call.lower
            if not edge.inner.is_async:  # else the instance has its values in memory all the same
                edge.inner = call.lower
        return False
    if call.lower.is_async:
        return False
    _separate_import(module, item, call)
    return True


def _separate_import(module: Module, item: Function, call: HostCall) -> None:
    """Makes a call of the host use the state memory, by the edges in front of it, or a new one."""
    edges = [n for _, n in module.noted(Edge) if n.target is item]
    if not edges:
        made = _import_edge(module, item, call)
        module.replace_uses({item: made})
        rebind_notes(module, {item: made})
        module.imports.append(made)
        edges = [n for n in made.notes if isinstance(n, Edge)]
        edges[0].target = item
    for note in edges:
        note.watch = 0
        if not note.copies:
            _separate(module, note, call)


def share_export(module: Module, export: HostExport) -> bool:
    """Makes the host use the state memory for an exported function.

    Returns:
        False if there is nothing to check, or if the function is asynchronous: wire-entries makes a plain one of it.
    """
    if export.lift.memory in state_memories(module):
        return False
    edges = [n for n in export.target.notes if isinstance(n, Edge)]
    if not needs_checks(export.type, export.lift, imported=False):
        export.lift = replace(export.lift, memory=None, realloc=None)
        for edge in edges:
            edge.inner = edge.outer = export.lift
        return False
    if export.lift.is_async:
        return False
    _export_edge(module, export, separate=True)
    return True


def close_export(module: Module, export: HostExport) -> None:
    """Puts an edge in front of a function that is exported with handles; one that is there is made anew."""
    if not crosses(export.type):
        return
    if not export.lift.is_async:  # else emit-tasks and wire-entries see to it
        _export_edge(module, export)


def _export_edge(module: Module, export: HostExport, *, separate: bool = False) -> None:
    """Puts an edge in front of an exported function; with `separate` the host uses the state memory in any case."""
    before = export.target
    inner, target = export.lift, before
    for n in before.notes:
        if isinstance(n, Edge):
            inner, target = n.inner, n.target
    outer = _outer_lift(module, export.type, inner, separate=separate)
    shape = lifted_type(export.type, outer)
    edge = Function(
        module.func_type(shape.params, shape.results),
        name=f"{export.label}.lifted",
        imported=ImportName(BOUNDARY_MODULE, f"->{export.label}"),
        owner=export.instance,
        notes=[
            Edge(
                export.instance,
                way="in",
                label=export.label,
                target=target,
                type=export.type,
                inner=inner,
                outer=outer,
            )
        ],
    )
    module.add(edge)
    if before is not target:
        module.imports.remove(before)
    _reexport(module, export, before, edge)
    _reexport_post_return(module, export, outer)
    export.target, export.lift = edge, outer


def _reexport(module: Module, export: HostExport, before: Function, edge: Function) -> None:
    """The export is the edge now: the one of that name, or of the name that it got because that was taken."""
    exported = [i for i, e in enumerate(module.exports) if e.item is before]
    named = [i for i in exported if module.exports[i].name == export.label]
    for i in named or exported[:1]:
        module.exports[i] = Export(module.exports[i].name, edge, module.exports[i].span)


def _reexport_post_return(module: Module, export: HostExport, outer: Options) -> None:
    before = export.lift.post_return
    if before is outer.post_return:
        return
    name = f"cabi_post_{export.label}"
    module.exports = [e for e in module.exports if e.name != name]
    if outer.post_return is not None:
        module.exports.append(Export(name, outer.post_return))


def _outer_lift(module: Module, t: c.CompFuncType, inner: Options, *, separate: bool = False) -> Options:
    """The options by which an exported function is lifted outside of its edge."""
    if separate or _copies(t, inner, imported=False):
        return _copied(module, inner, returns=len(_result(t, inner).flat) > MAX_FLAT_RESULTS)
    if _result(t, inner).kinds() & HANDLES:
        return replace(inner, post_return=None)  # it is given the handle of the instance, by the edge
    return inner


def _copied(module: Module, inner: Options, *, returns: bool = False) -> Options:
    """Options that have the host use the state memory."""
    state = State.of(module)
    post_return = state.function("arena_post_return") if returns else None
    return Options(inner.encoding, state.memory, state.function("arena_realloc"), post_return)


def _copies(t: c.CompFuncType, inner: Options, *, imported: bool) -> bool:
    """Whether handles lie where the instance could reach them while they are translated."""
    params, result = _layouts(inner).tuple_of(x for _, x in t.params), _result(t, inner)
    spilled = len(params.flat) > MAX_FLAT_PARAMS and bool(params.kinds() & HANDLES)
    returned = len(result.flat) > MAX_FLAT_RESULTS and bool(result.kinds() & HANDLES)
    lists = [layout for layout in params.outermost(lambda one: one.kind is Kind.LIST) if layout.kinds() & HANDLES]
    if not imported:
        return spilled or bool(lists) or returned
    return spilled or (bool(lists) and (returned or not all(_is_plain(layout.element) for layout in lists)))


def _layouts(options: Options) -> Layouts:
    return Layouts(pointer_of(options.memory is not None and options.memory.limits.is64))


def _result(t: c.CompFuncType, options: Options) -> Layout:
    return _layouts(options).tuple_of([] if t.result is None else [t.result])


def _is_plain(element: Layout | None) -> bool:
    """Whether an element is a run of scalars of some bytes, handles among them."""
    assert element is not None
    shapes = {Kind.STRING, Kind.LIST, Kind.FIXED_LIST, Kind.VARIANT, Kind.STREAM, Kind.FUTURE, Kind.ERROR_CONTEXT}
    return element.weight <= PLAIN_WEIGHT and not element.kinds() & shapes
