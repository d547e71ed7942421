"""Random operations on streams, futures and waitable sets: the generated functions against the model."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
import wasmtime
from channels_engine import Engine, engine, text
from smith import wasm_tools
from wasmtime.component import Component

import meld
import meld.passes.emit_tasks.rendezvous as rendezvous_of_pass
from proofs.runtime.program import ELEMENTS, Machine, build
from specs.channel_model import BLOCKED, INNER, PAGE, Element, End, Instance, Set, Trapped, transfer

SEQUENCES = int(os.environ.get("CHANNEL_SEQUENCES", "400"))
OPERATIONS = 80
TRAPS = (wasmtime.Trap, wasmtime.WasmtimeError)
SHAPES = [(1, ["none", "u8"]), (2, ["u8", "u32", "bool"]), (3, ["none", "u8", "u32", "f64", "bool"])]
"""Instances and element types of the modules."""


@cache
def module(instances: int, elements: tuple[str, ...]) -> tuple[wasmtime.Engine, wasmtime.Module]:
    config = wasmtime.Config()
    config.wasm_multi_memory = True
    engine = wasmtime.Engine(config)
    return engine, wasmtime.Module(engine, build(instances, list(elements)))


@dataclass
class Play:
    """One sequence of operations, made up on the way from what the model says is there."""

    seed: int
    instances: int
    elements: list[str]
    random: random.Random = field(init=False)
    model: list[Instance] = field(init=False)
    machine: Any = field(init=False)
    log: list[str] = field(default_factory=list)
    syncs: ClassVar[bool] = True
    """Whether synchronous operations are called, too."""
    in_order: ClassVar[bool] = True
    """Whether the machine delivers the events of a set in the order in which they came, as the model does."""

    def _other_check(self, want: str, got: str) -> bool:
        """Whether the machine has found another thing wrong than the model, which it may look at first."""
        return False

    @property
    def careless(self) -> bool:
        """Whether the sequence may do what traps; every second one does not."""
        return bool(self.seed % 2)

    def _slips(self, chance: float) -> bool:
        return self.careless and self.random.random() < chance

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.model = [Instance() for _ in range(self.instances)]
        self.machine = self._machine()
        for i, instance in enumerate(self.model):
            data = self._filling(i)
            instance.memory[: len(data)] = data
            self.machine.poke(i, 0, data)

    def _machine(self) -> Any:
        return Machine(*module(self.instances, tuple(self.elements)))

    def _filling(self, i: int) -> bytes:
        return self.random.randbytes(1024)

    def run(self) -> str | None:
        """Plays to the end or to a trap, and returns that; fails where model and machine differ."""
        for _ in range(OPERATIONS):
            trap = self._step()
            if trap is not None:
                return trap
        for i, instance in enumerate(self.model):
            found = self.machine.memory(i)
            assert found == bytes(instance.memory[: len(found)]), (self.seed, self.log)
        return None

    def _step(self) -> str | None:
        name, args, expected = self.random.choices(
            [
                self._new,
                self._copy,
                self._cancel,
                self._drop,
                self._pass,
                self._set,
                self._join,
                self._poll,
                self._rogue,
            ],
            [5, 30, 8, 7, 6, 2, 8, 14, self.careless],
        )[0]()
        if name is None:
            return None
        self.log.append(f"{name} {args}")
        try:
            want: Any = expected()
        except Trapped as reason:
            want = reason
        try:
            got: Any = self.machine.call(name, *args)
        except TRAPS as trap:
            got = trap
        where = (self.seed, self.log[-12:])
        if isinstance(want, Trapped):
            assert isinstance(got, TRAPS), (f"no trap, but {got}: {want}", *where)
            assert str(want) in str(got) or self._other_check(str(want), str(got)), (str(want), str(got), *where)
            return str(want)
        assert not isinstance(got, TRAPS), (want, str(got), *where)
        assert got == (want or 0), (f"want {want}, got {got}", *where)
        return None

    # --- operations: the name of the export, its arguments, and what the model does

    def _held(self, wanted: Callable[[Any], bool]) -> tuple[int, int, Any] | None:
        found = [
            (i, handle, item)
            for i, instance in enumerate(self.model)
            for handle, item in enumerate(instance.table)
            if item is not None and wanted(item)
        ]
        return self.random.choice(found) if found else None

    def _type(self) -> tuple[str, bool, Element]:
        name = self.random.choice(self.elements)
        return name, self.random.random() < 0.35, ELEMENTS[name][1]

    def _new(self) -> Any:
        i = self.random.randrange(self.instances)
        name, future, element = self._type()
        return f"{i} {_kind(future)}.new {name}", (), lambda: self.model[i].new(future, element)

    def _copy(self) -> Any:
        found = self._held(lambda item: isinstance(item, End) and (_copyable(self.model, item) or self._slips(0.02)))
        if found is None:
            return None, (), None
        i, handle, end = found
        write = end.writable ^ self._slips(0.005)
        return self._copy_of(i, handle, write, end.channel.future, end.channel.element)

    def _copy_of(self, i: int, handle: int, write: bool, future: bool, element: Element) -> Any:
        count = 1 if future else self.random.choice([0, 0, 1, 1, 2, 3, 5, 17, 40])
        address = self.random.randrange(64) * 8
        if self._slips(0.004):
            # the engine looks at the alignment only when something is copied
            odd = address + self.in_order
            address = self.random.choice([PAGE - 8, PAGE, PAGE + 8, (1 << 32) - 8, odd])
        elif self._slips(0.003) and not future:
            count = self.random.choice([(1 << 28) - 1, 1 << 28, (1 << 32) - 1])
        sync = (
            self.syncs
            and self.random.random() < 0.2
            and (self._slips(0.05) or self._answers_at_once(i, handle, write, count))
        )
        args = (handle, address) if future else (handle, address, count)
        name = f"{i} {_kind(future)}.{'write' if write else 'read'} {element.name}" + " sync" * sync

        def copied() -> int:
            instance = self.model[i]
            result = instance.copy(write, future, element, handle, address, count)
            if sync and result == BLOCKED:
                if instance.table[handle].set:
                    raise Trapped("waitable cannot be used synchronously while added to a waitable set")
                raise Trapped("deadlock detected: event loop cannot make further progress")
            return result

        return name, args, copied

    def _answers_at_once(self, i: int, handle: int, write: bool, count: int) -> bool:
        table = self.model[i].table
        end = table[handle] if handle < len(table) else None
        if not isinstance(end, End):
            return True
        other = end.other
        return other.dropped or (other.buffer is not None and (other.buffer.left > 0 or (write and count == 0)))

    def _cancel(self) -> Any:
        found = self._held(lambda item: isinstance(item, End) and (item.busy or self._slips(0.01)))
        if found is None:
            return None, (), None
        i, handle, end = found
        return self._cancel_of(i, handle, end.writable, end.channel.future, end.channel.element, bool(end.set))

    def _cancel_of(self, i: int, handle: int, write: bool, future: bool, element: Element, asynchronous: bool) -> Any:
        sync = self.syncs and (self._slips(0.01) if asynchronous else self.random.random() < 0.5)
        name = f"{i} {_kind(future)}.cancel-{'write' if write else 'read'} {element.name}" + " sync" * sync
        return name, (handle,), lambda: self.model[i].cancel(write, future, element, handle, sync)

    def _drop(self) -> Any:
        found = self._held(lambda item: isinstance(item, End) and (_droppable(item) or self._slips(0.01)))
        if found is None:
            return None, (), None
        i, handle, end = found
        return self._drop_of(i, handle, end.writable, end.channel.future, end.channel.element)

    def _drop_of(self, i: int, handle: int, write: bool, future: bool, element: Element) -> Any:
        name = f"{i} {_kind(future)}.drop-{'writable' if write else 'readable'} {element.name}"
        return name, (handle,), lambda: self.model[i].drop(write, future, element, handle)

    def _pass(self) -> Any:
        found = self._held(lambda item: isinstance(item, End) and (_passable(item) or self._slips(0.01)))
        if found is None:
            return None, (), None
        i, handle, end = found
        target = self.random.randrange(self.instances)
        if target == i and not self.in_order:  # a component cannot call itself
            return None, (), None
        channel = end.channel
        number = types(self.elements)[channel.element.name, channel.future]
        return (
            f"pass.{i}.{target}",
            (number, handle),
            lambda: transfer(self.model[i], self.model[target], channel.future, channel.element, handle),
        )

    def _set(self) -> Any:
        found = self._held(lambda item: isinstance(item, Set) and (not item.members or self._slips(0.02)))
        if found is not None and self.random.random() < 0.4:
            i, handle, _ = found
            return f"{i} waitable-set.drop", (handle,), lambda: self.model[i].set_drop(handle)
        i = self.random.randrange(self.instances)
        return f"{i} waitable-set.new", (), self.model[i].set_new

    def _join(self) -> Any:
        found = self._held(lambda item: isinstance(item, End))
        if found is None:
            return None, (), None
        i, handle, _ = found
        sets = [h for h, item in enumerate(self.model[i].table) if isinstance(item, Set)]
        target = self.random.choice([0, *sets, *sets, *sets])
        return f"{i} waitable.join", (handle, target), lambda: self.model[i].join(handle, target)

    def _poll(self) -> Any:
        most = 99 if self.in_order else 1
        found = self._held(
            lambda item: (
                isinstance(item, Set)
                and (0 < len(item.ready) <= most or (not item.ready and self.random.random() < 0.2))
            )
        )
        if found is None:
            return None, (), None
        i, handle, _ = found
        address = 2048 + self.random.randrange(16) * 8
        if self._slips(0.003):
            address = self.random.choice([2049, PAGE - 4, PAGE, (1 << 32) - 4])
        return f"{i} waitable-set.poll", (handle, address), lambda: self.model[i].poll(handle, address)

    def _rogue(self) -> Any:
        """A handle that is none, or is one of something else."""
        i, handle = self.random.randrange(self.instances), self.random.choice([0, 1, 2, 3, 4, 5, 9, (1 << 32) - 1])
        name, future, element = self._type()
        write = self.random.random() < 0.5
        match self.random.randrange(6):
            case 0:
                return self._copy_of(i, handle, write, future, element)
            case 1:
                return self._cancel_of(i, handle, write, future, element, True)
            case 2:
                return self._drop_of(i, handle, write, future, element)
            case 3:
                return f"{i} waitable.join", (handle, 0), lambda: self.model[i].join(handle, 0)
            case 4:
                return f"{i} waitable-set.poll", (handle, 2048), lambda: self.model[i].poll(handle, 2048)
            case _ if self.in_order:
                number = types(self.elements)[name, future]
                return (
                    f"pass.{i}.0",
                    (number, handle),
                    lambda: transfer(self.model[i], self.model[0], future, element, handle),
                )
            case _:
                return None, (), None


def types(elements: list[str]) -> dict[tuple[str, bool], int]:
    """The numbers of the readable ends' types, in the order in which they are declared."""
    return {
        (name, future): (1 << (19 if future else 18)) + 2 * place
        for place, name in enumerate(elements)
        for future in (False, True)
    }


