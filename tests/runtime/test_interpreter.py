"""Boundaries interpreted in Python: after `merge` a program answers as it does unfused, and as it does compiled."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import wasmtime
from adapter_pairs import Driver, Form, Fused, Image, Outcome, Pair, Unfused, drive, engine, images
from adapter_values import ENCODINGS, accepted, forms, func_types, types, values
from cases import trying
from hypothesis import assume, given
from hypothesis import strategies as st

import meld
from meld.files import decode
from meld.ir import component as c
from meld.ir.types import I32, I64
from meld.passes import Registry
from meld.passes.base import Program
from meld.passmanager import Observer, Ran, plan_default, run
from meld.runtime.instantiate import Trapped, instantiate
from meld.text.reading.program import parse_module
from tests.passes.adapter_wiring import test_adapter_wiring as wiring

wide_forms = st.builds(Form, st.sampled_from(ENCODINGS), st.sampled_from([I32, I64]))
QUIET = 0x400000
"""The bit of a 32-bit NaN that Python's floats always set: signalling ones do not come through a call unchanged."""


@cache
def shared_engine() -> wasmtime.Engine:
    return engine()


def stages(program: Program, *names: str) -> list[meld.Module]:
    """The program after each of these passes, and at the end; every one reloaded from its text."""
    registry = Registry.standard()
    taken: list[meld.Module] = []

    class Stages(Observer):
        def after(self, ran: Ran, program: Program) -> None:
            if ran.step.name in names:
                taken.append(parse_module(meld.print_text(program), ran.step.name))

    final, _ = run(plan_default(program, registry), program, observers=[Stages()])
    assert isinstance(final, meld.Module) and len(taken) == len(names)
    return [*taken, final]


class Interpreted:
    """A pair as a module whose boundaries are pending."""

    def __init__(self, module: meld.Module) -> None:
        self.module = module

    def run(self, caller: Image, callee: Image, how: Driver | None = None) -> Outcome:
        running = instantiate(self.module)

        def f(name: str) -> Any:
            def call(*args: Any) -> Any:
                try:
                    return running.call(name, *args)
                except Trapped as e:
                    raise wasmtime.WasmtimeError(str(e)) from e

            return call

        return (how or drive)(f, caller, callee)


def quiet(t: Any, value: Any) -> Any:
    """A value with its 32-bit NaNs made quiet."""
    match t, value:
        case c.Prim.F32, int():
            return value | QUIET if value & 0x7F800000 == 0x7F800000 and value & 0x7FFFFF else value
        case (c.ListType(element), list()):
            return [quiet(element, x) for x in value]
        case (c.MapType(key, item), list()):
            return [(quiet(key, k), quiet(item, v)) for k, v in value]
        case (c.Record(fields), tuple()):
            return tuple(quiet(x, v) for (_, x), v in zip(fields, value, strict=True))
        case (c.Tuple(elements), tuple()):
            return tuple(quiet(x, v) for x, v in zip(elements, value, strict=True))
        case (c.Variant(cases), (int(case), payload)) if case < len(cases):
            return (case, quiet(cases[case][1], payload))
        case (c.Option(element), (int(case), payload)):
            return (case, quiet(element, payload))
        case (c.Result(ok, error), (int(case), payload)):
            return (case, quiet(error if case else ok, payload))
    return value


def draw_images(data: st.DataObject, pair: Pair, wild: bool) -> tuple[Image, Image]:
    """Both memories for a call with arguments and a result that are drawn."""
    arguments = tuple(quiet(t, data.draw(values(t, pair.caller, wild))) for _, t in pair.type.params)
    t = pair.type.result
    return images(pair, arguments, None if t is None else quiet(t, data.draw(values(t, pair.callee, wild))))


def try_pair(data: st.DataObject, pair: Pair, calls: int = 4) -> None:
    """The pair unfused, with its boundary interpreted, and compiled: all do the same."""
    unfused = Unfused(shared_engine(), pair)
    merged, final = stages(decode(bytes(wasmtime.wat2wasm(pair.component(fixed_lists=True))), "pair"), "merge")
    interpreted, fused = Interpreted(merged), Fused(shared_engine(), meld.encode(final))
    for number in range(calls):
        memories = draw_images(data, pair, number > 0)
        want, got = unfused.run(*memories), interpreted.run(*memories)
        assert got == want, f"{unfused.text}\n{want.detail}\n{got.detail}"
        assert fused.run(*memories) == want


