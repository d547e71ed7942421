"""`lower-multi-memory` and the host: pointers that it is given, in the region of the memory that the call names."""

from __future__ import annotations

import pytest
from lowering import PAGE, Beside, lower, text

from meld.abi.intrinsics import INTRINSICS
from meld.runtime.host import Host
from meld.text.reading.program import parse_module

PENDING, CLOSED, INVALID = -5, -1, -2


def source(notes: str = "") -> str:
    """A module with two memories that passes the number of either to the host, and lets each be seen and grown."""
    lines = ["(module", notes]
    for name, one in INTRINSICS.items():
        core = "(param i32) " * len(one.params) + "".join(f"(result {t.value})" for t in one.results)
        lines.append(f'(import "pulseengine:async" "{name}" (func ${name} {core}))')
    lines.append("(memory $a 1) (memory $b 1)")
    for name, one in INTRINSICS.items():
        core = "(param i32) " * len(one.params) + "".join(f"(result {t.value})" for t in one.results)
        gets = " ".join(f"(local.get {i})" for i in range(len(one.params)))
        lines.append(f'(func (export "{name}") {core} (call ${name} {gets}))')
    for m in "ab":
        lines.append(f'(func (export "grow_{m}") (param i32) (result i32) (memory.grow ${m} (local.get 0)))')
        lines.append(f'(func (export "fill_{m}") (param i32 i32 i32)')
        lines.append(f"  (memory.fill ${m} (local.get 0) (local.get 1) (local.get 2)))")
    return "\n".join([*lines, ")"])


def ends(both: Beside, kind: str = "stream") -> tuple[int, int]:
    pair = both(f"{kind}_new")
    return pair & 0xFFFF_FFFF, pair >> 32


@pytest.fixture
def both() -> Beside:
    """Streams on the host, 4096 bytes each."""
    return Beside(text(source()))


class TestStreams:
    """Counts are clamped before the buffer is looked at, as without regions."""

    def test_bytes_go_from_region_to_region(self, both: Beside) -> None:
        readable, writable = ends(both)
        both("fill_a", 10, 0x41, 20)
        assert both("stream_write", writable, 10, 20, 0) == 20
        both("grow_a", 1)
        assert both("stream_read", readable, PAGE - 20, 20, 1) == 20
        both.same_state()
        assert both.hosts[0].calls == both.hosts[1].calls

    def test_a_count_beyond_the_region_that_the_host_clamps(self, both: Beside) -> None:
        """A region lies behind: nothing of it may be read or written."""
        readable, writable = ends(both)
        both("fill_b", 0, 0x42, PAGE)
        assert both("stream_write", writable, PAGE - 4096, 0xFFFF_FFFF, 0) == 4096
        assert [host.calls["stream_write"] for host in both.hosts] == [1, 2], "it is asked twice"
        assert both("stream_write", writable, PAGE - 9, 10, 0) == 0, "full: nothing to move, whatever the buffer"
        assert both("stream_read", readable, PAGE - 4096, 0xFFFF_FFFF, 0) == 4096
        assert both("stream_read", readable, PAGE - 9, 10, 0) == PENDING
        both.same_state()
        both("stream_drop_writable", writable)
        assert both("stream_read", readable, PAGE + 9, 10, 0) == 0
        assert both("stream_write", readable, PAGE, 1, 0) == INVALID

    @pytest.mark.parametrize("ptr", [PAGE - 9, PAGE, PAGE + 1, 0xFFFF_FFF8, 1 << 31])
    def test_a_buffer_beyond_its_region_traps(self, ptr: int, both: Beside) -> None:
        readable, writable = ends(both)
        lowered = both.lowered
        before = bytes(lowered.memory("m1"))
        for name, handle in (("stream_write", writable), ("stream_read", readable)):
            outcomes = [side.call(name, (handle, ptr, 10, 0)) for side in (both.original, lowered)]
            kinds = [kind for kind, _ in outcomes]
            assert kinds == ["trap", "trap"] or outcomes[0] == outcomes[1] == ("result", PENDING)
            assert name != "stream_write" or kinds[0] == "trap"
            assert bytes(lowered.memory("m1")) == before
            for side in (both.original, lowered):
                side.call("stream_write", (writable, 0, 4096, 1))

    def test_a_memory_that_is_none(self, both: Beside) -> None:
        _, writable = ends(both)
        for mem in (2, 0xFFFF_FFFF):
            want, got = (side.call("stream_write", (writable, 0, 1, mem)) for side in (both.original, both.lowered))
            assert want[0] == got[0] == "trap" and "does not have" in got[1]
            assert both("stream_write", writable, 0, 0, mem) == 0

    def test_whole_elements(self) -> None:
        both = Beside(text(source()), host=lambda: Host(unit=4))
        readable, writable = ends(both)
        both("stream_write", writable, 0, 40, 1)
        assert both("stream_read", readable, PAGE - 9, 11, 0) == 8
        both.same_state()
        assert both("stream_read", readable, PAGE - 1, 3, 0) == PENDING
        assert [side.call("stream_read", (readable, PAGE - 9, 12, 0))[0] for side in (both.original, both.lowered)] == [
            "trap",
            "trap",
        ]


FUTURE = """(@meld.instance $x) (@meld.instance $y)
  (@meld.streams $x (builtins future.read) (type (future u64)))
  (@meld.streams $y (builtins future.write) (type (future {other})))"""


class TestFutures:
    """The intrinsics do not say how large a value is; the declarations of the instance do."""

    @pytest.mark.parametrize("other", ["u64", "u8"])
    def test_at_the_edge(self, other: str) -> None:
        both = Beside(text(source(FUTURE.format(other=other))), host=lambda: Host(future_size=8))
        readable, writable = ends(both, "future")
        both("fill_a", PAGE - 8, 7, 8)
        both("fill_b", 0, 9, 8)
        assert both("future_read", readable, PAGE, 0) == 0, "not there yet: nothing to move"
        lowered = both.lowered
        for ptr in (PAGE - 7, PAGE, 0xFFFF_FFFF):
            assert [side.call("future_write", (writable, ptr, 0))[0] for side in (both.original, lowered)] == [
                "trap"
            ] * 2
            assert both("future_read", readable, 0, 0) == 0
        assert both("future_write", writable, PAGE - 8, 0) == 1
        before = bytes(lowered.memory("m1"))
        for ptr in (PAGE - 7, PAGE, 0xFFFF_FFFF):
            assert [side.call("future_read", (readable, ptr, 0))[0] for side in (both.original, lowered)] == [
                "trap"
            ] * 2
        assert bytes(lowered.memory("m1")) == before
        assert both("future_read", readable, 8, 1) == 1
        both.same_state()

    def test_no_value_at_all(self) -> None:
        notes = "(@meld.instance $x) (@meld.streams $x (builtins future.read) (type (future)))"
        both = Beside(text(source(notes)), host=lambda: Host(future_size=0))
        readable, writable = ends(both, "future")
        assert both("future_write", writable, 0xFFFF_FFFF, 0) == 1
        assert both("future_read", readable, PAGE + 1, 1) == 1

    def test_where_no_size_is_known_no_value_is_moved(self) -> None:
        """Better a trap than a value beyond the region."""
        module = parse_module(source(), "test.wat")
        remarks = [r for r in lower(module) if "nothing declares" in r]
        assert len(remarks) == 2
        both = Beside(text(source()))
        readable, writable = ends(both, "future")
        assert both("future_read", readable, 0, 0) == 0
        assert both.lowered.call("future_write", (writable, 0, 0))[0] == "trap"
