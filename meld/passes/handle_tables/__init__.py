"""The pass `handle-tables`: each instance that has resource handles gets a table inside the module.

Its built-ins `resource.new`, `resource.rep` and `resource.drop` become functions over the table, which lies in the
state memory (`meld.rewriting.handles`). Adapters carry handles from one table into another, and
translate them where they leave the module: what an entry holds is the representation, or the host's handle if the host
defines the resource (`meld.rewriting.outer`).

Source: Component Model, CanonicalABI.md ("Resource State", canon_resource_new, canon_resource_drop,
canon_resource_rep, lift_own, lift_borrow, lower_own, lower_borrow).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meld.abi.types import Resource
from meld.diagnostics import MeldError
from meld.ir.instructions import Code, Instruction
from meld.ir.module import Function, Module
from meld.ir.notes import Instance, Note
from meld.ir.types import I32, ValType
from meld.notes.boundaries import Boundary, CanonCall, Edge, ResourceExport, resource_of
from meld.notes.handles import exporters, has_handles, type_numbers
from meld.notes.tasks import NeedsTask
from meld.passes.base import Pass, PassContext
from meld.rewriting.handles import KIND, Tables
from meld.rewriting.labels import code
from meld.rewriting.link import link
from meld.rewriting.own_task import own_task
from meld.rewriting.rebind import rebind_notes


class HandleTables(Pass):
    """Give each instance that has resource handles a table inside the module.

    All tables lie in the state memory. So that no instance uses up what others need, each table has a limit, which
    depends on the number of instances: 16,777,216 handles at most, 4,096 at least.

        (import "meld:canon" "resource.rep" (func $app/resource.rep
          (@meld.canon resource.rep (instance $app) (type (own $file)))
          (param i32) (result i32)))
    becomes
        (func $app/resource.rep (@meld.canon resource.rep …)
          (param $handle i32) (result i32)
          (call $handle-table.handle_get
            (i32.const …)              ;; the record of $app
            (i32.const …)              ;; the type number of $file
            (local.get $handle)))
    """

    name = "handle-tables"
    requires = frozenset({"merged"})
    establishes = frozenset({"handle-tables"})
    before = ("adapter-wiring",)

    def run(self, module: Module, cx: PassContext) -> None:
        numbers = type_numbers(module)
        instances = dict.fromkeys(_holders(module))
        # handles go from table to table, so there are all of them or none
        if not instances or not cx.allows("handle tables"):
            return
        tables = Tables.of(module)
        for instance in instances:
            tables.record(instance)
        new: dict[Any, Any] = {}
        destructors: dict[Resource, Function] = {}
        for item in [*module.imports]:
            for n in item.notes:
                resource = resource_of(n)
                if resource is None:
                    continue
                assert isinstance(item, Function) and isinstance(n, CanonCall)
                if resource.rep != "i32":
                    raise MeldError(
                        f"resource `{resource.label}` is represented by {resource.rep}; only i32 can be fused"
                    )
                if resource.dtor is not None and n.builtin == "resource.drop" and resource not in destructors:
                    destructors[resource] = _destructor(module, resource)
                key = (tables.record(n.instance), numbers[resource])
                new[item] = _builtin(item, n, key, tables.functions, resource, destructors.get(resource))
        for export in module.notes_of(ResourceExport):
            if export.drop is not None:
                if export.resource not in destructors:
                    destructors[export.resource] = _destructor(module, export.resource)
                _redirect(export.drop, export.resource.dtor, destructors[export.resource])
        module.functions += new.values()
        module.replace_uses(new)
        rebind_notes(module, new)
        module.imports = [item for item in module.imports if item not in new]
        cx.stats["handle tables"] = len(instances)
        cx.stats["resource built-ins"] = len(new)


def _holders(module: Module) -> Iterator[Instance]:
    """The instances that have handles of resources."""
    for _, n in module.noted(Note):
        match n:
            case CanonCall() if resource_of(n) is not None:
                yield n.instance
            case Boundary() if has_handles(n.type):
                yield n.caller
                yield n.callee
            case Edge():
                yield n.instance
    yield from exporters(module)


def _destructor(module: Module, resource: Resource) -> Function:
    """The function that `resource.drop` calls, and the host if it drops a handle: the destructor, or what calls it.

    One that needs a task stays an import for `emit-tasks`; with tags in the module, exceptions are caught.
    """
    dtor: Function = resource.dtor
    if resource.owner is not None and dtor.note(NeedsTask) is not None:
        name = f"{resource.owner.name}/{resource.label} destructor"
        dtor = own_task(module, resource.owner, dtor, f"destructor of {resource.label}", name)
    if resource.owner is None or not module.space("tags"):
        return dtor
    prefix = f"{resource.owner.name}/{resource.label}"
    return link(module, __package__, "handle_tables_dtor.wat", given={"dtor": dtor}, kind=KIND, prefix=prefix)["dtor"]


def _redirect(function: Function, before: Function, after: Function) -> None:
    """Has a function call another one in place of one that it calls."""
    if after is not before:
        for instruction in function.instructions:
            if instruction.args == (before,):
                instruction.args = (after,)


BUILTINS = {
    "resource.new": "i32.const $record  i32.const $type  local.get 0  i32.const 1  call $handle_add",
    "resource.rep": "i32.const $record  i32.const $type  local.get 0  call $handle_get",
    "resource.drop": "i32.const $record  i32.const $type  local.get 0  call $drop  local.set 1  local.set 0  $destroy",
}
"""Bodies over the functions of the table; `drop` returns the object and whether the handle owned it."""


def _builtin(
    item: Function,
    call: CanonCall,
    key: tuple[int, int],
    functions: dict[str, Function],
    resource: Resource,
    dtor: Function | None,
) -> Function:
    """The function in place of a built-in. It keeps the note, for later passes.

    `key`: the address of the instance's record, and the type number of the resource.
    """
    if call.builtin not in BUILTINS:
        raise MeldError(f"the canonical built-in `{call.builtin}` of `{call.instance.name}` cannot be fused yet")
    record, number = key
    names: dict[str, Any] = {**functions, "record": record, "type": number, "destroy": _destroy(resource, dtor)}
    locals_: list[ValType] = [I32] if call.builtin == "resource.drop" else []
    body = Code(locals_, code(BUILTINS[call.builtin], **names))
    return Function(item.type, body, name=item.name, owner=call.instance, synthetic=KIND, notes=list(item.notes))


def _destroy(resource: Resource, dtor: Function | None) -> list[Instruction]:
    """Runs the destructor if the handle owned the object; local 0 is the object, local 1 says whether.

    The destructor of a resource of the host is also called for a handle that the host has lent.
    """
    if dtor is None:
        return []
    owned = "" if resource.owner is None else "i32.const 1  i32.and"
    return code(f"local.get 1  {owned}  if  local.get 0  call $dtor  end", dtor=dtor)
