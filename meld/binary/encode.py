"""Decoded instructions as bytes (WebAssembly 3.0, section 5.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from meld.binary.coretypes import CoreTypeWriter
from meld.binary.leb import signed, unsigned, vector
from meld.binary.plans import CATCH_KINDS, REVERSED, SPACE_OF_IMM
from meld.diagnostics import MeldError
from meld.ir.instructions import Catch, Code, Handler, IndexOf, Instruction, MemArg
from meld.ir.numbering import Numbering
from meld.ir.opcodes import OPS, VARIANTS, Imm, Op
from meld.ir.types import TypeDef

VARIANT_OF = {name: code for code, name in VARIANTS.items()}


def _opcode(prefix: int, code: int) -> bytes:
    return bytes((prefix,)) + unsigned(code) if prefix else bytes((code,))


_BYTES = {op.name: _opcode(op.prefix, op.code) for op in OPS.values()}
_VARIANT_BYTES = {name: _opcode(*code) for name, code in VARIANT_OF.items()}


_SPECIAL = frozenset({"select", "ref.test", "ref.cast", "br_on_cast", "br_on_cast_fail", "atomic.fence"})
"""Instructions whose bytes depend on more than one immediate after the other."""


class Encoder:
    """Encodes instructions with the indices of a module."""

    def __init__(self, numbering: Numbering) -> None:
        self.numbering = numbering
        self.types = CoreTypeWriter(numbering.type)
        self._write: dict[Imm, Callable[[Any], bytes]] = {
            Imm.BLOCK: self._block,
            Imm.LABELS: lambda labels: vector([unsigned(n) for n in labels[:-1]]) + unsigned(labels[-1]),
            Imm.MEMARG: self._memarg,
            Imm.I32: self._i32,
            Imm.I64: lambda n: signed(_wrapped(n, 64)),
            Imm.F32: lambda bits: int(bits).to_bytes(4, "little"),
            Imm.F64: lambda bits: int(bits).to_bytes(8, "little"),
            Imm.V128: lambda bits: int(bits).to_bytes(16, "little"),
            Imm.LANE: lambda lane: bytes((lane,)),
            Imm.LANES: bytes,
            Imm.HEAP: self.types.heaptype,
            Imm.CATCHES: lambda catches: vector([self._catch(c) for c in catches]),
            Imm.HANDLERS: lambda handlers: vector([self._handler(h) for h in handlers]),
        }
        for imm in (Imm.LABEL, Imm.LOCAL, Imm.FIELD, Imm.COUNT):
            self._write[imm] = unsigned
        for imm, space in SPACE_OF_IMM.items():
            self._write[imm] = self._index_writer(space)

    def _index_writer(self, space: str) -> Callable[[Any], bytes]:
        indices = self.numbering.indices[space]

        def write(item: Any) -> bytes:
            index = indices.get(item)
            return unsigned(self.numbering.index(space, item) if index is None else index)

        return write

    def body(self, code: Code) -> bytes:
        """A function body: local declarations, instructions, the final `end`."""
        runs = [unsigned(len(list(run))) + self.types.valtype(t) for t, run in groupby(code.locals)]
        return vector(runs) + self.expression(code.instructions)

    def expression(self, instructions: Iterable[Instruction]) -> bytes:
        """Instructions and the `end` that closes them."""
        return b"".join([self.instruction(i) for i in instructions]) + b"\x0b"

    def instruction(self, instruction: Instruction) -> bytes:
        """One instruction."""
        op = OPS.get(instruction.op)
        if op is None:
            raise MeldError(f"unknown instruction `{instruction.op}`", span=instruction.span)
        if not op.imms:
            return _BYTES[op.name]
        try:
            if len(op.imms) == 1 == len(instruction.args) and op.name not in _SPECIAL:
                return _BYTES[op.name] + self._write[op.imms[0]](instruction.args[0])
            return self._with_immediates(op, instruction.args)
        except (TypeError, ValueError, IndexError, OverflowError) as e:
            raise MeldError(
                f"`{op.name}` has immediates that do not fit it: {instruction.args!r}", span=instruction.span
            ) from e

    def _with_immediates(self, op: Op, args: tuple[Any, ...]) -> bytes:
        match op.name:
            case "select":
                if not args:
                    return _BYTES["select"]
                return _VARIANT_BYTES["select"] + vector([self.types.valtype(t) for t in args[0]])
            case "ref.test" | "ref.cast":
                (target,) = args
                return (_VARIANT_BYTES if target.nullable else _BYTES)[op.name] + self.types.heaptype(target.heap)
            case "br_on_cast" | "br_on_cast_fail":
                label, source, target = args
                flags = bytes((source.nullable | target.nullable << 1,))
                heaps = self.types.heaptype(source.heap) + self.types.heaptype(target.heap)
                return _BYTES[op.name] + flags + unsigned(label) + heaps
            case "atomic.fence":
                return _BYTES[op.name] + b"\0"
        if len(args) != len(op.imms):
            raise ValueError(args)
        parts = [self._write[imm](arg) for imm, arg in zip(op.imms, args, strict=True)]
        if op.name in REVERSED:
            parts.reverse()
        return _BYTES[op.name] + b"".join(parts)

    def _i32(self, value: int | IndexOf) -> bytes:
        return signed(self.numbering.of_item(value.item) if isinstance(value, IndexOf) else _wrapped(value, 32))

    def _block(self, blocktype: Any) -> bytes:
        if blocktype is None:
            return b"\x40"
        if isinstance(blocktype, TypeDef):
            return signed(self.numbering.type(blocktype))
        return self.types.valtype(blocktype)

    def _memarg(self, arg: MemArg) -> bytes:
        index = self.numbering.index("memories", arg.memory)
        head = unsigned(arg.align | 0x40) + unsigned(index) if index else unsigned(arg.align)
        return head + unsigned(arg.offset)

    def _catch(self, catch: Catch) -> bytes:
        tag = b"" if catch.tag is None else unsigned(self.numbering.index("tags", catch.tag))
        return bytes((CATCH_KINDS.index(catch.kind),)) + tag + unsigned(catch.label)

    def _handler(self, handler: Handler) -> bytes:
        tag = unsigned(self.numbering.index("tags", handler.tag))
        return b"\x01" + tag if handler.label is None else b"\0" + tag + unsigned(handler.label)


def _wrapped(value: int, bits: int) -> int:
    """A constant written as unsigned means the signed number of the same bits."""
    if not -(1 << bits - 1) <= value < 1 << bits:
        raise ValueError(value)
    return value - (1 << bits) if value >> bits - 1 > 0 else value
