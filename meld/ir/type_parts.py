"""The definitions that a component type refers to: found, and replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

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
