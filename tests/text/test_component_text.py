"""Components as text: what is printed parses to the same, and text means to us what it means to other tools."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import component_samples as samples
import pytest
import wasmtime
import wasmtime.component
from smith import WASM_TOOLS, printed, wasm_tools

from meld.binary.component.codes import PREAMBLE
from meld.binary.component.reader import read_component
from meld.binary.component.writer import write_component
from meld.diagnostics import MeldError
from meld.ir.component import Component, CoreModule, Definition, NestedComponent
from meld.text.grammar.lexer import Scanner
from meld.text.printing.program import print_program
from meld.text.reading.program import parse

SHARED = Path(__file__).parents[3] / "shared"
FIXTURES = sorted(p for p in (SHARED / "fixtures").rglob("*.wasm") if p.stat().st_size < 300_000)
SUITES = sorted((SHARED / "conformance" / "suites").rglob("*.wast"))
SAMPLES = ["BUILTINS", "UNVALIDATED", "TYPES", "VALUES", "CUSTOMS"]

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not there")


def read(text: str, name: str = "test.wat") -> Component:
    found = parse(text, name)
    assert isinstance(found, Component)
    return found


def valid(data: bytes) -> bool:
    done = subprocess.run([WASM_TOOLS, "validate", "--features", "all"], input=data, capture_output=True)
    return done.returncode == 0


def parsed_by_others(text: str) -> bytes | None:
    """The binary that the engine makes of a text; None if it does not take it."""
    try:
        return bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError:
        return None


def same(ours: bytes, theirs: bytes | None) -> bool:
    """Whether two binaries mean the same: their bytes, or else their text."""
    return theirs is not None and (ours == theirs or printed(ours) == printed(theirs))


def decoded(component: Component) -> Component:
    """The same with all bodies decoded, so that they are written in their shortest form, as text is."""
    for item in component.definitions:
        if isinstance(item, NestedComponent):
            decoded(item.component)
        elif isinstance(item, CoreModule):
            for function in item.module.functions:
                assert function.code is not None
    return component


def round_trip(component: Component) -> str:
    """Prints and parses: the same text, the same bytes, and the same to the engine's parser. The text."""
    text = print_program(component)
    again = read(text)
    assert print_program(again) == text
    written = write_component(decoded(component))
    assert write_component(again) == written
    assert same(written, parsed_by_others(text))
    return text


def same_meaning(text: str) -> None:
    """Our parser and that of the engine make the same of a text."""
    assert same(write_component(read(text)), parsed_by_others(text))


# --- round trips ---------------------------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_fixtures(path: Path) -> None:
    data = path.read_bytes()
    component = read_component(data, path.name)
    text = round_trip(component)
    theirs = parsed_by_others(text)
    assert theirs is not None and valid(theirs)
    original = printed(data)
    assert printed(write_component(read(original))) == original


