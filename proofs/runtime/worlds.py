"""A small world, whole: every sequence of operations of two instances on two channels, the runtime against the model.

In each state every operation is made that there is: on every handle of either instance, on one that was never given
out, with wrong ends, wrong types and wrong sets; buffers of no, one and two elements. Those that trap have to trap in
both, with the same words. A state is what the model knows together with the bytes of the state memory; two sequences
that lead to one state are followed once, and how many sequences that stands for is counted.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator
from typing import Any

import wasmtime

from meld.binary.reader import read_module
from meld.notes.channels import FIRST_FUTURE, FIRST_STREAM
from proofs import running
from proofs.runtime.program import ELEMENTS, build
from specs.channel_model import End, Instance, Set, Trapped, transfer

NAME = "u8"
ELEMENT = ELEMENTS[NAME][1]
HEAP = 4096
"""Bytes of the state memory that a world uses."""
WINDOW = 64
"""Bytes of the memory of each instance that are used: sources, buffers of reads at `TARGET`, events at `EVENT`."""
TARGET, EVENT = 16, 32
MOST_CHANNELS, MOST_SETS = 2, 1
KINDS = ("stream", "future")

Step = tuple[str, tuple[int, ...]]
"""An export and its arguments."""
World = list[Instance]
Key = tuple[bytes, bytes]
"""The state memory with the memories of the instances, and what the model knows."""


def described(world: World) -> bytes:
    """What the model knows, so that equal states read the same."""
    numbers: dict[Any, int] = {}

    def number(item: Any) -> int:
        return -1 if item is None else numbers.setdefault(item, len(numbers))

    def end(e: End) -> tuple[object, ...]:
        buffer = e.buffer and (world.index(e.buffer.instance), e.buffer.address, e.buffer.left)
        return e.handle, e.busy, e.done, e.dropped, buffer, e.event, number(e.set)

    def show(item: Any) -> object:
        match item:
            case None:
                return None
            case Set():
                return number(item), [number(m) for m in item.members], [number(m) for m in item.ready]
            case End(channel=channel):
                return number(item), channel.future, channel.written, [end(e) for e in channel.ends]
        raise AssertionError(item)

    for instance in world:
        for item in instance.table:
            number(item)
    return repr([([show(item) for item in i.table], i.free) for i in world]).encode()


class Explorer:
    """Follows all sequences. `kinds` are those of the channels."""

    def __init__(self, kinds: tuple[str, ...] = KINDS, binary: bytes | None = None) -> None:
        binary = build(2, [NAME], watched=True) if binary is None else binary
        config = wasmtime.Config()
        config.wasm_multi_memory = True
        engine = wasmtime.Engine(config)
        self.kinds, self.store = kinds, wasmtime.Store(engine)
        exports = wasmtime.Instance(self.store, wasmtime.Module(engine, binary), []).exports(self.store)
        names = {str(e.name) for e in read_module(binary, "world").exports if e.name[:1] in "01p"}
        self.functions = {n: running.function(exports, n) for n in names if isinstance(exports[n], wasmtime.Func)}
        self.memories = [running.memory(exports, name) for name in ("memory0", "memory1")]
        self.state = running.memory(exports, "state")
        self.top: Any = exports["state.top"]
        self.types = {"stream": FIRST_STREAM, "future": FIRST_FUTURE}
        self.calls = self.trapped = 0
        self.start: World = [Instance(), Instance()]
        for tag, (instance, memory) in enumerate(zip(self.start, self.memories, strict=True)):
            instance.memory = bytearray(bytes([tag * 16 + 1, tag * 16 + 2]) + bytes(WINDOW - 2))
            memory.write(self.store, instance.memory, 0)

    # --- operations

    def steps(self, world: World) -> Iterator[Step]:
        """Every operation that is made in a state."""
        alive = {item.channel for i in world for item in i.table if isinstance(item, End)}
        for i, instance in enumerate(world):
            held = list(enumerate(instance.table))
            sets = [h for h, item in held if isinstance(item, Set)]
            for kind in self.kinds:
                if len(alive) < MOST_CHANNELS:
                    yield f"{i} {kind}.new {NAME}", ()
            if len(sets) < MOST_SETS:
                yield f"{i} waitable-set.new", ()
            for handle in range(len(held) + 1):
                item = instance.table[handle] if handle < len(held) else None
                yield f"{i} waitable-set.poll", (handle, EVENT)
                yield f"{i} waitable-set.drop", (handle,)
                for target in (0, *sets, len(held)):
                    yield f"{i} waitable.join", (handle, target)
                for kind in self.kinds:
                    mine = isinstance(item, End) and item.channel.future == (kind == "future")
                    yield from self._of_end(i, handle, kind, mine)

    def _of_end(self, i: int, handle: int, kind: str, mine: bool) -> Iterator[Step]:
        for verb, at in (("read", TARGET), ("write", 0)):
            for count in ((0, 1, 2) if mine else (1,)) if kind == "stream" else (1,):
                yield f"{i} {kind}.{verb} {NAME}", (handle, at, count)[: 3 if kind == "stream" else 2]
            yield f"{i} {kind}.cancel-{verb} {NAME}", (handle,)
            if mine:
                yield f"{i} {kind}.cancel-{verb} {NAME} sync", (handle,)
        yield f"{i} {kind}.drop-readable {NAME}", (handle,)
        yield f"{i} {kind}.drop-writable {NAME}", (handle,)
        yield f"pass.{i}.{1 - i}", (self.types[kind], handle)

    def model(self, world: World, step: Step) -> int:
        """What the model returns. Raises Trapped."""
        name, args = step
        if name.startswith("pass"):
            _, a, b = name.split(".")
            return transfer(world[int(a)], world[int(b)], args[0] == self.types["future"], ELEMENT, args[1])
        which, builtin, *rest = name.split()
        instance = world[int(which)]
        kind, verb = builtin.split(".")
        future = kind == "future"
        match verb:
            case "new":
                return instance.set_new() if kind == "waitable-set" else instance.new(future, ELEMENT)
            case "poll":
                return instance.poll(*args)
            case "join":
                return instance.join(*args) or 0
            case "drop":
                return instance.set_drop(*args) or 0
            case "read" | "write":
                count = 1 if future else args[2]
                return instance.copy(verb == "write", future, ELEMENT, args[0], args[1], count)
            case "cancel-read" | "cancel-write":
                return instance.cancel(verb == "cancel-write", future, ELEMENT, args[0], rest[-1] == "sync")
            case "drop-readable" | "drop-writable":
                return instance.drop(verb == "drop-writable", future, ELEMENT, args[0]) or 0
        raise AssertionError(name)

    # --- states

    def restore(self, snapshot: bytes) -> None:
        """Puts everything into the state of a snapshot."""
        self.state.write(self.store, snapshot[:HEAP], 0)
        for n, memory in enumerate(self.memories):
            memory.write(self.store, snapshot[HEAP + n * WINDOW : HEAP + (n + 1) * WINDOW], 0)
        self.top.set_value(self.store, int.from_bytes(snapshot[-4:], "little"))

    def snapshot(self) -> bytes:
        """All that the program knows."""
        top = int(self.top.value(self.store))
        assert top <= HEAP, top
        parts = [self.state.read(self.store, 0, HEAP), *(m.read(self.store, 0, WINDOW) for m in self.memories)]
        return b"".join(map(bytes, parts)) + top.to_bytes(4, "little")

    def step(self, snapshot: bytes, frozen: bytes, step: Step) -> tuple[Key, bytes] | None:
        """Makes an operation in a state, in both; the state afterwards with the model, None if it traps."""
        world: World = pickle.loads(frozen)
        self.restore(snapshot)
        self.calls += 1
        name, args = step
        trap = None
        try:
            want = self.model(world, step)
        except Trapped as reason:
            trap = str(reason)
        try:
            got = self.functions[name](self.store, *args)
        except wasmtime.Trap as error:
            assert trap is not None and trap in str(error), (step, described(pickle.loads(frozen)), trap, str(error))
            self.trapped += 1
            return None
        assert trap is None, (step, described(pickle.loads(frozen)), trap)
        wide = name.split()[1:2] in (["stream.new"], ["future.new"])
        got = (got or 0) % (1 << (64 if wide else 32))
        assert got == want, (step, described(pickle.loads(frozen)), got, want)
        after = self.snapshot()
        for n, instance in enumerate(world):
            seen = after[HEAP + n * WINDOW : HEAP + (n + 1) * WINDOW]
            assert seen == bytes(instance.memory), (step, described(pickle.loads(frozen)), n)
        return (after, described(world)), pickle.dumps(world)

    def explore(self, depth: int, before: tuple[Step, ...] = ()) -> tuple[int, int]:
        """Follows all sequences of up to `depth` operations; returns the numbers of states and of sequences.

        Args:
            before: operations that every sequence begins with, which do not count.
        """
        start, world = (self.snapshot(), described(self.start)), pickle.dumps(self.start)
        for step in before:
            found = self.step(start[0], world, step)
            assert found is not None, step
            start, world = found
        frozen, level, sequences = {start: world}, Counter({start: 1}), 0
        for turn in range(depth):
            following: Counter[Key] = Counter()
            for key, ways in level.items():
                for step in self.steps(pickle.loads(frozen[key])):
                    found = self.step(key[0], frozen[key], step)
                    sequences += ways
                    if found is not None:
                        following[found[0]] += ways
                        if turn < depth - 1:
                            frozen.setdefault(*found)
            level = following
        return len(frozen.keys() | level.keys()), sequences


def _connected(kind: str, readable: int, type_: int) -> tuple[Step, ...]:
    """A channel from the first instance to the second."""
    return (f"0 {kind}.new {NAME}", ()), ("pass.0.1", (type_, readable))


_SETS: tuple[Step, ...] = (("0 waitable-set.new", ()), ("1 waitable-set.new", ()))
_STREAM, _FUTURE = _connected("stream", 1, FIRST_STREAM), _connected("future", 1, FIRST_FUTURE)

WORLDS: dict[str, tuple[tuple[str, ...], int, tuple[Step, ...]]] = {
    "streams": (("stream",), 4, ()),
    "streams and futures": (KINDS, 4, ()),
    "a stream, connected, and sets": (("stream",), 4, _STREAM + _SETS),
    "two streams, connected, and sets": (("stream",), 3, _STREAM + _STREAM + _SETS),
    "a stream and a future, connected, and sets": (KINDS, 3, _STREAM + _FUTURE + _SETS),
}
"""By name: the kinds of channels, the depth, and what every sequence begins with."""


def main() -> None:
    """Explores the worlds, and prints how much that was."""
    for name, (kinds, depth, before) in WORLDS.items():
        explorer = Explorer(kinds)
        states, sequences = explorer.explore(depth, before)
        print(
            f"no difference: {name}: {sequences:.3g} sequences of up to {depth} operations, {states} states,"
            f" {explorer.calls} operations made, {explorer.trapped} of them trap",
            flush=True,
        )


if __name__ == "__main__":
    main()
