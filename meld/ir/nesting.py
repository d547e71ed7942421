"""The nesting of blocks in a list of instructions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meld.ir.instructions import Instruction
from meld.ir.module import CLOSING, LABELLED

DIVIDING = {"else": {"if"}, "catch": {"try", "catch"}, "catch_all": {"try", "catch"}}
"""What may stand in the middle of a block, and behind what."""


def follow(name: str, number: int, blocks: list[tuple[int, str]]) -> str | None:
    """Takes an instruction into the blocks that are open; says what is wrong with it.

    Args:
        number: of the instruction.
        blocks: of each open block the number of its first instruction, and what divides it last.
    """
    if name in LABELLED:
        blocks.append((number, name))
    elif name in DIVIDING:
        if not blocks or blocks[-1][1] not in DIVIDING[name]:
            return f"`{name}` stands in no block that could have it"
        blocks[-1] = (blocks[-1][0], name)
    elif name in CLOSING:
        if not blocks or (name == "delegate" and blocks[-1][1] != "try"):
            return f"`{name}` closes nothing"
        blocks.pop()
    return None


def misnested(instructions: Iterable[Instruction]) -> Iterator[tuple[int, str]]:
    """The instructions that stand where they cannot, each with what is wrong."""
    blocks: list[tuple[int, str]] = []
    for number, instruction in enumerate(instructions):
        wrong = follow(instruction.op, number, blocks)
        if wrong is not None:
            yield number, wrong