@trying(0.1, 4)
@given(func_types(types), forms, forms, st.booleans(), st.data())
def test_values_of_any_type(t: c.CompFuncType, up: Form, down: Form, post: bool, data: st.DataObject) -> None:
    assume(accepted(t))
    try_pair(data, Pair(t, up, down, post))


@pytest.mark.parametrize("down", ENCODINGS)
@pytest.mark.parametrize("up", ENCODINGS)
@trying(0.03, 8)
@given(st.data())
def test_strings(up: str, down: str, data: st.DataObject) -> None:
    try_pair(data, Pair(c.CompFuncType((("a", c.Prim.STRING),), c.Prim.STRING), Form(up), Form(down)), 8)


@trying(0.1, 4)
@given(func_types(types), wide_forms, wide_forms, st.data())
def test_wide_addresses(t: c.CompFuncType, up: Form, down: Form, data: st.DataObject) -> None:
    """64-bit memories on either side. The engine's components have them behind a switch; so against the adapters."""
    assume(accepted(t) and I64 in (up.pointer, down.pointer))
    pair = Pair(t, up, down)
    merged, final = stages(decode(bytes(wasmtime.wat2wasm(pair.component(fixed_lists=True))), "pair"), "merge")
    interpreted, fused = Interpreted(merged), Fused(shared_engine(), meld.encode(final))
    for number in range(4):
        memories = draw_images(data, pair, number > 0)
        want, got = fused.run(*memories), interpreted.run(*memories)
        assert got == want, f"{pair.component()}\n{want.detail}\n{got.detail}"


# --- the rules of instances ------------------------------------------------------------------------------------------


def answers(text: str, name: str = "run") -> Any:
    """What an export returns with boundaries interpreted; "trap" if it traps."""
    merged, _ = stages(decode(bytes(wasmtime.wat2wasm(text)), "composition"), "merge")
    assert any(item.imported and item.imported.module == "meld:boundary" for item in merged.imports)
    try:
        return instantiate(merged).call(name)
    except Trapped:
        return wiring.TRAP


@pytest.mark.parametrize(("type_", "got"), [("u8", 0xFF), ("u32", 0x1FF)])
def test_what_was_lowered_is_lifted_again(type_: str, got: int) -> None:
    text = wiring.CHAIN.replace("{type}", type_)
    assert wiring.unfused(text, ("run",)) == [got] == [answers(text)]


@pytest.mark.parametrize(
    ("realloc", "post", "got"),
    [("", "", 2 * (3 + 65)), ("(drop (call $far))", "", wiring.TRAP), ("", "(drop (call $far))", 2 * (3 + 65))],
)
def test_no_instance_calls_out_while_it_is_prepared(realloc: str, post: str, got: Any) -> None:
    text = wiring.LEAVING.replace("{in-realloc}", realloc).replace("{in-post}", post)
    assert wiring.unfused(text, ("run",)) == [got] == [answers(text)]


def test_an_instance_that_lowers_its_own_lift_traps() -> None:
    text = """(component
      (core module $p (func (export "f") (result i32) i32.const 9))
      (core instance $p (instantiate $p))
      (func $f (result u32) (canon lift (core func $p "f")))
      (core func $f (canon lower (func $f)))
      (core module $m (import "" "f" (func $f (result i32))) (func (export "run") (result i32) call $f))
      (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
      (func (export "run") (result u32) (canon lift (core func $i "run"))))"""
    assert wiring.unfused(text, ("run",)) == [wiring.TRAP] == [answers(text)]


def test_no_exception_comes_out_of_a_component() -> None:
    text = wiring.pair(
        '(tag $t) (func (export "f") (result i32) (throw $t))',
        """(import "p" "f" (func $f (result i32)))
        (func (export "run") (result i32)
          (block $caught (try_table (catch_all $caught) (return (call $f)))) (i32.const 77))""",
        "f: (result u8)",
    )
    assert wiring.unfused(text, ("run",)) == [wiring.TRAP] == [answers(text)]


