"""Runs one call of a shim under the engine, from a state that is set byte by byte, and says all that came of it.

Most states that matter cannot be reached by calls in any useful time (cursors that are about to wrap, the last
generation of a slot), so the bridge memory is written directly. Memories hold a pattern that is different in each, so
that bytes from the wrong memory or the wrong place show.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import wasmtime

from proofs import running
from proofs.subject import HEADER, WORDS, Shape, Subject
from specs.stream_model import Caller, Ends, Futures, Slot, Streams, Trap

WINDOW = 1 << 14
"""So much is looked at around each place of interest in a caller's memory that is too large to be looked at whole."""
SMALL = 1 << 20
HOST_RESULT = 0x1234567


@dataclass(slots=True)
class Trace:
    """One call and the state before it.

    `headers` are the words of each slot by name; slots that are absent are all zero. `pokes` are words elsewhere in the
    bridge memory. All numbers are unsigned. `pages` is the size of the caller's memory.
    """

    operation: str
    arguments: list[int]
    pages: int = 1
    headers: dict[int, dict[str, int]] = field(default_factory=dict)
    pokes: dict[int, int] = field(default_factory=dict)

    def json(self) -> str:
        """One line, to be kept or sent."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Trace:
        """What `json` wrote."""
        data = json.loads(text)
        for name in ("headers", "pokes"):
            data[name] = {int(key): value for key, value in data[name].items()}
        return cls(**data)


@dataclass(slots=True)
class Observation:
    """What a call did. `room` is all of the bridge memory but the headers of this kind, which read as zero there;
    `memory` holds the stretches of the caller's memory that were looked at, by their start."""

    trapped: bool
    result: int | None
    calls: list[tuple[str, tuple[int, ...]]]
    headers: dict[int, dict[str, int]]
    room: bytes
    memory: dict[int, bytes]


def pattern(tag: int, start: int, length: int) -> bytes:
    """Bytes that depend on where they are, and on a tag of one bit."""
    return bytes(((a * 7 + (a >> 7) * 13 + 1) & 0x7F) | tag << 7 for a in range(start, start + length))


_cached_pattern = lru_cache(maxsize=64)(pattern)


def stretches(trace: Trace, shape: Shape) -> list[tuple[int, int]]:
    """The parts of the caller's memory that are set and compared, as start and end."""
    size = trace.pages << shape.page_bits
    if size <= SMALL:
        return [(0, size)] if size else []
    places = [0, size]
    if len(trace.arguments) > 1:
        places.append(trace.arguments[1])
        places.append((trace.arguments[1] + shape.ring) % (1 << 32))
    spans = sorted((max(0, p - WINDOW), min(size, p + WINDOW)) for p in places if p <= size + WINDOW)
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return [(start, end) for start, end in merged if start < end]


class Engine:
    """A program under wasmtime; each run gets an instance of its own."""

    def __init__(self, subject: Subject) -> None:
        self.shape = subject.shape
        config = wasmtime.Config()
        config.wasm_multi_memory = True
        if subject.shape.page_bits != 16:
            config.wasm_custom_page_sizes = True
        self.engine = wasmtime.Engine(config)
        self.module = wasmtime.Module(self.engine, subject.binary)

    def run(self, trace: Trace) -> Observation:
        """Runs one trace."""
        shape = self.shape
        calls: list[tuple[str, tuple[int, ...]]] = []
        store = wasmtime.Store(self.engine)
        imports = [self._host(store, item, calls) for item in self.module.imports]
        exports = wasmtime.Instance(store, self.module, imports).exports(store)
        bridge, memory = running.memory(exports, "bridge"), running.memory(exports, "memory")
        memory.grow(store, trace.pages)
        spans = stretches(trace, shape)
        for start, end in spans:
            memory.write(store, _cached_pattern(0, start, end - start), start)
        bridge.write(store, _room(shape, trace), shape.first_room)
        for number, words in trace.headers.items():
            data = b"".join(words[name].to_bytes(4, "little") for name in WORDS)
            bridge.write(store, data, shape.first_header + number * HEADER)
        shim = running.function(exports, trace.operation)
        try:
            result, trapped = shim(store, *map(signed, trace.arguments)), False
        except wasmtime.Trap:
            result, trapped = None, True
        all_of_it = bytes(bridge.read(store))
        end = shape.first_header + shape.headers * HEADER
        headers = all_of_it[shape.first_header : end]
        return Observation(
            trapped,
            result,
            calls,
            {n: _header(headers[n * HEADER :]) for n in range(shape.headers)},
            all_of_it[: shape.first_header] + bytes(len(headers)) + all_of_it[end:],
            {start: bytes(memory.read(store, start, end)) for start, end in spans},
        )

    def _host(self, store: wasmtime.Store, item: Any, calls: list[tuple[str, tuple[int, ...]]]) -> wasmtime.Func:
        def called(*arguments: int) -> int | None:
            calls.append((item.name, tuple(a & 0xFFFFFFFF for a in arguments)))
            return HOST_RESULT if item.type.results else None

        function: Callable[..., Any] = called
        return wasmtime.Func(store, item.type, function)


