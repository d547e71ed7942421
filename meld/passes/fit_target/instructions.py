"""Instructions of generated code that a target lacks, by others: bulk memory, sign extension.

Passive data, which only the start function of the compiler writes, become stores of constants.
"""

from __future__ import annotations

from dataclasses import field

from meld.diagnostics import MeldError
from meld.ir.features import of_op
from meld.ir.instructions import Code, Instruction, MemArg
from meld.ir.module import DataSegment, Function, Memory, Module
from meld.ir.types import I32
from meld.rewriting.splice import splice
from meld.rewriting.template import template
from meld.support.records import record

KIND = "target"
"""The kind of the functions that stand for missing instructions (`Item.synthetic`)."""

AT_ONCE = 1 << 16
"""Bytes of data that one function writes."""

_SHIFTS = {
    "i32.extend8_s": ("i32", 24),
    "i32.extend16_s": ("i32", 16),
    "i64.extend8_s": ("i64", 56),
    "i64.extend16_s": ("i64", 48),
    "i64.extend32_s": ("i64", 32),
}
_ELEMENTS = "run direct-calls before it, or compile for `wasm2`"


@record()
class Instructions:
    """Replaces instructions in generated functions of a module.

    Attributes:
        allowed: the features that the target has.
        needed: those that the inputs need all the same.
        replaced: how many instructions there were.
    """

    module: Module
    allowed: frozenset[str]
    needed: frozenset[str]
    replaced: int = 0
    _bulk: dict[Memory, dict[str, Function]] = field(default_factory=dict)
    _written: list[Function] = field(default_factory=list)

    def rewrite(self, function: Function) -> None:
        """Replaces what the target lacks in a body, where that can be done. Raises MeldError."""
        if not any(of_op(i.op) not in (None, *self.allowed) for i in function.view().instructions):
            return
        out: list[Instruction] = []
        for i in function.code.instructions:
            feature = of_op(i.op)
            made = None if feature is None or feature in self.allowed else self._one(i, out)
            if made is None:
                out.append(i)
            else:
                out += made
                self.replaced += 1
        function.code.instructions = out

    def _one(self, i: Instruction, before: list[Instruction]) -> list[Instruction] | None:
        match i:
            case Instruction(op=op) if op in _SHIFTS:
                core, bits = _SHIFTS[op]
                by = Instruction(f"{core}.const", (bits,))
                return [by, Instruction(f"{core}.shl"), by, Instruction(f"{core}.shr_s")]
            case Instruction(op="memory.copy", args=(to, source)) if to is source and _is_plain(to):
                return [Instruction("call", (self._function(to, "copy"),))]
            case Instruction(op="memory.fill", args=(memory,)) if _is_plain(memory):
                return [Instruction("call", (self._function(memory, "fill"),))]
            case Instruction(op="memory.init", args=(memory, data)) if _is_plain(memory):
                return self._init(memory, data, before)
            case Instruction(op="data.drop"):
                return []
            case Instruction(op="table.init") if "bulk-memory" not in self.needed:
                said = "a start function may see a table before the program has filled it, which only `table.init` does"
                raise MeldError(said, hint=_ELEMENTS)
        return None

    def _function(self, memory: Memory, name: str) -> Function:
        if memory not in self._bulk:
            source = template(__package__, "bulk.wat", {})
            spliced = splice(
                source,
                self.module,
                {source.imports[0]: memory},
                synthetic=KIND,
                rename=lambda item: f"memory.{item.name}",
            )
            self._bulk[memory] = {n: f for n, f in spliced.exports.items() if isinstance(f, Function)}
        return self._bulk[memory][name]

    def _init(self, memory: Memory, data: DataSegment, before: list[Instruction]) -> list[Instruction]:
        """Stores for a whole segment: in front of `memory.init` stand its address, 0 and the segment's length."""
        count, start = before.pop(), before.pop()
        assert (start.op, start.args, count.op, count.args) == ("i32.const", (0,), "i32.const", (len(data.data),))
        contents = bytes(data.data)
        parts = [contents[at : at + AT_ONCE] for at in range(0, len(contents), AT_ONCE)]
        code: list[Instruction] = []
        for number, part in enumerate(parts):
            code += [
                Instruction("local.get", (0,)),
                Instruction("call", (self._part(memory, part, number * AT_ONCE),)),
            ]
        whole = [
            Instruction("local.get", (0,)),
            Instruction("i32.const", (len(contents),)),
            Instruction("call", (self._function(memory, "check"),)),
            *code,
        ]
        self.module.datas = [one for one in self.module.datas if one is not data]
        return [Instruction("call", (self._made(whole),))]

    def _part(self, memory: Memory, part: bytes, first: int) -> Function:
        code: list[Instruction] = []
        for at in range(0, len(part), 8):
            code += _store(memory, first + at, part[at : at + 8])
        return self._made(code)

    def _made(self, code: list[Instruction]) -> Function:
        t = self.module.func_type((I32,))
        made = Function(t, Code([], code), name=f"data.{len(self._written)}", synthetic=KIND)
        self._written.append(made)
        self.module.functions.append(made)
        return made


def _store(memory: Memory, offset: int, data: bytes) -> list[Instruction]:
    """Stores of up to eight bytes at parameter 0 and an offset."""
    out: list[Instruction] = []
    at = 0
    for op, size in (("i64.store", 8), ("i32.store", 4), ("i32.store16", 2), ("i32.store8", 1)):
        while len(data) - at >= size:
            value = int.from_bytes(data[at : at + size], "little", signed=size >= 4)
            out += [
                Instruction("local.get", (0,)),
                Instruction(f"{op[:3]}.const", (value,)),
                Instruction(op, (MemArg(0, offset + at, memory),)),
            ]
            at += size
    return out


def _is_plain(memory: Memory) -> bool:
    """Whether a memory has addresses of 32 bits and pages of the usual size."""
    return not memory.limits.is64 and memory.limits.page_size_log2 in (None, 16)