def test_calls_from_the_start_function() -> None:
    """The instance is not there yet; memory and functions are reached by way of the caller."""
    text = wiring.pair(
        '(import "own" "memory" (memory 1)) (func (export "n") (param i32 i32) (result i32) local.get 1)',
        """(import "p" "n" (func $n (param i32 i32) (result i32))) (global $g (mut i32) (i32.const 0))
        (func $start (global.set $g (call $n (i32.const 8) (i32.const 5)))) (start $start)
        (func (export "run") (result i32) (global.get $g))""",
        'n: (param "a" string) (result u32)',
        lift="(memory $memory) (realloc $realloc)",
        lower="(memory $memory)",
    )
    assert wiring.unfused(text, ("run",)) == [5] == [answers(text)]


def chain(length: int) -> str:
    """Components that each call the one before and add 1."""
    calls = "".join(
        f'(instance $i{i} (instantiate $next (with "f" (func $i{i - 1} "f"))))' for i in range(1, length + 1)
    )
    return f"""(component
      (component $first
        (core module $m (func (export "f") (param i32) (result i32) local.get 0))
        (core instance $i (instantiate $m))
        (func (export "f") (param "x" u8) (result u8) (canon lift (core func $i "f"))))
      (instance $i0 (instantiate $first))
      (component $next
        (import "f" (func $f (param "x" u8) (result u8)))
        (core func $f (canon lower (func $f)))
        (core module $m (import "" "f" (func $f (param i32) (result i32)))
          (func (export "f") (param i32) (result i32) (i32.add (i32.const 1) (call $f (local.get 0)))))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
        (func (export "f") (param "x" u8) (result u8) (canon lift (core func $i "f"))))
      {calls}
      (component $run
        (import "f" (func $f (param "x" u8) (result u8)))
        (core func $f (canon lower (func $f)))
        (core module $m (import "" "f" (func $f (param i32) (result i32)))
          (func (export "run") (result i32) (call $f (i32.const 7))))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
        (func (export "run") (result u8) (canon lift (core func $i "run"))))
      (instance $run (instantiate $run (with "f" (func $i{length} "f"))))
      (export "run" (func $run "run")))"""


@pytest.mark.parametrize(("length", "got"), [(60, 67), (1000, wiring.TRAP)])
def test_calls_within_calls(length: int, got: Any) -> None:
    """Python's stack bounds them; what is too deep is a trap like any other."""
    assert answers(chain(length)) == got


# --- resources -------------------------------------------------------------------------------------------------------

