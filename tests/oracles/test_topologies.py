"""Who streams to whom, through whatever the code does with its imports: local where it can be, counted where not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from parties import Calls, Fuse, Fused, Party

import meld
from meld.notes.streams import Pair
from meld.runtime.host import Host
from meld.runtime.instantiate import Trapped, instantiate

LOCAL = 1 << 31
WRITES, READS, BOTH = ("stream.write",), ("stream.read",), ("stream.read", "stream.write")
RECORD = '(record (field "x" u32) (field "y" u64))'


@dataclass(frozen=True)
class Topology:
    """Parties and the flows between them, as writer and reader."""

    parties: tuple[Party, ...]
    flows: tuple[tuple[str, str], ...]


TOPOLOGIES = {
    "fan-out": Topology(
        (Party("a", WRITES), *(Party(n, READS, links=("a",)) for n in "bcd")),
        (("a", "b"), ("a", "c"), ("a", "d")),
    ),
    "fan-in": Topology(
        (*(Party(n, WRITES) for n in "abc"), Party("d", READS, links=("a", "b", "c"))),
        (("a", "d"), ("b", "d"), ("c", "d")),
    ),
    "chain": Topology(
        (Party("a", WRITES), Party("b", BOTH, links=("a",)), Party("c", READS, links=("b",))),
        (("a", "b"), ("b", "c")),
    ),
    "both directions": Topology((Party("a", BOTH), Party("b", BOTH, links=("a",))), (("a", "b"), ("b", "a"))),
    "ring": Topology(
        (Party("a", BOTH), Party("b", BOTH, links=("a",)), Party("c", BOTH, links=("b", "a"))),
        (("a", "b"), ("b", "c"), ("c", "a")),
    ),
    "two clusters": Topology(
        (Party("a", WRITES), Party("b", READS, links=("a",)), Party("c", WRITES), Party("d", READS, links=("c",))),
        (("a", "b"), ("c", "d")),
    ),
    "a chain that skips one": Topology(  # b has no streams: it only links a and c
        (Party("a", WRITES), Party("b", (), links=("a",)), Party("c", READS, links=("b",))),
        (("a", "c"),),
    ),
    "several element types": Topology(
        (Party("a", BOTH, ("u8", RECORD)), Party("b", BOTH, ("u8", RECORD), links=("a",))),
        (("a", "b"), ("b", "a"), ("a", "b")),
    ),
}


def converse(fused: Fused, flows: tuple[tuple[str, str], ...]) -> tuple[list[bool], Counter[str]]:
    """Uses all flows at once; whether each stream was local, and how often which intrinsic was called."""
    calls: Counter[str] = Counter()
    streams = [fused.new(writer) for writer, _ in flows]
    calls["stream_new"] += len(flows)
    for turn in range(5):
        for number, ((writer, reader), (readable, writable)) in enumerate(zip(flows, streams, strict=True)):
            data = bytes((number * 64 + turn + i) & 0xFF for i in range(1600))
            assert fused.send(writer, writable, data) == 1600
            assert fused.receive(reader, readable, 4096) == data
            calls += Counter(stream_write=1, stream_read=1)
    for (writer, reader), (readable, writable) in zip(flows, streams, strict=True):
        fused.call(f"{writer}_stream_drop_writable", writable)
        assert fused.receive(reader, readable, 1) == 0
        fused.call(f"{reader}_stream_drop_readable", readable)
        calls += Counter(stream_drop_writable=1, stream_drop_readable=1, stream_read=1)
    return [bool(readable & LOCAL and writable & LOCAL) for readable, writable in streams], calls


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_local_with_the_bridge_and_counted_without(name: str, fuse: Fuse) -> None:
    topology = TOPOLOGIES[name]
    bridged, merged = fuse(topology.parties), fuse(topology.parties, stop_after="merge")
    local, _ = converse(bridged, topology.flows)
    assert all(local) and bridged.host.total == 0
    local, calls = converse(merged, topology.flows)
    assert not any(local) and merged.host.calls == calls


@pytest.mark.parametrize("calls", Calls)
@pytest.mark.parametrize("name", ["chain", "both directions"])
def test_however_the_intrinsics_are_called(name: str, calls: Calls, fuse: Fuse) -> None:
    """Through a table, a reference, an export: what is reached is the shim of the instance, never the host."""
    parties = [replace(party, calls=calls) for party in TOPOLOGIES[name].parties]
    fused = fuse(parties)
    local, _ = converse(fused, TOPOLOGIES[name].flows)
    assert all(local) and fused.host.total == 0
    merged = fuse(parties, stop_after="merge")
    assert converse(merged, TOPOLOGIES[name].flows)[1] == merged.host.calls


def test_handles_travel_through_a_third_component_and_through_streams(fuse: Fuse) -> None:
    """The readable end of a stream is sent through two others, and used where it arrives."""
    a, b = Party("a", WRITES, ("u32",)), Party("b", BOTH, ("u32",), links=("a",))
    fused = fuse([a, b, Party("c", READS, ("u32",), links=("b",))])
    inner, first, second = fused.new("a"), fused.new("a"), fused.new("b")
    assert fused.send("a", inner[1], b"the letter!!") == 12
    assert fused.send("a", first[1], inner[0].to_bytes(4, "little")) == 4
    carried = fused.receive("b", first[0], 4)
    assert isinstance(carried, bytes)
    assert fused.send("b", second[1], carried) == 4
    arrived = fused.receive("c", second[0], 4)
    assert isinstance(arrived, bytes)
    assert fused.receive("c", int.from_bytes(arrived, "little"), 99) == b"the letter!!"
    fused.call("c_stream_drop_readable", inner[0])
    assert fused.send("a", inner[1], b"late") == -1
    assert fused.host.total == 0


def test_ends_made_by_one_used_by_another_dropped_by_a_third(fuse: Fuse) -> None:
    fused = fuse([Party("a", BOTH), Party("b", BOTH, links=("a",)), Party("c", BOTH, links=("b",))])
    readable, writable = fused.new("a")
    assert fused.send("b", writable, b"from b") == 6
    assert fused.send("c", writable, b" and c") == 6
    assert fused.receive("a", readable, 6) == b"from b"
    fused.b_stream_drop_writable(writable)
    assert fused.receive("c", readable, 9) == b" and c"
    fused.c_stream_drop_readable(readable)
    assert fused.new("b")[0] & 7 == readable & 7, "the slot is free for all"
    assert fused.host.total == 0


class TestOutside:
    """An instance that is in no bridged domain calls the host as before."""

    def test_its_streams_reach_the_host_and_it_gets_no_local_handle(self, fuse: Fuse) -> None:
        a, b = Party("a", WRITES), Party("b", READS, links=("a",))
        fused = fuse([a, b, Party("other", BOTH)])
        ours = fused.new("a")
        fused.send("a", ours[1], b"ours")
        for _ in range(20):  # more than there are slots
            readable, writable = fused.new("other")
            assert not readable & LOCAL and not writable & LOCAL
            assert fused.send("other", writable, b"theirs") == 6
            assert fused.receive("other", readable, 99) == b"theirs"
        assert fused.host.calls == Counter(stream_new=20, stream_write=20, stream_read=20)
        assert all(fused.new("a")[0] & LOCAL for _ in range(7)), "it has taken no slot"
        assert fused.receive("b", ours[0], 99) == b"ours"

    def test_a_local_handle_means_nothing_there(self, fuse: Fuse) -> None:
        fused = fuse([Party("a", WRITES), Party("b", READS, links=("a",)), Party("other", BOTH)])
        readable, writable = fused.new("a")
        fused.send("a", writable, b"ours")
        for name, handle in (("read", readable), ("write", writable)):
            with pytest.raises(Trapped, match="must not reach the host"):
                fused.call(f"other_stream_{name}", handle, 0, 4)
        assert fused.receive("b", readable, 99) == b"ours"

    def test_one_domain_on_the_host_and_one_in_the_module(self, fuse: Fuse) -> None:
        parties = [Party("a", WRITES), Party("b", READS, links=("a",))]
        parties += [Party("c", WRITES, ("string",)), Party("d", READS, ("string",), links=("c",))]
        fused = fuse(parties)
        local, calls = converse(fused, (("a", "b"), ("c", "d")))
        assert local == [True, False]
        assert fused.host.calls == Counter({name: n // 2 for name, n in calls.items()})


TWICE = """(component
  {a}
  {b}
  (core type $nothing (module))
  (import "a" (core module $a.link (type $nothing)))
  (instance $a1 (instantiate $a))
  (instance $a2 (instantiate $a))
  (instance $b1 (@meld.partner $a1 (label "a")) (instantiate $b (with "a" (core module $a.link))))
  (instance $b2 (@meld.partner $a2 (label "a")) (instantiate $b (with "a" (core module $a.link))))
)"""


def test_components_instantiated_twice(tmp_path: Path) -> None:
    """Each instance has its own memory and its own shims: two pairs, made of the same two components."""
    a, b = Party("a", WRITES), Party("b", READS, links=("a",))
    path = tmp_path / "twice.wat"
    path.write_text(TWICE.format(a=a.text(), b=b.text()))
    passes = "merge,detect-pairs,emit-bridge,rewire-calls,finish"
    module = meld.compile([path], passes=passes, trust_notes=True)
    pairs = [(a.name, b.name) for p in module.notes_of(Pair) for (a,), (b,) in p.flows()]
    assert pairs == [("a1", "b1"), ("a2", "b2")]
    host = Host()
    running = instantiate(meld.encode(module), host)
    assert len(module.memories) == 5
    streams = {}
    for n, prefix in (("1", ""), ("2", "{}2/")):
        pair = running.call(f"{prefix.format('a')}a_stream_new")
        streams[n] = pair & 0xFFFF_FFFF, pair >> 32 & 0xFFFF_FFFF
        for i, byte in enumerate(f"number {n}".encode()):
            running.call(f"{prefix.format('a')}a_poke", i, byte)
        assert running.call(f"{prefix.format('a')}a_stream_write", streams[n][1], 0, 8) == 8
    for n, prefix in (("1", ""), ("2", "{}2/")):
        name = prefix.format("b")
        assert running.call(f"{name}b_stream_read", streams[n][0], 100, 99) == 8
        assert bytes(running.call(f"{name}b_peek", 100 + i) for i in range(8)) == f"number {n}".encode()
    assert host.total == 0
