"""Handles in values that are handed on as they are: translated in core values, or where they lie in memory.

What the passing adapters over the edge of a module compile to (`meld.rewriting.outer`), for the interpreter. It does
not watch whether the memory that the host is given overlaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from meld.abi.layout import Kind, Layout
from meld.runtime.canonical import MASK32, Handles, Side, trap_if
from meld.support.records import record

HANDLES = (Kind.OWN, Kind.BORROW)


@record()
class Passing:
    """Lifts handles from one side and lowers them to the other.

    Attributes:
        side: the memory in which values lie.
        slots: handles in lists that the host will read: address, the host's handle, and what stands there meanwhile.
    """

    source: Handles
    target: Handles
    side: Side
    slots: list[tuple[int, int, int]] = field(default_factory=list)

    def handle(self, layout: Layout, handle: int) -> int:
        """What takes the place of a handle."""
        resource = layout.resource
        if layout.kind is Kind.OWN:
            made = self.target.lower_own(resource, self.source.lift_own(resource, handle))
        else:
            made = self.target.lower_borrow(resource, self.source.lift_borrow(resource, handle))
        return made & MASK32

    def in_cores(self, layout: Layout, cores: list[int]) -> list[int]:
        """The core values of a value with other handles; those that follow are kept. Raises HostTrap."""
        if layout.kind in HANDLES:
            return [self.handle(layout, cores[0] & MASK32), *cores[1:]]
        if layout.kind is Kind.VARIANT:
            inner = _case(layout, cores[0] & MASK32)
            return cores if inner is None else [cores[0], *self.in_cores(inner, cores[1:])]
        if layout.kind is Kind.LIST:
            self._find(layout.element, *cores[:2])
            return cores
        done = 0
        for _, part in _parts(layout):
            cores = [*cores[:done], *self.in_cores(part, cores[done:])]
            done += len(part.flat)
        return cores

    def _find(self, element: Layout | None, at: int, count: int) -> None:
        """Finds the handles of a list. Raises HostTrap."""
        assert element is not None
        if element.kinds().isdisjoint(HANDLES):
            return
        memory = self.side.check_range(at, count * element.size, element.align, "list")
        for start in range(at, at + count * element.size, element.size):
            for offset, layout in _handles(element):
                slot = start + offset
                self.slots.append((slot, self.handle(layout, int.from_bytes(memory[slot : slot + 4], "little")), 0))

    def put(self) -> None:
        """Replaces the handles that were found by the host's."""
        memory = self.side.memory()
        for i, (at, handle, _) in enumerate(self.slots):
            self.slots[i] = at, handle, int.from_bytes(memory[at : at + 4], "little")
            memory[at : at + 4] = handle.to_bytes(4, "little")

    def restore(self) -> None:
        """Puts back what stood there, unless the host has written something else."""
        memory = self.side.memory()
        for at, handle, before in reversed(self.slots):
            if memory[at : at + 4] == handle.to_bytes(4, "little"):
                memory[at : at + 4] = before.to_bytes(4, "little")

    def in_memory(self, layout: Layout, at: int) -> None:
        """Translates the handles of a value that lies in memory. Raises HostTrap."""
        memory = self.side.memory()

        def number(at: int, size: int) -> int:
            return int.from_bytes(memory[at : at + size], "little")

        if layout.kind in HANDLES:
            memory[at : at + 4] = self.handle(layout, number(at, 4)).to_bytes(4, "little")
        elif layout.kind is Kind.VARIANT:
            inner = _case(layout, number(at, layout.discriminant))
            if inner is not None:
                self.in_memory(inner, at + layout.payload)
        elif layout.kind is Kind.LIST and layout.element is not None and layout.kinds() & set(HANDLES):
            start, count = number(at, self.side.width), number(at + self.side.width, self.side.width)
            for i in range(count):
                self.in_memory(layout.element, start + i * layout.element.size)
        for offset, part in _parts(layout):
            self.in_memory(part, at + offset)


def _case(layout: Layout, case: int) -> Layout | None:
    trap_if(case >= len(layout.cases), f"case {case} of a variant with {len(layout.cases)} cases")
    return layout.cases[case]


def _handles(layout: Layout, offset: int = 0) -> Iterator[tuple[int, Layout]]:
    """The handles that a record of scalars holds, with their offsets."""
    if layout.kind in HANDLES:
        yield offset, layout
    for at, part in _parts(layout):
        yield from _handles(part, offset + at)


def _parts(layout: Layout) -> list[tuple[int, Layout]]:
    """What a value holds side by side, with its offsets; nothing of what lies elsewhere."""
    if layout.kind is Kind.RECORD:
        return list(layout.fields)
    if layout.kind is Kind.FIXED_LIST:
        assert layout.element is not None
        return [(i * layout.element.size, layout.element) for i in range(layout.length)]
    return []
