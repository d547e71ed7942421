"""The same operations in the engine's own component support: components whose exports are their built-ins."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import component

_LIBC = """
    (core module $libc (memory (export "m") 1)
      (func (export "poke") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
      (func (export "peek") (param i32) (result i64) (i64.load (local.get 0)))
      (func (export "same") (param i32) (result i32) (local.get 0))
      (global $top (mut i32) (i32.const 4096))
      (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $bytes i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
        (global.set $top (i32.add (local.get $at) (local.get $bytes)))
        (local.get $at)))
    (core instance $libc (instantiate $libc))
    (func (export "poke") (param "p" u32) (param "v" u64) (canon lift (core func $libc "poke")))
    (func (export "peek") (param "p" u32) (result u64) (canon lift (core func $libc "peek")))
    (core func $set-new (canon waitable-set.new))
    (core func $set-drop (canon waitable-set.drop))
    (core func $set-poll (canon waitable-set.poll (memory (core memory $libc "m"))))
    (core func $join (canon waitable.join))
    (func (export "waitable-set-new") (result u32) (canon lift (core func $set-new)))
    (func (export "waitable-set-drop") (param "s" u32) (canon lift (core func $set-drop)))
    (func (export "waitable-set-poll") (param "s" u32) (param "p" u32) (result u32) (canon lift (core func $set-poll)))
    (func (export "waitable-join") (param "w" u32) (param "s" u32) (canon lift (core func $join)))
"""
_ENDS = """
    (type $T ({kind}{element}))
    (core func $new (canon {kind}.new $T))
    (func (export "{kind}-new-{name}") (result u64) (canon lift (core func $new)))
    {copies}
    (core func $drop-r (canon {kind}.drop-readable $T))
    (core func $drop-w (canon {kind}.drop-writable $T))
    (func (export "{kind}-drop-readable-{name}") (param "h" u32) (canon lift (core func $drop-r)))
    (func (export "{kind}-drop-writable-{name}") (param "h" u32) (canon lift (core func $drop-w)))
    (func (export "{kind}-give-{name}") (param "h" u32) (result $T) (canon lift (core func $libc "same")))
    (func (export "{kind}-put-{name}") (param "e" $T) (result u32) (canon lift (core func $libc "same")))
"""
_COPY = """
    (core func ${verb}{sync} (canon {kind}.{verb} $T {option}
      (memory (core memory $libc "m")) (realloc (core func $libc "realloc"))))
    (core func $cancel-{verb}{sync} (canon {kind}.cancel-{verb} $T {option}))
    (func (export "{kind}-{verb}-{name}{sync}") async (param "h" u32) (param "p" u32) {count} (result u32)
      (canon lift (core func ${verb}{sync})))
    (func (export "{kind}-cancel-{verb}-{name}{sync}") async (param "h" u32) (result u32)
      (canon lift (core func $cancel-{verb}{sync})))
"""
_FROM = """
    (core func $give{i} (canon lower (func $c{i} "{kind}-give-{name}")))
    (core func $put{i} (canon lower (func $c{i} "{kind}-put-{name}")))
    (func (export "{kind}-from-{i}-{name}") (param "h" u32) (result u32) (canon lift (core func $give{i})))
    (func (export "{kind}-to-{i}-{name}") (param "h" u32) (result u32) (canon lift (core func $put{i})))
"""


def _scoped(text: str, key: str) -> str:
    """Names of their own for the definitions of one type."""
    for name in ("$T", "$new", "$read", "$write", "$cancel", "$drop", "$give", "$put"):
        text = text.replace(name, f"{name}.{key}.") if name != "$T" else text.replace("$T", f"$T.{key}")
    return text


CORE = {"same", "realloc"}
"""Functions that only the core module exports."""


def _carries(name: str) -> bool:
    return "-give-" in name or "-put-" in name


def text(instances: int, elements: dict[str, str]) -> str:
    """A component of so many instances; the elements by name, as they stand in a type."""
    parts = []
    for i in range(instances):
        imports, body = ["    (type $U8 (stream u8))"], [_LIBC]
        for other in range(i):
            decls = []
            for name, element in elements.items():
                for kind in ("stream", "future"):
                    t = f"(type $t.{kind}.{name} ({kind}{element}))"
                    decls.append(t)
                    decls.append(f'(export "{kind}-give-{name}" (func (param "h" u32) (result $t.{kind}.{name})))')
                    decls.append(f'(export "{kind}-put-{name}" (func (param "e" $t.{kind}.{name}) (result u32)))')
            imports.append(f'    (import "c{other}" (instance $c{other} {" ".join(decls)}))')
        for name, element in elements.items():
            for kind in ("stream", "future"):
                copies = "".join(
                    _COPY.format(
                        kind=kind,
                        verb=verb,
                        name=name,
                        sync=sync,
                        option="" if sync else "async",
                        count='(param "n" u32)' if kind == "stream" else "",
                    )
                    for verb in ("read", "write")
                    for sync in ("", "-sync")
                )
                ends = _ENDS.format(kind=kind, name=name, element=element, copies=copies)
                body.append(_scoped(ends, f"{kind}.{name}"))
                for other in range(i):
                    body.append(_scoped(_FROM.format(kind=kind, name=name, i=other), f"{kind}.{name}"))
        given = " ".join(f'(with "c{other}" (instance $c{other}))' for other in range(i))
        inside = "\n".join(imports) + "".join(body)
        parts.append(f"  (component $C{i}\n{inside})")
        parts.append(f"  (instance $c{i} (instantiate $C{i} {given}))")
        found = re.findall(r'\(func \(export "([\w-]+)"\)', inside)
        names = [name for name in dict.fromkeys(found) if name not in CORE and not _carries(name)]
        shown = " ".join(f'(export "{name}" (func $c{i} "{name}"))' for name in names)
        parts.append(f'  (instance $x{i} {shown}) (export "c{i}" (instance $x{i}))')
    return "(component\n" + "\n".join(parts) + ")"


@cache
def engine() -> wasmtime.Engine:
    """An engine with the component model's asynchronous half switched on."""
    config = wasmtime.Config()
    for name in ("async", "more_async_builtins", "async_stackful"):
        switch = getattr(ffi, f"wasmtime_config_wasm_component_model_{name}_set", None)
        if switch is not None:
            switch(config.ptr(), True)
    return wasmtime.Engine(config)


class Engine:
    """An instance of such a component."""

    def __init__(self, compiled: component.Component) -> None:
        self.store = wasmtime.Store(engine())
        linker = component.Linker(engine())
        made, error = ffi.wasmtime_component_instance_t(), ctypes.POINTER(ffi.wasmtime_error_t)()
        _poll(
            ffi.wasmtime_component_linker_instantiate_async(
                linker.ptr(), self.store._context(), compiled.ptr(), ctypes.byref(made), ctypes.byref(error)
            )
        )
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
        self.instance = component.Instance._from_raw(made)
        self.functions: dict[tuple[int, str], Any] = {}

    def invoke(self, i: int, name: str, *args: int) -> int:
        """Calls an export of an instance. Raises wasmtime.WasmtimeError where it traps."""
        key = (i, name)
        if key not in self.functions:
            index = self.instance.get_export_index(self.store, f"c{i}")
            inner = self.instance.get_export_index(self.store, name, index)
            self.functions[key] = self.instance.get_func(self.store, inner)
        function = self.functions[key]
        shape = function.type(self.store)
        params = (ffi.wasmtime_component_val_t * max(1, len(args)))()
        for place, ((_, t), value) in enumerate(zip(shape.params, args, strict=True)):
            t.convert_to_c(self.store, value, ctypes.pointer(params[place]))
        result, error = ffi.wasmtime_component_val_t(), ctypes.POINTER(ffi.wasmtime_error_t)()
        wanted = shape.result
        _poll(
            ffi.wasmtime_component_func_call_async(
                ctypes.byref(function._func),
                self.store._context(),
                params,
                len(args),
                ctypes.byref(result) if wanted else None,
                1 if wanted else 0,
                ctypes.byref(error),
            )
        )
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
        return wanted.convert_from_c(result) if wanted else 0


def _poll(future: Any) -> None:
    while not ffi.wasmtime_call_future_poll(future):
        pass
    ffi.wasmtime_call_future_delete(future)
