"""What the bytes of a memory mean: lifting after the text of the specification, as an oracle beside the engine.

Source: Component Model, CanonicalABI.md: Loading, Flat Lifting. Values come out in one form whatever the encoding and
the width of addresses, so that what one side sent can be compared with what the other side got.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapter_pairs import ARGUMENTS, RECEIVED, RESULTS, Form, Pair

from meld.abi.layout import MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Kind, Layout, Layouts
from meld.ir.types import F32, F64, I32, I64, FuncType, NumType, ValType

MAX_BYTES = (1 << 28) - 1
_UNSIGNED = {Kind.U8: 8, Kind.U16: 16, Kind.U32: 32, Kind.U64: 64, Kind.F32: 32, Kind.F64: 64}
_SIGNED = {Kind.S8: 8, Kind.S16: 16, Kind.S32: 32, Kind.S64: 64}
_BITS = {I32: 32, I64: 64, F32: 32, F64: 64}


class Trapped(Exception):
    """Lifting traps."""


def trap_if(condition: bool) -> None:
    if condition:
        raise Trapped


@dataclass(frozen=True)
class Memory:
    """One side's memory and how it represents values."""

    form: Form
    bytes: bytes

    @property
    def width(self) -> int:
        return 8 if self.form.pointer is I64 else 4

    def number(self, at: int, size: int) -> int:
        return int.from_bytes(self.bytes[at : at + size], "little")

    def area(self, layout: Layout, at: int) -> Any:
        """A value that lies at an address that core code gave."""
        trap_if(at % layout.align != 0 or at + layout.size > len(self.bytes))
        return self.load(layout, at)

    def load(self, layout: Layout, at: int) -> Any:
        """A value in memory."""
        match layout.kind:
            case Kind.RECORD:
                return tuple(self.load(part, at + offset) for offset, part in layout.fields)
            case Kind.FIXED_LIST:
                assert layout.element is not None
                return tuple(self.load(layout.element, at + i * layout.element.size) for i in range(layout.length))
            case Kind.VARIANT:
                case = self.number(at, layout.discriminant)
                trap_if(case >= len(layout.cases))
                inner = layout.cases[case]
                return (case, None if inner is None else self.load(inner, at + layout.payload))
            case Kind.STRING | Kind.LIST:
                return self._range(layout, self.number(at, self.width), self.number(at + self.width, self.width))
            case _:
                return _scalar(layout, self.number(at, layout.size))

    def lift(self, layout: Layout, cores: list[int]) -> Any:
        """A value in core values, which are taken from the front of the list; as unsigned bits."""
        match layout.kind:
            case Kind.RECORD:
                return tuple(self.lift(part, cores) for _, part in layout.fields)
            case Kind.FIXED_LIST:
                assert layout.element is not None
                return tuple(self.lift(layout.element, cores) for _ in range(layout.length))
            case Kind.VARIANT:
                case, joined = cores[0], cores[1 : len(layout.flat)]
                del cores[: len(layout.flat)]
                case &= 0xFFFFFFFF
                trap_if(case >= len(layout.cases))
                inner = layout.cases[case]
                if inner is None:
                    return (case, None)
                return (case, self.lift(inner, [x & _mask(t) for x, t in zip(joined, inner.flat, strict=False)]))
            case Kind.STRING | Kind.LIST:
                return self._range(layout, cores.pop(0), cores.pop(0))
            case _:
                return _scalar(layout, cores.pop(0))

    def _range(self, layout: Layout, at: int, length: int) -> Any:
        if layout.kind is Kind.LIST:
            element = layout.element
            assert element is not None
            trap_if(length * element.size > MAX_BYTES)
            trap_if(at % element.align != 0 or at + length * element.size > len(self.bytes))
            return [self.load(element, at + i * element.size) for i in range(length)]
        tag = 1 << (8 * self.width - 1)
        encoding, unit, align = {
            "utf8": ("utf-8", 1, 1),
            "utf16": ("utf-16-le", 2, 2),
            "latin1+utf16": ("utf-16-le", 2, 2) if length & tag else ("latin-1", 1, 2),
        }[self.form.encoding]
        if self.form.encoding == "latin1+utf16":
            length &= ~tag
        trap_if(length * unit > MAX_BYTES or at % align != 0 or at + length * unit > len(self.bytes))
        try:
            return self.bytes[at : at + length * unit].decode(encoding)
        except UnicodeError:
            raise Trapped from None


