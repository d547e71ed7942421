"""The pass `adapter-wiring` in the pipeline: compositions run unfused under wasmtime and fused, and do the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wasmtime
from wasmtime import component as wc

import meld
from meld.diagnostics import MeldError
from meld.notes.boundaries import Wired

TRAP = "trap"
_MAKE = "(core instance $i (instantiate $m))"


def config() -> wasmtime.Config:
    made = wasmtime.Config()
    made.wasm_exceptions = True
    made.cranelift_opt_level = "none"
    return made


ENGINE = wasmtime.Engine(config())


def unfused(text: str, *calls: tuple[Any, ...]) -> list[Any]:
    """What exports return under the engine's own component support; an instance of its own for each call."""
    component = wc.Component(ENGINE, text)
    out = []
    for name, *args in calls:
        store = wasmtime.Store(ENGINE)
        function = wc.Linker(ENGINE).instantiate(store, component).get_func(store, name)
        assert function is not None, name
        out.append(_outcome(lambda f=function, a=args, s=store: f(s, *a)))
    return out


def fused(module: meld.Module, *calls: tuple[Any, ...]) -> list[Any]:
    """The same of the fused module, which imports nothing."""
    compiled = wasmtime.Module(ENGINE, meld.encode(module))
    out = []
    for name, *args in calls:
        store = wasmtime.Store(ENGINE)
        function = wasmtime.Instance(store, compiled, []).exports(store)[name]
        out.append(_outcome(lambda f=function, a=args, s=store: f(s, *a)))
    return out


def _outcome(call: Any) -> Any:
    try:
        return call()
    except (wasmtime.Trap, wasmtime.WasmtimeError) as e:
        # An exception is no trap: nothing may come out of a component but a trap.
        return TRAP if "wasm trap" in str(e) or "thrown" not in str(e) else str(e)


def compiled(text: str, tmp_path: Path) -> meld.Module:
    path = tmp_path / "composition.wasm"
    path.write_bytes(wasmtime.wat2wasm(text))
    module = meld.compile(path)
    assert isinstance(module, meld.Module)
    return module


def same(text: str, tmp_path: Path, *calls: tuple[Any, ...]) -> list[Any]:
    """Runs calls in both settings; returns what both did."""
    want = unfused(text, *calls)
    assert fused(compiled(text, tmp_path), *calls) == want
    return want


def pair(provider: str, consumer: str, functions: str, lift: str = "", lower: str = "") -> str:
    """Two components. `functions`: lines ``name: component type`` of what one provides and the other lowers.

    The provider's core module exports its functions by name; the consumer's imports them from ``p`` and exports `run`,
    an s32. Options may speak of core exports of the instance that has the memory: ``$mem``.
    """
    named = [line.split(":", 1) for line in functions.strip().splitlines()]
    lifts = "\n".join(f'(func (export "{n}") {t} (canon lift (core func $i "{n}") {lift}))' for n, t in named)
    imports = "\n".join(f'(import "{n}" (func ${n} {t}))' for n, t in named)
    lowers = "\n".join(f"(core func ${n} (canon lower (func ${n}) {lower}))" for n, _ in named)
    bundle = " ".join(f'(export "{n}" (func ${n}))' for n, _ in named)
    withs = " ".join(f'(with "{n}" (func $provider "{n}"))' for n, _ in named)
    memory = """(core module $mem (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
    (core instance $mem (instantiate $mem))
    (alias core export $mem "memory" (core memory $memory)) (alias core export $mem "realloc" (core func $realloc))"""
    return f"""(component
  (component $provider {memory}
    (core module $m {provider})
    (core instance $i (instantiate $m (with "own" (instance $mem))))
    {lifts})
  (instance $provider (instantiate $provider))
  (component $consumer {memory}
    {imports}
    {lowers}
    (core module $m {consumer})
    (core instance $i (instantiate $m (with "own" (instance $mem)) (with "p" (instance {bundle}))))
    (func (export "run") (result s32) (canon lift (core func $i "run"))))
  (instance $consumer (instantiate $consumer {withs}))
  (export "run" (func $consumer "run")))"""


