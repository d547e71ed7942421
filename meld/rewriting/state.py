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

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from meld.abi.traps import Trap, trap_function
from meld.ir.instructions import Instruction
from meld.ir.module import CoreItem, Function, Global, Memory, Module
from meld.ir.types import I32, Limits
from meld.notes.state import Linked, StateMemory
from meld.rewriting.splice import splice
from meld.rewriting.template import template
from meld.support.records import record

KIND = "state"
"""What the items are, for attribution (`Item.synthetic`)."""
PAGE = 1 << 16
GRAIN = 16
HEADS = 32 * 4
"""Bytes of the heads of the heap's free lists, one for each size class."""
HEAP = ("block_new", "block_free")
ARENA = ("arena_realloc", "arena_take", "arena_put", "arena_free", "arena_hand", "arena_post_return")
TEMPLATES = dict.fromkeys(HEAP, "state.wat") | dict.fromkeys(ARENA, "arena.wat")
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
        """A function of the runtime, by the name that templates import it by; linked when it is first asked for."""
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
        source = template(package, name, dict(params or {}))
        bindings = {item: self._bound(item, given or {}) for item in source.imports}
        prefix = prefix or kind
        spliced = splice(source, self.module, bindings, synthetic=kind, rename=lambda item: f"{prefix}.{item.name}")
        made = {label: f for label, f in spliced.exports.items() if isinstance(f, Function)}
        if shared:
            self.linked |= made
            self.module.notes += [Linked(label, function) for label, function in made.items()]
        return made

    def _bound(self, item: CoreItem, given: Mapping[str, CoreItem]) -> CoreItem:
        assert item.imported is not None
        match item.imported.field.split():
            case ["trap", reason]:
                return trap_function(self.module, Trap[reason])
            case [label] if label in given:
                return given[label]
            case ["state"]:
                return self.note.memory
            case ["base"]:
                return self.note.base
            case ["top"]:
                return self.note.top
        return self.function(item.imported.field)
