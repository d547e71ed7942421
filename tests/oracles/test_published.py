"""The five published oracles, from text and binary input, at every stage of the pipeline and after reading a dump back.

The data is the same everywhere. Where the streams are bridged, the host is not called; its functions trap on local
handles in any case.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from stages import BRIDGED, PASSES, RING, RUNNABLE, SLOTS, Drivers, binary, dump, inputs, is_local, pattern, tool

import meld
from meld.runtime.host import Host
from meld.text.reading.program import parse

FORMS = ("wat", "wasm")


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the binary inputs are."""
    return tmp_path_factory.mktemp("inputs")


class Stage:
    """One way to come by a program."""

    def __init__(self, form: str, name: str, reloaded: bool, directory: Path) -> None:
        self.bridged = name in BRIDGED
        self.data = binary(form, name, directory, reloaded=reloaded)

    def start(self) -> Drivers:
        """A fresh instance, whose host may be called only if nothing is bridged."""
        return Drivers(self.data, Host(limit=RING))

    def check_calls(self, drivers: Drivers, **expected: int) -> None:
        """Compares the host's counts: with none at all where the streams are bridged."""
        wanted = {} if self.bridged else {name: n for name, n in expected.items() if n}
        assert dict(drivers.host.calls) == wanted


@pytest.fixture(
    params=[(form, name, reloaded) for form in FORMS for name in RUNNABLE for reloaded in (False, True)],
    ids=lambda p: f"{p[0]}-{p[1]}{'-reloaded' * p[2]}",
)
def stage(request: pytest.FixtureRequest, directory: Path) -> Stage:
    """Each form of the input, after each pass, as it is and read back from its dump."""
    return Stage(*request.param, directory)


def test_local_round_trip_never_crosses_the_host(stage: Stage) -> None:
    d = stage.start()
    readable, writable = d.new()
    assert is_local(readable) is is_local(writable) is stage.bridged
    assert d.write(writable, 4) == 4
    assert d.read(readable, 8) == 4
    assert d.got(4) == bytes([1, 2, 3, 4])
    stage.check_calls(d, stream_new=1, stream_write=1, stream_read=1)


def test_distinct_memories_keep_300_bytes_intact(stage: Stage) -> None:
    d = stage.start()
    readable, writable = d.new()
    assert d.write(writable, 300) == 300
    assert d.read(readable, RING) == 300
    assert d.got(300) == pattern(300)
    stage.check_calls(d, stream_new=1, stream_write=1, stream_read=1)
    # each in its own memory, at its own address, and nothing beside it
    count = tool("print", "-", data=stage.data).decode().count("\n  (memory ")
    memories = [bytes(d.running.memory(i)) for i in range(count)]
    producer = bytes(16) + pattern(300)
    consumer = bytes(32) + pattern(300)
    users = [m for m in memories if m.rstrip(b"\0") in (producer, consumer)]
    assert sorted(m.rstrip(b"\0") for m in users) == sorted([producer, consumer])
    if stage.bridged:
        assert len(memories) == 3
        (bridge,) = [m for m in memories if m not in users]
        assert bridge.count(pattern(300)) == 1


def test_backpressure_partial_write_full_ring_drain_resume_and_the_edge_of_the_ring(stage: Stage) -> None:
    d = stage.start()
    readable, writable = d.new()
    assert d.write(writable, 5000) == RING
    assert d.write(writable, 1) == 0, "full is backpressure, no error"
    assert d.read(readable, 5000) == RING
    assert d.got(RING) == pattern(RING)
    assert d.write(writable, 904) == 904
    assert d.read(readable, 8192) == 904
    assert d.got(904) == pattern(904)
    # both cursors are at 5000, 904 into the ring: 3500 bytes cross its edge on both sides
    assert d.write(writable, 3500) == 3500
    assert d.read(readable, 8192) == 3500
    assert d.got(3500) == pattern(3500)
    stage.check_calls(d, stream_new=1, stream_write=4, stream_read=3)


def test_end_of_stream_only_after_the_writer_is_dropped_and_all_is_drained(stage: Stage) -> None:
    d = stage.start()
    readable, writable = d.new()
    assert d.read(readable, 8) == -5, "open and empty is pending, not the end"
    assert d.write(writable, 4) == 4
    d.drop_writer(writable)
    assert d.read(readable, 2) == 2
    assert d.got(2) == bytes([1, 2])
    assert d.read(readable, 8) == 2
    assert d.got(2) == bytes([3, 4])
    assert [d.read(readable, n) for n in (8, 0, 1, 8)] == [0, 0, 0, 0], "the end is the end for ever"
    stage.check_calls(d, stream_new=1, stream_write=1, stream_drop_writable=1, stream_read=7)


def test_the_ninth_stream_lives_on_the_host(stage: Stage) -> None:
    d = stage.start()
    streams = [d.new() for _ in range(SLOTS)]
    assert all(is_local(handle) is stage.bridged for pair in streams for handle in pair)
    assert len({handle for pair in streams for handle in pair}) == 2 * SLOTS
    stage.check_calls(d, stream_new=SLOTS)

    d.host.calls.clear()
    readable, writable = d.new()
    assert not is_local(readable)
    assert not is_local(writable)
    assert d.write(writable, 4) == 4
    assert d.read(readable, 8) == 4
    assert d.got(4) == pattern(4)
    d.drop_writer(writable)
    assert d.read(readable, 8) == 0
    d.drop_reader(readable)
    assert dict(d.host.calls) == {
        "stream_new": 1,
        "stream_write": 1,
        "stream_read": 2,
        "stream_drop_writable": 1,
        "stream_drop_readable": 1,
    }
    assert d.host.streams.open == (0 if stage.bridged else SLOTS)


def test_a_forbidden_host_is_enough_where_the_streams_are_bridged(stage: Stage) -> None:
    """A counter that stays at zero could be a counter that counts nothing."""
    from meld.abi.intrinsics import INTRINSICS
    from meld.runtime.instantiate import Trapped

    d = Drivers(stage.data, Host(forbid=INTRINSICS))
    if not stage.bridged:
        with pytest.raises(Trapped, match="stream_new must not be called"):
            d.new()
        return
    readable, writable = d.new()
    assert d.write(writable, 100) == 100
    d.drop_writer(writable)
    assert d.read(readable, 100) == 100
    d.drop_reader(readable)
    assert d.got(100) == pattern(100)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PASSES)
def test_a_dump_is_valid_and_continues_to_the_same_bytes(form: str, name: str, directory: Path) -> None:
    text = dump(form, name, directory)
    tool("validate", "--features", "all", "-", data=text.encode())
    assert meld.print_text(parse(text, "dump.wat")) == text
    path = directory / f"{form}-{name}.wat"
    path.write_text(text)
    assert meld.encode(meld.compile([path])) == binary(form, PASSES[-1], directory)


def test_text_and_binary_inputs_give_the_same_module(directory: Path) -> None:
    assert len(inputs("wasm", directory)) == 2
    text, data = (tool("strip", "--all", "-", data=binary(form, PASSES[-1], directory)) for form in FORMS)
    assert text == data
