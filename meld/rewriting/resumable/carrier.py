"""Where frames go that are taken off the stack: globals, a memory, and tables for references.

Numbers go to a memory. A reference goes to a slot of a table, and the number of the slot to the memory; there is a
table for each hierarchy of heap types, made when the first such reference has to be kept.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from meld.ir.module import Function, Global, Memory, Module, Table
from meld.ir.types import AbstractHeap, ContType, FuncType, RefType
from meld.rewriting.splice import splice
from meld.rewriting.template import template
from meld.support.records import record

KIND = "resumable-frames"
"""The kind of the generated items (`Item.synthetic`)."""


@record(eq=False)
class References:
    """Keeps the references of one hierarchy: `keep` gives a slot for one, `take` gives it back and frees the slot.

    Slot 0 of the table is never given away: it is for calling a kept function, whatever it holds otherwise.
    """

    type: RefType
    table: Table
    keep: Function
    take: Function


@record(eq=False)
class Carrier:
    """Where the frames of the current task go.

    Attributes:
        state: i32, mutable: 0 running, 1 unwinding, 2 rewinding.
        memory: holds frames; its addresses are i32.
        top: i32, mutable: the address behind the task's frames, a multiple of 8.
        limit: i32, mutable: the address behind the room for the task's frames, not less than `top`.
        grow: `(param i32)`: called while unwinding with the size of a frame if `limit - top` is less. When it returns,
            there is room at `top`; it may have moved the task's frames and changed `top` and `limit`, since frames hold
            no addresses.
    """

    state: Global
    memory: Memory
    top: Global
    limit: Global
    grow: Function
    references: dict[AbstractHeap, References] = field(default_factory=dict)

    @staticmethod
    def new(module: Module) -> Carrier:
        """A memory of its own, for a program with one stack of frames at a time; it grows as it must."""
        made: dict[str, Any] = splice(template(__package__, "carrier.wat", {}), module, {}, synthetic=KIND).exports
        return Carrier(made["state"], made["memory"], made["top"], made["limit"], made["grow"])

    def references_for(self, module: Module, t: RefType) -> References:
        """The table and the functions that keep references of a type; added if there are none."""
        heap = hierarchy(t)
        found = self.references.get(heap)
        if found is None:
            source = template(__package__, "references.wat", {"heap": heap.value})
            made: dict[str, Any] = splice(source, module, {}, synthetic=KIND).exports
            found = References(RefType(True, heap), made["table"], made["keep"], made["take"])
            self.references[heap] = found
        return found


_TOP = {
    AbstractHeap.FUNC: AbstractHeap.FUNC,
    AbstractHeap.NOFUNC: AbstractHeap.FUNC,
    AbstractHeap.EXTERN: AbstractHeap.EXTERN,
    AbstractHeap.NOEXTERN: AbstractHeap.EXTERN,
    AbstractHeap.EXN: AbstractHeap.EXN,
    AbstractHeap.NOEXN: AbstractHeap.EXN,
    AbstractHeap.CONT: AbstractHeap.CONT,
    AbstractHeap.NOCONT: AbstractHeap.CONT,
}


def hierarchy(t: RefType) -> AbstractHeap:
    """The top of the hierarchy that a reference type belongs to."""
    if isinstance(t.heap, AbstractHeap):
        return _TOP.get(t.heap, AbstractHeap.ANY)
    match t.heap.shape:
        case FuncType():
            return AbstractHeap.FUNC
        case ContType():
            return AbstractHeap.CONT
        case _:
            return AbstractHeap.ANY
