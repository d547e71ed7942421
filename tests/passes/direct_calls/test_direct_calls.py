"""`direct-calls` on programs of random tables: each call answers, or traps, as it does unfused."""

from __future__ import annotations

import os
import random

import pytest
import wasmtime
from both import fused, unfused

from meld.files import decode
from meld.ir.module import Function, Module
from meld.passes import Registry
from meld.passes.base import PassContext
from meld.passes.direct_calls import DirectCalls
from meld.passmanager import plan_default, run

CASES = int(os.environ.get("MELD_CASES", "15"))

TYPES = ("(result i32)", "(param i32) (result i32)", "(param i32 i32) (result i32)")


def segment(r: random.Random, size: int) -> str:
    """A segment of functions and null references, seldom one that is passive or out of bounds."""
    count = r.randint(0, size)
    at = r.randint(0, size - count) + (1 if r.random() < 0.03 else 0)
    if r.random() < 0.4:
        items = " ".join(r.choice(("(ref.null func)", *(f"(ref.func $f{n})" for n in range(3)))) for _ in range(count))
        return f"(elem (table $t) (i32.const {at}) funcref {items})"
    return f"(elem (table $t) (i32.const {at}) func {' '.join(f'$f{r.randrange(3)}' for _ in range(count))})"


def call(r: random.Random, size: int) -> tuple[str, int]:
    """A body of an exported function, and how many parameters it passes on."""
    kind = r.randrange(3)
    index = r.choice(
        (f"(i32.const {r.randint(0, size)})", "(global.get $one)", "(i32.add (local.get $n) (i32.const 0))")
    )
    order = list(range(kind))
    if r.random() < 0.3:
        order.reverse()
    given = " ".join(f"(local.get {n})" for n in order)
    return f"(call_indirect $t (type $t{kind}) {given} {index})", kind


def program(seed: int) -> tuple[str, tuple[tuple[str], ...]]:
    """One core module that calls through a table, by way of functions that may only pass their parameters on."""
    r = random.Random(seed)
    size = r.randint(1, 4)
    parts = [f"(type $t{n} (func {shape}))" for n, shape in enumerate(TYPES)]
    parts += [f"(table $t {size} funcref)", "(global $one i32 (i32.const 1))", "(global $sum (mut i32) (i32.const 3))"]
    for n in range(3):
        add = "".join(f"(global.set $sum (i32.add (global.get $sum) (local.get {p})))" for p in range(n))
        parts.append(f"(func $f{n} (type $t{n}) {add} (i32.mul (global.get $sum) (i32.const {n + 2})))")
    parts += [segment(r, size) for _ in range(r.randint(1, 3))]
    exports = []
    for number in range(6):
        body, count = call(r, size)
        gaps = body.replace("$n", str(count - 1)) if count else body.replace("(local.get $n)", "(i32.const 0)")
        parts.append(f"(func $s{number} (type $t{count}) {gaps})")
        given = " ".join(f"(i32.const {r.randrange(2)})" for _ in range(count))
        parts.append(f'(func (export "e{number}") (result i32) (call $s{number} {given}))')
        exports.append(f'(func (export "e{number}") (result u32) (canon lift (core func $i "e{number}")))')
    if r.random() < 0.15:
        parts.append(f'(func (export "write") (table.set $t (i32.const {r.randrange(size)}) (ref.null func)))')
        exports.append('(func (export "write") (canon lift (core func $i "write")))')
    body = "\n".join(parts)
    text = f"(component (core module $m {body})\n(core instance $i (instantiate $m))\n{' '.join(exports)})"
    names = [f"e{n}" for n in range(6)]
    r.shuffle(names)
    return text, tuple((name,) for name in names)


def test_random_tables() -> None:
    direct = 0
    for seed in range(CASES):
        text, calls = program(seed)
        wasm = bytes(wasmtime.wat2wasm(text))
        for one in calls:  # each in a program of its own: after a trap nothing can be entered
            assert fused(wasm, (one,)) == unfused(wasm, (one,)), f"seed {seed}, {one}\n{text}"
        done, ran = run(plan_default(decode(wasm, "program"), Registry.standard()), decode(wasm, "program"))
        assert isinstance(done, Module)
        direct += next(one for one in ran if one.step.name == "direct-calls").context.stats["direct calls"]
    assert direct > CASES // 4


GROUPED = """(component
  (core module $m
    (rec (type $a (func (result i32))) (type $b (func (result i32))))
    (type $c (func (result i32)))
    (table $t 2 funcref)
    (func $f (type $a) (i32.const 7))
    (elem (table $t) (i32.const 0) func $f $f)
    (func (export "a") (result i32) (call_indirect $t (type $a) (i32.const 0)))
    (func (export "b") (result i32) (call_indirect $t (type $b) (i32.const 0)))
    (func (export "c") (result i32) (call_indirect $t (type $c) (i32.const 1))))
  (core instance $i (instantiate $m))
  (func (export "a") (result u32) (canon lift (core func $i "a")))
  (func (export "b") (result u32) (canon lift (core func $i "b")))
  (func (export "c") (result u32) (canon lift (core func $i "c"))))"""


def test_types_of_equal_shape_in_groups_differ() -> None:
    wasm = bytes(wasmtime.wat2wasm(GROUPED))
    for name in "abc":
        answers = unfused(wasm, ((name,),))
        assert fused(wasm, ((name,),)) == answers
        assert (answers == [7]) == (name == "a")


WRITES = {
    "table.set": "(table.set {} (i32.const 0) (ref.null func))",
    "table.grow": "(drop (table.grow {} (ref.null func) (i32.const 0)))",
    "table.fill": "(table.fill {} (i32.const 0) (ref.null func) (i32.const 0))",
    "table.init": "(table.init {} $e (i32.const 0) (i32.const 0) (i32.const 0))",
    "table.copy to": "(table.copy {} $u (i32.const 0) (i32.const 0) (i32.const 0))",
    "table.copy from": "(table.copy $u {} (i32.const 0) (i32.const 0) (i32.const 0))",
}


@pytest.mark.parametrize("name", WRITES)
def test_writes_in_bodies_that_are_still_encoded(name: str) -> None:
    """Code that writes to one of 200 tables: calls through it stay, calls through its neighbours become direct."""
    tables = "\n".join(f"(table $t{n} 1 funcref) (elem (table $t{n}) (i32.const 0) func $f)" for n in range(198))
    for written in (0, 38, 150):
        text = f"""(module (table $u 1 1 funcref) {tables} (elem $e func $f)
            (func $f)
            (func (export "write") {WRITES[name].format(f"$t{written}")})
            (func (export "call") (call_indirect $t{written} (i32.const 0)) (call_indirect $t5 (i32.const 0))))"""
        module = decode(bytes(wasmtime.wat2wasm(text)), "program")
        assert isinstance(module, Module)
        DirectCalls().run(module, PassContext("direct-calls"))
        call = next(e.item for e in module.exports if e.name == "call")
        assert isinstance(call, Function)
        ops = [i.op for i in call.view().instructions]
        assert (ops.count("call_indirect"), ops.count("call")) == (1, 1)
