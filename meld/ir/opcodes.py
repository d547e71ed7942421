"""The instruction table: every opcode that current engines accept, with its immediates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Imm(Enum):
    """Kinds of immediates, in the order of the text format (the binary order is the same unless noted)."""

    BLOCK = auto()  # block type
    LABEL = auto()
    LABELS = auto()  # br_table: tuple of labels, the default last
    LOCAL = auto()
    FUNC = auto()
    TYPE = auto()  # a type definition
    TABLE = auto()
    MEMORY = auto()
    GLOBAL = auto()
    TAG = auto()
    ELEM = auto()
    DATA = auto()
    FIELD = auto()  # field number of a struct
    COUNT = auto()  # array.new_fixed
    MEMARG = auto()
    I32 = auto()
    I64 = auto()
    F32 = auto()
    F64 = auto()
    V128 = auto()
    LANE = auto()
    LANES = auto()  # i8x16.shuffle: tuple of 16
    HEAP = auto()  # heap type
    REF = auto()  # reference type; in the binary the nullability is in the opcode or in flags
    RESULTS = auto()  # select: tuple of value types
    CATCHES = auto()  # try_table: tuple of Catch
    FENCE = auto()  # the reserved zero byte of atomic.fence


@dataclass(frozen=True, slots=True)
class Op:
    """One instruction: mnemonic, prefix byte (0 for none), opcode, immediates, natural alignment of its access."""

    name: str
    prefix: int
    code: int
    imms: tuple[Imm, ...] = ()
    align: int = 0
