"""Lists whose elements are copied in vectors, beside the engine: garbage in padding and in payloads that are not there,
something in the memory of the target before, a wrong value now and then."""

from __future__ import annotations

import random
from typing import Any

import pytest
from adapter_pairs import HEAP, Pair, images
from cases import CASES

from meld.abi.layout import Kind, Layout
from meld.ir import component as c
from meld.passes.adapter_wiring.lanes import parts_of
from tests.passes.adapter_wiring.test_adapters import Both

P = c.Prim
TARGET, ROOM = 0x2000, 0x600
"""Where the callee's `realloc` begins: memory that the test has filled."""
CALLS = max(2, CASES // 150)


def tuple_of(*types: Any) -> c.Tuple:
    return c.Tuple(types)


def labels(count: int) -> tuple[str, ...]:
    return tuple(f"x{i}" for i in range(count))


def variant(*types: Any) -> c.Variant:
    return c.Variant(tuple((f"x{i}", t) for i, t in enumerate(types)))


BYTE_PAIR = tuple_of(P.U8, P.BOOL)
VECTORS = {
    "2": tuple_of(P.BOOL, P.BOOL),
    "3": tuple_of(P.U8, P.BOOL, P.S8),
    "4": tuple_of(P.U8, P.U16),
    "6": tuple_of(P.U16, P.U8, P.U16),
    "8": tuple_of(P.U8, P.U32),
    "8 backwards": tuple_of(P.F32, P.S8),
    "8 of chars": tuple_of(P.CHAR, P.BOOL),
    "12": tuple_of(P.U8, P.CHAR, P.U16),
    "16": tuple_of(P.U64, P.U8),
    "24": tuple_of(P.U8, P.U8, P.U32, P.BOOL, P.U64),
    "56": tuple_of(*(P.U32, P.U8) * 7),
    "36": tuple_of(*(P.U32, P.U8) * 4, P.CHAR),
    "enum": c.EnumType(labels(3)),
    "enum of every byte": c.EnumType(labels(256)),
    "flags of 3": c.Flags(labels(3)),
    "flags of 20": c.Flags(labels(20)),
    "option of 2": c.Option(P.U8),
    "option of 8": c.Option(P.U32),
    "option of 16": c.Option(P.F64),
    "option of a char": c.Option(P.CHAR),
    "option of a record": c.Option(tuple_of(P.U32, P.BOOL, P.U8)),
    "options": c.Option(c.Option(BYTE_PAIR)),
    "two options": tuple_of(c.Option(P.U16), c.Option(c.Flags(labels(9)))),
    "result": c.Result(P.U32, P.BOOL),
    "result of a char": c.Result(P.CHAR, P.U64),
    "result of one kind": c.Result(P.U16, P.U16),
    "variant": variant(P.U8, P.CHAR, None, BYTE_PAIR),
    "variant of ranges": variant(None, P.U32, P.U32, P.U8),
}
SINGLE = {
    "ranges with gaps": variant(P.U32, P.U8, P.U32),
    "257 cases": variant(*(None,) * 256, P.U8),
    "five payloads": variant(P.U8, P.U16, P.U32, P.CHAR, P.BOOL),
    "far": c.Option(tuple_of(P.U64, P.U64, P.U64, P.U64)),
    "88": tuple_of(*(P.U32, P.U8) * 11),
    "string": tuple_of(P.U8, P.STRING),
}


def layout_of(element: Any) -> Layout:
    return Pair(c.CompFuncType((("a", element),), None)).up.of(element)


@pytest.mark.parametrize("name", VECTORS)
def test_lists_beside_the_engine(name: str) -> None:
    element = VECTORS[name]
    layout = layout_of(element)
    assert parts_of(layout) is not None
    both = Both(Pair(c.CompFuncType((("a", c.ListType(element)),), None)))
    rng = random.Random(name)
    for number in range(CALLS):
        count = rng.choice((1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 40))
        wrong = -1
        if number % 2:
            count, wrong = 40, rng.randrange(36)
        memories = filled(both.pair, layout, count, wrong, rng)
        want, got = both.unfused.run(*memories), both.linked.run(*memories)
        assert got == want, (count, wrong, got.detail)
        assert got.reason == want.reason


def filled(pair: Pair, layout: Layout, count: int, wrong: int, rng: random.Random) -> Any:
    """Both memories, the element of a number holding something wrong if it can."""
    caller, callee = images(pair, ([],), None)
    at = caller.alloc(count * layout.size, 8)
    caller.bytes[at : at + count * layout.size] = rng.randbytes(count * layout.size)
    for i in range(count):
        put(caller.bytes, layout, at + i * layout.size, i == wrong, rng)
    caller.put(0, 8, at)
    caller.put(8, 8, count)
    callee.bytes[TARGET : TARGET + ROOM] = rng.randbytes(ROOM)
    callee.put(0x7FF8, 8, (1 << 32) - HEAP + TARGET)
    return caller, callee


def put(memory: bytearray, layout: Layout, at: int, wrong: bool, rng: random.Random) -> None:
    """Writes what must not be at random."""
    match layout.kind:
        case Kind.RECORD:
            for offset, part in layout.fields:
                put(memory, part, at + offset, wrong, rng)
        case Kind.VARIANT:
            case = rng.randrange(len(layout.cases))
            if wrong and len(layout.cases) < 256:
                case = rng.choice((case, len(layout.cases), len(layout.cases), 255))
            memory[at] = case
            payload = layout.cases[case] if case < len(layout.cases) else None
            if payload is not None:
                put(memory, payload, at + layout.payload, wrong, rng)
        case Kind.CHAR:
            good = (0, 0x41, 0xD7FF, 0xE000, 0x10FFFF)
            char = rng.choice((0xD800, 0xDFFF, 0x110000, 0xFFFFFFFF) if wrong else good)
            memory[at : at + 4] = char.to_bytes(4, "little")
        case Kind.BOOL:
            memory[at] = rng.choice((0, 0, 1, 2, 0x80, 0xFF))
        case _:
            pass


@pytest.mark.parametrize("name", SINGLE)
def test_elements_that_vectors_do_not_copy(name: str) -> None:
    assert parts_of(layout_of(SINGLE[name])) is None
