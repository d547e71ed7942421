"""`meldc fmt` and `meldc check`: comments survive, everything that is wrong is said at its place."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from text_samples import EVERYTHING

from meld.diagnostics import MeldError
from meld.files import print_text
from meld.text.format import comments, format_text
from meld.text.grammar.lexer import Scanner
from meld.text.reading.program import parse
from meld.verify.check import check_text
from tests.commands.test_cli import meldc, refused

ROOT = Path(__file__).parents[2]
TEXTS = {"everything": EVERYTHING} | {p.stem: p.read_text() for p in sorted(ROOT.glob("examples/*/*.wat"))}


def places(text: str) -> list[int]:
    """Where a comment may stand: between tokens, outside of annotations."""
    scanner, found, pos = Scanner(text), [], 0
    while pos < len(text):
        after = scanner.skip(pos)
        if after > pos:
            found.append(after)
            pos = after
        elif text.startswith("(@", pos):
            pos = scanner.close(pos)
        elif text[pos] == '"':
            pos = scanner.string_end(pos)
        else:
            pos += 1
    return found


class TestFormat:
    @pytest.mark.parametrize("name", TEXTS)
    def test_without_comments_it_is_what_the_printer_writes(self, name: str) -> None:
        plain = print_text(parse(TEXTS[name], name))
        assert format_text(plain, name) == plain

    @pytest.mark.parametrize("name", TEXTS)
    @pytest.mark.parametrize("seed", range(4))
    def test_comments_anywhere(self, name: str, seed: int) -> None:
        """None is lost or doubled, the program stays the same, and formatting again changes nothing."""
        rng, text = random.Random(seed), TEXTS[name]
        for number, place in enumerate(sorted(rng.sample(places(text), 12), reverse=True)):
            shown = rng.choice(
                [f";; c{number}\n", f"(; c{number} ;)", f"\n;; c{number}\n", f"(; c{number}\n more ;)\n"]
            )
            text = f"{text[:place]} {shown}{text[place:]}"
        formatted = format_text(text, name)
        assert print_text(parse(formatted, name)) == print_text(parse(text, name))
        assert sorted(c.text for c in comments(formatted)) == sorted(c.text for c in comments(text))
        assert format_text(formatted, name) == formatted

    def test_comments_move_with_what_they_stand_at(self) -> None:
        text = """\
;; the file
(module ;; the module
  ;; the function
  (func $f (result i32) ;; its type
    ;; the sum
    (i32.add (i32.const 1) ;; one
      (i32.const 2)))
  ;; the memory
  (memory 1) ;; of one page
  ;; the end
)
;; behind
"""
        assert (
            format_text(text, "t")
            == """\
;; the file
(module
  (type (func (result i32)))
  ;; the memory
  (memory 1) ;; of one page ;; the end
  ;; the module
  ;; the function
  (func $f (type 0) (result i32) ;; its type
    ;; the sum
    i32.const 1 ;; one
    i32.const 2
    i32.add
  )
)
;; behind
"""
        )

    def test_a_line_comment_ends_at_a_carriage_return(self) -> None:
        text = '(module (func (export "a") nop ;; one\r unreachable (;2;) ;; (@x)\r))'
        formatted = format_text(text, "t")
        assert print_text(parse(formatted, "t")) == print_text(parse(text, "t"))
        assert "    nop ;; one\n    unreachable ;; (@x)\n" in formatted

    def test_comments_in_and_behind_a_function(self) -> None:
        text = """\
