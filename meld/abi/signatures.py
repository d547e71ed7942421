"""Core signatures of what a component lowers: functions and canonical built-ins.

Source: Component Model, CanonicalABI.md (Flattening; Canonical Definitions) and Explainer.md (Canonical Built-ins).
"""

from __future__ import annotations

from meld.abi.layout import MAX_FLAT_ASYNC_PARAMS, Layouts, core_type, pointer_of
from meld.abi.options import Options
from meld.abi.types import Type
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.types import I32, I64, FuncType, ValType


def _layouts(options: Options) -> Layouts:
    return Layouts(pointer_of(options.memory is not None and options.memory.limits.is64))


def lowered_type(t: c.CompFuncType, options: Options) -> FuncType:
    """The core type of `canon lower` of a function type under these options."""
    layouts = _layouts(options)
    if not options.is_async:
        return core_type(t, layouts, lower=True)
    params: tuple[ValType, ...] = layouts.tuple_of(x for _, x in t.params).flat
    if len(params) > MAX_FLAT_ASYNC_PARAMS:
        params = (layouts.pointer,)
    results = () if t.result is None else (layouts.pointer,)
    return FuncType((*params, *results), (I32,))


def lifted_type(t: c.CompFuncType, options: Options) -> FuncType:
    """The core type of the function that `canon lift` wraps under these options, without a callback."""
    core = core_type(t, _layouts(options), lower=False)
    return FuncType(core.params) if options.is_async else core


def task_return_type(result: Type | None, options: Options) -> FuncType:
    """The core type of `task.return` for a result type."""
    if result is None:
        return FuncType()
    layouts = _layouts(options)
    flat = layouts.of(result).flat
    return FuncType(flat if len(flat) <= 16 else (layouts.pointer,))


P = "pointer"
BUILTINS: dict[str, tuple[tuple[ValType | str, ...], tuple[ValType, ...]]] = {
    "resource.new": ((I32,), (I32,)),
    "resource.drop": ((I32,), ()),
    "resource.rep": ((I32,), (I32,)),
    "task.cancel": ((), ()),
    "subtask.cancel": ((I32,), (I32,)),
    "subtask.drop": ((I32,), ()),
    "backpressure.set": ((I32,), ()),
    "backpressure.inc": ((), ()),
    "backpressure.dec": ((), ()),
    "stream.new": ((), (I64,)),
    "stream.read": ((I32, P, P), (I32,)),
    "stream.write": ((I32, P, P), (I32,)),
    "stream.cancel-read": ((I32,), (I32,)),
    "stream.cancel-write": ((I32,), (I32,)),
    "stream.drop-readable": ((I32,), ()),
    "stream.drop-writable": ((I32,), ()),
    "future.new": ((), (I64,)),
    "future.read": ((I32, P), (I32,)),
    "future.write": ((I32, P), (I32,)),
    "future.cancel-read": ((I32,), (I32,)),
    "future.cancel-write": ((I32,), (I32,)),
    "future.drop-readable": ((I32,), ()),
    "future.drop-writable": ((I32,), ()),
    "error-context.new": ((P, P), (I32,)),
    "error-context.debug-message": ((I32, P), ()),
    "error-context.drop": ((I32,), ()),
    "waitable-set.new": ((), (I32,)),
    "waitable-set.wait": ((I32, P), (I32,)),
    "waitable-set.poll": ((I32, P), (I32,)),
    "waitable-set.drop": ((I32,), ()),
    "waitable.join": ((I32, I32), ()),
    "thread.yield": ((), (I32,)),
    "thread.index": ((), (I32,)),
    "thread.suspend": ((), (I32,)),
    "thread.new-indirect": ((I32, I32), (I32,)),
    "thread.resume-later": ((I32,), ()),
    "thread.suspend-then-resume": ((I32,), (I32,)),
    "thread.yield-then-resume": ((I32,), (I32,)),
    "thread.suspend-then-promote": ((I32,), (I32,)),
    "thread.yield-then-promote": ((I32,), (I32,)),
    "thread.available_parallelism": ((), (I32,)),
}
"""Parameters and results; `P` is an address of the memory in the options."""


def builtin_type(item: c.CanonBuiltin, of: Type | None, options: Options) -> FuncType:
    """The core type of a canonical built-in; `of` is its type (or result type), resolved.

    Raises:
        MeldError: a built-in that this version does not know.
    """
    match item.builtin:
        case "task.return":
            return task_return_type(of, options)
        case "context.get":
            return FuncType((), (item.slot[0] if item.slot else I32,))
        case "context.set":
            return FuncType((item.slot[0] if item.slot else I32,), ())
    if item.builtin not in BUILTINS:
        raise MeldError(f"the canonical built-in `{item.builtin}` is not known")
    pointer = _layouts(options).pointer
    params, results = BUILTINS[item.builtin]
    return FuncType(tuple(pointer if isinstance(p, str) else p for p in params), results)
