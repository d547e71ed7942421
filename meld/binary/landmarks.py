"""Where the instructions of an encoded body are: what speaks of places in one speaks of instructions.

A body keeps its instructions when it is fused, but its numbers may take fewer or more bytes.
"""

from __future__ import annotations

from array import array

from meld.binary.leb import read_unsigned
from meld.binary.plans import PLANS, Step
from meld.ir.opcodes import Imm

_NUMBER = frozenset(
    {Imm.FUNC, Imm.TYPE, Imm.TABLE, Imm.MEMORY, Imm.GLOBAL, Imm.TAG, Imm.ELEM, Imm.DATA, Imm.LABEL, Imm.LOCAL}
) | {Imm.FIELD, Imm.COUNT, Imm.I32, Imm.I64, Imm.HEAP}
_BYTES = {Imm.F32: 4, Imm.F64: 8, Imm.V128: 16, Imm.LANES: 16, Imm.LANE: 1, Imm.FENCE: 1}


def landmarks_of(body: bytes | memoryview) -> array[int]:
    """The start of the body, of each instruction, and the end, from its first byte. The body is well-formed."""
    data = bytes(body)
    found = array("I", [0])
    walk = _Walk(data)
    for _ in range(walk.number()):
        walk.number()
        walk.type()
    at, end = walk.at, len(data)
    while at < end:
        found.append(at)
        plan = _PLAIN[data[at]]
        at += 1
        if plan:
            if plan == MEMORY:
                plan = 3 if data[at] & 0x40 else 2
            for _ in range(plan):
                while data[at] > 127:
                    at += 1
                at += 1
        elif plan is None:
            walk.at = at - 1
            walk.instruction()
            at = walk.at
    found.append(end)
    return found


class _Walk:
    """Goes through what is not just numbers."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self) -> int:
        value, self.at = read_unsigned(self.data, self.at)
        return value

    def type(self) -> None:
        self.at += 1
        if self.data[self.at - 1] in (0x63, 0x64):
            self.number()

    def instruction(self) -> None:
        byte = self.data[self.at]
        self.at += 1
        for step in PLANS[(byte, self.number()) if byte >= 0xFB else (0, byte)]:
            self.step(step)

    def step(self, step: Step) -> None:
        if step in _NUMBER:
            self.number()
        elif step in _BYTES:
            assert isinstance(step, Imm)
            self.at += _BYTES[step]
        elif step is Imm.MEMARG:
            if self.number() & 0x40:
                self.number()
            self.number()
        elif step is Imm.BLOCK:
            if self.data[self.at] in (0x63, 0x64):
                self.type()
            else:
                self.number()
        elif step is Imm.LABELS:
            for _ in range(self.number() + 1):
                self.number()
        elif step is Imm.RESULTS:
            for _ in range(self.number()):
                self.type()
        elif step is Imm.CATCHES:
            for _ in range(self.number()):
                self.at += 1
                if self.data[self.at - 1] < 2:
                    self.number()
                self.number()
        elif step is Imm.HANDLERS:
            for _ in range(self.number()):
                self.at += 1
                switches = self.data[self.at - 1]
                self.number()
                if not switches:
                    self.number()
        elif step == "cast":
            self.at += 1
            for _ in range(3):
                self.number()
        else:
            assert step in ("open", "close"), step


MEMORY = -1


def _plain(byte: int) -> int | None:
    """How many numbers follow an opcode, `MEMORY` for a memory argument; None if something else follows."""
    plan = PLANS.get((0, byte))
    if plan == (Imm.MEMARG,):
        return MEMORY
    if plan is None or not all(step in _NUMBER or step in ("open", "close") for step in plan):
        return None
    return sum(step in _NUMBER for step in plan)


_PLAIN = [_plain(byte) for byte in range(256)]
