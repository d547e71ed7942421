"""Annotations of others may stand between any two tokens; those with a meaning where they have one only."""

from __future__ import annotations

import pytest

from meld.diagnostics import MeldError
from meld.files import encode, print_text
from meld.ir.module import Module
from meld.text.format import format_text
from meld.text.grammar.lexer import Scanner
from meld.text.reading.program import parse

TEXT = """(module $m
  (rec (type $t (sub final (func (param $p i32) (param i64) (result i32))))
    (type (struct (field $x (mut i8)) (field i32))))
  (import "a" "b" (func $i (type $t)))
  (func $f (export "f") (type $t) (param $x i32) (param i64) (result i32) (local $l i64) (local i32)
    (block $out (result i32) (br_if $out (local.get $x) (i32.const 1)))
    if $k (result i32) i32.const 1 else $k i32.const 2 end $k
    drop
    i32.const 0 i32.load offset=4 align=2 drop
    (call_indirect $tab (type $t) (i32.const 0) (i64.const 0) (i32.const 0))
    drop
    (if (local.get 0) (then nop) (else nop))
    (try_table (catch_all 0) nop))
  (table $tab 1 10 funcref)
  (table funcref (elem $f))
  (memory $mem (export "mem") 1 2)
  (global $g (mut i32) (i32.const 1))
  (export "g" (global $g))
  (start $s)
  (func $s)
  (elem $e (table $tab) (offset (i32.const 0)) func $f)
  (elem declare funcref (ref.func $f) (item (ref.func $f)))
  (data $d (memory $mem) (i32.const 0) "a" "b")
  (tag $tag (param i32)))
"""


def places(text: str) -> list[int]:
    """Where a token begins, and the end of the text."""
    scanner, found, pos = Scanner(text), [], 0
    while pos < len(text):
        found.append(pos)
        if text[pos] == '"':
            pos = scanner.string_end(pos)
        elif text[pos] in "()":
            pos += 1
            if text[pos - 1] == "(":
                while text[pos].isalnum() or text[pos] in "._":
                    pos += 1
        else:
            while text[pos] not in ' \n()"':
                pos += 1
        pos = scanner.skip(pos)
    return [*found, len(text)]


PLAIN = parse(TEXT, "t")


@pytest.mark.parametrize("annotation", ["(@x)", '(@"a b" (y "z") $n)', "(@x ;; )\n)"])
def test_anywhere(annotation: str) -> None:
    refused = []
    assert isinstance(PLAIN, Module)
    wanted = encode(PLAIN)
    for place in places(TEXT):
        text = f"{TEXT[:place]} {annotation} {TEXT[place:]}"
        try:
            program = parse(text, "t")
            for function in program.functions if isinstance(program, Module) else ():
                if function.body is not None:
                    function.view()
            assert encode(program) == wanted
        except MeldError as e:
            refused.append((text[max(0, place - 20) : place + 30], str(e).splitlines()[0]))
    assert not refused, refused


def test_several_in_front_of_a_name() -> None:
    program = parse("(module (func (@x) (@y 1) $f (@z)) (start $f))", "t")
    assert "(func $f (@x) (@y 1) (@z)" in print_text(program)


@pytest.mark.parametrize(
    "text",
    [
        '(module (@"") (func))',
        '(module (func (@"" x)))',
        '(module (func nop (@"\\ef")))',
        "(module (@ x))",
        '(module (@name "a") (@name "b"))',
        '(module (func) (@name "b"))',
        '(module (func) (start (@name "b") 0))',
        '(module (func (@custom "x")))',
        '(module (func nop (@custom "x")))',
        '(module (table 1 (@custom "x") funcref))',
        '(module (@meld.instance $a) (func (export "f") (@meld.owner $a)))',
        "(module (@meld.instance $a) (memory 1 (@meld.owner $a)))",
        "(module (@meld.instance $a) (func (param i32) (@meld.owner $a) (local i32)))",
        '(module (@metadata.code.branch_hint "\\01") (func))',
        '(module (func nop (@metadata.code.branch_hint "\\01") nop))',
        '(module (func i32.const 0 (@metadata.code.branch_hint "\\01") (@metadata.code.branch_hint "\\01") br_if 0))',
        '(module (func nop (@name "x")))',
        '(module (func (param (@name "x") i32 i32)))',
        '(module (data"a"))',
        '(module (data "a""b"))',
        '(module (data $d"a"))',
        '(module (func (block $l (i32.const 0) (br_table $"l"0))))',
        '(module (func $"f"(export "f")nop) (func $g) (export "g"(func $"g"0)))',
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(MeldError):
        program = parse(text, "t")
        assert isinstance(program, Module)
        for function in program.functions:
            function.view()


@pytest.mark.parametrize(
    "text",
    [
        '(module (@name "a") (func))',
        '(module (func $"f"(export "f")nop))',
        '(module (func i32.const 0 (@metadata.code.branch_hint "\\01") br_if 0))',
        '(module (func (block (@name "l") nop)))',
    ],
)
def test_what_is_not(text: str) -> None:
    program = parse(text, "t")
    assert isinstance(program, Module)
    program.functions[0].view()


def test_names_of_locals_are_kept() -> None:
    """By `(@name …)`, with or without a name of the text format; formatting writes them as names."""
    text = '(module (func (param $x (@name "the x") i32) (param (@name "y") i32) (local (@name "z z") i64)))'
    formatted = format_text(text, "t")
    assert '(param $"the x" i32) (param $y i32)' in formatted and '(local $"z z" i64)' in formatted
    assert format_text(formatted, "t") == formatted
