"""`lower-multi-memory`: the rewriting of bodies and data segments. See lower_multi_memory.py."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.instructions import Code, IndexOf, Instruction, MemArg, references
from meld.ir.module import DataSegment, Function, Global, Memory, Module
from meld.ir.opcodes import OPS, Imm
from meld.ir.types import F32, F64, I32, I64, V128, ValType
from meld.rewriting.liveness import body_uses
from meld.support.records import record

KIND = "memory-region"
PAGE_BITS = 16
PREFIX_TYPES: dict[str, ValType] = {"i32": I32, "i64": I64, "f32": F32, "f64": F64, "v128": V128}


@record()
class Region:
    """The region of the memory that had the index `number`: the functions and globals of its template."""

    number: int
    memory: Memory
    first_page: int
    base: Global
    size: Global
    at: Function | None = None
    grow: Function | None = None


def operands(op: str) -> tuple[ValType, ...]:
    """The operands of an access that lie above the address on the stack."""
    prefix, _, rest = op.partition(".")
    if op == "memory.atomic.notify":
        return (I32,)
    if op.startswith("memory.atomic.wait"):
        return (I32 if op.endswith("32") else I64, I64)
    value = PREFIX_TYPES[prefix]
    if "_lane" in rest or rest.startswith(("store", "atomic.store")):
        return (value,)
    if ".rmw" in op:
        return (value, value) if ".cmpxchg" in op else (value,)
    return ()


@record()
class Lowering:
    module: Module
    single: Memory
    regions: dict[Memory, Region]
    accesses: int = 0

    def lower_all(self) -> int:
        for function in self.module.functions:
            if function.synthetic != KIND and self.concerns(function):
                code = function.code
                code.instructions = _Body(self, function, code).lowered()
        self.segments()
        return self.accesses

    def concerns(self, function: Function) -> bool:
        return any(item in self.regions for item in body_uses(function))

    def segments(self) -> None:
        """Active segments: moved to their region where they lie in it for sure, else written by the start function."""
        active = [d for d in self.module.datas if d.memory is not None]
        if all(self.shifted(data) is not None for data in active):
            for data in active:
                offset = self.shifted(data)
                data.memory, data.offset, data.explicit_memory = self.single, offset, False
            return
        code: list[Instruction] = []
        for data in active:
            assert data.memory is not None and data.offset is not None
            code += [
                *data.offset,
                Instruction("i32.const", (0,)),
                Instruction("i32.const", (len(data.data),)),
                Instruction("memory.init", (data.memory, data)),
                Instruction("data.drop", (data,)),
            ]
            data.memory = data.offset = None
            data.explicit_memory = False
        start = Function(self.module.func_type(), Code(), name="start.data", synthetic="start-wrapper")
        if self.module.start is not None:
            code.append(Instruction("call", (self.module.start,)))
        body = Code([], code)
        start.body = body
        body.instructions = _Body(self, start, body).lowered()
        self.module.functions.append(start)
        self.module.start = start

    def shifted(self, data: DataSegment) -> list[Instruction] | None:
        """The segment's offset in the single memory, if it is known to lie in its region."""
        assert data.memory is not None
        region = self.regions[data.memory]
        match data.offset:
            case [Instruction(op="i32.const", args=(int(value),))]:
                start = value & 0xFFFFFFFF
                if start + len(data.data) <= data.memory.limits.minimum << PAGE_BITS:
                    return [Instruction("i32.const", ((region.first_page << PAGE_BITS) + start & 0xFFFF_FFFF,))]
        return None


@record()
class _Body:
    """Rewrites one body; its temporaries are added behind its locals, one per type and use."""

    lowering: Lowering
    function: Function
    code: Code
    temporaries: dict[tuple[ValType, int], int] = field(default_factory=dict)

    def temporary(self, t: ValType, number: int) -> int:
        """A local of a type; `number` tells those apart that are alive together."""
        found = self.temporaries.get((t, number))
        if found is None:
            found = len(self.function.signature.params) + len(self.code.locals)
            self.code.locals.append(t)
            self.temporaries[t, number] = found
        return found

    def lowered(self) -> list[Instruction]:
        out: list[Instruction] = []
        for instruction in self.code.instructions:
            out += self.one(instruction)
        return out

    def one(self, i: Instruction) -> list[Instruction]:
        """The instructions that replace one."""
        regions = self.lowering.regions
        match i:
            case Instruction(args=(MemArg() as arg, *rest)):
                return self.access(i, arg, rest)
            case Instruction(op="memory.size", args=(memory,)):
                return [Instruction("global.get", (regions[memory].size,), i.span)]
            case Instruction(op="memory.grow", args=(memory,)):
                return [Instruction("call", (regions[memory].grow,), i.span)]
            case Instruction(op="memory.fill", args=(memory,)):
                single = self.lowering.single
                return self.bulk(regions[memory], None, Instruction("memory.fill", (single,), i.span))
            case Instruction(op="memory.copy", args=(to, source)):
                single = self.lowering.single
                return self.bulk(regions[to], regions[source], Instruction("memory.copy", (single, single), i.span))
            case Instruction(op="memory.init", args=(memory, data)):
                return self.bulk(
                    regions[memory], None, Instruction("memory.init", (self.lowering.single, data), i.span)
                )
            case Instruction(op="i32.const", args=(IndexOf(memory),)):
                return [Instruction("i32.const", (regions[memory].number,), i.span)]
        if any(item in regions for item in references(i)):
            raise MeldError(f"`{i.op}` cannot be lowered to a single memory", span=i.span)
        return [i]

    def access(self, i: Instruction, arg: MemArg, rest: list[Any]) -> list[Instruction]:
        region = self.lowering.regions[arg.memory]
        op = OPS[i.op]
        assert op.imms[0] is Imm.MEMARG
        kept = [self.temporary(t, n) for n, t in enumerate(operands(i.op))]
        self.lowering.accesses += 1
        return [
            *(Instruction("local.set", (local,)) for local in reversed(kept)),
            Instruction("i64.const", (arg.offset + (1 << op.align),)),
            Instruction("call", (region.at,)),
            *(Instruction("local.get", (local,)) for local in kept),
            Instruction(i.op, (MemArg(arg.align, arg.offset, self.lowering.single), *rest), i.span),
        ]

    def bulk(self, to: Region, source: Region | None, i: Instruction) -> list[Instruction]:
        """The three operands (to, from or value, count), with addresses in the single memory."""
        middle, count = self.temporary(I32, 0), self.temporary(I32, 1)
        reach = [Instruction("local.get", (count,)), Instruction("i64.extend_i32_u")]
        self.lowering.accesses += 1 if source is None else 2
        return [
            Instruction("local.set", (count,)),
            Instruction("local.set", (middle,)),
            *reach,
            Instruction("call", (to.at,)),
            Instruction("local.get", (middle,)),
            *([] if source is None else [*reach, Instruction("call", (source.at,))]),
            Instruction("local.get", (count,)),
            i,
        ]
