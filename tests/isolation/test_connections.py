"""What is given to an import must fit it, at every depth: what `link` connects, and what an input connects itself."""

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
        ('(param "s" (list u8)) (result u32)', r"parameter `s`, string is wanted, \(list u8\) is given"),
        ('(param "s" string) (result s32)', r"result, u32 is wanted, s32 is given"),
        ('(param "t" string) (result u32)', r"the parameter `s` is wanted, `t` is given"),
        ('(param "s" u32) (param "t" u32) (result u32)', r"1 parameters are wanted, 2 are given"),
    ],
)
def test_functions_of_other_types(tmp_path: Path, type: str, message: str) -> None:
    """All have the core type that the consumer calls."""
    with pytest.raises(MeldError, match=f"import `a:b/c`, export `f`, {message}; it comes from `b`"):
        fuse(tmp_path, consumer(), provider(type))


def test_an_instance_without_it(tmp_path: Path) -> None:
    with pytest.raises(MeldError, match="import `a:b/c`, the instance does not export `f`; it comes from `b`"):
        fuse(tmp_path, consumer(), provider(STRING, name="other"))


OPEN = '(type $f (sub (func))) (func (export "x") (type $f))'
RECURSIVE = '(rec (type $f (func)) (type (struct))) (func (export "x") (type $f))'


def composed(given: str, wanted: str) -> str:
    """A core module is given an item; both are written as fields."""
    return f"""(component
  (core module $a {given})
  (core instance $a (instantiate $a))
  (core module $b (type $f (func)) (import "a" "x" {wanted}))
  (core instance (instantiate $b (with "a" (instance $a)))))"""


@pytest.mark.parametrize(
    ("given", "wanted", "message"),
    [
        (
            '(func (export "x") (param i32))',
            "(func (param i64))",
            r"\(func \(param i64\)\) is wanted, \(func \(param i32\)\) is given",
        ),
        ('(memory (export "x") 1)', "(memory 2)", "at least 2 are wanted, 1 are given"),
        ('(memory (export "x") 1)', "(memory 1 2)", "at most 2 are wanted, no limit is given"),
        ('(memory (export "x") i64 1)', "(memory 1)", "the memories differ in the width of addresses"),
        ('(global (export "x") i32 (i32.const 0))', "(global (mut i32))", "one of the globals is mutable"),
        ('(global (export "x") i32 (i32.const 0))', "(global i64)", "a global of another type is wanted"),
        ('(table (export "x") 1 funcref)', "(table 2 funcref)", "at least 2 are wanted"),
        (OPEN, "(func (type $f))", r"\(func\) is wanted, \(func\) is given, which is another type"),
        (RECURSIVE, "(func)", r"\(func\) is wanted, \(func\) is given, which is another type"),
        ('(table (export "x") 1 funcref)', "(func)", "a func is wanted, a table is given"),
    ],
)
def test_core_imports(tmp_path: Path, given: str, wanted: str, message: str) -> None:
    with pytest.raises(MeldError, match=f"`a` `x`: {message}"):
        fuse(tmp_path, composed(given, wanted))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '(component (import "r" (type $r (sub resource))) (type (func (result (list (borrow $r))))))',
            "a result holds a borrowed handle",
        ),
        (
            '(component (import "r" (type $r (sub resource))) (core func (canon resource.new $r)))',
            "`resource.new` is only for resource types that this component defines",
        ),
        (
            '(component (import "r" (type $r (sub resource))) (core func (canon resource.rep $r)))',
            "`resource.rep` is only for resource types that this component defines",
        ),
    ],
)
def test_handles_where_none_may_be(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MeldError, match=message):
        fuse(tmp_path, text)


def refusal(tmp_path: Path, *texts: str) -> str:
    """What a fusion is refused with; a dump behind `link` is refused as well."""
    with pytest.raises(MeldError) as first:
        fuse(tmp_path, *texts)
    paths = [tmp_path / f"{name}.wat" for name, _ in zip("ab", texts, strict=False)]
    with pytest.raises(MeldError):
        meld.compile(paths, stop_after="link")
    return str(first.value)


def plug(param: str, results: str) -> str:
    return f'(component (export "ask" (func (param "x" {param}) (result (tuple {results})))))'


def giving(type: str, results: str) -> str:
    """Exports a component `plug` that reads eight bytes for each element of its parameter."""
    return f"""(component
  (component $c
    (core module $m {REALLOC}
      (func (export "ask") (param i32 i32) (result i32)
        (i32.store (i32.const 8) (i32.load offset=24 (local.get 0))) (i32.const 8)))
    (core instance $i (instantiate $m))
    (type $t {type})
    (func (export "ask") (param "x" (list $t)) (result (tuple {results}))
      (canon lift (core func $i "ask") (memory (core memory $i "m")) (realloc (core func $i "r")))))
  (export "plug" (component $c)))"""


