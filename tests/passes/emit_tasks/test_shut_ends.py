"""Exports of a core module that would pass a stream or future to the host: all else runs, and the end is checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime
from both import fused, unfused

import meld
from meld.diagnostics import MeldError
from meld.driver import Options, build

HOST_END = "trap: a stream or future cannot be passed between a core module and its host"

PROGRAM = """(component
  (component $lib
    (type $f (future u8))
    (core func $new (canon future.new $f))
    (core module $m
      (import "" "new" (func $new (result i64)))
      (func (export "make") (result i32) (i32.wrap_i64 (call $new))))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "make") (result (future u8)) (canon lift (core func $i "make"))))
  (instance $l (instantiate $lib))
  (component $app
    (import "make" (func $make (result (future u8))))
    (type $f (future u8))
    (core func $make (canon lower (func $make)))
    (core func $drop (canon future.drop-readable $f))
    (core func $set (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core func $return (canon task.return (result $f)))
    (core module $m
      (import "" "make" (func $make (result i32))) (import "" "drop" (func $drop (param i32)))
      (import "" "set" (func $set (result i32))) (import "" "join" (func $join (param i32 i32)))
      (import "" "return" (func $return (param i32)))
      (func (export "plain") (result i32) (call $drop (call $make)) (i32.const 7))
      (func (export "give") (result i32) (call $make))
      (func (export "give-wrong") (result i32) (i32.const 2))
      (func (export "give-in-set") (result i32) (local $end i32)
        (local.set $end (call $make))
        (call $join (local.get $end) (call $set))
        (local.get $end))
      (func (export "return") (call $return (call $make)))
      (func (export "return-wrong") (call $return (i32.const 2)))
      (func (export "take") (param i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make)) (export "drop" (func $drop)) (export "set" (func $set))
      (export "join" (func $join)) (export "return" (func $return))))))
    (func (export "plain") (result u32) (canon lift (core func $i "plain")))
    (func (export "give") (result $f) (canon lift (core func $i "give")))
    (func (export "give-wrong") (result $f) (canon lift (core func $i "give-wrong")))
    (func (export "give-in-set") (result $f) (canon lift (core func $i "give-in-set")))
    (func (export "return") async (result $f) (canon lift (core func $i "return") async))
    (func (export "return-wrong") async (result $f) (canon lift (core func $i "return-wrong") async))
    (func (export "take") (param "f" $f) (canon lift (core func $i "take"))))
  (instance $a (instantiate $app (with "make" (func $l "make"))))
  (export "plain" (func $a "plain")) (export "give" (func $a "give")) (export "give-wrong" (func $a "give-wrong"))
  (export "give-in-set" (func $a "give-in-set")) (export "return" (func $a "return"))
  (export "return-wrong" (func $a "return-wrong")) (export "take" (func $a "take")))"""


@pytest.mark.parametrize("name", ["plain", "give-wrong", "give-in-set", "return-wrong"])
def test_what_traps_before_the_edge(name: str) -> None:
    """Whatever the specification checks before an end is passed is checked first."""
    wasm = bytes(wasmtime.wat2wasm(PROGRAM))
    assert fused(wasm, ((name,),)) == unfused(wasm, ((name,),))


@pytest.mark.parametrize("call", [("give",), ("return",), ("take", 1)])
def test_the_edge(call: tuple[str, int]) -> None:
    assert fused(bytes(wasmtime.wat2wasm(PROGRAM)), (call,)) == [HOST_END]


def test_remarks(tmp_path: Path) -> None:
    """The compiler says which exports cannot serve."""
    path = tmp_path / "program.wat"
    path.write_text(PROGRAM)
    remarks = [remark.message for remark in build([path], Options()).remarks]
    named = [remark for remark in remarks if "would pass a stream or future" in remark]
    assert len(named) == 6 and not any("`plain`" in remark for remark in named)


def test_values_in_memory_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "program.wat"
    path.write_text(
        PROGRAM.replace(
            '(func (export "give") (result $f) (canon lift (core func $i "give")))',
            """(func (export "give") (result (tuple $f u32))
      (canon lift (core func $i "give") (memory (core memory $i "m"))))""",
        ).replace('(func (export "plain") (result i32)', '(memory (export "m") 1) (func (export "plain") (result i32)')
    )
    with pytest.raises(MeldError, match="stays on the host, and a core module cannot reach it there"):
        meld.compile(path)
