"""Which functions may be on the stack when something blocks, and how that is explained."""

from __future__ import annotations

import pytest
from random_wat import Program
from suspended import read

from meld.ir.module import Function, Module
from meld.rewriting.resumable import CallGraph, must_be_resumable
from meld.text.reading.program import parse_module

HEAD = """(module
  (type $sig (func (param i32) (result i32)))
  (type $other (func (param i64)))
  (import "host" "wait" (func $wait (type $sig)))
"""


def found(module: Module, roots: list[str] | None = None) -> dict[str, str]:
    """The functions by name, each with its path."""
    wait = next(f for f in module.imports if isinstance(f, Function))
    starts = None if roots is None else [f for f in module.functions if f.name in roots]
    paths = must_be_resumable(module, [wait], starts)
    assert list(paths) == [f for f in module.functions if f in paths]
    return {f.name or "": str(path) for f, path in paths.items()}


def test_direct_calls() -> None:
    text = f"""{HEAD}
      (func $leaf (param i32) (result i32) (call $wait (local.get 0)))
      (func $tail (param i32) (result i32) (return_call $leaf (local.get 0)))
      (func $quiet (param i32) (result i32) (local.get 0))
      (func $root (param i32) (result i32) (call $quiet (call $tail (local.get 0))))
      (func $elsewhere (drop (call $leaf (i32.const 1)))))"""
    path = "`root` → `tail` → `leaf` → `wait`"
    assert found(read(text), ["root"]) == dict.fromkeys(("leaf", "tail", "root"), path)
    assert found(read(text)) == {
        "leaf": "`leaf` → `wait`",
        "tail": "`tail` → `leaf` → `wait`",
        "root": "`root` → `tail` → `leaf` → `wait`",
        "elsewhere": "`elsewhere` → `leaf` → `wait`",
    }
    assert found(read(text), ["quiet"]) == {}


TABLES = {
    "by type": ("(table $t funcref (elem $leaf $quiet))", {"leaf", "user"}),
    "of another table": ("(table $t funcref (elem $quiet)) (table $u funcref (elem $leaf))", set()),
    "set at run time": (
        """(table $t 2 funcref) (elem declare func $leaf)
           (func $setter (table.set $t (i32.const 0) (ref.func $leaf)))""",
        {"leaf", "user"},
    ),
    "copied": (
        """(table $t 2 funcref) (table $u funcref (elem $leaf))
           (func $copier (table.copy $t $u (i32.const 0) (i32.const 0) (i32.const 1)))""",
        {"leaf", "user"},
    ),
    "passive segment": (
        """(table $t 2 funcref) (elem $e func $leaf)
           (func $init (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)))""",
        {"leaf", "user"},
    ),
    "grown": (
        """(table $t 2 funcref) (elem declare func $leaf)
           (func $grower (drop (table.grow $t (ref.func $leaf) (i32.const 1))))""",
        {"leaf", "user"},
    ),
    "expressions": (
        """(global $g funcref (ref.func $leaf)) (table $t 2 funcref)
           (elem (table $t) (i32.const 0) funcref (global.get $g) (ref.func $quiet))""",
        {"leaf", "user"},
    ),
    "initial value": ("(table $t 2 (ref null $sig) (ref.func $leaf))", {"leaf", "user"}),
    "exported": ('(table $t (export "t") 2 funcref) (export "leaf" (func $leaf))', {"leaf", "user"}),
    "the import itself": ("(table $t funcref (elem $wait))", {"user"}),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str) -> None:
    parts, wanted = TABLES[name]
    text = f"""{HEAD} {parts}
      (func $leaf (type $sig) (call $wait (local.get 0)))
      (func $quiet (type $sig) (local.get 0))
      (func $user (param i32) (result i32) (call_indirect $t (type $sig) (local.get 0) (i32.const 0)))
      (func $unlike (call_indirect $t (type $other) (i64.const 0) (i32.const 0))))"""
    paths = found(read(text), ["user", "unlike"])
    assert set(paths) == wanted
    if "leaf" in wanted:
        assert paths["leaf"] == "`user` (indirect) → `leaf` → `wait`"


def test_references_and_subtypes() -> None:
    text = """(module
      (type $super (sub (func (param i32) (result i32))))
      (type $sub (sub $super (func (param i32) (result i32))))
      (type $same (sub (func (param i32) (result i32))))
      (import "host" "wait" (func $wait (param i32) (result i32)))
      (elem declare func $leaf)
      (func $leaf (type $sub) (call $wait (local.get 0)))
      (func $by_super (param (ref $super)) (call_ref $super (i32.const 1) (local.get 0)) drop)
      (func $by_equal (param (ref $same)) (call_ref $same (i32.const 1) (local.get 0)) drop)
      (func $by_sub (param (ref $sub)) (result i32) (return_call_ref $sub (i32.const 1) (local.get 0)))
      (func $maker (result (ref $sub)) (ref.func $leaf)))"""
    assert set(found(read(text))) == {"leaf", "by_super", "by_equal", "by_sub"}


def test_steady_tables() -> None:
    """Whether a call that was suspended finds the function in its place again."""
    text = f"""{HEAD}
      (table $still funcref (elem $wait))
      (table $grown 1 funcref)
      (table $set 1 funcref)
      (table $exported (export "t") 1 funcref)
      (func (drop (table.grow $grown (ref.null func) (i32.const 1))) (table.set $set (i32.const 0) (ref.null func))))"""
    module = read(text)
    graph = CallGraph(module)
    assert {t.name: graph.steady(t) for t in module.tables} == {
        "still": True,
        "grown": True,
        "set": False,
        "exported": False,
    }


@pytest.mark.parametrize("seed", range(12))
def test_bodies_that_are_not_decoded(seed: int) -> None:
    """Most bodies of a binary are not decoded for this; those of a text are."""
    text = Program(seed).text()
    encoded, decoded = CallGraph(read(text)), CallGraph(parse_module(text, "test.wat"))
    for ours, theirs in zip(encoded.module.functions, decoded.module.functions, strict=True):
        assert {f.name for f in encoded.direct[ours]} == {f.name for f in decoded.direct[theirs]}
        assert len(encoded.indirect[ours]) == len(decoded.indirect[theirs])


def test_calls_by_name_only() -> None:
    text = f"""{HEAD}
      (table $t funcref (elem $quiet))
      (elem declare func $leaf)
      (func $quiet (type $sig) (local.get 0))
      (func $leaf (type $sig) (call $wait (local.get 0)))
      (func $caller (type $sig) (call $leaf (call $quiet (local.get 0))))
      (func $holder (result funcref) (ref.func $leaf)))"""
    module = read(text)
    graph = CallGraph(module)
    calls = {f.name: {g.name for g in graph.direct[f]} for f in module.functions}
    assert calls == {"quiet": set(), "leaf": {"wait"}, "caller": {"leaf", "quiet"}, "holder": set()}
    assert set(found(module)) == {"leaf", "caller"}
