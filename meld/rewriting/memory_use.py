"""Memories and tables by how many functions use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

from meld.ir.module import Memory, Module, Table
from meld.rewriting.liveness import body_uses

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
    found: Counter[Memory | Table] = Counter()
    if len(module.memories) < 2 and len(module.tables) < 2:
        return found
    for function in module.functions:
        for item in dict.fromkeys(body_uses(function)):
            if isinstance(item, Memory | Table):
                found[item] += 1
    return found


def _first(items: list[_Item], uses: Mapping[Memory | Table, int]) -> None:
    if items:
        heaviest = max(items, key=lambda item: uses.get(item, 0))
        items.remove(heaviest)
        items.insert(0, heaviest)
