"""The pass `lower-multi-memory`: one memory where there were several, for targets with one address space.

Each memory becomes a region of the single one. Every access is checked against its region before it is made, so what
trapped still traps, and no access leaves its region. `memory.grow` moves the regions behind the one that grows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from meld.abi import intrinsics
from meld.abi.boundary import Boundary, CanonCall, HostCall, HostExport, Options
from meld.diagnostics import MeldError
from meld.ir.instructions import Code, IndexOf, Instruction, MemArg, references
from meld.ir.module import DataSegment, Function, Global, Memory, Module
from meld.ir.opcodes import OPS, Imm
from meld.ir.splice import splice
from meld.ir.types import F32, F64, I32, I64, V128, Limits, ValType
from meld.passes.base import Pass, PassContext
from meld.passes.host_options import rebind_options
from meld.passes.template import template

KIND = "memory-region"
MAX_PAGES = 65536
PAGE_BITS = 16
PREFIX_TYPES: dict[str, ValType] = {"i32": I32, "i64": I64, "f32": F32, "f64": F64, "v128": V128}


@dataclass(slots=True)
class Region:
    """What stands for one memory: its number, first page, and the functions and globals of its template."""

    number: int
    memory: Memory
    first_page: int
    base: Global
    size: Global
    at: Function | None = None
    grow: Function | None = None


class LowerMultiMemory(Pass):
    """Turn a module with several memories into one with a single memory.

    For targets that have one address space. Costs a call and a comparison for each access, and a copy of what lies
    behind a region when it grows. Imported, shared and 64-bit memories and other page sizes are refused, and so are two
    memories that the host is given pointers into.
    """

    name = "lower-multi-memory"
    requires = frozenset({"merged"})
    establishes = frozenset({"one-memory"})
    after = ("rewire-calls", "adapter-wiring")
    before = ("finish",)

    def run(self, module: Module, cx: PassContext) -> None:
        memories = _in_order(module)
        if len(memories) < 2:
            cx.remark("there is one memory at most; nothing to lower")
            return
        for memory in memories:
            _refuse(memory)
        single = Memory(_joint_limits(memories), name="memory", synthetic=KIND)
        regions = _regions(module, memories)
        for region in regions:
            _emit(module, single, region, regions)
        lowering = _Lowering(module, single, {region.memory: region for region in regions})
        accesses = lowering.lower_all()
        module.memories = [single]
        for export in module.exports:
            if export.item in lowering.regions:
                export.item = single
        rebind_options(module, dict.fromkeys(lowering.regions, single))
        _wrap_intrinsics(module, regions)
        cx.stats["regions"] = len(regions)
        cx.stats["checked accesses"] = accesses
        cx.remark(
            f"{len(regions)} memories are one now, in the order "
            + ", ".join(f"`{region.memory.name or region.number}`" for region in regions)
            + f": each of {accesses} accesses is checked against its region by a call, and growing a region copies "
            "what lies behind it"
        )


def _in_order(module: Module) -> list[Memory]:
    """The memories, the one that the host is given pointers into first: its region starts at 0 and never moves."""
    memories: list[Memory] = module.space("memories")
    seen_by_host = {export.item for export in module.exports if isinstance(export.item, Memory)}
    options: list[Options] = [n.lift for n in module.notes_of(HostExport)]
    for item in module.imports:
        for n in item.notes:
            if isinstance(n, HostCall):
                options.append(n.lower)
            elif isinstance(n, CanonCall):
                options.append(n.options)
            elif isinstance(n, Boundary):
                raise MeldError(
                    f"the call of `{n.label}` from `{n.caller.name}` is still a boundary",
                    hint="run adapter-wiring before lower-multi-memory",
                )
    seen_by_host |= {o.memory for o in options if o.memory is not None}
    if len(seen_by_host) > 1 and len(memories) > 1:
        names = ", ".join(sorted(f"`{m.name}`" for m in seen_by_host))
        raise MeldError(
            f"the host is given pointers into several memories ({names})",
            hint="in a single memory it could not tell them apart",
        )
    return sorted(memories, key=lambda m: m not in seen_by_host)


def _refuse(memory: Memory) -> None:
    limits = memory.limits
    for wrong, what in (
        (memory.imported is not None, "is imported"),
        (limits.is64, "has 64-bit addresses"),
        (limits.shared, "is shared between threads"),
        (limits.page_size_log2 not in (None, PAGE_BITS), "has pages of another size"),
    ):
        if wrong:
            raise MeldError(f"memory `{memory.name}` {what} and cannot become a region of a single memory")


def _joint_limits(memories: list[Memory]) -> Limits:
    minimum = sum(m.limits.minimum for m in memories)
    if minimum > MAX_PAGES:
        raise MeldError(f"the memories have {minimum} pages together; a single memory has {MAX_PAGES} at most")
    maximum = sum(m.limits.maximum if m.limits.maximum is not None else MAX_PAGES for m in memories)
    return Limits(minimum, min(maximum, MAX_PAGES))


def _regions(module: Module, memories: list[Memory]) -> list[Region]:
    regions = []
    page = 0
    for number, memory in enumerate(memories):
        name = memory.name or f"memory{number}"

        def made(what: str, value: int, name: str = name, memory: Memory = memory) -> Global:
            init = [Instruction("i32.const", (value,))]
            item = Global(I32, True, init, name=f"{name}.{what}", owner=memory.owner, synthetic=KIND)
            module.add(item)
            return item

        base, size = made("base", page << PAGE_BITS), made("size", memory.limits.minimum)
        regions.append(Region(number, memory, page, base, size))
        page += memory.limits.minimum
    return regions


def _emit(module: Module, single: Memory, region: Region, regions: list[Region]) -> None:
    """Adds the region's functions."""
    behind = regions[region.number + 1 :]
    maximum = region.memory.limits.maximum
    source = template(
        "lower_multi_memory.wat",
        {
            "moved": ", ".join(f"$base{r.number}" for r in behind) or "none",
            "maximum": MAX_PAGES if maximum is None else maximum,
            "imports": "\n".join(
                f'  (import "meld" "base{r.number}" (global $base{r.number} (mut i32)))' for r in behind
            ),
            "moves": "\n".join(
                f"    (global.set $base{r.number} (i32.add (global.get $base{r.number}) (local.get $bytes)))"
                for r in behind
            ),
        },
    )
    given: dict[str, Any] = {"memory": single, "base": region.base, "size": region.size}
    given |= {f"base{r.number}": r.base for r in behind}
    bindings = {item: given[item.imported.field] for item in source.imports if item.imported}
    prefix = region.memory.name or f"memory{region.number}"
    new = splice(source, module, bindings, synthetic=KIND, rename=lambda item: f"{prefix}.{item.name}").new
    region.at, region.grow = (new[f] for f in source.functions)


