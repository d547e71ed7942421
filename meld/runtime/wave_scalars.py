"""Scalars in WAVE: the ranges of integers, the bits of floats, escapes of characters."""

from __future__ import annotations

import math
import re
import struct
import unicodedata
from decimal import Decimal

from meld.ir.component import Prim

INTEGERS: dict[Prim, tuple[int, int]] = {
    prim: (-(1 << bits - 1), (1 << bits - 1) - 1) if prim.value.startswith("s") else (0, (1 << bits) - 1)
    for prim, bits in (
        (Prim.U8, 8),
        (Prim.S8, 8),
        (Prim.U16, 16),
        (Prim.S16, 16),
        (Prim.U32, 32),
        (Prim.S32, 32),
        (Prim.U64, 64),
        (Prim.S64, 64),
    )
}
"""The least and the greatest value."""

_CANONICAL_NAN = {Prim.F32: 0x7FC0_0000, Prim.F64: 0x7FF8_0000_0000_0000}
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "'": "'", '"': '"', "\\": "\\"}
_ESCAPED = {char: f"\\{letter}" for letter, char in _ESCAPES.items()}


def float_bits(value: float, t: Prim) -> int:
    """The bits of the nearest float of a type; what is too large is an infinity."""
    if math.isnan(value):
        return _CANONICAL_NAN[t]
    try:
        data = struct.pack("<f" if t is Prim.F32 else "<d", value)
    except OverflowError:
        data = struct.pack("<f", math.copysign(math.inf, value))
    return int.from_bytes(data, "little")


def float_of(bits: int, t: Prim) -> float:
    """The float with some bits."""
    single = t is Prim.F32
    value: float = struct.unpack("<f" if single else "<d", bits.to_bytes(4 if single else 8, "little"))[0]
    return value


def float_text(bits: int, t: Prim) -> str:
    """The shortest decimal number that means these bits, without an exponent; `inf`, `-inf` or `nan`."""
    size, form = (4, "<f") if t is Prim.F32 else (8, "<d")
    value: float = struct.unpack(form, bits.to_bytes(size, "little"))[0]
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    text = repr(value) if t is Prim.F64 else _shortest32(value)
    return f"{Decimal(text):f}".removesuffix(".0")


def _shortest32(value: float) -> str:
    candidates = (f"{value:.{digits}g}" for digits in range(1, 10))
    return next(text for text in candidates if float_bits(float(text), Prim.F32) == float_bits(value, Prim.F32))


def unescaped(text: str) -> str:
    """Characters with their escapes resolved. Raises ValueError for an escape that means no Unicode scalar value."""

    def resolve(match: re.Match[str]) -> str:
        code = match.group(1)
        if code is None:
            if match.group(2) not in _ESCAPES:
                raise ValueError(f"`\\{match.group(2)}` is not an escape")
            return _ESCAPES[match.group(2)]
        number = int(code, 16)
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise ValueError(f"U+{number:04X} is not a Unicode scalar value")
        return chr(number)

    out = re.sub(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|([\s\S]?))", resolve, text)
    if any(0xD800 <= ord(char) <= 0xDFFF for char in out):  # a command line that is no UTF-8
        raise ValueError("the text is not Unicode")
    return out


def escaped(text: str) -> str:
    """The reverse of `unescaped`: everything that a terminal would not show as itself is escaped."""
    return "".join(_ESCAPED.get(char) or (char if _shows(char) else f"\\u{{{ord(char):x}}}") for char in text)


def _shows(char: str) -> bool:
    return char.isprintable() and unicodedata.category(char) not in ("Mn", "Me")


def multiline(text: str) -> str:
    """What stands between triple quotes, without the indentation of the closing ones. Raises ValueError."""
    first, *lines = text.replace("\r\n", "\n").split("\n")
    if first or not lines:
        raise ValueError('the opening """ must be followed by a new line')
    indent = lines.pop()
    if indent.strip(" "):
        raise ValueError('the closing """ must stand on a line of its own')
    if not all(line.startswith(indent) for line in lines):
        raise ValueError('lines must be indented at least as much as the closing """')
    return "\n".join(line[len(indent) :] for line in lines)
