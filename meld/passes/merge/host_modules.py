"""Instances of core modules that the host provides: what they export becomes imports of the fused module.

They are made in front of the fused module, so they can take what other such instances export, and nothing else, and no
start function of the program may run before.
"""

from __future__ import annotations

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import CoreItem, Function, Global, ImportName, Memory, Module, Table, Tag
from meld.ir.notes import Instance
from meld.ir.types import FuncType, Limits, RecGroup, RefType, TypeDef
from meld.notes.host_modules import MODULE, Given, HostModule, HostModuleExport
from meld.passes.merge.module_types import mentioned, module_type
from meld.passes.merge.start import Instantiation
from meld.passes.merge.values import CoreInstanceValue, ModuleValue

HINT = "compose it unfused, or give the module what it needs by instances of core modules that the host provides"


def instantiate(
    value: ModuleValue,
    args: dict[str, CoreInstanceValue],
    module: Module,
    owner: Instance,
    events: list[Instantiation],
    where: str,
) -> CoreInstanceValue:
    """An instance of a core module of the host. Adds its note, and its exports as imports, to the fused module.

    Raises:
        MeldError: it cannot be there before the fused module is.
    """
    assert value.place is not None
    declared = module_type(value)
    _check_order(value, events, where)
    given = []
    for decl in declared.decls:
        match decl:
            case (str(of), str(name), c.CoreExternType(kind=kind)):
                item = args[of].exports[name] if of in args and name in args[of].exports else None
                source = None if item is None else item.note(HostModuleExport)
                if source is None:
                    raise MeldError(
                        f"a core module that the host provides ({value.where}) imports `{of}` `{name}` from the "
                        "program, which is there only after it",
                        where=where,
                        hint=HINT,
                    )
                given.append(Given(kind, of, name, source.instance, source.label))
    number = len(module.notes_of(HostModule)) + 1
    name = f"host-module-{number}"
    instance = HostModule(value.place.module, value.place.field, tuple(given), name=name)
    module.notes.append(instance)
    types = _types(declared, module)
    exports: dict[str, CoreItem] = {}
    for decl in declared.decls:
        match decl:
            case (str(label), c.CoreExternType() as extern):
                item = _item(extern, types)
                item.name, item.owner = f"{name}/{label}", owner
                item.imported = ImportName(MODULE, f"{number} {label}")
                item.notes.append(HostModuleExport(instance, label))
                module.add(item)
                exports[label] = item
    return CoreInstanceValue(exports)


def _check_order(value: ModuleValue, events: list[Instantiation], where: str) -> None:
    for event in events:
        targets = [data.memory for data in event.spliced.datas] + [element.table for element in event.spliced.elements]
        if event.spliced.start or any(target is not None and target.note(HostModuleExport) for target in targets):
            raise MeldError(
                f"a core module that the host provides ({value.where}) is instantiated after one of the program that "
                "has a start function, or writes into another one of the host; fused, it would be before",
                where=where,
                hint="instantiate it first",
            )


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
