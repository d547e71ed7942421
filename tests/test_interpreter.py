"""Boundaries interpreted in Python: after `merge` a program answers as it does unfused, and as it does compiled."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pytest
import wasmtime
from adapter_pairs import Form, Fused, Image, Outcome, Pair, Unfused, drive, engine, images
from adapter_values import ENCODINGS, accepted, forms, func_types, types, values
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import meld
from meld.driver import decode
from meld.ir import component as c
from meld.ir.parser import parse_module
from meld.passes import Registry
from meld.passes.base import Program
from meld.passmanager import plan_default, run
from meld.runtime.instantiate import Trapped, instantiate

SETTINGS = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    max_examples=int(os.environ.get("MELD_EXAMPLES", "25")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
QUIET = 0x400000
"""The bit of a 32-bit NaN that Python's floats always set: signalling ones do not come through a call unchanged."""


@cache
def shared_engine() -> wasmtime.Engine:
    return engine()


def stages(program: Program, *names: str) -> list[meld.Module]:
    """The program after each of these passes, and at the end; every one reloaded from its text."""
    registry = Registry.standard()
    taken: list[meld.Module] = []

    def observe(when: str, number: int, step: Any, program: Program) -> None:
        if when == "after" and step.name in names:
            taken.append(parse_module(meld.print_text(program), step.name))

    final, _ = run(plan_default(program, registry), program, observers=[observe])
    assert isinstance(final, meld.Module) and len(taken) == len(names)
    return [*taken, final]


class Interpreted:
    """A pair as a module whose boundaries are pending."""

    def __init__(self, module: meld.Module) -> None:
        self.module = module

    def run(self, caller: Image, callee: Image) -> Outcome:
        running = instantiate(self.module)

        def f(name: str) -> Any:
            def call(*args: Any) -> Any:
                try:
                    return running.call(name, *args)
                except Trapped as e:
                    raise wasmtime.WasmtimeError(str(e)) from e

            return call

        return drive(f, caller, callee)


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


def try_pair(data: st.DataObject, pair: Pair, calls: int = 4) -> None:
    """The pair unfused, with its boundary interpreted, and compiled: all do the same."""
    unfused = Unfused(shared_engine(), pair)
    merged, final = stages(decode(bytes(wasmtime.wat2wasm(unfused.text)), "pair"), "merge")
    interpreted, fused = Interpreted(merged), Fused(shared_engine(), meld.encode(final))
    for number in range(calls):
        wild = number > 0
        arguments = tuple(quiet(t, data.draw(values(t, pair.caller, wild))) for _, t in pair.type.params)
        t = pair.type.result
        result = None if t is None else quiet(t, data.draw(values(t, pair.callee, wild)))
        memories = images(pair, arguments, result)
        want, got = unfused.run(*memories), interpreted.run(*memories)
        assert got == want, f"{unfused.text}\n{arguments} -> {result}\n{want.detail}\n{got.detail}"
        assert fused.run(*memories) == want


@SETTINGS
@given(func_types(types), forms, forms, st.booleans(), st.data())
def test_values_of_any_type(t: c.CompFuncType, up: Form, down: Form, post: bool, data: st.DataObject) -> None:
    assume(accepted(t))
    try_pair(data, Pair(t, up, down, post))


@pytest.mark.parametrize("down", ENCODINGS)
@pytest.mark.parametrize("up", ENCODINGS)
@settings(SETTINGS, max_examples=4)
@given(st.data())
def test_strings(up: str, down: str, data: st.DataObject) -> None:
    try_pair(data, Pair(c.CompFuncType((("a", c.Prim.STRING),), c.Prim.STRING), Form(up), Form(down)), 8)
