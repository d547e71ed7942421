"""Core signatures of what a component lowers: functions and canonical built-ins.

Source: Component Model, CanonicalABI.md (Flattening; Canonical Definitions) and Explainer.md (Canonical Built-ins).
"""

from __future__ import annotations

from meld.abi.layout import MAX_FLAT_ASYNC_PARAMS, Layouts, core_type, pointer_of
from meld.abi.options import Options
from meld.abi.types import Type
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.builtins import BUILTINS, Part
from meld.ir.module import Table
from meld.ir.types import I32, I64, FuncType, TypeDef, ValType


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


def start_types(function: object, table: object) -> tuple[ValType, ValType]:
    """The types of an index of a table, and of what the function takes that a thread begins with."""
    shape = function.shape if isinstance(function, TypeDef) else None
    argument = shape.params[0] if isinstance(shape, FuncType) and shape.params else I32
    return (I64 if isinstance(table, Table) and table.limits.is64 else I32), argument


def builtin_type(
    name: str,
    options: Options,
    of: Type | None = None,
    slot: ValType | None = None,
    start: tuple[ValType, ValType] = (I32, I32),
) -> FuncType:
    """The core type of a canonical built-in.

    Args:
        name: the built-in, as in text.
        of: the result type of ``task.return``, resolved.
        slot: the type of the context slot if not i32.
        start: of ``thread.new-indirect``: the types of an index of the table, and of what the function takes.

    Raises:
        MeldError: a built-in that is not fused (``stream.forward``), or of a proposal that is not supported.
    """
    builtin = BUILTINS.get(name)
    if builtin is not None:
        builtin.check_supported()
    flat = task_return_type(of, options).params if name == "task.return" else ()
    pointer = _layouts(options).pointer
    index, argument = start
    parts = {
        Part.POINTER: (pointer,),
        Part.REP: (I32,),
        Part.SLOT: (slot or I32,),
        Part.RESULT: flat,
        Part.INDEX: (index,),
        Part.ARGUMENT: (argument,),
    }
    found = None if builtin is None else builtin.signature(parts)
    if found is None:
        raise MeldError(
            f"the canonical built-in `{name}` cannot be fused: engines refuse it, too, unless they are told otherwise",
            hint="read the elements and write them, or pass the readable end itself",
        )
    return found
