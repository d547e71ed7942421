"""Streams and futures of the host: against the contract's model, call by call."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meld.abi.intrinsics import INTRINSICS, Code
from meld.runtime.streams import HostTrap, Streams


def _model() -> ModuleType:
    path = Path(__file__).parents[2] / "specs" / "stream_model.py"
    spec = importlib.util.spec_from_file_location("stream_model", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("stream_model", module)
    spec.loader.exec_module(module)
    return module


MODEL = _model()
SIZE = 64
"""Bytes of the guest's memory."""


class Both:
    """The host and the model side by side; handles of one are paired with those of the other."""

    def __init__(self, limit: int, unit: int) -> None:
        self.streams = Streams(limit, unit, future_size=unit)
        self.models = {"stream": MODEL.Streams(1 << 10, limit), "future": MODEL.Futures(1 << 10)}
        self.caller = MODEL.Caller(bytearray(range(SIZE)), unit, unit, unit)
        self.memory = bytearray(range(SIZE))
        self.handles: list[tuple[int, int]] = [(0, 1 << 31 | 77)]  # one that was never made

    def host(self, name: str, *args: int) -> Any:
        view = memoryview(self.memory)
        try:
            return self.streams.perform(INTRINSICS[name], args, lambda index: view if index == 0 else None)
        except HostTrap:
            return "trap"

    def model(self, name: str, *args: int) -> Any:
        kind, _, operation = name.partition("_")
        perform = getattr(self.models[kind], operation)
        try:
            return perform(self.caller, *args) if operation in ("read", "write") else perform(*args)
        except MODEL.Trap:
            return "trap"

    def step(self, name: str, which: int, ptr: int, length: int) -> None:
        """Performs one operation on both and compares answers and memories."""
        intrinsic = INTRINSICS[name]
        if not intrinsic.params:
            ours, theirs = self.host(name), self.model(name)
            self.handles += [(ours & 0xFFFF_FFFF, theirs & 0xFFFF_FFFF), (ours >> 32, theirs >> 32)]
            return
        ours, theirs = self.handles[which % len(self.handles)]
        rest = [{"ptr": ptr, "len": length, "mem": 0}[param] for param in intrinsic.params[1:]]
        assert self.host(name, ours, *rest) == self.model(name, theirs, *rest)
        assert self.memory == self.caller.memory


# near 2**32 an address wraps in 32 bits: those must trap, and change nothing
addresses = st.one_of(st.integers(0, SIZE + 4), st.integers(2**32 - 8, 2**32 - 1))
steps = st.lists(st.tuples(st.sampled_from(list(INTRINSICS)), st.integers(0, 7), addresses, addresses), max_size=60)


@given(steps, st.sampled_from([1, 4, 16]), st.sampled_from([1, 4]))
@settings(max_examples=400, deadline=None)
def test_host_streams_keep_the_contract(calls: list[tuple[str, int, int, int]], limit: int, unit: int) -> None:
    both = Both(limit, unit)
    both.step("stream_new", 0, 0, 0)
    both.step("future_new", 0, 0, 0)
    for call in calls:
        both.step(*call)


