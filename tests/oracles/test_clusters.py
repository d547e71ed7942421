"""A bridge belongs to a cluster of linked instances: a stranger's handle names nothing in it, no stranger fills it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from parties import OWN_MEMORY, Form, Fused, Party

import meld
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


@pytest.mark.parametrize("seed", range(20))
def test_random_sequences_of_hostile_holders(seed: int, tmp_path: Path) -> None:
    """Every party uses every handle that anybody was given, or one that is near it; each cluster is as its model."""
    rng = random.Random(seed)
    fused = Fused(two(), tmp_path)
    counted = {"n": 0}

    def host(operation: str, *arguments: int) -> int:
        counted["n"] += 1
        return 0

    model_of = Clusters(("ab", "cd"), SLOTS, 4096, host).of
    callers = {name: Caller(bytearray(fused.memory(name))) for name in "abcd"}
    handles = [LOCAL, LOCAL | 1 << 30]
    for _ in range(150):
        party = rng.choice("abcd")
        model, caller = model_of(party), callers[party]
        operation = rng.choice(["new", "read", "write", "write", "cancel_read", "drop_readable", "drop_writable"])
        if operation == "new":
            if all(slot.live for slot in model.slots):
                continue
            pair = model.new()
            assert fused.new(party) == (pair & 0xFFFFFFFF, pair >> 32)
            handles += [pair & 0xFFFFFFFF, pair >> 32]
            continue
        handle = rng.choice(handles) ^ rng.choice([0, 0, 0, 1, 8, 1 << 30])
        size = rng.choice([1, 7, 600, 5000])
        arguments: tuple[Any, ...] = (handle, 1024, size) if operation in ("read", "write") else (handle,)
        first = (caller,) if len(arguments) > 1 else ()
        try:
            wanted: Any = getattr(model, operation)(*first, *arguments)
        except Trap:
            wanted = "trap"
        try:
            found: Any = fused.call(f"{party}_stream_{operation}", *arguments)
        except Trapped:
            found = "trap"
        assert found == wanted, (seed, party, operation, arguments)
        assert bytes(fused.memory(party)) == bytes(caller.memory)
    assert counted["n"] == 0
