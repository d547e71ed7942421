"""Threads that guests make: beside the engine's command line, which alone has them."""

from __future__ import annotations

import os
import random
from functools import cache
from pathlib import Path

import pytest
import wasmtime
from both import Fused, shared_engine
from engine_cli import invoked, needs_cli, needs_stack_switching, on_stacks
from random_threads import generate
from thread_scenarios import BLOCK, DEADLOCK, SCENARIOS, binary, scenarios

import meld
from meld.diagnostics import MeldError
from meld.text.reading.program import parse
from meld.verify.program import verify

CASES = int(os.environ.get("MELD_CASES", "4"))

MANY = """(component
  (core module $lib (table (export "table") 1 funcref))
  (core instance $lib (instantiate $lib))
  (core type $start (func (param i32)))
  (core func $new (canon thread.new-indirect $start (core table $lib "table")))
  (core func $switch (canon thread.yield-then-resume))
  (core func $yield (canon thread.yield))
  (core module $m (import "" "table" (table 1 funcref))
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "switch" (func $switch (param i32) (result i32)))
    (import "" "yield" (func $yield (result i32)))
    (elem (i32.const 0) func $start)
    (func $start (param i32) (drop (call $yield)))
    (func (export "run") (result i32) (local $i i32) (local $t i32)
      (loop $more
        (local.set $t (call $new (i32.const 0) (i32.const 0)))
        (drop (call $switch (local.get $t)))
        (drop (call $yield))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $i) (i32.const 100000))))
      (local.get $t)))
  (core instance $m (instantiate $m (with "" (instance (export "table" (table $lib "table"))
    (export "new" (func $new)) (export "switch" (func $switch)) (export "yield" (func $yield))))))
  (func (export "run") async (result u32) (canon lift (core func $m "run"))))"""


@cache
def fused() -> Fused:
    return Fused(binary(scenarios()))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario(name: str) -> None:
    """Switches, and why they trap, in functions of both types."""
    n = list(SCENARIOS).index(name)
    *_, asynchronous, synchronous = SCENARIOS[name]
    assert fused().answers(((f"run{n}",),)) == [asynchronous]
    assert fused().answers(((f"plain{n}",),)) == [synchronous]


@needs_cli
def test_the_engine_answers_so(tmp_path: Path) -> None:
    """What stands above is what the engine answers, which waits for ever where nothing can go on."""
    (tmp_path / "a.wasm").write_bytes(binary(scenarios()))
    for n, (name, (*_, asynchronous, synchronous)) in enumerate(SCENARIOS.items()):
        wanted = {f"run{n}()": asynchronous, f"plain{n}()": synchronous}
        for call, answer in wanted.items():
            if answer != DEADLOCK and (n + len(call)) % 2 == 0:
                (found,) = invoked(tmp_path / "a.wasm", [call])
                assert str(answer).removeprefix("trap: ") in found, name


@needs_cli
def test_random_programs(tmp_path: Path) -> None:
    """Two instances whose threads switch at random answer as they do unfused. ``MELD_CASES`` says how many programs.

    Of more than these few, one in a hundred differs: what waits in several instances comes back in another order.
    """
    choose = random.Random(CASES)
    for seed in range(CASES) if CASES < 10 else choose.sample(range(1 << 20), CASES):
        program = generate(seed, wild=0.005)
        wasm = binary(program.text)
        (tmp_path / "a.wasm").write_bytes(wasm)
        (got,) = Fused(wasm).answers((("run", 0),))
        if got == DEADLOCK:
            continue  # the engine waits for ever
        (want,) = invoked(tmp_path / "a.wasm", ["run(0)"])
        if isinstance(got, int):
            assert str(got & 0xFFFFFFFF) == want, program
        else:
            assert str(got).removeprefix("trap: ") in want, program


def test_many_threads_one_after_another() -> None:
    """A thread that has ended leaves its record, its index and its frames to the next one: memory does not grow."""
    module = Fused(binary(MANY)).module
    store = wasmtime.Store(shared_engine())
    store.set_limits(memory_size=1 << 17, table_elements=20)
    assert wasmtime.Instance(store, module, []).exports(store)["run"](store) == 2


WIDE = """(component
  (core module $l (table (export "t") {table} funcref)) (core instance $l (instantiate $l))
  (core type $s (func (param {argument})))
  (core func $new (canon thread.new-indirect $s (core table $l "t")))
  (core module $m (import "" "new" (func $new (param {index} {argument}) (result i32)))
    (func (export "f") (result i32) (call $new ({index}.const 0) ({argument}.const 0))))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))"""


