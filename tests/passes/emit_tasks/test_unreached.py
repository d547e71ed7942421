"""Asynchronous calls between instances that no exported function reaches: their callees do not become live."""

from __future__ import annotations

import pytest
import wasmtime
from both import fused, same

CALLEE = """
  (component $callee {before}
    (core module $memory (memory (export "memory") 1)) (core instance $memory (instantiate $memory))
    (core module $m {imports} (import "" "return" (func $return (param i32)))
      (func (export "f") (result i32) {body} (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    {canon}
    (core func $return (canon task.return (result {result})))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return)) {given}))))
    (func $f async (result {result}) (canon lift (core func $i "f") async (callback (core func $i "callback"))))
    {after})"""
CALLER = """
  (component $caller {before}
    (import "f" (func $f async (result {result})))
    (core module $memory (memory (export "memory") 1)) (core instance $memory (instantiate $memory))
    (core func $f (canon lower (func $f) {lower} (memory (core memory $memory "memory"))))
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "f" (func $f {core}))
      (import "" "return" (func $return (param i32)))
      (table (export "table") 1 funcref) (elem (i32.const 0) func $f)
      (func (export "run") (result i32) (drop {call}) (call $return (i32.const 1)) (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f)) (export "return" (func $return))))))
    (func (export "run") async (result u32)
      (canon lift (core func $i "run") async (callback (core func $i "callback")))))"""
ANSWERS = """
  (component $answers
    (core module $m (import "" "return" (func $return (param i32)))
      (func (export "run") (result i32) (call $return (i32.const 42)) (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core func $return (canon task.return (result u32)))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "run") async (result u32)
      (canon lift (core func $i "run") async (callback (core func $i "callback")))))
  (instance $answers (instantiate $answers))
  (export "run" (func $answers "run"))"""

ASYNC = {"lower": "async", "core": "(param i32) (result i32)", "call": "(call $f (i32.const 8))"}
SYNC = {"lower": "", "core": "(result i32)", "call": "(call $f)"}
LOWERED = {"async": ASYNC, "sync": SYNC}

END = {
    "imports": '(import "" "new" (func $new (result i64))) (import "" "drop" (func $drop (param i32)))',
    "body": """(local $ends i64)
        (local.set $ends (call $new))
        (call $return (i32.wrap_i64 (local.get $ends)))
        (call $drop (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))""",
    "given": '(export "new" (func $new)) (export "drop" (func $drop))',
}
MADE = {
    "stream": END
    | {
        "result": "(stream u8)",
        "canon": """(type $s (stream u8))
          (core func $new (canon stream.new $s)) (core func $drop (canon stream.drop-writable $s))""",
    },
    "stream of strings": END
    | {
        "result": "(stream string)",
        "canon": """(type $s (stream string))
          (core func $new (canon stream.new $s)) (core func $drop (canon stream.drop-writable $s))""",
    },
    "error context": {
        "result": "error-context",
        "imports": '(import "" "new" (func $new (param i32 i32) (result i32)))',
        "body": "(call $return (call $new (i32.const 0) (i32.const 3)))",
        "canon": '(core func $new (canon error-context.new (memory (core memory $memory "memory"))))',
        "given": '(export "new" (func $new))',
    },
    "waitable set": {
        "result": "u32",
        "imports": '(import "" "wait" (func $wait (param i32 i32) (result i32)))',
        "body": "(call $return (call $wait (i32.const 1) (i32.const 0)))",
        "canon": '(core func $wait (canon waitable-set.poll (memory (core memory $memory "memory"))))',
        "given": '(export "wait" (func $wait))',
    },
}


@pytest.mark.parametrize("lowered", LOWERED)
@pytest.mark.parametrize("made", MADE)
def test_a_pair_beside_the_export(made: str, lowered: str) -> None:
    parts = MADE[made] | LOWERED[lowered] | {"before": "", "after": '(export "f" (func $f))'}
    pair = CALLEE.format(**parts) + CALLER.format(**parts)
    wired = """
      (instance $callee (instantiate $callee))
      (instance (instantiate $caller (with "f" (func $callee "f"))))"""
    text = f"(component {pair} {wired} {ANSWERS})"
    if made == "error context":  # which the engine's Python package cannot switch on
        assert fused(bytes(wasmtime.wat2wasm(text)), [("run",)]) == [42]
    else:
        assert same(text, ("run",)) == [42]
