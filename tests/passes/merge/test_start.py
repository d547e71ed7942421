"""Instantiation: segments, start functions and traps happen fused as unfused, whoever uses the instance."""

from __future__ import annotations

import os
import random

import pytest
import wasmtime
from both import fused, unfused

import meld
from meld.files import decode
from meld.ir.module import Module
from meld.passes import Registry
from meld.passmanager import plan_default, run

CASES = int(os.environ.get("MELD_CASES", "60"))


def segment(r: random.Random, pages: int) -> str:
    """An active data segment, seldom out of bounds."""
    data = "".join(r.choice("abcdefgh") for _ in range(r.randint(0, 6)))
    limit = pages << 16
    at = r.choice((0, 2, 4, 8, 16, limit - len(data), limit - len(data) + (1 if r.random() < 0.1 else 0)))
    return f'(data (i32.const {at}) "{data}")'


def instance(r: random.Random, number: int) -> str:
    """A core module and its instance: a memory and a table, its own or those of an earlier one, and start work."""
    pages = r.randint(1, 2)
    owner = r.randrange(number) if number and r.random() < 0.5 else None
    given, lines = "", []
    if owner is None:
        lines += [f'(memory (export "memory") {pages})', '(table (export "table") 4 funcref)']
    else:
        lines += ['(import "from" "memory" (memory 1))', '(import "from" "table" (table 4 funcref))']
        given = f'(with "from" (instance $i{owner}))'
        lines += ['(export "memory" (memory 0))', '(export "table" (table 0))']
        pages = 1
    lines += [segment(r, pages) for _ in range(r.randint(0, 3))]
    lines.append(f"(func $answer (result i32) (i32.const {10**number}))")
    if r.random() < 0.5:
        at = 4 if r.random() < 0.05 else r.randrange(4)
        lines.append(f"(elem (i32.const {at}) func $answer)")
    if r.random() < 0.5:
        work = f"(i32.store8 (i32.const {r.choice((0, 3, 8))}) (i32.load8_u (i32.const {r.choice((0, 2, 65535))})))"
        if r.random() < 0.3:
            full = f"(i32.eqz (ref.is_null (table.get (i32.const {r.randrange(4)}))))"
            work += f"(if {full} (then (i32.store8 (i32.const 1) (i32.const {number + 40}))))"
        lines.append(f"(func $start {work}) (start $start)")
    # a sum over the memory, and over what the table holds
    lines.append(
        """(func (export "sum") (result i32) (local $i i32) (local $sum i32)
          (loop $next
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (i32.load8_u (local.get $i))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 65536))))
          (local.set $i (i32.const 0))
          (loop $next
            (if (i32.eqz (ref.is_null (table.get (local.get $i))))
              (then (local.set $sum (i32.add (local.get $sum) (call_indirect (result i32) (local.get $i))))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 4))))
          (i32.and (local.get $sum) (i32.const 0x7fffffff)))"""
    )
    body = "\n".join(sorted(lines, key=lambda line: not line.startswith("(import")))
    return f"(core module $m{number} {body})\n(core instance $i{number} (instantiate $m{number} {given}))"


def program(seed: int) -> tuple[str, list[str]]:
    """A composition, and the names of its exports. Some instances are used by nobody."""
    r = random.Random(seed)
    count = r.randint(1, 5)
    parts = [instance(r, number) for number in range(count)]
    shown = [number for number in range(count) if r.random() < 0.6] or [count - 1]
    parts += [f'(func (export "f{n}") (result u32) (canon lift (core func $i{n} "sum")))' for n in shown]
    return f"(component\n{chr(10).join(parts)})", [f"f{n}" for n in shown]


