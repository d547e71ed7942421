"""What the language server answers, without the protocol: at every word of real texts, and at chosen places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("pygls", reason="the language server is an extra: meldc[lsp]")

from lsprotocol import types as lsp

from meld.diagnostics import MeldError
from meld.editor.completion import complete
from meld.editor.documents import Document
from meld.editor.fixes import fixes
from meld.editor.hover import hover
from meld.editor.index import Index, index_text, kind_of, outline
from meld.editor.inlays import inlays
from meld.editor.operands import shape_of
from meld.editor.renaming import renamable, rename
from meld.editor.scan import tokens
from meld.editor.signatures import Signature, signature_at
from meld.ir.describe import type_name
from meld.ir.opcodes import OPS, Imm
from meld.verify.check import check_parsed, check_text

ROOT = Path(__file__).parents[2]
GOLDEN = sorted((ROOT / "tests/golden").glob("*/*.wat"))
TEXTS = [*sorted((ROOT / "examples").glob("**/*.wat")), *GOLDEN[::9]]


def marked(text: str) -> tuple[Index, int]:
    """The index of a text without its mark ``|``, and where that stood."""
    return index_text(text.replace("|", "", 1), "t.wat"), text.index("|")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_every_name_of_a_file_means_one_thing(path: Path) -> None:
    text = path.read_text()
    index = index_text(text, path.name)
    wrong = check_parsed(index.program, index.errors, index.source)
    assert list(inlays(index, 0, len(text))) is not None
    outline(index)
    before = ""
    for kind, start, end in tokens(text):
        hover(index, start)
        signature_at(index, start)
        use = index.at(start)
        skipped = use is None and any(group.keyword.startswith("@") for group in index.tree.around(start)[:1])
        if kind == "name" and not wrong and before not in ("(component", "(module") and not skipped:
            assert use is not None and (use.span.start, use.span.end) == (start, end), text[max(0, start - 40) : end]
            definitions = [each for each in index.of(use.target) if each.definition]
            assert len(definitions) == 1, text[max(0, start - 40) : end]
            if use.definition and kind_of(use.target) != "label":
                assert text[start:end] in {one.text for one in complete(index, end).found} | {text[start:end]}
        before = text[start:end] if kind != "word" else before + text[start:end]


@pytest.mark.parametrize("path", TEXTS[1::4], ids=lambda path: path.stem)
def test_renaming_keeps_the_program(path: Path) -> None:
    """Each name of a file is renamed: what refers to what stays as it is."""
    text = path.read_text()
    index = index_text(text, path.name)
    if index.errors:
        return
    definitions = [use for use in index.uses if use.definition and text[use.span.start] == "$"]
    for use in definitions[:: max(1, len(definitions) // 5)]:
        written, places = rename(index, use, "a name with blanks")
        assert written == '$"a name with blanks"' and use.span in places
        for span in reversed(places):
            assert text[span.start : span.end] == text[use.span.start : use.span.end]


COMPLETIONS = [
    ("(module (func $f (param $a i32) (block $l (loop $k br $|)))", "$k $l"),
    ("(module (func $f (param $a i32) (block $l (nop)) (br $|)))", ""),
    ("(module (func $f (param $a i32) (local $b i64) (local.get $|)))", "$a $b"),
    ("(module (func $f (param $a i32) (local.get $|", "$a"),
    ("(module (func $f) (global $g i32 (i32.const 0)) (func $h (call $|)))", "$f $h"),
    ("(module (func $f) (global $g i32 (i32.const 0)) (func $h call $f global.get $|))", "$g"),
    ("(module (func $f) (memory $m 1) (memory $n 1) (func (memory.copy $m $|)))", "$m $n"),
    ('(module (func $f) (memory $m 1) (export "x" (func $|)))', "$f"),
    ("(module (type $t (func)) (func $f (type $|)))", "$t"),
    ("(module (type $t (func)) (type $|))", ""),
    ("(module (func $f) (func $|))", ""),
    ("(module (func $f) (start $|))", "$f"),
    ("(component (core module $m (func $x)) (core instance $i (instantiate $|)))", "$m"),
    ("(component (core module $m (func $x)) (core module $n (func $y (call $|))))", "$y"),
    ('(component (import "a" (instance $i (export "f" (func)))) (alias export $|))', "$i"),
    ("(module (func i32.load16|))", "i32.load16_s i32.load16_u"),
    ("(module (func (i64.load3|", "i64.load32_s i64.load32_u"),
    ("(module (func (param f|)))", "f32 f64 funcref"),
    ('(component (import "f" (func (param "a" st|))))', "string"),
    ("(module (me|))", "memory"),
    ("(module (func (para|)))", "param"),
    ("(|)", "module component"),
    ("(module (@meld.own|) (func))", "@meld.owner"),
    ("(module (@na|) (func))", "@name"),
    ("(module (@meld.facts mer|) (func))", "merged"),
    ("(module (func $f) ;; call $|\n)", ""),
    ('(module (func $f) (data "$|"))', ""),
]


@pytest.mark.parametrize(("text", "words"), COMPLETIONS)
def test_completion(text: str, words: str) -> None:
    assert [one.text for one in complete(*marked(text)).found] == words.split()


SIGNATURES = [
    ("(func (call $f (i32.const 0) |))", "call $f (param $x i32) (param $y i64) (result f32)", 1),
    ("(func (call $f (i32.add (i32.const 0) |)))", "i32.add (param i32) (param i32) (result i32)", 1),
    ("(func (call $f (|)))", "call $f (param $x i32) (param $y i64) (result f32)", 0),
    ("(func (call $f (i32.const 0) (", "call $f (param $x i32) (param $y i64) (result f32)", 1),
    ("(func call $f |)", "call $f (param $x i32) (param $y i64) (result f32)", None),
    ("(func call 0 |)", "call $f (param $x i32) (param $y i64) (result f32)", None),
    ("(func (call_indirect (type $t) (f32.const 0) |))", "call_indirect $t (param f32) (param i32)", 1),
    ("(func (throw $e |))", "throw $e (param i32)", 0),
    ("(func (global.set $g |))", "global.set $g (param i64)", 0),
    ("(func (struct.new $s (i32.const 0) |))", "struct.new $s (param i32) (param f64) (result (ref $s))", 1),
    ("(func (i32.store (i32.const 0) |))", "i32.store (param i32) (param i32)", 1),
    ("(func (i32.store $m64 (i64.const 0) |))", "i32.store $m64 (param i64) (param i32)", 1),
    ("(func (i64.load 1 offset=8 |))", "i64.load $m64 (param i64) (result i64)", 0),
    ("(func memory.size $m64 |)", "memory.size $m64 (result i64)", None),
    ("(func (memory.copy 0 $m64 |))", "memory.copy (param i32) (param i64) (param i32)", 0),
    ("(func (memory.copy $m64 $m64 |))", "memory.copy $m64 (param i64) (param i64) (param i64)", 0),
    ("(func (memory.fill $m64 |))", "memory.fill $m64 (param i64) (param i32) (param i64)", 0),
    ("(func (memory.init $m64 0 |)) (data)", "memory.init $m64 (param i64) (param i32) (param i32)", 0),
    ("(func (table.get $t64 |))", "table.get $t64 (param i64) (result (ref null extern))", 0),
    ("(func (table.grow $t64 |))", "table.grow $t64 (param (ref null extern)) (param i64) (result i64)", 0),
    ("(func (call_indirect $t64 (type $t) (f32.const 0) |))", "call_indirect $t (param f32) (param i64)", 1),
]


def test_addresses_of_the_first_memory() -> None:
    """That of the module that the instruction is in."""
    text = """(component (core module (memory i64 1) (func (i32.load (i64.const 0|)) drop))
      (core module (memory 1) (func (i32.load (i32.const 0)) drop)))"""
    second = text.replace("|", "").replace("(i32.const 0)", "(i32.const 0|)")
    for each, label in ((text, "(param i64) (result i32)"), (second, "(param i32) (result i32)")):
        index, place = marked(each.replace("0|)", "0)|"))
        found = signature_at(index, place)
        assert found is not None and found.label == f"i32.load {label}"


OUTER = [
    "(component {r} (type $t u8) (component $q (alias outer {r} $t (type $u))))",
    "(component (component {r} (type $t u8) (component (alias outer {r} $t (type $u)))) (instance (instantiate {r})))",
    "(component $o (type {r} (component (type $t u8) (type (instance (alias outer {r} $t (type $u)))))))",
    "(component {r} (core type $t (func)) (core type (module (alias outer {r} $t (type $u)))))",
]


@pytest.mark.parametrize("text", OUTER)
def test_renaming_what_an_outer_alias_goes_through(text: str) -> None:
    old, new = text.replace("{r}", "$r"), text.replace("{r}", "$other")
    for at in (found.start() for found in re.finditer(r"\$r\b", old)):
        index = index_text(old, "t")
        use = renamable(index, at + 1)
        assert use is not None
        written, places = rename(index, use, "$other")
        changed = old
        for place in reversed(places):
            changed = changed[: place.start] + written + changed[place.end :]
        assert changed == new


@pytest.mark.parametrize(("text", "label", "active"), SIGNATURES)
def test_signatures(text: str, label: str, active: int | None) -> None:
    fields = """(module (type $t (func (param f32))) (type $s (struct (field i8) (field f64))) (tag $e (param i32))
      (table 1 funcref) (table $t64 i64 1 externref) (memory 1) (memory $m64 i64 1)
      (global $g (mut i64) (i64.const 0))
      (func $f (param $x i32) (param $y i64) (result f32) unreachable) """
    found = signature_at(*marked(fields + (text if "|" in text else text + "|")))
    assert found is not None and (found.label, found.active) == (label, active)
    assert [found.label[start:end] for start, end in found.places()] == list(found.params)


def test_places_of_parameters_are_in_utf16() -> None:
    found = Signature("call $𝒙 (param i32)", ("(param i32)",), 0)
    assert found.places() == [(9, 20)]


def test_what_instructions_take_and_give() -> None:
    """One function for each instruction whose name says its types: the engine validates them all."""
    immediates = {"v128.const": "i32x4 0 0 0 0", "i8x16.shuffle": "0 " * 16, "br_if": "0"}
    numbers = (Imm.LANE, Imm.I32, Imm.I64, Imm.F32, Imm.F64, Imm.DATA, Imm.ELEM)
    functions = []
    for name, op in OPS.items():
        shape = shape_of(name)
        if shape is None:
            continue
        given = immediates.get(name, "0" if op.imms and op.imms[-1] in numbers else "")
        align = f"align={1 << op.align}" if Imm.MEMARG in op.imms else ""
        gets = " ".join(f"local.get {index}" for index in range(len(shape.params)))
        params, results = (" ".join(map(type_name, types)) for types in (shape.params, shape.results))
        functions.append(f"(func (param {params}) (result {results}) {gets} {name} {align} {given})")
    assert len(functions) > 500
    text = f'(module (memory 1 1 shared) (table 1 funcref) (data "") (elem func) {" ".join(functions)})'
    assert check_text(text, "t", engine=True) == []


FIXES = [
    ("(module (func $f (param i32) local.gt 0 drop))", "local.gt", "local.get"),
    ("(module (func $helper) (func call $helpr))", "$helpr", "$helper"),
    ("(module (fnc $f))", "(fnc", "(func"),
    ("(module (func $f (parm i32)))", "parm", "param"),
    ("(module (@meld.instance $first) (func (@meld.owner $frst)))", "$frst", "$first"),
    ("(module (@meld.fcts merged))", "fcts", "facts"),
    ("(module (@meld.facts mergd))", "mergd", "merged"),
    ("(module (func $f (block (nop)))))", ")", ""),
    ("(module (func $f (block (nop)", "", ")))"),
    ("(module (func $f) ;; the end", "", "\n)"),
    ("(module (func block nop))", "", " end"),
    ("(module (memory 3 1))", "3 1", "1 3"),
    ("(component (core module (table 3 1 funcref)))", "3 1", "1 3"),
    ('(component (import "fooBar" (func)))', "fooBar", "foo-bar"),
    ('(component (import "a:B/c" (func)))', "a:B/c", "a:b/c"),
    ('(component (type $a (record (field "aB" u8))))', "aB", "a-b"),
    ('(component (import "n" (instance $i (export "abc" (func)))) (alias export $i "abd" (func)))', "abd", "abc"),
    ('(module (func $f nop) (export "a"(func $f)) (data "x""y"))', "", " "),
]


@pytest.mark.parametrize(("text", "old", "new"), FIXES)
def test_fixes_do_away_with_their_error(text: str, old: str, new: str) -> None:
    (found,) = check_text(text, "t")
    fix, *_ = fixes(found, index_text(text, "t").tree)
    assert (text[fix.start : fix.end], fix.new) == (old, new)
    assert check_text(text[: fix.start] + fix.new + text[fix.end :], "t") == []


def test_hints_without_a_change_have_no_fix() -> None:
    for text in ("(module (func call $nothing))", '(component (import "a:b" (func)))', "(module (func)) (module)"):
        (found, *_) = check_text(text, "t")
        assert fixes(found, index_text(text, "t").tree) == []


def test_two_errors_leave_the_rest_of_the_document_to_be_asked_about() -> None:
    text = """(module (memory $m 1)
      (func $f (param $a i32) (local.gt $a) (local.get $a) (call $g) (i32.load $m (i32.const 0)))
      (func $g (call $nothing) (block $l (br $l)) call $f)
      (func $h (param $b i64) (local.get $b) call $g))"""
    index = index_text(text, "t")
    assert len(check_parsed(index.program, index.errors, index.source)) == 2
    for word, said in (
        ("$g)", "func $g: () -> ()"),
        ("$a) (call", "local $a: i32"),
        ("$m (i32", "memory $m: 1.."),
        ("$l))", "label $l of this `block`"),
        ("$f)", "func $f: (i32) -> ()"),
        ("$b) call", "local $b: i64"),
    ):
        at = text.index(word)
        assert said in (hover(index, at) or ""), word
        use = index.at(at)
        assert use is not None and [each.definition for each in index.of(use.target)].count(True) == 1


def test_labels_nest() -> None:
    text = """(module (tag $t) (func (param $p i32)
      (block $l (;1;) (block $l (;2;) (br $l) (br 1)) (br_if $l (local.get 0)))
      block $l (;3;) loop $k br_table $l $k 1 end $k end $l
      (if $l (;4;) (br 0) (then (br $l)))
      (block $o (try_table $l (;5;) (catch $t $o) (catch_all 0) (br $l)))))"""
    index = index_text(text, "t")

    def opened(place: str, word: str) -> str:
        at = text.index(place) + place.index(word)
        use = index.at(at)
        assert use is not None, place
        (definition,) = [each.span.start for each in index.of(use.target) if each.definition]
        return text[definition : definition + 8]

    assert opened("(br $l) (br 1)", "$l") == "$l (;2;)"
    assert opened("(br 1)", "1") == "$l (;1;)"
    assert opened("(br_if $l", "$l") == "$l (;1;)"
    assert opened("br_table $l", "$l") == opened("end $l", "$l") == opened("$k 1", "1") == "$l (;3;)"
    assert opened("(then (br $l", "$l") == "$l (;4;)"
    assert index.at(text.index("(br 0)") + 4) is None
    assert opened("$o) (catch_all", "$o") == opened("(catch_all 0", "0") == "$o (try_"
    assert opened("(catch_all 0) (br $l)", "$l") == "$l (;5;)"


def test_locals_that_annotations_name_otherwise() -> None:
    text = """(module (func $f (param $x (@name "y") i32) (param $y (@name "x") f64) (local $l (@name "ell") i64)
      (drop (local.get $x)) (drop (local.get $y)) (drop (local.get $l))))"""
    index = index_text(text, "t")
    for word, type in (("$x))", "i32"), ("$y))", "f64"), ("$l))", "i64")):
        assert f": {type}\n" in (hover(index, text.index(word)) or "")


def test_renaming_is_refused_where_it_would_change_something() -> None:
    text = "(module (func $f (param $a i32) (param $b i32) (block $l (block $k (br $l)))) (func $g (call $f)))"
    index = index_text(text, "t")
    for word, new in (("$f (param", "g"), ("$a", "$b"), ("$l", "$k"), ("$f (param", "$"), ("$f (param", "")):
        use = index.at(text.index(word))
        assert use is not None
        with pytest.raises(MeldError):
            rename(index, use, new)
    use = index.at(text.index("$l"))
    assert use is not None and rename(index, use, "$f")[0] == "$f"  # labels and functions have names of their own


def test_inlays() -> None:
    text = """(module (type $t (func (param i32))) (global $g (mut f64) (f64.const 0))
      (func $f (type $t) (drop (global.get $g)))
      (func $h (param $x i32) (call $f (local.get 0)) (call 0 (local.get $x))))"""
    index = index_text(text, "t")
    shown = {(text[: one.place].split()[-1], one.text) for one in inlays(index, 0, len(text))}
    assert shown == {
        ("$t", ": (i32) -> ()"),
        ("$g", ": mut f64"),
        ("$f", ": (i32) -> ()"),
        ("0", "$x: i32"),
        ("0", "$f: (i32) -> ()"),
        ("$x", ": i32"),
    }


class TestDocuments:
    TEXT = "a\fb\u2028c\r\nd𝒙e\rf\n"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
    def test_places_and_positions(self, encoding: str) -> None:
        document = Document("file:///t.wat", 1, self.TEXT, encoding)
        for offset in range(len(self.TEXT) + 1):
            if self.TEXT[offset - 1 : offset + 1] != "\r\n":
                assert document.offset(document.position(offset)) == offset
        assert document.position(len(self.TEXT)) == lsp.Position(3, 0)
        assert document.offset(lsp.Position(0, 99)) == self.TEXT.index("\r")
        assert document.offset(lsp.Position(99, 0)) == len(self.TEXT)

    def test_changes_follow_each_other(self) -> None:
        document = Document("file:///t.wat", 1, self.TEXT)
        line = lsp.Range(lsp.Position(1, 1), lsp.Position(1, 3))
        one = lsp.TextDocumentContentChangePartial(line, "y")
        two = lsp.TextDocumentContentChangePartial(lsp.Range(lsp.Position(1, 2), lsp.Position(1, 2)), "!")
        assert document.changed(2, [one, two]).text == "a\fb\u2028c\r\ndy!e\rf\n"
        assert document.changed(2, [lsp.TextDocumentContentChangeWholeDocument("z")]).text == "z"