(module
  (type $t (func (param i32)))
  (func $f
    ;; its type
    (type $t)
    ;; its body
    nop
    ;; the end
  ) ;; that was f
  ;; above g
  (func $g (param i32) ;; the parameter
    (result i32)
    (local i64) ;; the local
    (local.get 0) ;; get
  ) (; that was g ;)
  (func $h nop) ;; h
)
"""
        formatted = format_text(text, "t")
        assert (
            formatted[formatted.index("  ;; its type") :]
            == """\
  ;; its type
  (func $f (type $t) (param i32)
    ;; its body
    nop ;; the end
  ) ;; that was f
  ;; above g
  (func $g (type 1) (param i32) (result i32) ;; the parameter
    (local i64) ;; the local
    local.get 0 ;; get
  ) (; that was g ;)
  (func $h (type 2) ;; h
    nop
  )
)
"""
        )
        assert format_text(formatted, "t") == formatted

    def test_an_annotation_in_a_comment_or_a_string_is_none(self) -> None:
        text = '(module ;; (@x)\n  (; (@y z) ;)\n  (data "(@z)"))'
        assert "(@x)" in format_text(text, "t")

    def test_a_second_start_function_is_refused(self) -> None:
        with pytest.raises(MeldError, match="this is a second"):
            format_text("(module (func $a) (start $a) (start $a))", "t")

    def test_annotations_of_others_are_not_lost(self) -> None:
        kept = "(module\n  (@note kept)\n  (func $f (@other kept)))"
        assert "(@other kept)" in format_text(kept, "t")
        with pytest.raises(MeldError, match="the annotation `hint` would be lost here") as caught:
            format_text("(module (func (param (@hint x) i32)))", "t")
        assert caught.value.span is not None

    def test_files(self, tmp_path: Path) -> None:
        ugly, nice = tmp_path / "ugly.wat", tmp_path / "nice.wat"
        ugly.write_text("(module (func) ;; here\n)")
        nice.write_text("(module\n)\n")
        done = meldc("fmt", "--check", ugly, nice)
        assert (done.returncode, done.stdout) == (1, f"would change {ugly}\n")
        assert meldc("fmt", ugly, nice).returncode == 0
        assert ugly.read_text() == "(module\n  (type (func))\n  (func (type 0) ;; here\n  )\n)\n"
        assert meldc("fmt", "--check", ugly, nice).returncode == 0
        assert (
            meldc("fmt", "-", stdin="(module (func))").stdout == "(module\n  (type (func))\n  (func (type 0)\n  )\n)\n"
        )

    def test_a_malformed_file_is_left_alone(self, tmp_path: Path) -> None:
        bad = tmp_path / "bad.wat"
        bad.write_text("(module (funk))")
        assert "did you mean `(func`" in refused("fmt", bad)
        assert bad.read_text() == "(module (funk))"
        binary = tmp_path / "m.wasm"
        binary.write_bytes(b"\0asm\1\0\0\0")
        assert "is a binary" in refused("fmt", binary)


WRONG = """\
(module
  (@meld.facts merged wired)
  (@meld.instance $a)
  (@meld.pair (domain $d) (producer $a) (consumer $a))
  (type $t (func))
  (func $one (type $t)
    call $two
    call $tow)
  (func $two (type $t)
    i32.cons 3 ;; an instruction
    drop)
  (export "one" (func $one))
  (export "three" (func $three))
  (func $four (param i32) local.get 1 drop))
