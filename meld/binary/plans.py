"""What follows each opcode in a binary, as a plan of steps that scanner, decoder and kernel share.

Source: WebAssembly 3.0, section 5.4 (instructions).
"""

from __future__ import annotations

from meld.binary.cursor import Cursor
from meld.ir import proposals
from meld.ir.module import CLOSING, LABELLED
from meld.ir.opcodes import BY_CODE, Imm, Op

SPACE_OF_IMM = {
    Imm.FUNC: "functions",
    Imm.TYPE: "types",
    Imm.TABLE: "tables",
    Imm.MEMORY: "memories",
    Imm.GLOBAL: "globals",
    Imm.TAG: "tags",
    Imm.ELEM: "elements",
    Imm.DATA: "datas",
}

REVERSED = frozenset({"call_indirect", "return_call_indirect", "memory.init", "table.init"})
"""Instructions whose two indices stand in the binary in the other order than in text."""

OPENING = LABELLED

CATCH_KINDS = ("catch", "catch_ref", "catch_all", "catch_all_ref")

OPEN, CLOSE = "open", "close"

Step = Imm | str


def _plan(op: Op) -> tuple[Step, ...]:
    """What a scan has to do after an opcode, in the order of the binary."""
    imms = tuple(reversed(op.imms)) if op.name in REVERSED else op.imms
    if op.name == "br_on_cast" or op.name == "br_on_cast_fail":
        return ("cast",)
    if op.name == "select":
        return ()
    if op.name in ("ref.test", "ref.cast"):
        return (Imm.HEAP,)
    return imms + ((OPEN,) if op.name in OPENING else (CLOSE,) if op.name in CLOSING else ())


PLANS = {code: _plan(op) for code, op in BY_CODE.items()} | {(0, 0x1C): (Imm.RESULTS,)}

PREFIXES = (0xFB, 0xFC, 0xFD, 0xFE)


def opcode_at(c: Cursor, byte: int, at: int) -> tuple[int, int]:
    """The key of the opcode whose first byte was read; MeldError if there is none such."""
    key = (byte, c.u32("opcode")) if byte in PREFIXES else (0, byte)
    if key not in BY_CODE:
        shown = f"{byte:#04x} {key[1]:#04x}" if key[0] else f"{byte:#04x}"
        proposal = proposals.of_opcode(*key)
        if proposal is not None:
            raise c.error(proposals.unsupported(proposal, f"opcode {shown}"), at, hint=proposals.HINT)
        raise c.error(f"unknown opcode {shown}", at)
    return key


def handler_kind(c: Cursor) -> int:
    """The first byte of a clause of `resume`: 0 if a label follows the tag, 1 if it is ``switch``."""
    kind = c.u8("clause of resume")
    if kind > 1:
        raise c.error(f"malformed clause of resume {kind:#04x}", c.pos - 1)
    return kind


def fence(c: Cursor) -> None:
    if c.u8("atomic.fence") != 0:
        raise c.error("malformed atomic.fence: zero byte expected", c.pos - 1)