class TestByHand:
    """What the model does not cover."""

    def setup_method(self) -> None:
        self.streams = Streams(limit=8, future_size=4, capacity=2)
        self.memory = bytearray(64)

    def do(self, name: str, *args: int) -> int | None:
        """Performs an intrinsic over one memory, whose index is 3."""
        view = memoryview(self.memory)
        return self.streams.perform(INTRINSICS[name], args, lambda index: view if index == 3 else None)

    def made(self, kind: str) -> tuple[int, int]:
        """The ends of a new stream or future."""
        pair = self.do(f"{kind}_new")
        assert pair is not None
        return pair & 0xFFFF_FFFF, pair >> 32

    def test_handles_are_below_bit_31_and_never_used_again(self) -> None:
        seen: set[int] = set()
        for _ in range(50):
            readable, writable = self.made("stream")
            assert not seen & {readable, writable} and max(readable, writable) < 1 << 31
            seen |= {readable, writable}
            self.do("stream_drop_writable", writable)
            self.do("stream_drop_readable", readable)
            assert self.do("stream_read", readable, 0, 1, 3) == Code.INVALID_HANDLE
        assert self.streams.open == 0

    def test_too_many_at_once_is_out_of_memory_in_the_low_half(self) -> None:
        self.made("stream")
        self.made("future")
        for kind in ("stream", "future"):
            pair = self.do(f"{kind}_new")
            assert pair is not None and pair >> 32 == 0 and pair & 0xFFFF_FFFF == Code.OOM & 0xFFFF_FFFF

    def test_out_of_handles_is_out_of_memory_too(self) -> None:
        self.streams._next = (1 << 31) - 1
        assert self.do("stream_new") == Code.OOM & 0xFFFF_FFFF

    @pytest.mark.parametrize("index", [0, 4, -1, 0xFFFF_FFFF])
    def test_a_memory_that_is_not_there_traps_and_nothing_moves(self, index: int) -> None:
        readable, writable = self.made("stream")
        assert self.do("stream_write", writable, 0, 4, 3) == 4
        with pytest.raises(HostTrap, match="does not have"):
            self.do("stream_read", readable, 0, 4, index)
        assert self.do("stream_read", readable, 0, 8, 3) == 4
        assert self.do("stream_write", writable, 0, 0, index) == 0, "nothing moves, so no memory is asked for"

    def test_a_future_gives_its_value_as_often_as_it_is_read(self) -> None:
        readable, writable = self.made("future")
        self.memory[:4] = b"abcd"
        assert self.do("future_read", readable, 8, 3) == 0
        assert self.do("future_write", writable, 0, 3) == 1
        assert self.do("future_write", writable, 0, 3) == Code.RUNTIME, "there is one value"
        self.do("future_drop_writable", writable)
        for at in (8, 16):
            assert self.do("future_read", readable, at, 3) == 1
            assert self.memory[at : at + 4] == b"abcd"
        self.do("future_drop_readable", readable)
        assert self.do("future_read", readable, 8, 3) == Code.INVALID_HANDLE

    def test_a_future_whose_other_end_is_gone_is_closed(self) -> None:
        readable, writable = self.made("future")
        self.do("future_drop_writable", writable)
        assert self.do("future_read", readable, 0, 3) == Code.CLOSED
        readable, writable = self.made("future")
        self.do("future_drop_readable", readable)
        assert self.do("future_write", writable, 0, 3) == Code.CLOSED

    def test_a_future_outside_its_memory_traps_and_stays_as_it_was(self) -> None:
        readable, writable = self.made("future")
        with pytest.raises(HostTrap, match="out of bounds"):
            self.do("future_write", writable, 61, 3)
        assert self.do("future_read", readable, 0, 3) == 0

    def test_a_future_of_no_bytes_lies_anywhere(self) -> None:
        self.streams.future_size = 0
        readable, writable = self.made("future")
        assert self.do("future_read", readable, 99, 0) == 0
        assert self.do("future_write", writable, 1 << 31, 7) == 1
        assert self.do("future_read", readable, 99, 0) == 1

    def test_kinds_and_ends_are_not_mixed_up(self) -> None:
        stream, future = self.made("stream"), self.made("future")
        for name, intrinsic in INTRINSICS.items():
            for kind, ends in (("stream", stream), ("future", future)):
                for end, handle in zip(("readable", "writable"), ends, strict=True):
                    if not intrinsic.params or (intrinsic.kind.value == kind and intrinsic.end.value == end):
                        continue
                    args = (handle, *[3 for _ in intrinsic.params[1:]])
                    if intrinsic.results:
                        assert self.do(name, *args) == Code.INVALID_HANDLE
                    else:
                        with pytest.raises(HostTrap, match="is not a"):
                            self.do(name, *args)
        assert self.streams.open == 2
