"""Component types and values by hypothesis, invalid values included, in the form that `adapter_pairs.Image` stores."""

from __future__ import annotations

from typing import Any

from adapter_pairs import Form, Pair, Raw
from hypothesis import strategies as st

from meld.abi.layout import Layouts
from meld.ir import component as c
from meld.ir.types import I64

P = c.Prim
NUMBERS = (P.U8, P.S8, P.U16, P.S16, P.U32, P.S32, P.U64, P.S64, P.F32, P.F64)
ENCODINGS = ("utf8", "utf16", "latin1+utf16")

names = st.integers(1, 40).map(lambda n: tuple(f"x{i}" for i in range(n)))
few_names = st.integers(1, 4).map(lambda n: tuple(f"x{i}" for i in range(n)))

HELD = 6
"""How many handles each side has before the call, where types have handles: numbered from 1."""

flat_types = st.one_of(
    st.sampled_from([*NUMBERS, P.BOOL, P.CHAR]),
    names.map(c.EnumType),
    st.integers(1, 32).map(lambda n: c.Flags(tuple(f"x{i}" for i in range(n)))),
)
"""Types that are one core value."""


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=4)
    maybe = st.none() | inner
    return st.one_of(
        inner.map(c.Option),
        st.builds(c.Result, maybe, maybe),
        inner.map(c.ListType),
        st.builds(c.ListType, inner, st.integers(1, 5)),
        some.map(lambda parts: c.Record(tuple((f"x{i}", t) for i, t in enumerate(parts)))),
        some.map(lambda parts: c.Tuple(tuple(parts))),
        st.lists(maybe, min_size=1, max_size=4).map(
            lambda parts: c.Variant(tuple((f"x{i}", t) for i, t in enumerate(parts)))
        ),
        st.builds(c.MapType, st.sampled_from([P.U8, P.STRING, P.CHAR]), inner),
    )


types = st.recursive(flat_types | st.just(P.STRING), compound, max_leaves=6)
"""Value types of any shape."""


def func_types(of: st.SearchStrategy[Any], most: int = 5) -> st.SearchStrategy[c.CompFuncType]:
    """Function types with up to so many parameters of the given types, or with more than core values carry."""
    return st.builds(
        lambda params, result: c.CompFuncType(tuple((f"p{i}", t) for i, t in enumerate(params)), result),
        st.lists(of, max_size=most) | st.lists(of, max_size=most) | st.lists(flat_types, min_size=14, max_size=19),
        st.none() | of,
    )


forms = st.builds(Form, st.sampled_from(ENCODINGS))
"""The three encodings, 32-bit addresses."""

# --- values ----------------------------------------------------------------------------------------------------------

