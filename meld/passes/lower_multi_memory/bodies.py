"""`lower-multi-memory`: the rewriting of bodies and data segments.

An access that has to be checked is checked where its address is on top of the stack. For a store that is before its
value, if that is pure; else the operands above the address go into locals for a moment. In a short loop the check
stands in place, elsewhere a function is called, since it is shorter: 4 bytes instead of 11. Neighbours that share a
base are checked once, for the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from meld.diagnostics import MeldError
from meld.ir.instructions import Code, IndexOf, Instruction, MemArg, references
from meld.ir.module import Function, Memory, Module
from meld.ir.opcodes import OPS
from meld.ir.types import F32, F64, I32, I64, V128, ValType
from meld.passes.lower_multi_memory.absolute import Absolute, made_absolute
from meld.passes.lower_multi_memory.facts import Facts, Loops
from meld.passes.lower_multi_memory.regions import KIND, Access, Growth, Region, bound_of
from meld.rewriting.constants import constant, integer, is_in_bounds
from meld.rewriting.liveness import body_uses
from meld.rewriting.resumable.operands import FIXED
from meld.support.records import record

PREFIX_TYPES: dict[str, ValType] = {"i32": I32, "i64": I64, "f32": F32, "f64": F64, "v128": V128}

NOWHERE = -64
"""An address that is never in bounds (`regions.joint_limits`), and aligned for every access."""

FURTHEST = 256
"""Instructions of the value of a store among which its address is looked for."""

LOOK_AHEAD = 48
"""Instructions behind a check among which accesses with the same base are looked for."""

MAY_TRAP = ("div", "rem", "trunc_f")


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


def _is_pure(op: str) -> bool:
    """Whether an instruction only makes a value, and traps for no other reason than an address out of bounds."""
    if op in ("local.get", "local.tee", "global.get", "select", "nop"):
        return True
    prefix, _, rest = op.partition(".")
    if op not in FIXED or len(FIXED[op][1]) != 1 or prefix in ("memory", "ref", "array", "struct", "i31"):
        return False
    return "atomic" not in rest and not rest.startswith(MAY_TRAP)


PURE: dict[str, tuple[int, int]] = {
    op: (FIXED[op][0], len(FIXED[op][1])) if op in FIXED else {"select": (3, 1), "local.tee": (1, 1)}.get(op, (0, 1))
    for op in OPS
    if _is_pure(op)
}
"""Pure instructions: how many operands they have, and how many results."""


@record()
class Lowering:
    module: Module
    single: Memory
    regions: dict[Memory, Region]
    has_nowhere: bool = True
    absolute: dict[Function, Absolute] = field(default_factory=dict)
    accesses: int = 0
    checks: int = 0

    def lower_all(self) -> None:
        kept = dict.fromkeys(made.function for made in self.absolute.values())
        for function in kept:
            made_absolute(function, self.absolute, self.single)
            self.accesses += sum(1 for i in function.instructions if i.args and isinstance(i.args[0], MemArg))
        self.module.functions = [f for f in self.module.functions if f in kept or f not in self.absolute]
        for function in self.module.functions:
            if function.synthetic != KIND and function not in kept and self.concerns(function):
                code = function.code
                code.instructions = _Body(self, function, code).lowered()
        self.segments()

    def concerns(self, function: Function) -> bool:
        return any(item in self.regions or item in self.absolute for item in body_uses(function))

    def segments(self) -> None:
        """Active segments: moved to their region where they lie in it for sure, else written by the start function."""
        active = [d for d in self.module.datas if d.memory is not None]
        if all(is_in_bounds(data) for data in active):
            for data in active:
                assert data.memory is not None and data.offset is not None
                address = (integer(data.offset) or 0) + self.regions[data.memory].start & 0xFFFF_FFFF
                data.memory, data.offset, data.explicit_memory = self.single, [constant(address, is64=False)], False
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


@record()
class _Address:
    """An address that has to be checked, or moved: of the access `index`, whose operand it is.

    Attributes:
        local: where it is too, if it is in a local.
        value: what it is, if it is a constant.
    """

    index: int
    region: Region
    reach: int
    local: int | None
    value: int | None


@record()
class _Body:
    """Rewrites one body; its temporaries are added behind its locals, one per type and use."""

    lowering: Lowering
    function: Function
    code: Code
    temporaries: dict[tuple[ValType, int], int] = field(default_factory=dict)
    moved: set[int] = field(default_factory=set)  # accesses whose address is one of the single memory already

    def temporary(self, t: ValType, number: int) -> int:
        """A local of a type; `number` tells those apart that are alive together."""
        found = self.temporaries.get((t, number))
        if found is None:
            found = len(self.function.signature.params) + len(self.code.locals)
            self.code.locals.append(t)
            self.temporaries[t, number] = found
        return found

    def lowered(self) -> list[Instruction]:
        """The new instructions."""
        old = self.code.instructions
        places, late = self.addresses(old)
        if not places and not late:
            return [new for i in old for new in self.one(i)]
        facts = Facts(Loops.of(old))
        out: list[Instruction] = []
        for index, i in enumerate(old):
            if index in places:
                out += self.checked(places[index], index, places, facts)
            if index in late:
                out += self.displaced(late[index], i, facts)
            elif index in self.moved:
                out.append(_access(i, self.lowering.single, 0))
            else:
                out += self.one(i)
            facts.pass_by(index, i)
        return out

    # --- addresses ---------------------------------------------------------------------------------------------------

    def addresses(self, old: Sequence[Instruction]) -> tuple[dict[int, _Address], dict[int, _Address]]:
        """The addresses that are not right as they are.

        Returns:
            By the instruction in front of which they are on top of the stack; and by their access, if there is none.
        """
        places: dict[int, _Address] = {}
        late: dict[int, _Address] = {}
        for index, i in enumerate(old):
            if not i.args or not isinstance(i.args[0], MemArg):
                continue
            self.lowering.accesses += 1
            region = self.lowering.regions[i.args[0].memory]
            if region.access is not Access.CHECKED and not region.moves:
                continue
            place = _place(old, index, len(operands(i.op)))
            address = _Address(index, region, i.args[0].offset + (1 << OPS[i.op].align), None, None)
            if place is None:
                late[index] = address
                continue
            match old[place - 1] if place else None:
                case Instruction(op="local.get" | "local.tee", args=(int(local),)):
                    address.local = local
                case Instruction(op="i32.const", args=(int(value),)):
                    address.value = value & 0xFFFF_FFFF
            places[place] = address
        return places, late

    def checked(self, address: _Address, place: int, places: dict[int, _Address], facts: Facts) -> list[Instruction]:
        """What is done to the address on top of the stack: it is checked, unless it need not be, and moved."""
        region, reach = address.region, address.reach
        if facts.known is None:
            return []
        known = region.access is not Access.CHECKED or _is_inside(address)
        if not known and address.local is not None:
            known = facts.covers(address.local, region, reach)
            if not known:
                reach = self.widened(address, place, places)
                facts.learn(address.local, region, reach)
        if not known:
            self.lowering.checks += 1
        in_place = not known and facts.in_short_loop and self.lowering.has_nowhere and address.value is None
        bound = self.bound(region, reach) if in_place and reach <= region.minimum else None
        if region.moves or not (known or bound):
            self.moved.add(address.index)
        if known:
            return self.add_base(region)
        if bound is not None:
            return self.in_place(address, bound)
        if reach > 0xFFFF_FFFF:
            return [Instruction("drop"), Instruction("i32.const", (NOWHERE,))]
        return [constant(reach, is64=False), Instruction("call", (region.at,))]

    def add_base(self, region: Region) -> list[Instruction]:
        """Adds the base of a region that moves; others have it in the offset of each access."""
        return [Instruction("global.get", (region.base,)), Instruction("i32.add")] if region.moves else []

    def bound(self, region: Region, reach: int) -> Instruction | None:
        """The last address for an access that reaches no further than the region does at first."""
        if region.growth is Growth.NEVER:
            return constant((region.minimum - reach) & 0xFFFF_FFFF, is64=False)
        bound = bound_of(self.lowering.module, region, reach)
        return None if bound is None else Instruction("global.get", (bound,))

    def in_place(self, address: _Address, bound: Instruction) -> list[Instruction]:
        """Selects the address, or one that is nowhere."""
        region = address.region
        local = self.temporary(I32, 0) if address.local is None else address.local
        return [
            *([Instruction("local.tee", (local,))] if address.local is None else []),
            *self.add_base(region),
            Instruction("i32.const", (NOWHERE,)),
            Instruction("local.get", (local,)),
            bound,
            Instruction("i32.le_u"),
            Instruction("select"),
        ]

    def widened(self, address: _Address, place: int, places: dict[int, _Address]) -> int:
        """The reach of a check that serves neighbours with the same base as well.

        They must be reached whenever the checked access is, and nothing that can be told may happen before them.
        """
        old, reach, local = self.code.instructions, address.reach, address.local
        if reach > address.region.minimum:
            return reach
        for index in range(place, min(place + LOOK_AHEAD, len(old))):
            other = places.get(index)
            if (
                other is not None
                and (other.local, other.region) == (local, address.region)
                and other.reach <= other.region.minimum
            ):
                reach = max(reach, other.reach)
            i = old[index]
            if i.op not in PURE or (i.op == "local.tee" and i.args[0] == local):
                break
        return reach

    def displaced(self, address: _Address, i: Instruction, facts: Facts) -> list[Instruction]:
        """An access whose address lies below operands that may do anything."""
        if facts.known is None:
            return self.one(i)
        kept = [self.temporary(t, n + 1) for n, t in enumerate(operands(i.op))]
        return [
            *(Instruction("local.set", (local,)) for local in reversed(kept)),
            *self.checked(address, address.index, {}, facts),
            *(Instruction("local.get", (local,)) for local in kept),
            *([_access(i, self.lowering.single, 0)] if address.index in self.moved else self.one(i)),
        ]

    # --- instructions ------------------------------------------------------------------------------------------------

    def one(self, i: Instruction) -> list[Instruction]:
        """The instructions that replace one; the address of an access has been seen to."""
        regions, single = self.lowering.regions, self.lowering.single
        match i:
            case Instruction(args=(MemArg(memory=memory), *_)):
                return [_access(i, single, 0 if regions[memory].moves else regions[memory].start)]
            case Instruction(op="memory.size", args=(memory,)):
                region = regions[memory]
                if region.growth is Growth.NEVER:
                    return [Instruction("i32.const", (region.memory.limits.minimum,), i.span)]
                return [Instruction("global.get", (region.size,), i.span)]
            case Instruction(op="memory.grow", args=(memory,)):
                return [Instruction("call", (regions[memory].grow,), i.span)]
            case Instruction(op="call", args=(Function() as callee,)):
                made = self.lowering.absolute.get(callee)
                return [i] if made is None else self.call(made, i)
            case Instruction(op="memory.fill", args=(memory,)):
                return self.bulk(regions[memory], None, Instruction("memory.fill", (single,), i.span))
            case Instruction(op="memory.copy", args=(to, source)):
                return self.bulk(regions[to], regions[source], Instruction("memory.copy", (single, single), i.span))
            case Instruction(op="memory.init", args=(memory, data)):
                return self.bulk(regions[memory], None, Instruction("memory.init", (single, data), i.span))
            case Instruction(op="i32.const", args=(IndexOf(memory),)):
                return [Instruction("i32.const", (regions[memory].number,), i.span)]
        if any(item in regions for item in references(i)):
            raise MeldError(f"`{i.op}` cannot be lowered to a single memory", span=i.span)
        return [i]

    def call(self, made: Absolute, i: Instruction) -> list[Instruction]:
        """A call of a function that takes addresses of the single memory."""
        params, results = made.function.signature.params, made.function.signature.results
        return [
            *self.shifted(params, made.params, "i32.add"),
            Instruction("call", (made.function,), i.span, place=i.place),
            *self.shifted(results, made.results, "i32.sub"),
        ]

    def shifted(self, types: Sequence[ValType], memories: Sequence[Memory | None], op: str) -> list[Instruction]:
        """Adds the bases of memories to the addresses among the values on top of the stack, or subtracts them."""
        bases = [[] if memory is None else _base(self.lowering.regions[memory]) for memory in memories]
        first = next((n for n, base in enumerate(bases) if base), len(bases))
        kept = [self.temporary(t, n + 1) for n, t in enumerate(types[first + 1 :])]
        out = [Instruction("local.set", (local,)) for local in reversed(kept)]
        for base, value in zip(bases[first:], [None, *kept], strict=False):
            out += [] if value is None else [Instruction("local.get", (value,))]
            out += [*base, Instruction(op)] if base else []
        return out

    def bulk(self, to: Region, source: Region | None, i: Instruction) -> list[Instruction]:
        """The three operands (to, from or value, count), with addresses in the single memory."""
        middle, count = self.temporary(I32, 1), self.temporary(I32, 2)
        first, second = _address_of_bulk(to, count), [] if source is None else _address_of_bulk(source, count)
        self.lowering.accesses += 1 if source is None else 2
        if not first and not second:
            return [i]
        return [
            Instruction("local.set", (count,)),
            Instruction("local.set", (middle,)),
            *first,
            Instruction("local.get", (middle,)),
            *second,
            Instruction("local.get", (count,)),
            i,
        ]


def _access(i: Instruction, single: Memory, start: int) -> Instruction:
    """An access to the single memory, so many bytes behind."""
    arg, *rest = i.args
    moved = MemArg(arg.align, min(arg.offset + start, 0xFFFF_FFFF), single)
    return Instruction(i.op, (moved, *rest), i.span, i.label, i.notes, i.place)


def _place(old: Sequence[Instruction], access: int, above: int) -> int | None:
    """The instruction in front of which the address of an access is on top of the stack, if what follows is pure."""
    if above == 0:
        return access
    missing = above
    for index in range(access - 1, max(access - FURTHEST, 0) - 1, -1):
        effect = PURE.get(old[index].op)
        if effect is None:
            return None
        missing += effect[0] - effect[1]
        if missing == 0:
            return index
    return None


def _is_inside(address: _Address) -> bool:
    """Whether the address is a constant such that the access is in bounds for ever."""
    return address.value is not None and address.value + address.reach <= address.region.minimum


def _address_of_bulk(region: Region, count: int) -> list[Instruction]:
    """The address on top of the stack, of as many bytes as the local says, becomes one of the single memory."""
    if region.access is not Access.TRUSTED:
        return [Instruction("local.get", (count,)), Instruction("call", (region.at,))]
    base = _base(region)
    return [*base, Instruction("i32.add")] if base else []


def _base(region: Region) -> list[Instruction]:
    """The first byte of a region; nothing where it is 0 for ever."""
    if region.moves:
        return [Instruction("global.get", (region.base,))]
    return [constant(region.start, is64=False)] if region.start else []