def components(path: Path, into: Path) -> Iterator[tuple[str, bytes]]:
    """The components of a wast file that wasm-tools can write as binaries, with their lines."""
    done = subprocess.run(
        [WASM_TOOLS, "json-from-wast", str(path), "--wasm-dir", str(into), "-o", str(into / "commands.json")],
        env={**os.environ, "WAST_STRICT_COMPONENT_INDICES": "0"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        assert "`cancellable`" in done.stderr, done.stderr
        pytest.skip("wasm-tools does not take the file: `cancellable` is gone")
    for command in json.loads((into / "commands.json").read_text())["commands"]:
        if command.get("filename", "").endswith(".wasm") and command["type"] != "assert_malformed":
            data = (into / command["filename"]).read_bytes()
            if data[:8] == PREAMBLE:
                yield f"{path.name}:{command['line']}", data


@needs_shared
@pytest.mark.parametrize("path", SUITES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_suites(path: Path, tmp_path: Path) -> None:
    for where, data in components(path, tmp_path):
        try:
            component = read_component(data, where)
        except MeldError:  # the binary format's own tests are about that
            continue
        round_trip(component)
        if random.Random(where).random() < 0.1:  # a process each
            original = printed(data)
            assert printed(write_component(read(original, where))) == original


@needs_shared
@pytest.mark.parametrize("path", SUITES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_suites_as_they_are_written(path: Path) -> None:
    """Hand-written text with all its sugar."""
    text = re.sub(r"\(component\s+(definition|instance)\s", "(component ", path.read_text(encoding="utf-8"))
    scanner, end = Scanner(text), 0
    for match in re.finditer(r"\(component(?=[\s)])(?!\s+(?:\$\S+\s+)?(?:quote|binary)\b)", text):
        if match.start() < end:
            continue
        end = scanner.close(match.start())
        body = text[match.start() : end]
        theirs = parsed_by_others(body)
        try:
            ours = write_component(read(body, path.name))
        except MeldError as e:
            # references to nothing are refused by us at once, by others when they validate
            assert theirs is None or (not valid(theirs) and "unknown" in e.message) or KNOWN.search(str(e)), str(e)
        else:
            assert theirs is None or same(ours, theirs)


KNOWN = re.compile(r"streams-massive-send\.wast.*expected `\(` or `\)`, found `i32\.const`")
"""A plain instruction inside a folded one, which the specification does not have."""


@pytest.mark.parametrize("name", SAMPLES)
def test_every_form(name: str) -> None:
    text = getattr(samples, name)
    again = print_program(read(text))
    assert print_program(read(again)) == again
    # the engine's parser does not write the names of the results of `start`
    text = text.replace("(result (value $result)", "(result (value)").replace("(value $result)", "(value 1)")
    same_meaning(text)
    round_trip(read(text))
    round_trip(read_component(wasm_tools("parse", data=text.encode())))


SUGAR = {
    "types in place": """
        (import "f" (func $f (param "a" (list (record (field "x" (option (tuple u8 string))))))
                             (result (result (error u8)))))
        (import "i" (instance $i (export "r" (type $r (sub resource))) (export "g" (func (param "s" (borrow $r))))))
        (import "c" (component (import "x" (func)) (export "y" (func))))
        (import "m" (core module (import "a" "b" (func (param i32))) (export "t" (table 1 funcref))))
        (type (func async (param "s" (stream u8)) (param "f" (future)) (result (map string (list u8 4)))))""",
    "imports and exports in place": """
        (func $f (import "f") (param "a" u32))
        (instance $i (import "i") (export "g" (func)))
        (component $c (import "c") (export "g" (func)))
        (type $t (export "t") u8)
        (core module $m (export "m") (memory 1))
        (func (export "g1") (export "g2") (alias export $i "g"))""",
    "aliases in place": """
        (import "i" (instance $i
          (export "f" (func)) (export "j" (instance (export "g" (func)))) (export "m" (core module))))
        (core module $m (func (export "f")) (memory (export "mem") 1)
          (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $a (instantiate $m))
        (core func $l (canon lower (func $i "f")))
        (core func $l2 (canon lower (func $i "j" "g")))
        (func $s (param "x" string)
          (canon lift (core func $a "r") (memory (core memory $a "mem")) (realloc (core func $a "r"))))
        (func $e (export "e") (canon lift (core func $a "f")))
        (core instance (instantiate (module $i "m")))
        (export "g" (func $i "j" "g"))
        (func $g (alias export $i "f"))""",
    "instances in place": """
        (component $c (import "a" (instance (export "x" (func)) (export "y" (func)))))
        (import "f" (func $f))
        (instance (instantiate $c (with "a" (instance (export "x" (func $f)) (export "y" (func $f))))))
        (core module $m (import "a" "f" (func)))
        (core func $g (canon lower (func $f)))
        (core instance (instantiate $m (with "a" (instance (export "f" (func $g))))))""",
    "names of enclosing components": """
        (type $t u8)
        (core type $ct (func (param i32)))
        (component $c
          (core module $m)
          (component (import "x" (func (param "a" $t) (result $t))) (core instance (instantiate $m)))
          (type (instance (export "f" (func (param "a" $t))))))
        (component (instance (instantiate $c)))""",
    "canonical definitions the other way round": """
        (core module $m (func (export "f")) (table (export "t") 1 funcref))
        (core instance $i (instantiate $m))
        (alias core export $i "f" (core func $f))
        (canon lift (core func $f) (func $lifted))
        (canon lower (func $lifted) (core func $lowered))
        (canon stream.new $s (core func))
        (core type $ft (func (param i32)))
        (core func (canon thread.new-indirect $ft (core table $i "t")))
        (export "f" (func $lifted))""".replace("(canon stream.new", "(type $s (stream))\n        (canon stream.new"),
    "core types": """
        (core type $f (func (param i32) (result funcref)))
        (core rec (type $a (sub (struct (field (ref null $b)) (field (mut i8))))) (type $b (array (ref $a))))
        (core type $c (sub final $a (struct (field (ref null $b)) (field (mut i8)) (field i64))))
        (core type (module
          (alias outer 1 $f (type $g))
          (rec (type $x (func (param (ref $y)))) (type $y (struct)))
          (import "a" "f" (func (type $g)))
          (import "a" "g" (global (mut v128)))
          (import "a" "m" (memory i64 1 2 shared))
          (export "e" (tag (param i32)))))""",
}


@pytest.mark.parametrize("name", SUGAR)
def test_sugar(name: str) -> None:
    text = f"(component $c {SUGAR[name]})"
    same_meaning(text)
    round_trip(read(text))


def test_sugar_that_only_we_take() -> None:
    round_trip(
        read("""(component $c
        (value $v (import "v") string)
        (type $f (func (param "s" (stream (future (list u8))))))
        (core type $ct (func (param i32)))
        (core module $m (memory (export "mem") 1))
        (core instance $a (instantiate (core module $m)))
        (core memory $mem (alias core export $a "mem"))
        (import "h" (func $h))
        (instance $i (export "f" (func $h)))
        (func (export "g1" (external-id "x")) (alias export $i "f"))
        (component $c (core type (module (import "a" "b" (func (type $ct))))) (core type (array (ref $ct)))))""")
    )


RUNS = """
(component $outer
  (component $inner
    (core module $m
      (memory (export "mem") 1)
      (data (i32.const 8) "four score")
      (func (export "len") (param i32 i32) (result i32) (i32.mul (local.get 1) (i32.const 7)))
      (func (export "alloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $a (instantiate $m))
    (func (export "weigh") (param "text" string) (result u32)
      (canon lift (core func $a "len") (memory (core memory $a "mem")) (realloc (core func $a "alloc")))))
  (instance $i (instantiate $inner))
  (export "weigh" (func $i "weigh")))
"""


def test_what_was_printed_runs() -> None:
    """Text, objects, text, objects, binary: the engine gives the answer of the source."""
    for text in (RUNS, print_program(read(RUNS))):
        store = wasmtime.Store(wasmtime.Engine())
        component = wasmtime.component.Component(store.engine, write_component(read(text)))
        instance = wasmtime.component.Linker(store.engine).instantiate(store, component)
        weigh = instance.get_func(store, "weigh")
        assert weigh is not None
        assert weigh(store, "sixsix") == 42


def test_a_binary_in_text() -> None:
    data = wasm_tools("parse", data=b"(component $b (type $t u8))")
    literal = '"' + "".join(f"\\{b:02x}" for b in data) + '"'
    assert write_component(read(f"(component binary {literal})")) == data
    (nested,) = read(f"(component (component $c binary {literal}))").definitions
    assert isinstance(nested, NestedComponent)
    assert write_component(nested.component) == data


# --- names ---------------------------------------------------------------------------------------------------------


def named(*names: str | None) -> Component:
    text = "(component " + " ".join(f"(type {n or ''} u8)" for n in names) + ")"
    return read(text)


def test_names_that_are_no_identifiers() -> None:
    component = named('$"x y"', '$"a\\22b"', None, "$plain")
    assert [d.name for d in component.definitions] == ["x y", 'a"b', None, "plain"]
    assert '$"x y"' in round_trip(component)


def test_equal_names_are_told_apart() -> None:
    component = named('$a (@name "x")', '$b (@name "x")', "$x")
    text = round_trip(component)
    assert [d.name for d in read(text).definitions] == ["x", "x", "x"]
    assert '(type $x#2 (@name "x") u8)' in text


def test_names_are_per_sort() -> None:
    text = round_trip(read('(component (type $x (func)) (import "f" (func $x (type $x))) (component $x))'))
    assert "#" not in text


@pytest.mark.parametrize(
    "text",
    [
        "(component $a (component $b (component $c)) (core module $m (memory $mem 1)))",
        '(component (component $b (@meld.own-name "inner")) (core module $m (@meld.own-name "in")))',
        "(component (component $b (@meld.own-name)) (core module $m (@meld.own-name)))",
        '(component (component (@meld.own-name "only inside")))',
    ],
)
def test_names_of_what_is_nested(text: str) -> None:
    component = read(text)
    printed_text = round_trip(component)
    assert printed_text.split() == read_and_print(write_component(component)).split()


def read_and_print(data: bytes) -> str:
    return print_program(read_component(data))


# --- annotations ---------------------------------------------------------------------------------------------------

NOTES = """
(component $c
  (@meld.facts linked other)
  (@meld.input $b (label "b.wasm"))
  (@meld.unknown 1 "two" (three $four))
  (import "i" (instance $i (@other note) (type $t)))
  (component $b (@meld.outside (@meld.plugin 1) (@x)) (@meld.facts inner) (@meld.count 2))
  (instance $x (@meld.partner $y (label "l")) (instantiate $b))
  (instance $y (@meld.partner $x) (instantiate $b))
  (export $e (@meld.a) "e" (instance $x))
  (core module $m (@meld.outside (@meld.of-definition)) (@meld.facts merged) (@meld.instance $y))
  (core func $f (@meld.b) (canon task.return))
)
""".replace("(import", '(type $t (@n "a") (instance))\n  (import')


def test_notes_stay_where_they_are() -> None:
    component = read(NOTES)
    assert component.facts == ["linked", "other"]
    text = round_trip(component)
    assert re.findall(r"\(@[^()]*", text) == [
        *("(@meld.facts linked other", "(@meld.input $b ", '(@meld.unknown 1 "two" ', '(@n "a"', "(@other note"),
        *("(@meld.outside ", "(@meld.plugin 1", "(@x", "(@meld.facts inner", "(@meld.count 2"),
        *("(@meld.partner $y ", "(@meld.partner $x", "(@meld.a"),
        *("(@meld.outside ", "(@meld.of-definition", "(@meld.facts merged", "(@meld.instance $y", "(@meld.b"),
    ]


def test_notes_refer_to_definitions() -> None:
    component = read(NOTES)
    by_name: dict[str | None, Definition] = {d.name: d for d in component.definitions}
    assert component.notes[0].component is by_name["b"]
    assert by_name["x"].notes[0].to is by_name["y"]
    assert by_name["y"].notes[0].to is by_name["x"]
    assert isinstance(by_name["b"], NestedComponent)
    assert by_name["b"].component.facts == ["inner"]
    assert [n.label for n in by_name["b"].notes] == ["meld.plugin", "x"]


# --- what is wrong -------------------------------------------------------------------------------------------------

WRONG = [
    ("(component (import $x))", r"1:20: unexpected `\$x` in `\(import`: expected a string"),
    (
        "(component (type $t (lst u8)))",
        r"1:21: unexpected `\(lst` in `\(type`: expected [^^]*\^+\nhint: did you mean `\(list`\?",
    ),
    (
        "(component (type $tone u8) (type (list $tome)))",
        r"1:40: unknown type `\$tome`[^^]*\^+\nhint: did you mean `\$tone`",
    ),
    ("(component (type u8) (type (list 1)))", r"1:34: unknown type 1: there are 1 so far"),
    ("(component (type $a u8) (type $a u8))", r"1:25: type `\$a` is defined twice"),
    (
        "(component (core func (canon stream.raed 0)))",
        r"1:30: unknown built-in .*\n.*\n.*\nhint: did you mean `stream.read`",
    ),
    ("(component (core func (canon waitable-set.wait)))", r"1:30: `waitable-set.wait` needs a memory"),
    ("(component (core func (canon task.cancel async)))", r"1:30: `task.cancel` has an operand too many"),
    (
        '(component (import "f" (func $f)) (core func (canon lower (func $f) async async)))',
        "the option `async` is given",
    ),
    ("(component (core func (canon thread.yield cancellable)))", "1:43: `cancellable` is not part of the format any"),
    ("(component (core func (canon thread.suspend cancellable)))", "1:45: `cancellable` is not part of the format any"),
    ("(component (core func (canon thread.suspend async)))", "1:30: `thread.suspend` has an operand too many"),
    ("(component (core func (canon error-context.new string-encoding=utf7)))", r"1:48: unknown encoding `utf7`"),
    ('(component (export "a" (func (param "x" u8))))', r"1:24: expected a reference to a func, found a type"),
    ('(component (type (instance (export "a" (func $f)))))', r"1:40: expected the type of a func, found a reference"),
    ('(component (type (instance (import "a" (func)))))', "an instance type has no imports"),
    ('(component (type $f (func)) (component (import "x" (func (type $g)))))', r"unknown type `\$g`"),
    ('(component (core func $f (canon task.cancel)) (component (core instance (export "f" (func $f)))))', "is outside"),
    ("(component (type (func)) (type (list 0)))", r"1:38: expected a value type"),
    ('(component (type u8) (import "f" (func (type 0))))', r"1:46: expected a function type"),
    ("(component (alias outer 2 0 (type)))", "an outer alias of depth 2, 0 levels deep"),
    ("(component (alias outer $x $t (type)))", "no enclosing component is called `\\$x`"),
    ("(component (core type (module (alias outer 0 0 (type)))))", "depth 0 is this module type itself"),
    ('(component (type $t u8) (export "t" (type $t)', r"1:25: the text ends before `\(export` is closed"),
    ('(component (type "\\ff"))', "1:18: unexpected"),
    ('(component (type (enum "\\ff")))', "1:24: malformed string"),
    ("(component (@meld.partner))", "1:12: @meld.partner needs a field `to`"),
    ('(component (@meld.input $x (label "a")))', r"1:12: unknown component `\$x`"),
    ("(component) (component)", "1:13: unexpected"),
    ("(component (core module (func (call $x))))", r"unknown function `\$x`"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=range(len(WRONG)))
def test_errors_show_the_place(text: str, message: str) -> None:
    with pytest.raises(MeldError) as e:
        print_program(read(text))
    assert e.value.span is not None
    assert re.search(message, str(e.value)), str(e.value)
    assert "^" in str(e.value)


DEPTH = 100_000
DEEP = {
    "components": "(component " * DEPTH + ")" * DEPTH,
    "open components": "(component " * DEPTH,
    "value types": "(component (type " + "(list " * DEPTH + "u8" + ")" * DEPTH + "))",
    "instance types": "(component " + "(type (instance " * 20_000 + "))" * 20_000 + ")",
    "parentheses": "(component " + "(" * DEPTH,
    "annotations": "(component (@meld.x " + "(" * DEPTH + ")" * DEPTH + "))",
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_nesting_is_refused(name: str) -> None:
    with pytest.raises(MeldError, match=r"deep|closed|unexpected"):
        read(DEEP[name])


@pytest.mark.parametrize("kind", ["components", "types"])
def test_moderate_nesting(kind: str) -> None:
    unit, end = ("(component ", ")") if kind == "components" else ("(type (component ", "))")
    text = "(component " + unit * 45 + end * 45 + ")"
    round_trip(read(text))


def test_text_cut_anywhere() -> None:
    text = print_program(read(samples.TYPES))
    for end in range(1, len(text.rstrip()), 17):
        with pytest.raises(MeldError):
            read(text[:end])


@pytest.mark.parametrize("seed", range(3))
def test_changed_text(seed: int) -> None:
    """Tokens left out, doubled or exchanged: an error with a place, or a component that prints and parses."""
    r = random.Random(seed)
    texts = [getattr(samples, name) for name in SAMPLES] + [NOTES] + [f"(component {body})" for body in SUGAR.values()]
    for _ in range(150):
        tokens = re.findall(r'"(?:[^"\\]|\\.)*"|[()]|[^\s()"]+', r.choice(texts))
        for _ in range(r.randrange(1, 4)):
            at, other = r.randrange(len(tokens)), r.randrange(len(tokens))
            match r.randrange(3):
                case 0:
                    del tokens[at]
                case 1:
                    tokens.insert(at, tokens[other])
                case _:
                    tokens[at], tokens[other] = tokens[other], tokens[at]
        try:
            text = print_program(parse(" ".join(tokens), "changed.wat"))
        except MeldError as e:
            assert "changed.wat" in str(e) or "offset" in str(e), str(e)
        else:
            assert print_program(parse(text, "again.wat")) == text


def test_floats_by_their_old_names() -> None:
    """Tools read `float32` and `float64` still; they are printed as they are named now."""
    text = '(component (type (func (param "a" float32) (result (list float64)))))'
    found = read(text)
    assert write_component(found) == bytes(wasmtime.wat2wasm(text))
    assert "float" not in print_program(found) and print_program(read(text.replace("float", "f"))) == print_program(
        found
    )