"""


class TestCheck:
    def test_every_error_of_a_text(self) -> None:
        found = [(d.span.line, d.message) for d in check_text(WRONG, "w.wat") if d.span is not None]
        assert found == [
            (4, "unknown note `d`"),
            (8, "unknown function `$tow`"),
            (10, "unknown instruction `i32.cons`"),
            (13, "unknown function `$three`"),
            (14, "there is no local 1: there are 1"),
        ]

    def test_what_refers_to_a_faulty_field_is_no_error(self) -> None:
        text = '(module (func $f (param i33)) (func (call $f)) (export "f" (func $f)))'
        assert len(check_text(text, "t")) == 1

    def test_unclosed_text_is_one_error(self) -> None:
        assert [d.message for d in check_text("(module (func", "t")] == ["the text ends before `(func` is closed"]

    def test_the_engine_names_the_instruction(self, tmp_path: Path) -> None:
        bad = tmp_path / "bad.wat"
        bad.write_text(
            "(module\n  (func $ok)\n  (func $f (result i32)\n    (i32.add (i32.const 1)\n      (i64.const 2))))\n"
        )
        assert meldc("check", bad).returncode == 0
        done = meldc("check", "--engine", bad)
        assert done.returncode == 2
        assert f"{bad}:4:6: function $f, instruction 2: type mismatch: expected i32, found i64" in done.stdout
        inside = tmp_path / "inside.wat"
        inside.write_text(f"(component (core module $m {bad.read_text().strip()[len('(module') :]})")
        done = meldc("check", "--engine", inside)
        assert "core module $m, function $f, instruction 2" in done.stdout

    def test_an_invalid_component(self, tmp_path: Path) -> None:
        bad = tmp_path / "bad.wat"
        bad.write_text('(component (import "f" (func))\n  (import "F" (func)))')
        done = meldc("check", bad)
        assert done.returncode == 2
        assert f'{bad}:2:15: import "F": the import name `F` is too like `f`' in done.stdout

    def test_the_engine_checks_the_component_around(self, tmp_path: Path) -> None:
        bad = tmp_path / "bad.wat"
        bad.write_text('(component (import "f" (func $f)) (export "g" (func $f)))')
        assert meldc("check", bad).returncode == 0
        done = meldc("check", "--engine", bad)
        assert done.returncode == 2
        assert "not implemented" in done.stdout

    @pytest.mark.parametrize(
        "text",
        [
            "(module (tag $t) (func try throw $t catch $t end))",
            '(component (import "f" (func (param "x" (list u8 4)))))',
            '(component (import "f" (func (param "x" (map string u32)))))',
            """(component (core module $m (memory (export "m") i64 1) (func (export "f") (param i64 i64))
              (func (export "r") (param i64 i64 i64 i64) (result i64) unreachable))
              (core instance $i (instantiate $m))
              (func (export "f") (param "s" string)
                (canon lift (core func $i "f") (memory (core memory $i "m")) (realloc (core func $i "r")))))""",
        ],
    )
    def test_what_the_engine_does_not_have_is_no_fault(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "m.wat").write_text(text)
        done = meldc("check", "--engine", tmp_path / "m.wat")
        assert (done.returncode, done.stdout) == (0, "")

    def test_a_binary_without_a_data_count(self, tmp_path: Path) -> None:
        """Fine unless a function names a data segment; bytes that merely look like that do not count."""
        body = {
            "init": "410041004100fc0800000b",
            "drop": "fc09000b",
            "padded": "fc898000000b",
            "constant": "41fcc80021000b".replace("2100", "1a"),
        }
        for name, code in body.items():
            one = bytes.fromhex("00" + code)
            data = bytes.fromhex("0061736d01000000010401600000030201000503010001")
            data += bytes([10, len(one) + 2, 1, len(one)]) + one + bytes.fromhex("0b0401010178")
            (tmp_path / f"{name}.wasm").write_bytes(data)
            done = meldc("check", tmp_path / f"{name}.wasm")
            assert done.returncode == (0 if name == "constant" else 2), (name, done.stdout, done.stderr)
            assert ("no datacount section" in done.stdout) == (name != "constant"), (name, done.stdout)

    def test_what_compiles_is_in_order(self, tmp_path: Path) -> None:
        files = sorted(ROOT.glob("examples/*/*.wat"))
        fused = tmp_path / "fused.wasm"
        meldc(*ROOT.glob("examples/stream/*.wat"), "-o", fused)
        done = meldc("check", "--engine", *files, fused)
        assert (done.returncode, done.stdout) == (0, "")

    def test_forms(self, tmp_path: Path) -> None:
        bad = tmp_path / "ä b.wat"
        bad.write_text("(module\n  (func $f call $g))")
        document = json.loads(meldc("check", "--diagnostics=json", bad).stdout)
        (one,) = document["diagnostics"]
        assert (one["file"], one["line"], one["column"], one["endColumn"]) == (str(bad), 2, 17, 19)
        assert (one["severity"], one["rule"], one["message"]) == ("error", "verifier", "unknown function `$g`")
        sarif = json.loads(meldc("check", "--diagnostics=sarif", bad).stdout)
        (result,) = sarif["runs"][0]["results"]
        assert result["ruleId"] in {rule["id"] for rule in sarif["runs"][0]["tool"]["driver"]["rules"]}
        physical = result["locations"][0]["physicalLocation"]
        assert physical["artifactLocation"]["uri"].endswith("/%C3%A4%20b.wat")
        assert physical["region"] == {"startLine": 2, "startColumn": 17, "endLine": 2, "endColumn": 19}
        assert json.loads(meldc("check", "--diagnostics=sarif", *ROOT.glob("examples/*/*.wat")).stdout)

    def test_the_compiler_speaks_these_forms(self, tmp_path: Path) -> None:
        done = meldc(*ROOT.glob("examples/stream/*.wat"), "--passes=merge,finsh", "--diagnostics=json")
        assert (done.returncode, done.stdout) == (2, "")
        (one,) = json.loads(done.stderr)["diagnostics"]
        assert (one["file"], one["column"], one["hint"]) == ("--passes", 7, "did you mean `finish`?")
        files = [str(path) for path in ROOT.glob("examples/stream/*.wat")]
        done = meldc(*files, "--passes=detect-pairs", "--diagnostics=json", "-o", tmp_path / "o.wat")
        (remark,) = json.loads(done.stderr)["diagnostics"]
        assert (remark["severity"], remark["rule"], remark["where"]) == ("note", "remark", "plan")
        done = meldc(*files, "--passes=detect-pairs", "--diagnostics=sarif", "-q", "-o", tmp_path / "o.wat")
        assert json.loads(done.stderr)["runs"][0]["results"] == []