def asking(imported: str = plug("(list u8)", "u32 u32")) -> str:
    """Instantiates an imported component beside a secret, and gives it two bytes."""
    return f"""(component
  (import "plug" (component $plug {imported.removeprefix("(component")[:-1]}))
  (instance $p (instantiate $plug))
  (core module $mem {REALLOC} (data (i32.const 256) "hi-the-secret-key"))
  (core instance $mem (instantiate $mem))
  (core func $ask (canon lower (func $p "ask") (memory (core memory $mem "m")) (realloc (core func $mem "r"))))
  (core module $m (import "" "ask" (func $ask (param i32 i32 i32))) (import "" "m" (memory 1))
    (func (export "run") (result i32)
      (call $ask (i32.const 256) (i32.const 2) (i32.const 64)) (i32.load (i32.const 64))))
  (core instance $i (instantiate $m (with "" (instance (export "ask" (func $ask)) (export "m" (memory $mem "m"))))))
  (func (export "run") (result u32) (canon lift (core func $i "run"))))"""


def test_components_for_imported_components(tmp_path: Path) -> None:
    fuse(tmp_path, asking(), giving("u8", "u32 u32"))
    message = refusal(tmp_path, asking(), giving("(tuple u64 u64)", "u32 u32"))
    assert "import `plug`, export `ask`, parameter `x`, element 0, u8 is wanted, (tuple u64 u64) is given" in message
    message = refusal(tmp_path, asking(), giving("u8", "u32 u32 u32"))
    assert "2 types inside are wanted, 3 are given" in message


def test_components_that_want_more_than_they_are_given(tmp_path: Path) -> None:
    given = (
        """(component (component $c (import "secret" (func)) (export "ask" (func 0))) (export "plug" (component $c)))"""
    )
    wanted = """(component (import "plug" (component (export "ask" (func)))))"""
    assert "the import `secret` is missing" in refusal(tmp_path, wanted, given)


def test_components_inside_components(tmp_path: Path) -> None:
    """The type of what a component exports, when it is itself an argument."""

    def wrapped(t: str) -> str:
        return f"""(component
          (component $outer (component $c (import "f" (func (param "x" {t})))) (export "c" (component $c)))
          (export "plug" (component $outer)))"""

    wanted = """(component
      (import "plug" (component $plug (export "c" (component (import "f" (func (param "x" string)))))))
      (instance (instantiate $plug)))"""
    fuse(tmp_path, wanted, wrapped("string"))
    assert "export `c`, import `f`, parameter `x`" in refusal(tmp_path, wanted, wrapped("(list u8)"))


MODULE = """(component (import "m" (core module $m (import "" "f" (func (param i32))) (export "g" (func (result i32)))))
  (core module $given (func (export "f") (param i32)))
  (core instance $given (instantiate $given))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $given "f"))))))
  (func (export "g") (result u32) (canon lift (core func $i "g"))))"""


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ('(func (export "g") (result i32) (i32.const 7))', None),
        ('(import "" "f" (func (param i32))) (func (export "g") (result i32) (i32.const 7))', None),
        ('(func (export "g") (result i64) (i64.const 7))', r"export `g`: (func (result i32)) is wanted"),
        ('(func (export "h") (result i32) (i32.const 7))', "the module does not export `g`"),
        (
            '(import "" "f" (func (param i64))) (func (export "g") (result i32) (i32.const 7))',
            "import `` `f`: (func (param i64)) is wanted, (func (param i32)) is given",
        ),
        (
            '(import "" "secret" (func)) (func (export "g") (result i32) (i32.const 7))',
            "the module needs the import `` `secret`, which is not among those of the wanted type",
        ),
    ],
)
def test_core_modules_for_imported_core_modules(tmp_path: Path, fields: str, message: str | None) -> None:
    given = f'(component (core module $m {fields}) (export "m" (core module $m)))'
    if message is None:
        fuse(tmp_path, MODULE, given)
    else:
        assert message in refusal(tmp_path, MODULE, given)


@pytest.mark.parametrize(
    "text",
    [
        '(component (core module $m (func (export "f") (param i64))) (core instance $i (instantiate $m))'
        ' (func (export "f") (param "x" u32) (canon lift (core func $i "f"))))',
        '(component (core module $m (type $f (sub (func (param i64)))) (func (export "f") (type $f)))'
        ' (core instance $i (instantiate $m)) (func (export "f") (param "x" u32) (canon lift (core func $i "f"))))',
        '(component (type (flags ' + " ".join(f'"f{i}"' for i in range(33)) + ")))",
        '(component (import "f" (func)) (import "f" (func)))',
        '(component (import "f" (func)) (import "F" (func)))',
        '(component (type $t (record (field "x" u8))) (import "f" (func (param "x" $t))))',
        '(component (type $t (list u8 4294967295)) (type (tuple $t $t)))',
        '(component (type (tuple)))',
        '(component (core module (memory 70000)))',
        '(component (core module $m (import "a" "b" (func))) (core instance (instantiate $m)))',
    ],
)  # fmt: skip
def test_invalid_inputs_reach_no_pass(tmp_path: Path, text: str) -> None:
    """Whatever is refused unfused is refused, whether it is used or not, as the only input and as one of two."""
    refusal(tmp_path, text)
    refusal(tmp_path, '(component (import "g" (func)))', text)
