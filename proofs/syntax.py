"""Flat instructions as a tree: blocks hold what stands between them and their `end`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from meld.ir.instructions import Instruction
from meld.ir.types import NumType


@dataclass(slots=True)
class Block:
    """`block`, `loop` or `if` with so many results and no parameters. Only an `if` has an `otherwise`."""

    kind: str
    results: int
    body: list[Node]
    otherwise: list[Node]


Node: TypeAlias = Instruction | Block


def nest(instructions: list[Instruction]) -> list[Node]:
    """The tree of a body. ValueError for a block with a function type, or one of another kind."""
    top: list[Node] = []
    inner: list[tuple[Block, list[Node]]] = []  # open blocks, each with the list that it stands in
    here = top
    for instruction in instructions:
        match instruction.op, instruction.args:
            case ("block" | "loop" | "if") as kind, (None | NumType() as result,):
                block = Block(kind, 0 if result is None else 1, [], [])
                here.append(block)
                inner.append((block, here))
                here = block.body
            case "else", _:
                here = inner[-1][0].otherwise
            case "end", _:
                _, here = inner.pop()
            case ("block" | "loop" | "if" | "try" | "try_table") as kind, args:
                raise ValueError(f"{kind} {args}")
            case _:
                here.append(instruction)
    return top
