"""Which instruction stands at an offset that the engine names."""

from __future__ import annotations

from meld.binary.encode import Encoder
from meld.ir.module import Function, Module
from meld.ir.numbering import Numbering


def instruction_at(module: Module, function: Function, offset: int) -> int | None:
    """The number of the instruction at an offset of a body as our writer encodes it; None for the locals and the final
    `end`."""
    encoder = Encoder(Numbering(module))
    code = function.view()
    position = len(encoder.body(code)) - len(encoder.expression(code.instructions))
    for number, instruction in enumerate(code.instructions):
        size = len(encoder.instruction(instruction))
        if position <= offset < position + size:
            return number
        position += size
    return None
