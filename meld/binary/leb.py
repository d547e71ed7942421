"""Numbers and vectors as the binary format writes them (WebAssembly 3.0, section 5.2)."""

from __future__ import annotations

from collections.abc import Sequence

_ONE_BYTE = [bytes((n,)) for n in range(128)]


def read_unsigned(data: bytes, at: int) -> tuple[int, int]:
    """A number of any width up to 70 bits, and where it ends, for data that need no messages of their own.

    Raises:
        IndexError: the data end before it does.
        ValueError: it is longer.
    """
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 70:
            raise ValueError("a number of more than 70 bits")


def unsigned(value: int) -> bytes:
    """Unsigned LEB128, the shortest form."""
    if value < 128:
        return _ONE_BYTE[value]
    if value < 1 << 14:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value >= 128:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int) -> bytes:
    """Signed LEB128, the shortest form."""
    if -64 <= value < 64:
        return _ONE_BYTE[value & 0x7F]
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def name(text: str) -> bytes:
    """A name: length in bytes, then UTF-8."""
    data = text.encode()
    return unsigned(len(data)) + data


def vector(items: Sequence[bytes | memoryview]) -> bytes:
    """A vector: the number of items, then the items."""
    return unsigned(len(items)) + b"".join(items)


def section(number: int, payload: bytes) -> bytes:
    """A section: id, size, payload."""
    return b"".join(section_pieces(number, [payload]))


def section_pieces(number: int, payload: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """A section in pieces, those of its payload among them."""
    return [bytes((number,)) + unsigned(sum(map(len, payload))), *payload]
