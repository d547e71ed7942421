"""The line tables that inputs bring: which bytes of their code section come from which line of which file.

Reads as much of DWARF 2 to 5 (32-bit format) as that takes: line number programs, and of `.debug_info` what a unit says
of itself. Source: DWARF 5, sections 6.2 (line numbers), 7.5 (units, abbreviations, forms).

The sections are an input's, so each byte is read a bounded number of times: a unit is read within its bytes, line
tables do not overlap, and what is shared (abbreviations, strings, names of directories) is counted (`_Budget`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from meld.binary.debug.dwarf import BEGINS_EPILOGUE, BEGINS_STATEMENT, ENDS_PROLOGUE, Row
from meld.binary.leb import read_unsigned
from meld.diagnostics import MeldError
from meld.support.records import record

DW_AT_NAME, DW_AT_STMT_LIST, DW_AT_LANGUAGE, DW_AT_COMP_DIR, DW_AT_STR_OFFSETS_BASE = 0x03, 0x10, 0x13, 0x1B, 0x72
DW_FORM_STRING, DW_FORM_STRP, DW_FORM_LINE_STRP, DW_FORM_INDIRECT, DW_FORM_IMPLICIT_CONST = 0x08, 0x0E, 0x1F, 0x16, 0x21
FIXED = {
    **{0x05: 2, 0x06: 4, 0x07: 8, 0x0B: 1, 0x0C: 1, 0x0E: 4, 0x11: 1, 0x12: 2, 0x13: 4, 0x14: 8, 0x17: 4, 0x19: 0},
    **{0x1C: 4, 0x1D: 4, 0x1E: 16, 0x1F: 4, 0x20: 8, 0x24: 8, 0x25: 1, 0x26: 2, 0x27: 3, 0x28: 4, 0x29: 1, 0x2A: 2},
    **{0x2B: 3, 0x2C: 4},
}
"""Bytes of the forms that have a size of their own."""
NUMBERS = frozenset({0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23})
"""Forms that are an unsigned LEB."""
INDEXED_STRINGS = frozenset({0x1A, 0x25, 0x26, 0x27, 0x28})
BLOCKS = {0x03: 2, 0x04: 4, 0x0A: 1, 0x09: 0, 0x18: 0}
"""Forms that are bytes: how many bytes say how long they are, 0 for an unsigned LEB."""


LEAST_TEXT = 1 << 18
"""Characters of names, and bytes of abbreviations, that units may have in any case."""
SLOW = 8
"""What a byte of abbreviations counts for, beside a character."""
MOST_TIMES = 8
"""How often as many as there are bytes of debugging information."""


@record()
class LineUnit:
    """A compilation unit: what it is called, its language (``DW_LANG_…``), and its rows."""

    name: str = ""
    language: int = 0x0C
    directory: str = ""
    rows: list[Row] = field(default_factory=list)


def read_lines(sections: Mapping[str, bytes | memoryview]) -> list[LineUnit]:
    """The line tables in the debugging sections of a module, by their names.

    Raises:
        MeldError: they are malformed, or of a form that is not known.
    """
    try:
        given = {name: bytes(data) for name, data in sections.items()}
        budget = _Budget(LEAST_TEXT + MOST_TIMES * sum(map(len, given.values())))
        tables = given.get(".debug_line", b"")
        found = _units(given, budget)
        behind = 0
        for offset, unit in sorted(found, key=lambda one: one[0]):
            if offset < behind:
                raise ValueError("line tables overlap")
            behind = offset + 4 + _Cursor(tables, offset).fixed(4)
            if behind > len(tables):
                raise ValueError
            _LineProgram(given, tables[offset + 4 : behind], unit, budget).run()
        return [unit for _, unit in found]
    except (LookupError, ValueError, TypeError, OverflowError):
        raise MeldError("malformed debugging information") from None


@record()
class _Budget:
    """What is left of the characters and bytes that may be read over and over."""

    left: int

    def spend(self, count: int) -> None:
        """ValueError if there is not as much."""
        self.left -= count
        if self.left < 0:
            raise ValueError("the same text over and over")


class _Cursor:
    """Little-endian numbers and strings. IndexError beyond the end."""

    def __init__(self, data: bytes | memoryview, at: int = 0) -> None:
        self.data = bytes(data)
        self.at = at

    def fixed(self, size: int) -> int:
        if size < 0 or self.at + size > len(self.data):
            raise IndexError
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "little")

    def unsigned(self) -> int:
        value, self.at = read_unsigned(self.data, self.at)
        return value

    def signed(self) -> int:
        start = self.at
        value = self.unsigned()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value

    def string(self) -> str:
        end = self.data.index(0, self.at)
        found = self.data[self.at : end].decode("utf-8", "replace")
        self.at = end + 1
        return found


@record()
class _Strings:
    """Values of attributes. `base`: where the offsets of the unit's strings begin."""

    sections: Mapping[str, bytes]
    budget: _Budget
    address_size: int = 4
    reference_size: int = 4
    base: int = 8

    def value(self, c: _Cursor, form: int, constant: int = 0) -> Any:
        """Reads a value; a string that is indexed is its index, until `text` looks it up."""
        while form == DW_FORM_INDIRECT:
            form = c.unsigned()
        if form == DW_FORM_STRING:
            return c.string()
        if form in (DW_FORM_STRP, DW_FORM_LINE_STRP):
            return self._string(".debug_str" if form == DW_FORM_STRP else ".debug_line_str", c.fixed(4))
        if form in FIXED:
            return c.fixed(FIXED[form])
        if form in NUMBERS:
            return c.unsigned()
        if form in BLOCKS:
            return c.fixed(c.fixed(BLOCKS[form]) if BLOCKS[form] else c.unsigned())
        match form:
            case 0x01:
                return c.fixed(self.address_size)
            case 0x0D:
                return c.signed()
            case 0x10:
                return c.fixed(self.reference_size)
            case 0x21:
                return constant
        raise ValueError(form)

    def text(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        at = self.base + 4 * value
        found = self.sections.get(".debug_str_offsets", b"")[at : at + 4]
        if len(found) < 4:
            raise IndexError
        return self._string(".debug_str", int.from_bytes(found, "little"))

    def _string(self, section: str, offset: int) -> str:
        data = self.sections.get(section, b"")
        if offset > len(data):
            raise IndexError
        end = data.index(0, offset)
        self.budget.spend(end - offset)
        return data[offset:end].decode("utf-8", "replace")


def _units(sections: Mapping[str, bytes], budget: _Budget) -> list[tuple[int, LineUnit]]:
    """The units that have a line table, by its offset; each table once."""
    whole = _Cursor(sections.get(".debug_info", b""))
    known = sections.get(".debug_abbrev", b"")
    found: dict[int, LineUnit] = {}
    while whole.at < len(whole.data):
        size = whole.fixed(4)
        end = whole.at + size
        if size >= 0xFFFFFFF0 or end > len(whole.data):
            raise ValueError
        c = _Cursor(whole.data[whole.at : end])
        whole.at = end
        version = c.fixed(2)
        strings = _Strings(sections, budget)
        if version >= 5:
            kind, strings.address_size, abbreviations = c.fixed(1), c.fixed(1), c.fixed(4)
            c.at += {1: 0, 3: 0, 4: 8, 5: 8, 2: 12, 6: 12}[kind]
        else:
            abbreviations, strings.address_size = c.fixed(4), c.fixed(1)
        if version < 3:
            strings.reference_size = strings.address_size
        if c.at < size:
            said = _first_entry(c, strings, known, abbreviations)
            if DW_AT_STMT_LIST in said:
                strings.base = said.get(DW_AT_STR_OFFSETS_BASE, 8)
                unit = LineUnit(
                    strings.text(said.get(DW_AT_NAME, "")),
                    said.get(DW_AT_LANGUAGE, 0x0C) & 0xFFFF,
                    strings.text(said.get(DW_AT_COMP_DIR, "")),
                )
                found.setdefault(said[DW_AT_STMT_LIST], unit)
    return list(found.items())


def _first_entry(c: _Cursor, strings: _Strings, data: bytes, at: int) -> dict[int, Any]:
    """The attributes of the entry at the cursor."""
    code = c.unsigned()
    table = _Cursor(data, at)
    while (entry := table.unsigned()) != 0:
        table.unsigned()  # tag
        table.fixed(1)  # children
        attributes = []
        while True:
            name, form = table.unsigned(), table.unsigned()
            constant = table.signed() if form == DW_FORM_IMPLICIT_CONST else 0
            if not name and not form:
                break
            attributes.append((name, form, constant))
        strings.budget.spend(SLOW * (table.at - at))
        at = table.at
        if entry == code:
            return {name: strings.value(c, form, constant) for name, form, constant in attributes}
    raise ValueError


def _joined(path: str, part: str) -> str:
    """A path behind another, as debuggers join them."""
    absolute = part.startswith("/") or part[1:3] in (":\\", ":/")
    return part if absolute or not path else path + part if path.endswith("/") else f"{path}/{part}"


class _LineProgram:
    """A line number program, all of which is `data`: runs once, and adds its rows to the unit."""

    def __init__(self, sections: Mapping[str, bytes], data: bytes, unit: LineUnit, budget: _Budget) -> None:
        self.unit = unit
        self.strings = _Strings(sections, budget)
        c = self.c = _Cursor(data)
        self.end = len(data)
        self.version = c.fixed(2)
        if not 2 <= self.version <= 5:
            raise ValueError
        if self.version >= 5:
            c.fixed(2)  # sizes of addresses and segment selectors
        header = c.fixed(4)
        program = c.at + header
        self.step = c.fixed(1)
        if self.version >= 4:
            c.fixed(1)  # operations per instruction: one
        self.statement = c.fixed(1)
        self.base = c.fixed(1)
        self.base -= 256 if self.base > 127 else 0
        self.range = c.fixed(1)
        self.first = c.fixed(1)
        if not self.range or not self.first:
            raise ValueError
        self.operands = [0, *(c.fixed(1) for _ in range(self.first - 1))]
        self.directories: list[str] = []
        self.files: list[str] = []
        (self._tables if self.version >= 5 else self._lists)()
        c.at = program

    def _lists(self) -> None:
        """Directories and files as DWARF 2 to 4 have them."""
        c = self.c
        self.directories.append("")
        while directory := c.string():
            self.directories.append(directory)
        self.files.append("")
        while name := c.string():
            self._add_file(name, c.unsigned())
            c.unsigned(), c.unsigned()

    def _tables(self) -> None:
        """Directories and files as DWARF 5 has them."""
        for table in range(2):
            c = self.c
            formats = [(c.unsigned(), c.unsigned()) for _ in range(c.fixed(1))]
            count = c.unsigned()
            if count * max(len(formats), 1) > self.end - c.at:
                raise ValueError
            for _ in range(count):
                entry = {kind: self.strings.value(c, form) for kind, form in formats}
                name = self.strings.text(entry.get(1, ""))
                if table == 0:
                    self.directories.append(name)
                else:
                    self._add_file(name, entry.get(2, 0))

    def _add_file(self, name: str, directory: int) -> None:
        path = self.unit.directory
        if directory and directory < len(self.directories):
            path = _joined(path, self.directories[directory])
        path = _joined(path, name)
        self.strings.budget.spend(len(path))
        self.files.append(path)

    def run(self) -> None:
        c, end, step, base, range_, first = self.c, self.end, self.step, self.base, self.range, self.first
        data = c.data
        constant = (255 - first) // range_ * step
        while c.at < end:
            address, file, line, column, flags = 0, 1, 1, 0, self.statement & 1
            rows: list[Any] = []
            while c.at < end:
                code = data[c.at]
                c.at += 1
                if code >= first:
                    code -= first
                    address += code // range_ * step
                    line += base + code % range_
                    rows.append((address, file, line, column, flags))
                    flags &= BEGINS_STATEMENT
                    continue
                match code:
                    case 0:
                        size = c.unsigned()
                        after = c.at + size
                        kind = c.fixed(1) if size else 0
                        if kind == 1:
                            self._add_rows(rows, address)
                            c.at = after
                            break
                        if kind == 2:
                            if size > 9:
                                raise ValueError
                            address = c.fixed(size - 1)
                        elif kind == 3:
                            name, directory = c.string(), c.unsigned()
                            self._add_file(name, directory)
                        c.at = after
                    case 1:
                        rows.append((address, file, line, column, flags))
                        flags &= BEGINS_STATEMENT
                    case 2:
                        address += c.unsigned() * step
                    case 3:
                        line += c.signed()
                    case 4:
                        file = c.unsigned()
                    case 5:
                        column = c.unsigned()
                    case 6:
                        flags ^= BEGINS_STATEMENT
                    case 7:
                        pass
                    case 8:
                        address += constant
                    case 9:
                        address += c.fixed(2)
                    case 10:
                        flags |= ENDS_PROLOGUE
                    case 11:
                        flags |= BEGINS_EPILOGUE
                    case _:
                        for _ in range(self.operands[code]):
                            c.unsigned()

    def _add_rows(self, rows: list[Any], end: int) -> None:
        """A sequence, as stretches of code. Of rows at the same address the last counts; so readers have it."""
        if rows and rows[0][0] == 0:
            return  # linkers put code that they leave out there, in front of all functions
        ends = [row[0] for row in rows[1:]] + [end]
        for (start, file, line, column, flags), stop in zip(rows, ends, strict=True):
            if start < stop and file < len(self.files):
                self.unit.rows.append((start, stop, self.files[file], max(line, 0), column, flags))
