"""Debugging information of a hostile input: what would be read over and over is malformed, or read once."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import wasmtime
from wrapped import tool

from meld.binary.debug.dwarf_lines import read_lines
from meld.binary.leb import read_unsigned, unsigned
from meld.diagnostics import MeldError
from meld.driver import Options, build
from meld.files import decode, encode
from meld.ir.module import Module
from meld.passes import Registry
from meld.passmanager import plan_default, run

ABBREV = bytes((1, 0x11, 0, 0x03, 0x08, 0x10, 0x17, 0, 0, 0))
"""A unit: its name, in place, and where its line table is."""


def unit(table: int, name: bytes = b"u", abbreviations: int = 0) -> bytes:
    body = struct.pack("<HIB", 4, abbreviations, 4) + b"\1" + name + b"\0" + struct.pack("<I", table)
    return struct.pack("<I", len(body)) + body


def header(lists: bytes, version: int = 4) -> bytes:
    """What is behind the size of a line table: one byte a step, lines from -5 on, 14 of them."""
    standard = bytes((0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1))
    head = struct.pack("<BBBbBB", 1, 1, 1, -5, 14, 13) + standard + lists
    sizes = b"\4\0" if version == 5 else b""
    return struct.pack("<H", version) + sizes + struct.pack("<I", len(head)) + head


def table(program: bytes, lists: bytes = b"\0f\0\0\0\0\0", version: int = 4) -> bytes:
    body = header(lists, version) + program
    return struct.pack("<I", len(body)) + body


def rows(count: int, start: int) -> bytes:
    """A sequence of rows, one for each byte from `start` on."""
    return b"\0\5\2" + struct.pack("<I", start) + bytes((13 + 14 + 5,)) * count + b"\2\1\0\1\1"


def overlapping(count: int) -> dict[str, bytes]:
    """Line tables of which each reaches to the end of the section, and runs what is there."""
    head, program = header(b"\0\0"), rows(100, 1)
    tables = b""
    for i in range(count):
        rest = (count - i) * (4 + len(head)) - 4 + len(program)
        one = bytearray(struct.pack("<I", rest) + head)
        struct.pack_into("<I", one, 6, rest - 6 - len(program))
        tables += one
    size = 4 + len(head)
    info = b"".join(unit(i * size) for i in range(count))
    return {".debug_abbrev": ABBREV, ".debug_info": info, ".debug_line": tables + program}


def same_text(form: int, section: str, count: int, size: int) -> dict[str, bytes]:
    """A table with many files whose names are the same long text."""
    lists = b"\1\1\x08" + unsigned(1) + b"/\0" + b"\1\1" + bytes((form,)) + unsigned(count) + bytes(4 * count)
    return {
        ".debug_abbrev": ABBREV,
        ".debug_info": unit(0),
        ".debug_line": table(b"", lists, 5),
        section: b"x" * size + b"\0",
    }


def long_directory(count: int, size: int) -> dict[str, bytes]:
    lists = b"d" * size + b"\0\0" + b"f\0\1\0\0" * count + b"\0"
    return {".debug_abbrev": ABBREV, ".debug_info": unit(0), ".debug_line": table(b"", lists)}


def late_abbreviation(count: int, size: int) -> dict[str, bytes]:
    """Each unit looks through all abbreviations, since its own is the last."""
    others = bytes((2, 0x11, 0, 0, 0)) * size
    tables = b"".join(table(b"") for _ in range(count))
    info = b"".join(unit(i * (len(tables) // count)) for i in range(count))
    return {".debug_abbrev": others + ABBREV, ".debug_info": info, ".debug_line": tables}


HOSTILE: dict[str, Mapping[str, bytes]] = {
    "line tables that overlap": overlapping(3),
    "a line table beyond the section": {
        ".debug_abbrev": ABBREV,
        ".debug_info": unit(0),
        ".debug_line": struct.pack("<I", 999) + header(b"\0\0"),
    },
    "one name for many files": same_text(0x0E, ".debug_str", 40_000, 4_000),
    "one name of a line table for many files": same_text(0x1F, ".debug_line_str", 40_000, 4_000),
    "one directory of many files": long_directory(20_000, 8_000),
    "files without bytes": {
        ".debug_abbrev": ABBREV,
        ".debug_info": unit(0),
        ".debug_line": table(b"", b"\0" + unsigned(60) + b"\0\0", 5),
    },
    "files of many forms without bytes": {
        ".debug_abbrev": ABBREV,
        ".debug_info": unit(0),
        ".debug_line": table(b"\1" * 90, b"\0\0" + b"\x5f" + b"\x64\x19" * 95 + unsigned(40), 5),
    },
    "an address of many bytes": {
        ".debug_abbrev": ABBREV,
        ".debug_info": unit(0),
        ".debug_line": table(b"\0" + unsigned(41) + b"\2" + b"\xff" * 40 + b"\1\0\1\1"),
    },
    "abbreviations that all units look through": late_abbreviation(150, 2_000),
    "a unit that ends in its first attribute": {
        ".debug_abbrev": ABBREV,
        ".debug_info": struct.pack("<IHIB", 8, 4, 0, 4) + b"\1" + b"name behind the unit\0" + bytes(4),
        ".debug_line": table(b""),
    },
    "a form that names itself": {
        ".debug_abbrev": bytes((1, 0x11, 0, 0x10, 0x16, 0, 0, 0)),
        ".debug_info": struct.pack("<IHIB", 40, 4, 0, 4) + b"\1" + b"\x16" * 32,
    },
    "abbreviations without an end": {".debug_abbrev": b"\2\x11\0\3\x08" * 9, ".debug_info": unit(0)},
    "a unit of 64 bits": {".debug_abbrev": ABBREV, ".debug_info": b"\xff\xff\xff\xff" + bytes(40)},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_malformed(name: str) -> None:
    with pytest.raises(MeldError, match="malformed debugging information"):
        read_lines(HOSTILE[name])


def test_a_cycle_of_references_is_not_followed() -> None:
    """Only the first entry of a unit is read, and of a reference its bytes."""
    abbreviations = bytes((1, 0x11, 1, 0x31, 0x13, 0x03, 0x08, 0x10, 0x17, 0, 0, 0))
    body = struct.pack("<HIB", 4, 0, 4) + b"\1" + struct.pack("<I", 11) + b"u\0" + bytes(4)
    info = struct.pack("<I", len(body)) + body
    (found,) = read_lines({".debug_abbrev": abbreviations, ".debug_info": info, ".debug_line": table(rows(3, 1))})
    assert found.name == "u" and len(found.rows) == 3


def with_sections(wasm: bytes, sections: Mapping[str, bytes]) -> bytes:
    for name, data in sections.items():
        inside = unsigned(len(name)) + name.encode() + data
        wasm += b"\0" + unsigned(len(inside)) + inside
    return wasm


def composed(text: str, change: Callable[[bytes], bytes]) -> bytes:
    """A component, with its first core module changed."""
    wasm = bytes(wasmtime.wat2wasm(text))
    size, at = read_unsigned(wasm, 9)
    module = change(wasm[at : at + size])
    return wasm[:9] + unsigned(len(module)) + module + wasm[at + size :]


NAMES = {
    "long": (b"m" * 150_000, b"n" * 150_000),
    "the same": (b"x 2", b"x"),
    "none, and no text": (b"", b"\x1b[8m"),
    "no UTF-8": (b"\xff\xfe", b"\0"),
}


@pytest.mark.parametrize("case", NAMES)
def test_names_of_memories_name_imports(case: str, tmp_path: Path) -> None:
    """Names for people become names of imports where a memory or a table is made by a helper module."""
    text = """(component (core module (memory 1) (memory 1) (memory 1) (table 1 funcref) (table 2 funcref)
      (func (export "f") (result i32)
        (call_indirect 0 (result i32) (i32.load 0 (i32.load 1 (i32.load 2 (i32.const 0)))))
        (call_indirect 1 (result i32) (i32.const 0)) (i32.add)))
      (core instance (instantiate 0)) (func (export "f") (result u32) (canon lift (core func 0 "f"))))"""
    one, other = NAMES[case]
    named = b""
    for kind, given in ((5, (one, other)), (6, (one, other, other))):
        entries = b"".join(bytes((i,)) + unsigned(len(n)) + n for i, n in enumerate(given))
        named += bytes((kind,)) + unsigned(1 + len(entries)) + bytes((len(given),)) + entries
    (tmp_path / "p.wasm").write_bytes(composed(text, lambda core: with_sections(core, {"name": named})))
    (tmp_path / "o.wasm").write_bytes(encode(build([tmp_path / "p.wasm"], Options(wrap=True)).program))
    tool("validate", "--features=all", tmp_path / "o.wasm")


def test_a_function_has_a_unit_and_a_byte_a_row() -> None:
    """Many units, and many rows, of one function are not written as often."""
    lines = [table(rows(40, 4) * 20) for _ in range(50)]
    info = b"".join(unit(sum(map(len, lines[:i])), b"unit %d" % i) for i in range(len(lines)))
    sections = {".debug_abbrev": ABBREV, ".debug_info": info, ".debug_line": b"".join(lines)}
    assert sum(len(one.rows) for one in read_lines(sections)) >= 50 * 20 * 40
    text = f"""(component (core module (func (export "f") {"nop " * 50})) (core instance (instantiate 0))
      (func (export "f") (canon lift (core func 0 "f"))))"""
    program = decode(composed(text, lambda core: with_sections(core, sections)), "program")
    product, _ = run(plan_default(program, Registry.standard()), program)
    assert isinstance(product, Module)
    data = encode(product)
    assert data.count(b"unit ") == 1 and len(data) < 2_000