def _kind(future: bool) -> str:
    return "future" if future else "stream"


def _copyable(model: list[Instance], end: End) -> bool:
    if end.busy or end.done or (end.channel.future and end.channel.written):
        return False
    if end.channel.element.numeric or end.other.buffer is None:
        return True
    return not any(end in instance.table and end.other in instance.table for instance in model)


def _droppable(end: End) -> bool:
    return not end.busy and (not (end.channel.future and end.writable) or end.done or end.channel.written)


def _passable(end: End) -> bool:
    return not (end.writable or end.busy or end.done or end.set or end.channel.written)


@dataclass
class EnginePlay(Play):
    """The same sequence in the engine's own components."""

    in_order: ClassVar[bool] = False

    def _other_check(self, want: str, got: str) -> bool:
        """The engine looks whether an end is busy before it looks which end it is."""
        return "is not a" in want and "end of a" in want and "busy" in got

    def _machine(self) -> Any:
        return InEngine(Engine(components(self.instances, tuple(self.elements))), self.elements)


@cache
def components(instances: int, elements: tuple[str, ...]) -> Any:
    """The component, compiled."""
    return Component(engine(), binary(instances, elements))


@cache
def binary(instances: int, elements: tuple[str, ...]) -> bytes:
    """The component."""
    return wasm_tools("parse", data=text(instances, {name: TYPES.get(name, f" {name}") for name in elements}).encode())


