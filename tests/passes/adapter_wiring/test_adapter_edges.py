"""Adapters where the rules have their edges: beside the engine, case by case."""

from __future__ import annotations

from typing import Any

import pytest
from adapter_linked import Linked
from adapter_pairs import STRAIGHT, Cut, Form, Pair, Raw, Skew, images
from adapter_values import ENCODINGS, UTF8_PARTS

from meld.ir import component as c
from meld.ir.types import I32, I64
from tests.passes.adapter_wiring.test_adapters import Both, check_meaning, shared_engine, string_pair

P = c.Prim
END = 0x40000
"""Size of the memories."""


def labels(count: int) -> tuple[str, ...]:
    return tuple(f"x{i}" for i in range(count))


def takes(*types: Any, result: Any = None) -> c.CompFuncType:
    return c.CompFuncType(tuple((f"p{i}", t) for i, t in enumerate(types)), result)


def passed_both_ways(t: Any, values: list[Any], bad: list[Any]) -> None:
    """Passes values as flat arguments, in memory as list elements, and as results."""
    flat, listed = Both(Pair(takes(t, result=t))), Both(Pair(takes(c.ListType(t), result=c.ListType(t))))
    for value in values:
        assert not flat.call((value,), values[0]).trap
        assert not flat.call((values[0],), value).trap
        assert not listed.call(([values[0], value],), [value]).trap
    for value in bad:
        assert flat.call((value,), values[0]).trap
        assert flat.call((values[0],), value).trap
        assert listed.call(([values[0], value],), []).trap
        assert listed.call(([],), [values[0], value]).trap


def test_chars() -> None:
    passed_both_ways(
        P.CHAR,
        [0, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF],
        [0xD800, 0xDBFF, 0xDFFF, 0x110000, 0x7FFFFFFF, 0xFFFFFFFF],
    )


@pytest.mark.parametrize("count", [1, 2, 255, 257])
def test_enums(count: int) -> None:
    """The discriminant grows to two bytes beyond 256 cases."""
    passed_both_ways(c.EnumType(labels(count)), [(0, None), (count - 1, None)], [(count, None)])


def test_enum_that_fills_its_byte() -> None:
    """In memory every byte is a case; flat, 256 is none."""
    t = c.EnumType(labels(256))
    passed_both_ways(t, [(0, None), (255, None)], [])
    for value in (256, 257, 0x80000000, 0xFFFFFFFF):
        assert Both(Pair(takes(t))).call(((value, None),), None).trap


@pytest.mark.parametrize("count", [1, 7, 8, 9, 15, 16, 17, 31, 32])
def test_flags(count: int) -> None:
    """Bits beyond the labels are dropped, wherever they come from."""
    passed_both_ways(c.Flags(labels(count)), [0, 1, (1 << count) - 1, 0xFFFFFFFF, 0x80808080], [])


@pytest.mark.parametrize("t", [P.BOOL, P.U8, P.S8, P.U16, P.S16, P.U32, P.S32], ids=lambda t: t.value)
def test_narrow_integers(t: c.Prim) -> None:
    passed_both_ways(t, [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF], [])


JOINED = (P.U8, P.S8, P.BOOL, P.CHAR, P.U32, P.F32, P.U64, P.F64, P.STRING)
SOME = {P.STRING: "é", P.CHAR: 0xE9, P.BOOL: 7, P.S8: 0xFF, P.U8: 0x1FF, P.F32: 0x7F800001, P.U32: 0xFFFFFFFF}


@pytest.mark.parametrize("a", JOINED, ids=lambda t: t.value)
def test_joined_core_values(a: c.Prim) -> None:
    """A case's payload in core values wider than its own, or of another kind."""
    types = [c.Result(a, b) for b in JOINED]
    pairs = [Pair(takes(t, result=t), Form(up), Form(down)) for t in types for up, down in (("utf8", "utf16"),)]
    for pair, b in zip(pairs, JOINED, strict=True):
        both = Both(pair)
        for case, t in ((0, a), (1, b)):
            value = (case, SOME.get(t, 0xFFF8123456789ABC))
            assert not both.call((value,), value).trap


@pytest.mark.parametrize("down", ENCODINGS)
def test_utf8(down: str) -> None:
    """Every limit of every length, at the start, at the end of a plain run, and before another char."""
    both = string_pair("utf8", down)
    for part in UTF8_PARTS:
        for before, after in ((b"", b""), (b"a" * 15, b""), (b"a" * 16, b"b" * 16), (b"\xe2\x82\xac", b"a")):
            both.call((before + part + after,), "")


