"""Whole components beside the engine: unfused under its component support, and fused as one core module."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import wasmtime
from adapter_pairs import reason
from wasmtime import _ffi as ffi
from wasmtime import component as wc

from meld.files import decode, encode
from meld.passes import Registry
from meld.passmanager import plan_default, run

Calls = tuple[tuple[Any, ...], ...]
"""Calls of exports: the name and the arguments."""


@cache
def shared_engine() -> wasmtime.Engine:
    """An engine with all that components may need, asynchronous functions too."""
    config = wasmtime.Config()
    for feature in ("async", "more_async_builtins", "async_stackful", "map"):
        getattr(ffi, f"wasmtime_config_wasm_component_model_{feature}_set")(config.ptr(), True)
    config.wasm_multi_memory = config.wasm_memory64 = True
    config.wasm_exceptions = config.wasm_gc = config.wasm_function_references = True
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


class Unfused:
    """A component under the engine's own support, compiled once."""

    def __init__(self, wasm: bytes) -> None:
        self.component = wc.Component(shared_engine(), wasm)

    def answers(self, calls: Calls) -> list[Any]:
        """What each call answers in a new instance, or why it traps; why the instantiation traps, if it does."""
        store, linker = wasmtime.Store(shared_engine()), wc.Linker(shared_engine())
        made = ffi.wasmtime_component_instance_t()
        error = _finish(
            lambda e: ffi.wasmtime_component_linker_instantiate_async(
                linker.ptr(), store._context(), self.component.ptr(), ctypes.byref(made), e
            )
        )
        if error is not None:
            return [f"trap: {reason(error)}"]
        instance = wc.Instance._from_raw(made)
        return [_call(store, instance, *call) for call in calls]


class Fused:
    """The fused module of a component, compiled once. Only numbers go in and out."""

    def __init__(self, wasm: bytes) -> None:
        program = decode(wasm, "program")
        product, _ = run(plan_default(program, Registry.standard()), program)
        self.module = wasmtime.Module(shared_engine(), encode(product))
        assert not self.module.imports

    def answers(self, calls: Calls) -> list[Any]:
        """What each call answers in a new instance, or why it traps; why the start traps, if it does."""
        store = wasmtime.Store(shared_engine())
        try:
            exports = wasmtime.Instance(store, self.module, []).exports(store)
        except (wasmtime.WasmtimeError, wasmtime.Trap) as e:
            return [f"trap: {reason(e)}"]
        answers = []
        for name, *arguments in calls:
            try:
                answers.append(exports[name](store, *arguments))
            except (wasmtime.WasmtimeError, wasmtime.Trap) as e:
                answers.append(f"trap: {reason(e)}")
        return answers


def unfused(wasm: bytes, calls: Calls) -> list[Any]:
    """What each call answers under the engine's component support."""
    return Unfused(wasm).answers(calls)


def _call(store: wasmtime.Store, instance: wc.Instance, name: str, *arguments: Any) -> Any:
    function = instance.get_func(store, name)
    assert function is not None, name
    shape = function.type(store)
    given = (ffi.wasmtime_component_val_t * max(1, len(shape.params)))()
    for i, ((_, t), value) in enumerate(zip(shape.params, arguments, strict=True)):
        t.convert_to_c(store, value, ctypes.pointer(given[i]))
    result = ffi.wasmtime_component_val_t()
    error = _finish(
        lambda e: ffi.wasmtime_component_func_call_async(
            ctypes.byref(function._func),
            store._context(),
            given,
            len(shape.params),
            None if shape.result is None else ctypes.byref(result),
            int(shape.result is not None),
            e,
        )
    )
    if error is not None:
        return f"trap: {reason(error)}"
    return None if shape.result is None else shape.result.convert_from_c(result)


def _finish(start: Callable[[Any], Any]) -> Exception | None:
    """Runs an asynchronous call of the engine to its end; the error that it ended in."""
    error = ctypes.POINTER(ffi.wasmtime_error_t)()
    future = start(ctypes.byref(error))
    while not ffi.wasmtime_call_future_poll(future):
        pass
    ffi.wasmtime_call_future_delete(future)
    return wasmtime.WasmtimeError._from_ptr(error) if error else None


def fused(wasm: bytes, calls: Calls) -> list[Any]:
    """The same of the fused module."""
    return Fused(wasm).answers(calls)


def same(text: str, *calls: tuple[Any, ...]) -> list[Any]:
    """What the calls answer, or why they trap, unfused and fused."""
    wasm = bytes(wasmtime.wat2wasm(text))
    want = unfused(wasm, calls)
    assert fused(wasm, calls) == want, text
    return want