def _header(data: bytes) -> dict[str, int]:
    return {name: int.from_bytes(data[4 * k : 4 * k + 4], "little") for k, name in enumerate(WORDS)}


def signed(number: int) -> int:
    """A word of 32 bits as a signed number."""
    return number - (1 << 32) if number >= 1 << 31 else number


def unsigned(number: int) -> int:
    """A word of 32 bits as an unsigned number."""
    return number & 0xFFFFFFFF


# The model on the same state


def abstract(shape: Shape, headers: dict[int, dict[str, int]], room: bytes) -> list[Slot]:
    """What headers mean. `room` holds what is streamed, from that of the first slot on."""
    found = []
    for number in range(shape.slots):
        header = headers.get(number, dict.fromkeys(WORDS, 0))
        slot = Slot(header["state"] >> 2, header["key"] != 0)
        start = number * shape.room
        if slot.live:
            slot.reader_dropped, slot.writer_dropped = bool(header["state"] & 1), bool(header["state"] & 2)
        if slot.live and shape.kind == "stream":
            fill = unsigned(header["wr"] - header["rd"])
            slot.data += bytes(room[start + (header["rd"] + k) % shape.ring] for k in range(fill))
        elif slot.live and header["wr"]:
            slot.resolved = True
            slot.data += room[start : start + shape.size]
        found.append(slot)
    return found


def _room(shape: Shape, trace: Trace) -> bytes:
    """What is streamed, before the call."""
    first = shape.first_room
    room = bytearray(_cached_pattern(1, first, shape.slots * shape.room))
    for address, value in trace.pokes.items():
        room[address - first : address - first + 4] = value.to_bytes(4, "little")
    return bytes(room)


@dataclass(slots=True)
class Expectation:
    """What the model says of a trace: as an `Observation`, but with the meaning of the headers."""

    trapped: bool
    result: int | None
    calls: list[tuple[str, tuple[int, ...]]]
    slots: list[Slot]
    memory: dict[int, bytes]


def expected(trace: Trace, shape: Shape) -> Expectation:
    """Runs a trace on the model."""
    calls: list[tuple[str, tuple[int, ...]]] = []

    def host(operation: str, *arguments: int) -> int:
        calls.append((operation, arguments))
        return HOST_RESULT

    model: Ends = Streams(shape.slots, shape.ring, host) if shape.kind == "stream" else Futures(shape.slots, host)
    model.slots = abstract(shape, trace.headers, _room(shape, trace))
    spans = stretches(trace, shape)
    memory = _Sparse(trace.pages << shape.page_bits, {s: _cached_pattern(0, s, e - s) for s, e in spans})
    caller = Caller(memory, shape.whole, shape.unit, shape.size)  # type: ignore[arg-type]
    name = trace.operation.removeprefix(f"{shape.kind}_")
    operation = getattr(model, name)
    first = (caller,) if name in ("read", "write") else ()
    try:
        result, trapped = operation(*first, *trace.arguments), False
    except Trap:
        result, trapped = None, True
    if name == "new" and result is not None and result >= 1 << 63:
        result -= 1 << 64
    return Expectation(trapped, result, calls, model.slots, {s: bytes(d) for s, d in memory.parts.items()})


class _Sparse:
    """A memory of which only some stretches exist; all that the model does to a memory."""

    def __init__(self, size: int, parts: dict[int, bytes]) -> None:
        self.size = size
        self.parts = {start: bytearray(data) for start, data in parts.items()}

    def __len__(self) -> int:
        return self.size

    def _part(self, where: slice) -> tuple[bytearray, slice]:
        if where.start == where.stop:
            return bytearray(), slice(0, 0)
        for start, data in self.parts.items():
            if start <= where.start and where.stop <= start + len(data):
                return data, slice(where.start - start, where.stop - start)
        raise IndexError(where)

    def __getitem__(self, where: slice) -> bytes:
        part, inside = self._part(where)
        return bytes(part[inside])

    def __setitem__(self, where: slice, data: bytes) -> None:
        part, inside = self._part(where)
        part[inside] = data


def differences(trace: Trace, shape: Shape, seen: Observation) -> list[str]:
    """How a run differs from the model; nothing if it does not."""
    want = expected(trace, shape)
    meaning = abstract(shape, seen.headers, seen.room[shape.first_room :])
    pairs = {
        "trap": (seen.trapped, want.trapped),
        "result": (seen.result, want.result),
        "host calls": (seen.calls, want.calls),
        "streams": (meaning, want.slots),
        "memory": (seen.memory, want.memory),
    }
    return [name for name, (got, wanted) in pairs.items() if got != wanted]
