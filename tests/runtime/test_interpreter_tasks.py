"""The interpreter on asynchronous programs: fixtures after `merge` and from text, entries, traps, frames, the trace."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import meld
from meld.driver import Options, build
from meld.ir.module import Module
from meld.passes import Registry
from meld.passes.base import Program
from meld.passmanager import Observer, Ran, plan_default, run
from meld.runtime.instantiate import Running, Trapped, instantiate
from meld.runtime.typed import call
from meld.runtime.wave import split_call
from meld.text.reading.program import parse_module

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures"


def merged(*paths: Path | str) -> Module:
    program = build([str(path) for path in paths], Options(stop_after="merge")).program
    assert isinstance(program, Module)
    return program


def typed(running: Running, text: str) -> Any:
    found = split_call(text)
    assert found is not None
    return call(running, found)


def cases() -> list[Any]:
    """Asynchronous fixtures that are there, from parts and composed."""
    if not FIXTURES.is_dir():
        return [pytest.param(None, None, marks=pytest.mark.skip(reason="needs ../shared/fixtures"))]
    found = []
    for entry in json.loads((FIXTURES / "manifest.json").read_text()):
        inputs = [entry["inputs"]] if entry["linkable_by_name"] else []
        for files in [*inputs, [entry["composed"]]]:
            paths = [FIXTURES / name for name in files if name]
            if entry["async"] and paths and all(path.exists() for path in paths):
                found.append(pytest.param(paths, entry["expected"], id=f"{entry['case']}-{len(paths)}"))
    paths = [FIXTURES / "stream-u8" / name for name in ("consumer.wasm", "producer.wasm")]
    return [*found, pytest.param(paths, {"run()": "4"}, id="stream-u8")]


@pytest.mark.parametrize(("paths", "expected"), cases())
def test_fixtures(paths: list[Path], expected: dict[str, str]) -> None:
    module = merged(*paths)
    text = meld.print_text(module)
    reloaded = parse_module(text, "merged")
    for invoked, answer in expected.items():
        assert typed(instantiate(module, lenient=True), invoked) == answer
        assert typed(instantiate(reloaded, lenient=True), invoked) == answer
    assert meld.print_text(module) == text  # what the engine got was a copy


@pytest.mark.parametrize(("paths", "expected"), cases())
def test_fixtures_at_every_stage(paths: list[Path], expected: dict[str, str]) -> None:
    """After each pass, from its text: what is left is interpreted, whatever is in the module already."""
    program_ = build([str(path) for path in paths], Options(stop_after="link")).program
    invoked, answer = next(iter(expected.items()))
    passed: list[str] = []
    expected_stages = {"emit-tasks", "wire-entries"}
    # QuickJS is 24 MB of text, half a minute a stage
    every = sum(path.stat().st_size for path in paths) < 200_000 or "MELD_LARGE" in os.environ
    if every:
        expected_stages |= {"merge", "handle-tables", "adapter-wiring"}

    class Runs(Observer):
        def after(self, ran: Ran, program: Program) -> None:
            if isinstance(program, Module) and (every or ran.step.name in expected_stages):
                reloaded = parse_module(meld.print_text(program), ran.step.name)
                assert typed(instantiate(reloaded, lenient=True), invoked) == answer, ran.step.name
                passed.append(ran.step.name)

    run(plan_default(program_, Registry.standard()), program_, observers=[Runs()])
    assert expected_stages <= set(passed)


def program(callee: str, lifted: str, caller: str, *, entry: str = "async", sync: str = "async") -> str:
    """Two instances: `$callee` exports functions, `$caller` calls them and exports `run`."""
    return f"""(component
      (component $callee
        (core module $memory (memory (export "memory") 1))
        (core instance $memory (instantiate $memory))
        (core func $return (canon task.return (result u32)))
        (core func $yield (canon thread.yield))
        (core func $new (canon waitable-set.new))
        (core func $wait (canon waitable-set.wait (memory $memory "memory")))
        (core func $join (canon waitable.join))
        (type $future (future))
        (core func $future.new (canon future.new $future))
        (core func $future.read (canon future.read $future async))
        (core func $future.write (canon future.write $future async))
        (core module $m
          (import "" "return" (func $return (param i32)))
          (import "" "yield" (func $yield (result i32)))
          (import "" "new" (func $new (result i32)))
          (import "" "wait" (func $wait (param i32 i32) (result i32)))
          (import "" "join" (func $join (param i32 i32)))
          (import "" "future.new" (func $future.new (result i64)))
          (import "" "future.read" (func $future.read (param i32 i32) (result i32)))
          (import "" "future.write" (func $future.write (param i32 i32) (result i32)))
          {callee})
        (core instance $m (instantiate $m (with "" (instance
          (export "return" (func $return)) (export "yield" (func $yield)) (export "new" (func $new))
          (export "wait" (func $wait)) (export "join" (func $join)) (export "future.new" (func $future.new))
          (export "future.read" (func $future.read)) (export "future.write" (func $future.write))))))
        {lifted})
      (instance $callee (instantiate $callee))
      (component $caller
        (import "callee" (instance $callee
          (export "f" (func {sync} (param "x" u32) (result u32)))))
        (core module $memory (memory (export "memory") 1))
        (core instance $memory (instantiate $memory))
        (core func $f (canon lower (func $callee "f") async (memory $memory "memory")))
        (core func $g (canon lower (func $callee "f")))
        (core func $new (canon waitable-set.new))
        (core func $wait (canon waitable-set.wait (memory $memory "memory")))
        (core func $join (canon waitable.join))
        (core func $drop (canon subtask.drop))
        (core module $m
          (import "" "memory" (memory 1))
          (import "" "f" (func $f (param i32 i32) (result i32)))
          (import "" "g" (func $g (param i32) (result i32)))
          (import "" "new" (func $new (result i32)))
          (import "" "wait" (func $wait (param i32 i32) (result i32)))
          (import "" "join" (func $join (param i32 i32)))
          (import "" "drop" (func $drop (param i32)))
          {caller})
        (core instance $m (instantiate $m (with "" (instance
          (export "memory" (memory $memory "memory")) (export "f" (func $f)) (export "g" (func $g))
          (export "new" (func $new)) (export "wait" (func $wait)) (export "join" (func $join))
          (export "drop" (func $drop))))))
        (func (export "run") {entry} (param "x" u32) (result u32) (canon lift (core func $m "run"))))
      (instance $caller (instantiate $caller (with "callee" (instance $callee))))
      (export "run" (func $caller "run"))
      (export "f" (func $callee "f")))"""


LIFTED = '(func (export "f") async (param "x" u32) (result u32) (canon lift (core func $m "f") async))'
CALLBACK = (
    '(func (export "f") async (param "x" u32) (result u32) '
    '(canon lift (core func $m "f") async (callback (core func $m "cb"))))'
)
CALL = '(func (export "run") (param i32) (result i32) (call $g (local.get 0)))'

YIELDING = """
  (global $x (mut i32) (i32.const 0))
  (func (export "f") (param i32) (result i32) (global.set $x (local.get 0)) (i32.const 1))
  (func (export "cb") (param i32 i32 i32) (result i32)
    (call $return (i32.add (global.get $x) (i32.const 1)))
    (i32.const 0))"""


@pytest.fixture
def running(tmp_path: Path) -> Any:
    def made(text: str, **options: Any) -> Running:
        path = tmp_path / "program.wat"
        path.write_text(text)
        return instantiate(merged(path), **options)

    return made


def test_an_entry_gives_what_its_task_returns(running: Any) -> None:
    """The core function gives a code for the scheduler; who calls it by its name gets the result."""
    program_ = running(program(YIELDING, CALLBACK, CALL))
    assert program_.call("f", 41) == 42
    assert program_.call("run", 6) == 7


LEAVING = """
  (global $set (mut i32) (i32.const 0))
  (global $writable (mut i32) (i32.const 0))
  (func (export "f") (param $x i32) (result i32)
    (local $ends i64)
    (call $return (i32.add (local.get $x) (i32.const 1)))
    (if (i32.eq (local.get $x) (i32.const 1)) (then
      (local.set $ends (call $future.new))
      (global.set $writable (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (global.set $set (call $new))
      (drop (call $future.read (i32.wrap_i64 (local.get $ends)) (i32.const 0)))
      (call $join (i32.wrap_i64 (local.get $ends)) (global.get $set))
      (return (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))))
    (if (i32.eq (local.get $x) (i32.const 2)) (then (drop (call $future.write (global.get $writable) (i32.const 0)))))
    (i32.const 0))
  (func (export "cb") (param i32 i32 i32) (result i32) unreachable)"""
"""The first call waits after it has returned; the second one writes what it waits for."""


def test_what_is_left_goes_on_in_the_next_call(running: Any) -> None:
    program_ = running(program(LEAVING, CALLBACK, CALL))
    assert [program_.call("f", x) for x in (1, 2)] == [2, 3]
    with pytest.raises(Trapped, match="unreachable"):
        program_.call("f", 3)
    with pytest.raises(Trapped, match="cannot enter component instance"):
        program_.call("f", 3)


OUT_OF_ORDER = """
  (func $later (param $x i32) (param $rounds i32) (result i32)
    (local $kept i64)
    (local.set $kept (i64.mul (i64.extend_i32_u (local.get $x)) (i64.const 1000)))
    (loop $again
      (drop (call $yield))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $again (local.get $rounds)))
    (i32.wrap_i64 (local.get $kept)))
  (func (export "f") (param $x i32)
    (call $return (i32.add (i32.const 7) (call $later (local.get $x) (local.get $x)))))"""
"""Blocks so often as it is told, with frames that hold something: the later of two calls may be over first."""

TWO = """
  (func $await (param $subtask i32)
    (local $set i32)
    (local.set $set (call $new))
    (call $join (local.get $subtask) (local.get $set))
    (loop $again
      (drop (call $wait (local.get $set) (i32.const 0)))
      (br_if $again (i32.ne (i32.load (i32.const 4)) (i32.const 2))))
    (call $drop (local.get $subtask)))
  (func (export "run") (param i32) (result i32)
    (local $a i32) (local $b i32)
    (local.set $a (i32.shr_u (call $f (local.get 0) (i32.const 16)) (i32.const 4)))
    (local.set $b (i32.shr_u (call $f (i32.const 1) (i32.const 20)) (i32.const 4)))
    (call $await (local.get $b))
    (call $await (local.get $a))
    (i32.add (i32.load (i32.const 16)) (i32.load (i32.const 20))))"""


@pytest.mark.parametrize("x", [1, 2, 5])
def test_frames_go_on_in_any_order(running: Any, x: int) -> None:
    assert running(program(OUT_OF_ORDER, LIFTED, TWO)).call("run", x) == 1000 * x + 7 + 1000 + 7


STUCK = '(func (export "f") (param i32) (drop (call $wait (call $new) (i32.const 0))))'


def test_a_deadlock_is_a_trap(running: Any) -> None:
    program_ = running(program(STUCK, LIFTED, CALL))
    with pytest.raises(Trapped, match="deadlock detected: event loop cannot make further progress"):
        program_.call("run", 1)
    with pytest.raises(Trapped, match="cannot enter component instance"):
        program_.call("run", 1)


def test_the_trace(running: Any) -> None:
    lines: list[str] = []
    running(program(OUT_OF_ORDER, LIFTED, TWO), trace=lines.append).call("run", 2)
    assert lines == [
        "call   host → caller  run  (sync)",
        "call   caller → callee  callee/f  (async)",
        "task   caller  callee/f  started, subtask 1",
        "call   caller → callee  callee/f  (async)",
        "task   caller  callee/f  started, subtask 2",
        "end    callee  callee/f  returned",
        "event  caller  SUBTASK 2: returned  → run (waitable-set.wait)",
        "end    callee  callee/f  returned",
        "event  caller  SUBTASK 1: returned  → run (waitable-set.wait)",
        "end    caller  run  returned",
    ]
