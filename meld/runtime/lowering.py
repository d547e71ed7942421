"""Lowering: from component values to core values and memory. The form of values is that of `meld.runtime.canonical`.

Source: Component Model, CanonicalABI.md: Storing, Flat Lowering, Lifting and Lowering Values (`lower_values`).
"""

from __future__ import annotations

from collections.abc import Sequence

from meld.abi.layout import MAX_VALUE_BYTES, Kind, Layout
from meld.runtime.canonical import Side, Text, Value, bits_of, is_bulk, mask_of, packed, trap_if


def lower_values(side: Side, layout: Layout, values: Value, most: int, out: int | None = None) -> list[int]:
    """A record of values as core values: in memory if they would be more than `most`.

    Args:
        out: where the caller has room for them; allocated if None.

    Raises:
        HostTrap: they cannot be lowered.
    """
    if len(layout.flat) <= most:
        return lower_flat(side, layout, values)
    if out is None:
        at = side.allocate(0, 0, layout.align, layout.size)
        store(side, layout, values, at)
        return [at]
    store(side, layout, values, side.check_area(layout, out))
    return []


def store(side: Side, layout: Layout, value: Value, at: int) -> None:
    """Stores a value at an address that is known to be aligned and in bounds. Raises HostTrap."""
    match layout.kind:
        case Kind.RECORD:
            for (offset, part), inner in zip(layout.fields, value, strict=True):
                store(side, part, inner, at + offset)
        case Kind.FIXED_LIST:
            assert layout.element is not None
            _store_elements(side, layout.element, value, at)
        case Kind.VARIANT:
            case, payload = value
            side.put(at, layout.discriminant, case)
            inner_layout = layout.cases[case]
            if inner_layout is not None:
                store(side, inner_layout, payload, at + layout.payload)
        case Kind.STRING | Kind.LIST:
            address, length = _lower_range(side, layout, value)
            side.put(at, side.width, address)
            side.put(at + side.width, side.width, length)
        case _:
            side.put(at, layout.size, bits_of(side, layout, value))


def lower_flat(side: Side, layout: Layout, value: Value) -> list[int]:
    """A value as core values. Raises HostTrap."""
    match layout.kind:
        case Kind.RECORD:
            parts = zip(layout.fields, value, strict=True)
            return [core for (_, part), inner in parts for core in lower_flat(side, part, inner)]
        case Kind.FIXED_LIST:
            assert layout.element is not None
            return [core for inner in value for core in lower_flat(side, layout.element, inner)]
        case Kind.VARIANT:
            case, payload = value
            inner_layout = layout.cases[case]
            cores = [] if inner_layout is None else lower_flat(side, inner_layout, payload)
            # A narrow core value in a joined wider one: its bits, extended by zeros.
            return [case, *cores, *[0] * (len(layout.flat) - 1 - len(cores))]
        case Kind.STRING | Kind.LIST:
            return list(_lower_range(side, layout, value))
        case _:
            return [bits_of(side, layout, value) & mask_of(layout.flat[0])]


def _store_elements(side: Side, element: Layout, values: Sequence[Value], at: int) -> None:
    if is_bulk(element):
        data = packed(element, list(values))
        side.memory()[at : at + len(data)] = data
        return
    for i, value in enumerate(values):
        store(side, element, value, at + i * element.size)


def _lower_range(side: Side, layout: Layout, value: Value) -> tuple[int, int]:
    """The address and the length of a string or list, after it has been stored."""
    if layout.kind is Kind.STRING:
        return _lower_string(side, value)
    element = layout.element
    assert element is not None
    size = len(value) * element.size
    trap_if(size > MAX_VALUE_BYTES, f"a list of {size} bytes is too large")
    at = side.allocate(0, 0, element.align, size)
    _store_elements(side, element, value, at)
    return at, len(value)


# --- strings ---------------------------------------------------------------------------------------------------------


