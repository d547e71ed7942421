"""Invalid components are found by `verify`, and nothing is that a validator or the engine takes."""

from __future__ import annotations

import random
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import component_samples as samples
import pytest
import wasmtime
import wasmtime.component
from cases import trying
from hypothesis import given
from hypothesis import strategies as st
from smith import WASM_TOOLS, printed

from meld.binary.component.reader import read_component
from meld.diagnostics import MeldError
from meld.files import encode, read_program
from meld.validity.extern_names import parse_name
from meld.verify.engine import component_engine
from meld.verify.program import verify
from tests.binary.test_component_binary import FIXTURES, SUITES, commands, is_component, mutate, needs_shared


def refusal(data: bytes, name: str = "x.wasm") -> str | None:
    """What `meldc check` says against a file with these bytes."""
    try:
        for problem in verify(read_program(data, name)):
            raise problem.error().within(name)
    except MeldError as e:
        return str(e)
    return None


def by_engine(data: bytes) -> bool:
    """Whether the engine takes a component."""
    try:
        wasmtime.component.Component(component_engine(), data)
    except wasmtime.WasmtimeError:
        return False
    return True


def by_wasm_tools(directives: list[str]) -> list[bool]:
    """Which components `wasm-tools validate` takes, each in the form of a wast file on one line; in one process."""
    source = "\n".join(f'(assert_invalid {text} "")' for text in directives)
    command = [WASM_TOOLS, "wast", "--features", "all", "--ignore-error-messages", "-"]
    said = subprocess.run(command, input=source.encode(), capture_output=True).stderr.decode()
    valid = set()
    for failure in said.split("-" * 32)[1:]:
        line = re.search(r"failed directive on [^:]*:(\d+):", failure)
        if line is not None:
            number = int(line[1])
            if "validated successfully" in failure or _validates(directives[number - 1]):
                valid.add(number)
    return [number in valid for number in range(1, len(directives) + 1)]


def _validates(text: str) -> bool:
    """The same by a process of its own, for what `wast` trips over after it has validated it."""
    data = bytes(int(byte, 16) for byte in re.findall(r"\\(..)", text))
    return (
        subprocess.run([WASM_TOOLS, "validate", "--features", "all"], input=data, capture_output=True).returncode == 0
    )


def literal(data: bytes) -> str:
    return '"' + "".join(f"\\{byte:02x}" for byte in data) + '"'


# --- the suites ----------------------------------------------------------------------------------------------------

TAKEN = {
    "core-modules.wast:25": "the body of a function, which the engine checks",
    "extern-names.wast:54": "wasm-tools takes nested namespaces",
    "extern-names.wast:57": "wasm-tools takes projections",
    "implements-disabled.wast:4": "about an engine in which `implements` is off",
}
"""What the suites call invalid and we read, with the reason."""


@needs_shared
def test_suites(tmp_path: Path) -> None:
    taken: dict[str, str] = {}
    refused = invalid = 0
    for path in SUITES:
        into = tmp_path / str(len(list(tmp_path.iterdir())))
        into.mkdir()
        try:
            found = commands(path, into)
        except pytest.skip.Exception:
            continue
        for command in found:
            data = (into / command["filename"]).read_bytes()
            where = f"{path.name}:{command['line']}"
            if not is_component(data):
                continue
            said = refusal(data, where)
            if command["type"] in ("assert_invalid", "assert_malformed"):
                invalid += 1
                if said is None:
                    taken[where] = ""
                else:
                    refused += 1
            else:
                assert said is None or "`cancellable` is not part" in said, said
    assert taken.keys() == TAKEN.keys()
    assert refused + len(taken) == invalid > 300


@needs_shared
@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_fixtures(path: Path) -> None:
    assert refusal(path.read_bytes()) is None


@pytest.mark.parametrize("name", ["BUILTINS", "TYPES", "VALUES", "CUSTOMS"])
def test_every_form(name: str) -> None:
    assert refusal(getattr(samples, name).encode(), "x.wat") is None


# --- against validators --------------------------------------------------------------------------------------------

