"""`meldc run` with component values: components, dumps of any stage, and what a binary can no longer say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import meld
from meld.cli import main

FIXTURES = Path(__file__).parents[2] / "../shared/fixtures"

ECHO = """(component
  (core module $m
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get $new)))
      (memory.copy (local.get $at) (local.get $old)
        (select (local.get $size) (local.get $new) (i32.lt_u (local.get $size) (local.get $new))))
      (local.get $at))
    (func (export "pair") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))
    (func (export "four") (param i32 i32 i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1))
      (i32.store (i32.const 24) (local.get 2)) (i32.store (i32.const 28) (local.get 3)) (i32.const 16))
    (global $posts (mut i32) (i32.const 0))
    (func (export "post") (param i32) (global.set $posts (i32.add (global.get $posts) (i32.const 1))))
    (func (export "posts") (result i32) (global.get $posts))
    (func (export "id") (param i32) (result i32) (local.get 0))
    (func (export "nop")))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (func (export "text") (param "s" string) (result string) (canon lift (core func $i "pair")
    (memory $memory) (realloc $realloc) (post-return (core func $i "post"))))
  (func (export "wide") (param "s" string) (result string) (canon lift (core func $i "pair")
    (memory $memory) (realloc $realloc) string-encoding=utf16))
  (func (export "floats") (param "l" (list f32)) (result (list f32)) (canon lift (core func $i "pair")
    (memory $memory) (realloc $realloc)))
  (func (export "both") (param "t" (tuple string (list (option u8)))) (result (tuple string (list (option u8))))
    (canon lift (core func $i "four") (memory $memory) (realloc $realloc)))
  (func (export "char") (param "c" char) (result char) (canon lift (core func $i "id")))
  (func (export "narrow") (param "n" u32) (result u32) (canon lift (core func $i "id")))
  (func (export "nop") (canon lift (core func $i "nop")))
  (func (export "posts") (result u32) (canon lift (core func $i "posts")))
  (func $f (param "c" char) (result char) (canon lift (core func $i "id")))
  (instance $one (export "same" (func $f)) (export "only-here" (func $f)))
  (instance $two (export "same" (func $f)))
  (export "lab:x/one@1.0.0" (instance $one))
  (export "lab:x/two@1.0.0" (instance $two)))"""

CALLS = [
    ('text("héllo \\u{1F600}")', '"héllo 😀"'),
    ('text("")', '""'),
    ('wide("wörld€")', '"wörld€"'),
    ("floats([1.5, -0, inf, 0.1, nan])", "[1.5, -0, inf, 0.1, nan]"),
    ('both(("a", [1, none, some(2)]))', '("a", [some(1), none, some(2)])'),
    ("char('x')", "'x'"),
    ("narrow(4294967295)", "4294967295"),
    ("nop()", ""),
    ("only-here('a')", "'a'"),
    ("one/same('a')", "'a'"),
    ("lab:x/two@1.0.0#same('b')", "'b'"),
]


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    path = tmp_path / "echo.wat"
    path.write_text(ECHO)
    return path


@pytest.mark.parametrize("form", ["component", "dump", "product"])
@pytest.mark.parametrize(("call", "answer"), CALLS)
def test_typed_calls(form: str, call: str, answer: str, echo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the component itself, of what stands after `merge` as text, and of the finished module as text."""
    if form != "component":
        module = meld.compile(echo, stop_after="merge" if form == "dump" else None)
        echo.write_text(meld.print_text(module))
    assert main(["run", str(echo), "--invoke", call]) == 0
    assert capsys.readouterr().out == answer + "\n" * bool(answer)


def test_post_return_is_called(echo: Path) -> None:
    from meld.runtime.instantiate import instantiate
    from meld.runtime.typed import call
    from meld.runtime.wave import split_call

    running = instantiate(meld.compile(echo))

    def do(text: str) -> str | None:
        words = split_call(text)
        assert words is not None
        return call(running, words)

    assert [do('text("a")'), do("posts()"), do('text("b")'), do("posts()")] == ['"a"', "1", '"b"', "2"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("text(1)", "expected a value of type string, found `1`"),
        ("text()", "too few arguments: the function takes (s: string)"),
        ('text("a", "b")', "too many arguments"),
        ("char('ab')", "not a WAVE value"),
        ("same('a')", "several interfaces export `same`"),
        ("nobody()", "no component function is exported as `nobody`"),
    ],
)
def test_what_does_not_fit(call: str, message: str, echo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(echo), "--invoke", call]) == 2
    assert message in capsys.readouterr().err


