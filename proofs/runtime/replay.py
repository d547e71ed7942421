"""Runs a function of the runtime under the engine from the state of a counter-example, and says what it did otherwise.

The state memory is written word by word, and patterned elsewhere. Blocks that are taken come from the free lists, which
are written too, so that they have the addresses of the counter-example.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import wasmtime
import z3

from meld.binary.reader import read_module
from proofs import running
from proofs.replay import signed, unsigned
from proofs.runtime.cells import FILL, FREE, GLOBAL, GROW, NEW, REFUSED, TRAP_OF_INDEX, full, symbol
from proofs.runtime.check import SIZE, Scenario
from proofs.subject import Word

BYTES = 1 << 17
"""The state memory of a replay, and that of an instance."""
LOWEST = 1 << 12
"""Behind the static regions of the program."""
CLASSES = range(4, 32)
FUEL = 1_000_000
"""For mutants that never end."""


def small(scenario: Scenario, binary: bytes) -> list[z3.BoolRef]:
    """What makes a counter-example one that can be run: everything lies low, and there is memory."""
    cells = [c for c in [*scenario.cells, *scenario.fresh] if not (c.static or c.memory)]
    low = [z3.And(z3.UGE(c.base, LOWEST), z3.ULT(c.base, BYTES // 2)) for c in cells]
    there = [z3.Implies(c.when, place) for c, place in zip(cells, low, strict=True)]
    there += [z3.Implies(when, z3.And(z3.UGE(at, LOWEST), z3.ULT(at, BYTES // 2))) for at, when in scenario.low]
    sizes = [size == BYTES for size in scenario.shares.values()]
    known = [symbol(name) == value for name, value in _constants(binary).items()]
    return [SIZE == BYTES, *known, *there, *sizes, *(z3.Not(full(n)) for n in range(2))]


@dataclass(slots=True)
class Run:
    """What a call did: the message of its trap, its results, memories and globals afterwards, calls of hooks."""

    trap: str | None
    results: list[int]
    state: bytes
    shares: dict[str, bytes]
    seen: dict[str, int]
    globals: dict[Word, int]


class Replay:
    """A counter-example, ready to be run on one program or another."""

    def __init__(self, scenario: Scenario, model: z3.ModelRef) -> None:
        self.scenario, self.model = scenario, model
        self.cells = [c for c in [*scenario.cells, *scenario.fresh] if self.holds(c.when)]

    def value(self, term: z3.BitVecRef) -> int:
        return int(self.model.eval(term, model_completion=True).as_long())

    def holds(self, term: z3.BoolRef) -> bool:
        return bool(z3.is_true(self.model.eval(term, model_completion=True)))

    def before(self, heads: int) -> bytearray:
        """The state memory before the call; the free lists begin at `heads`."""
        memory = bytearray((a * 7 + (a >> 7) * 13 + 1) & 0xFF for a in range(BYTES))
        memory[:LOWEST] = bytes(LOWEST)
        fresh = [self.value(c.base) for c in self.scenario.fresh]
        for class_ in CLASSES:
            _put(memory, heads + 4 * class_, fresh[0] if fresh else 0)
        self._put_first(memory, "")
        asked = [
            _class(self.value(e.arguments[0]))
            for e in self.scenario.want.events
            if e.name == NEW and self.holds(e.when)
        ]
        for class_ in set(asked):
            at = heads + 4 * class_
            for block, of in zip(fresh, asked, strict=False):
                if of == class_:
                    _put(memory, at, block)
                    at = block
            _put(memory, at, 0)
        return memory

    def _put_first(self, data: bytearray, memory: str) -> None:
        """Writes what the words of the cells of a memory hold before the call."""
        for cell in self.cells:
            for at in cell.words if cell.memory == memory and not cell.zero else ():
                _put(data, self.value(cell.base) + at, self.value(cell.first(at)))

    def _put_wanted(self, data: bytearray, memory: str) -> None:
        """Writes what they have to hold afterwards."""
        for cell in self.cells:
            for at in cell.words if cell.memory == memory else ():
                if (word := cell.word(at)) in self.scenario.want.words:
                    _put(data, self.value(cell.base) + at, self.value(self.scenario.want.words[word]))

    def _shared(self) -> dict[str, bytearray]:
        """The memories of instances before the call."""
        made = {}
        for tag, name in enumerate(self.scenario.shares):
            made[name] = bytearray((a * 5 + (a >> 8) * 11 + tag * 101) & 0xFF for a in range(BYTES))
            self._put_first(made[name], name)
        return made

    def run(self, binary: bytes) -> Run:
        """Calls the function in a new instance."""
        config = wasmtime.Config()
        config.wasm_multi_memory = True
        config.consume_fuel = True
        engine = wasmtime.Engine(config)
        store = wasmtime.Store(engine)
        store.set_fuel(FUEL)
        exports = wasmtime.Instance(store, wasmtime.Module(engine, binary), []).exports(store)
        memory = running.memory(exports, "state")
        memory.grow(store, BYTES // 65536 - memory.size(store))
        memory.write(store, self.before(_heads(binary)), 0)
        shares = {name: running.memory(exports, name) for name in self.scenario.shares}
        for name, content in self._shared().items():
            shares[name].write(store, bytes(content), 0)
        for (_, name), value in self._globals().items():
            exports[name].set_value(store, signed(value))  # type: ignore[union-attr]
        if self.holds(REFUSED):
            store.set_limits(memory_size=BYTES)
        function = running.function(exports, self.scenario.function)
        trap: str | None = None
        results: list[int] = []
        try:
            found = function(store, *(signed(self.value(a)) for a in self.scenario.arguments))
            returned = found if isinstance(found, list | tuple) else [] if found is None else [found]
            wanted = self.scenario.want.results
            results = [r % (1 << want.size()) for r, want in zip(returned, wanted, strict=True)]
        except wasmtime.Trap as error:
            trap = _message(error)
        seen = {name: unsigned(exports[name].value(store)) for name in self._hooks()}  # type: ignore[union-attr]
        data = {name: bytes(share.read(store)) for name, share in shares.items()}
        after = {word: unsigned(exports[word[1]].value(store)) for word in self._globals()}  # type: ignore[union-attr]
        return Run(trap, results, bytes(memory.read(store)), data, seen, after)

    def _globals(self) -> dict[Word, int]:
        return {w: self.value(self.scenario.first(w)) for w in self.scenario.want.words if w[0] == GLOBAL}

    def _hooks(self) -> dict[str, int]:
        """What hooks are called with last, by the names of globals: 0 without a call."""
        found = {f"{name}.0": 0 for name in self.scenario.summaries}
        for event in self.scenario.want.events:
            if event.name in self.scenario.summaries:
                for n, argument in enumerate(event.arguments):
                    found.setdefault(f"{event.name}.{n}", 0)
                    if self.holds(event.when):
                        found[f"{event.name}.{n}"] = self.value(argument)
        return found

    def differences(self, binary: bytes) -> list[str]:
        """How a run differs from what the scenario wants."""
        ran, want = self.run(binary), self.scenario.want
        trap = next((name for name, when in want.traps if self.holds(when)), None)
        if trap != ran.trap:
            return [f"trap: {ran.trap}, not {trap}"]
        before = self.before(heads := _heads(binary))
        if trap is not None:
            kept = all(value == self.value(self.scenario.first(word)) for word, value in ran.globals.items())
            changed = self.scenario.atomic and (ran.state != bytes(before) or not kept)
            return ["changed before the trap"] if changed else []
        found = []
        results = [self.value(r) for r in want.results]
        if results != ran.results:
            found.append(f"results: {ran.results}, not {results}")
        grown = any(self.holds(e.when) for e in want.events if e.name == GROW)
        if grown != (len(ran.state) > BYTES):
            found.append(f"state memory of {len(ran.state)} bytes")
        state = bytes(self._after(before, heads))
        if state != ran.state[:BYTES]:
            wrong = next(a for a in range(BYTES) if state[a] != ran.state[a])
            found.append(f"state memory from {wrong:#x} on")
        for word, value in ran.globals.items():
            if value != (wanted := self.value(want.words[word])):
                found.append(f"{word[1]}: {value:#x}, not {wanted:#x}")
        for name, value in self._hooks().items():
            if ran.seen[name] != value:
                found.append(f"{name}: {ran.seen[name]:#x}, not {value:#x}")
        return found + self._bytes(ran)

    def _after(self, memory: bytearray, heads: int) -> bytearray:
        """The state memory as it has to be after the call."""
        want = self.scenario.want
        fresh = iter([self.value(c.base) for c in self.scenario.fresh])
        events = [e for e in want.events if self.holds(e.when)]
        for event in events:
            if event.name == NEW:
                at, class_ = next(fresh), _class(self.value(event.arguments[0]))
                memory[heads + 4 * class_ : heads + 4 * class_ + 4] = memory[at : at + 4]
                memory[at : at + (1 << class_)] = bytes(1 << class_)
        self._put_wanted(memory, "")
        for moved in want.moved:
            if moved.to == "state" and self.holds(moved.when):
                to, source, length = map(self.value, (moved.to_at, moved.source_at, moved.length))
                memory[to : to + length] = memory[source : source + length]
        for event in events:
            if event.name == FILL:
                at, value, length = map(self.value, event.arguments)
                memory[at : at + length] = bytes([value & 0xFF]) * length
            if event.name == FREE:
                at, head = self.value(event.arguments[0]), heads + 4 * _class(self.value(event.arguments[1]))
                memory[at : at + 4] = memory[head : head + 4]
                _put(memory, head, at)
        return memory

    def _bytes(self, ran: Run) -> list[str]:
        """How the memories of instances differ."""
        data = self._shared()
        for name in data:
            self._put_wanted(data[name], name)
        for moved in self.scenario.want.moved:
            if moved.to in data and self.holds(moved.when):
                to, source, length = map(self.value, (moved.to_at, moved.source_at, moved.length))
                data[moved.to][to : to + length] = data[moved.source][source : source + length]
        return [f"memory {name}" for name in data if bytes(data[name]) != ran.shares[name]]


def _put(memory: bytearray, at: int, value: int) -> None:
    memory[at : at + 4] = value.to_bytes(4, "little")


def _class(size: int) -> int:
    """The class of blocks of so many bytes."""
    return max(4, (size - 1).bit_length())


def _heads(binary: bytes) -> int:
    """Where the free lists begin."""
    return _constants(binary)["state.base"]


def _constants(binary: bytes) -> dict[str, int]:
    """The globals that never change."""
    items = read_module(binary, "runtime").globals
    return {str(g.name): int(str(g.init[0].args[0])) for g in items if not g.mutable and g.init}


def _message(trap: wasmtime.Trap) -> str:
    """The name of the function that trapped: the message, without a small index."""
    frames = trap.frames
    name = str(frames[0].func_name) if frames else ""
    without = re.sub(r"index \d+", "index", name)
    return next((general for general in TRAP_OF_INDEX if without.startswith(general)), name)
