"""Measures: how much a transfer of elements carries in lists, where lists hold lists.

A few bytes can stand for any amount there: the same list may be the element of a list many times over, and that list of
the next one. The reader would allocate and copy for hours before its memory is full. So such elements are measured
first, and a transfer that carries too much traps before the reader allocates anything. What is counted is never more
than what engines count, which have the same limit.

Source: wasmtime, `Store::set_hostcall_fuel` (the limit, its default, and its words).
"""

from __future__ import annotations

from dataclasses import replace

from meld.abi.core_values import LOAD_SIZE
from meld.abi.layout import Kind, Layout
from meld.abi.traps import Trap
from meld.ir.types import I64
from meld.passes.adapter_wiring.adapter_module import Body
from meld.passes.adapter_wiring.values import InMemory, Translator, access, sum_of

MOST = 128 << 20
"""What a transfer may carry, in units: a byte of a string, or of an element of a list."""
MOST_OF_ELEMENT = 32
"""Units of an element of a list, if it has so many bytes; engines count no less for each, however small it is."""
UTF16_TAG = 1 << 31


def is_nested(layout: Layout) -> bool:
    """Whether a layout holds lists whose elements hold lists or strings."""
    lists = layout.outermost(lambda one: one.kind is Kind.LIST)
    return any(one.element is not None and one.element.allocates for one in lists)


def measure(copy: Translator, src: Layout, from_: str, end: str) -> None:
    """Traps if the elements of layout `src` between two addresses of the source carry too much."""
    copy.body.emit(f"(drop (call {_elements(copy, src)} {from_} {end} (i64.const {MOST})))")


def _elements(copy: Translator, src: Layout) -> str:
    """``(from, end, left) → left``: the helper that takes what some elements carry from what is left."""
    key = ("measure", id(src), copy.source)
    return copy.adapters.helper(key, "measure", lambda name: _text(copy, name, src))


def _text(copy: Translator, name: str, src: Layout) -> str:
    p = copy.source.pointer
    body = Body([("$from", p), ("$end", p), ("$left", I64)], (I64,))
    inner = replace(copy, body=body)
    with body.block("block $done"), body.block("loop $next"):
        body.emit(f"({p.value}.eq (local.get $from) (local.get $end))")
        body.emit("br_if $done")
        _value(inner, src, 0)
        body.emit(f"(local.set $from {sum_of(p, '(local.get $from)', src.size)})")
        body.emit("br $next")
    body.emit("local.get $left")
    return body.text(name)


def _value(copy: Translator, src: Layout, offset: int) -> None:
    """Takes what one value carries; it stands so many bytes behind ``$from``."""
    if not src.allocates:
        return
    match src.kind:
        case Kind.RECORD:
            for at, part in src.fields:
                _value(copy, part, offset + at)
        case Kind.VARIANT:
            load = f"({LOAD_SIZE[src.discriminant]}{access(InMemory(copy.source, '$from', offset))} (local.get $from))"
            for number, case in enumerate(src.cases):
                if case is not None and case.allocates:
                    copy.body.emit(f"(i32.eq {load} (i32.const {number}))")
                    with copy.body.block("if"):
                        _value(copy, case, offset + src.payload)
        case Kind.FIXED_LIST:
            assert src.element is not None
            start = sum_of(copy.source.pointer, "(local.get $from)", offset)
            end = sum_of(copy.source.pointer, "(local.get $from)", offset + src.size)
            copy.body.emit(f"(local.set $left (call {_elements(copy, src.element)} {start} {end} (local.get $left)))")
        case Kind.STRING:
            length = _pointer(copy, offset + src.align)
            p = copy.source.pointer.value
            _take(copy, _wide(copy, f"({p}.and {length} ({p}.const {UTF16_TAG - 1}))"))
        case _:
            assert src.kind is Kind.LIST and src.element is not None
            _list(copy, src.element, _pointer(copy, offset), _pointer(copy, offset + src.align))


def _list(copy: Translator, element: Layout, address: str, length: str) -> None:
    key = ("measure list", id(element), copy.source)
    helper = copy.adapters.helper(key, "measure", lambda name: _list_text(copy, name, element))
    copy.body.emit(f"(local.set $left (call {helper} {address} {length} (local.get $left)))")


def _list_text(copy: Translator, name: str, element: Layout) -> str:
    """``(address, length, left) → left``: of a list, whose elements are looked at if it lies where a list may lie."""
    p = copy.source.pointer
    body = Body([("$from", p), ("$length", p), ("$left", I64)], (I64,))
    inner = replace(copy, body=body)
    size = inner.check_list(body, element)
    units = min(element.size, MOST_OF_ELEMENT)
    _take(inner, f"(i64.mul {_wide(inner, '(local.get $length)')} (i64.const {units}))")
    if element.allocates:
        end = f"({p.value}.add (local.get $from) (local.get {size}))"
        body.emit(f"(local.set $left (call {_elements(inner, element)} (local.get $from) {end} (local.get $left)))")
    body.emit("local.get $left")
    return body.text(name)


def _take(copy: Translator, units: str) -> None:
    """Takes units, of at most 2³³, from what is left."""
    copy.body.emit(f"(local.set $left (i64.sub (local.get $left) {units}))")
    copy.body.trap_if("(i64.lt_s (local.get $left) (i64.const 0))", copy.adapters.trap(Trap.TOO_MUCH))


def _pointer(copy: Translator, offset: int) -> str:
    return f"({copy.source.pointer.value}.load{access(InMemory(copy.source, '$from', offset))} (local.get $from))"


def _wide(copy: Translator, expr: str) -> str:
    return expr if copy.source.pointer is I64 else f"(i64.extend_i32_u {expr})"