RESOURCES = """(component
  (component $maker
    (core module $counter (global (export "live") (mut i32) (i32.const 0)))
    (core instance $counter (instantiate $counter))
    (core module $d (import "" "live" (global $live (mut i32)))
      (func (export "dtor") (param i32) (global.set $live (i32.sub (global.get $live) (local.get 0)))))
    (core instance $d (instantiate $d (with "" (instance $counter))))
    (type $r (resource (rep i32) (dtor (core func $d "dtor"))))
    (export $re "r" (type $r))
    (core func $new (canon resource.new $r))
    (core func $rep (canon resource.rep $r))
    (core func $drop (canon resource.drop $r))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (import "c" "live" (global $live (mut i32)))
      (func (export "make") (param i32) (result i32)
        (global.set $live (i32.add (global.get $live) (local.get 0)))
        (call $new (local.get 0)))
      (func (export "look") (param i32) (result i32) local.get 0)
      (func (export "take") (param i32) (result i32) (call $rep (local.get 0)) (call $drop (local.get 0)))
      (func (export "live") (result i32) (global.get $live)))
    (core instance $i (instantiate $m (with "c" (instance $counter)) (with "" (instance
      (export "new" (func $new)) (export "drop" (func $drop)) (export "rep" (func $rep))))))
    (func (export "make") (param "n" u32) (result (own $re)) (canon lift (core func $i "make")))
    (func (export "look") (param "r" (borrow $re)) (result u32) (canon lift (core func $i "look")))
    (func (export "take") (param "r" (own $re)) (result u32) (canon lift (core func $i "take")))
    (func (export "live") (result u32) (canon lift (core func $i "live"))))
  (instance $maker (instantiate $maker))
  (component $middle
    (import "r" (type $r (sub resource)))
    (import "look" (func $look (param "r" (borrow $r)) (result u32)))
    (core func $look (canon lower (func $look)))
    (core func $drop (canon resource.drop $r))
    (core module $m
      (import "" "look" (func $look (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "twice") (param i32) (result i32)
        (i32.add (call $look (local.get 0)) (call $look (local.get 0)))
        {keep}))
    (core instance $i (instantiate $m (with "" (instance
      (export "look" (func $look)) (export "drop" (func $drop))))))
    (func (export "twice") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "twice"))))
  (instance $middle (instantiate $middle (with "r" (type $maker "r")) (with "look" (func $maker "look"))))
  (component $user
    (import "r" (type $r (sub resource)))
    (import "make" (func $make (param "n" u32) (result (own $r))))
    (import "take" (func $take (param "r" (own $r)) (result u32)))
    (import "twice" (func $twice (param "r" (borrow $r)) (result u32)))
    (import "live" (func $live (result u32)))
    (core func $make (canon lower (func $make)))
    (core func $take (canon lower (func $take)))
    (core func $twice (canon lower (func $twice)))
    (core func $live (canon lower (func $live)))
    (core func $drop (canon resource.drop $r))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "take" (func $take (param i32) (result i32)))
      (import "" "twice" (func $twice (param i32) (result i32)))
      (import "" "live" (func $live (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "run") (result i32) (local $a i32) (local $b i32)
        {run}))
    (core instance $i (instantiate $m (with "" (instance (export "make" (func $make)) (export "take" (func $take))
      (export "twice" (func $twice)) (export "live" (func $live)) (export "drop" (func $drop))))))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))
  (instance $user (instantiate $user (with "r" (type $maker "r")) (with "make" (func $maker "make"))
    (with "take" (func $maker "take")) (with "twice" (func $middle "twice")) (with "live" (func $maker "live"))))
  (export "run" (func $user "run")))"""

TWO = "(local.set $a (call $make (i32.const 5))) (local.set $b (call $make (i32.const 70)))"


@pytest.mark.parametrize("stage", ["merge", "handle-tables"])
@pytest.mark.parametrize(
    ("run_", "keep", "got"),
    [
        (f"{TWO} (call $live)", "", 75),
        (f"{TWO} (call $twice (local.get $b))", "", wiring.TRAP),  # the middle one keeps what it borrowed
        (f"{TWO} (call $twice (local.get $b))", "(call $drop (local.get 0))", 140),
        (
            f"{TWO} (drop (call $twice (local.get $b))) (call $drop (local.get $b)) (call $live)",
            "(call $drop (local.get 0))",
            5,
        ),
        (f"{TWO} (call $take (local.get $a)) (i32.mul (i32.const 100)) (i32.add (call $live))", "", 570),
        (f"{TWO} (drop (call $take (local.get $a))) (call $take (local.get $a))", "", wiring.TRAP),
        (f"{TWO} (call $drop (local.get $a)) (call $drop (local.get $a)) (call $live)", "", wiring.TRAP),
        (f"{TWO} (call $drop (i32.const 9)) (call $live)", "", wiring.TRAP),
        (f"{TWO} (call $drop (i32.const 0)) (call $live)", "", wiring.TRAP),
        (f"{TWO} (call $drop (local.get $a)) (call $make (i32.const 1))", "", 1),  # an index is used again
        (f"{TWO} (i32.add (i32.mul (local.get $a) (i32.const 10)) (local.get $b))", "", 12),
    ],
)
def test_resources(stage: str, run_: str, keep: str, got: Any) -> None:
    text = RESOURCES.replace("{run}", run_).replace("{keep}", keep)
    assert wiring.unfused(text, ("run",)) == [got]
    program = decode(bytes(wasmtime.wat2wasm(text)), "composition")
    plan = plan_default(program, Registry.standard())
    module, _ = run(plan, program, steps=plan.position(stage, option="stage"))
    assert isinstance(module, meld.Module)
    running = instantiate(parse_module(meld.print_text(module), stage))
    try:
        found = running.call("run")
    except Trapped:
        found = wiring.TRAP
    assert found == got
