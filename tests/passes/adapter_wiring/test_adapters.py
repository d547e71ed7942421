"""Adapters against the engine: the same pair of components unfused under wasmtime and with our adapter between."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import wasmtime
from adapter_decode import Memory, expected, received_arguments, received_result
from adapter_linked import Linked
from adapter_pairs import STRAIGHT, Form, Fused, Image, Outcome, Pair, Skew, Unfused, engine, images
from adapter_values import ENCODINGS, accepted, calls, flat_types, forms, func_types, types
from cases import trying
from hypothesis import assume, given
from hypothesis import strategies as st

from meld.abi.types import show
from meld.files import decode, encode
from meld.ir import component as c
from meld.ir.types import I32, I64
from meld.passes import Registry
from meld.passmanager import plan_default, run

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
        if skew == STRAIGHT and not self.pair.post_return:
            check_meaning(self.linked, memories, got)
        where = f"{show(self.pair.type)}\n{arguments} -> {result}\n{want.detail}\n{got.detail}"
        if self.shows_more(skew):
            assert got.trap == want.trap, where
        else:
            assert got == want, where
        assert got.reason == want.reason, where
        return want

    def shows_more(self, skew: Skew) -> bool:
        """Whether memory holds what is neither a value nor was there before.

        Behind the Latin-1 that it has written the engine leaves parts of vectors, and a `realloc` that does not keep
        what was there before shows them.
        """
        sides = ((self.pair.caller, skew.caller_realloc), (self.pair.callee, skew.callee_realloc))
        return any(skewed and form.encoding == "latin1+utf16" for form, skewed in sides)


def check_meaning(linked: Linked, memories: tuple[Image, Image], outcome: Outcome) -> None:
    """Compares what each side got with what the specification says that the other sent."""
    caller, callee = linked.after["caller"], linked.after["callee"]
    want = expected(linked.pair, Memory(linked.pair.caller, bytes(memories[0].bytes)), callee)
    where = f"{show(linked.pair.type)}\n{want}\n{outcome.detail}"
    if not want.large:
        assert outcome.trap == want.trap, where
    if not outcome.trap:
        assert received_arguments(linked.pair, callee) == want.arguments, where
        assert received_result(linked.pair, caller) == want.result, where


def try_pair(data: st.DataObject, pair: Pair) -> None:
    both = Both(pair)
    for wild in (False, True, True, True, True, True)[:CALLS]:
        arguments, result = data.draw(calls(pair, wild))
        both.call(arguments, result)


@trying(0.1, CALLS)
@given(func_types(flat_types), st.data())
def test_flat_values(t: c.CompFuncType, data: st.DataObject) -> None:
    try_pair(data, Pair(t))


@trying(0.2, CALLS)
@given(func_types(types), forms, forms, st.booleans(), st.data())
def test_values_of_any_type(t: c.CompFuncType, up: Form, down: Form, post: bool, data: st.DataObject) -> None:
    assume(accepted(t))
    try_pair(data, Pair(t, up, down, post))


@pytest.mark.parametrize("down", ENCODINGS)
@pytest.mark.parametrize("up", ENCODINGS)
@trying(0.03)
@given(st.data())
def test_strings(up: str, down: str, data: st.DataObject) -> None:
    both = string_pair(up, down)
    wild = data.draw(st.booleans())
    both.call(*data.draw(calls(both.pair, wild)))


@cache
def string_pair(up: str, down: str) -> Both:
    return Both(Pair(c.CompFuncType((("a", c.Prim.STRING),), c.Prim.STRING), Form(up), Form(down)))


wide_forms = st.builds(Form, st.sampled_from(ENCODINGS), st.sampled_from([I32, I64]))


@trying(0.2, CALLS)
@given(func_types(types), wide_forms, wide_forms, st.data())
def test_wide_addresses(t: c.CompFuncType, up: Form, down: Form, data: st.DataObject) -> None:
    """64-bit memories, on either side. The engine has them behind a switch that its C interface lacks."""
    assume(accepted(t) and I64 in (up.pointer, down.pointer))
    linked = Linked(shared_engine(), Pair(t, up, down))
    for wild in (False, True, True, True, True, True):
        memories = images(linked.pair, *data.draw(calls(linked.pair, wild)))
        check_meaning(linked, memories, linked.run(*memories))


_SKEWS = st.sampled_from([0, 0, 0, 0, 1, 2, 4, 8, 1 << 18, (1 << 32) - 1024])


@trying(0.2, CALLS)
@given(func_types(types, most=8), forms, forms, st.data())
def test_addresses_that_core_code_gives(t: c.CompFuncType, up: Form, down: Form, data: st.DataObject) -> None:
    """Of parameters and results in memory, and what `realloc` returns: unaligned, out of bounds."""
    assume(accepted(t))
    both = Both(Pair(t, up, down))
    for _ in range(CALLS):
        values_ = data.draw(calls(both.pair, False))
        both.call(*values_, skew=data.draw(st.builds(Skew, _SKEWS, _SKEWS, _SKEWS, _SKEWS, _SKEWS)))


@trying(0.3, CALLS)
@given(func_types(types), forms, forms, st.booleans(), st.data())
def test_fused(t: c.CompFuncType, up: Form, down: Form, post: bool, data: st.DataObject) -> None:
    """The whole way: the pair as one binary, through the default pipeline, as one module."""
    assume(accepted(t))
    pair = Pair(t, up, down, post)
    unfused = Unfused(shared_engine(), pair)
    program = decode(bytes(wasmtime.wat2wasm(pair.component(fixed_lists=True))), "pair")
    registry = Registry.standard()
    module, _ = run(plan_default(program, registry), program)
    fused = Fused(shared_engine(), encode(module))
    for wild in (False, True, True, True, True, True):
        memories = images(pair, *data.draw(calls(pair, wild)))
        want, got = unfused.run(*memories), fused.run(*memories)
        assert got == want, unfused.text
        assert got.reason == want.reason, f"{unfused.text}\n{want.detail}\n{got.detail}"
