"""What an instance can keep of the state memory is bounded, so that a stranger cannot use up what others need."""

from __future__ import annotations

import pytest
import wasmtime
from both import fused, same

from meld.rewriting import handles

PROGRAM = """(component
  (component $lib
    (core func $return (canon task.return))
    (core func $new (canon waitable-set.new))
    (core module $m
      (import "" "return" (func $return)) (import "" "new" (func $new (result i32)))
      (global $set (mut i32) (i32.const 0))
      (func (export "exits") (result i32) (call $return) (i32.const 0))
      (func (export "waits") (result i32)
        (if (i32.eqz (global.get $set)) (then (global.set $set (call $new))))
        (call $return)
        (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))
      (func (export "back") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return)) (export "new" (func $new))))))
    (func (export "exits") async (canon lift (core func $i "exits") async (callback (core func $i "back"))))
    (func (export "waits") async (canon lift (core func $i "waits") async (callback (core func $i "back")))))
  (instance $l (instantiate $lib))
  (instance $other (instantiate $lib))
  (component $app
    (import "l" (instance $l (export "exits" (func async)) (export "waits" (func async))))
    (import "o" (instance $o (export "exits" (func async)) (export "waits" (func async))))
    (core func $exits (canon lower (func $l "exits") async))
    (core func $waits (canon lower (func $l "waits") async))
    (core func $honest (canon lower (func $o "waits") async))
    (core module $m
      (import "" "exits" (func $exits (result i32))) (import "" "waits" (func $waits (result i32)))
      (import "" "honest" (func $honest (result i32)))
      (func $returned (param i32) (if (i32.ne (local.get 0) (i32.const 2)) (then unreachable)))
      (func (export "exits") (param $n i32)
        (loop $more
          (call $returned (call $exits))
          (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      (func (export "waits") (param $n i32)
        (loop $more
          (call $returned (call $waits))
          (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      (func (export "honest") (call $returned (call $honest))))
    (core instance $i (instantiate $m (with "" (instance
      (export "exits" (func $exits)) (export "waits" (func $waits)) (export "honest" (func $honest))))))
    (func (export "exits") async (param "n" u32) (canon lift (core func $i "exits")))
    (func (export "waits") async (param "n" u32) (canon lift (core func $i "waits")))
    (func (export "honest") async (canon lift (core func $i "honest"))))
  (instance $a (instantiate $app (with "l" (instance $l)) (with "o" (instance $other))))
  (instance $b (instantiate $app (with "l" (instance $l)) (with "o" (instance $other))))
  (export "exits" (func $a "exits")) (export "waits" (func $a "waits")) (export "honest" (func $a "honest"))
  (export "waits-too" (func $b "waits")))"""

FEW = 10
SHARES = 3
"""Of the first instance of the app with each of the two others, of the second with the one that its exported function
calls; no call of the host is a task."""
FULL = "trap: cannot start another task of the instance"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each caller may have few tasks of each callee that have not exited, and the fewest handles."""
    monkeypatch.setattr(handles, "TASK_SPACE", FEW * handles.TASK_BYTES * SHARES)
    monkeypatch.setattr(handles, "TABLE_SPACE", 1 << 16)


def test_tasks_that_have_returned_and_wait_on_are_bounded(few: None) -> None:
    """They are in no table. What a caller may have with another callee is left, used up or not."""
    wasm = bytes(wasmtime.wat2wasm(PROGRAM))
    assert fused(wasm, (("waits", FEW), ("honest",))) == [None, None]
    assert fused(wasm, (("waits", FEW + 1),)) == [FULL]


def test_a_caller_uses_up_nothing_of_another_one(few: None) -> None:
    """An honest callee serves its other callers, whatever one of them has left behind in it."""
    wasm = bytes(wasmtime.wat2wasm(PROGRAM))
    assert fused(wasm, (("waits", FEW), ("waits-too", FEW))) == [None, None]
    assert fused(wasm, (("waits", FEW), ("waits-too", FEW + 1))) == [None, FULL]


def test_tasks_that_have_exited_count_no_more(few: None) -> None:
    assert same(PROGRAM, ("exits", 50 * FEW), ("waits", FEW - 1), ("exits", 50 * FEW)) == [None, None, None]


MAKES = {
    "waitable sets": ("", "(canon waitable-set.new)", "(result i32)"),
    "streams": ("(type $t (stream u8))", "(canon stream.new $t)", "(result i64)"),
    "futures": ("(type $t (future))", "(canon future.new $t)", "(result i64)"),
    "resources": ("(type $t (resource (rep i32)))", "(canon resource.new $t)", "(param i32) (result i32)"),
}


@pytest.mark.parametrize("what", MAKES)
def test_what_handles_stand_for_is_bounded(what: str, few: None) -> None:
    """4,096 entries are the fewest that a table may have; entry 0 is never used, and a channel has two."""
    type_, canon, signature = MAKES[what]
    given = "(i32.const 7)" if "param" in signature else ""
    text = f"""(component {type_} (core func $new {canon})
      (core module $m (import "" "new" (func $new {signature}))
        (func (export "make") (param $n i32)
          (loop $more
            (drop (call $new {given}))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
      (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
      (func (export "make") (param "n" u32) (canon lift (core func $i "make"))))"""
    wasm = bytes(wasmtime.wat2wasm(text))
    most = 4095 if "i64" not in signature else 2047
    assert fused(wasm, (("make", most),)) == [None]
    assert fused(wasm, (("make", most + 1),)) == ["trap: cannot allocate another handle"]