def hows(module: meld.Module) -> dict[str, str]:
    return {n.label.rpartition("/")[2]: n.how for n in module.notes_of(Wired)}


def test_plain_numbers_are_called_directly(tmp_path: Path) -> None:
    text = pair(
        '(func (export "sub") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))',
        '(import "p" "sub" (func $f (param i32 i32) (result i32)))'
        '(func (export "run") (result i32) (call $f (i32.const 5) (i32.const 7)))',
        'sub: (param "a" s32) (param "b" s32) (result s32)',
    )
    assert same(text, tmp_path, ("run",)) == [-2]
    module = compiled(text, tmp_path)
    assert hows(module) == {"sub": "direct"}
    assert not [f for f in module.functions if f.synthetic == "adapter"]


@pytest.mark.parametrize(
    ("type_", "value", "got"),
    [
        ("u8", 0x1FF, 0xFF),
        ("s8", 0x1FF, -1),
        ("u16", 0x12345, 0x2345),
        ("s16", 0x18000, -0x8000),
        ("bool", 0x100, 1),
        ("char", 0x10FFFF, 0x10FFFF),
        ("char", 0x110000, TRAP),
        ("char", 0xD800, TRAP),
        ("char", 0xDFFF, TRAP),
        ("char", -1, TRAP),
    ],
)
def test_scalars_are_checked(type_: str, value: int, got: Any, tmp_path: Path) -> None:
    text = pair(
        '(func (export "id") (param i32) (result i32) local.get 0)',
        '(import "p" "id" (func $f (param i32) (result i32)))'
        f'(func (export "run") (result i32) (call $f (i32.const {value})))',
        f'id: (param "a" {type_}) (result {type_})',
    )
    assert same(text, tmp_path, ("run",)) == [got]
    assert hows(compiled(text, tmp_path)) == {"id": "adapter"}


def test_a_function_called_by_way_of_a_table(tmp_path: Path) -> None:
    """Rewiring reaches element segments and `ref.func`, not calls alone."""
    text = pair(
        '(func (export "id") (param i32) (result i32) local.get 0)',
        """(import "p" "id" (func $f (param i32) (result i32))) (table funcref (elem $f))
        (type $t (func (param i32) (result i32))) (elem declare func $f)
        (global $g funcref (ref.func $f)) (export "f" (func $f))
        (func (export "run") (result i32) (call_indirect (type $t) (i32.const 0x1ff) (i32.const 0)))""",
        'id: (param "a" u8) (result u8)',
    )
    assert same(text, tmp_path, ("run",)) == [0xFF]


CHAIN = """(component
  (component $a
    (core module $m (func (export "f") (param i32) (result i32) local.get 0))
    (core instance $i (instantiate $m))
    (func (export "f") (param "x" {type}) (result {type}) (canon lift (core func $i "f"))))
  (instance $a (instantiate $a))
  (component $b
    (import "f" (func $f (param "x" {type}) (result {type})))
    (core func $f (canon lower (func $f)))
    (func (export "g") (param "x" u32) (result u32) (canon lift (core func $f))))
  (instance $b (instantiate $b (with "f" (func $a "f"))))
  (component $c
    (import "g" (func $g (param "x" u32) (result u32)))
    (core func $g (canon lower (func $g)))
    (core module $m (import "" "g" (func $g (param i32) (result i32)))
      (func (export "run") (result i32) (call $g (i32.const 0x1ff))))
    (core instance $i (instantiate $m (with "" (instance (export "g" (func $g))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $c (instantiate $c (with "g" (func $b "g"))))
  (export "run" (func $c "run")))"""


@pytest.mark.parametrize(("type_", "got"), [("u8", 0xFF), ("u32", 0x1FF)])
def test_what_was_lowered_is_lifted_again(type_: str, got: int, tmp_path: Path) -> None:
    assert same(CHAIN.replace("{type}", type_), tmp_path, ("run",)) == [got]


