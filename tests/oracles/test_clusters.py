"""A bridge belongs to a cluster of linked instances: a stranger's handle names nothing in it, no stranger fills it."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from parties import OWN_MEMORY, Form, Fused, Party, files

import meld
from meld.ir.module import Export, Module
from meld.notes.streams import Bridge, Domain
from meld.runtime.host import Host
from meld.runtime.instantiate import Trapped, instantiate
from specs.stream_model import LOCAL, Caller, Clusters, Trap

CASES = Path(__file__).parents[2] / "../shared/cases/isolation"
STREAMING = Path(__file__).parents[2] / "examples" / "stream"
BOTH = ("stream.read", "stream.write")
FUTURES = ("future.read", "future.write")
SLOTS = 8
INVALID = -2
SEQUENCES = int(os.environ.get("MELD_CASES", "150"))
"""Of each program with several clusters."""


def two(builtins: tuple[str, ...] = BOTH) -> list[Party]:
    """Two clusters: a and b, c and d."""
    return [
        Party("a", builtins),
        Party("b", builtins, links=("a",)),
        Party("c", builtins),
        Party("d", builtins, links=("c",)),
    ]


@pytest.mark.skipif(not CASES.exists(), reason="the cases are not here")
def test_the_reported_case() -> None:
    """eve has a partner of her own, and guesses the handle of the streaming example's first stream."""
    inputs = [
        STREAMING / "producer.wat",
        STREAMING / "consumer.wat",
        CASES / "stream-eve.wat",
        CASES / "stream-mallory.wat",
    ]
    module = meld.compile(inputs)
    assert len(module.notes_of(Bridge)) == 2
    running = instantiate(meld.encode(module), Host())
    exports = {export.name for export in module.exports}
    assert {"e_read", "e_write", "e_drop"} <= exports
    new = next(export.name for export in module.exports if export.name.endswith("_new") and export.name != "m_new")
    pair = running.call(new)
    readable, writable = pair & 0xFFFFFFFF, pair >> 32 & 0xFFFFFFFF
    assert readable >= LOCAL
    assert running.call("e_read", readable, 4) == INVALID
    assert running.call("e_write", writable, 4) == INVALID
    with pytest.raises(Trapped):
        running.call("e_drop", writable)


@pytest.mark.parametrize("form", Form)
def test_a_stranger_takes_its_own_slots_only(form: Form, tmp_path: Path) -> None:
    fused = Fused(two(), tmp_path, form=form)
    for _ in range(SLOTS):
        assert fused.new("c")[0] >= LOCAL
    assert fused.new("c")[0] < LOCAL  # the host's
    for _ in range(SLOTS):
        assert fused.new("a")[0] >= LOCAL
    assert fused.new("b")[0] < LOCAL


@pytest.mark.parametrize("form", Form)
def test_a_handle_names_nothing_in_another_cluster(form: Form, tmp_path: Path) -> None:
    fused = Fused(two(), tmp_path, form=form)
    readable, writable = fused.new("a")
    assert fused.send("a", writable, b"secret") == 6
    assert fused.receive("d", readable, 6) == INVALID and fused.send("c", writable, b"forged") == INVALID
    assert fused.c_stream_cancel_read(readable) == INVALID
    for drop, handle in (("d_stream_drop_readable", readable), ("c_stream_drop_writable", writable)):
        with pytest.raises(Trapped):
            fused.call(drop, handle)
    assert fused.receive("b", readable, 6) == b"secret"


def test_futures_of_a_stranger(tmp_path: Path) -> None:
    fused = Fused([Party(p.name, FUTURES, ("u32",), p.links) for p in two()], tmp_path)
    readable, writable = fused.new("a", "future")
    assert fused.a_future_write(writable, 64) == 1
    assert fused.d_future_read(readable, 64) == INVALID
    assert fused.c_future_write(writable, 64) == INVALID
    assert fused.b_future_read(readable, 64) == 1


def test_a_cluster_has_one_bridge() -> None:
    module = meld.compile([STREAMING / "producer.wat", STREAMING / "consumer.wat"])
    assert len(module.notes_of(Bridge)) == 1
    assert len({domain.cluster for domain in module.notes_of(Domain)}) == 1


