"""The signature manifest: what a host that sees only the fused module has to know to call its exports.

A core signature does not say what it means: ``(i32) -> (i32)`` may be a number, or the address of parameters in memory.
So each entry has the component type, what it flattens to, and which memory and functions the call needs. The core
signature is that of the exported function, not computed from the component type: a reader can check one by the other.

Source: Component Model, CanonicalABI.md: Flattening, `canon lift`, `canon lower`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from meld.abi.layout import MAX_FLAT_PARAMS, Kind, Layout, Layouts, pointer_of
from meld.abi.options import Options
from meld.abi.wit_text import wit
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.describe import type_name
from meld.ir.module import CoreItem, Function, Module
from meld.ir.types import FuncType
from meld.notes.boundaries import HostCall, HostExport
from meld.rewriting.edge import TRAPPED, host_name

SECTION = "meld.signature-manifest"
VERSION = 1

Row: TypeAlias = dict[str, Any]


def section(module: Module) -> bytes:
    """The contents of the section: the manifest as JSON."""
    return json.dumps(signatures(module), ensure_ascii=False, separators=(",", ":")).encode()


def signatures(module: Module) -> Row:
    """The manifest.

    Returns:
        ``version``; ``exports``: a row for each function that is exported from a component, in the order of the
        module's exports; ``omitted``: names of other exported functions, and why nothing is said about them;
        ``imports``, if there are any: a row for each import of a function that the host knows by another name;
        ``trapped``: the export by which a host says that it trapped, if there is one.
    """
    described = {(n.label, n.target): n for n in module.notes_of(HostExport)}
    helpers = {
        item
        for n in described.values()
        for item in (n.lift.realloc, n.lift.post_return, n.lift.callback)
        if item is not None
    }
    rows: list[Row] = []
    omitted: list[Row] = []
    names = exported_names(module)
    for export in module.exports:
        if not isinstance(export.item, Function):
            continue
        note = described.get((export.name, export.item))
        if note is not None:
            try:
                rows.append({"export": export.name, **_call(note, export.item.signature, names)})
            except MeldError as e:
                omitted.append({"export": export.name, "reason": e.message})
        elif export.item not in helpers and export.name != TRAPPED:
            omitted.append({"export": export.name, "reason": "a core function that no component type describes"})
    renamed = list(_renamed(module, names))
    found: Row = {"version": VERSION, "exports": rows, "omitted": omitted}
    if renamed:
        found["imports"] = renamed
    if any(export.name == TRAPPED for export in module.exports):
        found["trapped"] = TRAPPED
    return found


def _renamed(module: Module, names: dict[CoreItem, str]) -> Iterator[Row]:
    """Imports that were renamed because others of the same name differ: the host finds their original names here."""
    for item in module.imports:
        for n in item.notes:
            name = item.imported
            if isinstance(n, HostCall) and isinstance(item, Function) and name and host_name(name, n) != name:
                yield {"module": name.module, "name": name.field, **import_row(item, n, names)}


def import_row(item: Function, call: HostCall, names: dict[CoreItem, str]) -> Row:
    """The row for an import of a function of the host; `function` is its name in the component world."""
    row = {"function": call.label, "instance": call.instance.name, "core": core_row(item.signature)}
    row |= {"wit": wit_row(call.type), **options_row(call.lower, names)}
    del row["post_return"]  # an option of lifting
    return row


def exported_names(module: Module) -> dict[CoreItem, str]:
    """The first name that each exported item is exported by."""
    return {export.item: export.name for export in reversed(module.exports)}


def options_row(options: Options, names: dict[CoreItem, str]) -> Row:
    """Canonical options, by the names of exports; null where there is none, or none that is exported."""

    def name(item: CoreItem | None) -> str | None:
        return None if item is None else names.get(item)

    return {
        "encoding": options.encoding,
        "memory": name(options.memory),
        "realloc": name(options.realloc),
        "post_return": name(options.post_return),
    }


def wit_row(t: c.CompFuncType) -> Row:
    """A component function type: parameters by name, and the result, in the style of WIT."""
    return {
        "params": [[name, wit(x)] for name, x in t.params],
        "result": None if t.result is None else wit(t.result),
    }


def core_row(t: FuncType) -> Row:
    """A core function type."""
    return {"params": [type_name(x) for x in t.params], "results": [type_name(x) for x in t.results]}


def _call(note: HostExport, core: FuncType, names: dict[CoreItem, str]) -> Row:
    """The row for an exported function. Raises MeldError if its core function is not called like a plain one."""
    if note.lift.is_async:
        raise MeldError("it is lifted asynchronously: what it returns is a code for the scheduler of a component")
    memory = note.lift.memory
    layouts = Layouts(pointer_of(memory is not None and memory.limits.is64))
    params = layouts.tuple_of(x for _, x in note.type.params)
    result = None if note.type.result is None else layouts.of(note.type.result)
    allocates = params.allocates or len(params.flat) > MAX_FLAT_PARAMS
    # the entry of an asynchronous lift returns what `task.return` got, which may be several values
    returned = result is not None and len(result.flat) > len(core.results)
    points = result is not None and result.allocates
    counts: dict[int, int] = {}
    return {
        "instance": note.instance.name,
        "wit": wit_row(note.type),
        "async": note.type.is_async,
        "core": core_row(core),
        "flat_param_count": sum(_flat_count(layout, counts) for _, layout in params.fields),
        "needs": {"memory": allocates or returned or points, "realloc": allocates},
        **options_row(note.lift, names),
        "return_area": _area(note.type.result, result) if returned and result is not None else None,
    }


def _flat_count(layout: Layout, known: dict[int, int]) -> int:
    """The number of core values that a value flattens to; `Layout.flat` is cut off at the most that a call takes."""
    if id(layout) not in known:
        inner = [_flat_count(x, known) for x in layout.inner] if layout.kind not in (Kind.LIST, Kind.STRING) else []
        match layout.kind:
            case Kind.LIST | Kind.STRING:
                count = 2
            case Kind.RECORD:
                count = sum(inner)
            case Kind.VARIANT:
                count = 1 + max(inner, default=0)
            case Kind.FIXED_LIST:
                count = layout.length * inner[0]
            case _:
                count = 1
        known[id(layout)] = count
    return known[id(layout)]


def _area(t: Any, layout: Layout) -> Row:
    """Where a result that is returned in memory lies: that of a record or tuple by its fields."""
    return {"size": layout.size, "align": layout.align, "layout": list(_fields(t, layout))}


def _fields(t: Any, layout: Layout) -> Iterator[Row]:
    match t:
        case c.Record(fields):
            labels = [name for name, _ in fields]
        case c.Tuple(elements):
            labels = [str(i) for i in range(len(elements))]
        case _:
            yield {"offset": 0, "field": "value", "size": layout.size}
            return
    for label, (offset, part) in zip(labels, layout.fields, strict=True):
        yield {"offset": offset, "field": label, "size": part.size}
