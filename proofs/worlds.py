"""Small worlds, whole: every sequence of calls on two streams with rings of four bytes, shims against the model.

States are told apart by what the model knows of them and by the read cursor, which decides where bytes lie. Two
sequences that lead to one state are followed once; how many sequences that stands for is counted. What a state does not
determine (cursors of a free slot, ring bytes that were read) is filled with garbage that no call may let through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from typing import NamedTuple

from proofs.driver import AT_EDGE, EDGE, UNTOUCHED, WIDTH, WINDOW, After, Call, Driver, host_answer
from proofs.subject import OPERATIONS, Shape
from specs.stream_model import LOCAL, WRITABLE, Caller, Slot, Streams, Trap

SHAPE = Shape(slots=2, ring=4)
GARBAGE = 0xEE
TAGS = 32
BATCH = 4096


class State(NamedTuple):
    """A slot: what the model knows, and the read cursor."""

    generation: int = 0
    live: bool = False
    reader_dropped: bool = False
    writer_dropped: bool = False
    rd: int = 0
    data: bytes = b""


World = tuple[State, State]
Step = tuple[World, Call, int, World, bytes]
"""A call that does not trap: where, which, its result, where to, and what is seen in the caller's memory."""


def slot_of(state: State) -> Slot:
    return Slot(*state[:4], data=bytearray(state.data))


def encoded(world: World, model: Streams) -> tuple[bytes, bytes]:
    """Headers and rings of a world."""
    headers, rings = bytearray(), bytearray()
    for number, s in enumerate(world):
        wr = (s.rd + len(s.data)) % (1 << 32)
        words = (wr, s.rd) if s.live else (0xDEADBEEF, 0xFEEDFACE)
        key = model.handle(number, s.generation) if s.live else 0
        state = s.generation << 2 | s.writer_dropped << 1 | s.reader_dropped
        headers += b"".join(word.to_bytes(4, "little") for word in (*words, key, state))
        ring = bytearray([GARBAGE] * SHAPE.ring)
        for k, byte in enumerate(s.data):
            ring[(s.rd + k) % SHAPE.ring] = byte
        rings += ring
    return bytes(headers), bytes(rings)


def calls_on(world: World, model: Streams) -> Iterator[Call]:
    """Every call worth making: all ends that there are, were or could be forged; all lengths up to more than a ring."""
    new, read, write, cancel_read, cancel_write, drop_readable, drop_writable = range(len(OPERATIONS))
    yield Call(new)
    for number, s in enumerate(world):
        source = TAGS * 2 * number + (s.rd + len(s.data)) % TAGS
        for generation in (s.generation - 1, s.generation, s.generation + 1):
            if not 0 <= generation <= model.generations:
                continue
            mine = s.live and generation == s.generation
            readable = model.handle(number, generation)
            writable = readable | WRITABLE
            for handle in (readable, writable):
                yield from (Call(op, handle) for op in (cancel_read, cancel_write, drop_readable, drop_writable))
            lengths = range(SHAPE.ring + 2) if mine else (1,)
            for length in lengths:
                yield Call(read, readable, WINDOW + 3, length)
                yield Call(write, writable, source, length)
            yield Call(read, writable, WINDOW, 1)
            yield Call(write, readable, source, 1)
            if mine:
                yield Call(read, readable, EDGE, 2)
                yield Call(write, writable, EDGE, 2)
                yield Call(read, readable, 0xFFFFFFFE, 3)
                yield Call(read, readable, WINDOW, 0xFFFFFFFF)
                yield Call(write, writable, source, 0x80000000)
            yield Call(read, readable | 1 << 29, WINDOW, 1)  # a future's handle
    for handle in (0, 1, LOCAL - 1):  # handles of the host
        yield from (Call(op, handle, WINDOW, 1) for op in range(1, len(OPERATIONS)))


