"""Lifting: from core values and memory to component values. The form of values is that of `meld.runtime.canonical`.

Source: Component Model, CanonicalABI.md: Loading, Flat Lifting, Lifting and Lowering Values (`lift_values`).
"""

from __future__ import annotations

from meld.abi.layout import Kind, Layout
from meld.runtime.canonical import Side, Text, Value, elements, is_bulk, mask_of, scalar, trap_if

_ENCODINGS = {"utf8": "utf-8", "utf16": "utf-16-le", "latin1": "latin-1", "tagged utf16": "utf-16-le"}


def lift_values(side: Side, layout: Layout, cores: list[int], most: int) -> Value:
    """A record of values from core values: from memory if they would be more than `most`. Raises HostTrap."""
    if len(layout.flat) > most:
        return load(side, layout, side.check_area(layout, cores[0]))
    return lift_flat(side, layout, list(cores))


def load(side: Side, layout: Layout, at: int) -> Value:
    """A value in memory, at an address that is known to be aligned and in bounds. Raises HostTrap."""
    match layout.kind:
        case Kind.RECORD:
            return tuple(load(side, part, at + offset) for offset, part in layout.fields)
        case Kind.FIXED_LIST:
            assert layout.element is not None
            return _load_elements(side, layout.element, at, layout.length)
        case Kind.VARIANT:
            case = _number(side, at, layout.discriminant)
            inner = _case(layout, case)
            return (case, None if inner is None else load(side, inner, at + layout.payload))
        case Kind.STRING | Kind.LIST:
            return _lift_range(side, layout, _number(side, at, side.width), _number(side, at + side.width, side.width))
        case _:
            return scalar(side, layout, _number(side, at, layout.size))


def lift_flat(side: Side, layout: Layout, cores: list[int]) -> Value:
    """A value in core values, which are taken from the front of the list. Raises HostTrap."""
    match layout.kind:
        case Kind.RECORD:
            return tuple(lift_flat(side, part, cores) for _, part in layout.fields)
        case Kind.FIXED_LIST:
            assert layout.element is not None
            return [lift_flat(side, layout.element, cores) for _ in range(layout.length)]
        case Kind.VARIANT:
            case, joined = cores[0], cores[1 : len(layout.flat)]
            del cores[: len(layout.flat)]
            case &= 0xFFFF_FFFF
            inner = _case(layout, case)
            if inner is None:
                return (case, None)
            # A joined core value is at least as wide as the case's own, which is in its low bits.
            return (case, lift_flat(side, inner, [x & mask_of(t) for x, t in zip(joined, inner.flat, strict=False)]))
        case Kind.STRING | Kind.LIST:
            at, length = cores[:2]
            del cores[:2]
            return _lift_range(side, layout, at, length)
        case _:
            return scalar(side, layout, cores.pop(0))


def _number(side: Side, at: int, size: int) -> int:
    return int.from_bytes(side.memory()[at : at + size], "little")


def _case(layout: Layout, case: int) -> Layout | None:
    trap_if(case >= len(layout.cases), f"case {case} of a variant with {len(layout.cases)} cases")
    return layout.cases[case]


def _load_elements(side: Side, element: Layout, at: int, count: int) -> list[Value]:
    if is_bulk(element):
        return elements(side.memory(), element, at, count)
    return [load(side, element, at + i * element.size) for i in range(count)]


def _lift_range(side: Side, layout: Layout, at: int, length: int) -> Value:
    """A string or list from its address and length."""
    if layout.kind is Kind.STRING:
        return _lift_string(side, at, length)
    element = layout.element
    assert element is not None
    side.check_range(at, length * element.size, element.align, "list")
    return _load_elements(side, element, at, length)


def _lift_string(side: Side, at: int, length: int) -> Text:
    encoding, unit, align = side.encoding, 1 if side.encoding == "utf8" else 2, 1 if side.encoding == "utf8" else 2
    if encoding == "latin1+utf16":
        encoding, unit = ("tagged utf16", 2) if length & side.tag else ("latin1", 1)
        length &= ~side.tag
    memory = side.check_range(at, length * unit, align, "string")
    try:
        text = bytes(memory[at : at + length * unit]).decode(_ENCODINGS[encoding])
    except UnicodeError as e:
        trap_if(True, f"a string at {at:#x} is not {encoding}: {e}")
        raise AssertionError from e
    return Text.of(text, encoding)
