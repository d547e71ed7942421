"""Several tasks, each with frames of its own, suspended and resumed in any order."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import wasmtime
from suspended import REWINDING, RUNNING, UNWINDING, prepare, read

from meld.binary.writer import write_module
from meld.runtime.instantiate import engine

TEXT = """(module
  (import "host" "ask" (func $ask (param i32) (result i32)))
  (import "host" "thing" (func $thing (param i32) (result externref)))
  (import "host" "see" (func $see (param externref) (result i32)))
  (func $inner (param $n i32) (param $e externref) (result i32) (local $mine externref)
    (local.set $mine (call $thing (local.get $n)))
    (if (i32.eqz (local.get $n)) (then (return (call $ask (i32.const 0)))))
    (i32.add
      (call $inner (i32.sub (local.get $n) (i32.const 1)) (local.get $mine))
      (i32.add (call $see (local.get $e)) (i32.mul (call $ask (local.get $n)) (call $see (local.get $mine))))))
  (func (export "run") (param $n i32) (result i32)
    (call $inner (local.get $n) (call $thing (i32.const 1000)))))"""

ROOM = 4096


@dataclass
class Task:
    number: int
    argument: int
    top: int
    limit: int
    pending: int = 0
    result: Any = None


def test_tasks_in_any_order() -> None:
    module, done = prepare(read(TEXT))
    assert sorted(f.points for f in done.frames.values()) == [1, 3]
    chance = random.Random(5)
    store = wasmtime.Store(engine())
    compiled = wasmtime.Module(engine(), write_module(module))
    current: Task
    exports: Any = None

    def of(name: str) -> wasmtime.Global:
        found = exports[f"resumable {name}"]
        assert isinstance(found, wasmtime.Global)
        return found

    def ask(question: int) -> int:
        if of("state").value(store) == REWINDING:
            of("state").set_value(store, RUNNING)
            return current.pending
        current.pending = (question + 1) * (current.number + 3)
        of("state").set_value(store, UNWINDING)
        return 0

    given = []
    for wanted in compiled.imports:
        call = {"ask": ask, "thing": lambda n: ("thing", n), "see": lambda thing: thing[1] % 7}[wanted.name or ""]
        assert isinstance(wanted.type, wasmtime.FuncType)
        given.append(wasmtime.Func(store, wanted.type, call))
    exports = wasmtime.Instance(store, compiled, given).exports(store)
    exports["resumable frames"].grow(store, 8)
    tasks = [Task(n, 1 + n % 9, n * ROOM + 8, (n + 1) * ROOM) for n in range(40)]
    pending, switches = list(tasks), 0
    while pending:
        current = chance.choice(pending)
        of("top").set_value(store, current.top)
        of("limit").set_value(store, current.limit)
        resumed = current.top != current.number * ROOM + 8
        of("state").set_value(store, REWINDING if resumed else RUNNING)
        result = exports["run"](store, 0 if resumed else current.argument)
        current.top = of("top").value(store)
        if of("state").value(store) == UNWINDING:
            of("state").set_value(store, RUNNING)
            switches += 1
        else:
            current.result = result
            pending.remove(current)
    assert [task.result for task in tasks] == [expected(task) for task in tasks]
    assert switches == sum(task.argument + 1 for task in tasks)
    assert of("kept.extern.used").value(store) == 1


def expected(task: Task) -> int:
    """What the program calculates."""

    def inner(n: int, outer: int) -> int:
        def asked(question: int) -> int:
            return (question + 1) * (task.number + 3)

        return asked(0) if n == 0 else inner(n - 1, n) + outer % 7 + asked(n) * (n % 7)

    return inner(task.argument, 1000)
