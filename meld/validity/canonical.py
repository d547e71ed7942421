"""Canonical definitions: which options each takes and needs, and of what core type it is.

Source: Component Model, CanonicalABI.md (Canonical Definitions, Flattening) and Explainer.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from meld.abi.layout import MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Layout, Layouts
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.builtins import BUILTINS, Operand, Part
from meld.ir.component import Prim
from meld.ir.types import I32, I64, FuncType, NumType
from meld.validity.core_items import UNKNOWN, core_functype, core_limits, show_core
from meld.validity.entities import Defined, Func, Res, Value, describe
from meld.validity.meanings import Meanings


@cache
def _of_primitive(t: Prim, pointer: NumType) -> Layout:
    return Layouts(pointer).of(t)


class _Layouts(Layouts):
    """Layouts of types whose children are still definitions."""

    __slots__ = ("meaning",)
    meaning: dict[Any, Any]

    def of(self, t: Any, depth: int = 0) -> Layout:
        if type(t) is Prim:
            return _of_primitive(t, self.pointer)
        while type(t) is not Prim and t in self.meaning:
            t = self.meaning[t]
        return super().of(t.shape if type(t) is Defined else t, depth)


class Canonical:
    """Gives canonical definitions their meaning."""

    def __init__(self, meanings: Meanings) -> None:
        self.meanings = meanings
        self._by_pointer: dict[Any, _Layouts] = {}

    def _layouts(self, pointer: Any) -> _Layouts:
        found = self._by_pointer.get(pointer)
        if found is None:
            found = self._by_pointer[pointer] = _Layouts(pointer)
            found.meaning = self.meanings.meaning
        return found

    def size(self, t: Defined) -> None:
        """Raises MeldError if a value of a type takes too many bytes with addresses of 64 bits."""
        self._layouts(I64).of(t)

    def _pointer(self, options: c.CanonOptions) -> Any:
        if options.memory is None:
            return I32
        limits = core_limits(self.meanings.meaning[options.memory])
        if limits.shared:
            raise MeldError("the memory in the options is shared", hint="use one that is not")
        return I64 if limits.is64 else I32

    def _check_options(self, options: c.CanonOptions) -> Any:
        """Whether options go together; the type of addresses."""
        pointer = self._pointer(options)
        if options.callback is not None and not options.is_async:
            raise MeldError("`callback` goes with `async` only", hint="add `async`, or leave the callback out")
        if options.post_return is not None and options.is_async:
            raise MeldError("`post-return` does not go with `async`", hint="leave one of them out")
        if options.core_type is not None and not options.gc:
            raise MeldError("`core-type` goes with `gc` only")
        if options.realloc is not None:
            if options.memory is None:
                raise MeldError("`realloc` goes with a memory only", hint="add `(memory …)`")
            self._expect(options.realloc, FuncType((pointer,) * 4, (pointer,)), "`realloc`")
        return pointer

    def _expect(self, item: Any, wanted: FuncType, what: str) -> None:
        found = core_functype(self.meanings.meaning[item])
        if found is not None and found != wanted:
            raise MeldError(f"{what} has to be {show_core(wanted)}, and is {show_core(found)}")

    def _need(self, options: c.CanonOptions, what: str, why: str) -> None:
        if getattr(options, what) is None:
            raise MeldError(f"the option `{what}` is missing: {why}", hint=f"add `({what} …)`")

    def _for_lowering(self, options: c.CanonOptions) -> None:
        for what in ("post_return", "callback"):
            if getattr(options, what) is not None:
                raise MeldError(f"`{what.replace('_', '-')}` is an option of `canon lift` only")

    def lift(self, item: c.CanonLift) -> Func:
        """The type of a lifted function."""
        t: Func = self.meanings.a(Func, item.type, "a function type")
        options = item.options
        core = core_functype(self.meanings.meaning[item.function])
        pointer = self._check_options(options)
        if options.core_type is not None:
            raise MeldError("`core-type` is an option of `canon lower` only")
        if options.post_return is not None and core is not None:
            self._expect(options.post_return, FuncType(core.results), "`post-return`")
        if options.callback is not None:
            self._expect(options.callback, FuncType((I32,) * 3, (I32,)), "`callback`")
        if options.is_async and not t.is_async:
            raise MeldError("`async` is an option for functions of an async type", hint="declare it `(func async …)`")
        if options.gc:
            return t
        layouts = self._layouts(pointer)
        params, spilled = self._flat(layouts, t, MAX_FLAT_PARAMS)
        if spilled or self._allocates(layouts, t.params):
            self._need(options, "memory", "parameters are passed in memory")
            self._need(options, "realloc", "parameters are passed in memory")
        results: tuple[Any, ...] = ()
        if options.is_async:
            results = (I32,) if options.callback is not None else ()
        elif t.result is not None:
            layout = layouts.of(t.result)
            results = layout.flat
            if len(results) > MAX_FLAT_RESULTS:
                results = (pointer,)
                self._need(options, "memory", "the result is passed in memory")
            elif layout.allocates:
                self._need(options, "memory", "the result is passed in memory")
        wanted = FuncType(params, results)
        if core is not None and core != wanted:
            raise MeldError(
                f"the core function does not fit the type: it has to be {show_core(wanted)}, and is {show_core(core)}"
            )
        return t

    def lower(self, item: c.CanonLower) -> Any:
        """The core type of a lowered function."""
        t: Func = self.meanings.a(Func, item.function, "a function")
        options = item.options
        pointer = self._check_options(options)
        self._for_lowering(options)
        if options.gc:
            if options.core_type is None:
                raise MeldError("`gc` needs a `core-type` here")
            return UNKNOWN
        if options.is_async and not t.is_async:
            raise MeldError("`async` is an option for functions of an async type", hint="leave it out")
        layouts = self._layouts(pointer)
        params, spilled = self._flat(layouts, t, MAX_FLAT_ASYNC_PARAMS if options.is_async else MAX_FLAT_PARAMS)
        if spilled or self._allocates(layouts, t.params):
            self._need(options, "memory", "parameters are passed in memory")
        if t.result is None:
            return FuncType(params, (I32,) if options.is_async else ())
        layout = layouts.of(t.result)
        if layout.allocates:
            self._need(options, "memory", "the result is passed in memory")
            self._need(options, "realloc", "the result is passed in memory")
        if options.is_async or len(layout.flat) > MAX_FLAT_RESULTS:
            self._need(options, "memory", "the result is passed in memory")
            return FuncType((*params, pointer), (I32,) if options.is_async else ())
        return FuncType(params, layout.flat)

    def _flat(self, layouts: _Layouts, t: Func, most: int) -> tuple[tuple[Any, ...], bool]:
        """The core parameters of a function, and whether they are passed in memory."""
        flat: tuple[Any, ...] = ()
        for x in t.params:
            flat += layouts.of(x).flat
            if len(flat) > most:
                return (layouts.pointer,), True
        return flat, False

    def _allocates(self, layouts: _Layouts, types: Iterable[Value]) -> bool:
        return any(t is Prim.STRING if type(t) is Prim else layouts.of(t).allocates for t in types)

    def builtin(self, item: c.CanonBuiltin) -> Any:
        """The core type of a built-in."""
        name, options = item.builtin, item.options
        builtin = BUILTINS.get(name)
        if builtin is not None:
            builtin.check_supported()
        pointer = self._check_options(options) if options.order or options.memory is not None else I32
        parts: dict[Part, tuple[Any, ...]] = {Part.POINTER: (pointer,)}
        match name.partition(".")[0]:
            case "resource":
                parts[Part.REP] = (self._rep(item),)
            case "stream" | "future" as family:
                self._check_channel(item, family, pointer)
            case "error-context":
                self._check_message(name, options)
            case "task" if name == "task.return":
                parts[Part.RESULT] = self._task_return(item, pointer)
            case "context":
                parts[Part.SLOT] = (self._slot(item),)
            case "thread" if name == "thread.new-indirect":
                table: Any = item.table
                index = I64 if core_limits(self.meanings.meaning[table]).is64 else I32
                parts |= {Part.INDEX: (index,), Part.ARGUMENT: self._start(item)}
            case _:
                pass
        if builtin is None or (len(parts) == 1 and (pointer is I64 or options.gc)):
            return UNKNOWN
        return builtin.signature(parts) or UNKNOWN

    def _rep(self, item: c.CanonBuiltin) -> Any:
        """The representation of the resource type of a built-in, as far as the built-in needs to know it."""
        found = self.meanings.a(Res, item.type, "a resource type")
        if item.builtin == "resource.drop":
            return I32
        rep = self.meanings.scope.defined.get(found.resource)
        if rep is None:
            raise MeldError(
                f"`{item.builtin}` is only for resource types that this component defines",
                hint="the component that defines the resource can hand a function out",
            )
        return rep

    def _check_channel(self, item: c.CanonBuiltin, family: str, pointer: Any) -> None:
        """Whether a built-in of streams or futures has a type of its family, and the options that its items need."""
        name, options = item.builtin, item.options
        found = self.meanings.meaning[item.type]  # type: ignore[index]
        kind = c.Stream if family == "stream" else c.Future
        if type(found) is not Defined or type(found.shape) is not kind:
            raise MeldError(f"a {family} type is wanted here, not {describe(found)}")
        if Operand.OPTIONS not in BUILTINS[name].operands:
            return
        self._for_lowering(options)
        if found.parts:
            self._need(options, "memory", f"`{name}` passes items in memory")
            if name.endswith("read") and self._allocates(self._layouts(pointer), (found.parts[0],)):
                self._need(options, "realloc", "items hold strings or lists")

    def _start(self, item: c.CanonBuiltin) -> tuple[Any, ...]:
        """The argument of what a thread begins with: a function that takes one number, and returns nothing."""
        found: Any = item.type
        while isinstance(found, c.OuterAlias):
            found = found.target
        shape = getattr(getattr(found, "type", None), "shape", None)  # a module type has none
        if shape not in (FuncType((I32,)), FuncType((I64,))):
            raise MeldError(f"`{item.builtin}` needs a function type with one parameter, of i32, and no result")
        params: tuple[Any, ...] = shape.params
        return params

    def _check_message(self, name: str, options: c.CanonOptions) -> None:
        """Whether a built-in of error contexts has the options that messages need."""
        self._for_lowering(options)
        if name == "error-context.drop":
            return
        self._need(options, "memory", "messages are passed in memory")
        if name.endswith("message"):
            self._need(options, "realloc", "messages are passed in memory")
        if options.is_async:
            raise MeldError(f"`{name}` is never `async`")

    def _task_return(self, item: c.CanonBuiltin, pointer: Any) -> tuple[Any, ...]:
        """The core types of the result that `task.return` takes."""
        options = item.options
        for what in ("realloc", "post_return", "callback"):
            if getattr(options, what) is not None:
                raise MeldError(f"`{what.replace('_', '-')}` is no option of `task.return`")
        if options.is_async:
            raise MeldError("`task.return` is never `async`")
        if item.result is None:
            return ()
        result = item.result
        if type(result) is not Prim:
            result = self.meanings.a(Defined, result, "a value type")
        layout = self._layouts(pointer).of(result)
        if layout.allocates or len(layout.flat) > MAX_FLAT_PARAMS:
            self._need(options, "memory", "the result is passed in memory")
        return layout.flat if len(layout.flat) <= MAX_FLAT_PARAMS else (pointer,)

    def _slot(self, item: c.CanonBuiltin) -> Any:
        """The type of the context slots of the component, which all its built-ins share."""
        t, number = item.slot or (I32, 0)
        if number > 1:
            raise MeldError(f"`{item.builtin}` has the slots 0 and 1, not {number}")
        if t not in (I32, I64):
            raise MeldError(f"`{item.builtin}` is of type i32 or i64")
        scope = self.meanings.scope
        if scope.slot not in (None, t):
            raise MeldError(f"`{item.builtin}` is of another type than those before it")
        scope.slot = t
        return t
