"""A module with several memories beside what `lower-multi-memory` makes of it, under the engine, call by call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import wasmtime

from meld.binary.writer import write_module
from meld.ir.module import Export, Module
from meld.ir.types import V128, NumType
from meld.passes.base import PassContext
from meld.passes.lower_multi_memory import LowerMultiMemory
from meld.runtime.host import Host
from meld.runtime.instantiate import Trapped, engine, instantiate
from meld.text.reading.program import parse_module

PAGE = 65536
AS_MEMORY = "out of bounds memory access"

SAME_TRAP = {
    "unaligned atomic": AS_MEMORY,  # where both are wrong, which one is found first
    "atomic wait on non-shared memory": AS_MEMORY,
}
"""Causes of traps that are not told apart."""


def lower(module: Module, reserve: int = 256) -> list[str]:
    """Runs the pass alone, in place; its remarks."""
    cx = PassContext("lower-multi-memory")
    LowerMultiMemory(reserve=reserve).run(module, cx)
    return [remark.message for remark in cx.remarks]


def text(source: str) -> Callable[[], Module]:
    """Makes the module anew, for `Beside`."""
    return lambda: parse_module(source, "test.wat")


def plain(value: Any) -> Any:
    """A result or the value of a global, such that equal ones compare as equal; references are there or not."""
    match value:
        case list():
            return [plain(one) for one in value]
        case float():
            return value.hex()
        case None | int():
            return value
    return "reference"


class Side:
    """One of the two, running. Its memories can be seen by their number in the original."""

    def __init__(self, module: Module, order: list[str], given: Mapping[Any, Any] | None, host: Host) -> None:
        self.regions = {g.name: g for g in module.globals if g.synthetic == "memory-region"}
        kept = [g for g in module.globals if g.synthetic is None]
        shown = {f"region:{n}": g for n, g in self.regions.items()} | {f"global:{i}": g for i, g in enumerate(kept)}
        module = replace(module, exports=[*module.exports, *(Export(n, g) for n, g in shown.items())])
        self.order, self.module = order, module
        self.globals = [f"global:{i}" for i, g in enumerate(kept) if isinstance(g.type, NumType) and g.type is not V128]
        store = wasmtime.Store(engine())
        items = {name: make(store) for name, make in (given or {}).items()}
        self.running = instantiate(write_module(module), host, items, store=store)

    def call(self, name: str, args: tuple[Any, ...]) -> tuple[str, Any]:
        try:
            return "result", plain(self.running.call(name, *args))
        except Trapped as e:
            return "trap", SAME_TRAP.get(str(e), str(e))

    def value(self, export: str) -> Any:
        found = self.running.instance.exports(self.running.store)[export]
        assert isinstance(found, wasmtime.Global)
        return found.value(self.running.store)

    def memory(self, name: str) -> memoryview:
        """A memory, or the region that stands for it."""
        if f"{name}.base" not in self.regions:
            index = self.order.index(name) if len(self.order) > 1 else 0
            return self.running.memory(index)
        base, size = (self.value(f"region:{name}.{what}") & 0xFFFF_FFFF for what in ("base", "size"))
        return self.running.memory(0)[base : base + size * PAGE]

    def state(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """All numeric globals and all memories."""
        return {n: plain(self.value(n)) for n in self.globals}, {n: bytes(self.memory(n)) for n in self.order}


class Beside:
    """Both, instantiated; each call is made on both, and must have the same outcome.

    Args:
        make: makes the original, twice.
        given: for imports, what makes the engine's item in a store.
        after: further changes of the lowered module.
        host: makes the host of either.
        reserve: pages in reserve, the option of the pass.
    """

    def __init__(
        self,
        make: Callable[[], Module],
        given: Mapping[Any, Any] | None = None,
        after: Callable[[Module], None] = lambda module: None,
        host: Callable[[], Host] = Host,
        reserve: int = 256,
    ) -> None:
        first, second = make(), make()
        for module in (first, second):
            for i, memory in enumerate(module.space("memories")):
                memory.name = f"m{i}"
        names = [str(m.name) for m in first.space("memories")]
        self.remarks = lower(second, reserve)
        after(second)
        assert len(second.space("memories")) == 1
        self.hosts = host(), host()
        self.original = Side(first, names, given, self.hosts[0])
        self.lowered = Side(second, names, given, self.hosts[1])
        self.same_state()

    def __call__(self, name: str, *args: Any) -> Any:
        """Calls an export of both; the result, or the cause of the trap as text after ``trap: ``."""
        want, got = self.original.call(name, args), self.lowered.call(name, args)
        assert got == want, f"{name}{args}: {got}, not {want}"
        kind, value = want
        return value if kind == "result" else f"trap: {value}"

    def same_state(self) -> None:
        """Compares globals and the contents of memories."""
        want, got = self.original.state(), self.lowered.state()
        assert got[0] == want[0]
        for name in want[1]:
            if want[1][name] != got[1][name]:
                at = next(
                    (i for i, (a, b) in enumerate(zip(*(x[1][name] for x in (want, got)), strict=False)) if a != b), -1
                )
                raise AssertionError(f"{name} of {len(want[1][name])} and {len(got[1][name])} bytes differ at {at}")
