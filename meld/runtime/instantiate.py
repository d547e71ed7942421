"""Running a fused module, or one at any stage after `merge`, under wasmtime.

The engine's Python interface shows only exports, and the host has to read the memory that a call names. So each memory
is exported under a reserved name before the module is compiled. What is still to be lowered is an import; unless the
caller supplies it, it is a trap that says what is pending.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NoReturn

import wasmtime

from meld.abi.boundary import BOUNDARY_MODULE, CANON_MODULE
from meld.abi.intrinsics import INTRINSICS, MODULE
from meld.binary.reader import read_module
from meld.binary.writer import write_module
from meld.diagnostics import MeldError
from meld.ir.module import Export, Module
from meld.runtime.host import MEMORY_PREFIX, Given, Host, engine_type, view
from meld.runtime.streams import HostTrap

FEATURES = (
    "threads",
    "tail_call",
    "reference_types",
    "simd",
    "relaxed_simd",
    "bulk_memory",
    "multi_value",
    "multi_memory",
    "memory64",
    "exceptions",
    "function_references",
    "gc",
    "wide_arithmetic",
    "custom_page_sizes",
)
"""What the engine is told to accept; the names are those of its configuration."""


class Trapped(Exception):
    """The program trapped, or the host stopped it.

    The text is one line; `backtrace` names functions, innermost first.
    """

    def __init__(self, message: str, backtrace: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.backtrace = backtrace


@cache
def engine(*, fuel: bool = False) -> wasmtime.Engine:
    """The engine, with every feature that it can have."""
    config = wasmtime.Config()
    for name in FEATURES:
        setattr(config, f"wasm_{name}", True)
    config.shared_memory = True
    config.consume_fuel = fuel
    return wasmtime.Engine(config)


@dataclass(slots=True)
class Running:
    """An instance, its host and its store."""

    host: Host
    store: wasmtime.Store
    instance: wasmtime.Instance
    _functions: dict[str, wasmtime.Func] = field(default_factory=dict)
    _params: dict[str, list[str]] = field(default_factory=dict)

    def call(self, name: str, *args: Any) -> Any:
        """Calls an exported function.

        Returns:
            None, the result, or a list of several results. Integers are signed.

        Raises:
            Trapped: it trapped.
            MeldError: there is no such function, or the arguments do not fit its type.
        """
        function = self.function(name)
        types = self._params[name]
        if len(args) != len(types):
            raise MeldError(f"`{name}` takes {len(types)} arguments, not {len(args)}")
        values = [_argument(value, t) for value, t in zip(args, types, strict=True)]
        with _traps():
            return function(self.store, *values)

    def function(self, name: str) -> wasmtime.Func:
        """An exported function. Raises MeldError if there is none."""
        if name not in self._functions:
            found = self.instance.exports(self.store).get(name)
            if not isinstance(found, wasmtime.Func):
                there = ", ".join(f"`{n}`" for n in self.functions()) or "none"
                raise MeldError(f"no function is exported as `{name}`", hint=f"exported functions: {there}")
            self._functions[name] = found
            self._params[name] = [str(t) for t in found.type(self.store).params]
        return self._functions[name]

    def functions(self) -> list[str]:
        """Names of the exported functions."""
        exports = self.instance.exports(self.store)
        return [name for name, item in exports.items() if isinstance(item, wasmtime.Func)]

    def memory(self, index: int = 0) -> memoryview:
        """The bytes of a memory by its index in the module, writable; valid until it grows. IndexError if absent."""
        found = self.instance.exports(self.store).get(f"{MEMORY_PREFIX}{index}")
        if not isinstance(found, wasmtime.Memory | wasmtime.SharedMemory):
            raise IndexError(f"the module has no memory {index}")
        return view(self.store, found)


def instantiate(
    program: Module | bytes,
    host: Host | None = None,
    given: Mapping[tuple[str, str], Given] | None = None,
    *,
    fuel: int | None = None,
) -> Running:
    """Compiles and instantiates a module.

    Args:
        program: the module, or its binary.
        host: serves `pulseengine:async`; a new one if None.
        given: what to supply for other imports, by module and field name.
        fuel: how much the program may execute before it traps; without limit if None.

    Raises:
        MeldError: the module is malformed or invalid, or an import is supplied by nobody.
        Trapped: its start function trapped.
    """
    host = host or Host()
    runs_on = engine(fuel=fuel is not None)
    data = write_module(expose_memories(read_module(program) if isinstance(program, bytes) else program))
    try:
        compiled = wasmtime.Module(runs_on, data)
    except wasmtime.WasmtimeError as e:
        raise MeldError(f"the engine refuses the module: {_last_line(str(e))}") from e
    store = wasmtime.Store(runs_on)
    if fuel is not None:
        store.set_fuel(fuel)
    imports = [_import(one, host, given or {}, store) for one in compiled.imports]
    with _traps(MeldError):
        instance = wasmtime.Instance(store, compiled, imports)
    host.instance = instance
    return Running(host, store, instance)


def expose_memories(module: Module) -> Module:
    """The module with each memory exported under its index; the given one is not changed.

    Raises:
        MeldError: the module exports something else under such a name.
    """
    taken = {export.name: export.item for export in module.exports}
    exports = list(module.exports)
    for index, memory in enumerate(module.space("memories")):
        name = f"{MEMORY_PREFIX}{index}"
        if name not in taken:
            exports.append(Export(name, memory))
        elif taken[name] is not memory:
            raise MeldError(f"the export name `{name}` is reserved for the host's use", where=module.where or None)
    return replace(module, exports=exports)


def _import(one: wasmtime.ImportType, host: Host, given: Mapping[tuple[str, str], Given], store: wasmtime.Store) -> Any:
    module, name = one.module, one.name or ""
    item = given.get((module, name))
    type_ = one.type
    if item is not None:
        if not callable(item) or isinstance(item, wasmtime.Func):
            return item
        if isinstance(type_, wasmtime.FuncType):
            return wasmtime.Func(store, type_, item)
    elif isinstance(type_, wasmtime.FuncType):
        if module == MODULE and name in INTRINSICS:
            intrinsic = INTRINSICS[name]
            if _signature(type_) != _signature(engine_type(intrinsic)):
                wanted = _signature(engine_type(intrinsic))
                raise MeldError(f'the import "{module}" "{name}" is of type {_signature(type_)}, not {wanted}')
            return host.function(intrinsic, store)
        if module == BOUNDARY_MODULE:
            return wasmtime.Func(store, type_, _pending(f"the call {name}"))
        if module == CANON_MODULE:
            return wasmtime.Func(store, type_, _pending(f"the canonical built-in {name}"))
    raise MeldError(f'nothing provides the import "{module}" "{name}"')


def _signature(t: wasmtime.FuncType) -> str:
    return f"({', '.join(map(str, t.params))}) -> ({', '.join(map(str, t.results))})"


def _pending(what: str) -> Callable[..., NoReturn]:
    def trap(*_: Any) -> NoReturn:
        raise HostTrap(f"not interpreted yet: {what}")

    return trap


@contextmanager
def _traps(other: type[Exception] | None = None) -> Iterator[None]:
    """Turns what the engine raises into `Trapped`; errors that are no traps into `other`, if given."""
    try:
        yield
    except HostTrap as e:
        raise Trapped(str(e)) from None
    except wasmtime.Trap as e:
        names = tuple(frame.func_name or f"function {frame.func_index}" for frame in e.frames)
        raise Trapped(_last_line(e.message), names) from None
    except wasmtime.WasmtimeError as e:
        raise (other or Trapped)(_last_line(str(e))) from None


def _argument(value: Any, t: str) -> Any:
    """An argument as the engine takes it: integers signed, from either reading of their bits."""
    match t:
        case "i32" | "i64":
            bits = int(t[1:])
            if isinstance(value, int) and -(1 << bits - 1) <= value < 1 << bits:
                return value - (value >> bits - 1 << bits) if value >= 0 else value
        case "f32" | "f64":
            if isinstance(value, int | float):
                return float(value)
        case _:  # references; the engine checks them
            return value
    raise MeldError(f"{value!r} is not an {t}")


def _last_line(message: str) -> str:
    """The cause at the end of an engine's message."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return re.sub(r"^\d+: ", "", lines[-1]).removeprefix("wasm trap: ") if lines else "unknown error"