PIECES = (
    *("a", "b1", "A", "B2", "aB", "-", "1", "1b", "_", " ", "é", "a-b", ".", "a.b"),
    *("[method]", "[static]", "[constructor]", "[get]", "[set]", "[x]", "[method]a.b", "[static]a.b", "[constructor]a"),
    *(":", "/", "a:b", "a:b/c", "@", "@1.2.3", "@0.1.0-rc.1", "@1.0.0+b.01", "@1.2", "@01.2.3", "@1.2.3-01"),
    *("@1.2.3-a.0b.-", "url=<", "relative-url=<", "x", ">", "<", ",", "unlocked-dep=<", "locked-dep=<"),
    *("@*", "@{>=1.2.3}", "@{<1.2.3}", "@{>=1.2.3 <2.0.0}", "integrity=<sha256-AAAA>"),
    *("integrity=<sha512-aa==?x sha384-b>", "sha256-"),
)
NAMES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)
SIGNATURES = (
    *("(func)", "(func (result u8))", '(func (param "v" u8))', "(func (result (own $a)))", "(instance)"),
    *('(func (param "self" (borrow $a)))', '(func (param "self" (borrow $a)) (result u8))'),
)
IMPORTS = st.tuples(NAMES, st.sampled_from(SIGNATURES))


@given(st.lists(st.lists(IMPORTS, min_size=1, max_size=2), min_size=200, max_size=200))
@trying(0.006)
def test_names(components: list[list[tuple[str, str]]]) -> None:
    """Whether a component may import things of these names, and export those that it imports."""
    texts = []
    for imports in components:
        first = '(import "a" (type $a (sub resource)))'
        body = [f"(import {literal(name.encode())} {signature})" for name, signature in imports]
        texts.append(f"(component {first} {' '.join(body)})")
    for text, theirs in zip(texts, by_wasm_tools(texts), strict=True):
        data = bytes(wasmtime.wat2wasm(text))
        said = refusal(data)
        if said is not None:
            assert not theirs and not by_engine(data), f"{text}: {said}"
        elif not theirs:  # the two differ in which names they know: one component may have some of each
            assert by_engine(data) or re.search(r"\\67\\65\\74|\\3d\\3c", text), text


@cache
def originals() -> list[bytes]:
    """Valid components to be changed."""
    texts = (samples.BUILTINS, samples.TYPES, samples.VALUES, samples.CUSTOMS)
    found = [bytes(wasmtime.wat2wasm(text)) for text in texts]
    return found + [path.read_bytes() for path in FIXTURES if path.stat().st_size < 10_000]


BODIES = re.compile(r"failed to validate|constant expression")
"""What is wrong with code, which the engine checks."""


def same_verdicts(changed: list[bytes]) -> None:
    """We refuse what validators refuse, and nothing else, but for code."""
    verdicts = by_wasm_tools([f"(component binary {literal(data)})" for data in changed])
    missed = []
    for data, theirs in zip(changed, verdicts, strict=True):
        said = refusal(data)
        if said is not None:
            assert not theirs and not by_engine(data), said
        elif not theirs and not by_engine(data):
            missed.append(data)
    for data in missed[:10]:  # a process each
        done = subprocess.run([WASM_TOOLS, "validate", "--features", "all"], input=data, capture_output=True)
        assert BODIES.search(done.stderr.decode()), done.stderr.decode()


def test_changed_binaries() -> None:
    r = random.Random(7)
    changed: list[bytes] = []
    while len(changed) < 80:
        data = mutate(r.choice(originals()), r)
        try:
            read_component(data)
        except MeldError:
            continue
        changed.append(data)
    same_verdicts(changed)


def test_changed_text() -> None:
    """Words, names and numbers exchanged for others of the same text; definitions left out or doubled."""
    r = random.Random(7)
    texts = [printed(data) for data in originals()]
    changed: list[bytes] = []
    while len(changed) < 150:
        tokens = re.findall(r'"(?:[^"\\]|\\.)*"|\(;.*?;\)|[()]|[^\s()"]+', r.choice(texts))
        at = r.randrange(len(tokens))
        alike = [i for i, token in enumerate(tokens) if _kind(token) == _kind(tokens[at])]
        if tokens[at] != "(":
            tokens[at] = tokens[r.choice(alike)]
        elif at > 0 and (end := _end(tokens, at)) - at < 60:
            tokens[at:end] = tokens[at:end] * r.choice((0, 2))
        try:
            changed.append(bytes(wasmtime.wat2wasm(" ".join(tokens))))
        except wasmtime.WasmtimeError:
            continue
    same_verdicts(changed)


