"""Constant expressions: their values, their folding, and segments that are in bounds for any host.

A module may read an imported immutable global in a constant expression; core WebAssembly 2.0 forbids it for a global
that the module defines. Merging turns the first into the second, so `fold` puts the value in the place of the global.

Source: WebAssembly Core Specification 3.0, "Constant Expressions", "Instantiation".
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from meld.ir.instructions import Instruction
from meld.ir.module import DataSegment, ElementSegment, Global, Memory, Module, Table
from meld.ir.types import I32, I64

CONSTANTS = frozenset({"i32.const", "i64.const", "f32.const", "f64.const", "v128.const", "ref.null", "ref.func"})
ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
}
EXTENDED = frozenset(f"{width}.{op}" for width in ("i32", "i64") for op in ARITHMETIC)


LONGEST = 8
"""Instructions that may stand for one read of a global. What is longer is read, so that expressions cannot explode."""

DEEPEST = 64
"""Globals that are followed, each read by the one before."""


def fold(module: Module) -> None:
    """Replace each read of an immutable global of the module, in a constant expression, by what initialises it.

    Sums and products of numbers become numbers, which engines without extended constant expressions take too.
    Initialisers that make an object (`struct.new`, …) stay where they are: each copy would be an object of its own.
    """
    folded: dict[Global, list[Instruction] | None] = {}

    def expression(instructions: list[Instruction]) -> list[Instruction]:
        out: list[Instruction] = []
        for i in instructions:
            if i.op == "global.get" and i.args[0] not in folded:
                folded[i.args[0]] = _value(i.args[0])
            value = folded[i.args[0]] if i.op == "global.get" else None
            out += [i] if value is None else value
        number = integer(out) if len(out) > 1 else None
        return out if number is None else [constant(number, is64=out[-1].op.startswith("i64"))]

    for item in module.globals:  # each reads only those before it
        if item.init is not None:
            item.init = expression(item.init)
    for table in module.tables:
        if table.init is not None:
            table.init = expression(table.init)
    for element in module.elements:
        if element.offset is not None:
            element.offset = expression(element.offset)
        if element.expressions is not None:
            element.expressions = [expression(entry) for entry in element.expressions]
    for data in module.datas:
        if data.offset is not None:
            data.offset = expression(data.offset)


def _value(item: Global) -> list[Instruction] | None:
    """The instructions that may stand for a global in a constant expression; None if it has to be read."""
    if item.mutable or item.init is None:
        return None
    number = integer(item.init)
    if number is not None and item.type in (I32, I64):
        return [constant(number, is64=item.type == I64)]
    plain = all(i.op in CONSTANTS or i.op in EXTENDED or i.op == "global.get" for i in item.init)
    return item.init if plain and len(item.init) <= LONGEST else None


def constant(value: int, *, is64: bool) -> Instruction:
    """The instruction for an integer, given unsigned."""
    bits = 64 if is64 else 32
    return Instruction(f"i{bits}.const", (value - (1 << bits) * (value >> bits - 1),))


def integer(instructions: list[Instruction], depth: int = DEEPEST) -> int | None:
    """The value of an integer constant expression, unsigned; None if only instantiation tells."""
    stack: list[int] = []
    for i in instructions:
        prefix, _, op = i.op.partition(".")
        if i.op == "global.get":
            (item,) = i.args
            if item.mutable or item.init is None or not depth:
                return None
            if len(item.init) > 1 and any(one.op == "global.get" for one in item.init):
                return None  # each read could double the work
            value = integer(item.init, depth - 1)
            if value is None:
                return None
            stack.append(value)
        elif i.op in ("i32.const", "i64.const"):
            stack.append(i.args[0] % (1 << int(prefix[1:])))
        elif i.op in EXTENDED and len(stack) > 1:
            right, left = stack.pop(), stack.pop()
            stack.append(ARITHMETIC[op](left, right) % (1 << int(prefix[1:])))
        else:
            return None
    return stack[0] if len(stack) == 1 else None


def is_in_bounds(segment: DataSegment | ElementSegment) -> bool:
    """Whether an active segment fits into its memory or table as it is at first, so that it cannot trap."""
    start = integer(segment.offset or [])
    if start is None:
        return False
    if isinstance(segment, DataSegment):
        memory: Memory | None = segment.memory
        assert memory is not None
        page = 1 << (16 if memory.limits.page_size_log2 is None else memory.limits.page_size_log2)
        return start + len(segment.data) <= memory.limits.minimum * page
    table: Table | None = segment.table
    assert table is not None
    return start + len(segment.entries) <= table.limits.minimum
