"""Copying of definitions from one component into another, with what they refer to."""

from __future__ import annotations

from dataclasses import field, fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from meld.diagnostics import MeldError
from meld.ir.component import (
    Component,
    ComponentType,
    Definition,
    ExportDecl,
    Import,
    InstanceType,
    ModuleType,
    OuterAlias,
    Part,
    TypeDefinition,
)
from meld.ir.module import Module
from meld.ir.types import RecGroup, TypeDef
from meld.rewriting.type_parts import outside
from meld.support.records import record

T = TypeVar("T")


@record()
class Copier:
    """Copies definitions to the end of a sequence. `map`: what was copied already → its copy."""

    into: list[Definition]
    map: dict[Definition, Definition] = field(default_factory=dict)

    def copy_import(self, item: Import) -> Import:
        """Copies an import and the definitions that its type refers to, those first."""
        copy = self.copy(item)
        assert isinstance(copy, Import)
        return copy

    def copy_type(self, declared: T) -> T:
        """The type of an import or export, over the copies of what it refers to."""
        copy: T = self._part(declared)
        return copy

    def copy(self, item: Definition) -> Definition:
        """The copy of a definition, made if it was not there yet."""
        if item in self.map:
            return self.map[item]
        if isinstance(item, OuterAlias) and isinstance(self.map, _Chain):
            self._declare(item)
            return self.map[item]
        made: Definition = replace(item, **{f.name: self._part(getattr(item, f.name)) for f in fields(item)})
        self.map[item] = made
        self.into.append(made)
        return made

    def _part(self, value: Any) -> Any:
        match value:
            case Definition():
                return self.copy(value)
            case Module() | Component() | RecGroup() | TypeDef() | Enum():
                return value
            case list():
                return [self._part(x) for x in value]
            case tuple():
                return tuple(self._part(x) for x in value)
            case InstanceType() | ComponentType() | ModuleType():
                return self._nested(value)
            case Part():
                assert is_dataclass(value)
                return replace(value, **{f.name: self._part(getattr(value, f.name)) for f in fields(value)})
            case _:
                return value

    def _nested(self, value: Any) -> Any:
        """A type with declarations of its own: they are copied into it, what they reach outside into `into`."""
        made = type(value)()
        inner = Copier(made.decls, _Chain(self.map, self))
        for decl in value.decls:
            made.decls.append(inner._part(decl)) if not isinstance(decl, Definition) else inner._declare(decl)
        return made

    def _declare(self, decl: Definition) -> None:
        if isinstance(decl, OuterAlias) and isinstance(self.map, _Chain):
            target = self.map.outer.copy(decl.target)
            copy: Definition = OuterAlias(target, decl.depth, decl.of, name=decl.name)
            self.map[decl] = copy
            self.into.append(copy)
        else:
            self.copy(decl)

    def unify(self, have: Import, other: Import, label: str) -> None:
        """Makes an import serve a second importer: instance types are joined, other types must have the same shape.

        What is added to the import may refer to definitions that come after it: see `in_order`.

        Raises:
            MeldError: the two cannot be one import.
        """
        if have.type.sort is not other.type.sort:
            raise MeldError(f"two inputs import `{label}` as different sorts of things")
        a, b = have.type.type, other.type.type
        if not (isinstance(a, TypeDefinition) and isinstance(b, TypeDefinition)):
            return
        if not (isinstance(a.type, InstanceType) and isinstance(b.type, InstanceType)):
            return
        present = {str(d.extern): d for d in a.type.decls if isinstance(d, ExportDecl)}
        inner = Copier(a.type.decls, _Chain(self.map, self))
        for decl in b.type.decls:
            if isinstance(decl, ExportDecl):
                if str(decl.extern) in present:
                    inner.map[decl] = present[str(decl.extern)]
                else:
                    inner.copy(decl)  # with what it needs, and no more


def in_order(definitions: list[Definition]) -> list[Definition]:
    """The same definitions, each after those that it refers to; otherwise in the order that they have.

    Raises:
        MeldError: some refer to each other in a circle.
    """
    out: dict[Definition, None] = {}
    entered: set[Definition] = set()
    here = set(definitions)
    for item in definitions:
        pending = [item]
        while pending:
            one = pending[-1]
            if one in out:
                pending.pop()
                continue
            missing = [d for d in dict.fromkeys(outside(one)) if d in here and d not in out]
            if not missing:
                out[one] = None
                pending.pop()
            elif one in entered:
                raise MeldError("imports refer to each other's types in a circle")
            else:
                entered.add(one)
                pending += reversed(missing)
    return list(out)


class _Chain(dict[Definition, Definition]):
    """A map of declarations inside a type that falls back on that of the enclosing component."""

    def __init__(self, base: dict[Definition, Definition], outer: Copier) -> None:
        super().__init__()
        self.base = base
        self.outer = outer

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self.base

    def __missing__(self, key: Definition) -> Definition:
        return self.base[key]
