"""Running a fused module, or one at any stage after `merge`, under wasmtime.

The engine's Python interface shows only exports, and the host has to read the memory that a call names. So each memory,
and whatever else the interpreter of boundaries has to reach, is exported under a reserved name before the module is
compiled. What is still to be lowered is an import; unless the caller supplies it, it is interpreted by its note, or a
trap that says what is pending.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from functools import cache
from typing import Any, NoReturn

import wasmtime

from meld.abi.intrinsics import INTRINSICS, MODULE
from meld.binary.reader import read_module
from meld.binary.validation import FEATURES, refusals
from meld.binary.writer import write_module
from meld.diagnostics import MeldError, did_you_mean
from meld.inputs import place
from meld.ir.module import CoreItem, Export, Function, Module
from meld.ir.types import I32, V128, FuncType, NumType, ValType
from meld.notes.boundaries import BOUNDARY_MODULE, CANON_MODULE, HostCall, HostExport, OuterCall
from meld.runtime.boundaries import Interpreter
from meld.runtime.canonical import Value
from meld.runtime.host import MEMORY_PREFIX, Given, Host, engine_type, view
from meld.runtime.items import bits_of, engine_value
from meld.runtime.streams import HostTrap
from meld.runtime.tasks.trace import Trace
from meld.support.records import record


class Trapped(Exception):
    """The program trapped, or the host stopped it.

    The text is one line; `backtrace` names functions, innermost first.
    """

    def __init__(self, message: str, backtrace: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.backtrace = backtrace


def engine(*, fuel: bool = False, interruptible: bool = False) -> wasmtime.Engine:
    """The engine, with every feature that it can have; one for each combination of these.

    Args:
        fuel: whether what programs execute is counted.
        interruptible: whether programs can be stopped from another thread.
    """
    return _engine(fuel, interruptible)


@cache
def _engine(fuel: bool, interruptible: bool) -> wasmtime.Engine:
    config = wasmtime.Config()
    for name in FEATURES:
        setattr(config, f"wasm_{name}", True)
    config.shared_memory = True
    config.consume_fuel = fuel
    config.epoch_interruption = interruptible
    if interruptible:  # tests, which are compiled more often than they run long
        config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


@record()
class Running:
    """An instance with its host and its store; `module` is what was instantiated."""

    module: Module
    host: Host
    interpreter: Interpreter
    store: wasmtime.Store
    instance: wasmtime.Instance
    _functions: dict[str, wasmtime.Func] = field(default_factory=dict)

    def call(self, name: str, *args: Any) -> Any:
        """Calls an exported function.

        Returns:
            None, the result, or a list of several results. Integers are signed.

        Raises:
            Trapped: it trapped.
            MeldError: there is no such function, or the arguments do not fit its type.
        """
        function = self._function(name)
        signature = self.signature(name)
        if len(args) != len(signature.params):
            raise MeldError(f"`{name}` takes {len(signature.params)} arguments, not {len(args)}")
        if V128 in signature.params + signature.results:
            raise MeldError(f"`{name}` takes or gives a v128, which cannot cross to Python")
        values = [_argument(value, t) for value, t in zip(args, signature.params, strict=True)]
        export = self.interpreter.entry(name)
        with _traps():
            if export is None:
                return function(self.store, *values)
            cores = [bits_of(value, t) for value, t in zip(values, signature.params, strict=True)]
            bits = self.interpreter.invoke_core(export, cores)
        results = [engine_value(x, t) for x, t in zip(bits, signature.results, strict=True)]
        return results if len(results) > 1 else results[0] if results else None

    def signature(self, name: str) -> FuncType:
        """The type of an exported function, as `call` takes it. Raises MeldError if there is none."""
        component = self.interpreter.entry(name)
        if component is not None:
            return self.interpreter.entry_type(component)
        for export in self.module.exports:
            if export.name == name and isinstance(export.item, Function):
                return export.item.signature
        there = ", ".join(f"`{n}`" for n in self.functions()) or "none"
        hint = did_you_mean(name, self.functions(), f"exported functions: {there}")
        raise MeldError(f"no function is exported as `{name}`", hint=hint)

    def functions(self) -> list[str]:
        """Names of the exported functions."""
        return [export.name for export in self.module.exports if isinstance(export.item, Function)]

    def _function(self, name: str) -> wasmtime.Func:
        if name not in self._functions:
            self.signature(name)
            found = self.instance.exports(self.store)[name]
            assert isinstance(found, wasmtime.Func)
            self._functions[name] = found
        return self._functions[name]

    def invoke(self, export: HostExport, values: Sequence[Value]) -> Value:
        """Calls a component function that the module exports; values are those of `meld.runtime.canonical`.

        Raises:
            Trapped: it trapped.
        """
        with _traps():
            return self.interpreter.invoke(export, values)

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
    store: wasmtime.Store | None = None,
    fuel: int | None = None,
    lenient: bool = False,
    interruptible: bool = False,
    trace: Callable[[str], None] | None = None,
) -> Running:
    """Compiles and instantiates a module.

    Args:
        program: the module, or its binary.
        host: serves `pulseengine:async`; a new one if None.
        given: what to supply for other imports, by module and field name; items of the engine belong to `store`.
        lenient: whether a function of a component's world that is not supplied is a trap when it is called.
        store: a store of `engine()` to instantiate in, with other instances; a new one if None.
        fuel: how much the program may execute in a new store before it traps; without limit if None.
        interruptible: whether `interrupt` is to stop it; only in a new store.
        trace: told of calls, events and copies between components, a line each, as far as they are interpreted.

    Raises:
        MeldError: the module is malformed or invalid, or an import is not supplied.
        Trapped: its start function trapped.
    """
    host = host or Host()
    runs_on = engine(fuel=fuel is not None and store is None, interruptible=interruptible)
    module = read_module(program) if isinstance(program, bytes) else program
    interpreter = Interpreter(module, trace=Trace(trace))
    with interpreter.encoded() as made:
        data = write_module(expose_memories(made, interpreter.exports))
    try:
        compiled = wasmtime.Module(runs_on, data)
    except wasmtime.WasmtimeError as e:
        found = refusals(data)
        where = place(found[0], module)[0] if found else None
        said = found[0].message if found else _last_line(str(e))
        raise MeldError(f"the engine refuses the module: {said}", where=where or None) from e
    if store is None:
        store = wasmtime.Store(runs_on)
        if fuel is not None:
            store.set_fuel(fuel)
        if interruptible:
            store.set_epoch_deadline(1)
    supply = _Supply(host, interpreter, given or {}, store, lenient)
    imports = [supply.item(wanted) for wanted in module.imports]
    with _traps(MeldError):
        instance = wasmtime.Instance(store, compiled, imports)
    host.instance = instance
    interpreter.attach(instance, store)
    return Running(module, host, interpreter, store, instance)


def interrupt() -> None:
    """Makes the programs trap that run in other threads and were made interruptible; they cannot be used any more."""
    engine(interruptible=True).increment_epoch()


def expose_memories(module: Module, more: Mapping[str, CoreItem] | None = None) -> Module:
    """The module with each memory exported under its index, and more by reserved name; the given one is not changed.

    Raises:
        MeldError: the module exports something else under such a name.
    """
    taken = {export.name: export.item for export in module.exports}
    exports = list(module.exports)
    wanted = {f"{MEMORY_PREFIX}{index}": memory for index, memory in enumerate(module.space("memories"))}
    for name, item in (wanted | dict(more or {})).items():
        if name not in taken:
            exports.append(Export(name, item))
        elif taken[name] is not item:
            raise MeldError(f"the export name `{name}` is reserved for the host's use", where=module.where or None)
    return replace(module, exports=exports)


@record(frozen=True)
class _Supply:
    """What is supplied for imports: what the caller gives, then the host, then the interpreter."""

    host: Host
    interpreter: Interpreter
    given: Mapping[tuple[str, str], Given]
    store: wasmtime.Store
    lenient: bool

    def item(self, wanted: CoreItem) -> Any:
        """The engine's item for an import. Raises MeldError if it is not provided."""
        assert wanted.imported is not None
        module, name = wanted.imported.module, wanted.imported.field
        item = self.given.get((module, name))
        if item is not None and (isinstance(item, wasmtime.Func) or not callable(item)):
            return item
        if isinstance(wanted, Function) and V128 not in wanted.signature.params + wanted.signature.results:
            if item is not None:
                return self._function(wanted, self.interpreter.guarded(wanted, item))
            if module == MODULE and name in INTRINSICS:
                if wanted.signature != INTRINSICS[name].type:
                    raise MeldError(f"the import {wanted.imported} is not of the type that the host gives it")
                return self.host.function(INTRINSICS[name], self.store)
            served = self.interpreter.function(wanted)
            if served is not None:
                return wasmtime.Func(self.store, engine_type(wanted.signature), served, access_caller=True)
            if module in (BOUNDARY_MODULE, CANON_MODULE):
                what = "call" if module == BOUNDARY_MODULE else "canonical built-in"
                return self._function(wanted, _pending(f"not interpreted: the {what} {name} {LOST}"))
            if self.lenient and any(isinstance(n, HostCall | OuterCall) for n in wanted.notes):
                return self._function(wanted, _pending(f"nothing provides the import {wanted.imported}"))
        raise MeldError(
            f"nothing provides the import {wanted.imported}", hint=WASI_NEEDS if module.startswith("wasi:") else None
        )

    def _function(self, wanted: Function, call: Callable[..., Any]) -> wasmtime.Func:
        return wasmtime.Func(self.store, engine_type(wanted.signature), call)


