"""The state memory: one memory for everything that generated code keeps at run time.

Static regions come first; their addresses are known at compile time, and all-zero is their initial state, so there are
no data segments. Behind them begins a heap, whose functions stand in state.wat. Passes reserve regions and link in
templates of WAT; whatever a template imports from ``meld`` is found here:

    (import "meld" "state" (memory $state 1))             the memory
    (import "meld" "block_new" (func $new …))             a function that is linked already, or the heap's
    (import "meld" "trap TABLE" (func $full))             what traps for a reason (`meld.abi.traps.Trap`)

Engines limit the memories of a module (100 in wasmtime and browsers), and a program of many components has one each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import Any

from meld.ir.instructions import Instruction
from meld.ir.module import CoreItem, Function, Global, Memory, Module
from meld.ir.types import I32, Limits
from meld.notes.state import Linked, StateMemory
from meld.rewriting.link import link
from meld.support.records import record

KIND = "state"
"""The kind of the generated items (`Item.synthetic`)."""
PAGE = 1 << 16
GRAIN = 16
HEADS = 32 * 4
"""Bytes of the heads of the heap's free lists, one for each size class."""
HEAP = ("block_new", "block_free")
ARENA = ("arena_realloc", "arena_take", "arena_put", "arena_free", "arena_hand", "arena_post_return")
WATCH = ("watch_begin", "watch_end", "watch")
TEMPLATES = dict.fromkeys(HEAP, "state.wat") | dict.fromkeys(ARENA, "arena.wat") | dict.fromkeys(WATCH, "watch.wat")
"""The templates beside this file, by the functions that they define."""


@record()
class State:
    """The state memory of a module. Make it with `State.of`; `linked` are the functions linked in, by label."""

    module: Module
    note: StateMemory
    linked: dict[str, Function] = field(default_factory=dict)

    @classmethod
    def of(cls, module: Module) -> State:
        """The state memory of a module, made if there is none."""
        for note in module.notes_of(StateMemory):
            return cls(module, note, {n.label: n.function for n in module.notes_of(Linked)})
        memory = Memory(Limits(1), name="state", synthetic=KIND)
        base = Global(I32, False, name="state.base", synthetic=KIND)
        top = Global(I32, True, name="state.top", synthetic=KIND)
        note = StateMemory(memory, base, top)
        module.memories.append(memory)
        module.globals += [base, top]
        module.notes.append(note)
        made = cls(module, note)
        made._resize(0)
        return made

    @property
    def memory(self) -> Memory:
        """The memory itself."""
        return self.note.memory

    def fixed(self, size: int) -> None:
        """Reserves the region from address 0 on, which nothing may have taken before."""
        assert self.note.size == 0, "a static region has been reserved before the one at address 0"
        self._resize(size)

    def reserve(self, size: int, align: int = GRAIN) -> int:
        """Reserves a static region of so many bytes, all zero at first.

        Returns:
            Its address: a multiple of `align`, and not 0.
        """
        start = -(-max(self.note.size, GRAIN) // align) * align
        self._resize(start + size)
        return start

    def _resize(self, size: int) -> None:
        """The static regions end at `size`; the heap begins behind them."""
        self.note.size = size
        base = -(-max(size, GRAIN) // GRAIN) * GRAIN
        self.note.base.init = [Instruction("i32.const", (base,))]
        self.note.top.init = [Instruction("i32.const", (base + HEADS,))]
        pages = -(-(base + HEADS) // PAGE)
        self.memory.limits = replace(self.memory.limits, minimum=max(self.memory.limits.minimum, pages))

    # --- functions ---------------------------------------------------------------------------------------------------

    def function(self, label: str) -> Function:
        """A function of the runtime, by the name that templates import it by; linked on first use."""
        if label not in self.linked and label in TEMPLATES:
            self.link(__package__, TEMPLATES[label], kind=KIND)
        return self.linked[label]

    def link(
        self,
        package: str,
        name: str,
        params: Mapping[str, Any] | None = None,
        given: Mapping[str, CoreItem] | None = None,
        *,
        kind: str,
        prefix: str = "",
        shared: bool = True,
    ) -> dict[str, Function]:
        """Adds the items of a template to the module.

        Args:
            package, name, params: as for `template`.
            given: what else stands for its imports from ``meld``, by their names.
            kind: what the items are, for attribution.
            prefix: what their names begin with; the kind if it is empty.
            shared: whether other templates find its exports from now on.

        Returns:
            Its exported functions by name.
        """
        made = link(self.module, package, name, params, _Found(self, given or {}), kind=kind, prefix=prefix)
        if shared:
            self.linked |= made
            self.module.notes += [Linked(label, function) for label, function in made.items()]
        return made


class _Found(Mapping[str, CoreItem]):
    """The items that templates import from ``meld``: given ones, the state memory and its globals, linked functions."""

    def __init__(self, state: State, given: Mapping[str, CoreItem]) -> None:
        self.state = state
        self.given = given

    def __getitem__(self, label: str) -> CoreItem:
        note = self.state.note
        own: dict[str, CoreItem] = {"state": note.memory, "base": note.base, "top": note.top}
        return self.given.get(label) or own.get(label) or self.state.function(label)

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)
