"""What the bytes of a memory mean: lifting after the text of the specification, as an oracle beside the engine.

Lifting is that of `meld.runtime.lifting`, which shares nothing with the adapters under test. Values come out in one
form whatever the encoding and the width of addresses, so that what one side sent can be compared with what the other
side got.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapter_pairs import ARGUMENTS, RECEIVED, RESULTS, Form, Pair

from meld.abi.layout import MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Layout, Layouts
from meld.ir.types import F32, F64, I32, I64, FuncType, NumType, ValType
from meld.runtime.canonical import Side, trap_if
from meld.runtime.lifting import lift_flat, load
from meld.runtime.streams import HostTrap

_BITS = {I32: 32, I64: 64, F32: 32, F64: 64}


@dataclass(frozen=True)
class Memory:
    """One side's memory and how it represents values."""

    form: Form
    bytes: bytes

    @property
    def side(self) -> Side:
        return Side(lambda: memoryview(self.bytes), self.form.pointer, self.form.encoding)

    def number(self, at: int, size: int) -> int:
        return int.from_bytes(self.bytes[at : at + size], "little")

    def area(self, layout: Layout, at: int) -> Any:
        """A value that lies at an address that core code gave."""
        return load(self.side, layout, self.side.check_area(layout, at))

    def lift(self, layout: Layout, cores: list[int]) -> Any:
        """A value in core values, which are taken from the front of the list; as unsigned bits."""
        return lift_flat(self.side, layout, cores)


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
    except HostTrap:
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
    trap_if(out % up.align != 0 or out + up.size > len(caller.bytes), "no place for the result")
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