WASI_NEEDS = "WASI is served to components: run the components themselves, or fuse them with --emit=component"

LOST = "has no note that says what it stands for; a binary does not carry notes, a text dump does"


def _pending(message: str) -> Callable[..., NoReturn]:
    def trap(*_: Any) -> NoReturn:
        raise HostTrap(message)

    return trap


@contextmanager
def _traps(other: type[Exception] | None = None) -> Iterator[None]:
    """Turns what the engine raises into `Trapped`; errors that are no traps into `other`, if given."""
    try:
        yield
    except HostTrap as e:
        raise Trapped(str(e)) from None
    except (RecursionError, ctypes.ArgumentError):  # the latter where the engine's interface meets the former
        raise Trapped("calls between components and the host are nested too deep") from None
    except wasmtime.Trap as e:
        names = tuple(frame.func_name or f"function {frame.func_index}" for frame in e.frames)
        raise Trapped(_last_line(e.message), names) from None
    except wasmtime.WasmtimeError as e:
        raise (other or Trapped)(_last_line(str(e))) from None


def _argument(value: Any, t: ValType) -> Any:
    """An argument as the engine takes it: integers signed, from either reading of their bits."""
    match t:
        case NumType.I32 | NumType.I64:
            bits = 32 if t is I32 else 64
            if isinstance(value, int) and -(1 << bits - 1) <= value < 1 << bits:
                return value - (1 << bits) if value >> bits - 1 == 1 else value
        case NumType.F32 | NumType.F64:
            if isinstance(value, int | float):
                return float(value)
        case _:  # references; the engine checks them
            return value
    raise MeldError(f"{value!r} is not an {t.value}")


def _last_line(message: str) -> str:
    """The cause at the end of an engine's message."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return re.sub(r"^\d+: ", "", lines[-1]).removeprefix("wasm trap: ") if lines else "unknown error"
