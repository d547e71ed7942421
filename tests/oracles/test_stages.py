"""Compositions of many shapes: each dump is valid, reads back, runs, and continues to the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from parties import Fused, Party, files
from stages import PASSES, tool

import meld
from meld.text.reading.program import parse

RECORD = '(record (field "x" u32) (field "y" u64))'

SHAPES: dict[str, list[Party]] = {
    "pair": [Party("a", ("stream.write",)), Party("b", ("stream.read",), links=("a",))],
    "two readers": [
        Party("a", ("stream.write",)),
        Party("b", ("stream.read",), links=("a",)),
        Party("c", ("stream.read",), links=("a",)),
    ],
    "chain": [
        Party("a", ("stream.write",)),
        Party("b", ("stream.read", "stream.write"), links=("a",)),
        Party("c", ("stream.read",), links=("b",)),
    ],
    "one outside": [
        Party("other", ("stream.read", "stream.write")),
        Party("a", ("stream.write",)),
        Party("b", ("stream.read",), links=("a",)),
    ],
    "records": [
        Party("a", ("stream.write",), (RECORD,)),
        Party("b", ("stream.read",), (RECORD, "u64"), links=("a",)),
    ],
    "on the host": [
        Party("a", ("stream.write",), ("string",)),
        Party("b", ("stream.read",), ("string",), links=("a",)),
    ],
    "futures": [
        Party("a", ("future.write", "stream.write"), ("u64",)),
        Party("b", ("future.read", "stream.read"), ("u64",), links=("a",)),
    ],
    "unlinked": [Party("a", ("stream.write",)), Party("b", ("stream.read",))],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_dumps_continue_to_the_same_bytes(shape: str, tmp_path: Path) -> None:
    paths = files(SHAPES[shape], tmp_path)
    final = meld.encode(meld.compile(paths))
    tool("validate", "--features", "all", "-", data=final)
    for name in PASSES:
        program = meld.compile(paths, stop_after=name)
        text = meld.print_text(program)
        tool("validate", "--features", "all", "-", data=text.encode())
        assert meld.print_text(parse(text, "dump.wat")) == text, f"after {name}"
        path = tmp_path / "dump.wat"
        path.write_text(text)
        if name != PASSES[0]:
            assert meld.encode(meld.compile([path], passes="")) == meld.encode(program), f"after {name}"
        assert meld.encode(meld.compile([path])) == final, f"after {name}"


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in ("futures", "unlinked")])
@pytest.mark.parametrize("stop_after", PASSES[1:])
def test_bytes_arrive_at_every_stage(shape: str, stop_after: str, tmp_path: Path) -> None:
    fused = Fused(SHAPES[shape], tmp_path, stop_after=stop_after)
    readable, writable = fused.new("a")
    data = bytes(i * 11 & 0xFF for i in range(4080))
    for _ in range(3):
        assert fused.send("a", writable, data) == len(data)
        assert fused.receive("b", readable, 4096) == data
    if "other" in {party.name for party in SHAPES[shape]}:
        readable, writable = fused.new("other")
        assert fused.send("other", writable, data) == len(data)
        assert fused.receive("other", readable, 4096) == data


def test_compilation_is_reproducible(tmp_path: Path) -> None:
    paths = files(SHAPES["chain"], tmp_path)
    assert meld.encode(meld.compile(paths)) == meld.encode(meld.compile(paths))


def test_nothing_to_share(tmp_path: Path) -> None:
    """Fused without a link, both keep their streams on the host, and nothing is added."""
    fused = Fused(SHAPES["unlinked"], tmp_path)
    readable, writable = fused.new("a")
    fused.send("a", writable, b"x")
    assert fused.receive("b", readable, 1) == b"x"
    assert fused.host.total == 3
    assert not any(item.synthetic == "stream-bridge" for item in fused.module.items())
