"""Notes about handle tables: which instance has one, and the functions over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from meld.abi.types import Resource, function_types
from meld.ir import component as c
from meld.ir.component import CompFuncType
from meld.ir.module import Function, Module
from meld.ir.notes import Instance, Note, note, number, ref
from meld.notes.boundaries import HostExport

WAITABLE_SET, SUBTASK, ERROR_CONTEXT = 1, 2, 3
"""Type numbers of handles that are no resources."""
FIRST_RESOURCE = 4
RECORD_BYTES = 128
"""Size of the record of an instance in the state memory (rewriting/handles.wat)."""


@note("handles")
class HandleTable(Note):
    """On the module: an instance has a handle table; `record` is the address of its record in the state memory."""

    instance: Instance = ref("note", positional=True)
    record: int = number()


@note("handle-functions")
class HandleFunctions(Note):
    """On the module: the functions over handle tables, which all instances share.

    The first parameter is the address of the instance's record, the second a type number (`type_numbers`).
    """

    lift_own: Function = ref("functions")
    lift_borrow: Function = ref("functions")
    handle_add: Function = ref("functions")
    lower_borrow: Function = ref("functions")
    scope_new: Function = ref("functions")
    scope_free: Function = ref("functions")
    end_borrows: Function = ref("functions")
    end_loans: Function = ref("functions")


FUNCTIONS = tuple(f.name for f in fields(HandleFunctions) if f.type == "Function")
"""The fields that are functions, by the names that they have in the template."""


def type_numbers(module: Module) -> dict[Resource, int]:
    """The type number of each resource type in handle tables."""
    return {resource: i for i, resource in enumerate(module.notes_of(Resource), FIRST_RESOURCE)}


@note("exposed")
class Exposed(Note):
    """On the module: how handles of an exposed resource cross the edge, where they do.

    Attributes:
        give: ``[rep] → [handle]``: the outside gets a new own handle.
        take: ``[handle] → [rep]``: an own handle of the outside ceases to be, without the destructor.
    """

    resource: Resource = ref("note", positional=True)
    give: Function = ref("functions")
    take: Function = ref("functions")


def has_handles(t: CompFuncType) -> bool:
    """Whether a function takes or returns resource handles."""
    return any(isinstance(x, c.Own | c.Borrow) for x in function_types(t))


def exporters(module: Module) -> Iterator[Instance]:
    """The instances whose functions the program exports with handles that mean something in their tables only."""
    for export in module.notes_of(HostExport):
        if any(isinstance(t, c.Own | c.Borrow) and _only_inside(t.resource) for t in function_types(export.type)):
            yield export.instance


def _only_inside(resource: Any) -> bool:
    return isinstance(resource, Resource) and not resource.is_outer


def functions_of_exports(module: Module) -> list[Any]:
    """The functions over handle tables that lifting and lowering at the edge of the program needs."""
    tables = {table.instance for table in module.notes_of(HandleTable)}
    if tables.isdisjoint(exporters(module)):
        return []
    return [getattr(note, name) for note in module.notes_of(HandleFunctions) for name in FUNCTIONS]