def operands(op: str) -> tuple[ValType, ...]:
    """What an access takes from the stack above the address."""
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


@dataclass(slots=True)
class _Lowering:
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
        from meld.passes.finish import body_uses

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
                    return [Instruction("i32.const", ((region.first_page << PAGE_BITS) + start,))]
        return None


@dataclass(slots=True)
class _Body:
    """Rewrites one body; its temporaries are added behind its locals, one per type and use."""

    lowering: _Lowering
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
        """What stands for one instruction."""
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


def _wrap_intrinsics(module: Module, regions: list[Region]) -> None:
    """Intrinsics of the host that are given a pointer and a memory's number get both in terms of the single memory."""
    new: dict[Any, Any] = {}
    for item in list(module.imports):
        if not isinstance(item, Function) or item.imported is None or item.imported.module != intrinsics.MODULE:
            continue
        intrinsic = intrinsics.INTRINSICS.get(item.imported.field)
        if intrinsic is not None and intrinsic.mem is not None:
            wrapper = Function(
                item.type,
                Code([], _translated(item, intrinsic, regions)),
                name=f"{item.name}.region",
                owner=item.owner,
                synthetic=KIND,
            )
            new[item] = wrapper
    wrappers = {id(f) for f in new.values()}
    module.functions += new.values()
    module.replace_uses(new, unless=lambda item: id(item) in wrappers)


def _translated(host: Function, intrinsic: intrinsics.Intrinsic, regions: list[Region]) -> list[Instruction]:
    assert intrinsic.mem is not None
    params = intrinsic.params
    pointer = params.index("ptr")
    reach = [Instruction("i64.const", (0,))]
    if "len" in params:
        reach = [Instruction("local.get", (params.index("len"),)), Instruction("i64.extend_i32_u")]
    code: list[Instruction] = []
    for region in regions:
        code += [
            Instruction("local.get", (intrinsic.mem,)),
            Instruction("i32.const", (region.number,)),
            Instruction("i32.eq"),
            Instruction("if", (None,)),
            Instruction("local.get", (pointer,)),
            *reach,
            Instruction("call", (region.at,)),
            Instruction("local.set", (pointer,)),
            Instruction("i32.const", (0,)),
            Instruction("local.set", (intrinsic.mem,)),
            Instruction("br", (1,)),
            Instruction("end"),
        ]
    code = [Instruction("block", (None,)), *code, Instruction("end")]
    return [*code, *(Instruction("local.get", (n,)) for n in range(len(params))), Instruction("call", (host,))]
