"""The reader of bodies: instructions from bytes.

Bodies are by far the largest part of a module, and most of them pass through the compiler without any pass looking at
them. So a body that is read stays bytes (`EncodedBody` in `bodies.py`). To write it into another module, only the
places that hold an index matter, and `scan.py` finds these without making an object for each instruction. This file is
for the few bodies that a pass does want to see: it makes a list of `Instruction` objects.

The list is flat, as in the binary format: `block`, `loop`, `if` and `end` are instructions, and labels are relative
depths. Nesting is only counted, to find the `end` that closes the body. Nothing here recurses, so no input can exhaust
Python's stack.

An index is resolved at once. Immediates that name a function, global, memory or type are the objects of the scope (the
meaning of indices in the module that the body was read from), never numbers. Hence a pass may add and remove items
freely, and a body can move to another module with its scope replaced; numbers reappear when the module is written.

Speed comes from two tables. `_PLAIN` is indexed by byte values and serves all opcodes of one byte that
have at most one immediate and do not open or close a block: nearly every instruction of real code takes this path.
The others go through `opcode_at` and the opcode table of `meld.ir.opcodes`, with `_READERS` for each kind of immediate.
The few whose binary form differs from the order of the text are cases in `immediates`.

Every malformed byte is an error with its offset in the input. Types are not checked here: that is validation
(`meld.verify`).

Source: WebAssembly 3.0, section 5.4 (instructions).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meld.binary.coretypes import HEAP_BY_CODE, NUM_BY_CODE, CoreTypeReader
from meld.binary.cursor import Cursor
from meld.binary.limits import MAX_LOCALS
from meld.binary.plans import CATCH_KINDS, OPENING, REVERSED, SPACE_OF_IMM, fence, handler_kind, opcode_at
from meld.ir.instructions import Catch, Handler, IndexSpaces, Instruction, MemArg
from meld.ir.module import CLOSING
from meld.ir.opcodes import BY_CODE, VARIANTS, Imm, Op
from meld.ir.types import RefType, ValType


class InstructionReader:
    """Decodes instructions from a cursor over a scope."""

    def __init__(self, c: Cursor, scope: IndexSpaces) -> None:
        self.c = c
        self.scope = scope
        self.types = CoreTypeReader(scope.types)

    def locals(self) -> list[ValType]:
        """The local declarations in front of a body."""
        found: list[ValType] = []
        c = self.c
        for _ in range(c.count("local declarations")):
            at = c.pos
            count = c.u32("count of locals")
            if count + len(found) > MAX_LOCALS:
                raise c.error(f"more than {MAX_LOCALS} locals", at)
            found += [self.types.valtype(c)] * count
        return found

    def body(self) -> list[Instruction]:
        """Instructions to the end of the cursor, which must be the `end` of the function."""
        code = self.expression()
        if self.c.more():
            raise self.c.error("bytes after the `end` of a function body")
        return code

    def expression(self) -> list[Instruction]:
        """Instructions up to the `end` that closes them, which is not in the list."""
        c, depth = self.c, 1
        data, end = c.data, c.end
        out: list[Instruction] = []
        while True:
            at = c.pos
            if at >= end:
                raise c.cut_short("instructions: `end` expected")
            byte = data[at]
            c.pos = at + 1
            plain = _PLAIN[byte]
            if plain is not None:
                mnemonic, read = plain
                out.append(Instruction(mnemonic) if read is None else Instruction(mnemonic, (read(self),)))
                continue
            key = opcode_at(c, byte, at)
            op = BY_CODE[key]
            name = op.name
            if name in OPENING:
                depth += 1
            elif name in CLOSING:
                depth -= 1
                if not depth:
                    if name != "end":
                        raise c.error(f"`{name}` outside of a block", at)
                    return out
            out.append(Instruction(name, self.immediates(op, key) if op.imms else ()))

    def immediates(self, op: Op, key: tuple[int, int]) -> tuple[Any, ...]:
        """The immediates of an instruction, in the order of the text."""
        c = self.c
        match op.name:
            case "select":
                if key not in VARIANTS:
                    return ()
                return (tuple(self.types.valtype(c) for _ in range(c.count("result types"))),)
            case "ref.test" | "ref.cast":
                return (RefType(key in VARIANTS, self.types.heaptype(c)),)
            case "br_on_cast" | "br_on_cast_fail":
                flags = c.u8("cast flags")
                if flags > 3:
                    raise c.error("malformed cast flags", c.pos - 1)
                label = c.u32("label")
                source, target = self.types.heaptype(c), self.types.heaptype(c)
                return (label, RefType(bool(flags & 1), source), RefType(bool(flags & 2), target))
            case "atomic.fence":
                fence(c)
                return ()
            case name if name in REVERSED:
                second, first = self.immediate(op.imms[1]), self.immediate(op.imms[0])
                return (first, second)
        return tuple([self.immediate(imm) for imm in op.imms])

    def immediate(self, imm: Imm) -> Any:
        """One immediate."""
        return _READERS[imm](self)

    def labels(self) -> tuple[int, ...]:
        """The labels of a `br_table`, the default last."""
        c = self.c
        return tuple([c.u32("label") for _ in range(c.count("labels") + 1)])

    def catches(self) -> tuple[Catch, ...]:
        """The clauses of a `try_table`."""
        return tuple([self.catch() for _ in range(self.c.count("catch clauses"))])

    def handlers(self) -> tuple[Handler, ...]:
        """The clauses of a `resume`."""
        return tuple([self.handler() for _ in range(self.c.count("clauses of resume"))])

    def handler(self) -> Handler:
        kind = handler_kind(self.c)
        tag = self.item("tags")
        return Handler(tag, None if kind else self.c.u32("label"))

    def bits(self, size: int) -> int:
        """The bits of a float or vector."""
        return int.from_bytes(self.c.take(size, "constant"), "little")

    def item(self, space: str) -> Any:
        """An index, as the object that it means."""
        c = self.c
        at = c.pos
        index = c.u32(f"index into the {space}")
        items = getattr(self.scope, space)
        if index >= len(items):
            raise c.error(f"index {index} is out of range: {len(items)} {space}", at)
        return items[index]

    def memarg(self) -> MemArg:
        c = self.c
        at = c.pos
        align = c.u32("alignment")
        if align >= 0x80:
            raise c.error(f"malformed flags {align:#x} of a memory argument", at)
        index = c.u32("memory index") if align & 0x40 else 0
        memories = self.scope.memories
        if index >= len(memories):
            raise c.error(f"index {index} is out of range: {len(memories)} memories", at)
        return MemArg(align & 0x3F, c.u64("offset"), memories[index])

    def blocktype(self) -> Any:
        c = self.c
        byte = c.peek()
        if byte == 0x40:
            c.pos += 1
            return None
        if byte in NUM_BY_CODE or byte in HEAP_BY_CODE or byte in (0x63, 0x64):
            return self.types.valtype(c)
        at = c.pos
        value = c.s33("block type")
        if not 0 <= value < len(self.scope.types):
            raise c.error("malformed block type" if value < 0 else f"unknown type {value}", at)
        return self.scope.types[value]

    def catch(self) -> Catch:
        c = self.c
        kind = c.u8("catch clause")
        if kind > 3:
            raise c.error(f"malformed catch clause {kind:#04x}", c.pos - 1)
        tag = self.item("tags") if kind < 2 else None
        return Catch(CATCH_KINDS[kind], tag, c.u32("label"))


def _item_reader(space: str) -> Callable[[InstructionReader], Any]:
    return lambda reader: reader.item(space)


_READERS: dict[Imm, Callable[[InstructionReader], Any]] = {
    **dict.fromkeys((Imm.LOCAL, Imm.LABEL, Imm.FIELD, Imm.COUNT), lambda reader: reader.c.u32("immediate")),
    Imm.I32: lambda reader: reader.c.s32("i32 constant"),
    Imm.I64: lambda reader: reader.c.s64("i64 constant"),
    Imm.F32: lambda reader: reader.bits(4),
    Imm.F64: lambda reader: reader.bits(8),
    Imm.V128: lambda reader: reader.bits(16),
    Imm.MEMARG: InstructionReader.memarg,
    Imm.BLOCK: InstructionReader.blocktype,
    Imm.LABELS: InstructionReader.labels,
    Imm.LANE: lambda reader: reader.c.u8("lane"),
    Imm.LANES: lambda reader: tuple(reader.c.take(16, "lanes")),
    Imm.HEAP: lambda reader: reader.types.heaptype(reader.c),
    Imm.CATCHES: InstructionReader.catches,
    Imm.HANDLERS: InstructionReader.handlers,
    **{imm: _item_reader(space) for imm, space in SPACE_OF_IMM.items()},
}


def _plain(byte: int) -> tuple[str, Callable[[InstructionReader], Any] | None] | None:
    """Mnemonic and reader of the only immediate, if any, of an opcode that nothing else has to be known of."""
    op = BY_CODE.get((0, byte))
    if op is None or op.name in OPENING | CLOSING | {"select"} or len(op.imms) > 1:
        return None
    return op.name, _READERS[op.imms[0]] if op.imms else None


_PLAIN = [_plain(byte) for byte in range(256)]
