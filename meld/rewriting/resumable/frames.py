"""A frame in memory: what is saved where, and the code that saves and restores it.

A frame is a multiple of 8 bytes. The number of the point is at offset 0, then come values of 4 bytes (references by
their slot), then those of 8 and of 16.
"""

from __future__ import annotations

from collections.abc import Iterable

from meld.ir.instructions import Instruction, MemArg
from meld.ir.module import Module
from meld.ir.types import F32, F64, I32, I64, V128, AbstractHeap, NumType, RefType, ValType
from meld.rewriting.labels import Flat, snippet
from meld.rewriting.resumable.carrier import Carrier, References
from meld.support.records import record

SIZES: dict[NumType, int] = {I32: 4, F32: 4, I64: 8, F64: 8, V128: 16}
ALIGNMENTS: dict[NumType, int] = {I32: 2, F32: 2, I64: 3, F64: 3, V128: 3}
"""Powers of two; frames are aligned to 8 bytes."""


@record(frozen=True)
class Saved:
    """A local that is saved: its number, its type, and its offset in the frame."""

    local: int
    type: ValType
    offset: int


def _stored(t: ValType) -> NumType:
    return t if isinstance(t, NumType) else I32


def layout(values: Iterable[tuple[int, ValType]]) -> tuple[list[Saved], int]:
    """Places locals in a frame; returns them and the size of the frame in bytes."""
    saved, at = [], 4
    for local, t in sorted(values, key=lambda value: (SIZES[_stored(value[1])], value[0])):
        size = SIZES[_stored(t)]
        at = (at + min(size, 8) - 1) & -min(size, 8)
        saved.append(Saved(local, t, at))
        at += size
    return saved, (at + 7) & -8


@record()
class FrameCode:
    """Writes the code that moves a frame; `frame` is the local that holds its address."""

    module: Module
    carrier: Carrier
    frame: int

    def restore(self, saved: Iterable[Saved]) -> list[Flat]:
        """Loads locals."""
        out: list[Flat] = []
        for one in saved:
            keeper = self._references(one.type)
            text = "local.get $frame $load local.set $local"
            if keeper is not None:
                text = "local.get $frame $load call $take $cast local.set $local"
            out += snippet(
                text,
                frame=self.frame,
                load=[Instruction(f"{_stored(one.type).value}.load", (self._at(one),))],
                take=keeper and keeper.take,
                cast=_cast(one.type, keeper),
                local=one.local,
            )
        return out

    def save(self, saved: Iterable[Saved]) -> list[Flat]:
        """Stores locals."""
        out: list[Flat] = []
        for one in saved:
            keeper = self._references(one.type)
            text = "local.get $frame local.get $local $store"
            if keeper is not None:
                text = "local.get $frame local.get $local call $keep $store"
            out += snippet(
                text,
                frame=self.frame,
                local=one.local,
                keep=keeper and keeper.keep,
                store=[Instruction(f"{_stored(one.type).value}.store", (self._at(one),))],
            )
        return out

    def _at(self, one: Saved) -> MemArg:
        return MemArg(ALIGNMENTS[_stored(one.type)], one.offset, self.carrier.memory)

    def _references(self, t: ValType) -> References | None:
        return self.carrier.references_for(self.module, t) if isinstance(t, RefType) else None


def _cast(t: ValType, keeper: References | None) -> list[Instruction]:
    """Converts the type that is kept back to the type of the local."""
    if keeper is None or not isinstance(t, RefType) or t == keeper.type:
        return []
    if t.heap is keeper.type.heap or t.heap in (AbstractHeap.EXN, AbstractHeap.NOEXN):
        return [Instruction("ref.as_non_null")]
    return [Instruction("ref.cast", (t,))]
