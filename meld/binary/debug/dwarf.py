"""Lines of code as debuggers read them: units with functions and line tables.

What the compiler made belongs to the file `<meld-adapter>`, one line for each kind. Coverage and profiling tools that
map code to lines so tell generated code from that of the inputs, and its kinds from each other. What comes from the
inputs has the lines that it had there (`meld.binary.debug.source_lines`).

Source: DWARF 4, sections 6.2 (line numbers) and 7.5; addresses are offsets into the contents of the code section
(WebAssembly tool conventions, DWARF).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import field

from meld.binary.leb import signed, unsigned
from meld.support.records import record

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
    """The line of a kind of generated code; of ``kind-part`` that of the kind; 1 if it has none of its own."""
    return LINE_OF_KIND.get(kind) or LINE_OF_KIND.get(kind.partition("-")[0], LINE_OF_KIND["generated"])


DW_TAG_COMPILE_UNIT, DW_TAG_SUBPROGRAM = 0x11, 0x2E
DW_AT_NAME, DW_AT_STMT_LIST, DW_AT_LOW_PC, DW_AT_HIGH_PC, DW_AT_LANGUAGE = 0x03, 0x10, 0x11, 0x12, 0x13
DW_AT_PRODUCER, DW_AT_DECL_FILE, DW_AT_DECL_LINE, DW_AT_RANGES = 0x25, 0x3A, 0x3B, 0x55
DW_FORM_ADDR, DW_FORM_DATA2, DW_FORM_DATA4, DW_FORM_STRING, DW_FORM_DATA1 = 0x01, 0x05, 0x06, 0x08, 0x0B
DW_FORM_SEC_OFFSET = 0x17
DW_LANG_C99 = 0x000C  # there is none for WAT; readers want some language
DW_LNS_COPY, DW_LNS_ADVANCE_PC, DW_LNS_ADVANCE_LINE, DW_LNS_SET_FILE, DW_LNS_SET_COLUMN = 1, 2, 3, 4, 5
DW_LNS_NEGATE_STATEMENT, DW_LNS_ENDS_PROLOGUE, DW_LNS_BEGINS_EPILOGUE = 6, 10, 11
DW_LNE_END_SEQUENCE, DW_LNE_SET_ADDRESS = 1, 2
OPERANDS_OF_STANDARD_OPCODES = bytes((0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1))

BEGINS_STATEMENT, ENDS_PROLOGUE, BEGINS_EPILOGUE = 1, 2, 4
"""Flags of a row."""

Row = tuple[int, int, str, int, int, int]
"""Start and end in the contents of the code section, path of the file, line, column, flags."""


@record(frozen=True)
class Subprogram:
    """A function: name, first byte and end in the contents of the code section, line if it is known."""

    name: str
    start: int
    end: int
    line: int | None = None


@record()
class Unit:
    """A compilation unit. The rows of a sequence follow each other without a gap."""

    name: str
    language: int = DW_LANG_C99
    functions: list[Subprogram] = field(default_factory=list)
    sequences: list[list[Row]] = field(default_factory=list)


def generated(functions: Sequence[Subprogram]) -> Unit:
    """The unit of what the compiler made."""
    rows = [[(f.start, f.end, FILE, f.line or 0, 0, BEGINS_STATEMENT)] for f in functions]
    return Unit(FILE, functions=list(functions), sequences=rows)


def debug_sections(units: Sequence[Unit]) -> dict[str, bytes]:
    """The custom sections that say where code comes from: name → contents."""
    info, lines, ranges = bytearray(), bytearray(), bytearray()
    for unit in units:
        info += _info(unit, len(lines), len(ranges))
        lines += _lines(unit)
        ranges += b"".join(struct.pack("<II", f.start, f.end) for f in unit.functions) + bytes(8)
    return {
        ".debug_abbrev": _abbrev(),
        ".debug_info": bytes(info),
        ".debug_line": bytes(lines),
        ".debug_ranges": bytes(ranges),
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
    function = ((DW_AT_NAME, DW_FORM_STRING), (DW_AT_LOW_PC, DW_FORM_ADDR), (DW_AT_HIGH_PC, DW_FORM_DATA4))
    declared = ((DW_AT_DECL_FILE, DW_FORM_DATA1), (DW_AT_DECL_LINE, DW_FORM_DATA1))

    def entry(code: int, tag: int, children: bool, attributes: tuple[tuple[int, int], ...]) -> bytes:
        pairs = b"".join(unsigned(at) + unsigned(form) for at, form in (*attributes, (0, 0)))
        return unsigned(code) + unsigned(tag) + bytes((children,)) + pairs

    return (
        entry(1, DW_TAG_COMPILE_UNIT, True, unit)
        + entry(2, DW_TAG_SUBPROGRAM, False, (*function, *declared))
        + entry(3, DW_TAG_SUBPROGRAM, False, function)
        + b"\0"
    )


def _text(string: str) -> bytes:
    return string.replace("\0", "").encode() + b"\0"


def _info(unit: Unit, lines: int, ranges: int) -> bytes:
    body = struct.pack("<HIB", 4, 0, 4) + b"\x01meldc\0" + struct.pack("<H", unit.language) + _text(unit.name)
    body += struct.pack("<III", lines, 0, ranges)
    for f in unit.functions:
        body += bytes((3 if f.line is None else 2,)) + _text(f.name) + struct.pack("<II", f.start, f.end - f.start)
        body += b"" if f.line is None else bytes((1, f.line))
    return struct.pack("<I", len(body) + 1) + body + b"\0"


def _lines(unit: Unit) -> bytes:
    files: dict[str, int] = {}
    for rows in unit.sequences:
        for row in rows:
            files.setdefault(row[2], len(files) + 1)
    head = struct.pack("<BBBbBB", 1, 1, 1, -5, 14, 13) + OPERANDS_OF_STANDARD_OPCODES
    head += b"\0" + b"".join(_text(path) + b"\0\0\0" for path in files) + b"\0"  # no directories
    program = b"".join(_sequence(rows, files) for rows in unit.sequences)
    body = struct.pack("<HI", 4, len(head)) + head + program
    return struct.pack("<I", len(body)) + body


def _sequence(rows: Sequence[Row], files: dict[str, int]) -> bytes:
    out = bytearray((0, 5, DW_LNE_SET_ADDRESS)) + struct.pack("<I", rows[0][0])
    at, file, line, column, statement = rows[0][0], 1, 1, 0, BEGINS_STATEMENT
    for start, _, path, new_line, new_column, flags in rows:
        if start != at:
            out += bytes((DW_LNS_ADVANCE_PC,)) + unsigned(start - at)
            at = start
        if files[path] != file:
            file = files[path]
            out += bytes((DW_LNS_SET_FILE,)) + unsigned(file)
        if new_line != line:
            out += bytes((DW_LNS_ADVANCE_LINE,)) + signed(new_line - line)
            line = new_line
        if new_column != column:
            column = new_column
            out += bytes((DW_LNS_SET_COLUMN,)) + unsigned(column)
        if flags & BEGINS_STATEMENT != statement:
            statement ^= BEGINS_STATEMENT
            out.append(DW_LNS_NEGATE_STATEMENT)
        if flags & ENDS_PROLOGUE:
            out.append(DW_LNS_ENDS_PROLOGUE)
        if flags & BEGINS_EPILOGUE:
            out.append(DW_LNS_BEGINS_EPILOGUE)
        out.append(DW_LNS_COPY)
    out += bytes((DW_LNS_ADVANCE_PC,)) + unsigned(rows[-1][1] - at) + bytes((0, 1, DW_LNE_END_SEQUENCE))
    return bytes(out)
