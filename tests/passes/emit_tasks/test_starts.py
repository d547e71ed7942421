"""Core start functions are synchronous calls: context slots and threads of their own, and they must not block.

Source: Component Model, CanonicalABI.md: Thread State; what wasmtime does, which has threads on its command line only.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from both import fused, unfused
from engine_cli import CLI, invoked, needs_stack_switching, on_stacks
from hosted import product
from thread_scenarios import SCENARIOS, binary, started

import meld
from meld.files import decode
from meld.ir.module import Module
from meld.passes import Registry
from meld.passmanager import plan_default, run
from meld.runtime.instantiate import Trapped, instantiate

STAGES = ("merge", "plan-tasks", "handle-tables")


def interpreted(wasm: bytes, stage: str) -> Any:
    """What `seen` answers after a pass, or why the start function traps."""
    program = decode(wasm, "program")
    plan = plan_default(program, Registry.standard())
    module, _ = run(plan, program, steps=plan.position(stage, option="stage"))
    assert isinstance(module, Module)
    try:
        return instantiate(module).call("seen")
    except Trapped as e:
        return f"trap: {e}"


CONTEXT = """(component
  (core func $get (canon context.get i32 0)) (core func $set (canon context.set i32 0))
  (core func $yield (canon thread.yield)) (core func $set-new (canon waitable-set.new))
  (core module $log
    (import "" "get" (func $get (result i32))) (import "" "set" (func $set (param i32)))
    (global $log (mut i32) (i32.const 1))
    (func $note (export "note")
      (global.set $log (i32.add (i32.mul (global.get $log) (i32.const 10)) (call $get)))
      (call $set (i32.const 3)))
    (func (export "seen") (result i32) (call $note) (global.get $log)))
  (core instance $log (instantiate $log (with "" (instance (export "get" (func $get)) (export "set" (func $set))))))
  (core module $begins
    (import "" "note" (func $note)) (import "" "yield" (func $yield (result i32)))
    (func $twice (call $note) (drop (call $yield)) (call $note))
    (start $twice))
  (core instance $given (export "note" (func $log "note")) (export "yield" (func $yield)))
  (core instance (instantiate $begins (with "" (instance $given))))
  (core instance (instantiate $begins (with "" (instance $given))))
  (core module $is (import "" "note" (func $note)) (start $note))
  (core instance (instantiate $is (with "" (instance $given))))
  (func (export "seen") (result u32) (canon lift (core func $log "seen"))))"""
"""Three start functions, one of them of another module, each of which notes its context slot and sets it."""


def test_context_slots() -> None:
    """Those of a start function are its own, and empty when it begins; the first call finds none of them."""
    wasm = bytes(wasmtime.wat2wasm(CONTEXT))
    assert unfused(wasm, (("seen",), ("seen",))) == [1030300, 10303000]
    assert fused(wasm, (("seen",), ("seen",))) == [1030300, 10303000]
    assert unfused(bytes(wasmtime.wat2wasm(product(CONTEXT))), (("seen",), ("seen",))) == [1030300, 10303000]
    for stage in (*STAGES, "emit-tasks"):
        assert interpreted(wasm, stage) == 1030300, stage


BUG = "is a sufficiently actionable bug"
"""What wasmtime says where a yield lets another thread run while it instantiates."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario(name: str, tmp_path: Path) -> None:
    """Threads of a start function: as in a function of synchronous type."""
    *_, wanted = SCENARIOS[name]
    wasm = binary(started(name))
    assert fused(wasm, (("seen",),)) == [wanted]
    number = list(SCENARIOS).index(name)
    assert interpreted(wasm, STAGES[number % len(STAGES)]) == wanted
    if os.access(CLI, os.X_OK):
        (tmp_path / "a.wasm").write_bytes(wasm)
        said = invoked(tmp_path / "a.wasm", ["seen()"])[0]
        assert BUG in said or str(wanted).removeprefix("trap: ") in said


def test_threads_of_a_component() -> None:
    """The same where the product is a component: the core module that is instantiated may still begin with threads."""
    for name in ("switches at once", "in the order in which they were resumed", "nothing resumes"):
        *_, wanted = SCENARIOS[name]
        assert unfused(bytes(wasmtime.wat2wasm(product(started(name)))), (("seen",),)) == [wanted]


@needs_stack_switching
def test_on_stacks_of_their_own(tmp_path: Path) -> None:
    """The same with the proposal of stack switching."""
    for name in ("switches at once", "in the order in which they were resumed"):
        *_, wanted = SCENARIOS[name]
        (tmp_path / "a.wasm").write_bytes(binary(started(name)))
        product = meld.compile([tmp_path / "a.wasm"], passes="default,stack-switching{pool=2}")
        (tmp_path / "b.wasm").write_bytes(meld.encode(product))
        assert on_stacks(tmp_path / "b.wasm", [(("seen",), wanted)]) is None, name


def test_nothing_else_has_tasks() -> None:
    """A start function may have threads though no call of the program is a task."""
    for name in ("switches at once", "nothing resumes"):
        *_, wanted = SCENARIOS[name]
        begins, _, _ = started(name).rpartition('(func (export "seen")')
        text = f"""(component
          (component $a {begins.removeprefix("(component")})
          (instance (instantiate $a))
          (core module $m (func (export "seen") (result i32) (i32.const 5)))
          (core instance $m (instantiate $m))
          (func (export "seen") (result u32) (canon lift (core func $m "seen"))))"""
        assert fused(binary(text), (("seen",),)) == [5 if isinstance(wanted, int) else wanted]