def _kind(token: str) -> str:
    return "n" if token.isdigit() else token[0] if token[0] in '"$()' else "w"


def _end(tokens: list[str], at: int) -> int:
    depth = 0
    for end in range(at, len(tokens)):
        depth += (tokens[end] == "(") - (tokens[end] == ")")
        if depth == 0:
            return end + 1
    raise AssertionError(tokens)


# --- messages ------------------------------------------------------------------------------------------------------

CORE = '(core module $m (func (export "f") (result i32) unreachable)) (core instance $i (instantiate $m))'
MESSAGES = [
    (
        '(import "Foo_bar" (func))',
        'import "Foo_bar": the import name `Foo_bar` is not in kebab-case',
        "did you mean `foo-bar`?",
    ),
    ('(import "a:b" (func))', "names a package and no interface", "write `namespace:package/interface`"),
    ('(import "A:b/c" (func))', "has capital letters in its package", "write `a:b/c`"),
    ('(import "a:b/c@1.2" (func))', "its version `1.2` is not three numbers with dots between", None),
    ('(import "[method]a" (func))', "does not say which resource it belongs to", "write `[method]resource.name`"),
    ('(import "[async]a" (func))', "begins with `[async]`, which is no annotation", None),
    ('(import "a" (func)) (import "A" (func))', "`A` is too like `a`", "rename one of the two imports"),
    ('(import "[static]a.b" (func))', "belongs to a resource `a` that is not imported before", None),
    (
        '(import "b" (type $r (sub resource))) (import "[constructor]a" (func (result (own $r))))',
        "has to return `(own $a)`, or a result with that, and the resource of its type is imported as `b`",
        "import the resource as `a`",
    ),
    (
        '(type $r (record (field "x" u8))) (import "f" (func (param "p" $r)))',
        "it refers to a record type that is not imported itself",
        "import the type in front of it, and refer to what that defines",
    ),
    ("(type (record))", "type 0: a record has no fields", None),
    ("(type (tuple u8)) (component $c (type $t (flags)))", "component $c, type $t: a flags type has no flags", None),
    ("(type (stream char))", "a stream of char is not allowed yet", "use `(stream u8)`"),
    ('(type (enum "a" "B_"))', "the case `B_` is not in kebab-case", "did you mean `b`?"),
    ('(import "i" (instance $i (export "run" (func)))) (alias export $i "rum" (func))', "no export `rum`", "`run`"),
    (
        CORE + '(func (export "g") (param "s" string) (canon lift (core func $i "f")))',
        "the option `memory` is missing: parameters are passed in memory",
        "add `(memory …)`",
    ),
    (
        CORE + '(func (export "g") (result f64) (canon lift (core func $i "f")))',
        "it has to be (func (result f64)), and is (func (result i32))",
        None,
    ),
    (
        '(import "f" (func $f (result u8))) (component $c (import "f" (func (result u16))))'
        ' (instance (instantiate $c (with "f" (func $f))))',
        "instance 0: an argument does not fit what the component imports: import `f`, result, u16 is wanted, u8 is",
        None,
    ),
    (
        '(core module $n (import "m" "f" (func (param i64)))) '
        + CORE
        + '(core instance (instantiate $n (with "m" (instance $i))))',
        "`m` `f`: (func (param i64)) is wanted, (func (result i32)) is given",
        None,
    ),
]


@pytest.mark.parametrize(("text", "message", "hint"), MESSAGES, ids=range(len(MESSAGES)))
def test_messages(text: str, message: str, hint: str | None) -> None:
    """What is wrong, where, and the way out: with the line where there is text, with the path where there is none."""
    text = f"(component {text})"
    for source in (text.encode(), bytes(wasmtime.wat2wasm(text))):
        said = refusal(source, "x.wat" if source == text.encode() else "x.wasm")
        assert said is not None and message in said, said
        assert hint is None or hint in said.partition("hint: ")[2], said
        assert said.startswith("x.wat:1:") if source == text.encode() else said.startswith("x.wasm: ")