@pytest.mark.parametrize(("index", "argument"), [("i32", "i64"), ("i64", "i32"), ("i64", "i64")])
def test_of_64_bits(index: str, argument: str, tmp_path: Path) -> None:
    """They are valid, as wasm-tools says, and refused by name."""
    text = WIDE.format(table="i64 1" if index == "i64" else "1", index=index, argument=argument)
    assert not verify(parse(text, "a.wat"))
    wrong = text.replace(f"(param {index} {argument})", "(param i32 i32)").replace(f"{index}.const", "i32.const")
    (problem,) = verify(parse(wrong.replace(f"{argument}.const", "i32.const"), "a.wat"))
    assert f"(func (param {index} {argument}) (result i32)) is given" in problem.message
    (tmp_path / "a.wat").write_text(text)
    with pytest.raises(
        MeldError, match=r"`thread\.new-indirect` of `a` has a 64-bit table, or starts functions of an i64"
    ):
        meld.compile([tmp_path / "a.wat"])


THROWS = """(component
  (core module $lib (table (export "table") 2 funcref)) (core instance $lib (instantiate $lib))
  (core type $start (func (param i32)))
  (core func $new (canon thread.new-indirect $start (core table $lib "table")))
  (core func $switch (canon thread.yield-then-resume))
  (core func $yield (canon thread.yield))
  (core module $m (import "" "table" (table 2 funcref))
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "switch" (func $switch (param i32) (result i32)))
    (import "" "yield" (func $yield (result i32)))
    (tag $e) (global $g (mut i32) (i32.const 0))
    (elem (i32.const 0) func $throws $catches)
    (func $throws (param i32) (throw $e))
    (func $catches (param i32)
      (block $caught (try_table (catch $e $caught) (drop (call $yield)) (throw $e)))
      (global.set $g (i32.const 7)))
    (func (export "run") (param $n i32) (result i32)
      (drop (call $switch (call $new (local.get $n) (i32.const 0))))
      (drop (call $yield))
      (global.get $g)))
  (core instance $m (instantiate $m (with "" (instance (export "table" (table $lib "table"))
    (export "new" (func $new)) (export "switch" (func $switch)) (export "yield" (func $yield))))))
  (func (export "run") async (param "n" u32) (result u32) (canon lift (core func $m "run"))))"""


def test_exceptions() -> None:
    """One that a thread throws traps unless it catches it, also after it was off the stack."""
    fused = Fused(binary(THROWS))
    assert fused.answers((("run", 1),)) == [7]
    assert fused.answers((("run", 0),)) == ["trap: thrown Wasm exception"]


PARKED = """(component
  (core module $m
    (import "" "return" (func $return))
    (import "" "suspend" (func $suspend (result i32)))
    (global $plain (mut i32) (i32.const 0))
    (func (export "arm") (result i32) (call $return) (i32.const 1))
    (func (export "back") (param i32 i32 i32) (result i32)
      (if (global.get $plain) (then unreachable)) (i32.const 1))
    (func (export "plain") (global.set $plain (i32.const 1)) (drop (call $suspend))))
  (core func $return (canon task.return))
  (core func $suspend (canon thread.suspend))
  (core instance $m (instantiate $m (with "" (instance
    (export "return" (func $return)) (export "suspend" (func $suspend))))))
  (func (export "arm") async (canon lift (core func $m "arm") async (callback (core func $m "back"))))
  (func (export "plain") (canon lift (core func $m "plain"))))"""


def test_no_callback_runs_in_a_call_of_synchronous_type() -> None:
    """A callback that is ready needs the one stack of its instance; so nothing can run, and the call traps."""
    assert Fused(binary(PARKED)).answers((("arm",), ("plain",)))[1] == BLOCK


@needs_cli
def test_in_a_component(tmp_path: Path) -> None:
    """The product of ``--emit=component`` runs its threads itself: it needs no engine that has them."""
    (tmp_path / "a.wasm").write_bytes(binary(scenarios()))
    calls = ["run0()", "plain0()", "run5()", "plain7()"]
    product = meld.encode(meld.compile([tmp_path / "a.wasm"], wrap=True))
    (tmp_path / "b.wasm").write_bytes(product)
    assert invoked(tmp_path / "b.wasm", calls) == ["12", "12", "1342", "32"]


@needs_stack_switching
def test_on_stacks_of_their_own(tmp_path: Path) -> None:
    """The same with the proposal of stack switching in place of frames that are saved."""
    (tmp_path / "c.wasm").write_bytes(binary(scenarios()))
    product = meld.compile([tmp_path / "c.wasm"], passes="default,stack-switching")
    (tmp_path / "a.wasm").write_bytes(meld.encode(product))
    for n, (name, (*_, answer, _)) in enumerate(SCENARIOS.items()):
        if isinstance(answer, int) and n % 3 == 0:
            assert on_stacks(tmp_path / "a.wasm", [((f"run{n}",), answer)]) is None, name