@pytest.mark.parametrize("block", range(4))
def test_instantiation(block: int) -> None:
    trapped = 0
    for seed in range(block * CASES // 4, (block + 1) * CASES // 4):
        text, names = program(seed)
        wasm = bytes(wasmtime.wat2wasm(text))
        calls = tuple((name,) for name in names)
        answers = unfused(wasm, calls)
        assert fused(wasm, calls) == answers, f"seed {seed}\n{text}"
        trapped += len(answers) == 1 and str(answers[0]).startswith("trap")
    assert trapped < CASES // 4


def compiled(text: str) -> Module:
    program_ = decode(bytes(wasmtime.wat2wasm(text)), "program")
    done, _ = run(plan_default(program_, Registry.standard()), program_)
    assert isinstance(done, Module)
    return done


TWO = """(component
  (core module $early (func $start) (start $start) (func (export "g") (result i32) (i32.const 1)))
  (core instance $early (instantiate $early))
  (core module $late (import "" "g" (func $g (result i32))) {definition}
    (func (export "f") (result i32) (i32.add (call $g) (i32.load8_u (i32.const 3)))))
  (core instance $late (instantiate $late (with "" (instance (export "g" (func $early "g"))))))
  (func (export "f") (result u32) (canon lift (core func $late "f"))))"""


def test_data_that_nobody_has_reached_stay_active() -> None:
    module = compiled(TWO.format(definition='(memory 1) (data (i32.const 0) "abcd") (data (i32.const 8) "e")'))
    assert [data.memory is not None for data in module.datas] == [True, True]


@pytest.mark.parametrize(
    "definition",
    [
        '(memory 1) (data (i32.const 65533) "abcd") (data (i32.const 0) "abcd")',
        '(memory 1) (global $g (mut i32) (i32.const 8)) (func $s) (start $s) (data (i32.const 65536) "a")',
    ],
)
def test_data_that_trap_are_written_in_order(definition: str) -> None:
    text = TWO.format(definition=definition)
    assert all(data.memory is None for data in compiled(text).datas)
    wasm = bytes(wasmtime.wat2wasm(text))
    answers = unfused(wasm, (("f",),))
    assert fused(wasm, (("f",),)) == answers and "out of bounds" in answers[0]


@pytest.mark.parametrize(
    "definition",
    [
        '(memory 1 1) (data (i32.const 65533) "abcd")',
        '(memory 0) (data (i32.const 1) "")',
        "(table 1 funcref) (func $f) (elem (i32.const 1) func $f)",
        "(table 0 funcref) (elem (i32.const 1) funcref)",
        '(global $g i32 (i32.const -1)) (memory 1) (data (global.get $g) "a")',
        '(memory i64 1) (data (i64.const 0xffffffffffffffff) "ab")',
    ],
)
@pytest.mark.parametrize("used", [True, False])
def test_segments_out_of_bounds_trap(definition: str, used: bool) -> None:
    """Nothing but the segment uses the memory or the table; with `used` unset, nothing uses the instance."""
    text = f"""(component
      (core module $bad {definition} (func (export "f") (result i32) (i32.const 3)))
      (core module $good (func (export "f") (result i32) (i32.const 3)))
      (core instance $bad (instantiate $bad))
      (core instance $good (instantiate $good))
      (func (export "f") (result u32) (canon lift (core func ${"bad" if used else "good"} "f"))))"""
    wasm = bytes(wasmtime.wat2wasm(text))
    answers = unfused(wasm, (("f",),))
    assert fused(wasm, (("f",),)) == answers
    assert "out of bounds" in answers[0]


FEATURES = """(component
  (core module $main (memory (export "memory") 2)
    (global (export "base") i32 (i32.const 65536))
    (global (export "float") f32 (f32.const 1.5))
    (func $f (export "seven") (result i32) (i32.const 7))
    (global (export "function") funcref (ref.func $f)))
  (core instance $main (instantiate $main))
  (core module $lib
    (import "env" "memory" (memory 1)) (import "env" "base" (global $b i32)) (import "env" "float" (global $f f32))
    (import "env" "function" (global $function funcref))
    (global $p (mut i32) (global.get $b)) (global $again i32 (global.get $b)) (global $q f32 (global.get $f))
    (global (export "again") i32 (global.get $b))
    (table 2 funcref) (elem (i32.const 1) funcref (item (global.get $function)))
    (data (global.get $b) "\\07\\00\\00\\00")
    (func (export "f") (result i32)
      (i32.add (i32.load (global.get $p))
        (i32.mul (call_indirect (result i32) (i32.const 1)) (i32.trunc_f32_s (global.get $q))))))
  (core instance $lib (instantiate $lib (with "env" (instance $main))))
  (core module $third (import "lib" "again" (global $b i32)) (import "main" "memory" (memory 1))
    (data (global.get $b) "\\08"))
  (core instance (instantiate $third (with "lib" (instance $lib)) (with "main" (instance $main))))
  (func (export "f") (result u32) (canon lift (core func $lib "f"))))"""


def test_constant_expressions_need_no_more_than_those_of_the_inputs() -> None:
    module = compiled(FEATURES)
    wasmtime.Module(engine_of_wasm2(), meld.encode(module))
    wasm = bytes(wasmtime.wat2wasm(FEATURES))
    assert fused(wasm, (("f",),)) == unfused(wasm, (("f",),)) == [15]


def engine_of_wasm2() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_gc = config.wasm_function_references = False
    config.wasm_extended_const = False
    config.wasm_multi_memory = True
    return wasmtime.Engine(config)
