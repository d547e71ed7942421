"""Names and custom sections that go around: text, binary, text, binary, with the same bytes as wasm-tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from smith import WASM_TOOLS

from meld.binary.leb import name, section
from meld.cli import main
from meld.diagnostics import MeldError
from meld.files import decode, encode, print_text
from meld.ir.module import Module
from meld.text.reading.program import parse

NAMED = [
    '(module $m (@name "the module") (func))',
    '(module (func $f (@name "g") (param $x (@name "the x") i32) (param (@name "y") i64) (local (@name "") f32)))',
    '(module (import "a" "b" (func (@name "g") (param (@name "p") i32))))',
    '(module (func (block $l (@name "a b") nop) (loop (@name "m") br 0) (if (@name "n") (i32.const 0) (then))))',
    '(module (type (@name "s") (struct (field $a (@name "the a") i32) (field (@name "b") i64) (field i32 (mut f32)))))',
    '(module (rec (type (sub (struct (field (@name "") (mut i64))))) (type (@name "w") (array i32))))',
    '(module (type $t (func (param $p i32) (param i32) (param (@name "q") i64) (result i32))) (tag (param $x i32)))',
    '(module (table (@name "t") 1 funcref) (memory (@name "m") 1) (global (@name "g") i32 (i32.const 0)))',
    '(module (tag (@name "t")) (elem (@name "e") declare func) (data (@name "d") "x"))',
    '(module (func $a (@name "x")) (func $b (@name "x")) (func $x (param $a (@name "x") i32) (param $x i32)))',
    '(component (@name "c") (type $t (@name "tt") u8) (core module $m (@name "mm") (func (@name "f"))))',
    '(component (core type (@name "c") (func)) (import "a" (func (@name "f"))) (component (@name "d")))',
]
CUSTOM = [
    '(module (func) (memory 1) (@custom "a" (before func) "x") (@custom "b" (after func) "y" "\\ff") (@custom "c"))',
    '(module (@custom "a" (before first) "x") (@custom "b" (before data) "y") (@custom "c" (after last) "z"))',
    '(module (memory 1) (data $d "") (func (data.drop 0)) (@custom "a" (before code) "x") (@custom "b" (after elem)))',
    '(module (@producers (processed-by "a" "1") (language "C" "2") (processed-by "b" "3")))',
    '(module (@dylink.0 (mem-info (memory 1 2) (table 3 4)) (needed "a" "b") (runtime-path "p")))',
    '(module (@dylink.0 (export-info "x" tls 2) (export-info "y") (import-info "a" "b" binding-weak)))',
    '(module (func) (@custom "name" "\\01\\04\\01\\00\\01g"))',
    '(module (func $f) (@custom "name" "\\01\\04\\01\\00\\01g"))',
    '(component (@custom "a" "x") (type u8) (@custom "b" "y" "z") (@producers (sdk "a" "1")))',
]
REFUSED = [
    '(module (func (@name "a") (@name "b")))',
    '(module (func (param $x (@name "a") (@name "b") i32)))',
    '(module (type (@name "a") (@name "b") (func)))',
    '(module (type (struct (field (@name "a") i32 i32))))',
    '(component (@name "a") (@name "b"))',
    '(component (type u8) (@name "b"))',
    '(component (type (@name "a") (@name "b") u8))',
    '(component (core module (@name "a") (@name "b")))',
    '(component (@custom "x" (after last) "y"))',
    '(component (@dylink.0 (needed "a")))',
    '(module (@producers (tools "C" "1")))',
    "(module (@dylink.0 (mem-info (memory 1))))",
    '(module (@dylink.0 (export-info "x" often)))',
]


def by_wasm_tools(text: str) -> bytes | None:
    """What `wasm-tools parse` makes of a text; None if it refuses it."""
    done = subprocess.run([WASM_TOOLS, "parse", "-"], input=text.encode(), capture_output=True)
    return done.stdout if done.returncode == 0 else None


@pytest.mark.parametrize("text", [*NAMED, *CUSTOM])
def test_around(text: str) -> None:
    """The bytes are those of wasm-tools, which makes the same of what we print."""
    data = encode(parse(text, "one"))
    assert data == by_wasm_tools(text)
    printed = print_text(decode(data, "two"))
    assert encode(parse(printed, "three")) == data
    assert by_wasm_tools(printed) == data


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    assert by_wasm_tools(text) is None
    with pytest.raises(MeldError) as caught:
        parse(text, "text")
    assert caught.value.span is not None


FUNCTIONS = encode(parse("(module (func) (func))", "two functions"))
F = section(1, b"\1\0\1f")
UNKNOWN = section(77, b"what comes")


def module(*sections: bytes) -> bytes:
    """A module of two functions with name sections of some contents."""
    return FUNCTIONS + b"".join(section(0, name("name") + one) for one in sections)


CUT_SHORT = b"\2\x40\1"


@pytest.mark.parametrize("rest", [UNKNOWN, section(14, b""), section(2, b"\7\1"), CUT_SHORT, UNKNOWN + b"\7"])
def test_subsections_that_are_not_understood(rest: bytes) -> None:
    """They stay as they are, once, in text too, behind the names that are understood."""
    data = module(F + rest)
    program = decode(data, "one")
    assert encode(program) == data
    text = print_text(program)
    assert text.count("@custom") == 1
    again = parse(text, "two")
    assert encode(again) == data
    assert isinstance(again, Module)
    assert [f.name for f in again.functions] == ["f", None]
    assert encode(decode(module(rest, F), "two sections")) == data


def test_what_is_cut_short_ends_its_section() -> None:
    """Nothing behind it is taken for the rest of it."""
    data = module(F + UNKNOWN + CUT_SHORT, UNKNOWN[:-1])
    again = decode(module(CUT_SHORT, UNKNOWN[:-1], F + UNKNOWN), "one")
    assert encode(again) == data
    assert encode(decode(data, "two")) == data
    assert encode(parse(print_text(again), "three")) == data


def test_of_a_component() -> None:
    data = encode(parse("(component $c (type $t u8))", "one"))
    at = data.index(name("component-name")) - 2
    size = data[at + 1] + len(UNKNOWN)
    data = data[: at + 1] + bytes([size]) + data[at + 2 :] + UNKNOWN
    program = decode(data, "two")
    assert encode(program) == data
    text = print_text(program)
    assert text.count("@custom") == 1
    assert encode(parse(text, "three")) == data


PLUGIN = """
import meld
class Longer(meld.Pass):
    '''Put an instruction in front.'''
    name = "longer"
    def run(self, module, cx):
        module.functions[0].instructions.insert(0, meld.Instruction("nop"))
"""


def test_dropped_where_indices_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a remark that names them."""
    monkeypatch.chdir(tmp_path)
    Path("longer.py").write_text(PLUGIN)
    Path("m.wasm").write_bytes(module(F + UNKNOWN + CUT_SHORT))
    assert main(["m.wasm", "--plugin=longer.py", "--passes=longer", "-o", "other.wasm"]) == 0
    assert "`name`, subsection 77 and a subsection that is cut short" in capsys.readouterr().err
    assert UNKNOWN not in Path("other.wasm").read_bytes()
    custom = '(@custom "name" "M\\01x\\02")'
    Path("c.wat").write_text(
        f'(component (@custom "component-name" "\\09\\03x") (core module $a {custom} (func (export "f")))'
        ' (core instance $a (instantiate $a)) (func (export "f") (canon lift (core func $a "f"))))'
    )
    assert main(["c.wat", "-o", "c.wasm"]) == 0
    told = capsys.readouterr().err
    assert "`component-name`, a subsection that is cut short (3 bytes), `name`, subsection 77 and" in told
