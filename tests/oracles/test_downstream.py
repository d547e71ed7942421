"""What tools downstream read of a fused module: where its functions come from, and how its exports are called.

The oracle for indices and places is `wasm-tools print`.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from smith import wasm_tools

import meld
from meld.binary.cursor import Cursor
from meld.binary.reader import read_module
from meld.ir.module import Module
from meld.text.reading.program import parse
from tests.commands.test_inspect import HOSTED
from tests.observers.test_attribution import STREAM, VALUES, code

SECTION = "component-provenance"


@dataclass(frozen=True)
class Entry:
    """An entry of the section, by its name in the format."""

    index: int
    component: str
    original: int
    start: int
    end: int


def compiled(text: str, tmp_path: Path, **options: str) -> Module:
    path = tmp_path / "program.wat"
    path.write_text(text)
    module = meld.compile([path], **options)
    assert isinstance(module, Module)
    return module


def section(data: bytes) -> bytes:
    (found,) = [bytes(c.data) for c in read_module(data).customs if c.name == SECTION]
    return found


def entries(payload: bytes) -> Iterator[Entry]:
    """A reader of the format that is written from its description."""
    assert payload[:5] == b"SCPV\3"
    (count,) = struct.unpack_from("<I", payload, 39)
    at = 43
    for _ in range(count):
        index, size = struct.unpack_from("<II", payload, at)
        name = payload[at + 8 : at + 8 + size].decode()
        at += 8 + size
        original, ranged, start, end = struct.unpack_from("<IBII", payload, at)
        assert ranged == 1
        at += 13
        yield Entry(index, name, original, start, end)
    assert at == len(payload)


def compact_entries(payload: bytes) -> Iterator[tuple[int, str, int]]:
    """A reader of version 4: index, component, original index."""
    assert payload[:5] == b"SCPV\4"
    c = Cursor(payload[39:], "section")
    names = [c.name("name") for _ in range(c.count("names"))]
    behind = 0
    for _ in range(c.count("runs")):
        name, gap, original, count = (c.u32("number") for _ in range(4))
        start = behind + gap
        yield from ((start + i, names[name], original + i) for i in range(count))
        behind = start + count
    assert c.pos == len(payload) - 39


def printed(data: bytes) -> dict[int, str]:
    """The text of each defined function as `wasm-tools print` gives it, without names, so that indices are plain."""
    bare = wasm_tools("strip", "--all", data=data)
    text = wasm_tools("print", data=bare).decode()
    found = re.findall(r"^  \(func \(;(\d+);\)(.*?)^  \)$", text, re.S | re.M)
    return {int(index): body for index, body in found}


def contents_of_code(data: bytes) -> int:
    """Where the contents of the code section begin in the file."""
    (start,) = re.findall(r"^\s*code\s+\|\s+0x([0-9a-f]+) ", wasm_tools("objdump", data=data).decode(), re.M)
    return int(start, 16)


TWICE = """(component
  (component $c
    (core module $a
      (func (export "one") (result i32) (i32.const 1))
      (func (export "two") (result i32) (i32.const 2)))
    (core module $b
      (import "a" "two" (func $two (result i32)))
      (func $dead (result i32) (i32.const 404))
      (func (export "three") (result i32) (i32.add (i32.const 3) (call $two))))
    (core instance $a (instantiate $a))
    (core instance $b (instantiate $b (with "a" (instance $a))))
    (func (export "one") (result u32) (canon lift (core func $a "one")))
    (func (export "three") (result u32) (canon lift (core func $b "three"))))
  (component $d
    (core module $m (func (export "four") (result i32) (i32.const 4)))
    (core instance $m (instantiate $m))
    (func (export "four") (result u32) (canon lift (core func $m "four"))))
  (instance $x (instantiate $c))
  (instance $y (instantiate $c))
  (instance $z (instantiate $d))
  (export "x-three" (func $x "three"))
  (export "y-one" (func $y "one"))
  (export "z-four" (func $z "four")))"""


def test_the_compact_form_says_the_same(tmp_path: Path) -> None:
    full, short, none = (meld.encode(compiled(TWICE, tmp_path, provenance=form)) for form in ("full", "compact", "off"))
    assert list(compact_entries(section(short))) == [(e.index, e.component, e.original) for e in entries(section(full))]
    assert section(short)[7:39] == hashlib.sha256(none).digest()
    assert SECTION not in [c.name for c in read_module(none).customs]


def test_functions_are_traced_to_their_components(tmp_path: Path) -> None:
    data = meld.encode(compiled(TWICE, tmp_path))
    bodies = printed(data)
    found = {
        (entry.component, entry.original): int(re.findall(r"i32.const (\d+)", bodies[entry.index])[0])
        for entry in entries(section(data))
    }
    # `$two` and `$dead` are functions 1 of their modules; `three` is function 2, behind an import.
    assert found == {("x", 1): 2, ("x/1", 2): 3, ("y", 0): 1, ("z", 0): 4}


@pytest.mark.parametrize("program", ["values", "hosted", "streams"])
def test_entries_are_what_the_binary_says(program: str, tmp_path: Path) -> None:
    texts = {"values": VALUES, "hosted": HOSTED}
    module = compiled(texts[program], tmp_path) if program in texts else meld.compile(STREAM)
    data = meld.encode(module)
    found = list(entries(section(data)))
    functions = module.space("functions")
    own = {i: f for i, f in enumerate(functions) if f.imported is None and f.synthetic is None}
    assert [entry.index for entry in found] == list(own)
    instructions, base = code(data), contents_of_code(data)
    for entry in found:
        function, (first, last) = own[entry.index], instructions[entry.index]
        assert function.origin is not None and entry.original == function.origin[0]
        assert function.owner is not None and entry.component.split("/")[0] == function.owner.name
        assert entry.start < first - base + 1 and last - base <= entry.end


def test_bound_to_the_module(tmp_path: Path) -> None:
    data = meld.encode(compiled(VALUES, tmp_path))
    payload = section(data)
    without = wasm_tools("strip", "--delete", f"^{SECTION}$", data=data)
    assert payload[7:39] == hashlib.sha256(without).digest()
    assert payload[5:7] == b"\0\1"  # memories that can grow; no imports
    assert section(meld.encode(compiled(HOSTED, tmp_path)))[6] == 0
    bounded = VALUES.replace('(memory (export "memory") 1)', '(memory (export "memory") 1 1)')
    assert section(meld.encode(compiled(bounded, tmp_path)))[5] == 1


def test_reproducible_and_kept_in_text(tmp_path: Path) -> None:
    module = compiled(VALUES, tmp_path)
    data = meld.encode(module)
    assert meld.encode(compiled(VALUES, tmp_path)) == data
    again = parse(meld.print_text(module), "dump.wat")
    assert section(meld.encode(again)) == section(data)


def test_stopped_and_resumed(tmp_path: Path) -> None:
    whole = meld.encode(compiled(TWICE, tmp_path))
    dump = tmp_path / "merged.wat"
    dump.write_text(meld.print_text(compiled(TWICE, tmp_path, stop_after="merge")))
    assert section(meld.encode(meld.compile(dump))) == section(whole)


def test_not_where_it_is_not_wanted(tmp_path: Path) -> None:
    module = compiled(TWICE, tmp_path, passes="merge,adapter-wiring,finish{provenance=false}")
    assert SECTION.encode() not in meld.encode(module)


def test_the_section_of_an_input_does_not_survive(tmp_path: Path) -> None:
    fused = tmp_path / "fused.wasm"
    fused.write_bytes(meld.encode(compiled(TWICE, tmp_path)))
    inner = wasm_tools("print", data=fused.read_bytes()).decode()
    assert SECTION in inner
    outer = f"""(component
      {inner.replace("(module", "(core module $m", 1)}
      (core instance $i (instantiate $m))
      (func (export "f") (result u32) (canon lift (core func $i "z-four"))))"""
    data = meld.encode(compiled(outer, tmp_path))
    found = {entry.original: printed(data)[entry.index] for entry in entries(section(data))}
    assert "i32.const 4" in found[3]  # the fourth function of the fused module, which is the input here
