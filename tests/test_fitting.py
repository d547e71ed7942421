"""What is given to an import must fit it: `link` connects what no validator has seen together."""

from __future__ import annotations

from pathlib import Path

import pytest

import meld
from meld.diagnostics import MeldError

STRING = '(param "s" string) (result u32)'
REALLOC = '(memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 64))'


def provider(type: str, name: str = "f") -> str:
    """Exports a function of a type, whose core type takes an address and a length."""
    return f"""(component
  (core module $m {REALLOC} (func (export "f") (param i32 i32) (result i32) (local.get 1)))
  (core instance $i (instantiate $m))
  (func $f {type} (canon lift (core func $i "f") (memory (core memory $i "m")) (realloc (core func $i "r"))))
  (instance $x (export "{name}" (func $f)))
  (export "a:b/c" (instance $x)))"""


def consumer() -> str:
    """Imports a function and calls it."""
    return f"""(component
  (import "a:b/c" (instance $x (export "f" (func {STRING}))))
  (core module $memory (memory (export "m") 1))
  (core instance $memory (instantiate $memory))
  (core func $f (canon lower (func $x "f") (memory (core memory $memory "m"))))
  (core module $m (import "" "f" (func $f (param i32 i32) (result i32)))
    (func (export "g") (result i32) (call $f (i32.const 0) (i32.const 3))))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "g") (result u32) (canon lift (core func $i "g"))))"""


def fuse(tmp_path: Path, *texts: str) -> None:
    paths = [tmp_path / f"{name}.wat" for name, _ in zip("ab", texts, strict=False)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    meld.compile(paths)


def test_what_fits(tmp_path: Path) -> None:
    fuse(tmp_path, consumer(), provider(STRING))


@pytest.mark.parametrize(
    ("type", "message"),
    [
        ('(param "s" (list u8)) (result u32)', r'"s" string\).*gets.*list u8.*from `b`'),
        ('(param "s" string) (result s32)', r"result u32.*gets.*result s32"),
        ('(param "t" string) (result u32)', r'"s" string.*gets.*"t" string'),
        ('(param "s" u32) (param "t" u32) (result u32)', r'"s" string.*gets.*"t" u32'),
    ],
)
def test_functions_of_other_types(tmp_path: Path, type: str, message: str) -> None:
    """All have the core type that the consumer calls."""
    with pytest.raises(MeldError, match=f"`f` of the import `a:b/c` wants.*{message}"):
        fuse(tmp_path, consumer(), provider(type))


def test_an_instance_without_it(tmp_path: Path) -> None:
    with pytest.raises(MeldError, match="`a:b/c` wants an instance with `f`"):
        fuse(tmp_path, consumer(), provider(STRING, name="other"))


def composed(given: str, wanted: str) -> str:
    """A core module is given an item; both are written as fields."""
    return f"""(component
  (core module $a {given})
  (core instance $a (instantiate $a))
  (core module $b (import "a" "x" {wanted}))
  (core instance (instantiate $b (with "a" (instance $a)))))"""


@pytest.mark.parametrize(
    ("given", "wanted", "message"),
    [
        ('(func (export "x") (param i32))', "(func (param i64))", r"wants \(i64\).*gets \(i32\)"),
        ('(memory (export "x") 1)', "(memory 2)", "wants at least 2, but gets 1"),
        ('(memory (export "x") 1)', "(memory 1 2)", "wants at most 2"),
        ('(memory (export "x") i64 1)', "(memory 1)", "wants 32-bit addresses"),
        ('(global (export "x") i32 (i32.const 0))', "(global (mut i32))", "wants a mutable global"),
        ('(global (export "x") i32 (i32.const 0))', "(global i64)", "wants a global of another type"),
        ('(table (export "x") 1 funcref)', "(table 2 funcref)", "wants at least 2"),
        ('(table (export "x") 1 funcref)', "(func)", "wants a function, but gets a table"),
    ],
)
def test_core_imports(tmp_path: Path, given: str, wanted: str, message: str) -> None:
    with pytest.raises(MeldError, match=f"the core import .* {message}"):
        fuse(tmp_path, composed(given, wanted))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '(component (import "r" (type $r (sub resource))) (type (func (result (list (borrow $r))))))',
            "cannot return a `borrow` handle",
        ),
        (
            '(component (import "r" (type $r (sub resource))) (core func (canon resource.new $r)))',
            "`resource.new` is only for the component that defines `r`",
        ),
        (
            '(component (import "r" (type $r (sub resource))) (core func (canon resource.rep $r)))',
            "`resource.rep` is only for the component that defines `r`",
        ),
    ],
)
def test_handles_where_none_may_be(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MeldError, match=message):
        fuse(tmp_path, text)
