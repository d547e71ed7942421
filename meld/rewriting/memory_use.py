"""Memories and tables by how many functions use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from meld.ir.module import Memory, Module, Table
from meld.rewriting.liveness import users_of

_Item = TypeVar("_Item", Memory, Table)


def order_by_use(module: Module) -> None:
    """Put the memory that most functions use first, and the table; the others keep their order.

    An access to memory 0 is a byte shorter, and engines know its base best.
    """
    uses = functions_by_use(module)
    _first(module.memories, uses)
    _first(module.tables, uses)


def functions_by_use(module: Module) -> Mapping[Memory | Table, int]:
    """The number of functions that use each memory and table: the same whether bodies are bytes, text or decoded."""
    items: list[Memory | Table] = [*module.memories, *module.tables]
    several = len(module.memories) > 1 or len(module.tables) > 1
    return {item: len(users) for item, users in users_of(module, items if several else ()).items()}


def _first(items: list[_Item], uses: Mapping[Memory | Table, int]) -> None:
    if items:
        heaviest = max(items, key=lambda item: uses.get(item, 0))
        items.remove(heaviest)
        items.insert(0, heaviest)