def _lower_string(side: Side, text: str) -> tuple[int, int]:
    """`store_string_into_range`: the size passed to `realloc` depends on the source's encoding."""
    source = text.encoding if isinstance(text, Text) else "utf8"
    match source, side.encoding:
        case ("utf8", "utf8") | ("utf16" | "tagged utf16" | "latin1", "utf16"):
            data = _encoded(text, side.encoding)
            at = _write(side, data, 1 if side.encoding == "utf8" else 2)
            return at, len(data) if side.encoding == "utf8" else len(data) // 2
        case (_, "utf8"):
            units = _units(text, source)
            return _grown(side, _encoded(text, "utf8"), units, units * (2 if source == "latin1" else 3))
        case (_, "utf16"):
            worst = 2 * _units(text, source)
            data = _encoded(text, "utf16")
            at = _allocate(side, worst, 2)
            side.memory()[at : at + len(data)] = data
            return _shrunk(side, at, worst, 2, len(data)), len(data) // 2
        case ("latin1", _):
            return _write(side, text.encode("latin-1"), 2), len(text)
        case ("tagged utf16", _):
            return _lower_probably_wide(side, text)
        case _:
            return _lower_compact(side, text, _units(text, source))


def _encoded(text: str, encoding: str) -> bytes:
    return text.encode("utf-8" if encoding == "utf8" else "utf-16-le")


def _units(text: str, source: str) -> int:
    """Code units of a string in the encoding that it had."""
    match source:
        case "utf8":
            return len(text.encode())
        case "latin1":
            return len(text)
        case _:
            return len(text.encode("utf-16-le")) // 2


def _allocate(side: Side, size: int, align: int) -> int:
    trap_if(size > MAX_VALUE_BYTES, f"a string of {size} bytes is too large")
    return side.allocate(0, 0, align, size)


def _write(side: Side, data: bytes, align: int) -> int:
    at = _allocate(side, len(data), align)
    side.memory()[at : at + len(data)] = data
    return at


def _shrunk(side: Side, at: int, size: int, align: int, needed: int) -> int:
    return side.allocate(at, size, align, needed) if needed < size else at


def _grown(side: Side, data: bytes, units: int, worst: int) -> tuple[int, int]:
    """`store_string_to_utf8`: a byte per code unit may be enough; if not, room for the worst case."""
    at = _allocate(side, units, 1)
    side.memory()[at : at + units] = data[:units]
    if units < len(data):
        trap_if(worst > MAX_VALUE_BYTES, f"a string of {worst} bytes is too large")
        at = side.allocate(at, units, 1, worst)
        side.memory()[at + units : at + len(data)] = data[units:]
        at = _shrunk(side, at, worst, 1, len(data))
    return at, len(data)


def _lower_compact(side: Side, text: str, units: int) -> tuple[int, int]:
    """`store_string_to_latin1_or_utf16`."""
    at = _allocate(side, units, 2)
    narrow = next((i for i, char in enumerate(text) if ord(char) > 0xFF), len(text))
    side.memory()[at : at + narrow] = text[:narrow].encode("latin-1")
    if narrow == len(text):
        return _shrunk(side, at, units, 2, narrow), narrow
    worst = 2 * units
    trap_if(worst > MAX_VALUE_BYTES, f"a string of {worst} bytes is too large")
    at = side.allocate(at, units, 2, worst)
    data = _encoded(text, "utf16")
    side.memory()[at : at + len(data)] = data
    return _shrunk(side, at, worst, 2, len(data)), (len(data) // 2) | side.tag


def _lower_probably_wide(side: Side, text: str) -> tuple[int, int]:
    """`store_probably_utf16_to_latin1_or_utf16`: written as UTF-16, then narrowed where that is possible."""
    data = _encoded(text, "utf16")
    at = _write(side, data, 2)
    if any(ord(char) > 0xFF for char in text):
        return at, (len(data) // 2) | side.tag
    side.memory()[at : at + len(text)] = text.encode("latin-1")
    # The text of the specification says alignment 1 here; engines ask for what the block was allocated with.
    return side.allocate(at, len(data), 2, len(text)), len(text)
