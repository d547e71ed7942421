"""Large worlds, at random: long runs of calls on many streams or futures, the compiled shims against the model."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import wasmtime
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proofs.mutants import WRONG
from proofs.replay import signed
from proofs.running import function, memory
from proofs.subject import Shape, build
from specs.stream_model import LOCAL, WRITABLE, Caller, Futures, Streams, Trap

PAGES = 2
SIZE = PAGES << 16
EXAMPLES = max(40, int(os.environ.get("MELD_CASES", "0")) // 100)
"""Runs of each shape; ``MELD_CASES=20000`` makes 200."""

CODES = {"drop_readable", "drop_writable"}
"""Operations that return nothing."""


class Machine(RuleBasedStateMachine):
    """One program and one model, called in step. The subclasses below give it a shape."""

    shape = Shape()
    text: str | None = None

    @initialize(seed=st.binary(min_size=8, max_size=8))
    def start(self, seed: bytes) -> None:
        self.host_calls: list[tuple[str, tuple[int, ...]]] = []
        self.model_calls: list[tuple[str, tuple[int, ...]]] = []
        engine, module = program(self.shape, self.text)
        self.store = wasmtime.Store(engine)
        imports = [self._host(item) for item in module.imports]
        self.exports = wasmtime.Instance(self.store, module, imports).exports(self.store)
        self.memory = memory(self.exports, "memory")
        self.memory.grow(self.store, PAGES)
        content = bytes((seed[a % 8] + a * 31 + (a >> 8)) & 0xFF for a in range(4096)) * (SIZE // 4096)
        self.memory.write(self.store, content, 0)
        self.caller = Caller(bytearray(content), self.shape.whole, self.shape.unit, self.shape.size)
        shape = self.shape
        self.model: Streams | Futures = (
            Streams(shape.slots, shape.ring, self._model_host)
            if shape.kind == "stream"
            else Futures(shape.slots, self._model_host)
        )
        self.handles: list[int] = []
        self.new()

    def _host(self, item: Any) -> wasmtime.Func:
        def called(*arguments: int) -> int | None:
            self.host_calls.append((item.name, tuple(a & 0xFFFFFFFF for a in arguments)))
            return len(self.host_calls) if item.type.results else None

        return wasmtime.Func(self.store, item.type, called)

    def _model_host(self, operation: str, *arguments: int) -> int:
        self.model_calls.append((operation, arguments))
        return len(self.model_calls)

    def both(self, name: str, *arguments: int) -> int | None:
        """Calls shim and model, and compares; the result, or None for a trap."""
        first = (self.caller,) if name in ("read", "write") else ()
        try:
            wanted, model_trapped = getattr(self.model, name)(*first, *arguments), False
        except Trap:
            wanted, model_trapped = None, True
        shim = function(self.exports, f"{self.shape.kind}_{name}")
        try:
            result, trapped = shim(self.store, *map(signed, arguments)), False
        except wasmtime.Trap:
            result, trapped = None, True
        assert trapped == model_trapped, (name, arguments)
        if name == "new" and result is not None:
            result %= 1 << 64
        if name not in CODES:
            assert result == wanted, (name, arguments)
        return result

    @rule()
    def new(self) -> None:
        both_ends = self.both("new")
        assert both_ends is not None
        self.handles += [both_ends & 0xFFFFFFFF, both_ends >> 32]

    def pick(self, which: int) -> int:
        """A handle, those made last being likelier."""
        return self.handles[-1 - which % min(len(self.handles), 24)]

    handle = st.integers(0, 23)
    pointer = st.one_of(st.integers(0, SIZE), st.integers(SIZE - 40, SIZE + 40), st.integers(0, 2**32 - 1))
    length = st.one_of(
        st.integers(0, 40), st.sampled_from([4092, 4095, 4096, 4097, 2**31, 2**32 - 1]), st.integers(0, 9000)
    )

    @rule(which=handle, pointer=st.integers(0, SIZE - 70), length=st.integers(0, 70), writing=st.booleans())
    def flow(self, which: int, pointer: int, length: int, writing: bool) -> None:
        """What programs do most of the time: the right end, a place in memory."""
        arguments = (
            (pointer, length * max(1, self.shape.ring // 64), 0) if self.shape.kind == "stream" else (pointer, 0)
        )
        handle = self.pick(which)
        if handle >= LOCAL:
            handle = handle | WRITABLE if writing else handle & ~WRITABLE
        self.both("write" if writing else "read", handle, *arguments)

    @rule(which=handle, lengths=st.lists(st.integers(1, 64), min_size=2, max_size=6))
    def run_through(self, which: int, lengths: list[int]) -> None:
        """Writes and reads in turn, so that the cursors go round the ring."""
        for length in lengths:
            self.flow(which, 1000, length, True)
            self.flow(which, 3000, length - 1, False)

    @rule(which=handle, pointer=pointer, length=length, mem=st.integers(0, 3), writing=st.booleans())
    def transfer(self, which: int, pointer: int, length: int, mem: int, writing: bool) -> None:
        arguments = (pointer, length, mem) if self.shape.kind == "stream" else (pointer, mem)
        self.both("write" if writing else "read", self.pick(which), *arguments)

    @rule(which=handle, name=st.sampled_from(["cancel_read", "cancel_write", "drop_readable", "drop_writable"]))
    def end(self, which: int, name: str) -> None:
        self.both(name, self.pick(which))

    @rule(which=handle, bit=st.integers(0, 31), name=st.sampled_from(["cancel_read", "cancel_write", "drop_readable"]))
    def forge(self, which: int, bit: int, name: str) -> None:
        self.both(name, self.pick(which) ^ 1 << bit)

    @rule(
        handle=st.sampled_from([0, 1, LOCAL, LOCAL | WRITABLE, LOCAL - 1, 0xFFFFFFFF]),
        name=st.sampled_from(["cancel_read", "cancel_write", "drop_readable", "drop_writable"]),
    )
    def invent(self, handle: int, name: str) -> None:
        self.both(name, handle)

    @rule(which=handle, bit=st.integers(0, 31), writing=st.booleans())
    def forge_transfer(self, which: int, bit: int, writing: bool) -> None:
        arguments = (16, 100, 0) if self.shape.kind == "stream" else (16, 0)
        self.both("write" if writing else "read", self.pick(which) ^ 1 << bit, *arguments)

    @rule(readable=st.booleans(), which=handle)
    def close_both(self, readable: bool, which: int) -> None:
        """The way to reuse: both ends of one stream, in either order, whatever the state they are in."""
        handle = self.pick(which)
        ends = [("drop_readable", handle & ~WRITABLE), ("drop_writable", handle | WRITABLE)]
        for name, one in ends if readable else reversed(ends):
            self.both(name, one)

    @invariant()
    def memories_are_the_same(self) -> None:
        if hasattr(self, "caller"):
            assert self.memory.read(self.store) == self.caller.memory
            assert self.host_calls == self.model_calls


@cache
def program(shape: Shape, text: str | None = None) -> tuple[wasmtime.Engine, wasmtime.Module]:
    """The program of a shape, or of a mutant of its template, compiled once."""
    config = wasmtime.Config()
    config.wasm_multi_memory = True
    engine = wasmtime.Engine(config)
    return engine, wasmtime.Module(engine, build(shape, text).binary)


def run(shape: Shape, text: str | None = None, **options: Any) -> None:
    """Runs the machine on a shape."""
    case = type("Machine", (Machine,), {"shape": shape, "text": text}).TestCase
    checks = list(HealthCheck)
    case.settings = settings(deadline=None, suppress_health_check=checks, derandomize=True, database=None, **options)
    case("runTest").runTest()


@pytest.mark.parametrize(
    "shape",
    [
        Shape(),
        Shape(slots=3, ring=64),
        Shape(slots=3, ring=64, whole=12, unit=12),
        Shape(slots=2, ring=256, whole=4, unit=20),
        Shape(kind="future", slots=3, ring=4, size=20, value=24),
        Shape(kind="future", slots=3, ring=4, size=0, value=8),
    ],
    ids=str,
)
def test_long_runs(shape: Shape) -> None:
    run(shape, max_examples=EXAMPLES, stateful_step_count=60)


@pytest.mark.parametrize("name", ["read-cursor-first", "drop-twice", "drop-stays-live", "write-second-from-start"])
def test_an_error_is_found(name: str) -> None:
    (mutant,) = (m for m in WRONG if m.name == name)
    mutant = replace(mutant, shape=Shape(slots=3, ring=64))
    with pytest.raises((AssertionError, ExceptionGroup)):
        run(mutant.shape, mutant.text(), max_examples=200, stateful_step_count=60, phases=[Phase.generate])
