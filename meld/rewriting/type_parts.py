"""The definitions that component types, and definitions, refer to: found, and replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

from meld.ir import component as c
from meld.ir.component import Definition

T = TypeVar("T")


def referred(t: object) -> Iterator[Definition]:
    """The definitions that a value type, function type or extern type refers to directly, in order."""
    match t:
        case Definition():
            yield t
        case tuple():
            for part in t:
                yield from referred(part)
        case _ if is_dataclass(t):
            for f in fields(t):
                yield from referred(getattr(t, f.name))


def with_referred(t: T, new: Callable[[Definition], Definition]) -> T:
    """The same type over other definitions."""
    match t:
        case Definition():
            return new(t)  # type: ignore[return-value]
        case tuple():
            return tuple(with_referred(part, new) for part in t)  # type: ignore[return-value]
        case _ if is_dataclass(t) and not isinstance(t, type):
            return replace(t, **{f.name: with_referred(getattr(t, f.name), new) for f in fields(t)})
    return t


def outside(item: object) -> list[Definition]:
    """The definitions that a top-level definition refers to; a type with declarations does so by outer aliases."""
    found: list[Definition] = []
    pending: list[object] = [item]
    while pending:
        one = pending.pop()
        match one:
            case c.InstanceType(decls) | c.ComponentType(decls):
                pending += decls
            case c.CoreType(type=c.ModuleType(decls)):
                pending += [decl for decl in decls if isinstance(decl, c.OuterAlias)]
            case c.OuterAlias(target=target):
                found.append(target)
            case c.TypeDefinition(type=c.InstanceType() | c.ComponentType() as nested):
                pending.append(nested)
            case c.ExportAlias(instance=instance):
                found.append(instance)
            case c.Import(type=declared) | c.ExportDecl(type=declared):
                found += referred(declared)
            case c.TypeDefinition(type=t):
                found += referred(t)
            case c.ComponentInstance(component=component, args=args):
                found += [component, *(given for _, given in args)]
            case c.Export(target=target, type=ascribed):
                found += [target, *referred(ascribed)]
            case _:
                pass
    return found
