"""Adapters against the engine: the same pair of components unfused under wasmtime and with our adapter between."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import wasmtime
from adapter_linked import Linked
from adapter_pairs import STRAIGHT, Form, Outcome, Pair, Skew, Unfused, engine, images
from adapter_values import accepted, flat_types, forms, func_types, types, values
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from meld.abi.types import show
from meld.ir import component as c

SETTINGS = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # pairs are slow to make: what was found is not made smaller
    max_examples=int(os.environ.get("MELD_EXAMPLES", "40")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
CALLS = 6
"""Calls per pair: making a pair takes longer than calling it."""


@cache
def shared_engine() -> wasmtime.Engine:
    return engine()


class Both:
    """A pair in both settings."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.unfused = Unfused(shared_engine(), pair)
        self.linked = Linked(shared_engine(), pair)

    def call(self, arguments: tuple[Any, ...], result: Any, skew: Skew = STRAIGHT) -> Outcome:
        """Calls both; what they do is the same."""
        memories = images(self.pair, arguments, result, skew)
        want, got = self.unfused.run(*memories), self.linked.run(*memories)
        assert got == want, f"{show(self.pair.type)}\n{arguments} -> {result}\n{want.detail}\n{got.detail}"
        return want


@st.composite
def calls(draw: st.DrawFn, pair: Pair, wild: bool) -> tuple[tuple[Any, ...], Any]:
    arguments = tuple(draw(values(t, pair.caller, wild)) for _, t in pair.type.params)
    result = None if pair.type.result is None else draw(values(pair.type.result, pair.callee, wild))
    return arguments, result


def try_pair(data: st.DataObject, pair: Pair) -> None:
    both = Both(pair)
    for wild in (False, True, True, True, True, True)[:CALLS]:
        arguments, result = data.draw(calls(pair, wild))
        both.call(arguments, result)


@SETTINGS
@given(func_types(flat_types), st.data())
def test_flat_values(t: c.CompFuncType, data: st.DataObject) -> None:
    try_pair(data, Pair(t))


@SETTINGS
@given(func_types(types), forms, forms, st.booleans(), st.data())
def test_values_of_any_type(t: c.CompFuncType, up: Form, down: Form, post: bool, data: st.DataObject) -> None:
    assume(accepted(t))
    try_pair(data, Pair(t, up, down, post))
