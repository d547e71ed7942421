"""Notes about handle tables: which instance has one, and the functions over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from meld.abi.types import Resource, Type, function_types
from meld.ir import component as c
from meld.ir.module import Function, Module
from meld.ir.notes import Instance, Note, note, number, ref
from meld.notes.boundaries import Boundary, HostExport

WAITABLE_SET, SUBTASK, ERROR_CONTEXT = 1, 2, 3
"""Type numbers of handles that are no resources."""
FIRST_RESOURCE = 4
RECORD_BYTES = 128
"""Size of the record of an instance in the state memory (passes/handle_tables/handles.wat)."""


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


def of_program(t: Type) -> bool:
    """Whether a type is a handle that lives in tables of the module."""
    return isinstance(t, c.Own | c.Borrow) and isinstance(t.resource, Resource) and t.resource.is_inside


def exporters(module: Module) -> Iterator[Instance]:
    """The instances whose functions the program exports with such handles."""
    for export in module.notes_of(HostExport):
        if any(map(of_program, function_types(export.type))):
            yield export.instance


def functions_of_exports(module: Module) -> list[Any]:
    """The functions over handle tables that lifting and lowering at the edge of the program needs."""
    tables = {table.instance for table in module.notes_of(HandleTable)}
    if tables.isdisjoint(exporters(module)):
        return []
    return [getattr(note, name) for note in module.notes_of(HandleFunctions) for name in FUNCTIONS]


@note("loans")
class HostLoans(Note):
    """On the module: the functions that count what an instance borrows of handles that live outside."""

    instance: Instance = ref("note", positional=True)
    lend: Function = ref("functions")
    give_back: Function = ref("functions")
    mark: Function = ref("functions")
    end: Function = ref("functions")


def lent(boundary: Boundary) -> list[Resource]:
    """The resources that live outside of which a call lends its callee handles. Their owner gets representations."""
    found = [t.resource for t in function_types(boundary.type) if isinstance(t, c.Borrow)]
    return [r for r in found if isinstance(r, Resource) and not r.is_inside and r.owner is not boundary.callee]
