"""Limits on the growth of a composition while it is evaluated, relative to its size.

A composition is a program that makes instances: a few definitions that use each other twice ask for exponentially many
instances, copies of code and data, imports, exports and types. What an input holds itself is always allowed; what it
asks for over and over is counted here, and refused before it fills the memory.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from meld.diagnostics import MeldError
from meld.ir.instructions import Code
from meld.ir.module import Module
from meld.rewriting.splice import DEFINED
from meld.support.records import record


class Kind(Enum):
    """The counted quantities, in words for messages."""

    INSTANCES = "instances"
    DEFINITIONS = "definitions, those of a component once for each of its instances"
    ITEMS = "copies of functions and other items of core modules"
    BYTES = "bytes of copies of code, data and names"
    HOST = "imports and exports of the host"
    PARTS = "parts of the types of its functions, written out"


FLOORS: dict[Kind, int] = {
    Kind.INSTANCES: 2_000,
    Kind.DEFINITIONS: 400_000,
    Kind.ITEMS: 100_000,
    Kind.BYTES: 1 << 26,
    Kind.HOST: 40_000,
    Kind.PARTS: 1_000_000,
}
"""The amount that any program may use, however small it is."""

FACTOR = 4
"""A program may use this many times its own size beyond that."""


@record()
class Budget:
    """Counts what evaluation makes. `own` is what the inputs hold, each thing once."""

    own: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    spent: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))

    def earn(self, kind: Kind, amount: int) -> None:
        """The inputs hold so much of a kind."""
        self.own[kind] += amount

    def spend(self, kind: Kind, amount: int = 1) -> None:
        """The composition asks for so much more. Raises MeldError if that is too much."""
        self.spent[kind] += amount
        limit = FLOORS[kind] + FACTOR * self.own[kind]
        if self.spent[kind] > limit:
            raise MeldError(
                f"the composition makes more than {limit} {kind.value}",
                hint="a small input may ask for as much by instantiating components inside each other; "
                "fuse fewer of them at a time",
            )


def weight_of(module: Module) -> tuple[int, int]:
    """The items that a core module defines, exports and lists in segments; its bytes of code, data and names."""
    items, size = len(module.exports), 0
    for space in DEFINED:
        for item in getattr(module, space):
            items += 1
            size += len(item.name) if item.name else 0
    for function in module.functions:
        body = function.body
        size += 4 * len(body.instructions) if isinstance(body, Code) else body.size if body is not None else 0
    for element in module.elements:
        items += len(element.functions or element.expressions or ())
    return items, size + sum(len(data.data) for data in module.datas)