@pytest.mark.parametrize("down", ENCODINGS)
def test_utf16(down: str) -> None:
    """Surrogates in pairs and alone, in the code units that are looked at one by one and eight at a time."""
    both = string_pair("utf16", down)
    limits = (0x41, 0xFF, 0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000)
    for first in limits:
        for second in limits:
            for before, after in (([], []), ([0x61] * 15, [0x100] * 8)):
                units = [*before, first, second, *after]
                both.call((b"".join(unit.to_bytes(2, "little") for unit in units),), "")


@pytest.mark.parametrize("down", ENCODINGS)
def test_strings_that_stop_within_a_char(down: str) -> None:
    """What lies behind the end would complete it, and is not read."""
    utf8, utf16 = string_pair("utf8", down), string_pair("utf16", down)
    for char in "\u00e9\u20ac\U0001f600":
        for before in ("", "a" * 13, "\u20ac" * 5):
            data = (before + char).encode()
            for missing in range(1, len(char.encode())):
                assert utf8.call((Cut(data, missing),), "").trap
    for before in ("", "a" * 7, "\u20ac" * 15):
        assert utf16.call((Cut((before + "\U0001f600").encode("utf-16-le"), 1),), "").trap


def test_values_that_travel_in_memory() -> None:
    """The address of the parameters, of the result, and of the place for it."""
    many = c.Tuple((P.U64,) * 17)
    both = Both(Pair(takes(many, result=many)))
    value = tuple(range(17))
    assert not both.call((value,), value).trap
    assert not both.call((value,), value, Skew(params=8, returned=8, received=8)).trap
    for skew in (1, 2, 4, END - 64, END, (1 << 32) - 2048):
        assert both.call((value,), value, Skew(params=skew)).trap
        assert both.call((value,), value, Skew(returned=skew)).trap
        assert both.call((value,), value, Skew(received=skew)).trap


EMPTY_AT = [0, 1, END - 2, END - 1, END, END + 1, 0xFFFFFFFF]


@pytest.mark.parametrize("t", [P.STRING, c.ListType(P.U8), c.ListType(P.U32)], ids=["string", "u8", "u32"])
@pytest.mark.parametrize("form", ["utf8", "utf16", "latin1+utf16"])
def test_ranges_at_the_end_of_memory(t: Any, form: str) -> None:
    both = Both(Pair(takes(t, result=t), Form(form), Form(form)))
    for at in EMPTY_AT:
        for length in (0, 1, 2, 0x40000000, 0x80000000, 0x80000001, 0xFFFFFFFF):
            both.call((Raw((at, length)),), Raw((0, 0)))
            both.call((Raw((0, 0)),), Raw((at, length)))


@pytest.mark.parametrize("t", [P.STRING, c.ListType(P.U8), c.ListType(P.U64)], ids=["string", "u8", "u64"])
@pytest.mark.parametrize("value", [0, 1, 9])
def test_what_realloc_returns(t: Any, value: int) -> None:
    """Aligned and in bounds, even where there is nothing to store."""
    for up, down in (("utf8", "utf8"), ("utf8", "utf16"), ("utf16", "utf8"), ("utf8", "latin1+utf16")):
        both = Both(Pair(takes(t, result=t), Form(up), Form(down)))
        given = "a\u00e9"[:value] * max(value - 1, 1) if t is P.STRING else [7] * value
        for skew in (1, 2, END - 0x10000, END - 0x10000 + 8, END, (1 << 32) - 0x10000, (1 << 32) - 1):
            both.call((given,), given, Skew(callee_realloc=skew))
            both.call((given,), given, Skew(caller_realloc=skew))


WIDE_AT = [0, END - 1, END, END + 1, 1 << 32, 1 << 63, (1 << 64) - 8]
WIDE_LENGTH = [0, 1, 8, 1 << 28, (1 << 32) + 1, 1 << 61, (1 << 63) + 1, (1 << 64) - 1]


@pytest.mark.parametrize("t", [P.STRING, c.ListType(P.U8), c.ListType(P.U64)], ids=["string", "u8", "u64"])
@pytest.mark.parametrize("pointer", [I32, I64])
def test_ranges_of_a_wide_memory(t: Any, pointer: Any) -> None:
    for up in ("utf8", "utf16", "latin1+utf16"):
        linked = Linked(shared_engine(), Pair(takes(t), Form(up, I64), Form("utf8", pointer)))
        for at in WIDE_AT:
            for length in WIDE_LENGTH:
                memories = images(linked.pair, (Raw((at, length)),), None, STRAIGHT)
                check_meaning(linked, memories, linked.run(*memories))
