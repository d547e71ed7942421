"""The engine's items behind those of a module, for what calls them from Python, and core values as bits.

The engine's Python interface shows only exports. So what the interpreter has to reach is exported under a reserved name
before the module is compiled.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import Any, TypeAlias

import wasmtime

from meld.ir.module import CoreItem, Function, Global, Memory, Module, Table
from meld.ir.types import NumType, ValType
from meld.runtime.canonical import MASK32, MASK64
from meld.runtime.host import view
from meld.runtime.streams import HostTrap
from meld.support.records import record

Store: TypeAlias = "wasmtime.Store | wasmtime.Caller"
Callee: TypeAlias = "Function | wasmtime.Func"
"""A function of the module, or one that a table of it holds, which takes an i32 and returns nothing."""

RESERVED = {
    "functions": "meld:function/",
    "memories": "meld:memory/",
    "globals": "meld:global/",
    "tables": "meld:table/",
}
"""With an index in its space, the name under which the host reaches an item."""


@record(eq=False)
class Items:
    """The engine's items of one running module.

    Attributes:
        names: what has to be exported, with its reserved name.
        stores: the callers, innermost last; while the module starts, items are found through them.
    """

    names: dict[CoreItem, str] = field(default_factory=dict)
    stores: list[Store] = field(default_factory=list)
    _found: dict[CoreItem, Any] = field(default_factory=dict)
    _instance: wasmtime.Instance | None = None

    @classmethod
    def of(cls, module: Module, needed: Iterable[CoreItem]) -> Items:
        """For the items of a module that are needed."""
        wanted, items = set(needed), cls()
        if wanted:
            for space, prefix in RESERVED.items():
                items.names |= {item: f"{prefix}{i}" for i, item in enumerate(module.space(space)) if item in wanted}
        return items

    def attach(self, instance: wasmtime.Instance, store: wasmtime.Store) -> None:
        """Tells the instance, once there is one."""
        self._instance = instance
        self.stores.insert(0, store)

    def call(self, function: Callee, cores: Sequence[int]) -> list[int]:
        """Calls a core function with core values as unsigned bits; returns such."""
        if isinstance(function, wasmtime.Func):
            function(self.stores[-1], *(_signed32(bits) for bits in cores))
            return []
        signature = function.signature
        args = [engine_value(bits, t) for bits, t in zip(cores, signature.params, strict=True)]
        result = self.reach(function)(self.stores[-1], *args)
        match len(signature.results):
            case 0:
                return []
            case 1:
                return [bits_of(result, signature.results[0])]
            case _:
                return [bits_of(value, t) for value, t in zip(result, signature.results, strict=True)]

    def element(self, table: Table, index: int) -> wasmtime.Func | None:
        """The function that a table holds; None if the entry is null.

        Raises:
            HostTrap: the index is out of bounds.
        """
        found, store = self.reach(table), self.stores[-1]
        if index >= found.size(store):
            raise HostTrap("undefined element: out of bounds table access")
        function = found.get(store, index)
        return function if isinstance(function, wasmtime.Func) else None

    def bytes_of(self, memory: Memory) -> memoryview:
        """The bytes of a memory, writable, until it grows."""
        return view(self.stores[-1], self.reach(memory))

    def reach(self, item: CoreItem) -> Any:
        """The engine's item. Raises HostTrap if there is none."""
        if item not in self._found:
            store = self.stores[-1]
            if isinstance(store, wasmtime.Caller):
                for each, name in self.names.items():
                    found = store.get(name)  # works during the start function; not if the host calls the import itself
                    if found is not None:
                        self._found[each] = found
            if item not in self._found and self._instance is not None:
                exports = self._instance.exports(store)
                self._found |= {each: exports[name] for each, name in self.names.items()}
        if item not in self._found:
            raise HostTrap(f"{item.name or 'an item'} of the module cannot be reached")
        return self._found[item]


@record(eq=False)
class Globals:
    """The values of some globals."""

    items: Items
    globals: tuple[Global, ...]

    def read(self) -> list[int]:
        """Their values as unsigned bits."""
        store = self.items.stores[-1]
        return [bits_of(self.items.reach(item).value(store), item.type) for item in self.globals]

    def write(self, values: list[int]) -> None:
        """Gives them values."""
        for item, bits in zip(self.globals, values, strict=True):
            self.items.reach(item).set_value(self.items.stores[-1], engine_value(bits, item.type))


def _signed32(bits: int) -> int:
    return bits - (1 << 32) if bits >> 31 else bits


def bits_of(value: Any, t: ValType) -> int:
    """A core value of the engine as unsigned bits. A signalling NaN of 32 bits becomes a quiet one on its way here."""
    match t:
        case NumType.I32:
            return int(value) & MASK32
        case NumType.I64:
            return int(value) & MASK64
        case NumType.F32:
            return int.from_bytes(struct.pack("<f", value), "little")
        case NumType.F64:
            return int.from_bytes(struct.pack("<d", value), "little")
    raise HostTrap("a lifted function has a type that Python cannot supply")


def engine_value(bits: int, t: ValType) -> int | float:
    """The reverse of `bits_of`."""
    match t:
        case NumType.I32:
            return _signed32(bits & MASK32)
        case NumType.I64:
            bits &= MASK64
            return bits - (1 << 64) if bits >> 63 else bits
        case NumType.F32:
            return float(struct.unpack("<f", bits.to_bytes(4, "little"))[0])
        case NumType.F64:
            return float(struct.unpack("<d", bits.to_bytes(8, "little"))[0])
    raise HostTrap("a lifted function has a type that Python cannot supply")
