"""The heap in a small world: every sequence of blocks that are taken and given back, in a memory that cannot grow.

The model knows which blocks are in use, what was written in them, and which are free, by their sizes. A block that is
taken is one that is free, if there is one of its size, and zero; nothing that is in use changes; and where no more can
be had, the trap says so and leaves every byte as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import wasmtime

from proofs import running
from proofs.runtime.cells import OUT_OF_MEMORY
from proofs.runtime.program import build

SIZES = {16: 16, 20: 32, 1 << 15: 1 << 15, (1 << 16) - 1: 1 << 16}
"""Bytes that are asked for, and those of the block."""
BYTES = 2 << 16
"""Of the memory: one of the largest blocks, and one or two of the next size."""
DEPTH = 4
"""Steps of a sequence."""
Step = tuple[str, int]


@dataclass(slots=True)
class Model:
    """Blocks in use, by their addresses, with the bytes asked for; free ones, by the size of the block."""

    used: dict[int, int] = field(default_factory=dict)
    free: dict[int, list[int]] = field(default_factory=dict)


class World:
    """A program with a new heap, and what the model knows of it."""

    def __init__(self, engine: wasmtime.Engine, module: wasmtime.Module) -> None:
        self.store = wasmtime.Store(engine)
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)
        self.store.set_limits(memory_size=BYTES)
        self.memory = running.memory(self.exports, "state")
        self.model = Model()

    def run(self, step: Step) -> bool:
        """Makes a step, and compares; whether it goes on behind it, which it does not behind a trap."""
        operation, argument = step
        if operation == "free":
            self.free(list(self.model.used)[argument])
            return True
        return self.take(argument)

    def take(self, asked: int) -> bool:
        size, model = SIZES[asked], self.model
        before = bytes(self.memory.read(self.store))
        top = self.exports["state.top"].value(self.store)  # type: ignore[union-attr]
        listed = model.free.get(size, [])
        try:
            at = running.function(self.exports, "state.block_new")(self.store, asked)
        except wasmtime.Trap as trap:
            assert trap.frames[0].func_name == OUT_OF_MEMORY
            assert not listed
            assert top + size > BYTES
            assert bytes(self.memory.read(self.store)) == before
            assert self.exports["state.top"].value(self.store) == top  # type: ignore[union-attr]
            return False
        assert at % 16 == 0
        assert at in listed if listed else at == top
        assert self.read(at, size) == bytes(size)
        assert all(at + size <= other or other + SIZES[bytes_] <= at for other, bytes_ in model.used.items())
        if listed:
            listed.remove(at)
        model.used[at] = asked
        self.memory.write(self.store, _pattern(at, asked), at)
        self.unharmed()
        return True

    def free(self, at: int) -> None:
        asked = self.model.used.pop(at)
        running.function(self.exports, "state.block_free")(self.store, at, asked)
        self.model.free.setdefault(SIZES[asked], []).append(at)
        self.unharmed()

    def unharmed(self) -> None:
        """What is in use is as it was written."""
        assert all(self.read(at, asked) == _pattern(at, asked) for at, asked in self.model.used.items())

    def read(self, at: int, size: int) -> bytes:
        return bytes(self.memory.read(self.store, at, at + size))


def _pattern(at: int, size: int) -> bytes:
    return bytes([at >> 4 & 0xFF | 1]) * size


def explore(depth: int) -> tuple[int, int]:
    """Runs every sequence of so many steps; their number, and how many of them end in a trap."""
    config = wasmtime.Config()
    config.wasm_multi_memory = True
    engine = wasmtime.Engine(config)
    module = wasmtime.Module(engine, build(1, ["u8"], watched=True))
    sequences = traps = 0
    pending: list[tuple[Step, ...]] = [()]
    while pending:
        steps = pending.pop()
        world = World(engine, module)
        goes_on = all(world.run(step) for step in steps)
        sequences += 1
        traps += not goes_on
        if goes_on and len(steps) < depth:
            every = [("take", asked) for asked in SIZES] + [("free", n) for n in range(len(world.model.used))]
            pending += [(*steps, step) for step in every]
    return sequences, traps


def main() -> None:
    """Explores, and says how much there was."""
    sequences, traps = explore(DEPTH)
    print(f"no difference: heap: {sequences} sequences of up to {DEPTH} steps, {traps} out of memory", flush=True)
