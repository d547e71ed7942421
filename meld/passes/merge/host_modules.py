"""Instances of core modules that the host provides: what they export becomes imports of the fused module.

They are made in front of the fused module if they can be: with what others in front export and with constants of the
program, and while nothing that could be seen has happened. Others are made behind it, in their order; the fused module
gets their functions by way of a table, as `wit-component` does it, and no other item of theirs. What the program does
behind such an instance waits for it (`meld.passes.merge.start`).
"""

from __future__ import annotations

from collections.abc import Sequence

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.instructions import Code, Instruction
from meld.ir.module import KEYWORD_OF, CoreItem, Export, Function, Global, ImportName, Memory, Module, Table, Tag
from meld.ir.notes import Instance
from meld.ir.types import FuncType, Limits, NumType, RecGroup, RefType, TypeDef
from meld.notes.host_modules import MODULE, Given, HostModule, HostModuleExport
from meld.passes.merge.module_types import mentioned, module_type
from meld.passes.merge.start import HostInstantiation, Instantiation
from meld.passes.merge.values import CoreInstanceValue, ModuleValue
from meld.rewriting.constants import CONSTANTS, integer


def instantiate(
    value: ModuleValue,
    args: dict[str, CoreInstanceValue],
    module: Module,
    owner: Instance,
    events: list[Instantiation | HostInstantiation],
    bound: set[CoreItem],
    where: str,
) -> CoreInstanceValue:
    """An instance of a core module of the host.

    Adds its note, its exports as imports, and what it is given as exports to the fused module. Adds an event if it is
    made behind the module. Items that it is given are `bound` then.
    """
    assert value.place is not None
    declared = module_type(value)
    number = len(module.notes_of(HostModule)) + 1
    name = f"host-module-{number}"
    why = _why_late(events)
    given: list[Given] = []
    for decl in declared.decls:
        match decl:
            case (str(of), str(field), c.CoreExternType(kind=kind)):
                item = args[of].exports.get(field) if of in args else None
                if item is None:
                    raise MeldError(f"the core import {ImportName(of, field)} is not given", where=where)
                source = item.note(HostModuleExport)
                if source is not None:
                    given.append(Given(kind, of, field, source.instance, source.label))
                    if source.instance.late:
                        why = why or f"imports `{of}` `{field}` from one that is there only after the program"
                    continue
                bound.add(item)
                label = f"{MODULE}/{number}/{len(given)}"
                module.exports.append(Export(label, _called(item, label, module, owner)))
                given.append(Given(kind, of, field, None, label))
                if not _is_constant(item):
                    why = why or f"imports `{of}` `{field}` from the program, which is there only after it"
    note = HostModule(value.place.module, value.place.field, tuple(given), late=why is not None, name=name)
    module.notes.append(note)
    if why is not None:
        events.append(HostInstantiation(note, f"a core module that the host provides ({value.where}) {why}", where))
    types = _types(declared, module)
    exports: dict[str, CoreItem] = {}
    for decl in declared.decls:
        match decl:
            case (str(label), c.CoreExternType() as extern):
                item = _item(extern, types)
                item.name, item.owner = f"{name}/{label}", owner
                item.imported = ImportName(MODULE, f"{number} {label}")
                item.notes.append(HostModuleExport(note, label))
                module.add(item)
                exports[label] = item
    return CoreInstanceValue(exports)


def check_late(module: Module, events: Sequence[Instantiation | HostInstantiation]) -> None:
    """Refuses what the module takes from instances behind it, but for functions over numbers. Raises MeldError."""
    reasons = {event.note: event for event in events if isinstance(event, HostInstantiation)}
    for item, n in module.noted(HostModuleExport):
        event = reasons.get(n.instance)
        if event is None or (isinstance(item, Function) and _can_stand_in(item.type)):
            continue
        what = "a function over references" if isinstance(item, Function) else f"a {KEYWORD_OF[type(item)]}"
        raise MeldError(
            f"{event.why}, and exports `{n.label}`, {what}, to the program, which is there only after that",
            where=event.where,
            hint="compose it unfused; let the program take functions over numbers from it, or instantiate it first and "
            "with nothing but constants and instances of core modules that the host provides",
        )


def _can_stand_in(t: TypeDef) -> bool:
    """Whether the shim can call functions of a type for the fused module."""
    shape = t.shape
    return (
        _is_plain(t)
        and isinstance(shape, FuncType)
        and all(isinstance(v, NumType) for v in shape.params + shape.results)
    )


def _called(item: CoreItem, label: str, module: Module, owner: Instance) -> CoreItem:
    """What an instance is given for an item. A function is called by one of its own, which nothing else stands for."""
    if not isinstance(item, Function):
        return item
    gets = [Instruction("local.get", (i,)) for i in range(len(item.signature.params))]
    body = Code([], [*gets, Instruction("call", (item,))])
    made = Function(item.type, body, name=label, owner=owner, synthetic="host-module")
    module.functions.append(made)
    return made


def _is_constant(item: CoreItem) -> bool:
    """Whether an item of the program is a number that never changes, which another module can hold as well."""
    if not isinstance(item, Global) or item.mutable or item.init is None or not isinstance(item.type, NumType):
        return False
    plain = len(item.init) == 1 and item.init[0].op in CONSTANTS
    return plain or integer(item.init) is not None


def _why_late(events: Sequence[Instantiation | HostInstantiation]) -> str | None:
    """Why an instance cannot be made in front of the program after what has happened, None if it can."""
    for event in events:
        if isinstance(event, HostInstantiation):
            return "is instantiated after one that is there only after the program"
        if event.spliced.start:
            return "is instantiated after one of the program that has a start function"
        targets = [data.memory for data in event.spliced.datas] + [element.table for element in event.spliced.elements]
        if any(target is not None and target.note(HostModuleExport) for target in targets):
            return "is instantiated after one of the program that writes into another one of the host"
    return None


def _types(declared: c.ModuleType, module: Module) -> dict[TypeDef, TypeDef]:
    """The types of a module type, and what they are in the fused module: plain ones exist once."""
    groups = [decl for decl in declared.decls if isinstance(decl, RecGroup)]
    types = [typedef for group in groups for typedef in group.types]
    if all(len(group.types) == 1 for group in groups) and all(map(_is_plain, types)):
        return {t: module.func_type(t.shape.params, t.shape.results) for t in types if isinstance(t.shape, FuncType)}
    module.types += [group for group in groups if group not in module.types]
    return {typedef: typedef for typedef in types}


def _is_plain(t: TypeDef) -> bool:
    return isinstance(t.shape, FuncType) and t.final and not t.supers and not any(mentioned(t.shape))


def _item(extern: c.CoreExternType, types: dict[TypeDef, TypeDef]) -> CoreItem:
    match extern.kind, extern.type:
        case "func", TypeDef() as typedef:
            return Function(types[typedef])
        case "tag", TypeDef() as typedef:
            return Tag(type=types[typedef])
        case "memory", Limits() as limits:
            return Memory(limits)
        case "table", RefType() as of if extern.limits is not None:
            return Table(of, extern.limits)
        case "global", of if not isinstance(of, TypeDef | Limits):
            return Global(of, extern.mutable)
    raise TypeError(f"unknown type of a core item {extern!r}")
