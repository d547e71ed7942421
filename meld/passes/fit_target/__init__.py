"""The pass `fit-target`: what the compiler generates, without the features that a target lacks."""

from __future__ import annotations

from collections.abc import Iterable

from meld.diagnostics import MeldError, did_you_mean
from meld.ir.features import TARGETS, Needs, of_item, of_type
from meld.ir.instructions import Code, LazyBody
from meld.ir.module import Function, Global, Item, Module, Table, Tag
from meld.ir.types import ArrayType, ContType, FuncType, RefType, StructType, TypeDef
from meld.passes.base import Pass, PassContext, option
from meld.passes.fit_target.instructions import Instructions
from meld.passes.fit_target.results import lower_results
from meld.passes.fit_target.tables import join_tables
from meld.rewriting.liveness import reachable

SEGMENTS = ("elements", "datas")


class FitTarget(Pass):
    """Keep generated code within the features of a target; say what the inputs need beyond them.

    Bulk copies become calls of loops, sign extensions shifts; data that the start function writes become stores;
    further results go through globals, operands of blocks through locals; tables that are never written become one.
    What the inputs need is kept, and a remark names it. Code without SIMD is written in the first place by
    `adapter-wiring{simd=false}` and `emit-bridge{simd=false}`, and `lower-multi-memory` makes one memory of all:
    ``--target`` asks for all of them. For ``wasm1``

        (func $adapter.string (@meld.synthetic transcode) (param i32 i32) (result i32 i32)
          (memory.copy …)
          …)
    becomes
        (global $result.1.i32 (mut i32) (i32.const 0))
        (func $adapter.string (@meld.synthetic transcode) (param i32 i32) (result i32)
          (call $memory.copy …)
          … (global.set $result.1.i32))
    """

    name = "fit-target"
    requires = frozenset({"merged"})
    after = (
        "rewire-calls",
        "expose-resources",
        "adapter-wiring",
        "wire-entries",
        "resumable-frames",
        "stack-switching",
        "guard-entries",
        "direct-calls",
        "lower-multi-memory",
    )
    before = ("finish",)
    repeatable = True
    target: str = option("wasm1", f"one of {', '.join(TARGETS)}")

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            hint = did_you_mean(self.target, TARGETS, f"one of {', '.join(TARGETS)}")
            raise MeldError(f"`fit-target` knows no target `{self.target}`", hint=hint)

    def run(self, module: Module, cx: PassContext) -> None:
        allowed = TARGETS[self.target]
        if not cx.allows("fit"):
            return
        needed = _Needed(allowed)
        live = reachable(module)
        for item in module.items():
            if item in live and item.synthetic is None:
                needed.add(item)
        instructions = Instructions(module, allowed, frozenset(needed.of))
        for function in list(module.functions):
            if function in live and function.synthetic is not None:
                instructions.rewrite(function)
        cx.stats["replaced instructions"] = instructions.replaced
        if "multi-value" not in allowed:
            cx.stats["functions with several results"] = lower_results(module)
        if "reference-types" not in allowed:
            _name_functions(module)
            obstacle = join_tables(module)
            if obstacle is not None:
                needed.of.setdefault("reference-types", {})["several tables"] = obstacle
        if len(module.space("memories")) > 1 and "multi-memory" not in allowed:
            needed.of.setdefault("multi-memory", {})["several memories"] = "lower-multi-memory has not run"
        _drop_types(module, allowed)
        self._say(module, needed, cx)

    def _say(self, module: Module, needed: _Needed, cx: PassContext) -> None:
        """Names what is beyond the target, and who needs it."""
        live = reachable(module)
        for item in module.items():
            if item in live and item.synthetic is not None:
                needed.add(item)
        for space in SEGMENTS:
            for segment in getattr(module, space):
                needed.add(segment)
        for typedef in module.typedefs():
            needed.add_type(typedef)
        if needed.of:
            said = "; ".join(f"`{feature}` by {_who(users)}" for feature, users in sorted(needed.of.items()))
            cx.remark(f"the program needs more than `{self.target}` has: {said}")


def _who(users: dict[str, str]) -> str:
    shown = [f"`{who}` ({what})" for who, what in list(users.items())[:4]]
    more = len(users) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


class _Needed:
    """What is needed beyond a target: feature → who needs it → what for."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self.allowed = allowed
        self.of: dict[str, dict[str, str]] = {}

    def add(self, item: Item) -> None:
        """Adds what an item needs; code of the compiler counts only for what no input needs."""
        self._add(_owner(item), of_item(item), generated=item.synthetic is not None)

    def add_type(self, typedef: TypeDef) -> None:
        """Adds what a type definition needs."""
        self._add(f"type {typedef.name}" if typedef.name else "a type", of_type(typedef), generated=True)

    def _add(self, who: str, needs: Needs, *, generated: bool) -> None:
        for feature, what in needs.items():
            if feature not in self.allowed and not (generated and feature in self.of):
                self.of.setdefault(feature, {}).setdefault(who, what)


def _owner(item: Item) -> str:
    if item.owner is not None and item.owner.name:
        return item.owner.name
    return item.name or "the module"


def _name_functions(module: Module) -> None:
    """Writes elements that are functions, and nothing else, as their indices."""
    for element in module.elements:
        if element.expressions is not None and all(
            len(entry) == 1 and entry[0].op == "ref.func" for entry in element.expressions
        ):
            element.functions = [entry[0].args[0] for entry in element.expressions]
            element.expressions = None


def _drop_types(module: Module, allowed: frozenset[str]) -> None:
    """Drops unused type definitions that need what the target lacks."""
    if not any(set(of_type(t)) - allowed for t in module.typedefs()):
        return
    used: set[TypeDef] = set()
    for item in module.items():
        match item:
            case Function(type=t) | Tag(type=t):
                used.add(t)
            case Table(type=t) | Global(type=t):
                used |= _types_in((t,))
            case _:
                pass
        if isinstance(item, Function) and isinstance(item.body, Code | LazyBody):
            code = item.view()
            used |= _types_in(code.locals)
            for i in code.instructions:
                used |= _types_in(i.args)
    used |= _types_in(i.args for code in module.constants() for i in code)
    pending = list(used)
    while pending:
        for t in _types_of(pending.pop()) - used:
            used.add(t)
            pending.append(t)
    module.types = [
        group
        for group in module.types
        if any(t in used for t in group.types) or not any(set(of_type(t)) - allowed for t in group.types)
    ]


def _types_of(t: TypeDef) -> set[TypeDef]:
    match t.shape:
        case FuncType(params, results):
            inside: Iterable[object] = (*params, *results)
        case StructType(fields):
            inside = [f.storage for f in fields]
        case ArrayType(element):
            inside = [element.storage]
        case ContType(function):
            inside = [function]
    return _types_in(inside) | set(t.supers)


def _types_in(values: Iterable[object]) -> set[TypeDef]:
    found: set[TypeDef] = set()
    for value in values:
        match value:
            case TypeDef():
                found.add(value)
            case RefType(heap=TypeDef() as heap):
                found.add(heap)
            case tuple():
                found |= _types_in(value)
            case _:
                pass
    return found