def test_the_verifier_says_the_same() -> None:
    """A pass that leaves an invalid component is told so by `--verify`."""
    program: Any = read_program(b'(component (import "f" (func $f)) (export "g" (func $f)))', "x.wat")
    assert verify(program) == []
    program.definitions[-1].extern = type(program.definitions[-1].extern)("G_")
    (problem,) = verify(program)
    assert str(problem) == 'export "G_": the export name `G_` is not in kebab-case'


DEPTH = 3000
ENDLESS = {
    "value types": "(type $t0 u8)" + "".join(f"(type $t{i + 1} (list $t{i}))" for i in range(DEPTH)),
    "doubled value types": "(type $t0 u8)" + "".join(f"(type $t{i + 1} (tuple $t{i} $t{i}))" for i in range(60)),
    "instance types": "(type $t0 (instance))"
    + "".join(f'(type $t{i + 1} (instance (export "a" (instance (type $t{i})))))' for i in range(DEPTH)),
    "instances": "(instance $i0)"
    + "".join(f'(instance $i{i + 1} (export "a" (instance $i{i})))' for i in range(DEPTH)),
    "doubled instances": "(instance $i0)"
    + "".join(f'(instance $i{i + 1} (export "a" (instance $i{i})) (export "b" (instance $i{i})))' for i in range(60)),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_types_without_end(name: str) -> None:
    said = refusal(bytes(wasmtime.wat2wasm(f"(component {ENDLESS[name]})")))
    assert said is not None and ("more than 100 deep" in said or "more than 1000000 parts" in said)


def test_a_name_that_repeats_is_refused_in_linear_time() -> None:
    for name in ("a-" * 50_000, "a:" * 50_000, "[" * 50_000, "integrity=<" + "sha256-a " * 20_000, "1." * 50_000):
        with pytest.raises(MeldError):
            parse_name(name)


@pytest.mark.parametrize(
    "use",
    [
        '(export "x" (core func $f))',
        '(export "x" (core instance $i))',
        '(export "x" (core type $t))',
        '(instance (export "x" (core func $f)))',
        '(component $c) (instance (instantiate $c (with "x" (core func $f))))',
    ],
)
def test_core_definitions_stay_inside(use: str) -> None:
    """Of the core sorts only modules are arguments and exports of components; other text readers have no such form."""
    said = refusal(f'(component {CORE} (core type $t (func)) (alias core export $i "f" (core func $f)) {use})'.encode())
    assert said is not None and "cannot be an argument or export of a component" in said


GIVEN = """(core module $m1 (func (export "f"))) (core module $m2) (component $c1) (component $c2 (import "z" (func)))
  (instance $i (instantiate $c1)) (import "fu" (func $f)) (import "res" (type $r (sub resource))) (type $own (own $r))
  (type $u u8) (type $record (record (field "a" u8))) (type $func (func)) (type $inst (instance (export "a" (func))))
  (type $comp (component))"""
WANTED = [
    "(type (sub resource))",
    "(core module)",
    '(core module (export "f" (func)))',
    "(component)",
    '(component (import "y" (func)))',
    "(instance)",
    '(instance (export "q" (type (sub resource))))',
    '(instance (export "q" (component)) (export "m" (core module)))',
    "(func)",
    *(f"(type (eq $t{n}))" for n in range(6)),
]
EQUAL = """(import "rr" (type $t0 (sub resource))) (type $t1 u8) (type $t2 (record (field "a" u8))) (type $t3 (func))
  (type $t4 (instance)) (type $t5 (own $t0))"""


@pytest.mark.parametrize("wanted", WANTED)
def test_anything_for_anything(wanted: str) -> None:
    """Whatever is given for an import: fits, or is refused, as by the engine."""
    for sort, name in re.findall(r"\((core module|component|instance|func|type) (\$\w+)", GIVEN):
        inner = f'(component $k {EQUAL} (import "x" {wanted}))'
        used = f'(instance (instantiate $k (with "x" ({sort} {name})) (with "rr" (type $r))))'
        data = f"(component {GIVEN} {inner} {used})"
        said = refusal(data.encode())
        assert said is None or "beyond checking" not in said, said
        assert (said is None) == by_engine(encode(read_program(data.encode(), "t"))), (sort, name, said)
