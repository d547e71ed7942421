"""Numbers and strings of the text format (WebAssembly 3.0, sections 6.3.1 to 6.3.4), read and written exactly.

Floats are their bits, as everywhere in the IR. Readers return None for text that is no such literal or is out of range;
the caller knows the place.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from math import inf, isinf, nextafter

from meld.support.patterns import late

_INTEGER = late(r"([+-]?)(?:0x([0-9A-Fa-f]+(?:_[0-9A-Fa-f]+)*)|([0-9]+(?:_[0-9]+)*))")
_DECIMAL = late(r"[+-]?[0-9]+(?:_[0-9]+)*(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?(?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?")
_HEX = late(
    r"([+-]?)0x([0-9A-Fa-f]+(?:_[0-9A-Fa-f]+)*)(?:\.([0-9A-Fa-f]+(?:_[0-9A-Fa-f]+)*)?)?(?:[pP]([+-]?[0-9]+(?:_[0-9]+)*))?"
)
_SPECIAL = late(r"([+-]?)(?:(inf)|nan(?::0x([0-9A-Fa-f]+(?:_[0-9A-Fa-f]+)*))?)")

_MANTISSA = {32: 23, 64: 52}
_PACK = {32: ("<f", "<I"), 64: ("<d", "<Q")}
_MAX_DIGITS = 4000  # more digits than any integer that has a meaning; Python refuses to convert longer ones


def integer(text: str) -> int | None:
    """An integer literal of any size that makes sense, with its sign."""
    match = _INTEGER.fullmatch(text)
    if match is None or len(text) > _MAX_DIGITS:
        return None
    sign, hexadecimal, decimal = match.groups()
    value = int(hexadecimal, 16) if hexadecimal else int(decimal)
    return -value if sign == "-" else value


def signed(text: str, bits: int) -> int | None:
    """An integer literal of `bits` bits, written as signed or unsigned, as the signed number."""
    value = integer(text)
    if value is None or not -(1 << bits - 1) <= value < 1 << bits:
        return None
    return value - (1 << bits) if value >> bits - 1 > 0 else value


def unsigned(text: str, bits: int = 32) -> int | None:
    """An integer literal without a sign."""
    value = integer(text)
    return None if value is None or text[0] in "+-" or value >> bits else value


# --- floats --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def float_bits(text: str, bits: int) -> int | None:
    """The bits of a float literal, rounded to the nearest, ties to even."""
    if match := _SPECIAL.fullmatch(text):
        return _special(match, bits)
    if match := _HEX.fullmatch(text):
        return _hex_float(match, bits)
    if _DECIMAL.fullmatch(text):
        return _decimal_float(text.replace("_", ""), bits)
    return None


def _special(match: re.Match[str], bits: int) -> int | None:
    sign, infinite, payload = match.groups()
    mantissa = _MANTISSA[bits]
    fraction = 0 if infinite else 1 << mantissa - 1
    if payload is not None:
        fraction = int(payload, 16)
        if not 0 < fraction < 1 << mantissa:
            return None
    exponent = (1 << bits - mantissa - 1) - 1
    return (sign == "-") << bits - 1 | exponent << mantissa | fraction


def _decimal_float(text: str, bits: int) -> int | None:
    value = float(text)
    if isinf(value):
        return None
    pack, unpack = _PACK[bits]
    if bits == 32 and value:
        # to round once and not twice, the double is made odd where it is not exact
        from decimal import Decimal

        exact, near = Decimal(text), Decimal(value)
        (raw,) = struct.unpack("<Q", struct.pack("<d", value))
        if exact != near and not raw & 1:
            value = nextafter(value, inf if exact > near else -inf)
    try:
        (found,) = struct.unpack(unpack, struct.pack(pack, value))
    except OverflowError:
        return None
    return int(found)


def _hex_float(match: re.Match[str], bits: int) -> int | None:
    sign, whole, fraction, power = (part and part.replace("_", "") for part in match.groups())
    digits = whole + (fraction or "")
    value = int(digits, 16)
    if not value:
        return (sign == "-") << bits - 1
    # an exponent beyond these bounds decides alone, whatever the digits are
    bound = 4 * len(digits) + 5000
    power = (power or "0")[:12]
    exponent = max(-bound, min(bound, int(power))) - 4 * len(fraction or "")
    mantissa = _MANTISSA[bits]
    bias = (1 << bits - mantissa - 2) - 1
    # the unit of the last place, in which the value is counted: that of the subnormals at least
    unit = max(value.bit_length() + exponent - mantissa - 1, 1 - bias - mantissa)
    shift = unit - exponent
    if shift <= 0:
        count = value << -shift
    else:
        count, rest = value >> shift, value & (1 << shift) - 1
        half = 1 << shift - 1
        count += rest > half or (rest == half and count & 1)
    # counting on over the end of the mantissa carries into the exponent, as it should
    encoded = count if unit == 1 - bias - mantissa else count + (unit + bias + mantissa - 1 << mantissa)
    if encoded >> mantissa >= (1 << bits - mantissa - 1) - 1:
        return None
    return (sign == "-") << bits - 1 | encoded


def float_text(bits_of: int, bits: int) -> str:
    """The shortest decimal that means these bits; ``inf``, ``nan`` and ``nan:0x…`` for those that are no numbers."""
    mantissa = _MANTISSA[bits]
    sign = "-" if bits_of >> bits - 1 else ""
    exponent = bits_of >> mantissa & (1 << bits - mantissa - 1) - 1
    fraction = bits_of & (1 << mantissa) - 1
    if exponent == (1 << bits - mantissa - 1) - 1:
        if not fraction:
            return sign + "inf"
        return sign + ("nan" if fraction == 1 << mantissa - 1 else f"nan:{fraction:#x}")
    (value,) = struct.unpack(_PACK[bits][0], bits_of.to_bytes(bits // 8, "little"))
    if bits == 64:
        return repr(value).removesuffix(".0")
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if float_bits(text, 32) == bits_of:
            return text
    raise AssertionError(text)


# --- strings -------------------------------------------------------------------------------------------------------

_ESCAPE = late(rb'\\(?:([0-9A-Fa-f]{2})|u\{([0-9A-Fa-f]+(?:_[0-9A-Fa-f]+)*)\}|([tnr"\'\\])|(.?))', re.DOTALL)
_SIMPLE = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b'"': b'"', b"'": b"'", b"\\": b"\\"}
_CONTROL = late(r"[\x00-\x1f\x7f]")


def string_bytes(literal: str) -> bytes | None:
    """The bytes of a string literal, quotes included in the text; None if an escape or a character is malformed."""
    if _CONTROL.search(literal):
        return None
    try:
        raw = literal[1:-1].encode()
        return raw if b"\\" not in raw else _ESCAPE.sub(_unescape, raw)
    except (UnicodeEncodeError, ValueError):
        return None


def _unescape(match: re.Match[bytes]) -> bytes:
    pair, scalar, simple, wrong = match.groups()
    if pair is not None:
        return bytes((int(pair, 16),))
    if scalar is not None:
        number = int(scalar, 16) if len(scalar) < 16 else 0x110000
        if number >= 0x110000 or 0xD800 <= number < 0xE000:
            raise ValueError("no scalar value")
        return chr(number).encode()
    if simple is not None:
        return _SIMPLE[simple]
    raise ValueError(f"unknown escape {wrong!r}")


def string_text(literal: str) -> str | None:
    """The text of a string literal that must be UTF-8."""
    raw = string_bytes(literal)
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        return None


_PLAIN = {i: chr(i) for i in range(0x20, 0x7F)} | {i: f"\\{i:02x}" for i in (*range(0x20), *range(0x7F, 0x100))}
_BYTE_ESCAPES = {**_PLAIN, 0x22: '\\"', 0x5C: "\\\\", 0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}


def quoted_bytes(data: bytes | memoryview) -> str:
    """Bytes as a string literal in ASCII."""
    return '"' + str(data, "latin-1").translate(_BYTE_ESCAPES) + '"'


_CHAR_ESCAPES = {i: text for i, text in _BYTE_ESCAPES.items() if i < 0x80}
_INVISIBLE = late(r"[\x80-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\udc80-\udcff]")


def quoted(text: str) -> str:
    """Text as a string literal; what would be invisible or turn the direction of the line is escaped.

    A surrogate escape stands for a byte that is not UTF-8, and is written as that byte.
    """
    escaped = text.translate(_CHAR_ESCAPES)
    return '"' + (escaped if escaped.isascii() else _INVISIBLE.sub(_escape, escaped)) + '"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\{code - 0xDC00:02x}" if code >= 0xDC80 and code <= 0xDCFF else f"\\u{{{code:x}}}"


_IDENTIFIER = re.compile(r"[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+")


def identifier(name: str) -> str:
    """``$name``, or ``$"any name"``."""
    return f"${name}" if _IDENTIFIER.fullmatch(name) else f"${quoted(name)}"


def identifier_name(token: str) -> str | None:
    """The name in ``$name`` or ``$"any name"``; None if it is malformed or empty."""
    return (string_text(token[1:]) if token.startswith('$"') else token[1:]) or None
