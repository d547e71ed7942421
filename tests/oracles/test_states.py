"""The table of states in specs/stream-contract.md, row by row, with memories in all forms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from parties import Fuse, Fused, Party

from meld.abi.intrinsics import INTRINSICS

RING = 4096
CLOSED, INVALID, PENDING = -1, -2, -5


class Ends:
    """A fresh stream and what a row does to it."""

    def __init__(self, fused: Fused) -> None:
        self.fused = fused
        self.readable, self.writable = fused.new("a")

    def write(self, data: bytes) -> int:
        return self.fused.send("a", self.writable, data)

    def read(self, length: int) -> bytes | int:
        return self.fused.receive("b", self.readable, length)

    def drop_writer(self) -> None:
        self.fused.a_stream_drop_writable(self.writable)

    def drop_reader(self) -> None:
        self.fused.b_stream_drop_readable(self.readable)


def open_empty(s: Ends) -> None:
    assert [s.read(n) for n in (0, 1, RING, 0xFFFF_FFFF)] == [PENDING] * 4
    assert s.write(b"accepted") == 8


def open_data(s: Ends) -> None:
    assert s.write(b"abcde") == 5
    assert s.read(2) == b"ab"
    assert s.read(RING) == b"cde"
    assert s.write(bytes(range(200))) == 200
    assert s.write(bytes(RING)) == RING - 200
    assert [s.write(b"x"), s.write(bytes(RING))] == [0, 0], "full is backpressure"
    assert s.read(200) == bytes(range(200))
    assert s.write(bytes(RING)) == 200


def open_data_no_length(s: Ends) -> None:
    assert s.write(b"abc") == 3
    assert [s.read(0), s.write(b"")] == [PENDING, 0]
    assert s.read(9) == b"abc"


def writer_dropped_data(s: Ends) -> None:
    assert s.write(b"abc") == 3
    s.drop_writer()
    assert s.write(b"x") == CLOSED
    assert s.read(2) == b"ab"
    assert [s.read(0), s.write(b"")] == [PENDING, CLOSED]
    assert s.read(2) == b"c"


def writer_dropped_drained(s: Ends) -> None:
    s.write(b"abc")
    s.read(3)
    s.drop_writer()
    assert [s.read(n) for n in (1, 0, RING, 1)] == [0] * 4
    assert s.write(b"x") == CLOSED


def reader_dropped(s: Ends) -> None:
    s.write(b"abc")
    s.drop_reader()
    assert [s.read(n) for n in (0, 1)] == [CLOSED] * 2
    assert [s.write(data) for data in (b"", b"x")] == [CLOSED] * 2


def both_dropped(s: Ends) -> None:
    s.write(b"abc")
    s.drop_reader()
    s.drop_writer()
    assert [s.read(0), s.read(1), s.write(b""), s.write(b"x")] == [INVALID] * 4


def never_minted(s: Ends) -> None:
    s.write(b"abc")
    minted = s.readable, s.writable
    for distance in range(1, 8):
        s.readable, s.writable = (handle + distance for handle in minted)
        assert [s.read(0), s.read(1), s.write(b""), s.write(b"x")] == [INVALID] * 4
    s.readable, s.writable = minted
    assert s.read(9) == b"abc"


ROWS = [
    open_empty,
    open_data,
    open_data_no_length,
    writer_dropped_data,
    writer_dropped_drained,
    reader_dropped,
    both_dropped,
    never_minted,
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_row(row: Callable[[Ends], None], fuse: Fuse) -> None:
    fused = fuse([Party("a", ("stream.write",)), Party("b", ("stream.read",), links=("a",))])
    fused.host.forbid = set(INTRINSICS)
    row(Ends(fused))


def test_the_published_sequence(fuse: Fuse) -> None:
    """Partial write, full ring, drain, resume, and both sides across the edge of the ring."""
    fused = fuse([Party("a", ("stream.write",)), Party("b", ("stream.read",), links=("a",))])
    fused.host.forbid = set(INTRINSICS)
    s = Ends(fused)
    data = bytes((i + 1) * 3 & 0xFF for i in range(5000))
    assert s.write(data[:4]) == 4
    assert s.read(8) == data[:4]
    assert s.write(data[:300]) == 300
    assert s.read(RING) == data[:300]
    assert [s.write(data), s.write(b"x")] == [RING, 0]
    assert s.read(5000) == data[:RING]
    assert s.write(data[RING:]) == 904
    assert s.read(8192) == data[RING:]
    assert s.write(data[:3500]) == 3500, "the cursors are at 5304, so this crosses the edge"
    assert s.read(8192) == data[:3500]
    assert s.read(1) == PENDING
    s.write(data[:4])
    s.drop_writer()
    assert [s.read(3), s.read(3), s.read(3), s.read(3)] == [data[:3], data[3:4], 0, 0]