TYPES = {
    "none": "",
    "bytes": " (list u8)",
    "maybe": " (option u32)",
    "pair": " (tuple u8 u32)",
    "ends": " $U8",
    "char": " (tuple char)",
}
"""How element types stand in the text of a component, where that is not their name."""


class InEngine:
    """What a `Machine` is, for a component."""

    def __init__(self, engine: Engine, elements: list[str]) -> None:
        self.engine = engine
        self.by_number = {number: key for key, number in types(elements).items()}

    def call(self, name: str, *args: int) -> int:
        if name.startswith("pass."):
            _, source, target = name.split(".")
            element, future = self.by_number[args[0]]
            i, j = int(source), int(target)
            way = f"from-{i}" if i < j else f"to-{j}"
            return self.engine.invoke(max(i, j), f"{_kind(future)}-{way}-{element}", args[1])
        i, export = name.split(" ", 1)
        return self.engine.invoke(int(i), export.replace(".", "-").replace(" ", "-"), *args)

    def poke(self, i: int, address: int, data: bytes) -> None:
        for place in range(0, len(data), 8):
            self.engine.invoke(i, "poke", address + place, int.from_bytes(data[place : place + 8], "little"))

    def memory(self, i: int) -> bytes:
        words = (self.engine.invoke(i, "peek", address) for address in range(0, SEEN, 8))
        return b"".join(word.to_bytes(8, "little") for word in words)


