"""The pass `handle-tables`: the resources that components of the program define live inside the module.

Each instance that has handles gets a table, and its built-ins `resource.new`, `resource.rep` and `resource.drop` become
functions over it. Adapters carry handles from one table into another. Resources of the host stay the host's: their
handles are the host's numbers in every instance, and what is lent of them is counted
(`meld.passes.handle_tables.host_loans`).

Source: Component Model, CanonicalABI.md ("Resource State", canon_resource_new, canon_resource_drop,
canon_resource_rep, lift_own, lift_borrow, lower_own, lower_borrow).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from meld.abi.traps import Trap, trap_function
from meld.abi.types import Resource, Type, function_types
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.instructions import Code, Instruction
from meld.ir.module import CoreItem, Function, Global, Memory, Module
from meld.ir.notes import Instance, Note, note, ref
from meld.ir.types import I32, Limits, ValType
from meld.notes.boundaries import Boundary, CanonCall, HostExport, resource_of
from meld.passes.base import Pass, PassContext
from meld.passes.handle_tables.host_loans import HostLoans, borrowers, count_loans
from meld.rewriting.rebind import rebind_notes
from meld.rewriting.splice import splice
from meld.rewriting.template import template

KIND = "handle-table"


@note("handles")
class HandleTable(Note):
    """On the module: the functions over the handle table of an instance; each takes the number of a resource type."""

    instance: Instance = ref("note", positional=True)
    lift_own: Function = ref("functions")
    lift_borrow: Function = ref("functions")
    lower_own: Function = ref("functions")
    lower_borrow: Function = ref("functions")
    begin_scope: Function = ref("functions")
    end_borrows: Function = ref("functions")
    end_loans: Function = ref("functions")
    end_scope: Function = ref("functions")
    loans: Global = ref("globals")


FUNCTIONS = tuple(f.name for f in fields(HandleTable) if f.type == "Function")
"""The fields that are functions, by the names that they have in the template."""


class HandleTables(Pass):
    """Give each instance that has resource handles a table inside the module."""

    name = "handle-tables"
    requires = frozenset({"merged"})
    establishes = frozenset({"handle-tables"})
    before = ("adapter-wiring",)

    def run(self, module: Module, cx: PassContext) -> None:
        numbers = {resource: i for i, resource in enumerate(module.notes_of(Resource), 1)}
        _lend(module, numbers, cx)
        instances = dict.fromkeys(_holders(module))
        # handles go from table to table, so there are all of them or none
        if not instances or not cx.asks("handle tables"):
            return
        lends = Memory(Limits(1), name="lends", synthetic=KIND)
        top, scope = (
            Global(I32, True, [Instruction("i32.const", (0,))], name=name, synthetic=KIND)
            for name in ("lends.top", "lends.scope")
        )
        shared: dict[str, CoreItem] = {"lends": lends, "lends_top": top, "scope": scope}
        for item in shared.values():
            module.add(item)
        tables = {instance: _emit(module, instance, shared) for instance in instances}
        new: dict[Any, Any] = {}
        destructors: dict[Resource, Function] = {}
        for item in module.imports:
            for n in item.notes:
                resource = _inside_of(n)
                if resource is None:
                    continue
                assert isinstance(item, Function) and isinstance(n, CanonCall)
                if resource.rep != "i32":
                    raise MeldError(
                        f"resource `{resource.label}` is represented by {resource.rep}; only i32 can be fused"
                    )
                if resource.dtor is not None and n.builtin == "resource.drop" and resource not in destructors:
                    destructors[resource] = _destructor(module, resource)
                new[item] = _builtin(item, n, numbers[resource], tables[n.instance], destructors.get(resource))
        module.functions += new.values()
        module.replace_uses(new)
        rebind_notes(module, new)
        module.imports = [item for item in module.imports if item not in new]
        cx.stats["handle tables"] = len(tables)
        cx.stats["resource built-ins"] = len(new)


def _lend(module: Module, numbers: dict[Resource, int], cx: PassContext) -> None:
    """Counts the loans of handles that live outside."""
    loans: dict[Instance, HostLoans] = {}
    for instance in dict.fromkeys(borrowers(module)):
        if not cx.asks("count loans"):
            return
        functions = _splice(module, "host_loans.wat", {}, f"{instance.name}/loans")
        by_name: dict[str, Any] = dict(functions)
        loans[instance] = HostLoans(instance, **by_name)
        module.notes.append(loans[instance])
    count_loans(module, numbers, loans)


def _inside_of(n: Note) -> Resource | None:
    """The resource, living in the module, that a built-in is about; None for anything else."""
    resource = resource_of(n)
    return resource if resource is not None and resource.is_inside else None


def _holders(module: Module) -> Iterator[Instance]:
    """The instances that have handles of resources that the program defines."""
    for item in module.imports:
        for n in item.notes:
            if _inside_of(n) is not None:
                assert isinstance(n, CanonCall)
                yield n.instance
            elif isinstance(n, Boundary) and any(_of_program(t) for t in function_types(n.type)):
                yield n.caller
                yield n.callee
    yield from _exporters(module)


def _exporters(module: Module) -> Iterator[Instance]:
    """The instances whose functions the program exports with such handles."""
    for export in module.notes_of(HostExport):
        if any(_of_program(t) for t in function_types(export.type)):
            yield export.instance


def tables_of_exports(module: Module) -> list[HandleTable]:
    """The tables that lifting and lowering at the edge of the program needs."""
    exporters = set(_exporters(module))
    return [table for table in module.notes_of(HandleTable) if table.instance in exporters]


def _of_program(t: Type) -> bool:
    return isinstance(t, c.Own | c.Borrow) and isinstance(t.resource, Resource) and t.resource.is_inside


def _emit(module: Module, instance: Instance, shared: dict[str, CoreItem]) -> dict[str, Function]:
    """Adds the table of an instance; its functions by name. `shared`: what all tables share."""
    functions = _splice(module, "handle_tables.wat", shared, f"{instance.name}/handles")
    top = shared["lends_top"]
    assert isinstance(top, Global)
    by_name: dict[str, Any] = {name: functions[name] for name in FUNCTIONS}
    module.notes.append(HandleTable(instance, **by_name, loans=top))
    return functions


def _splice(module: Module, name: str, given: dict[str, CoreItem], prefix: str) -> dict[str, Function]:
    """Adds the items of a template whose imports are the given ones and traps; its exported functions."""
    source = template(__name__, name, {})
    bindings: dict[CoreItem, CoreItem] = {}
    for item in source.imports:
        assert item.imported is not None
        kind, _, reason = item.imported.field.partition(" ")
        bindings[item] = trap_function(module, Trap[reason]) if kind == "trap" else given[item.imported.field]
    spliced = splice(source, module, bindings, synthetic=KIND, rename=lambda item: f"{prefix}.{item.name}")
    return {name: f for name, f in spliced.exports.items() if isinstance(f, Function)}


def _destructor(module: Module, resource: Resource) -> Function:
    """What `resource.drop` calls: the destructor, and around it what keeps exceptions in, if there can be any."""
    dtor: Function = resource.dtor
    if not module.space("tags"):
        return dtor
    return _splice(module, "handle_tables_dtor.wat", {"dtor": dtor}, f"{resource.owner.name}/{resource.label}")["dtor"]


def _builtin(
    item: Function, call: CanonCall, number: int, table: dict[str, Function], dtor: Function | None
) -> Function:
    """The function in place of a built-in. It keeps the note, so that later passes know what it stands for."""
    operands = [Instruction("i32.const", (number,)), Instruction("local.get", (0,))]
    locals_: list[ValType] = []
    match call.builtin:
        case "resource.new" | "resource.rep" as builtin:
            code = [*operands, Instruction("call", (table[builtin.removeprefix("resource.")],))]
        case "resource.drop":
            code = [*operands, Instruction("call", (table["drop"],))]
            code += _destroyed(dtor)
            locals_ = [I32]
        case other:
            raise MeldError(f"the canonical built-in `{other}` of `{call.instance.name}` cannot be fused yet")
    return Function(
        item.type, Code(locals_, code), name=item.name, owner=call.instance, synthetic=KIND, notes=list(item.notes)
    )


def _destroyed(dtor: Function | None) -> list[Instruction]:
    """With the representation and whether it was owned on the stack: runs the destructor if it was."""
    code = [Instruction("local.set", (1,)), Instruction("local.set", (0,))]
    if dtor is not None:
        code += [
            Instruction("local.get", (1,)),
            Instruction("if", (None,)),
            Instruction("local.get", (0,)),
            Instruction("call", (dtor,)),
            Instruction("end"),
        ]
    return code
