"""Futures inside the module: the contract's table of states, and no difference from futures on the host."""

from __future__ import annotations

from typing import Any

import pytest
from parties import Fuse, Fused, Party

from meld.abi.intrinsics import INTRINSICS
from meld.notes.streams import Domain
from meld.runtime.instantiate import Trapped

LOCAL = 1 << 31
DONE, NOT_YET, CLOSED, INVALID, RUNTIME = 1, 0, -1, -2, -6


def parties(element: str) -> list[Party]:
    """A writer and a reader of futures of one type."""
    return [Party("a", ("future.write",), (element,)), Party("b", ("future.read",), (element,), links=("a",))]


@pytest.fixture
def fused(fuse: Fuse) -> Fused:
    """Futures of 8 bytes; the host must not be called."""
    made = fuse(parties("u64"))
    made.host.forbid = set(INTRINSICS)
    return made


def test_a_value_arrives_and_stays(fused: Fused) -> None:
    readable, writable = fused.new("a", "future")
    assert readable & LOCAL and writable & LOCAL
    assert fused.b_future_read(readable, 0) == NOT_YET
    fused.memory("a")[64:72] = b"12345678"
    assert fused.a_future_write(writable, 64) == DONE
    assert fused.a_future_write(writable, 64) == RUNTIME
    fused.a_future_drop_writable(writable)
    for at in (100, 200):
        assert fused.b_future_read(readable, at) == DONE
        assert fused.memory("b")[at : at + 9] == b"12345678\0"
    fused.b_future_drop_readable(readable)
    assert fused.b_future_read(readable, 0) == INVALID


def test_an_end_that_is_gone_closes_it(fused: Fused) -> None:
    readable, writable = fused.new("a", "future")
    fused.a_future_drop_writable(writable)
    assert fused.b_future_read(readable, 0) == CLOSED
    readable, writable = fused.new("a", "future")
    fused.b_future_drop_readable(readable)
    assert fused.a_future_write(writable, 0) == CLOSED
    assert fused.b_future_read(readable, 0) == CLOSED
    with pytest.raises(Trapped):
        fused.b_future_drop_readable(readable)


def test_any_number_one_after_another_and_stale_handles(fused: Fused) -> None:
    old = fused.new("a", "future")
    fused.a_future_drop_writable(old[1])
    fused.b_future_drop_readable(old[0])
    for _ in range(100):
        readable, writable = fused.new("a", "future")
        assert fused.b_future_read(old[0], 0) == fused.a_future_write(old[1], 0) == INVALID
        assert fused.b_future_cancel_read(old[0]) == fused.a_future_cancel_write(old[1]) == INVALID
        assert fused.b_future_cancel_read(readable) == fused.a_future_cancel_write(writable) == 0
        assert fused.b_future_read(writable, 0) == fused.a_future_write(readable, 0) == INVALID
        fused.a_future_drop_writable(writable)
        fused.b_future_drop_readable(readable)
    with pytest.raises(Trapped):
        fused.a_future_drop_writable(old[1])


@pytest.mark.parametrize("ptr", [65536 - 7, 65536, 0xFFFF_FFFC])
def test_bounds(fused: Fused, ptr: int) -> None:
    readable, writable = fused.new("a", "future")
    with pytest.raises(Trapped, match="unreachable"):
        fused.a_future_write(writable, ptr)
    assert fused.b_future_read(readable, 0) == NOT_YET, "nothing was written"
    assert fused.a_future_write(writable, 65536 - 8) == DONE
    before = bytes(fused.memory("b"))
    with pytest.raises(Trapped, match="unreachable"):
        fused.b_future_read(readable, ptr)
    assert bytes(fused.memory("b")) == before


def test_a_ninth_one_lives_on_the_host(fuse: Fuse) -> None:
    fused = fuse(parties("u64"), future_size=8)
    for _ in range(8):
        assert fused.new("a", "future")[0] & LOCAL
    assert fused.host.total == 0
    readable, writable = fused.new("a", "future")
    assert not readable & LOCAL
    fused.memory("a")[0:8] = b"onthehst"
    assert fused.a_future_write(writable, 0) == DONE
    assert fused.b_future_read(readable, 8) == DONE
    assert fused.memory("b")[8:16] == b"onthehst"


@pytest.mark.parametrize(("element", "size"), [("", 0), ("u8", 1), ("u16", 2), ("u64", 8), ("(tuple u32 u8)", 8)])
def test_values_of_all_sizes_as_on_the_host(element: str, size: int, fuse: Fuse) -> None:
    def exchange(fused: Fused) -> list[Any]:
        readable, writable = fused.new("a", "future")
        fused.memory("a")[:16] = bytes(range(1, 17))
        seen = [fused.b_future_read(readable, 0), fused.a_future_write(writable, 0), fused.b_future_read(readable, 99)]
        return [*seen, bytes(fused.memory("b")[90:120])]

    bridged = fuse(parties(element), future_size=size)
    assert exchange(bridged) == exchange(fuse(parties(element), stop_after="merge", future_size=size))
    assert bridged.host.total == 0
    assert bytes(bridged.memory("b")[99 : 99 + size]) == bytes(range(1, size + 1))
    assert not any(bridged.memory("b")[99 + size :])


def test_streams_and_futures_are_told_apart(fuse: Fuse) -> None:
    a = Party("a", ("stream.write", "future.write"), ("u32",))
    b = Party("b", ("stream.read", "future.read"), ("u32",), links=("a",))
    fused = fuse([a, b])
    stream, future = fused.new("a"), fused.new("a", "future")
    assert fused.b_stream_read(future[0], 0, 4) == fused.a_stream_write(future[1], 0, 4) == INVALID
    assert fused.b_future_read(stream[0], 0) == fused.a_future_write(stream[1], 0) == INVALID
    with pytest.raises(Trapped):
        fused.b_stream_drop_readable(future[0])
    with pytest.raises(Trapped):
        fused.a_future_drop_writable(stream[1])
    assert fused.send("a", stream[1], b"both") == 4
    assert fused.a_future_write(future[1], 64) == DONE
    assert fused.receive("b", stream[0], 9) == b"both"
    assert fused.b_future_read(future[0], 8) == DONE
    assert fused.memory("b")[8:12] == b"both"
    assert fused.host.total == 0


def test_several_sizes_stay_on_the_host(fuse: Fuse) -> None:
    a = Party("a", ("future.write",), ("u32", "u64"))
    b = Party("b", ("future.read",), ("u32", "u64"), links=("a",))
    fused = fuse([a, b])
    assert not fused.new("a", "future")[0] & LOCAL
    assert all("several sizes" in domain.why for domain in fused.module.notes_of(Domain))
