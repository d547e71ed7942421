"""The interpreter on threads that guests make, after `merge` and further on: beside the fused module and the engine."""

from __future__ import annotations

import os
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from both import Fused, unfused
from engine_cli import CLI, invoked, needs_stack_switching, on_stacks
from hosted import named, product
from random_threads import generate
from thread_scenarios import SCENARIOS, binary, scenarios

import meld
from meld.files import decode
from meld.ir.module import Module
from meld.passes import Registry
from meld.passmanager import plan_default, run
from meld.runtime.instantiate import Trapped, instantiate

CASES = int(os.environ.get("MELD_CASES", "4"))
STAGES = ("merge", "plan-tasks", "handle-tables")


def interpreted(module: Module, name: str, *arguments: int) -> Any:
    """What a call answers in a new instance, or why it traps."""
    try:
        return instantiate(module).call(name, *arguments)
    except Trapped as e:
        return f"trap: {e}"


def after(wasm: bytes, stage: str) -> Module:
    """A component after a pass."""
    program = decode(wasm, "program")
    plan = plan_default(program, Registry.standard())
    module, _ = run(plan, program, steps=plan.position(stage, option="stage"))
    assert isinstance(module, Module)
    return module


@cache
def staged(stage: str) -> Module:
    return after(binary(scenarios()), stage)


@pytest.mark.parametrize("stage", STAGES)
def test_scenarios(stage: str) -> None:
    """Functions of both types answer what the fused module and the engine do."""
    module = staged(stage)
    for n, (name, (*_, asynchronous, synchronous)) in enumerate(SCENARIOS.items()):
        if (n + STAGES.index(stage)) % len(STAGES) and stage != "merge":
            continue
        assert interpreted(module, f"run{n}") == asynchronous, name
        assert interpreted(module, f"plain{n}") == synchronous, name


def test_random_programs() -> None:
    """Two instances whose threads switch at random answer as they do fused. ``MELD_CASES`` says how many programs."""
    choose = random.Random(CASES)
    for seed in range(CASES) if CASES < 10 else choose.sample(range(1 << 20), CASES):
        program = generate(seed, wild=0.005)
        wasm = binary(program.text)
        found, wanted = interpreted(after(wasm, "merge"), "run", 0), Fused(wasm).answers((("run", 0),))[0]
        if isinstance(found, str) and "unknown handle index" in found:
            assert isinstance(wanted, str)
            assert "unknown handle index" in wanted, program  # the fused module names small ones
        else:
            assert found == wanted, program


BUILTINS = {
    "new": ('thread.new-indirect $start (core table $lib "table")', "(param i32 i32) (result i32)"),
    "later": ("thread.resume-later", "(param i32)"),
    "switch": ("thread.yield-then-resume", "(param i32) (result i32)"),
    "leave": ("thread.suspend-then-resume", "(param i32) (result i32)"),
    "yield": ("thread.yield", "(result i32)"),
    "suspend": ("thread.suspend", "(result i32)"),
    "index": ("thread.index", "(result i32)"),
}
DTOR = """(component
  (component $b
    (core module $lib (table (export "table") 3 funcref))
    (core instance $lib (instantiate $lib))
    (core type $start (func (param i32)))
    {canon}
    (core module $d (import "" "table" (table 3 funcref)) {imports}
      (global $log (mut i32) (i32.const 0))
      (func $add (param i32)
        (global.set $log (i32.add (i32.mul (global.get $log) (i32.const 10)) (local.get 0))))
      (elem (i32.const 0) func $once $yields $back)
      (func $once (param i32) (call $add (i32.const 1)))
      (func $yields (param i32) (call $add (i32.const 1)) (drop (call $yield)) (call $add (i32.const 2)))
      (func $back (param i32) (call $add (i32.const 1)) (call $later (local.get 0)) (call $add (i32.const 2)))
      (func (export "dtor") (param i32) (call $add (i32.const 9)) {act} (call $add (i32.const 8)))
      (func (export "seen") (result i32) (drop (call $yield)) (drop (call $yield)) (global.get $log)))
    (core instance $d (instantiate $d (with "" (instance (export "table" (table $lib "table")) {given}))))
    (type $r' (resource (rep i32) (dtor (core func $d "dtor"))))
    (core func $make (canon resource.new $r'))
    (core module $m (import "" "make" (func $make (param i32) (result i32)))
      (func (export "make") (result i32) (call $make (i32.const 4))))
    (core instance $m (instantiate $m (with "" (instance (export "make" (func $make))))))
    (export $r "r" (type $r'))
    (func (export "make") (result (own $r)) (canon lift (core func $m "make")))
    (func (export "seen") (result u32) (canon lift (core func $d "seen"))))
  (component $a
    (import "b" (instance $b (export "r" (type $r (sub resource))) (export "make" (func (result (own $r))))
      (export "seen" (func (result u32)))))
    (alias export $b "r" (type $r))
    (core func $make (canon lower (func $b "make")))
    (core func $seen (canon lower (func $b "seen")))
    (core func $drop (canon resource.drop $r))
    (core module $m (import "" "make" (func $make (result i32))) (import "" "seen" (func $seen (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "run") (result i32) (call $drop (call $make)) (call $seen)))
    (core instance $m (instantiate $m (with "" (instance (export "make" (func $make)) (export "seen" (func $seen))
      (export "drop" (func $drop))))))
    (func (export "run") (result u32) (canon lift (core func $m "run"))))
  (instance $b (instantiate $b))
  (instance $a (instantiate $a (with "b" (instance $b))))
  (export "run" (func $a "run")))"""