def test_an_instance_that_lowers_its_own_lift_traps(tmp_path: Path) -> None:
    text = """(component
      (core module $p (func (export "f") (result i32) i32.const 9))
      (core instance $p (instantiate $p))
      (func $f (result u32) (canon lift (core func $p "f")))
      (core func $f (canon lower (func $f)))
      (core module $m (import "" "f" (func $f (result i32))) (func (export "run") (result i32) call $f))
      (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
      (func (export "run") (result u32) (canon lift (core func $i "run"))))"""
    assert same(text, tmp_path, ("run",)) == [TRAP]


def test_parent_child_parent(tmp_path: Path) -> None:
    text = """(component
      (core module $p (func (export "f") (result i32) i32.const 9))
      (core instance $p (instantiate $p))
      (func $f (result u8) (canon lift (core func $p "f")))
      (component $child
        (import "f" (func $f (result u8)))
        (core func $f (canon lower (func $f)))
        (core module $m (import "" "f" (func $f (result i32))) (func (export "run") (result i32) call $f))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
        (func (export "run") (result u8) (canon lift (core func $i "run"))))
      (instance $child (instantiate $child (with "f" (func $f))))
      (core func $g (canon lower (func $child "run")))
      (core module $q (import "" "g" (func $g (result i32))) (func (export "run") (result i32) call $g))
      (core instance $q (instantiate $q (with "" (instance (export "g" (func $g))))))
      (func (export "run") (result u32) (canon lift (core func $q "run"))))"""
    assert same(text, tmp_path, ("run",)) == [9]


# --- may_leave -------------------------------------------------------------------------------------------------------

LEAVING = """(component
  (component $far
    (core module $m (func (export "far") (result i32) i32.const 3))
    (core instance $i (instantiate $m))
    (func (export "far") (result u32) (canon lift (core func $i "far"))))
  (instance $far (instantiate $far))
  (component $near
    (import "far" (func $far (result u32)))
    (core func $far (canon lower (func $far)))
    (core module $m
      (import "" "far" (func $far (result i32)))
      (memory (export "memory") 1)
      (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32) {in-realloc} (i32.const 64))
      (func (export "post") (param i32) {in-post})
      (func (export "f") (param i32 i32) (result i32)
        (i32.add (call $far) (i32.load8_u (local.get 0)))))
    (core instance $i (instantiate $m (with "" (instance (export "far" (func $far))))))
    (func (export "f") (param "s" string) (result u32) (canon lift (core func $i "f")
      (memory (core memory $i "memory")) (realloc (core func $i "realloc")) (post-return (core func $i "post")))))
  (instance $near (instantiate $near (with "far" (func $far "far"))))
  (component $main
    (import "f" (func $f (param "s" string) (result u32)))
    (core module $mem (memory (export "memory") 1) (data (i32.const 8) "A"))
    (core instance $mem (instantiate $mem))
    (core func $f (canon lower (func $f) (memory (core memory $mem "memory"))))
    (core module $m (import "" "f" (func $f (param i32 i32) (result i32)))
      (func (export "run") (result i32)
        (i32.add (call $f (i32.const 8) (i32.const 1)) (call $f (i32.const 8) (i32.const 1)))))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $main (instantiate $main (with "f" (func $near "f"))))
  (export "run" (func $main "run")))"""


@pytest.mark.parametrize(
    ("realloc", "post", "got"),
    [("", "", 2 * (3 + 65)), ("(drop (call $far))", "", TRAP), ("", "(drop (call $far))", 2 * (3 + 65))],
)
def test_no_instance_calls_out_while_it_is_prepared(realloc: str, post: str, got: Any, tmp_path: Path) -> None:
    """From `realloc`, that is; engines let `post-return` call out."""
    text = LEAVING.replace("{in-realloc}", realloc).replace("{in-post}", post)
    assert same(text, tmp_path, ("run",)) == [got]


