"""The host of `pulseengine:async` under wasmtime: the imports of a module, counts and limits of its calls."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import wasmtime

from meld.abi.intrinsics import INTRINSICS, LOCAL_BIT, Intrinsic
from meld.diagnostics import MeldError
from meld.ir.types import AbstractHeap, FuncType, NumType, RefType, ValType
from meld.runtime.streams import MASK, HostTrap, Memories, Streams

MEMORY_PREFIX = "meld:memory/"
"""With a memory's index, the name under which `instantiate` exports it, so that the host can reach it."""


class Host:
    """Streams and futures for one instance, with its calls counted.

    Args:
        limit: bytes that a stream holds before it pushes back.
        forbid: intrinsics whose call traps, by name; ``forbid=INTRINSICS`` forbids all.
        refuse_local: whether a handle of the fused module (bit 31 set) traps. If not, it is like any other handle that
            the host never made: an error code, or a trap in a drop.
        more: further fields of `Streams`.
    """

    def __init__(
        self, limit: int = 4096, *, forbid: Iterable[str] = (), refuse_local: bool = True, **more: Any
    ) -> None:
        self.streams = Streams(limit, **more)
        self.forbid = set(forbid)
        self.refuse_local = refuse_local
        self.calls: Counter[str] = Counter()
        self.instance: wasmtime.Instance | None = None

    @property
    def total(self) -> int:
        """Calls of all intrinsics together, those that trapped included."""
        return self.calls.total()

    def perform(self, name: str, args: tuple[int, ...], memories: Memories) -> int | None:
        """Counts a call, checks that it is allowed, and performs it. Raises HostTrap."""
        self.calls[name] += 1
        if name in self.forbid:
            raise HostTrap(f"{name} must not be called here")
        if self.refuse_local and args and args[0] & LOCAL_BIT:
            raise HostTrap(f"{name}: the handle {args[0] & MASK:#x} belongs to the module and must not reach the host")
        return self.streams.perform(INTRINSICS[name], args, memories)

    def function(self, intrinsic: Intrinsic, store: wasmtime.Store) -> wasmtime.Func:
        """The import for an intrinsic."""

        def call(caller: wasmtime.Caller, *args: int) -> int | None:
            return self.perform(intrinsic.name, args, lambda index: self._memory(caller, index))

        return wasmtime.Func(store, engine_type(intrinsic.type), call, access_caller=True)

    def _memory(self, caller: wasmtime.Caller, index: int) -> memoryview | None:
        """The memory with an index in the caller's module; None if there is none. Valid until the memory grows."""
        name = f"{MEMORY_PREFIX}{index}"
        found = caller.get(name)  # works during the start function, but not if an export is the intrinsic itself
        if found is None and self.instance is not None:
            found = self.instance.exports(caller).get(name)
        return view(caller, found) if isinstance(found, wasmtime.Memory | wasmtime.SharedMemory) else None


def engine_type(signature: FuncType) -> wasmtime.FuncType:
    """A function type for the engine, whose interface lacks v128. Raises MeldError for types that it cannot express."""
    return wasmtime.FuncType([_engine_type(t) for t in signature.params], [_engine_type(t) for t in signature.results])


def _engine_type(t: ValType) -> wasmtime.ValType:
    match t:
        case NumType.I32:
            return wasmtime.ValType.i32()
        case NumType.I64:
            return wasmtime.ValType.i64()
        case NumType.F32:
            return wasmtime.ValType.f32()
        case NumType.F64:
            return wasmtime.ValType.f64()
        case RefType(True, AbstractHeap.FUNC):
            return wasmtime.ValType.funcref()
        case RefType(True, AbstractHeap.EXTERN):
            return wasmtime.ValType.externref()
    raise MeldError("an imported function has a type that Python cannot supply")


def view(store: wasmtime.Store | wasmtime.Caller, memory: wasmtime.Memory | wasmtime.SharedMemory) -> memoryview:
    """The bytes of a memory, writable. Valid until the memory grows or the store is deleted."""
    if isinstance(memory, wasmtime.SharedMemory):
        size, data = memory.data_len(), memory.data_ptr()
    else:
        size, data = memory.data_len(store), memory.data_ptr(store)
    if size == 0:
        return memoryview(bytearray())
    array = (ctypes.c_ubyte * size).from_address(ctypes.addressof(data.contents))
    return memoryview(array).cast("B")


Given: TypeAlias = (
    Callable[..., Any]
    | wasmtime.Func
    | wasmtime.Memory
    | wasmtime.SharedMemory
    | wasmtime.Table
    | wasmtime.Global
    | wasmtime.Tag
)
"""What a caller may supply for an import: a Python function of the arguments, or an item of the engine."""
