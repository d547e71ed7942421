"""Memories and tables by how much code uses them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

from meld.binary.bodies import EncodedBody
from meld.ir.module import Function, Memory, Module, Table
from meld.rewriting.liveness import body_uses

_Item = TypeVar("_Item", Memory, Table)

PER_INSTRUCTION = 3
"""Bytes of an instruction, roughly: the size of a body that is not encoded."""


def order_by_use(module: Module) -> None:
    """Put the memory that most code uses first, and the table; the others keep their order.

    An access to memory 0 is a byte shorter, and engines know its base best.
    """
    uses = code_by_use(module)
    _first(module.memories, uses)
    _first(module.tables, uses)


def code_by_use(module: Module) -> Mapping[Memory | Table, int]:
    """The size of the functions that use each memory and table, in bytes, roughly."""
    found: Counter[Memory | Table] = Counter()
    if len(module.memories) < 2 and len(module.tables) < 2:
        return found
    for function in module.functions:
        size = _size(function)
        for item in dict.fromkeys(body_uses(function)):
            if isinstance(item, Memory | Table):
                found[item] += size
    return found


def _size(function: Function) -> int:
    body = function.body
    return body.size if isinstance(body, EncodedBody) else PER_INSTRUCTION * len(function.view().instructions)


def _first(items: list[_Item], uses: Mapping[Memory | Table, int]) -> None:
    if items:
        heaviest = max(items, key=lambda item: uses.get(item, 0))
        items.remove(heaviest)
        items.insert(0, heaviest)
