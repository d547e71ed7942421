"""Handles that live outside of the module, lent from one component to another: the borrower drops the loan only.

A handle of the host, or of a resource that the wrapper keeps, is the same number in every instance. An instance that is
lent one has to drop it before its call ends, and that must not drop what the lender still owns. So the loans of each
such instance are counted inside the module.

Source: Component Model, CanonicalABI.md (lower_borrow, canon_resource_drop, and the end of a call).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meld.abi.types import Resource
from meld.ir.instructions import Code, Instruction
from meld.ir.module import CoreItem, Function, Module
from meld.ir.notes import Instance, Note
from meld.notes.boundaries import Boundary, CanonCall, HostCall, resource_of
from meld.notes.handles import HostLoans, lent
from meld.rewriting.rebind import rebind_notes

DROP = "[resource-drop]"
"""What the name of an import of the host begins with that drops handles (`meld.passes.merge.evaluate`)."""


def borrowers(module: Module) -> Iterator[Instance]:
    """The instances that are lent such handles."""
    for item in module.imports:
        for n in item.notes:
            if isinstance(n, Boundary) and lent(n):
                yield n.callee


def count_loans(module: Module, numbers: Mapping[Resource, int], loans: Mapping[Instance, HostLoans]) -> None:
    """Has the borrowers drop their loans, and what they own outside."""
    new: dict[CoreItem, CoreItem] = {}
    for item in module.imports:
        for n in item.notes:
            resource, instance = _dropped(n)
            if resource is not None and instance is not None and instance in loans and isinstance(item, Function):
                new[item] = _drop(item, numbers[resource], loans[instance])
    made = {id(function) for function in new.values()}
    module.functions += [function for function in new.values() if isinstance(function, Function)]
    module.replace_uses(new, unless=lambda item: id(item) in made)
    rebind_notes(module, new)


def _dropped(n: Note) -> tuple[Resource | None, Instance | None]:
    """The resource, living outside, of which an import drops handles, and for whom."""
    if isinstance(n, HostCall) and n.label.startswith(DROP):
        resource = getattr(n.type.params[0][1], "resource", None)
        return (resource, n.instance) if isinstance(resource, Resource) else (None, None)
    if isinstance(n, CanonCall) and n.builtin == "resource.drop":
        resource = resource_of(n)
        return (resource, n.instance) if resource is not None and not resource.is_inside else (None, None)
    return None, None


def _drop(outside: Function, number: int, loans: HostLoans) -> Function:
    code = [
        Instruction("i32.const", (number,)),
        Instruction("local.get", (0,)),
        Instruction("call", (loans.give_back,)),
        Instruction("i32.eqz"),
        Instruction("if", (None,)),
        Instruction("local.get", (0,)),
        Instruction("call", (outside,)),
        Instruction("end"),
    ]
    name = f"{outside.name}.returned" if outside.name else None
    return Function(outside.type, Code([], code), name=name, owner=loans.instance, synthetic="handle-table")