class Explorer:
    """Follows all sequences from a world, level by level."""

    def __init__(self, text: str | None = None) -> None:
        self.driver = Driver(SHAPE, text)
        memory = self.driver.memory
        self.initial = bytearray(65536)
        for number in range(2):
            start = TAGS * 2 * number
            self.initial[start : start + 2 * TAGS] = bytes(number * TAGS + k % TAGS for k in range(2 * TAGS))
        self.initial[EDGE] = AT_EDGE
        memory.write(self.driver.store, self.initial, 0)
        self.host_calls = 0
        self.model = Streams(SHAPE.slots, SHAPE.ring, self._host)
        self.caller = Caller(bytearray(self.initial))
        self.operations = [getattr(self.model, name) for name in OPERATIONS]
        self.calls = 0

    def _host(self, _operation: str, *arguments: int) -> int:
        self.host_calls += 1
        return host_answer(*arguments)

    def run_model(self, world: World, call: Call) -> tuple[int | None, World, bytes]:
        """Result (None for a trap), the world afterwards, and the window of the caller's memory."""
        self.model.slots = [slot_of(s) for s in world]
        window = slice(WINDOW, WINDOW + WIDTH)
        self.caller.memory[window] = bytes([UNTOUCHED]) * WIDTH
        self.caller.memory[EDGE] = AT_EDGE
        operation = self.operations[call.operation]
        match OPERATIONS[call.operation]:
            case "new":
                arguments: tuple[object, ...] = ()
            case "read" | "write":
                arguments = (self.caller, call.handle, call.pointer, call.length)
            case _:
                arguments = (call.handle,)
        try:
            result = operation(*arguments) or 0
        except Trap:
            return None, world, b""
        if result >= 1 << 63:
            result -= 1 << 64
        read = result if call.operation == 1 and call.handle >= LOCAL and result > 0 else 0
        after = []
        for number, (before, s) in enumerate(zip(world, self.model.slots, strict=True)):
            named = s.live and call.handle == self.model.handle(number, s.generation)
            rd = (before.rd + (read if named else 0)) % (1 << 32) if s.live and before.live else 0
            after.append(State(s.generation, s.live, s.reader_dropped, s.writer_dropped, rd, bytes(s.data)))
        first, second = after
        return result, (first, second), bytes(self.caller.memory[window] + self.caller.memory[EDGE:])

    def explore(self, start: World, depth: int) -> tuple[int, int]:
        """Follows all sequences of up to `depth` calls; returns the numbers of worlds and of sequences."""
        level, sequences = {start: 1}, 0
        successors: dict[World, Counter[World]] = {}
        for _ in range(depth):
            self.expand(level.keys() - successors.keys(), successors)
            following: Counter[World] = Counter()
            for world, ways in level.items():
                for after, calls in successors[world].items():
                    following[after] += ways * calls
            sequences += following.total()
            level = following
        return len(successors.keys() | level.keys()), sequences

    def expand(self, worlds: Set[World], successors: dict[World, Counter[World]]) -> None:
        """Makes every call on worlds that are new."""
        pending: list[Step] = []
        for world in sorted(worlds):
            after_all: Counter[World] = Counter()
            for call in calls_on(world, self.model):
                result, after, window = self.run_model(world, call)
                self.calls += 1
                after_all[after] += 1
                if result is None:
                    assert self.driver.traps(call, *encoded(world, self.model)), (world, call)
                else:
                    pending.append((world, call, result, after, window))
            successors[world] = after_all
            if len(pending) >= BATCH:
                self.compare(pending)
                pending.clear()
        self.compare(pending)

    def compare(self, pending: list[Step]) -> None:
        """Runs calls that do not trap, and compares all that came of them."""
        script = [(call, *encoded(world, self.model)) for world, call, *_ in pending]
        ran = self.driver.run(script)
        for (world, call, result, after, window), seen, (_, headers, rings) in zip(pending, ran, script, strict=True):
            got = (seen.result, self.meaning(world, headers, rings, seen), seen.window)
            assert got == (result, after, window), f"{call} on {world}"
        memory = bytearray(self.driver.memory.read(self.driver.store))
        memory[WINDOW : WINDOW + WIDTH] = bytes(WIDTH)
        memory[EDGE] = AT_EDGE
        assert memory == self.initial, "bytes beyond what was read have changed"
        rest = bytes(self.driver.bridge.read(self.driver.store, 32, SHAPE.first_room))
        assert not any(rest), "bytes between headers and rings have changed"
        rest = bytes(self.driver.bridge.read(self.driver.store, SHAPE.first_room + 8))
        assert not any(rest), "bytes behind the rings have changed"

    def meaning(self, world: World, headers: bytes, rings: bytes, seen: After) -> World | str:
        """The world that headers and rings stand for; text if they stand for none."""
        after = []
        for number in range(2):
            wr, rd, key, state = (
                int.from_bytes(seen.headers[16 * number + k : 16 * number + k + 4], "little") for k in (0, 4, 8, 12)
            )
            generation, fill = state >> 2, (wr - rd) % (1 << 32)
            if not key:
                if state & 3:
                    return "a free slot with dropped ends"
                after.append(State(generation))
                continue
            if fill > SHAPE.ring or key != self.model.handle(number, generation):
                return "a broken header"
            ring = seen.rings[4 * number : 4 * number + 4]
            data = bytes(ring[(rd + k) % 4] for k in range(fill))
            for k in range(fill, 4):
                at = (rd + k) % 4
                was = rings[4 * number + at]
                if ring[at] != was and world[number].live and was == GARBAGE:
                    return "a byte that is no part of the stream has changed"
            after.append(State(generation, True, bool(state & 1), bool(state & 2), rd, data))
        first, second = after
        return first, second


LAST_GENERATION = Streams(2, 4).generations - 1
STARTS = {
    "fresh": ((State(), State()), 7),
    "wrapping": ((State(5, True, rd=2**32 - 3), State(LAST_GENERATION)), 6),
    "full": ((State(0, True, rd=2**32 - 2, data=bytes(range(4))), State(LAST_GENERATION, True, rd=7, data=b"!")), 5),
}


def main() -> None:
    """Explores all starts, and prints how much that was."""
    for name, (world, depth) in STARTS.items():
        explorer = Explorer()
        worlds, sequences = explorer.explore(world, depth)
        print(describe(name, depth, worlds, sequences, explorer.calls), flush=True)


def describe(name: str, depth: int, worlds: int, sequences: int, calls: int) -> str:
    """One line about an exploration."""
    return (
        f"no difference: {name}: {sequences:.3g} sequences of up to {depth} calls, {worlds} worlds, {calls} calls made"
    )


if __name__ == "__main__":
    main()
