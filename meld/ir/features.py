"""Which features of WebAssembly an item needs, by the names of `wasm-tools validate --features`.

Source: WebAssembly 1.0, 2.0 and 3.0; Lime1 (tool conventions); the proposals behind them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from meld.ir.instructions import Code, Instruction
from meld.ir.module import DataSegment, ElementSegment, Function, Global, Item, Memory, Table, Tag
from meld.ir.opcodes import OPS
from meld.ir.types import (
    FUNCREF,
    V128,
    AbstractHeap,
    ArrayType,
    ContType,
    FuncType,
    RefType,
    StructType,
    TypeDef,
)

Needs = dict[str, str]
"""Feature → what needs it, a few words for people: an instruction, a type."""

STACKS = "stack-switching"

_LIME = {
    "bulk-memory-opt",
    "call-indirect-overlong",
    "extended-const",
    "multi-value",
    "saturating-float-to-int",
    "sign-extension",
}
_TWO = {
    "bulk-memory",
    "bulk-memory-opt",
    "call-indirect-overlong",
    "multi-value",
    "reference-types",
    "saturating-float-to-int",
    "sign-extension",
    "simd",
}
_THREE = {
    *_TWO,
    "exceptions",
    "extended-const",
    "function-references",
    "gc",
    "memory64",
    "multi-memory",
    "relaxed-simd",
    "tail-call",
    "threads",
}

TARGETS: dict[str, frozenset[str]] = {
    "wasm1": frozenset(),
    "lime1": frozenset(_LIME),
    "wasm2": frozenset(_TWO),
    "wasm3": frozenset(_THREE),
}
"""What a target has beyond WebAssembly 1.0. Mutable globals may be imported and exported in all of them."""

_RULES: tuple[tuple[str, str], ...] = (
    (r"memory\.(copy|fill)$", "bulk-memory-opt"),
    (r"memory\.init|data\.drop|elem\.drop|table\.(init|copy)$", "bulk-memory"),
    (r"table\.(get|set|grow|size|fill)$|ref\.(null|is_null|func)$", "reference-types"),
    (r"i(32|64)\.extend(8|16|32)_s$", "sign-extension"),
    (r"i(32|64)\.trunc_sat_", "saturating-float-to-int"),
    (r"return_call(_indirect)?$", "tail-call"),
    (r"(return_)?call_ref$|ref\.as_non_null$|br_on_(non_)?null$", "function-references"),
    (r"try_table$|throw(_ref)?$", "exceptions"),
    (r"(try|catch|catch_all|rethrow|delegate)$", "legacy-exceptions"),
    (r"cont\.|suspend$|resume(_throw(_ref)?)?$|switch$", STACKS),
    (r"i64\.(add128|sub128|mul_wide_[su])$", "wide-arithmetic"),
)
_PREFIXES = {0xFB: "gc", 0xFE: "threads"}
FIRST_RELAXED = 0x100


@cache
def of_op(name: str) -> str | None:
    """The feature that brings an instruction, by its mnemonic; None for those of WebAssembly 1.0."""
    op = OPS.get(name)
    if op is None:
        return None
    if op.prefix == 0xFD:
        return "relaxed-simd" if op.code >= FIRST_RELAXED else "simd"
    found = next((feature for pattern, feature in _RULES if re.match(pattern, op.name)), None)
    return found or ("gc" if op.name == "ref.eq" else _PREFIXES.get(op.prefix))


_HEAPS = {
    AbstractHeap.FUNC: "reference-types",
    AbstractHeap.EXTERN: "reference-types",
    AbstractHeap.EXN: "exceptions",
    AbstractHeap.CONT: STACKS,
    AbstractHeap.NOCONT: STACKS,
}
CONSTANT = frozenset({"i32.const", "i64.const", "f32.const", "f64.const", "global.get", "ref.null", "ref.func"})
_COMPUTED = frozenset({f"i{bits}.{op}" for bits in (32, 64) for op in ("add", "sub", "mul")})


def of_value(t: object) -> str | None:
    """The feature that a value type needs; None for the number types of WebAssembly 1.0."""
    if t is V128:
        return "simd"
    if isinstance(t, RefType):
        if isinstance(t.heap, TypeDef):
            return "function-references"
        return _HEAPS.get(t.heap, "gc") if t.nullable else "function-references"
    return None


def of_type(t: TypeDef) -> Needs:
    """What a type definition needs."""
    found: Needs = {}
    match t.shape:
        case FuncType(params, results):
            _values(found, (*params, *results))
            if len(results) > 1:
                found["multi-value"] = "functions with several results"
        case StructType() | ArrayType():
            found["gc"] = "structs and arrays"
        case ContType():
            found[STACKS] = "continuations"
    if t.supers or not t.final:
        found["gc"] = "subtypes"
    return found


def of_code(code: Code) -> Needs:
    """What a body needs, the types of the items that it names aside."""
    found: Needs = {}
    _values(found, code.locals)
    for i in code.instructions:
        feature = of_op(i.op)
        if feature is not None:
            found.setdefault(feature, i.op)
        elif i.args:
            _immediates(found, i)
    return found


def _immediates(found: Needs, i: Instruction) -> None:
    first = i.args[0]
    if isinstance(first, TypeDef) and i.op in ("block", "loop", "if"):
        found.setdefault("multi-value", "blocks with parameters or several results")
    elif i.op in ("block", "loop", "if"):
        _values(found, (first,))
    elif i.op == "select" and first is not None:
        found.setdefault("reference-types", "select with a type")


def of_item(item: Item) -> Needs:
    """What an item needs by itself: its type, its body, its constant expressions."""
    found: Needs = {}
    match item:
        case Function(type=t):
            found |= of_type(t)
            if item.body is not None:
                found = of_code(item.view()) | found
        case Table():
            if item.type != FUNCREF:
                _values(found, (item.type,))
            if item.init is not None:
                found["function-references"] = "tables with an initial value"
        case Memory(limits=limits):
            wrong = (("memory64", limits.is64), ("threads", limits.shared))
            found |= {feature: "memories" for feature, does in wrong if does}
            if limits.page_size_log2 not in (None, 16):
                found["custom-page-sizes"] = "memories"
        case Global(init=init):
            _values(found, (item.type,))
            _constant(found, init or ())
        case Tag():
            found["exceptions"] = "tags"
            if isinstance(item.type.shape, FuncType) and item.type.shape.results:
                found[STACKS] = "tags with results"
        case DataSegment(memory=memory, offset=offset):
            if memory is None:
                found["bulk-memory"] = "passive data"
            _constant(found, offset or ())
        case ElementSegment(table=table, offset=offset):
            if table is None:
                found["bulk-memory"] = "passive elements"
            if item.functions is None:
                found["reference-types"] = "elements that are expressions"
            _constant(found, offset or ())
    return found


def _constant(found: Needs, expression: Iterable[Instruction]) -> None:
    for i in expression:
        if i.op in _COMPUTED:
            found.setdefault("extended-const", f"{i.op} in a constant expression")
        elif i.op == "global.get" and i.args[0].imported is None:
            found.setdefault("gc", "a global of the module in a constant expression")
        elif i.op not in CONSTANT or of_op(i.op):
            found.setdefault(of_op(i.op) or "gc", f"{i.op} in a constant expression")


def _values(found: Needs, types: Iterable[object]) -> None:
    for t in types:
        feature = of_value(t)
        if feature is not None:
            found.setdefault(feature, f"values of type {t.value}" if t is V128 else "references")
