"""Runs modules whose functions are suspended at calls of the host, and the same modules as they are.

The host's function ``host.ask : [i32] -> [i32]`` answers by a fixed rule. In the plain run it answers at once. In the
other run it suspends its caller when a schedule says so; what was saved is moved elsewhere before it goes on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import wasmtime

from meld.binary.reader import read_module
from meld.binary.writer import write_module
from meld.ir.module import Export, Function, Module
from meld.rewriting.resumable import Resumable, make_resumable, must_be_resumable
from meld.runtime.instantiate import FEATURES

RUNNING, UNWINDING, REWINDING = 0, 1, 2


def answer(question: int, number: int) -> int:
    """What the host says to its question number n."""
    value = (question * 2654435761 + number * 40503 + 12345) & 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


@cache
def engine() -> wasmtime.Engine:
    """An engine that compiles quickly, for programs that run once."""
    config = wasmtime.Config()
    for name in FEATURES:
        setattr(config, f"wasm_{name}", True)
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


@cache
def binary_of(text: str) -> bytes:
    """The binary of a text, by the engine."""
    return bytes(wasmtime.wat2wasm(text))


def read(text: str) -> Module:
    """A text as a module."""
    return read_module(binary_of(text))


@dataclass
class Outcome:
    """What can be observed of a run."""

    results: list[Any] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    memory: bytes = b""
    globals: dict[str, Any] = field(default_factory=dict)
    switches: int = 0

    def observed(self) -> tuple[Any, ...]:
        return self.results, self.asked, self.memory, self.globals


def prepare(
    module: Module, leaves: Iterable[str] = ("ask",), roots: Iterable[str] | None = ("run",)
) -> tuple[Module, Resumable]:
    """Makes the functions of a module resumable that have to be, for roots that are exported."""
    leaves = set(leaves)
    blocking = [f for f in module.imports if isinstance(f, Function) and f.imported and f.imported.field in leaves]
    wanted = None if roots is None else [e.item for e in module.exports if e.name in set(roots)]
    found = must_be_resumable(module, blocking, wanted)  # type: ignore[arg-type]
    done = make_resumable(module, blocking, found)
    module.exports += [
        Export("resumable state", done.carrier.state),
        Export("resumable top", done.carrier.top),
        Export("resumable limit", done.carrier.limit),
        Export("resumable frames", done.carrier.memory),
    ]
    kept = [
        g for g in module.globals if g.synthetic and (g.name or "").startswith("kept.") and g.name.endswith(".used")
    ]
    module.exports += [Export(f"resumable {g.name}", g) for g in kept]
    return module, done


class Machine:
    """An instance of a module; suspended if the schedule says so, for which it has to be prepared."""

    def __init__(self, module: Module | bytes, schedule: Callable[[], bool] | None = None, seed: int = 0) -> None:
        self.schedule = schedule
        self.random = random.Random(seed)
        self.asked: list[Any] = []
        self.pending: int | None = None
        self.switches = 0
        self.base = 8
        self.binary = module if isinstance(module, bytes) else write_module(module)
        compiled = wasmtime.Module(engine(), self.binary)
        self.store = wasmtime.Store(engine())
        given = [self.supply(i) for i in compiled.imports]
        self.exports = wasmtime.Instance(self.store, compiled, given).exports(self.store)

    def supply(self, wanted: wasmtime.ImportType) -> wasmtime.Func:
        call = {"ask": self.ask, "see": self.see, "thing": lambda n: f"thing {n}"}[wanted.name or ""]
        assert isinstance(wanted.type, wasmtime.FuncType)
        return wasmtime.Func(self.store, wanted.type, call)

    def see(self, thing: Any) -> int:
        """Looks at a reference."""
        self.asked.append(thing)
        return len(str(thing))

    def reply(self, question: int) -> int:
        self.asked.append(question)
        return answer(question, len(self.asked))

    def ask(self, question: int) -> int:
        if self.schedule is None:
            return self.reply(question)
        if self.state == REWINDING:
            if self.schedule():  # not yet
                self.state = UNWINDING
                return 77
            self.state = RUNNING
            assert self.pending is not None
            return self.pending
        assert self.state == RUNNING, self.state
        value = self.reply(question)
        if not self.schedule():
            return value
        self.pending = value
        self.state = UNWINDING
        return 99

    def kept(self) -> dict[str, int]:
        """How many references are kept, by the hierarchy of their types."""
        return {
            name.split(".")[1]: item.value(self.store)
            for name, item in self.exports.items()
            if name.startswith("resumable kept.")
        }

    def __getattr__(self, name: str) -> Any:
        if name in ("state", "top", "limit"):
            return self.exports[f"resumable {name}"].value(self.store)
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("state", "top", "limit"):
            self.exports[f"resumable {name}"].set_value(self.store, value)
        else:
            super().__setattr__(name, value)

    def call(self, name: str, *args: Any) -> Any:
        """Calls an export and drives it until it has returned."""
        function = self.exports[name]
        result = function(self.store, *args)
        if self.schedule is None:
            return result
        while self.state == UNWINDING:
            self.switches += 1
            self.base = self.moved(self.base)
            self.state = REWINDING
            result = function(self.store, *(0 if isinstance(a, int) else 0.0 for a in args))
        assert self.state == RUNNING, self.state
        assert self.top == self.base
        return result

    def moved(self, base: int) -> int:
        """Moves the saved frames elsewhere, as other tasks need the place; returns where they begin."""
        memory, top = self.exports["resumable frames"], self.top
        frames = bytes(memory.read(self.store, base, top))
        assert len(frames) % 8 == 0 and frames
        memory.write(self.store, b"\x5a" * len(frames), base)
        new = 8 * self.random.randrange(1, 40)
        memory.write(self.store, frames, new)
        self.top = new + len(frames)
        return new


def observe(machine: Machine, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> Outcome:
    """Makes calls, one after the other, until one traps."""
    found = Outcome()
    for name, args in calls:
        try:
            found.results.append(repr(machine.call(name, *args)))
        except wasmtime.Trap as e:
            found.results.append(e.message.splitlines()[-1])
            break
        except wasmtime.WasmtimeError as e:
            found.results.append(str(e).splitlines()[-1])
            break
    for name, item in machine.exports.items() if hasattr(machine.exports, "items") else ():
        if isinstance(item, wasmtime.Global) and not name.startswith("resumable"):
            found.globals[name] = repr(item.value(machine.store))
    memory = machine.exports.get("memory")
    if isinstance(memory, wasmtime.Memory):
        found.memory = bytes(memory.read(machine.store, 0, memory.data_len(machine.store)))
    found.asked, found.switches = machine.asked, machine.switches
    return found


def compare(text: str, calls: Sequence[tuple[str, tuple[Any, ...]]], seed: int = 0, often: float = 0.5) -> Outcome:
    """Runs a program both ways; AssertionError if they differ. Returns what was observed of the suspended run."""
    plain = observe(Machine(binary_of(text)), calls)
    module, _ = prepare(read(text))
    chance = random.Random(seed)
    other = observe(Machine(module, lambda: chance.random() < often, seed), calls)
    assert other.observed() == plain.observed()
    return other
