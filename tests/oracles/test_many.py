"""Any number of streams, one after another, opened and closed by a loop in wasm; as many at once as there are slots."""

from __future__ import annotations

import pytest
import wasmtime
from parties import Fuse, Fused, Party

from meld.abi.intrinsics import INTRINSICS
from meld.runtime.instantiate import Trapped, engine

LOCAL, SLOTS = 1 << 31, 8
MILLION = 1_000_000
INVALID = -2

DRIVER = """(module
  (import "f" "new" (func $new (result i64)))
  (import "f" "write" (func $write (param i32 i32 i32) (result i32)))
  (import "f" "read" (func $read (param i32 i32 i32) (result i32)))
  (import "f" "drop_writable" (func $drop_writable (param i32)))
  (import "f" "drop_readable" (func $drop_readable (param i32)))
  ;; Opens and closes `n` streams one after another, with 3 bytes through each and its ends dropped in either order;
  ;; how many of them were local and did as they should.
  (func (export "run") (param $n i32) (result i32)
    (local $r i32) (local $w i32) (local $pair i64) (local $good i32) (local $last i32)
    (loop $next
      (local.set $pair (call $new))
      (local.set $r (i32.wrap_i64 (local.get $pair)))
      (local.set $w (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
      (local.set $good
        (i32.add (local.get $good)
          (i32.and
            (i32.and (i32.lt_s (local.get $r) (i32.const 0)) (i32.ne (local.get $r) (local.get $last)))
            (i32.and
              (i32.eq (call $write (local.get $w) (i32.const 16) (i32.const 3)) (i32.const 3))
              (i32.eq (call $read (local.get $r) (i32.const 32) (i32.const 9)) (i32.const 3))))))
      (local.set $last (local.get $r))
      (if (i32.and (local.get $n) (i32.const 1))
        (then (call $drop_readable (local.get $r)) (call $drop_writable (local.get $w)))
        (else (call $drop_writable (local.get $w)) (call $drop_readable (local.get $r))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $good)))"""


@pytest.fixture
def pair(fuse: Fuse) -> Fused:
    """A writes, b reads; the host must not be called."""
    return fuse([Party("a", ("stream.write",)), Party("b", ("stream.read",), links=("a",))])


def loop(fused: Fused, n: int) -> int:
    """Runs the driver beside a fused program; how many streams did as they should."""
    store = fused.running.store
    exports = fused.running.instance.exports(store)
    names = ("a_stream_new", "a_stream_write", "b_stream_read", "a_stream_drop_writable", "b_stream_drop_readable")
    driver = wasmtime.Instance(store, wasmtime.Module(engine(), DRIVER), [exports[name] for name in names])
    run = driver.exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    return int(run(store, n))


def test_a_million_one_after_another(pair: Fused) -> None:
    pair.host.forbid = set(INTRINSICS)
    first = pair.new("a")
    pair.b_stream_drop_readable(first[0])
    pair.a_stream_drop_writable(first[1])
    pair.memory("a")[16:19] = b"abc"
    assert loop(pair, MILLION) == MILLION
    assert pair.memory("b")[32:36] == b"abc\0"
    assert pair.b_stream_read(first[0], 0, 1) == pair.a_stream_write(first[1], 0, 1) == INVALID
    assert pair.b_stream_cancel_read(first[0]) == INVALID
    with pytest.raises(Trapped):
        pair.a_stream_drop_writable(first[1])
    last = pair.new("a")
    assert (last[0] - first[0]) & 0xFFFF_FFFF == (MILLION + 1) * SLOTS, "one slot, a generation each"
    assert pair.host.total == 0


def test_eight_at_once_are_local_the_ninth_is_on_the_host(pair: Fused) -> None:
    streams = [pair.new("a") for _ in range(SLOTS)]
    assert all(handle & LOCAL for ends in streams for handle in ends)
    assert pair.host.total == 0
    ninth = pair.new("a")
    assert not ninth[0] & LOCAL and not ninth[1] & LOCAL
    for number, (_, writable) in enumerate([*streams, ninth]):
        assert pair.send("a", writable, b"stream %d" % number) == 8
    for number, (readable, _) in enumerate([*streams, ninth]):
        assert pair.receive("b", readable, 99) == b"stream %d" % number
    assert dict(pair.host.calls) == {"stream_new": 1, "stream_write": 1, "stream_read": 1}
    readable, writable = streams[3]
    pair.a_stream_drop_writable(writable)
    pair.b_stream_drop_readable(readable)
    again = pair.new("a")
    assert again[0] & LOCAL and again[0] & 7 == readable & 7, "a slot is free again"
    assert pair.a_stream_write(writable, 0, 1) == pair.b_stream_read(readable, 0, 1) == INVALID
    assert not pair.new("a")[0] & LOCAL


def test_a_slot_that_is_out_of_generations_is_retired(fuse: Fuse) -> None:
    """With 4096 slots a handle has 17 bits of generation; so the first slot serves 131071 streams."""
    fused = fuse(
        [Party("a", ("stream.write",)), Party("b", ("stream.read",), links=("a",))],
        passes="detect-pairs,emit-bridge{slots=4096,ring=16},rewire-calls,finish",
    )
    fused.host.forbid = set(INTRINSICS)
    generations = (1 << 29 - 12) - 1
    slots = []
    for n in (generations - 1, 1):
        assert loop(fused, n) == n
        readable, writable = fused.new("a")
        slots.append(readable & 4095)
        if n > 1:
            fused.a_stream_drop_writable(writable)
            fused.b_stream_drop_readable(readable)
    assert slots == [0, 1], "slot 0 is free, but would begin again; the loop and the last stream have slot 1"