@pytest.mark.parametrize("instances,elements", SHAPES)
def test_the_model_is_the_engine(instances: int, elements: list[str]) -> None:
    """The model does what the engine does, so that what agrees with the model agrees with the engine."""
    for seed in range(SEQUENCES // 10):
        EnginePlay(seed, instances, elements).run()


class Fused:
    """What a `Machine` is, for what the compiler makes of the component."""

    def __init__(self, machine: Machine, elements: list[str]) -> None:
        self.machine = machine
        self.by_number = {number: key for key, number in types(elements).items()}

    def call(self, name: str, *args: int) -> int:
        if name.startswith("pass."):
            _, source, target = name.split(".")
            element, future = self.by_number[args[0]]
            i, j = int(source), int(target)
            way = f"from-{i}" if i < j else f"to-{j}"
            return self.machine.call(f"c{max(i, j)}#{_kind(future)}-{way}-{element}", args[1])
        i, export = name.split(" ", 1)
        return self.machine.call(f"c{i}#" + export.replace(".", "-").replace(" ", "-"), *args)

    def poke(self, i: int, address: int, data: bytes) -> None:
        for place in range(0, len(data), 8):
            self.machine.call(f"c{i}#poke", address + place, int.from_bytes(data[place : place + 8], "little"))

    def memory(self, i: int) -> bytes:
        words = (self.machine.call(f"c{i}#peek", address) for address in range(0, SEEN, 8))
        return b"".join(word.to_bytes(8, "little") for word in words)


class Both:
    """The component in the engine and fused, which do the same."""

    def __init__(self, unfused: InEngine, fused: Fused) -> None:
        self.unfused, self.fused = unfused, fused

    def call(self, name: str, *args: int) -> int:
        try:
            want: Any = self.unfused.call(name, *args)
        except TRAPS as trap:
            want = trap
        try:
            got: Any = self.fused.call(name, *args)
        except TRAPS as trap:
            assert isinstance(want, TRAPS), (name, args, want, str(trap))
            raise
        if isinstance(want, TRAPS):
            raise AssertionError((name, args, str(want), got))
        assert got == want, (name, args, want, got)
        return got

    def poke(self, i: int, address: int, data: bytes) -> None:
        self.unfused.poke(i, address, data)
        self.fused.poke(i, address, data)

    def memory(self, i: int) -> bytes:
        found = self.fused.memory(i)
        assert self.unfused.memory(i) == found
        return b""  # what it holds is not known to the model


@dataclass
class FusedPlay(EnginePlay):
    """Elements of any type: values of it stand at every address that a buffer may have."""

    syncs: ClassVar[bool] = True

    def _machine(self) -> Any:
        elements = tuple(self.elements)
        return Both(super()._machine(), Fused(Machine(*fused(self.instances, elements)), self.elements))

    def _filling(self, i: int) -> bytes:
        return b"".join(self._value() for _ in range(128)) + TEXT

    def _value(self) -> bytes:
        draw = self.random.randrange
        match self.elements[0]:
            case "string" | "bytes":
                return (1024 + draw(32)).to_bytes(4, "little") + draw(20).to_bytes(4, "little")
            case "maybe":
                return bytes([draw(2), 170, 170, 170]) + self.random.randbytes(4)
            case "char":
                chars = self.random.choices("aZ\u00e9\u20ac\U0001f600", k=2)
                return b"".join(ord(char).to_bytes(4, "little") for char in chars)
            case _:
                return self.random.randbytes(8)

    def _copy_of(self, i: int, handle: int, write: bool, future: bool, element: Element) -> Any:
        if element.name != "ends" or not write:
            return super()._copy_of(i, handle, write, future, element)
        # the buffer holds handles: of ends that can go, as long as there are any
        ends = [
            h
            for h, item in enumerate(self.model[i].table)
            if isinstance(item, End) and item.channel.element == INNER and not item.channel.future and _passable(item)
        ]
        self.random.shuffle(ends)
        count = 1 if future else min(len(ends), self.random.choice([0, 1, 1, 2, 3]))
        if future and not ends:
            return None, (), None
        address = 64 + self.random.randrange(16) * 16
        data = b"".join(h.to_bytes(4, "little") for h in ends[:count]) + bytes(count % 2 * 4)
        self.machine.poke(i, address, data)
        self.model[i].memory[address : address + len(data)] = data
        args = (handle, address) if future else (handle, address, count)
        model = self.model[i]
        name = f"{i} {_kind(future)}.write {element.name}"
        return name, args, lambda: model.copy(True, future, element, handle, address, count)


SEEN = 6144
"""Bytes of each memory that are compared."""
TEXT = b"".join(bytes([97 + i % 26]) for i in range(64))
RICH = ["string", "bytes", "char", "maybe", "pair", "ends"]


@cache
def fused(instances: int, elements: tuple[str, ...]) -> tuple[wasmtime.Engine, wasmtime.Module]:
    """What the compiler makes of the component."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "component.wasm"
        path.write_bytes(binary(instances, elements))
        made = meld.compile(path)
    assert isinstance(made, meld.Module)
    where, _ = module(1, ("u8",))
    return where, wasmtime.Module(where, meld.encode(made))


@pytest.mark.parametrize("element", RICH)
def test_elements_of_any_type(element: str) -> None:
    """A component in the engine and the same one fused: same results, events, traps and bytes."""
    elements = [element, "u8"] if element == "ends" else [element]
    for seed in range(SEQUENCES // 10):
        FusedPlay(seed, 2, elements).run()


@pytest.mark.parametrize("instances,elements", SHAPES)
def test_random_operations(instances: int, elements: list[str]) -> None:
    """Same results, events, bytes and traps, whatever comes after whatever."""
    ends: dict[str, int] = {}
    for seed in range(SEQUENCES):
        trap = Play(seed, instances, elements).run()
        ends[trap or "end"] = ends.get(trap or "end", 0) + 1
    assert ends["end"] >= SEQUENCES // 2, ends


SIZES = {"u8": 1, "u32": 4, "f64": 8}


@pytest.mark.parametrize("element", SIZES)
@pytest.mark.parametrize("first", ["read", "write"])
def test_few_bytes_within_one_memory(element: str, first: str) -> None:
    """A domain with one place copies few bytes as words; buffers may overlap, whichever end comes first."""
    size, data = SIZES[element], bytes(range(256))
    machine = Machine(*module(1, ("none", *SIZES)))
    pair = machine.call(f"0 stream.new {element}")
    handles = {"read": pair & 0xFFFFFFFF, "write": pair >> 32}
    for n in range(1, 40 // size + 1):
        for shift in range(-10 * size, 11 * size, size):
            machine.poke(0, 0, data)
            at = {"read": 104 + shift, "write": 104}
            second = "write" if first == "read" else "read"
            assert machine.call(f"0 stream.{first} {element}", handles[first], at[first], n) == BLOCKED
            assert machine.call(f"0 stream.{second} {element}", handles[second], at[second], n) == n << 4
            assert machine.call(f"0 stream.cancel-{first} {element}", handles[first]) == n << 4 | 2
            want = bytearray(data)
            want[104 + shift : 104 + shift + n * size] = data[104 : 104 + n * size]
            assert machine.memory(0)[: len(data)] == want, (n, shift)


def test_bytes_go_through_a_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where a domain has so many places that no pair of them has code of its own; here, any domain has."""
    monkeypatch.setattr(rendezvous_of_pass, "MOST_DIRECT", 0)
    monkeypatch.setattr(rendezvous_of_pass, "BUFFER", 7)
    module.cache_clear()
    try:
        for instances, elements in SHAPES[1:]:
            assert b"copy_through" in build(instances, elements)
            for seed in range(SEQUENCES // 4):
                Play(seed, instances, elements).run()
    finally:
        module.cache_clear()