def test_another_memory_is_refused(tmp_path: Path) -> None:
    """`mem` names the guest's memory: only number 0 is there."""
    reads = """(core module $main
      (import "pulseengine:async" "stream_new" (func $new (result i64)))
      (import "pulseengine:async" "stream_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory 1)
      (func (export "x_new") (result i64) (call $new))
      (func (export "x_write") (param i32 i32) (result i32)
        (call $write (local.get 0) (i32.const 0) (i32.const 4) (local.get 1))))"""
    text = f"""(component $x (core type $nothing (module)) {reads}
      (type $s (stream)) (core func (canon stream.write $s)) (core func (canon stream.new $s))
      (export "x" (core module $main)))"""
    (tmp_path / "x.wat").write_text(text)
    (tmp_path / "y.wat").write_text(Party("y", BOTH, links=("x",)).text())
    module = meld.compile([tmp_path / "x.wat", tmp_path / "y.wat"])
    running = instantiate(meld.encode(module), Host())
    writable = running.call("x_new") >> 32 & 0xFFFFFFFF
    assert writable >= LOCAL and running.call("x_write", writable, 0) == 4
    with pytest.raises(Trapped):
        running.call("x_write", writable, 1)


def test_with_several_memories_the_host_obeys(tmp_path: Path) -> None:
    several = OWN_MEMORY + " (memory 1)"
    fused = Fused([Party("a", BOTH, memory=several), Party("b", BOTH, links=("a",))], tmp_path)
    (domain,) = fused.module.notes_of(Domain)
    assert not domain.bridged and "2 memories" in str(domain.why)


class Sequences:
    """A fused module that is instantiated for each sequence; a host that counts how often it is called."""

    def __init__(self, parties: list[Party], directory: Path) -> None:
        module: Module = meld.compile(files(parties, directory))
        memories = {m.name: m for m in module.space("memories")}
        shown = [Export(p.name, memories[f"{p.name}/buffer"]) for p in parties]
        self.engine = wasmtime.Engine()
        exported = replace(module, exports=[*module.exports, *shown])
        self.module = wasmtime.Module(self.engine, meld.encode(exported))
        self.counted = 0

    def host(self, *arguments: int) -> int:
        """Any function of the host."""
        self.counted += 1
        return 0

    def start(self) -> None:
        """A new instance."""
        self.store = wasmtime.Store(self.engine)
        given = [wasmtime.Func(self.store, i.type, self.host) for i in self.module.imports]
        self.exports = wasmtime.Instance(self.store, self.module, given).exports(self.store)

    def call(self, name: str, *arguments: int) -> int | str:
        """What an exported function answers, or that it traps."""
        try:
            return self.exports[name](self.store, *(x - (1 << 32) if x >> 31 else x for x in arguments))
        except (wasmtime.Trap, wasmtime.WasmtimeError):
            return "trap"

    def memory(self, party: str) -> bytearray:
        """The memory of a party."""
        return self.exports[party].read(self.store, 0, None)


OPERATIONS = ("new", "read", "write", "write", "cancel_read", "cancel_write", "drop_readable", "drop_writable")
STEPS = 40


@pytest.mark.parametrize("clusters", [("ab", "cd"), ("abc", "de", "fg")], ids="-".join)
def test_random_sequences_of_hostile_holders(clusters: tuple[str, ...], tmp_path: Path) -> None:
    """Every party uses every handle that anybody was given, or one that is near it; each cluster is as its model."""
    parties = [
        Party(name, BOTH, links=(cluster[0],) if name != cluster[0] else ()) for cluster in clusters for name in cluster
    ]
    fused = Sequences(parties, tmp_path)
    for seed in range(SEQUENCES):
        compare_with_model(fused, clusters, seed)
    assert fused.counted == 0


def compare_with_model(fused: Sequences, clusters: tuple[str, ...], seed: int) -> None:
    """One sequence, beside the models of the clusters."""
    fused.start()
    rng, names = random.Random(seed), "".join(clusters)
    model_of = Clusters(clusters, SLOTS, 4096, fused.host).of
    callers = {name: Caller(fused.memory(name)) for name in names}
    handles = [LOCAL, LOCAL | 1 << 30]
    for _ in range(STEPS):
        party = rng.choice(names)
        model, caller = model_of(party), callers[party]
        operation = rng.choice(OPERATIONS)
        if operation == "new":
            if all(slot.live for slot in model.slots):
                continue
            pair = model.new()
            assert fused.call(f"{party}_stream_new") & (1 << 64) - 1 == pair
            handles += [pair & 0xFFFFFFFF, pair >> 32]
            continue
        handle = rng.choice(handles) ^ rng.choice([0, 0, 0, 1, 8, 1 << 30])
        size = rng.choice([1, 7, 600, 5000])
        moves = operation in ("read", "write")
        arguments: tuple[Any, ...] = (handle, rng.choice((1024, 30_000)), size) if moves else (handle,)
        try:
            wanted: Any = getattr(model, operation)(*((caller,) if moves else ()), *arguments)
        except Trap:
            wanted = "trap"
        assert fused.call(f"{party}_stream_{operation}", *arguments) == wanted, (seed, party, operation, arguments)
        if operation == "read":
            assert fused.memory(party) == caller.memory, (seed, party)
    for party, caller in callers.items():
        assert fused.memory(party) == caller.memory, (seed, party)
