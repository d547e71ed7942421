"""Values as text: what is printed reads back, what is wrong is refused with a place."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from adapter_values import NUMBERS, cases_of, func_types, types
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.runtime.wave import KEYWORDS, read_arguments, read_value, split_call
from meld.runtime.wave_scalars import INTEGERS, float_bits
from meld.runtime.wave_text import text_of

P = c.Prim
SETTINGS = settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))

_CHARS = st.characters(exclude_categories=["Cs"])
_FLOATS = {P.F32: st.floats(width=32), P.F64: st.floats()}


@st.composite
def canonical(draw: st.DrawFn, t: Any) -> Any:
    """A value of a type in the form of `meld.runtime.canonical`; NaNs are the canonical one."""

    def sub(x: Any) -> Any:
        return draw(canonical(x))

    match t:
        case P.BOOL:
            return draw(st.booleans())
        case P.CHAR:
            return draw(_CHARS)
        case P.STRING:
            return draw(st.text(_CHARS, max_size=8))
        case P.F32 | P.F64:
            return float_bits(draw(_FLOATS[t]), t)
        case P():
            return draw(st.integers(*INTEGERS[t]))
        case c.Flags(names):
            return draw(st.integers(0, (1 << len(names)) - 1))
        case c.ListType(element, None):
            return [sub(element) for _ in range(draw(st.integers(0, 3)))]
        case c.ListType(element, int(length)):
            return [sub(element) for _ in range(length)]
        case c.MapType(key, value):
            return [(sub(key), sub(value)) for _ in range(draw(st.integers(0, 3)))]
        case c.Record(fields):
            return tuple(sub(x) for _, x in fields)
        case c.Tuple(elements):
            return tuple(sub(x) for x in elements)
    cases = cases_of(t)
    case = draw(st.integers(0, len(cases) - 1))
    return (case, None if cases[case] is None else sub(cases[case]))


def renamed(t: Any) -> Any:
    """The same shape, the labels of variants and enums being keywords as far as they go."""
    words = sorted(KEYWORDS)
    match t:
        case c.EnumType(names):
            return c.EnumType((*words[: len(names)], *names[len(words) :]))
        case c.Variant(cases):
            return c.Variant(tuple((word, x) for word, (_, x) in zip(words, cases, strict=False)))
    return t


@SETTINGS
@given(types, st.booleans(), st.data())
def test_what_is_printed_reads_back(t: Any, keywords: bool, data: st.DataObject) -> None:
    t = renamed(t) if keywords else t
    value = data.draw(canonical(t))
    text = text_of(value, t)
    assert "\n" not in text
    assert read_value(text, t) == value
    assert text_of(read_value(text, t), t) == text


@SETTINGS
@given(func_types(types), st.data())
def test_arguments(t: c.CompFuncType, data: st.DataObject) -> None:
    values = [data.draw(canonical(x)) for _, x in t.params]
    space = data.draw(st.sampled_from(["", " ", "\n\t", " // a comment, (with) [all]\n"]))
    texts = [text_of(value, x) for value, (_, x) in zip(values, t.params, strict=True)]
    call = split_call("a:b/c@1.0.0#f (" + space + f",{space}".join(texts) + ("," * bool(texts)) + space + ")")
    assert call is not None and call.name == "a:b/c@1.0.0#f"
    assert read_arguments(call, t.params) == values


RECORD = c.Record((("a", P.U8), ("b", c.Option(P.STRING)), ("c-d", P.BOOL)))
FLAGS = c.Flags(("read", "write"))
ENUM = c.EnumType(("south", "west", "none"))
DAYS = c.Variant((("days", P.U32), ("forever", None), ("ok", P.U8)))


@pytest.mark.parametrize(
    ("text", "t", "value"),
    [
        ("true", P.BOOL, True),
        ("-9", P.S8, -9),
        ("18446744073709551615", P.U64, (1 << 64) - 1),
        ("3.14", P.F64, float_bits(3.14, P.F64)),
        ("6.022e+23", P.F64, float_bits(6.022e23, P.F64)),
        ("-inf", P.F32, 0xFF800000),
        ("nan", P.F32, 0x7FC00000),
        ("1e39", P.F32, 0x7F800000),
        ("-0", P.F32, 0x80000000),
        ("'x'", P.CHAR, "x"),
        (r"'\''", P.CHAR, "'"),
        (r"'\u{0}'", P.CHAR, "\0"),
        (r'"abc\t\"\\\u{1F600}"', P.STRING, 'abc\t"\\\U0001f600'),
        ('"""\n  one\n   two\\n\n  """', P.STRING, "one\n two\n"),
        ('("abc", 123)', c.Tuple((P.STRING, P.U8)), ("abc", 123)),
        ("[1, 2, 3,]", c.ListType(P.U8), [1, 2, 3]),
        ("[]", c.ListType(P.U8), []),
        ("[1, 2]", c.ListType(P.U8, 2), [1, 2]),
        ('{a: 1, b: "two", c-d: true}', RECORD, (1, (1, "two"), True)),
        ("{c-d: false, %a: 1}", RECORD, (1, (0, None), False)),
        ("{:}", c.Record((("a", c.Option(P.U8)),)), ((0, None),)),
        ("days(30)", DAYS, (0, 30)),
        ("forever", DAYS, (1, None)),
        ("%ok(1)", DAYS, (2, 1)),
        ("west", ENUM, (1, None)),
        ("%none", c.Option(ENUM), (1, (2, None))),
        ("none", c.Option(ENUM), (0, None)),
        ('"flat some"', c.Option(P.STRING), (1, "flat some")),
        ("some(some(1))", c.Option(c.Option(P.U8)), (1, (1, 1))),
        ("some(none)", c.Option(c.Option(P.U8)), (1, (0, None))),
        ("1", c.Result(P.U8, None), (0, 1)),
        ("ok", c.Result(None, P.U8), (0, None)),
        ('err("oops")', c.Result(None, P.STRING), (1, "oops")),
        ("{write, read}", FLAGS, 3),
        ("{}", FLAGS, 0),
        ('{"a": 1, "b": 2}', c.MapType(P.STRING, P.U8), [("a", 1), ("b", 2)]),
        ("{:}", c.MapType(P.STRING, P.U8), []),
    ],
)
def test_syntax(text: str, t: Any, value: Any) -> None:
    assert read_value(text, t) == value


@pytest.mark.parametrize(
    ("value", "t", "text"),
    [
        (float_bits(1.0, P.F64), P.F64, "1"),
        (float_bits(0.1, P.F32), P.F32, "0.1"),
        (float_bits(1e21, P.F64), P.F64, "1000000000000000000000"),
        (float_bits(5e-324, P.F64), P.F64, "0." + "0" * 323 + "5"),
        (0x80000000, P.F32, "-0"),
        ((1, (0, None), True), RECORD, "{a: 1, c-d: true}"),
        (((0, None),), c.Record((("a", c.Option(P.U8)),)), "{:}"),
        ('it\'s "é"\0\u0301', P.STRING, '"it\\\'s \\"é\\"\\u{0}\\u{301}"'),
        ((2, None), ENUM, "%none"),
        ((0, None), c.Result(None, P.U8), "ok"),
    ],
)
def test_form_of_what_is_printed(value: Any, t: Any, text: str) -> None:
    assert text_of(value, t) == text


@pytest.mark.parametrize(
    ("text", "t", "message"),
    [
        ("256", P.U8, "256.*is no u8.*0 to 255"),
        ("1.0", P.U8, "is no u8"),
        ("9" * 5000, P.U64, "is no u64"),
        ("1", P.BOOL, "expected a value of type bool, found `1`"),
        ("", P.BOOL, "found the end"),
        ("true false", P.BOOL, "unexpected text"),
        ("'ab'", P.CHAR, "not a WAVE value"),
        (r"'\u{d800}'", P.CHAR, r"U\+D800 is not a Unicode scalar value"),
        (r'"\u{110000}"', P.STRING, r"U\+110000 is not"),
        (r'"\x"', P.STRING, "not a WAVE value"),
        ('"open', P.STRING, "not a WAVE value"),
        ('"""a"""', P.STRING, "followed by a new line"),
        ('"""\n a\n  """', P.STRING, "indented"),
        ("[1 2]", c.ListType(P.U8), "expected `]`"),
        ("[1]", c.ListType(P.U8, 2), "has 1 elements, not 2"),
        ("(1)", c.Tuple((P.U8, P.U8)), "2 elements, not 1"),
        ("(1, 2, 3)", c.Tuple((P.U8, P.U8)), "has 2 elements"),
        ("{a: 1}", RECORD, "needs the field `c-d`"),
        ("{a: 1, a: 1}", RECORD, "`a` is given twice"),
        ("{x: 1}", RECORD, "`x` is not one of: a, b, c-d"),
        ("{read, read}", FLAGS, "given twice"),
        ("{no}", FLAGS, "not one of: read, write"),
        ("days", DAYS, r"needs a value of type u32: days\(…\)"),
        ("forever(1)", DAYS, "has no value"),
        ("never", DAYS, "not one of: days, forever, ok"),
        ("none", ENUM, "expected a value of type"),
        ("1", c.Option(c.Option(P.U8)), "expected a value of type"),
        ("1", c.Result(None, None), "expected a value of type"),
        ("[" * 100000, c.ListType(P.U8), "expected a value of type u8"),
        ("1", c.Stream(P.U8), "cannot be written"),
    ],
)
def test_what_is_wrong_is_refused(text: str, t: Any, message: str) -> None:
    with pytest.raises(MeldError) as caught:
        read_value(text, t)
    assert re.search(message, str(caught.value), re.DOTALL), str(caught.value)
    assert caught.value.span is not None


def test_options_at_the_end_may_be_left_out() -> None:
    params = (("a", P.U8), ("b", c.Option(P.U8)), ("c", c.Option(P.U8)))
    call = split_call("f(1)")
    assert call is not None and read_arguments(call, params) == [1, (0, None), (0, None)]
    for text, message in (("f()", "too few"), ("f(1, 2, 3, 4)", "too many"), ("f(1", "expected"), ("f(1) x", "unexp")):
        call = split_call(text)
        assert call is not None
        with pytest.raises(MeldError, match=message):
            read_arguments(call, params)


@SETTINGS
@given(types, st.text(st.sampled_from("(){}[]:,%'\"\\-.1eu a\nsomeknr/"), max_size=30) | st.text(max_size=12))
def test_any_text_is_read_or_refused(t: Any, text: str) -> None:
    with contextlib.suppress(MeldError):
        read_value(text, t)


def test_numbers_of_every_type() -> None:
    for t in NUMBERS:
        for text in ("0", "1", "100"):
            assert text_of(read_value(text, t), t) == text
