"""Types of core modules that a program imports or exports, in terms of nothing outside of them.

Source: Component Model, Explainer.md (Core Definitions: module types).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from meld.ir import component as c
from meld.ir.module import KEYWORD_OF, CoreItem, Global, Memory, Module, Table
from meld.ir.types import ArrayType, ContType, FieldType, FuncType, RecGroup, RefType, StructType, TypeDef
from meld.passes.merge.values import Env, ModuleValue


def module_type(value: ModuleValue) -> c.ModuleType:
    """The type of a core module: as it was declared, or what the module imports and exports."""
    if value.declared is not None and value.declared.env is not None:
        return declared_type(value.declared.type, value.declared.env)
    return c.ModuleType() if value.module is None else _type_of(value.module)


def declared_type(declared: c.ModuleType, env: Env) -> c.ModuleType:
    """A module type with the core types of components around it in place of aliases of them."""
    entries: list[Any] = [decl for decl in declared.decls if isinstance(decl, tuple)]
    own = [decl for decl in declared.decls if isinstance(decl, RecGroup)]
    return c.ModuleType([*_needed([*_groups_around(env), *own], (entry[-1] for entry in entries)), *entries])


def _groups_around(env: Env | None) -> list[RecGroup]:
    found: list[RecGroup] = []
    while env is not None:
        types = [item for item in env.values if isinstance(item, c.CoreType) and isinstance(item.type, TypeDef)]
        groups = dict.fromkeys(item.group or RecGroup([item.type]) for item in types)  # type: ignore[list-item]
        found = [*groups, *found]
        env = env.parent
    return found


def _type_of(module: Module) -> c.ModuleType:
    entries: list[Any] = [
        (item.imported.module, item.imported.field, _extern(item)) for item in module.imports if item.imported
    ]
    entries += [(export.name, _extern(export.item)) for export in module.exports]
    return c.ModuleType([*_needed(module.types, (entry[-1] for entry in entries)), *entries])


def _extern(item: CoreItem) -> c.CoreExternType:
    kind = KEYWORD_OF[type(item)]
    match item:
        case Memory(limits=limits):
            return c.CoreExternType(kind, limits)
        case Table(type=of, limits=limits):
            return c.CoreExternType(kind, of, limits)
        case Global(type=of, mutable=mutable):
            return c.CoreExternType(kind, of, mutable=mutable)
    return c.CoreExternType(kind, item.type)


def _needed(groups: list[RecGroup], used: Iterable[c.CoreExternType]) -> list[RecGroup]:
    """The recursion groups, each after those that it refers to, that some types use; they keep their order."""
    wanted = {typedef for extern in used for typedef in mentioned(extern.type)}
    found: list[RecGroup] = []
    for group in reversed(groups):
        if not wanted.isdisjoint(group.types):
            found.append(group)
            wanted.update(inner for t in group.types for part in (t.shape, *t.supers) for inner in mentioned(part))
    return found[::-1]


def mentioned(part: Any) -> Iterator[TypeDef]:
    """The type definitions that a type names."""
    match part:
        case TypeDef():
            yield part
        case RefType(heap=TypeDef() as heap):
            yield heap
        case FuncType(params, results):
            for t in (*params, *results):
                yield from mentioned(t)
        case StructType(fields):
            for one in fields:
                yield from mentioned(one.storage)
        case ArrayType(FieldType(storage=storage)):
            yield from mentioned(storage)
        case ContType(function):
            yield function
