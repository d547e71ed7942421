"""The pass `lower-multi-memory`: one memory where there were several, for targets with one address space.

Each memory becomes a region of the single one. Every access is checked against its region before it is made, so what
trapped still traps, and no access leaves its region. `memory.grow` moves the regions behind the one that grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.instructions import Instruction
from meld.ir.module import Global, Memory, Module
from meld.ir.notes import Note
from meld.ir.types import I32, Limits
from meld.notes.boundaries import Boundary, CanonCall, Edge, HostCall, HostExport
from meld.notes.state import StateMemory
from meld.notes.streams import IntrinsicEntry
from meld.passes.base import Pass, PassContext
from meld.passes.lower_multi_memory.bodies import KIND, PAGE_BITS, Lowering, Region
from meld.passes.lower_multi_memory.host import wrap_intrinsics
from meld.rewriting.outer import uses_memory
from meld.rewriting.rebind import rebind_notes
from meld.rewriting.splice import splice
from meld.rewriting.template import template

MAX_PAGES = 65536


class LowerMultiMemory(Pass):
    """Turn a module with several memories into one with a single memory.

    For targets that have one address space. Costs a call and a comparison for each access, and a copy of what lies
    behind a region when it grows. Imported, shared and 64-bit memories and other page sizes are refused, and so are
    pointers that the host would be given into another memory than the compiler's: it would not know where that ends.
    `host-memory`, which this pass brings, sees to it.

        (memory $first 1)
        (memory $second 1)
        (i32.load8_u $second (local.get 0))
    becomes
        (memory $memory 2 …)
        (global $second.base (mut i32) (i32.const 65536))
        (global $second.size (mut i32) (i32.const 1))
        (i32.load8_u (call $second.at (local.get 0) (i64.const 1)))
    """

    name = "lower-multi-memory"
    requires = frozenset({"merged"})
    establishes = frozenset({"one-memory"})
    after = ("rewire-calls", "handle-tables", "adapter-wiring")
    before = ("finish",)
    brings = ("host-memory",)

    def run(self, module: Module, cx: PassContext) -> None:
        if len(module.space("memories")) < 2:
            cx.remark("there is one memory at most; nothing to lower")
            return
        if not cx.allows("join memories"):
            return
        _refuse_pending(module)
        pointers = _host_pointers(module)
        if pointers and cx.gate.refused:
            return
        for what, memory in pointers:
            raise MeldError(
                f"the host is given pointers into `{memory.name or 'memory'}` by the {what}; "
                "in a single memory nothing would keep them inside its region",
                hint="run host-memory and adapter-wiring before it; for an asynchronous function, behind wire-entries",
            )
        memories = _in_order(module)
        for number, memory in enumerate(module.space("memories")):
            _refuse(memory, _name(memory, number))
        single = Memory(_joint_limits(memories), name="memory", synthetic=KIND)
        regions = _regions(module, memories)
        for region in regions:
            _emit(module, single, region, regions)
        lowering = Lowering(module, single, {region.memory: region for region in regions})
        accesses = lowering.lower_all()
        module.memories = [single]
        for export in module.exports:
            if export.item in lowering.regions:
                export.item = single
        _forget(module, lowering.regions)
        rebind_notes(module, dict.fromkeys(lowering.regions, single))
        wrap_intrinsics(module, single, regions, cx)
        cx.stats["regions"] = len(regions)
        cx.stats["checked accesses"] = accesses
        cx.remark(
            f"{len(regions)} memories are one now, in the order "
            + ", ".join(f"`{_name(region.memory, region.number)}`" for region in regions)
            + f": each of {accesses} accesses is checked against its region by a call, and growing a region copies "
            "what lies behind it"
        )


def _refuse_pending(module: Module) -> None:
    for item in module.imports:
        for n in item.notes:
            if isinstance(n, Boundary):
                raise MeldError(
                    f"the call of `{n.label}` from `{n.caller.name}` is still a boundary",
                    hint="run adapter-wiring before lower-multi-memory",
                )
            if isinstance(n, Edge):
                raise MeldError(
                    f"the values in `{n.label}` of `{n.instance.name}` are still to be translated",
                    hint="run handle-tables and adapter-wiring before lower-multi-memory",
                )


def _host_pointers(module: Module) -> list[tuple[str, Memory]]:
    """The calls that give the host pointers into a memory other than the state memory: for people, and the memory."""
    trusted = {note.memory for note in module.notes_of(StateMemory)}
    found: list[tuple[str, Memory]] = []
    for n in module.notes_of(HostExport):
        if uses_memory(n.type, n.lift, imported=False) and n.lift.memory is not None:
            found.append((f"export `{n.label}`", n.lift.memory))
    for _, one in module.noted(Note):
        match one:
            case HostCall() if uses_memory(one.type, one.lower, imported=True) and one.lower.memory is not None:
                found.append((f"import `{one.label}`", one.lower.memory))
            case CanonCall() if one.options.memory is not None:
                found.append((f"built-in `{one.builtin}`", one.options.memory))
            case _:
                pass
    return [(what, memory) for what, memory in found if memory not in trusted]


def _in_order(module: Module) -> list[Memory]:
    """The memories, the one that the host sees first: its region starts at 0 and never moves."""
    memories: list[Memory] = module.space("memories")
    seen_by_host = {export.item for export in module.exports if isinstance(export.item, Memory)}
    options = [n.lift for n in module.notes_of(HostExport)]
    options += [n.lower for _, n in module.noted(HostCall)]
    seen_by_host |= {o.memory for o in options if o.memory is not None}
    if len(seen_by_host) > 1:
        names = ", ".join(f"`{_name(m, number)}`" for number, m in enumerate(memories) if m in seen_by_host)
        raise MeldError(
            f"the host is given pointers into several memories ({names})",
            hint="in a single memory it could not tell them apart",
        )
    return sorted(memories, key=lambda m: m not in seen_by_host)


def _name(memory: Memory, number: int) -> str:
    return memory.name or f"memory{number}"


def _refuse(memory: Memory, name: str) -> None:
    limits = memory.limits
    for wrong, what in (
        (memory.imported is not None, "is imported"),
        (limits.is64, "has 64-bit addresses"),
        (limits.shared, "is shared between threads"),
        (limits.page_size_log2 not in (None, PAGE_BITS), "has pages of another size"),
    ):
        if wrong:
            raise MeldError(f"memory `{name}` {what} and cannot become a region of a single memory")


def _joint_limits(memories: list[Memory]) -> Limits:
    minimum = sum(m.limits.minimum for m in memories)
    if minimum > MAX_PAGES:
        raise MeldError(f"the memories have {minimum} pages together; a single memory has {MAX_PAGES} at most")
    maximum = sum(m.limits.maximum if m.limits.maximum is not None else MAX_PAGES for m in memories)
    return Limits(minimum, min(maximum, MAX_PAGES))


def _regions(module: Module, memories: list[Memory]) -> list[Region]:
    regions = []
    page = 0
    numbers = {memory: number for number, memory in enumerate(module.space("memories"))}
    for memory in memories:
        name = _name(memory, numbers[memory])

        def made(what: str, value: int, name: str = name, memory: Memory = memory) -> Global:
            init = [Instruction("i32.const", (value,))]
            item = Global(I32, True, init, name=f"{name}.{what}", owner=memory.owner, synthetic=KIND)
            module.add(item)
            return item

        base, size = made("base", page << PAGE_BITS & 0xFFFF_FFFF), made("size", memory.limits.minimum)
        regions.append(Region(numbers[memory], memory, page, base, size))
        page += memory.limits.minimum
    return regions


def _emit(module: Module, single: Memory, region: Region, regions: list[Region]) -> None:
    """Adds the region's functions."""
    behind = regions[regions.index(region) + 1 :]
    maximum = region.memory.limits.maximum
    source = template(
        __name__,
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
    prefix = _name(region.memory, region.number)
    new = splice(source, module, bindings, synthetic=KIND, rename=lambda item: f"{prefix}.{item.name}").new
    region.at, region.grow = (new[f] for f in source.functions)


def _forget(module: Module, regions: Mapping[Memory, Region]) -> None:
    """Drops notes that speak of a memory which is no more; what a region is, its globals say."""

    def speaks_of_region(n: Note) -> bool:
        return any(isinstance(value := getattr(n, f.name), Memory) and value in regions for f in fields(n))

    for holder in (module, *module.items()):
        for n in holder.notes:
            if isinstance(n, IntrinsicEntry) and n.memory in regions:
                n.memory = None
        holder.notes = [n for n in holder.notes if not speaks_of_region(n)]
