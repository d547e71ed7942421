"""Proposals that are not supported: what tells each, so that an error can name it instead of calling it malformed.

Source: the explainers of the proposals, at github.com/WebAssembly.
"""

from __future__ import annotations

import re

DESCRIPTORS, THREADS = "custom-descriptors", "shared-everything-threads"
CONTROL, HALF, STRINGS = "memory-control", "half-precision", "reference-types strings (stringref)"

HINT = "let the toolchain compile without it"

_OPCODES = (
    (0xFB, 0x20, 0x26, DESCRIPTORS),
    (0xFB, 0x80, 0xB7, STRINGS),
    (0xFC, 0x12, 0x13, CONTROL),
    (0xFC, 0x30, 0x31, HALF),
    (0xFD, 0x120, 0x14F, HALF),
    (0xFE, 0x04, 0x04, THREADS),
    (0xFE, 0x4F, 0x7F, THREADS),
)
"""Prefix (0: none), first and last opcode."""

TYPE_FORMS = {0x4C: DESCRIPTORS, 0x4D: DESCRIPTORS, 0x65: THREADS}
"""The first byte of a definition in the type section."""
HEAP_CODES = {
    0x62: DESCRIPTORS,
    0x65: THREADS,
    **dict.fromkeys((0x60, 0x61, 0x66, 0x67), STRINGS),
}
"""The first byte of a heap type."""
IMPORT_KINDS = {0x20: DESCRIPTORS}
SHARED = 0x02
"""A bit of the mutability of a global or a field, and of the flags of a table."""

_WORDS = (
    (r"descriptor|describes|exact|\w+\.new\w*_desc|ref\.get_desc|\w+_cast_desc\w*|\w+\.cast_desc\w*", DESCRIPTORS),
    (r"shared|pause|thread\.\w+|ref\.i31_shared|(?:global|table|struct|array)\.(?:atomic|wait|notify)\b.*", THREADS),
    (r"memory\.(?:discard|protect)", CONTROL),
    (r"(?!nan)[\w.]*f16(?!\d)[\w.]*", HALF),
    (r"stringref|string\.\w+|stringview\w*(?:\.\w+)?", STRINGS),
)


def of_opcode(prefix: int, code: int) -> str | None:
    """The proposal that an opcode belongs to; `prefix` is 0 for opcodes of one byte."""
    return next((name for p, first, last, name in _OPCODES if p == prefix and first <= code <= last), None)


def of_word(word: str) -> str | None:
    """The proposal that a keyword or a mnemonic of the text format belongs to, with or without a parenthesis."""
    return next((name for pattern, name in _WORDS if re.fullmatch(pattern, word.lstrip("("))), None)


def unsupported(proposal: str, shown: str) -> str:
    """The message of an error: what of a proposal was found."""
    return f"unsupported proposal: {proposal} ({shown})"
