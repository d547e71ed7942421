"""`--explain` on a program with four stream domains: four rows, four reasons, and each of them true when it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from measured import forked
from parties import Fused, Party, files

import meld
from meld.ir.module import Module
from meld.views.explain import Row, made, rows

WRITES, READS = ("stream.write",), ("stream.read",)
SHOWS = """
  (core module $take (func (export "take") (param i32)))
  (core instance $take (instantiate $take))
  (func $take (param "s" $stream0) (canon lift (core func $take "take")))
  (export "take" (func $take))"""
JOINS = "(core func (canon waitable.join))"

PARTIES = [
    *(Party("a", WRITES, ("u8",)), Party("b", READS, ("u8",), links=("a",))),
    *(Party("c", WRITES, ("u16",)), Party("d", READS, ("u16",), links=("c",), more=SHOWS)),
    *(Party("e", WRITES, ("string",)), Party("f", READS, ("string",), links=("e",))),
    *(Party("g", WRITES, ("u64",)), Party("h", READS, ("u64",), links=("g",), more=JOINS)),
]

ROWS = [
    Row("stream domain", "stream<u8>", "a → b", "bridged", "both ends are in the module"),
    Row("stream domain", "stream<u16>", "c → d", "host", "the host can see it: export `take`"),
    Row(
        *("stream domain", "stream<string>", "e → f", "host"),
        "its elements hold pointers or handles, which cannot be copied as bytes",
    ),
    Row("stream domain", "stream<u64>", "g → h", "host", "`h` joins its stream handles to a waitable set"),
]


@pytest.fixture
def fused(tmp_path: Path) -> Fused:
    """The program, running."""
    return Fused(PARTIES, tmp_path)


def test_rows(fused: Fused) -> None:
    assert rows(fused.module) == ROWS


def test_what_the_rows_say_is_true(fused: Fused) -> None:
    for writer, reader, row in zip("aceg", "bdfh", ROWS, strict=True):
        readable, writable = fused.new(writer)
        assert bool(readable >> 31) is (row.decision == "bridged")
        before = fused.host.total
        fused.send(writer, writable, b"eight by")
        assert fused.receive(reader, readable, 8) == b"eight by"
        assert fused.host.total - before == (0 if row.decision == "bridged" else 2)


def test_the_printed_table(tmp_path: Path) -> None:
    paths = files(PARTIES, tmp_path)
    done = forked(*paths, "--explain", "-o", tmp_path / "out.wasm", COLUMNS="160")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    lines = [
        tuple(cell.strip() for cell in line.strip("│").split("│"))
        for line in done.stderr.splitlines()
        if line.startswith("│")
    ]
    assert lines[:4] == [(row.kind, row.subject, row.parties, row.decision, row.reason) for row in ROWS]
    generated = {line[0]: line[1:3] for line in lines[4:] if len(line) == 6}
    instances = [line for line in lines[4:] if len(line) == 3]
    assert [(line[0], line[2]) for line in instances] == [("d", f"entry-guard {instances[0][1]}")]
    bridge = ("16", "10")
    assert generated == {
        "adapter-shim": ("16", "8"),
        "entry-guard": ("1", "1"),
        "trap": ("1", "1"),
        "stream-bridge": bridge,
    }


def test_a_component_is_explained_by_the_module_inside() -> None:
    """The same decisions as of the module alone; before `merge` there is nothing to say."""
    pair = [Path(__file__).parents[2] / f"examples/greet/{name}.wat" for name in ("crowd", "greeter")]
    said = [
        json.loads(forked(*pair, f"--emit={emit}", "-q", "--explain", "--format=json", "-o", "/dev/null").stderr)
        for emit in ("wasm", "component")
    ]
    assert said[0]["decisions"] == said[1]["decisions"] != []
    assert {"adapter", "transcode"} <= {one["kind"] for one in said[1]["generated"]}
    early = forked(*pair, "--stop-after=link", "-q", "--explain", "-o", "/dev/null").stderr
    assert early == "nothing to explain yet: the program is still a composition\n"


FIXTURES = Path(__file__).parents[2] / "../shared/fixtures"
SHARED = {"async-channels", "async-waitables"}
ASYNC = {
    "stream-u8": (("producer", "consumer"), SHARED | {"async-copies"}),
    "flow-p3": (("prod", "cons"), SHARED | {"async-copies", "async-tasks", "async-frames"}),
    "qjs-hello": (("hello",), {"async-waitables"}),
}
"""The inputs, and the parts with functions of their own: what has one caller is inlined there."""


@pytest.mark.skipif(not FIXTURES.exists(), reason="the fixtures are not here")
@pytest.mark.parametrize("name", ASYNC)
def test_sizes_by_part(name: str) -> None:
    """The parts of the runtime that a program uses, in bytes; all that is generated is in some part, and only once."""
    inputs, parts = ASYNC[name]
    module = meld.compile([FIXTURES / name / f"{one}.wasm" for one in inputs])
    assert isinstance(module, Module)
    found = {one.kind: one for one in made(module)}
    assert {kind for kind in found if kind.startswith("async-")} == parts
    assert all(found[kind].shared > 0 and not found[kind].own for kind in parts)
    assert found["async"].own and min(found["async"].own.values()) > 0
    plain = meld.encode(module)
    generated = [f for f in module.functions if f.synthetic is not None]
    assert sum(len(one.functions) for one in found.values()) == len(generated)
    assert 0 < sum(one.shared + sum(one.own.values()) for one in found.values()) < len(plain)
