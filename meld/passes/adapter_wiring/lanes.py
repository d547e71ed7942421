"""Elements of lists that are copied several at a time: records, variants and flags without strings, lists or handles.

A vector holds sixteen bytes of elements, whatever they are, and a turn of the loop takes as many vectors as make whole
elements. What is done with a byte depends on where in its element it stands: numbers are copied, flags masked, bools
normalised, chars and discriminants checked. The payload of a case is there only if its discriminant says so; padding
never is. Bytes that are not there keep what the target's memory holds: nothing of the source is seen through them.

Where a value is wrong the loop ends, and the loop over single elements, which follows, traps as it should.

Source: Component Model, CanonicalABI.md: Loading, Storing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from functools import reduce
from math import lcm

from meld.abi.layout import UNCHECKED, Kind, Layout
from meld.ir.types import V128
from meld.passes.adapter_wiring.adapter_module import Body, Side
from meld.support.records import record

VECTOR = 16
MOST_VECTORS = 9
"""Vectors of one turn: elements of 36 bytes take so many."""
LONG_TURN, LONG_TURN_ELEMENTS = 4 * VECTOR, 8
"""Bytes of a turn where little is done with each vector, unless that is too many elements."""
MOST_CASES = 4
"""Payloads that are told apart by discriminants."""

Condition = tuple[int, int, int]
"""Where in the element a discriminant stands, and the first and the last case that it may say."""


@record()
class Part:
    """Bytes of an element that are there under the same conditions, by their offsets.

    Attributes:
        data: byte → the bits of it that are copied.
        bools: bytes that become 0 or 1.
        chars: where chars begin.
        limits: discriminant → its greatest value.
    """

    data: dict[int, int] = field(default_factory=dict)
    bools: set[int] = field(default_factory=set)
    chars: set[int] = field(default_factory=set)
    limits: dict[int, int] = field(default_factory=dict)


Parts = dict[tuple[Condition, ...], Part]


def parts_of(layout: Layout) -> Parts | None:
    """The bytes of an element, by what they depend on; None where elements have to be copied one by one."""
    parts: Parts = {(): Part()}
    turn = lcm(layout.size, VECTOR)
    if turn > MOST_VECTORS * VECTOR or not _spread(layout, 0, (), parts):
        return None
    starts = range(0, turn, layout.size)
    far = any(
        (start + byte) // VECTOR - (start + tag) // VECTOR > 1
        for conditions, part in parts.items()
        for tag, _, _ in conditions
        for byte in part.data
        for start in starts
    )
    return None if far else parts


def _spread(layout: Layout, at: int, conditions: tuple[Condition, ...], parts: Parts) -> bool:
    """Adds the bytes of a value that stands at an offset; False if there is something that vectors cannot copy."""
    part = parts.setdefault(conditions, Part())
    if len(parts) > 1 + MOST_CASES:
        return False
    bits = (1 << 64) - 1
    match layout.kind:
        case Kind.RECORD:
            return all(_spread(one, at + offset, conditions, parts) for offset, one in layout.fields)
        case Kind.FIXED_LIST:
            assert layout.element is not None
            element = layout.element
            return all(_spread(element, at + i * element.size, conditions, parts) for i in range(layout.length))
        case Kind.VARIANT:
            part.data[at], part.limits[at] = 0xFF, len(layout.cases) - 1
            return layout.discriminant == 1 and _spread_cases(layout, at, conditions, parts)
        case Kind.STRING | Kind.LIST | Kind.OWN | Kind.BORROW | Kind.STREAM | Kind.FUTURE | Kind.ERROR_CONTEXT:
            return False
        case Kind.BOOL:
            part.bools.add(at)
        case Kind.CHAR:
            part.chars.add(at)
        case Kind.FLAGS:
            bits = (1 << layout.labels) - 1
        case _:
            assert layout.kind in UNCHECKED
    part.data.update({at + i: bits >> 8 * i & 0xFF for i in range(layout.size)})
    return True


def _spread_cases(layout: Layout, at: int, conditions: tuple[Condition, ...], parts: Parts) -> bool:
    groups: dict[int, list[int]] = {}
    for number, case in enumerate(layout.cases):
        if case is not None:
            groups.setdefault(id(case), []).append(number)
    for numbers in groups.values():
        case, first, last = layout.cases[numbers[0]], numbers[0], numbers[-1]
        assert case is not None
        if last - first + 1 != len(numbers):
            return False
        condition = () if len(numbers) == len(layout.cases) else ((at, first, last),)
        if not _spread(case, at + layout.payload, conditions + condition, parts):
            return False
    return True


def copy_in_vectors(body: Body, source: Side, target: Side, layout: Layout, parts: Parts) -> None:
    """Writes the loop: from ``$from``, up to ``$end``, to ``$to``, as many turns as there are; moves both."""
    p, q = source.pointer.value, target.pointer.value
    turn = lcm(layout.size, VECTOR)
    if len(parts) == 1 and turn == VECTOR and LONG_TURN_ELEMENTS * layout.size >= LONG_TURN:
        turn = LONG_TURN
    writer = _Writer(body, source, target, layout.size, parts)
    with body.block("block $single"), body.block("loop $turn"):
        body.emit(f"({p}.lt_u ({p}.sub (local.get $end) (local.get $from)) ({p}.const {turn}))")
        body.emit("br_if $single")
        before = ""
        for first in range(0, turn, VECTOR):
            before = writer.vector(first, before)
        body.emit(f"(local.set $from ({p}.add (local.get $from) ({p}.const {turn})))")
        body.emit(f"(local.set $to ({q}.add (local.get $to) ({q}.const {turn})))")
        body.emit("br $turn")


@record()
class _Writer:
    """Writes what one turn does with each vector, for elements of so many bytes."""

    body: Body
    source: Side
    target: Side
    size: int
    parts: Parts

    def vector(self, first: int, before: str) -> str:
        """The vector whose bytes begin at an offset, and the expression of the one before it; returns its own."""
        found = self._kept(f"(v128.load {self.source.memory}{_offset(first)} align=1 (local.get $from))")
        present: list[str] = []
        wrong: list[str] = []
        value = found
        always = self._bytes(first, _is_there, ())
        for conditions in self.parts:
            there = ""
            if conditions:
                where = self._bytes(first, _is_there, conditions)
                if not any(where):
                    continue
                there = self._kept(self._there(first, before or found, found, where, conditions))
                present.append(there)
            wrong += [_both(test, there) for test in self._wrong(first, found, conditions)]
            changed = self._changed(first, found, conditions)
            if changed and there:
                value = f"(v128.bitselect {changed} {value} {there})"
            elif changed:
                value = changed
        if wrong:
            self.body.emit(f"(v128.any_true {_any(wrong)})")
            self.body.emit("br_if $single")
        place = f"{self.target.memory}{_offset(first)} align=1"
        if not all(always):
            kept = f"(v128.load {place} (local.get $to))"
            value = f"(v128.bitselect {value} {kept} {_any([_constant(always), *present])})"
        self.body.emit(f"(v128.store {place} (local.get $to) {value})")
        return found

    def _bytes(self, first: int, of: Callable[[Part, int], int], conditions: tuple[Condition, ...]) -> list[int]:
        """For each byte of a vector what a function says of the byte of the element."""
        return [of(self.parts[conditions], byte % self.size) for byte in range(first, first + VECTOR)]

    def _there(self, first: int, before: str, found: str, where: list[int], conditions: tuple[Condition, ...]) -> str:
        """Those of some bytes whose discriminants say that they are there."""
        tests = [_constant(where)]
        for tag, low, high in conditions:
            lanes = []
            for byte, here in enumerate(where, first):
                position = byte - byte % self.size + tag - (first - VECTOR)
                lanes.append(position if here else 0)
            tags = f"(i8x16.shuffle {' '.join(map(str, lanes))} {before} {found})"
            if low == high:
                tests.append(f"(i8x16.eq {tags} {_splat(low)})")
                continue
            tests += [f"(i8x16.ge_u {tags} {_splat(low)})"] if low else []
            tests.append(f"(i8x16.le_u {tags} {_splat(high)})")
        return reduce(lambda a, b: f"(v128.and {a} {b})", tests)

    def _wrong(self, first: int, found: str, conditions: tuple[Condition, ...]) -> list[str]:
        """Lanes that hold no value: discriminants beyond the last case, chars that are none."""
        tests = []
        limits = self._bytes(first, lambda part, byte: part.limits.get(byte, 0xFF), conditions)
        if any(limit < 0xFF for limit in limits):
            tests.append(f"(i8x16.gt_u {found} {_constant(limits)})")
        chars = self._bytes(first, lambda part, byte: 0xFF if byte - byte % 4 in part.chars else 0, conditions)
        if any(chars):
            rank = f"(i32x4.sub (v128.xor {found} {_words(0xD800)}) {_words(0x800)})"
            tests.append(_both(f"(i32x4.ge_u {rank} {_words(0x10F800)})", _constant(chars)))
        return tests

    def _changed(self, first: int, found: str, conditions: tuple[Condition, ...]) -> str:
        """The bytes as they are stored, if they are not stored as they are found."""
        bools = self._bytes(first, lambda part, byte: int(byte in part.bools), conditions)
        bits = self._bytes(first, lambda part, byte: 0 if byte in part.bools else part.data.get(byte, 0xFF), conditions)
        masked = found if min(bits) == 0xFF else _both(found, _constant(bits))
        if not any(bools):
            return "" if masked is found else masked
        ones = _both(f"(i8x16.ne {found} {_splat(0)})", _constant(bools))
        return f"(v128.or {masked} {ones})" if any(bits) else ones

    def _kept(self, value: str) -> str:
        """A vector in a local of its own."""
        local = self.body.local(V128)
        self.body.emit(f"(local.set {local} {value})")
        return f"(local.get {local})"


def _is_there(part: Part, byte: int) -> int:
    return 0xFF if byte in part.data else 0


def _constant(lanes: Iterable[int]) -> str:
    return f"(v128.const i8x16 {' '.join(map(str, lanes))})"


def _splat(byte: int) -> str:
    return _constant([byte] * VECTOR)


def _words(word: int) -> str:
    return f"(v128.const i32x4 {' '.join([str(word)] * 4)})"


def _both(a: str, b: str) -> str:
    return f"(v128.and {a} {b})" if b else a


def _any(vectors: list[str]) -> str:
    return reduce(lambda a, b: f"(v128.or {a} {b})", vectors)


def _offset(first: int) -> str:
    return f" offset={first}" if first else ""