FIVE = "(call $add (i32.const 5))"
DESTRUCTORS: dict[str, tuple[str, int | str]] = {
    "leaves a thread": ("(call $later (call $new (i32.const 1) (i32.const 0)))", 9812),
    "runs a thread": (f"(drop (call $switch (call $new (i32.const 0) (i32.const 0)))) {FIVE}", 9158),
    "runs one that yields": (
        f"(drop (call $switch (call $new (i32.const 1) (i32.const 0)))) {FIVE} (drop (call $yield)) {FIVE}",
        915258,
    ),
    "is resumed": (f"(drop (call $leave (call $new (i32.const 2) (call $index)))) {FIVE}", 91258),
    "waits for a thread": (
        f"(call $later (call $new (i32.const 2) (call $index))) (drop (call $suspend)) {FIVE}",
        91258,
    ),
    "waits for nothing": ("(drop (call $suspend))", "trap: cannot block a synchronous task before returning"),
}


def destroys(act: str) -> str:
    """A component whose function drops a resource, and the destructor does something."""
    return DTOR.format(
        act=act,
        canon="".join(f"(core func ${verb} (canon {what}))" for verb, (what, _) in BUILTINS.items()),
        imports="".join(f'(import "" "{verb}" (func ${verb} {shape}))' for verb, (_, shape) in BUILTINS.items()),
        given="".join(f'(export "{verb}" (func ${verb}))' for verb in BUILTINS),
    )


def dropped_by_host(text: str) -> bytes:
    """The same with the component that has the destructor fused on its own."""
    before, _, rest = text.partition("(component $b")
    owner, _, after = rest.partition("(component $a")
    return binary(f"{before}{named(product('(component' + owner), '$b')}(component $a{after}")


@pytest.mark.parametrize("name", DESTRUCTORS)
def test_destructors(name: str, tmp_path: Path) -> None:
    """A destructor is a call as others are: it may make threads, switch to them and wait for them, as in the engine."""
    act, wanted = DESTRUCTORS[name]
    wasm = binary(destroys(act))
    for stage in STAGES:
        assert interpreted(after(wasm, stage), "run") == wanted, stage
    assert Fused(wasm).answers((("run",),)) == [wanted]
    if os.access(CLI, os.X_OK):
        (tmp_path / "a.wasm").write_bytes(wasm)
        assert str(wanted).removeprefix("trap: ") in invoked(tmp_path / "a.wasm", ["run()"])[0]
    assert unfused(dropped_by_host(destroys(act)), (("run",),)) == [wanted]


@needs_stack_switching
def test_destructors_on_stacks_of_their_own(tmp_path: Path) -> None:
    """The same with the proposal of stack switching, two stacks at most kept."""
    for name in ("runs one that yields", "waits for a thread"):
        act, wanted = DESTRUCTORS[name]
        (tmp_path / "a.wasm").write_bytes(binary(destroys(act)))
        product = meld.compile([tmp_path / "a.wasm"], passes="default,stack-switching{pool=2}")
        (tmp_path / "b.wasm").write_bytes(meld.encode(product))
        assert on_stacks(tmp_path / "b.wasm", [(("run",), wanted)]) is None, name