def test_a_binary_without_a_manifest_says_nothing_of_component_types(
    echo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = echo.with_suffix(".wasm")
    passes = "--passes=merge,handle-tables,adapter-wiring,finish{signatures=false}"
    assert main([str(echo), "-q", "-o", str(binary), passes]) == 0
    assert main(["run", str(binary), "--invoke", 'text("a")']) == 2
    assert "a binary without the manifest" in capsys.readouterr().err
    assert main(["run", str(binary), "--invoke", "narrow", "7"]) == 0
    assert capsys.readouterr().out == "7\n"


def test_exports_are_listed_by_their_types(echo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(echo)]) == 0
    listed = capsys.readouterr().out
    assert "func   text: func(s: string) -> string\n" in listed and "only-here: func(c: char) -> char" in listed


def test_what_the_host_lacks_traps_when_it_is_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "host.wat"
    path.write_text("""(component
      (import "h" (func $h (param "n" u32)))
      (core func $h (canon lower (func $h)))
      (core module $m (import "" "h" (func $h (param i32)))
        (func (export "f") (call $h (i32.const 1))) (func (export "g") (result i32) i32.const 7))
      (core instance $i (instantiate $m (with "" (instance (export "h" (func $h))))))
      (func (export "f") (canon lift (core func $i "f")))
      (func (export "g") (result u32) (canon lift (core func $i "g"))))""")
    assert main(["run", str(path), "--invoke", "g()"]) == 0
    assert main(["run", str(path), "--invoke", "f()"]) == 1
    out, err = capsys.readouterr()
    assert out == "7\n" and 'nothing provides the import "$root" "h"' in err


def _cases() -> list[tuple[str, str, str]]:
    """Fixtures that need nothing of a host: inputs, call, answer."""
    manifest = FIXTURES / "manifest.json"
    if not manifest.exists():
        return []
    found = []
    for case in json.loads(manifest.read_text()):
        if case["case"] in ("greet", "shop", "arcjet-redact") and case["variant"] in ("c-c", "c", "rust+c"):
            for call, answer in case["expected"].items():
                found += [(" ".join(case["inputs"]), call, answer), (case["composed"], call, answer)]
    return found


@pytest.mark.skipif(not FIXTURES.exists(), reason="the fixtures are not here")
def test_a_handle_comes_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Of an exported resource: it has no text form, and none can be given."""
    provider = str(FIXTURES / "shop/provider.wasm")
    assert main(["run", provider, "--invoke", '[constructor]cart("x")']) == 0
    assert capsys.readouterr().out == "<cart>\n"
    assert main(["run", provider, "--invoke", "[method]cart.total(1)"]) == 2
    assert "borrow<cart> cannot be written" in capsys.readouterr().err


@pytest.mark.skipif(not FIXTURES.exists(), reason="the fixtures are not here")
@pytest.mark.parametrize("stage", ["merge", "handle-tables", "rewire-calls"])
@pytest.mark.parametrize(("inputs", "call", "answer"), _cases())
def test_real_components(stage: str, inputs: str, call: str, answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs from C and Rust with strings, records, variants and resources, their boundaries interpreted."""
    files = [str(FIXTURES / name) for name in inputs.split()]
    assert main(["run", *files, f"--stop-after={stage}", "--invoke", call]) == 0
    assert capsys.readouterr().out == answer + "\n"


@pytest.mark.skipif(not FIXTURES.exists(), reason="the fixtures are not here")
def test_an_engine_in_an_engine(capsys: pytest.CaptureFixture[str]) -> None:
    """A provider in JavaScript: a whole interpreter, with a virtual WASI beside it, handles between all of them."""
    files = [str(FIXTURES / name) for name in ("greet/cons.wasm", "greet/qjsprov.wasm")]
    assert main(["run", *files, "--stop-after=merge", "--invoke", "run(10)"]) == 0
    assert capsys.readouterr().out == '"hello 45"\n'
