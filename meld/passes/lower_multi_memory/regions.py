"""`lower-multi-memory`: where the regions lie, how they grow, and which accesses have to be checked.

The first region starts at 0 and never moves. The last one ends where the memory ends, so the engine itself checks the
accesses to it, if its base is a constant; it is the one with the most accesses of those that grow. For its base to be a
constant nothing in front of it may move it, so each of those regions gets pages in reserve, and grows into these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from enum import Enum, auto

from meld.diagnostics import MeldError
from meld.ir.instructions import MemArg
from meld.ir.module import Function, Global, Memory, Module
from meld.ir.types import I32, Limits
from meld.notes.state import state_memories
from meld.rewriting.constants import constant
from meld.support.records import record

KIND = "memory-region"
PAGE_BITS = 16
MAX_PAGES = 65536
WHOLE_MAXIMUM = 1024
"""Pages above its minimum up to which the declared maximum of a memory is reserved in full."""

MOST_BOUNDS = 16
"""Globals with bounds that a region has at most."""


class Growth(Enum):
    """What `memory.grow` of a region does."""

    NEVER = auto()
    RESERVED = auto()  # takes pages that are the region's already
    MOVING = auto()  # grows the single memory, and moves the regions behind


class Access(Enum):
    """Who sees to it that an access stays in its region."""

    TRUSTED = "trusted"  # unchecked: generated code only has addresses that it made itself
    ENGINE = "checked by the engine"  # the region ends where the memory does
    CHECKED = "checked"  # generated code before the access


@record()
class Region:
    """The region of the memory that had the index `number`.

    Attributes:
        first_page: where it starts at first.
        pages: what it has for itself: its minimum, and pages in reserve.
        moves: whether a region in front of it can grow, so that `base` changes.
        base, size: globals of the first byte and of the size in pages.
        bounds: where it grows, globals of the last address for an access that reaches so far, by the reach.
        at: a function that checks for a number of bytes, and returns the address in the single memory.
    """

    number: int
    memory: Memory
    first_page: int
    pages: int
    growth: Growth
    access: Access
    moves: bool
    base: Global
    size: Global
    at: Function | None = None
    grow: Function | None = None
    bounds: dict[int, Global] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For people, and for the names of its items."""
        return self.memory.name or f"memory{self.number}"

    @property
    def minimum(self) -> int:
        """Its least size, in bytes."""
        return self.memory.limits.minimum << PAGE_BITS

    @property
    def start(self) -> int:
        """Its first byte at first; for ever, unless it moves."""
        return self.first_page << PAGE_BITS


@record()
class Use:
    """What the program does with a memory: how many accesses there are, and whether it grows it."""

    accesses: int = 0
    grows: bool = False


def uses(functions: Iterable[Function], memories: list[Memory]) -> dict[Memory, Use]:
    """What a program does with its memories; its bodies are decoded."""
    found = {memory: Use() for memory in memories}
    for function in functions:
        for i in function.code.instructions:
            match i.args:
                case (MemArg() as arg, *_):
                    found[arg.memory].accesses += 1
                case (Memory() as memory,) if i.op == "memory.grow":
                    found[memory].grows = True
    return found


def lay_out(module: Module, first: Memory | None, used: dict[Memory, Use], reserve: int) -> list[Region]:
    """The regions in order, with their globals.

    Args:
        first: the memory that the host sees.
        used: all memories of the module, by index.
        reserve: pages in reserve for each region that grows, at least; 0 lets regions move.
    """
    growing = {memory: use.grows and memory.limits.minimum != memory.limits.maximum for memory, use in used.items()}
    memories = sorted(used, key=lambda m: (m is not first, growing[m], used[m].accesses))
    numbers = {memory: number for number, memory in enumerate(used)}
    total = sum(m.limits.minimum for m in memories)
    if total > MAX_PAGES:
        raise MeldError(f"the memories have {total} pages together; a single memory has {MAX_PAGES} at most")
    spare = _reserves([m for m in memories[:-1] if growing[m]], reserve, (MAX_PAGES - total) // 2)
    trusted = state_memories(module)
    regions: list[Region] = []
    page = 0
    for memory in memories:
        moves = any(r.growth is Growth.MOVING for r in regions)
        last = memory is memories[-1]
        growth = Growth.NEVER
        if growing[memory]:
            growth = Growth.MOVING if last or not reserve else Growth.RESERVED
        access = Access.ENGINE if last and not moves else Access.CHECKED
        if memory in trusted:
            access = Access.TRUSTED
        number, pages = numbers[memory], memory.limits.minimum + spare.get(memory, 0)
        name = memory.name or f"memory{number}"
        regions.append(
            Region(
                number,
                memory,
                page,
                pages,
                growth,
                access,
                moves,
                _global(module, memory, f"{name}.base", page << PAGE_BITS, mutable=moves),
                _global(module, memory, f"{name}.size", memory.limits.minimum, mutable=growth is not Growth.NEVER),
            )
        )
        page += pages
    return regions


def _reserves(memories: list[Memory], reserve: int, most: int) -> dict[Memory, int]:
    """Pages in reserve of regions that grow and are not the last: as many as at first, `most` for all together."""
    found: dict[Memory, int] = {}
    for memory in memories if reserve else ():
        low, high = memory.limits.minimum, memory.limits.maximum
        room = (MAX_PAGES if high is None else high) - low
        found[memory] = room if high is not None and room <= WHOLE_MAXIMUM else min(room, max(reserve, low))
    total = sum(found.values())
    return found if total <= most else {memory: pages * most // total for memory, pages in found.items()}


def _global(module: Module, memory: Memory, name: str, value: int, *, mutable: bool) -> Global:
    """A new global of a region."""
    init = [constant(value & 0xFFFF_FFFF, is64=False)]
    item = Global(I32, mutable, init, name=name, owner=memory.owner, synthetic=KIND)
    module.add(item)
    return item


def bound_of(module: Module, region: Region, reach: int) -> Global | None:
    """The global of the last address for an access to a region that grows; None if there are too many."""
    if reach not in region.bounds:
        if len(region.bounds) == MOST_BOUNDS:
            return None
        name = f"{region.name}.bound.{reach}"
        region.bounds[reach] = _global(module, region.memory, name, region.minimum - reach, mutable=True)
    return region.bounds[reach]


def joint_limits(regions: list[Region], exported: bool) -> Limits:
    """The limits of the single memory: what the last region, or any that moves others, may grow to."""
    minimum = sum(r.pages for r in regions)
    maximum = 0
    for r in regions:
        high = r.memory.limits.maximum
        whole = r.growth is Growth.MOVING or (exported and r is regions[0])
        maximum += r.pages if not whole else MAX_PAGES if high is None else max(high, r.pages)
    # The last 64 bytes stay out of bounds for all, so that an address there can stand for one that is.
    most = MAX_PAGES if minimum == MAX_PAGES else MAX_PAGES - 1
    return Limits(minimum, min(maximum, most))
