"""The pass `lower-multi-memory`: one memory where there were several, for targets with one address space.

Each memory becomes a region of the single one. What trapped still traps, and no access leaves its region: by a check
before it, by the bounds of the single memory, or because the compiler made the address itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.module import Function, Memory, Module
from meld.ir.notes import Note
from meld.ir.types import I32
from meld.notes.boundaries import Boundary, CanonCall, Edge, HostBuiltin, HostCall, HostExport
from meld.notes.host_modules import HostModule, reached
from meld.notes.state import state_memories
from meld.notes.streams import IntrinsicEntry
from meld.passes.base import Pass, PassContext, option
from meld.passes.lower_multi_memory.absolute import absolute_functions
from meld.passes.lower_multi_memory.bodies import Lowering
from meld.passes.lower_multi_memory.host import wrap_intrinsics
from meld.passes.lower_multi_memory.regions import (
    KIND,
    MAX_PAGES,
    PAGE_BITS,
    Access,
    Growth,
    Region,
    joint_limits,
    lay_out,
    uses,
)
from meld.rewriting.liveness import reachable
from meld.rewriting.outer import uses_memory
from meld.rewriting.rebind import rebind_notes
from meld.rewriting.splice import splice
from meld.rewriting.template import template


class LowerMultiMemory(Pass):
    """Turn a module with several memories into one with a single memory.

    For targets that have one address space. Accesses to the memory that comes last, of those that grow the one with the
    most accesses, and to the compiler's own cost nothing; others are checked, unless a check before them or a constant
    says enough. A memory that grows, and is not the last one, has ``reserve`` pages, or as many as at first, to grow
    into; with ``reserve=0`` it takes what it needs, and moves what lies behind it, at the cost of checks for all.
    Imported, shared and 64-bit memories and other page sizes are refused, and so are pointers that the host would be
    given into another memory than the compiler's: it would not know where that ends. `host-memory`, which this pass
    brings, sees to it.

        (memory $first 1)
        (memory $second 1)
        (i32.load8_u $first (local.get 0))
        (i32.load8_u $second (local.get 0))
    becomes
        (memory $memory 2)
        (i32.load8_u (call $first.at (local.get 0) (i32.const 1)))
        (i32.load8_u offset=65536 (local.get 0))
    """

    name = "lower-multi-memory"
    requires = frozenset({"merged"})
    establishes = frozenset({"one-memory"})
    after = ("rewire-calls", "handle-tables", "adapter-wiring")
    before = ("finish",)
    brings = ("host-memory",)
    reserve: int = option(256, "pages in reserve, at least, for each memory that grows, but the last; 0: they move")

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
                hint="run host-memory and adapter-wiring before it, and host-memory before emit-tasks",
            )
        first = _seen_by_host(module)
        memories: list[Memory] = module.space("memories")
        shared = {item for n in module.notes_of(HostModule) for item in reached(module, n)}
        for number, memory in enumerate(memories):
            _refuse(memory, _name(memory, number), given=memory in shared)
        used = uses(module.functions, memories)
        regions = lay_out(module, first, used, self.reserve)
        exported = any(isinstance(export.item, Memory) for export in module.exports)
        single = Memory(joint_limits(regions, exported), name="memory", synthetic=KIND)
        for region in regions:
            if region.access is not Access.TRUSTED:
                region.at = _emit_check(module, single, region)
            if used[region.memory].grows:
                region.grow = Function(module.func_type((I32,), (I32,)), name=f"{region.name}.grow")
        whole = single.limits.maximum == MAX_PAGES  # an end may be 2³² then, which is 0
        absolute = {} if whole else absolute_functions(module)
        lowering = Lowering(module, single, {r.memory: r for r in regions}, not whole, absolute)
        lowering.lower_all()
        growth = {
            region.grow: _emit_growth(module, single, region, [r for r in regions[n + 1 :] if r.moves])
            for n, region in enumerate(regions)
            if region.grow is not None
        }
        module.replace_uses(growth)
        module.memories = [single]
        for export in module.exports:
            if export.item in lowering.regions:
                export.item = single
        _forget(module, lowering.regions)
        rebind_notes(module, dict.fromkeys(lowering.regions, single))
        wrap_intrinsics(module, single, regions, cx)
        cx.stats["regions"] = len(regions)
        cx.stats["accesses"] = lowering.accesses
        cx.stats["checked accesses"] = lowering.checks
        cx.remark(
            f"{len(regions)} memories are one now, of {single.limits.minimum} pages: "
            + ", ".join(_described(region) for region in regions)
            + f"; {lowering.checks} of {lowering.accesses} accesses are checked"
        )


def _described(region: Region) -> str:
    """A region in a remark: its name, whether its accesses are checked, and how far it can grow."""
    high = region.memory.limits.maximum
    growth = {
        Growth.NEVER: f"of {region.pages} pages",
        Growth.RESERVED: f"grows to {region.pages} pages",
        Growth.MOVING: "grows" if high is None else f"grows to {high} pages",
    }[region.growth]
    return f"`{region.name}` ({region.access.value}, {growth})"


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
    trusted = state_memories(module)
    found: list[tuple[str, Memory]] = []
    for n in module.notes_of(HostExport):
        if uses_memory(n.type, n.lift, imported=False) and n.lift.memory is not None:
            found.append((f"export `{n.label}`", n.lift.memory))
    live = reachable(module)
    for item, one in module.noted(Note):
        if not isinstance(item, Function) or item.imported is None or item not in live:
            continue  # a built-in that is a function of the module, or is not called
        match one:
            case HostCall() if uses_memory(one.type, one.lower, imported=True) and one.lower.memory is not None:
                found.append((f"import `{one.label}`", one.lower.memory))
            case CanonCall() | HostBuiltin() if one.options.memory is not None:
                found.append((f"built-in `{one.builtin}`", one.options.memory))
            case _:
                pass
    return [(what, memory) for what, memory in found if memory not in trusted]


def _seen_by_host(module: Module) -> Memory | None:
    """The memory that the host sees: its region starts at 0 and never moves."""
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
    return next(iter([*seen_by_host, *state_memories(module)]), None)


def _name(memory: Memory, number: int) -> str:
    return memory.name or f"memory{number}"


def _refuse(memory: Memory, name: str, *, given: bool) -> None:
    limits = memory.limits
    for wrong, what in (
        (memory.imported is not None, "is imported"),
        (given, "is given to a core module that the host provides"),
        (limits.is64, "has 64-bit addresses"),
        (limits.shared, "is shared between threads"),
        (limits.page_size_log2 not in (None, PAGE_BITS), "has pages of another size"),
    ):
        if wrong:
            raise MeldError(f"memory `{name}` {what} and cannot become a region of a single memory")


GROW = {
    Growth.NEVER: "grow_never.wat",
    Growth.RESERVED: "grow_reserved.wat",
    Growth.MOVING: "grow_moving.wat",
}


def _add(module: Module, region: Region, name: str, params: dict[str, Any], given: dict[str, Any]) -> Function:
    """Adds the function of a template for a region."""
    source = template(__name__, name, params)
    bindings = {item: given[item.imported.field] for item in source.imports if item.imported}
    new = splice(source, module, bindings, synthetic=KIND, rename=lambda item: f"{region.name}.{item.name}").new
    (function,) = (new[f] for f in source.functions)
    assert isinstance(function, Function)
    return function


def _emit_check(module: Module, single: Memory, region: Region) -> Function:
    """Adds the function that checks what is not checked in place."""
    size = "(i64.shl (i64.extend_i32_u (global.get $size)) (i64.const 16))"
    params = _types(region) | {"bytes": f"(i64.const {region.minimum})" if region.growth is Growth.NEVER else size}
    return _add(module, region, "at.wat", params, {"memory": single, "base": region.base, "size": region.size})


def _emit_growth(module: Module, single: Memory, region: Region, behind: list[Region]) -> Function:
    """Adds what `memory.grow` of a region is, when all bounds of it are known."""
    high = region.memory.limits.maximum
    maximum = region.pages if region.growth is not Growth.MOVING else MAX_PAGES if high is None else high
    moved = {f"base{r.number}": r.base for r in behind}
    bounds = {f"bound{reach}": bound for reach, bound in region.bounds.items()}
    params: dict[str, Any] = {
        "maximum": maximum,
        "moved": ", ".join(f"${name}" for name in moved) or "none",
        "globals": "\n".join(f'  (import "meld" "{name}" (global ${name} (mut i32)))' for name in moved | bounds),
        "moves": "\n".join(
            f"    (global.set ${name} (i32.add (global.get ${name}) (local.get $bytes)))" for name in moved
        ),
        "bounds": "\n".join(
            f"    (global.set $bound{reach}\n"
            f"      (i32.sub (i32.shl (global.get $size) (i32.const 16)) (i32.const {reach})))"
            for reach in region.bounds
        ),
    }
    given: dict[str, Any] = {"memory": single, "base": region.base, "size": region.size}
    return _add(module, region, GROW[region.growth], _types(region) | params, given | moved | bounds)


def _types(region: Region) -> dict[str, Any]:
    """The types of a region's globals, for templates."""
    return {what: "(mut i32)" if g.mutable else "i32" for what, g in (("base", region.base), ("size", region.size))}


def _forget(module: Module, regions: Mapping[Memory, Region]) -> None:
    """Drops notes about memories that are gone; the globals of a region describe it."""

    def speaks_of_region(n: Note) -> bool:
        return any(isinstance(value := getattr(n, f.name), Memory) and value in regions for f in fields(n))

    for holder in (module, *module.items()):
        for n in holder.notes:
            if isinstance(n, IntrinsicEntry) and n.memory in regions:
                n.memory = None
        holder.notes = [n for n in holder.notes if not speaks_of_region(n)]
