"""Ways to lose something that are in no fixture: found by going through the contract. See specs/loss-scenarios.toml."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import wasmtime
from parties import Fuse, Fused, Party
from stages import PASSES

from meld.abi.intrinsics import INTRINSICS
from meld.notes.streams import Domain
from meld.runtime.instantiate import Trapped

LOCAL = 1 << 31
A = Party("a", ("stream.write",))
B = Party("b", ("stream.read",), links=("a",))
PENDING, INVALID = -5, -2


def passes(ring: int) -> str:
    """The default pipeline with rings of another size."""
    return ",".join(PASSES[1:]).replace("emit-bridge", f"emit-bridge{{ring={ring}}}")


@dataclass(frozen=True)
class Bare(Party):
    """A party that never looks into its memory, which may then be missing, or of another kind."""

    def _core_module(self) -> str:
        lines = super()._core_module().splitlines()
        return "\n".join(line for line in lines if "_peek" not in line and "_poke" not in line)


@pytest.mark.loss("LS-ST-34")
def test_an_instance_without_memory_reaches_no_other(fuse: Fuse) -> None:
    """Its pointers mean nothing; they must not come to mean the bridge memory."""
    fused = fuse([A, Bare("b", ("stream.read", "stream.write"), links=("a",), memory="")])
    readable, writable = fused.new("a")
    assert readable & LOCAL
    other = fused.new("a")
    fused.send("a", writable, b"kept")
    for pointer in (0, 8, 65536, 65535):
        with pytest.raises(Trapped):
            fused.b_stream_read(readable, pointer, 4)
        with pytest.raises(Trapped):
            fused.b_stream_write(writable, pointer, 4)
    assert fused.b_stream_read(readable, 0, 0) == PENDING
    assert fused.a_stream_read(readable, 128, 99) == 4
    assert fused.memory("a")[128:132] == b"kept"
    fused.send("a", other[1], b"too")
    assert fused.receive("a", other[0], 99) == b"too"


ELEMENTS = ("u64", "(tuple u32 u32 u32)")


@pytest.mark.loss("LS-ST-33")
def test_sizes_that_a_ring_does_not_hold_together_stay_on_the_host(fuse: Fuse) -> None:
    """8 and 12 bytes: space is taken in multiples of 24, and a ring of 16 would never have any."""
    a, b = (replace(party, elements=ELEMENTS) for party in (A, B))
    fused = fuse([a, b], passes=passes(16))
    reasons = [domain.why for domain in fused.module.notes_of(Domain)]
    assert len(reasons) == 2 and all("cannot tell apart" in reason for reason in reasons)
    readable, writable = fused.new("a")
    assert not readable & LOCAL
    assert fused.send("a", writable, b"12345678") == 8
    assert fused.receive("b", readable, 8) == b"12345678"


@pytest.mark.loss("LS-ST-33")
def test_sizes_that_a_ring_holds_together_never_stall(fuse: Fuse) -> None:
    a, b = (replace(party, elements=ELEMENTS) for party in (A, B))
    fused = fuse([a, b], passes=passes(32))
    for size in (8, 12):
        readable, writable = fused.new("a")
        assert readable & LOCAL
        sent = received = b""
        data = bytes(range(size * 10))
        for _ in range(40):
            count = fused.send("a", writable, data[len(sent) :])
            assert count % size == 0
            sent += data[len(sent) : len(sent) + count]
            got = fused.receive("b", readable, size)
            received += got if isinstance(got, bytes) else b""
        assert received == data


@pytest.mark.loss("LS-ST-33")
def test_an_element_larger_than_a_ring_stays_on_the_host(fuse: Fuse) -> None:
    a, b = (replace(party, elements=("(tuple u32 u32 u32)",)) for party in (A, B))
    fused = fuse([a, b], passes=passes(8))
    (domain,) = fused.module.notes_of(Domain)
    assert "12 bytes" in domain.why
    readable, writable = fused.new("a")
    assert not readable & LOCAL
    assert fused.send("a", writable, b"twelve bytes") == 12
    assert fused.receive("b", readable, 12) == b"twelve bytes"


@pytest.mark.loss("LS-ST-35")
def test_a_memory_of_64_bit_addresses_stays_on_the_host(tmp_path: Path) -> None:
    """Not in the other forms: such a memory is not shared here, and cannot be lowered."""
    wide = Bare("b", ("stream.read",), links=("a",), memory="(memory $buffer i64 1)")
    fused = Fused([A, wide], tmp_path)
    (domain,) = fused.module.notes_of(Domain)
    assert "64 bits" in domain.why
    assert not fused.new("a")[0] & LOCAL


CALL = re.compile(r"\(call \$(\w+)(.*)\)\)$")


@dataclass(frozen=True)
class Roundabout(Party):
    """A party that reaches its intrinsics through a table, or by reference."""

    by_reference: bool = False

    def _core_module(self) -> str:
        lines = super()._core_module().splitlines()
        names = [n for n in INTRINSICS if any(f"(func ${n} " in line for line in lines)]
        types, table = [], f"    (table funcref (elem {' '.join('$' + n for n in names)}))"
        for number, name in enumerate(names):
            core = " ".join(["(param i32)"] * len(INTRINSICS[name].params))
            result = "".join(f" (result {t.value})" for t in INTRINSICS[name].results)
            types.append(f"    (type ${name}.type (func {core}{result}))")
            for i, line in enumerate(lines):
                match = CALL.search(line)
                if match and match[1] == name and "(export" in line:
                    arguments = match[2]
                    by_table = f"(call_indirect (type ${name}.type){arguments} (i32.const {number}))"
                    by_reference = f"(call_ref ${name}.type{arguments} (ref.func ${name}))"
                    lines[i] = line[: match.start()] + (by_reference if self.by_reference else by_table) + ")"
        return "\n".join([lines[0], *types, *lines[1:-1], table, lines[-1]])


@pytest.mark.loss("LS-ST-36")
@pytest.mark.parametrize("by_reference", [False, True], ids=["call_indirect", "ref.func"])
def test_an_intrinsic_is_rewired_however_it_is_called(by_reference: bool, fuse: Fuse) -> None:
    a = Roundabout("a", ("stream.write",), by_reference=by_reference)
    b = Roundabout("b", ("stream.read",), links=("a",), by_reference=by_reference)
    fused = fuse([a, b], forbid=set(INTRINSICS))
    readable, writable = fused.new("a")
    assert readable & LOCAL
    assert fused.send("a", writable, b"round and about") == 15
    assert fused.receive("b", readable, 99) == b"round and about"
    fused.a_stream_drop_writable(writable)
    assert fused.receive("b", readable, 99) == 0
    fused.b_stream_drop_readable(readable)


MILLION = """(module
  (import "p" "a_stream_new" (func $new (result i64)))
  (import "p" "a_stream_write" (func $write (param i32 i32 i32) (result i32)))
  (import "p" "b_stream_read" (func $read (param i32 i32 i32) (result i32)))
  (import "p" "a_stream_drop_writable" (func $drop_writable (param i32)))
  (import "p" "b_stream_drop_readable" (func $drop_readable (param i32)))
  ;; Opens, uses and closes streams one after another; how many were local and carried their bytes.
  (func (export "run") (param $count i32) (result i32)
    (local $ends i64) (local $readable i32) (local $writable i32) (local $good i32)
    (loop $next
      (local.set $ends (call $new))
      (local.set $readable (i32.wrap_i64 (local.get $ends)))
      (local.set $writable (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (local.set $good (i32.add (local.get $good)
        (i32.and
          (i32.lt_s (local.get $readable) (i32.const 0))
          (i32.and
            (i32.eq (call $write (local.get $writable) (i32.const 64) (i32.const 3)) (i32.const 3))
            (i32.eq (call $read (local.get $readable) (i32.const 128) (i32.const 9)) (i32.const 3))))))
      (if (i32.and (local.get $count) (i32.const 1))
        (then (call $drop_writable (local.get $writable)) (call $drop_readable (local.get $readable)))
        (else (call $drop_readable (local.get $readable)) (call $drop_writable (local.get $writable))))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $next (local.get $count)))
    (local.get $good)))"""


@pytest.mark.loss("LS-ST-7")
def test_a_million_streams_one_after_another_stay_local(fuse: Fuse) -> None:
    fused = fuse([A, B], forbid=set(INTRINSICS))
    first = fused.new("a")
    fused.a_stream_drop_writable(first[1])
    fused.b_stream_drop_readable(first[0])
    store = fused.running.store
    linker = wasmtime.Linker(store.engine)
    linker.define_instance(store, "p", fused.running.instance)
    looper = linker.instantiate(store, wasmtime.Module(store.engine, MILLION)).exports(store)["run"]
    assert isinstance(looper, wasmtime.Func)
    assert looper(store, 1_000_000) == 1_000_000
    live = [fused.new("a") for _ in range(8)]
    assert all(readable & LOCAL for readable, _ in live)
    assert fused.b_stream_read(first[0], 0, 1) == fused.a_stream_write(first[1], 0, 1) == INVALID
    with pytest.raises(Trapped):
        fused.b_stream_drop_readable(first[0])