def _mask(core: NumType) -> int:
    return (1 << _BITS[core]) - 1


def _scalar(layout: Layout, bits: int) -> Any:
    kind = layout.kind
    if kind in _UNSIGNED:
        return bits & ((1 << _UNSIGNED[kind]) - 1)
    if kind in _SIGNED:
        half = 1 << (_SIGNED[kind] - 1)
        return ((bits & (2 * half - 1)) ^ half) - half
    match kind:
        case Kind.BOOL:
            return bits & 0xFFFFFFFF != 0
        case Kind.CHAR:
            trap_if(bits >= 0x110000 or 0xD800 <= bits <= 0xDFFF)
            return chr(bits)
        case Kind.FLAGS:
            return bits & ((1 << layout.labels) - 1)
    raise TypeError(kind)


@dataclass(frozen=True)
class Expected:
    """What a call passes on, or that it traps. `large`: it moves so much that the test's heap may not hold it."""

    trap: bool
    large: bool = False
    arguments: Any = None
    result: Any = None


def expected(pair: Pair, caller: Memory, callee: Memory) -> Expected:
    """What the specification says of a call, from the caller's memory before and the callee's after its core code."""
    try:
        arguments = _arguments(caller, pair.up, pair.lower, pair, ARGUMENTS)
        result = None if pair.type.result is None else _returned(pair, caller, callee)
    except Trapped:
        return Expected(True)
    return Expected(False, _size((arguments, result)) > 2000, arguments, result)


def received_arguments(pair: Pair, callee: Memory) -> Any:
    """The arguments, from the callee's memory after the call."""
    return _arguments(callee, pair.down, pair.lift, pair, RECEIVED)


def _arguments(memory: Memory, layouts: Layouts, core: FuncType, pair: Pair, at: int) -> Any:
    """The arguments, from the core values of one side, which lie at an address."""
    params = layouts.tuple_of(t for _, t in pair.type.params)
    cores = _cores(memory, core.params, at)
    return memory.area(params, cores[0]) if len(params.flat) > MAX_FLAT_PARAMS else memory.lift(params, cores)


def _returned(pair: Pair, caller: Memory, callee: Memory) -> Any:
    """The result, from what the callee returns; traps also if the caller has no place for it."""
    down, up = pair.down.of(pair.type.result), pair.up.of(pair.type.result)
    cores = _cores(callee, pair.lift.results, RESULTS)
    if len(down.flat) <= MAX_FLAT_RESULTS:
        return callee.lift(down, cores)
    out = _cores(caller, pair.lower.params, ARGUMENTS)[-1]
    trap_if(out % up.align != 0 or out + up.size > len(caller.bytes))
    return callee.area(down, cores[0])


def received_result(pair: Pair, caller: Memory) -> Any:
    """The result, from the caller's memory after the call."""
    if pair.type.result is None:
        return None
    up = pair.up.of(pair.type.result)
    if len(up.flat) <= MAX_FLAT_RESULTS:
        return caller.lift(up, _cores(caller, pair.lower.results, RECEIVED))
    return caller.area(up, _cores(caller, pair.lower.params, ARGUMENTS)[-1])


def _cores(memory: Memory, types: tuple[ValType, ...], at: int) -> list[int]:
    return [memory.number(at + 8 * i, _BITS[t] // 8) for i, t in enumerate(types) if isinstance(t, NumType)]


def _size(value: Any) -> int:
    """How many characters and elements a value has."""
    if isinstance(value, str):
        return len(value)
    return sum(map(_size, value), len(value)) if isinstance(value, list | tuple) else 1
