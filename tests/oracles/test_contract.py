"""The stream contract beyond the published oracles, by running fused programs. See specs/stream-contract.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from parties import Form, Fuse, Fused, Party

import meld
from meld.abi.intrinsics import INTRINSICS
from meld.diagnostics import MeldError
from meld.driver import Options, build
from meld.notes.streams import Domain
from meld.runtime.host import Host
from meld.runtime.instantiate import Trapped

LOCAL, WRITABLE = 1 << 31, 1 << 30
INVALID, CLOSED, PENDING = -2, -1, -5

A = Party("a", ("stream.write",))
B = Party("b", ("stream.read",), links=("a",))


@pytest.fixture
def pair(fuse: Fuse) -> Fused:
    """A writes, b reads; the host must not be called."""
    fused = fuse([A, B])
    fused.host.forbid = set(INTRINSICS)
    return fused


class TestHandles:
    """Whose handle it is, and for what."""

    def test_a_program_may_open_any_number_of_streams_one_after_another(self, pair: Fused) -> None:
        seen = set()
        for i in range(1000):
            readable, writable = pair.new("a")
            assert readable & LOCAL and writable & LOCAL
            seen |= {readable, writable}
            assert pair.send("a", writable, bytes([i & 0xFF, 7])) == 2
            first, second = (pair.a_stream_drop_writable, writable), (pair.b_stream_drop_readable, readable)
            if i % 2:
                first, second = second, first
            else:
                assert pair.receive("b", readable, 9) == bytes([i & 0xFF, 7])
            first[0](first[1])
            second[0](second[1])
        assert len(seen) == 2000

    def test_a_stale_handle_is_invalid_and_its_drop_traps(self, pair: Fused) -> None:
        stale = pair.new("a")
        pair.b_stream_drop_readable(stale[0])
        pair.a_stream_drop_writable(stale[1])
        live = pair.new("a")
        assert live[0] & 7 == stale[0] & 7, "the slot is used again"
        pair.send("a", live[1], b"kept")
        self._refused(pair, *stale)
        assert pair.receive("b", live[0], 9) == b"kept"

    def test_a_forged_handle_is_invalid_and_touches_no_stream(self, pair: Fused) -> None:
        readable, writable = pair.new("a")
        pair.send("a", writable, b"kept")
        for bit in range(31):
            forged = readable ^ 1 << bit
            if forged not in (readable, writable):
                self._refused(pair, forged, forged)
        self._refused(pair, writable, readable)  # each for the other end
        assert pair.receive("b", readable, 9) == b"kept"
        assert pair.receive("b", readable, 9) == PENDING

    def test_a_live_slot_is_asked_for_not_only_its_generation(self, pair: Fused) -> None:
        """The next generation of a free slot can be guessed."""
        readable, writable = pair.new("a")
        guessed = readable + 1  # slot 1, which is free
        self._refused(pair, guessed, guessed | WRITABLE)
        pair.b_stream_drop_readable(readable)
        pair.a_stream_drop_writable(writable)
        self._refused(pair, readable + 8, (readable + 8) | WRITABLE)  # what the slot will be called next
        assert pair.new("a")[0] == readable + 8

    @staticmethod
    def _refused(fused: Fused, readable: int, writable: int) -> None:
        assert fused.b_stream_read(readable, 0, 1) == INVALID
        assert fused.a_stream_write(writable, 0, 1) == INVALID
        assert fused.b_stream_cancel_read(readable) == INVALID
        assert fused.a_stream_cancel_write(writable) == INVALID
        for call, handle in ((fused.b_stream_drop_readable, readable), (fused.a_stream_drop_writable, writable)):
            with pytest.raises(Trapped, match="unreachable"):
                call(handle)

    def test_cancellation_never_reaches_the_host(self, pair: Fused) -> None:
        readable, writable = pair.new("a")
        assert pair.receive("b", readable, 1) == PENDING
        assert pair.b_stream_cancel_read(readable) == 0
        assert pair.a_stream_cancel_write(writable) == 0


class TestEnds:
    """The two ends are dropped independently."""

    def test_the_reader_first(self, pair: Fused) -> None:
        readable, writable = pair.new("a")
        pair.send("a", writable, b"lost")
        pair.b_stream_drop_readable(readable)
        assert pair.send("a", writable, b"x") == CLOSED
        assert pair.receive("b", readable, 1) == CLOSED
        with pytest.raises(Trapped):
            pair.b_stream_drop_readable(readable)
        pair.a_stream_drop_writable(writable)
        assert pair.send("a", writable, b"x") == INVALID

    def test_the_writer_first(self, pair: Fused) -> None:
        readable, writable = pair.new("a")
        pair.send("a", writable, b"abc")
        pair.a_stream_drop_writable(writable)
        assert pair.send("a", writable, b"x") == CLOSED
        with pytest.raises(Trapped):
            pair.a_stream_drop_writable(writable)
        assert pair.receive("b", readable, 0) == PENDING, "0 is kept for the end"
        assert pair.receive("b", readable, 2) == b"ab"
        assert pair.receive("b", readable, 2) == b"c"
        assert [pair.receive("b", readable, n) for n in (0, 1, 9)] == [0, 0, 0]
        pair.b_stream_drop_readable(readable)
        assert pair.receive("b", readable, 1) == INVALID

    def test_a_new_stream_in_an_old_slot_shows_nothing_of_the_old_one(self, pair: Fused) -> None:
        readable, writable = pair.new("a")
        pair.send("a", writable, b"secret")
        pair.b_stream_drop_readable(readable)
        pair.a_stream_drop_writable(writable)
        readable, writable = pair.new("a")
        assert pair.receive("b", readable, 100) == PENDING
        pair.send("a", writable, b"new")
        assert pair.receive("b", readable, 100) == b"new"


class TestBounds:
    """A buffer that does not lie in its memory: a trap, and nothing has changed."""

    SIZE = 65536

    TRAP = "unreachable|out of bounds memory access"
    COUNTS = (10, 20, 50)

    @pytest.mark.parametrize("ptr", [SIZE - 9, SIZE, 0xFFFF_FFF8, 0xFFFF_FFFF, LOCAL])
    def test_read(self, pair: Fused, ptr: int) -> None:
        readable, writable = pair.new("a")
        data = bytes(range(50))
        pair.send("a", writable, data)
        before = bytes(pair.memory("b"))
        for count in self.COUNTS:
            with pytest.raises(Trapped, match=self.TRAP):
                pair.b_stream_read(readable, ptr, count)
            assert bytes(pair.memory("b")) == before
        assert pair.receive("b", readable, 50) == data

    @pytest.mark.parametrize("ptr", [SIZE - 9, SIZE, 0xFFFF_FFF8, 0xFFFF_FFFF, LOCAL])
    def test_write(self, pair: Fused, ptr: int) -> None:
        readable, writable = pair.new("a")
        for count in self.COUNTS:
            with pytest.raises(Trapped, match=self.TRAP):
                pair.a_stream_write(writable, ptr, count)
        assert pair.receive("b", readable, 10) == PENDING

    def test_the_count_after_clamping_is_what_has_to_fit(self, pair: Fused) -> None:
        readable, writable = pair.new("a")
        assert pair.a_stream_write(writable, self.SIZE - 4096, 0xFFFF_FFFF) == 4096
        assert pair.a_stream_write(writable, 0xFFFF_FFFF, 1) == 0, "full: the answer comes before the check"
        assert pair.b_stream_read(readable, self.SIZE - 4096, 0xFFFF_FFFF) == 4096
        assert pair.b_stream_read(readable, 0xFFFF_FFFF, 1) == PENDING


class TestElements:
    """Elements are whole; what holds pointers or handles is not copied."""

    def test_counts_are_multiples_of_the_element(self, fuse: Fuse) -> None:
        record = '(record (field "x" u32) (field "y" u32) (field "z" u32))'
        a = Party("a", ("stream.write",), (record,))
        b = Party("b", ("stream.read",), (record,), links=("a",))
        fused = fuse([a, b])
        readable, writable = fused.new("a")
        assert readable & LOCAL
        assert fused.a_stream_write(writable, 0, 23) == 12
        assert fused.b_stream_read(readable, 0, 11) == PENDING
        assert fused.b_stream_read(readable, 0, 23) == 12
        assert fused.a_stream_write(writable, 0, 5000) == 4092
        assert fused.a_stream_write(writable, 0, 12) == 0
        assert fused.b_stream_read(readable, 0, 5000) == 4092

    @pytest.mark.parametrize("element", ["string", "(list u8)", '(record (field "s" string))'])
    def test_pointers_stay_on_the_host_with_a_remark(self, element: str, fuse: Fuse, tmp_path: Path) -> None:
        a = Party("a", ("stream.write",), (element,))
        b = Party("b", ("stream.read",), (element,), links=("a",))
        fused = fuse([a, b])
        assert not fused.new("a")[0] & LOCAL
        (domain,) = fused.module.notes_of(Domain)
        assert "pointers" in domain.why
        outcome = build([tmp_path / "a.wat", tmp_path / "b.wat"], Options())
        assert any("stays on the host" in str(remark) for remark in outcome.remarks)

    def test_types_are_compared_by_structure(self, fuse: Fuse) -> None:
        """The same record through another index and another name."""
        a = Party("a", ("stream.write",), ('(record (field "x" u32))',))
        b = Party("b", ("stream.read",), ("u64", '(record (field "x" u32))'), links=("a",))
        assert fuse([a, b]).new("a")[0] & LOCAL

    @pytest.mark.parametrize("other", ["u64", '(record (field "y" u32))', '(record (field "x" s32))'])
    def test_linked_ends_of_different_types_are_an_error(self, other: str, fuse: Fuse) -> None:
        a = Party("a", ("stream.write",), ('(record (field "x" u32))',))
        b = Party("b", ("stream.read",), (other,), links=("a",))
        with pytest.raises(MeldError, match="which is linked to it"):
            fuse([a, b])


class TestTopologies:
    """Shims belong to instances: whoever reads and writes, the bytes arrive in the right memory."""

    def test_two_readers(self, fuse: Fuse) -> None:
        c = Party("c", ("stream.read",), links=("a",))
        fused = fuse([A, B, c])
        streams = {"b": fused.new("a"), "c": fused.new("a")}
        for name, (_, writable) in streams.items():
            fused.send("a", writable, f"for {name}".encode())
        for name, (readable, _) in streams.items():
            assert fused.receive(name, readable, 99) == f"for {name}".encode()
        assert fused.host.total == 0

    def test_two_pairs_that_do_not_know_each_other(self, fuse: Fuse) -> None:
        c = Party("c", ("stream.write",))
        d = Party("d", ("stream.read",), links=("c",))
        fused = fuse([A, B, c, d])
        for writer, reader in (("a", "b"), ("c", "d")):
            readable, writable = fused.new(writer)
            fused.send(writer, writable, writer.encode())
            assert fused.receive(reader, readable, 9) == writer.encode()
        assert fused.host.total == 0

    def test_a_chain_of_three(self, fuse: Fuse) -> None:
        b = Party("b", ("stream.read", "stream.write"), links=("a",))
        c = Party("c", ("stream.read",), links=("b",))
        fused = fuse([A, b, c])
        first, second = fused.new("a"), fused.new("b")
        for part in (b"through", b" two", b" streams"):
            assert fused.send("a", first[1], part) == len(part)
            arrived = fused.receive("b", first[0], 99)
            assert arrived == part
            assert fused.send("b", second[1], part.upper()) == len(part)
        assert fused.receive("c", second[0], 99) == b"THROUGH TWO STREAMS"
        assert fused.host.total == 0

    def test_both_directions(self, fuse: Fuse) -> None:
        a = Party("a", ("stream.read", "stream.write"))
        b = Party("b", ("stream.read", "stream.write"), links=("a",))
        fused = fuse([a, b])
        there, back = fused.new("a"), fused.new("b")
        fused.send("a", there[1], b"ping")
        assert fused.receive("b", there[0], 9) == b"ping"
        fused.send("b", back[1], b"pong")
        assert fused.receive("a", back[0], 9) == b"pong"
        assert fused.host.total == 0

    def test_one_that_is_linked_to_nobody_keeps_its_streams_on_the_host(self, fuse: Fuse) -> None:
        other = Party("other", ("stream.read", "stream.write"))
        fused = fuse([A, B, other])
        assert fused.new("a")[0] & LOCAL
        readable, writable = fused.new("other")
        assert not readable & LOCAL
        assert fused.send("other", writable, b"outside") == 7
        assert fused.receive("other", readable, 9) == b"outside", "the host found its memory, which is not number 0"
        assert dict(fused.host.calls) == {"stream_new": 1, "stream_write": 1, "stream_read": 1}

    def test_the_host_path_of_a_bridged_instance_names_its_memory(self, fuse: Fuse) -> None:
        fused = fuse([A, B], passes="detect-pairs,emit-bridge{slots=1},rewire-calls,adapter-wiring,finish")
        fused.new("a")
        readable, writable = fused.new("a")
        assert not readable & LOCAL
        assert fused.send("a", writable, b"by the host") == 11
        assert fused.receive("b", readable, 99) == b"by the host"

    def test_a_memory_of_the_host_is_refused(self, tmp_path: Path) -> None:
        """A core module that nobody instantiates gets the intrinsics and nothing else."""
        with pytest.raises(MeldError, match="and nothing else"):
            Fused([replace(A, memory='(import "env" "memory" (memory $buffer 1))'), B], tmp_path)

    def test_lowered_to_one_memory(self, tmp_path: Path) -> None:
        """What `memory` of a party is here, is what the party sees."""
        fused = Fused([A, B], tmp_path, form=Form.LOWERED)
        assert len(fused.module.space("memories")) == 1
        for party, value in (("a", 42), ("b", 43)):
            fused.running.call(f"{party}_poke", 5, value)
            assert fused.memory(party)[5] == value
            fused.memory(party)[65535] = value
            assert fused.running.call(f"{party}_peek", 65535) == value
            with pytest.raises(Trapped):
                fused.running.call(f"{party}_peek", 65536)


class TestWhoStays:
    """What keeps a domain on the host."""

    TAKES = """
      (core module $take (func (export "take") (param i32)))
      (core instance $take (instantiate $take))
      (func $take (param "s" $stream0) (canon lift (core func $take "take")))
      (export "take" (func $take))"""
    GIVES = """
      (import "give" (func $give (param "s" $stream0)))
      (core func $give (canon lower (func $give)))
      (core module $giver
        (import "host" "give" (func $give (param i32)))
        (func (export "g") (call $give (i32.const 1))))
      (core instance $giver (instantiate $giver (with "host" (instance (export "give" (func $give))))))
      (func $g (canon lift (core func $giver "g")))
      (export "g" (func $g))"""
    JOINS = "(core func (canon waitable.join))"

    @pytest.mark.parametrize(
        ("more", "reason"),
        [(TAKES, "export `take`"), (GIVES, "import `give`"), (JOINS, "waitable set")],
        ids=["export", "import", "waitables"],
    )
    def test_it_works_there(self, more: str, reason: str, fuse: Fuse) -> None:
        b = Party("b", ("stream.read",), links=("a",), more=more)
        fused = fuse([A, b], given={("$root", "give"): lambda handle: None})
        (domain,) = fused.module.notes_of(Domain)
        assert not domain.bridged and reason in (domain.why or "")
        readable, writable = fused.new("a")
        assert not readable & LOCAL
        fused.send("a", writable, b"on the host")
        assert fused.receive("b", readable, 99) == b"on the host"

    def test_a_borrow_in_a_stream_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "a.wat").write_text(
            "(component (type $r (resource (rep i32))) (type $b (borrow $r)) (type $s (stream $b))"
            " (core func (canon stream.new $s)))"
        )
        with pytest.raises(MeldError, match="borrow"):
            meld.compile([tmp_path / "a.wat"])


def conversation(fused: Fused) -> list[Any]:
    """A long exchange; everything that can be seen of it but the handles."""
    seen: list[Any] = []
    streams = [fused.new("a") for _ in range(3)]
    for i in range(200):
        readable, writable = streams[i % 3]
        seen.append(fused.send("a", writable, bytes((i * j) & 0xFF for j in range(i * 37 % 2500))))
        seen.append(fused.receive("b", readable, i * 61 % 3000))
    for readable, writable in streams:
        fused.a_stream_drop_writable(writable)
        while (got := fused.receive("b", readable, 1000)) != 0:
            seen.append(got)
        fused.b_stream_drop_readable(readable)
        seen += [fused.a_stream_write(writable, 0, 1), fused.b_stream_read(readable, 0, 1)]
    return seen


def test_host_and_bridge_cannot_be_told_apart(fuse: Fuse) -> None:
    fused, merged = fuse([A, B]), fuse([A, B], stop_after="merge")
    assert conversation(fused) == conversation(merged)
    assert fused.host.total == 0 < merged.host.total


def test_a_host_that_is_asked_for_a_ninth_stream_may_refuse(fuse: Fuse) -> None:
    fused = fuse([A, B])
    fused.host.streams = Host(capacity=0).streams
    for _ in range(8):
        assert fused.new("a")[0] & LOCAL
    readable, writable = fused.new("a")
    assert (readable, writable) == (-3 & 0xFFFF_FFFF, 0)