_BITS = {P.U8: 8, P.S8: 8, P.U16: 16, P.S16: 16, P.U32: 32, P.S32: 32, P.U64: 64, P.S64: 64, P.F32: 32, P.F64: 64}
_FLOATS = {
    P.F32: [0, 0x3F800000, 0x7F800000, 0x7FC00000, 0x7F800001, 0xFFC12345],
    P.F64: [0, 0x3FF << 52, 0x7FF << 52, 0x7FF8 << 48, (0x7FF << 52) | 1, 0xFFF8123456789ABC],
}
_WILD = st.sampled_from([0, 1, 2, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
_BAD_CHARS = st.sampled_from([0xD800, 0xDFFF, 0xDABC, 0x110000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])

chars = st.one_of(
    st.integers(0, 0x7F),
    st.integers(0x80, 0xFF),
    st.integers(0x100, 0xD7FF),
    st.integers(0xE000, 0xFFFF),
    st.integers(0x10000, 0x10FFFF),
)

strings = st.one_of(
    st.text(st.characters(max_codepoint=0x7F), max_size=70),
    st.text(st.characters(max_codepoint=0xFF), max_size=70),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    # Long plain runs with something else inside: both paths of the vectorised loops, and the way from one to the other.
    st.builds(
        lambda a, n, b, m, d: "a" * n + a + "b" * m + b + d,
        chars.map(chr),
        st.integers(0, 40),
        chars.map(chr),
        st.integers(0, 40),
        st.sampled_from(["", "é", "€", "\U0001f600", "\0"]),
    ),
)

_UTF8_HEX = (
    "61 6162636465666768696a6b6c6d6e6f70 80 bf c080 c1bf c2 c280 dfbf e0 e08080 e09fbf e0a080 e282 e282ac ed9fbf eda080"
    " edbfbf ee8080 efbfbf f0808080 f08fbfbf f0908080 f09f98 f09f9880 f48fbfbf f4908080 f5808080 f8 ff e2827f e2c2ac"
    " f09fc080 f07f9880"
)
UTF8_PARTS = [bytes.fromhex(part) for part in _UTF8_HEX.split()]
"""Pieces of UTF-8 at the limits of each length, valid and not."""
UTF16_PARTS = [0x41, 0x7F, 0x80, 0xFF, 0x100, 0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFFFF]

bad_utf8 = st.lists(st.sampled_from(UTF8_PARTS) | st.binary(max_size=2), max_size=12).map(b"".join)
bad_utf16 = st.builds(
    lambda n, units: b"a\0" * n + b"".join(u.to_bytes(2, "little") for u in units),
    st.integers(0, 20),
    st.lists(st.sampled_from(UTF16_PARTS), max_size=12),
)
_ADDRESSES = [0, 1, 2, 3, 4, 6, 1025, 0x3FFF8, 0x3FFFC, 0x3FFFE, 0x3FFFF, 0x40000, 0x40001, 0x80000000, 0xFFFFFFF8]
_LENGTHS = [
    0, 1, 2, 3, 4, 8, 0x8000, 0x40000, 0x0FFFFFFF, 0x10000000, 0x10000001, 0x7FFFFFFF, 0x80000000, 0x80000001,
    0x80000004, 0x8FFFFFFF, 0xFFFFFFFF,
]  # fmt: skip
_WIDE = [1 << 32, (1 << 32) + 4, 1 << 61, 1 << 63, (1 << 63) + 1, (1 << 64) - 8]


@st.composite
def ranges(draw: st.DrawFn, form: Form) -> Raw:
    """An address and a length that need not make sense."""
    wide = _WIDE if form.pointer is I64 else []
    return Raw((draw(st.sampled_from([*_ADDRESSES, *wide])), draw(st.sampled_from([*_LENGTHS, *wide]))))


@st.composite
def values(draw: st.DrawFn, t: Any, form: Form, wild: bool, budget: int = 4) -> Any:
    """A value of a type as one side represents it; with `wild`, now and then one that is none."""
    off = wild and draw(st.integers(0, 15)) == 0

    def sub(x: Any, less: int = 0) -> Any:
        return draw(values(x, form, wild, budget - less))

    match t:
        case P.BOOL:
            return draw(_WILD) if wild else draw(st.integers(0, 1))
        case P.CHAR:
            return draw(_BAD_CHARS if off else chars)
        case P.STRING:
            if not off:
                return draw(strings)
            if form.encoding == "latin1+utf16":
                # Latin-1 is always valid; UTF-16 goes by a tagged length, to what happens to be in memory.
                return draw(st.binary(max_size=40) | ranges(form))
            return draw((bad_utf8 if form.encoding == "utf8" else bad_utf16) | ranges(form))
        case P.F32 | P.F64:  # as bits: those of a NaN are kept
            return draw(st.sampled_from(_FLOATS[t]) | st.integers(0, (1 << _BITS[t]) - 1))
        case P():
            return draw(_WILD) if wild else draw(st.integers(0, (1 << _BITS[t]) - 1))
        case c.Own() | c.Borrow():
            return draw(st.integers(0, HELD + 1) if wild else st.integers(1, HELD))
        case c.Flags(labels):
            return draw(_WILD) if wild else draw(st.integers(0, (1 << len(labels)) - 1))
        case c.ListType(element, None):
            if off:
                return draw(ranges(form))
            return [sub(element, 1) for _ in range(draw(st.integers(0, max(budget, 0))))]
        case c.ListType(element, int(length)):
            return [sub(element, 1) for _ in range(length)]
        case c.MapType(key, value):
            if off:
                return draw(ranges(form))
            return [(sub(key, 1), sub(value, 1)) for _ in range(draw(st.integers(0, max(budget, 0))))]
        case c.Record(fields):
            return tuple(sub(x) for _, x in fields)
        case c.Tuple(elements):
            return tuple(sub(x) for x in elements)
        case c.Variant() | c.EnumType() | c.Option() | c.Result():
            cases = cases_of(t)
            if off:
                return (len(cases) + draw(st.sampled_from([0, 1, 200])), None)
            case = draw(st.integers(0, len(cases) - 1))
            inner = cases[case]
            return (case, None if inner is None else sub(inner))
    raise TypeError(repr(t))


def cases_of(t: Any) -> tuple[Any, ...]:
    """The payload types of a variant, enum, option or result."""
    match t:
        case c.Variant(cases):
            return tuple(x for _, x in cases)
        case c.EnumType(labels):
            return (None,) * len(labels)
        case c.Option(element):
            return (None, element)
        case c.Result(ok, error):
            return (ok, error)
    raise TypeError(repr(t))


def accepted(t: c.CompFuncType) -> bool:
    """Whether no name of a type repeats what validators limit: all that these strategies can get wrong is size."""
    layouts = Layouts()
    params = layouts.tuple_of(x for _, x in t.params)
    return params.size < 4096 and (t.result is None or layouts.of(t.result).size < 4096)


@st.composite
def calls(draw: st.DrawFn, pair: Pair, wild: bool) -> tuple[tuple[Any, ...], Any]:
    """The arguments of a call, and its result; wild ones break what the Canonical ABI asks for."""
    arguments = tuple(draw(values(t, pair.caller, wild)) for _, t in pair.type.params)
    result = None if pair.type.result is None else draw(values(pair.type.result, pair.callee, wild))
    return arguments, result
