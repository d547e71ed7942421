"""Tasks that their threads outlive, and cancelled ones with threads: interpreted, fused, and under the engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from both import Fused
from engine_cli import CLI, invoked
from thread_scenarios import binary

from meld.driver import Options, build
from meld.ir.module import Module
from meld.runtime.instantiate import Trapped, instantiate

PROGRAM = """(component
  (component $b
    (core module $lib (table (export "table") 1 funcref))
    (core instance $lib (instantiate $lib))
    (core type $start (func (param i32)))
    (core func $new (canon thread.new-indirect $start (core table $lib "table")))
    (core func $later (canon thread.resume-later))
    (core func $yield (canon thread.yield))
    (core func $ret (canon task.return (result u32)))
    (core func $cancelled (canon task.cancel))
    (core func $set (canon waitable-set.new))
    (core module $m (import "" "table" (table 1 funcref))
      (import "" "new" (func $new (param i32 i32) (result i32))) (import "" "later" (func $later (param i32)))
      (import "" "yield" (func $yield (result i32))) (import "" "ret" (func $ret (param i32)))
      (import "" "cancelled" (func $cancelled)) (import "" "set" (func $set (result i32)))
      (global $told (mut i32) (i32.const 0))
      (elem (i32.const 0) func $thread)
      (func $thread (param i32) {thread})
      (func (export "run") (result i32) {main} (call $later (call $new (i32.const 0) (i32.const 0))) {answer})
      (func (export "event") (param i32 i32 i32) (result i32) (global.set $told (i32.const 1)) {event}))
    (core instance $m (instantiate $m (with "" (instance (export "table" (table $lib "table"))
      (export "new" (func $new)) (export "later" (func $later)) (export "yield" (func $yield))
      (export "ret" (func $ret)) (export "cancelled" (func $cancelled)) (export "set" (func $set))))))
    (func (export "run") async (result u32)
      (canon lift (core func $m "run") async (callback (core func $m "event")))))
  (component $a
    (import "run" (func $run async (result u32)))
    (core module $lib (memory (export "memory") 1))
    (core instance $lib (instantiate $lib))
    (core func $begin (canon lower (func $run) async (memory (core memory $lib "memory"))))
    (core func $cancel (canon subtask.cancel))
    (core func $yield (canon thread.yield))
    (core module $m (import "" "memory" (memory 1)) (import "" "begin" (func $begin (param i32) (result i32)))
      (import "" "cancel" (func $cancel (param i32) (result i32))) (import "" "yield" (func $yield (result i32)))
      (func (export "run") (result i32) (local $task i32)
        (local.set $task (call $begin (i32.const 64)))
        (drop (call $yield))
        (i32.add
          (i32.mul (i32.const 100) (call $cancel (i32.shr_u (local.get $task) (i32.const 4))))
          (i32.load (i32.const 64)))))
    (core instance $m (instantiate $m (with "" (instance (export "memory" (memory $lib "memory"))
      (export "begin" (func $begin)) (export "cancel" (func $cancel)) (export "yield" (func $yield))))))
    (func (export "cancels") async (result u32) (canon lift (core func $m "run"))))
  (instance $b (instantiate $b))
  (instance $a (instantiate $a (with "run" (func $b "run"))))
  (export "run" (func $b "run"))
  (export "cancels" (func $a "cancels")))"""
YIELD = "(drop (call $yield))"
EXIT, WAIT = "(i32.const 0)", "(i32.or (i32.const 2) (i32.shl (call $set) (i32.const 4)))"
TOLD = "(loop $more (drop (call $yield)) (br_if $more (i32.eqz (global.get $told))))"
NEVER = "trap: async-lifted export failed to produce a result"
TWICE = "trap: `task.return` or `task.cancel` called more than once for current task"
CASES: dict[str, tuple[str, str, str, str, str, int | str]] = {
    # what is called; the code of the thread, before it is made, what the function and its callback answer; the answer
    "returns after its function": ("run", f"{YIELD} (call $ret (i32.const 7))", "", EXIT, EXIT, 7),
    "never returns": ("run", YIELD, "", EXIT, EXIT, NEVER),
    "returns twice": ("run", "(call $ret (i32.const 7)) (call $ret (i32.const 8))", "", EXIT, EXIT, TWICE),
    "traps": ("run", "unreachable", "", EXIT, EXIT, "trap: wasm `unreachable` instruction executed"),
    "goes on after the result": ("run", f"{YIELD} unreachable", "(call $ret (i32.const 3))", EXIT, EXIT, 3),
    "confirms the cancellation": ("cancels", f"{TOLD} (call $cancelled)", "", WAIT, EXIT, 400),
    "goes on after it": ("cancels", TOLD, "", WAIT, f"(call $cancelled) {EXIT}", 400),
    "returns in spite of it": ("cancels", f"{TOLD} (call $ret (i32.const 5))", "", WAIT, EXIT, 205),
    "is not told": ("cancels", f"{YIELD} {YIELD} {YIELD} (call $ret (i32.const 6))", "", EXIT, EXIT, 206),
}


@pytest.mark.parametrize("name", CASES)
def test_a_thread(name: str, tmp_path: Path) -> None:
    """A task is over when its last thread is; any of them may return or confirm a cancellation."""
    export, thread, main, answer, event, wanted = CASES[name]
    wasm = binary(PROGRAM.format(thread=thread, main=main, answer=answer, event=event))
    path = tmp_path / "a.wasm"
    path.write_bytes(wasm)
    module = build([path], Options(stop_after="merge")).program
    assert isinstance(module, Module)
    try:
        found = instantiate(module).call(export)
    except Trapped as e:
        found = f"trap: {e}"
    assert found == wanted
    assert Fused(wasm).answers(((export,),)) == [wanted]
    if os.access(CLI, os.X_OK):
        assert str(wanted).removeprefix("trap: ") in invoked(path, [f"{export}()"])[0]
