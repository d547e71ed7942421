"""Attribution by source lines: what the compiler made belongs to the file `<meld-adapter>`, one line for each kind.

Coverage and profiling tools that map code to lines so tell generated code from that of the inputs, and its kinds from
each other. Source: DWARF 4, sections 6.2 (line numbers) and 7.5; addresses are offsets into the contents of the code
section (WebAssembly tool conventions, DWARF).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from meld.binary.leb import signed, unsigned

FILE = "<meld-adapter>"

LINE_OF_KIND = {
    "generated": 1,
    "direct": 2,
    "memory-copy": 3,
    "transcode": 4,
    "async": 5,
    "handle-table": 6,
    "start-wrapper": 7,
    "adapter-shim": 8,
    "task-return-shim": 9,
    "stream-bridge": 10,
}
"""Line per kind of generated code."""


def line_of(kind: str) -> int:
    """The line of a kind of generated code; a kind that has none of its own is line 1."""
    return LINE_OF_KIND.get(kind, LINE_OF_KIND["generated"])


DW_TAG_COMPILE_UNIT, DW_TAG_SUBPROGRAM = 0x11, 0x2E
DW_AT_NAME, DW_AT_STMT_LIST, DW_AT_LOW_PC, DW_AT_HIGH_PC, DW_AT_LANGUAGE = 0x03, 0x10, 0x11, 0x12, 0x13
DW_AT_PRODUCER, DW_AT_DECL_FILE, DW_AT_DECL_LINE, DW_AT_RANGES = 0x25, 0x3A, 0x3B, 0x55
DW_FORM_ADDR, DW_FORM_DATA2, DW_FORM_DATA4, DW_FORM_STRING, DW_FORM_DATA1 = 0x01, 0x05, 0x06, 0x08, 0x0B
DW_FORM_SEC_OFFSET = 0x17
DW_LANG_C99 = 0x000C  # there is none for WAT; readers want some language
DW_LNS_COPY, DW_LNS_ADVANCE_PC, DW_LNS_ADVANCE_LINE = 1, 2, 3
DW_LNE_END_SEQUENCE, DW_LNE_SET_ADDRESS = 1, 2
OPERANDS_OF_STANDARD_OPCODES = bytes((0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1))


@dataclass(frozen=True, slots=True)
class Range:
    """A generated function: name, first byte and end in the contents of the code section, line."""

    name: str
    start: int
    end: int
    line: int


def debug_sections(ranges: Sequence[Range]) -> dict[str, bytes]:
    """The custom sections that attribute code: name → contents."""
    return {
        ".debug_abbrev": _abbrev(),
        ".debug_info": _info(ranges),
        ".debug_line": _lines(ranges),
        ".debug_ranges": b"".join(struct.pack("<II", r.start, r.end) for r in ranges) + bytes(8),
    }


def _abbrev() -> bytes:
    unit = (
        (DW_AT_PRODUCER, DW_FORM_STRING),
        (DW_AT_LANGUAGE, DW_FORM_DATA2),
        (DW_AT_NAME, DW_FORM_STRING),
        (DW_AT_STMT_LIST, DW_FORM_SEC_OFFSET),
        (DW_AT_LOW_PC, DW_FORM_ADDR),
        (DW_AT_RANGES, DW_FORM_SEC_OFFSET),
    )
    function = (
        (DW_AT_NAME, DW_FORM_STRING),
        (DW_AT_LOW_PC, DW_FORM_ADDR),
        (DW_AT_HIGH_PC, DW_FORM_DATA4),
        (DW_AT_DECL_FILE, DW_FORM_DATA1),
        (DW_AT_DECL_LINE, DW_FORM_DATA1),
    )

    def entry(code: int, tag: int, children: bool, attributes: tuple[tuple[int, int], ...]) -> bytes:
        pairs = b"".join(unsigned(at) + unsigned(form) for at, form in (*attributes, (0, 0)))
        return unsigned(code) + unsigned(tag) + bytes((children,)) + pairs

    return entry(1, DW_TAG_COMPILE_UNIT, True, unit) + entry(2, DW_TAG_SUBPROGRAM, False, function) + b"\0"


def _info(ranges: Sequence[Range]) -> bytes:
    unit = b"\x01meldc\0" + struct.pack("<H", DW_LANG_C99) + FILE.encode() + b"\0" + struct.pack("<III", 0, 0, 0)
    functions = b"".join(
        b"\x02" + r.name.encode() + b"\0" + struct.pack("<IIBB", r.start, r.end - r.start, 1, r.line) for r in ranges
    )
    body = struct.pack("<HIB", 4, 0, 4) + unit + functions + b"\0"
    return struct.pack("<I", len(body)) + body


def _lines(ranges: Sequence[Range]) -> bytes:
    head = struct.pack("<BBBbBB", 1, 1, 1, -5, 14, 13) + OPERANDS_OF_STANDARD_OPCODES
    head += b"\0" + FILE.encode() + b"\0\0\0\0" + b"\0"  # no directories; one file
    program = b"".join(_sequence(r) for r in ranges)
    body = struct.pack("<HI", 4, len(head)) + head + program
    return struct.pack("<I", len(body)) + body


def _sequence(r: Range) -> bytes:
    return (
        bytes((0, 5, DW_LNE_SET_ADDRESS))
        + struct.pack("<I", r.start)
        + bytes((DW_LNS_ADVANCE_LINE,))
        + signed(r.line - 1)
        + bytes((DW_LNS_COPY, DW_LNS_ADVANCE_PC))
        + unsigned(r.end - r.start)
        + bytes((0, 1, DW_LNE_END_SEQUENCE))
    )