@pytest.mark.parametrize(("realloc", "flagged"), [("", False), ("(drop (call $far))", True)])
def test_only_what_may_call_out_is_checked(realloc: str, flagged: bool, tmp_path: Path) -> None:
    text = LEAVING.replace("{in-realloc}", realloc).replace("{in-post}", "")
    module = compiled(text, tmp_path)
    assert any((g.name or "").endswith("/may-leave") for g in module.globals) is flagged


# --- exceptions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", ["s32", "u8"])
def test_no_exception_comes_out_of_a_component(type_: str, tmp_path: Path) -> None:
    text = pair(
        '(tag $t) (func (export "f") (result i32) (throw $t))',
        """(import "p" "f" (func $f (result i32)))
        (func (export "run") (result i32)
          (block $caught (try_table (catch_all $caught) (return (call $f)))) (i32.const 77))""",
        f"f: (result {type_})",
    )
    assert same(text, tmp_path, ("run",)) == [TRAP]


# --- ends of streams and futures, and error contexts -----------------------------------------------------------------


@pytest.mark.parametrize("type_", ["(stream u8)", "(option (future u8))", "error-context"])
def test_a_made_up_end_traps(type_: str, tmp_path: Path) -> None:
    """They cross between components, from table to table; a number that is no handle does not."""
    optional = type_.startswith("(option")
    core = "i32 i32" if optional else "i32"
    text = pair(
        f'(func (export "take-it") (param {core}))',
        f"""(import "p" "take-it" (func $f (param {core})))
        (func (export "run") (result i32) (call $f {"(i32.const 1)" * optional} (i32.const 5)) (i32.const 7))""",
        f'take-it: (param "a" {type_})',
        "(memory $memory) (realloc $realloc)",
        "(memory $memory)",
    )
    module = compiled(text, tmp_path)
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, meld.encode(module)), []).exports(store)
    with pytest.raises(wasmtime.Trap, match="unknown handle index 5"):
        exports["run"](store)


# --- types of any size -----------------------------------------------------------------------------------------------

TYPED = """(component
  (component $a {types}
    (core module $m (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
      (func (export "f") (param i32 i32) (result i32) local.get 1))
    (core instance $i (instantiate $m))
    (func (export "f") (param "x" (list $t)) (result u32) (canon lift (core func $i "f")
      (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (instance $a (instantiate $a))
  (component $b {types}
    (import "f" (func $f (param "x" (list $t)) (result u32)))
    (core module $mem (memory (export "memory") 1))
    (core instance $mem (instantiate $mem))
    (core func $f (canon lower (func $f) (memory (core memory $mem "memory"))))
    (core module $m (import "" "f" (func $f (param i32 i32) (result i32)))
      (func (export "run") (result i32) (call $f (i32.const 0) (i32.const 3))))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $b (instantiate $b (with "f" (func $a "f"))))
  (export "run" (func $b "run")))"""


def doubled(shape: str, times: int) -> str:
    """Types of which each holds the one before it twice, written out in a few words."""
    steps = [f"(type $t{i} {shape.replace('T', f'$t{i - 1}')})" for i in range(1, times)]
    return f"(type $t0 (option u8)) {' '.join(steps)} (type $t (option $t{times - 1}))"


@pytest.mark.parametrize(("shape", "times"), [("(option T)", 90), ("(list T)", 90), ("(result T (error T))", 8)])
def test_deep_types(shape: str, times: int, tmp_path: Path) -> None:
    assert same(TYPED.replace("{types}", doubled(shape, times)), tmp_path, ("run",)) == [3]


@pytest.mark.parametrize("shape", ["(tuple T T)", "(result T (error T))", '(variant (case "a" T) (case "b" T))'])
def test_types_that_grow_without_end_are_refused(shape: str, tmp_path: Path) -> None:
    text = TYPED.replace("{types}", doubled(shape, 60))
    path = tmp_path / "composition.wat"
    path.write_text(text)
    with pytest.raises(MeldError, match="a type has more than 1000000 parts"):
        meld.compile(path)
