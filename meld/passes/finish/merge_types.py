"""Merging of equal type definitions.

Two recursion groups are equal if they have the same shape once references inside the group are taken by position and
references to earlier groups by what those are equal to (WebAssembly 3.0, 3.2, iso-recursive types).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from meld.ir.instructions import Code, Instruction
from meld.ir.module import Function, Global, Memory, Module, Table, Tag
from meld.ir.types import ArrayType, ContType, FieldType, FuncType, RecGroup, RefType, StructType, TypeDef

Map = Callable[[TypeDef], Any]


def merge_types(module: Module) -> int:
    """Replaces equal definitions by the first; returns how many were dropped."""
    first: dict[Any, RecGroup] = {}
    new: dict[TypeDef, TypeDef] = {}
    kept: list[RecGroup] = []
    for group in module.types:
        inside = {typedef: i for i, typedef in enumerate(group.types)}

        def ident(typedef: TypeDef, inside: dict[TypeDef, int] = inside) -> Any:
            return inside[typedef] if typedef in inside else new.get(typedef, typedef)

        key = tuple(
            (type(t.shape).__name__, _map_shape(t.shape, ident), t.final, tuple(map(ident, t.supers)))
            for t in group.types
        )
        same = first.setdefault(key, group)
        if same is group:
            kept.append(group)
        else:
            new.update(zip(group.types, same.types, strict=True))
    if new:
        module.types = kept
        _replace_types(module, new)
    return len(new)


def _map_value(t: Any, f: Map) -> Any:
    if isinstance(t, RefType) and isinstance(t.heap, TypeDef):
        return RefType(t.nullable, f(t.heap))
    return t


def _map_shape(shape: Any, f: Map) -> Any:
    match shape:
        case FuncType(params, results):
            return FuncType(tuple(_map_value(t, f) for t in params), tuple(_map_value(t, f) for t in results))
        case StructType(fields):
            return StructType(tuple(FieldType(_map_value(x.storage, f), x.mutable) for x in fields))
        case ArrayType(element):
            return ArrayType(FieldType(_map_value(element.storage, f), element.mutable))
        case ContType(function):
            return ContType(f(function))
    raise TypeError(f"unknown type shape {shape!r}")


def _replace_types(module: Module, new: dict[TypeDef, TypeDef]) -> None:
    def f(typedef: TypeDef) -> TypeDef:
        return new.get(typedef, typedef)

    def argument(arg: Any) -> Any:
        match arg:
            case TypeDef():
                return f(arg)
            case RefType():
                return _map_value(arg, f)
            case tuple():
                return tuple(map(argument, arg))
            case _:
                return arg

    def expression(code: list[Instruction] | None) -> None:
        for i, instruction in enumerate(code or ()):
            args = tuple(map(argument, instruction.args))
            if args != instruction.args:
                assert code is not None
                code[i] = replace(instruction, args=args)

    for typedef in module.typedefs():
        typedef.shape = _map_shape(typedef.shape, f)
        typedef.supers = tuple(map(f, typedef.supers))
    scopes = {id(scope): scope for scope in module.scopes}
    for item in module.items():
        match item:
            case Function(body=body):
                item.type = f(item.type)
                if isinstance(body, Code):
                    body.locals = [argument(t) for t in body.locals]
                    expression(body.instructions)
                elif body is not None:
                    scopes[id(body.scope)] = body.scope
            case Tag():
                item.type = f(item.type)
            case Table() | Global():
                item.type = argument(item.type)
            case Memory():
                pass
    for scope in scopes.values():
        scope.types = [f(t) for t in scope.types]
    for segment in module.elements:
        segment.type = argument(segment.type)
    for code in module.constants():
        expression(code)
