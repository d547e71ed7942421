"""Types of core items for people: ``(i32, i64) -> (i32)``, ``memory 1..4``."""

from __future__ import annotations

from meld.ir.module import CoreItem, Function, Global, Memory, Table, Tag
from meld.ir.types import AbstractHeap, FuncType, Limits, NumType, RefType, TypeDef, ValType


def type_name(t: ValType) -> str:
    """A value type; references by the name of what they refer to."""
    match t:
        case NumType():
            return t.value
        case RefType(nullable, AbstractHeap(value=name)):
            return f"(ref {'null ' * nullable}{name})"
        case RefType(nullable, TypeDef(name=name)):
            return f"(ref {'null ' * nullable}{f'${name}' if name else '…'})"
    raise TypeError(f"unknown type {t!r}")


def signature(t: FuncType) -> str:
    """``(i32, i32) -> (i32)``."""
    return f"({', '.join(map(type_name, t.params))}) -> ({', '.join(map(type_name, t.results))})"


def limits(one: Limits) -> str:
    """``1..4``, ``1..``, with ``i64`` and ``shared`` where they apply."""
    text = f"{one.minimum}..{'' if one.maximum is None else one.maximum}"
    page = f" pages of {1 << one.page_size_log2}" if one.page_size_log2 is not None else ""
    return f"{'i64 ' * one.is64}{text}{page}{' shared' * one.shared}"


def item_type(item: CoreItem) -> str:
    """The type of an item."""
    match item:
        case Function():
            return signature(item.signature)
        case Memory():
            return limits(item.limits)
        case Table():
            return f"{limits(item.limits)} {type_name(item.type)}"
        case Global():
            return f"{'mut ' * item.mutable}{type_name(item.type)}"
        case Tag():
            assert isinstance(item.type.shape, FuncType)
            return signature(item.type.shape)
