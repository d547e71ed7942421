"""Asynchronous programs at scale: subtasks open at once, streams one after another, a pipeline of five components.

All run the fused program at full size, which takes less than half a second each; a small one is compared with unfused.
"""

from __future__ import annotations

import pytest
import wasmtime
from both import same, shared_engine

from meld.files import decode, encode
from meld.passes import Registry
from meld.passmanager import plan_default, run

PAGE, GIGABYTE = 1 << 16, 1 << 30


def start(text: str, limit: int = -1) -> tuple[wasmtime.Store, wasmtime.InstanceExports]:
    """The fused program, none of whose memories gets larger than `limit` bytes."""
    program = decode(bytes(wasmtime.wat2wasm(text)), "program")
    product, _ = run(plan_default(program, Registry.standard()), program)
    store = wasmtime.Store(shared_engine())
    store.set_limits(memory_size=limit, memories=-1)
    module = wasmtime.Module(shared_engine(), encode(product))
    return store, wasmtime.Instance(store, module, []).exports(store)


SUBTASKS = """(component
  (component $lib
    (core func $inc (canon backpressure.inc))
    (core func $dec (canon backpressure.dec))
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "inc" (func $inc)) (import "" "dec" (func $dec)) (import "" "return" (func $return (param i32)))
      (func (export "f") (param i32) (result i32) (call $return (i32.add (local.get 0) (i32.const 1))) (i32.const 0))
      (func (export "back") (param i32 i32 i32) (result i32) unreachable)
      (func (export "close") (call $inc))
      (func (export "open") (call $dec)))
    (core instance $i (instantiate $m (with "" (instance
      (export "inc" (func $inc)) (export "dec" (func $dec)) (export "return" (func $return))))))
    (func (export "f") async (param "x" u32) (result u32)
      (canon lift (core func $i "f") async (callback (core func $i "back"))))
    (func (export "close") (canon lift (core func $i "close")))
    (func (export "open") (canon lift (core func $i "open"))))
  (instance $l (instantiate $lib))
  (component $app
    (import "l" (instance $l
      (export "f" (func async (param "x" u32) (result u32))) (export "close" (func)) (export "open" (func))))
    (core module $memory (memory (export "m") 2))
    (core instance $memory (instantiate $memory))
    (core func $f (canon lower (func $l "f") async (memory (core memory $memory "m"))))
    (core func $close (canon lower (func $l "close")))
    (core func $open (canon lower (func $l "open")))
    (core func $new (canon waitable-set.new))
    (core func $wait (canon waitable-set.wait (memory (core memory $memory "m"))))
    (core func $join (canon waitable.join))
    (core func $drop (canon subtask.drop))
    (core module $m
      (import "" "m" (memory 1))
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (import "" "close" (func $close)) (import "" "open" (func $open))
      (import "" "new" (func $new (result i32))) (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (import "" "join" (func $join (param i32 i32))) (import "" "drop" (func $drop (param i32)))
      ;; Opens n subtasks, which start when all are open; adds their results, 1 to n, in memory from 1024 on.
      (func (export "run") (param $n i32) (result i64)
        (local $i i32) (local $state i32) (local $set i32) (local $left i32) (local $sum i64)
        (local.set $set (call $new))
        (call $close)
        (loop $more
          (local.set $state (call $f (local.get $i) (i32.add (i32.const 1024) (i32.shl (local.get $i) (i32.const 2)))))
          (if (i32.and (local.get $state) (i32.const 15)) (then unreachable))  ;; STARTING
          (call $join (i32.shr_u (local.get $state) (i32.const 4)) (local.get $set))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $i) (local.get $n))))
        (call $open)
        (local.set $left (local.get $n))
        (loop $more
          (if (i32.ne (call $wait (local.get $set) (i32.const 8)) (i32.const 1)) (then unreachable))
          (if (i32.eq (i32.load (i32.const 12)) (i32.const 2))
            (then
              (call $drop (i32.load (i32.const 8)))
              (local.set $left (i32.sub (local.get $left) (i32.const 1)))))
          (br_if $more (local.get $left)))
        (loop $more
          (local.set $i (i32.sub (local.get $i) (i32.const 1)))
          (local.set $sum (i64.add (local.get $sum)
            (i64.load32_u (i32.add (i32.const 1024) (i32.shl (local.get $i) (i32.const 2))))))
          (br_if $more (local.get $i)))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance
      (export "m" (memory $memory "m")) (export "f" (func $f)) (export "close" (func $close))
      (export "open" (func $open)) (export "new" (func $new)) (export "wait" (func $wait))
      (export "join" (func $join)) (export "drop" (func $drop))))))
    (func (export "run") async (param "n" u32) (result u64) (canon lift (core func $i "run"))))
  (instance $a (instantiate $app (with "l" (instance $l))))
  (export "run" (func $a "run")))"""


def test_subtasks_open_at_once() -> None:
    """As many as a caller has, and the memory for them serves the next ones."""
    assert same(SUBTASKS, ("run", 1000), ("run", 1)) == [500_500, 1]
    store, exports = start(SUBTASKS, 64 * PAGE)
    for _ in range(3):
        assert exports["run"](store, 10_000) == 50_005_000


def test_no_memory_for_subtasks() -> None:
    """Where the memory for them cannot grow, the program traps for that reason."""
    store, exports = start(SUBTASKS, 4 * PAGE)
    with pytest.raises(wasmtime.Trap, match="out of memory for handles and tasks"):
        exports["run"](store, 10_000)


STREAMS = """(component
  (component $lib
    (type $s (stream u8))
    (core func $drop (canon stream.drop-readable $s))
    (core module $m
      (import "" "drop" (func $drop (param i32)))
      (func (export "take") (param i32) (call $drop (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
    (func (export "take") (param "s" (stream u8)) (canon lift (core func $i "take"))))
  (instance $l (instantiate $lib))
  (component $app
    (import "l" (instance $l (export "take" (func (param "s" (stream u8))))))
    (type $s (stream u8))
    (core func $take (canon lower (func $l "take")))
    (core func $new (canon stream.new $s))
    (core func $drop (canon stream.drop-writable $s))
    (core module $m
      (import "" "take" (func $take (param i32))) (import "" "new" (func $new (result i64)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "run") (param $n i32) (result i32) (local $ends i64) (local $most i32) (local $writable i32)
        (loop $more
          (local.set $ends (call $new))
          (local.set $writable (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
          (if (i32.gt_u (local.get $writable) (local.get $most)) (then (local.set $most (local.get $writable))))
          (call $take (i32.wrap_i64 (local.get $ends)))
          (call $drop (local.get $writable))
          (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $most)))
    (core instance $i (instantiate $m (with "" (instance
      (export "take" (func $take)) (export "new" (func $new)) (export "drop" (func $drop))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $a (instantiate $app (with "l" (instance $l))))
  (export "run" (func $a "run")))"""


def test_streams_one_after_another() -> None:
    """Handles and memory of streams that have ended are used again."""
    assert same(STREAMS, ("run", 1000))[0] == 2
    store, exports = start(STREAMS, 2 * PAGE)
    assert exports["run"](store, 1_000_000) == 2


YIELDS = """(component
  (component $lib
    (core func $yield (canon thread.yield))
    (core func $return (canon task.return))
    (core module $m
      (import "" "yield" (func $yield (result i32))) (import "" "return" (func $return))
      (func $inner (param $n i32) (result i32) (drop (call $yield)) (i32.add (local.get $n) (i32.const 1)))
      (func (export "f") (param $times i32) (local $n i32)
        (call $return)
        (loop $more
          (local.set $n (call $inner (local.get $n)))
          (br_if $more (i32.lt_u (local.get $n) (local.get $times))))))
    (core instance $i (instantiate $m (with "" (instance
      (export "yield" (func $yield)) (export "return" (func $return))))))
    (func (export "f") async (param "times" u32) (canon lift (core func $i "f") async)))
  (instance $l (instantiate $lib))
  (component $app
    (import "f" (func $f async (param "times" u32)))
    (core func $f (canon lower (func $f)))
    (core func $yield (canon thread.yield))
    (core module $m
      (import "" "f" (func $f (param i32))) (import "" "yield" (func $yield (result i32)))
      (func (export "run") (param $times i32) (result i32) (local $n i32)
        (call $f (local.get $times))
        (loop $more
          (drop (call $yield))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $n) (local.get $times))))
        (local.get $n)))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f)) (export "yield" (func $yield))))))
    (func (export "run") async (param "times" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $a (instantiate $app (with "f" (func $l "f"))))
  (export "run" (func $a "run")))"""


def test_two_that_only_yield() -> None:
    """They take turns as long as they like, one after the other off the stack, in the memory of two rooms."""
    assert same(YIELDS, ("run", 3), ("run", 12_000)) == [3, 12_000]
    store, exports = start(YIELDS, PAGE)
    assert exports["run"](store, 100_000) == 100_000


ENDS = """
    (type $s (stream u8))
    (core module $memory (memory (export "m") 2))
    (core instance $memory (instantiate $memory))
    (core func $new (canon stream.new $s))
    (core func $read (canon stream.read $s (memory (core memory $memory "m"))))
    (core func $write (canon stream.write $s (memory (core memory $memory "m"))))
    (core func $drop_r (canon stream.drop-readable $s))
    (core func $drop_w (canon stream.drop-writable $s))
    (core func $return (canon task.return (result (stream u8))))"""
IMPORTS = """
      (import "" "m" (memory 1))
      (import "" "new" (func $new (result i64)))
      (import "" "read" (func $read (param i32 i32 i32) (result i32)))
      (import "" "write" (func $write (param i32 i32 i32) (result i32)))
      (import "" "drop_r" (func $drop_r (param i32)))
      (import "" "drop_w" (func $drop_w (param i32)))
      (import "" "return" (func $return (param i32)))"""
WRITE_ALL = """
      ;; Writes all of it; false if nobody reads.
      (func $write_all (param $end i32) (param $at i32) (param $n i32) (result i32) (local $done i32)
        (loop $more
          (local.set $done (call $write (local.get $end) (local.get $at) (local.get $n)))
          (if (i32.and (local.get $done) (i32.const 15)) (then (return (i32.const 0))))
          (local.set $done (i32.shr_u (local.get $done) (i32.const 4)))
          (local.set $at (i32.add (local.get $at) (local.get $done)))
          (br_if $more (local.tee $n (i32.sub (local.get $n) (local.get $done)))))
        (i32.const 1))"""
GIVEN = """(export "m" (memory $memory "m")) (export "new" (func $new)) (export "read" (func $read))
      (export "write" (func $write)) (export "drop_r" (func $drop_r)) (export "drop_w" (func $drop_w))
      (export "return" (func $return))"""

SOURCE = f"""(component $source {ENDS}
    (core module $m {IMPORTS} {WRITE_ALL}
      ;; n blocks of 64 KiB, each beginning with its number
      (func (export "f") (param $n i32) (local $ends i64) (local $w i32) (local $i i32)
        (local.set $ends (call $new))
        (local.set $w (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
        (call $return (i32.wrap_i64 (local.get $ends)))
        (loop $more
          (i32.store (i32.const 1024) (local.get $i))
          (drop (call $write_all (local.get $w) (i32.const 1024) (i32.const 65536)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $i) (local.get $n))))
        (call $drop_w (local.get $w))))
    (core instance $i (instantiate $m (with "" (instance {GIVEN}))))
    (func (export "f") async (param "n" u32) (result (stream u8)) (canon lift (core func $i "f") async)))"""
RELAY = f"""(component $relay {ENDS}
    (core module $m {IMPORTS} {WRITE_ALL}
      (func (export "f") (param $r i32) (local $ends i64) (local $w i32) (local $got i32)
        (local.set $ends (call $new))
        (local.set $w (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
        (call $return (i32.wrap_i64 (local.get $ends)))
        (loop $more
          (local.set $got (call $read (local.get $r) (i32.const 1024) (i32.const 65536)))
          (if (i32.shr_u (local.get $got) (i32.const 4))
            (then
              (drop (call $write_all (local.get $w) (i32.const 1024) (i32.shr_u (local.get $got) (i32.const 4))))))
          (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))
        (call $drop_w (local.get $w))
        (call $drop_r (local.get $r))))
    (core instance $i (instantiate $m (with "" (instance {GIVEN}))))
    (func (export "f") async (param "s" (stream u8)) (result (stream u8)) (canon lift (core func $i "f") async)))"""
SINK = f"""(component $sink {ENDS}
    (import "source" (func $source async (param "n" u32) (result (stream u8))))
    (import "relay1" (func $relay1 async (param "s" (stream u8)) (result (stream u8))))
    (import "relay2" (func $relay2 async (param "s" (stream u8)) (result (stream u8))))
    (import "relay3" (func $relay3 async (param "s" (stream u8)) (result (stream u8))))
    (core func $source (canon lower (func $source)))
    (core func $relay1 (canon lower (func $relay1)))
    (core func $relay2 (canon lower (func $relay2)))
    (core func $relay3 (canon lower (func $relay3)))
    (core module $m {IMPORTS}
      (import "" "source" (func $source (param i32) (result i32)))
      (import "" "relay1" (func $relay1 (param i32) (result i32)))
      (import "" "relay2" (func $relay2 (param i32) (result i32)))
      (import "" "relay3" (func $relay3 (param i32) (result i32)))
      ;; How many bytes come out at the end, and whether each block has its number: bytes << 1 | all right.
      (func (export "run") (param $n i32) (result i64)
        (local $r i32) (local $got i32) (local $bytes i64) (local $good i64)
        (local.set $good (i64.const 1))
        (local.set $r (call $relay3 (call $relay2 (call $relay1 (call $source (local.get $n))))))
        (loop $more
          (local.set $got (call $read (local.get $r) (i32.const 1024) (i32.const 65536)))
          (if (i32.shr_u (local.get $got) (i32.const 4))
            (then
              (if (i64.ne (i64.load32_u (i32.const 1024)) (i64.shr_u (local.get $bytes) (i64.const 16)))
                (then (local.set $good (i64.const 0))))
              (local.set $bytes
                (i64.add (local.get $bytes) (i64.extend_i32_u (i32.shr_u (local.get $got) (i32.const 4)))))))
          (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))
        (call $drop_r (local.get $r))
        (i64.or (i64.shl (local.get $bytes) (i64.const 1)) (local.get $good))))
    (core instance $i (instantiate $m (with "" (instance {GIVEN}
      (export "source" (func $source)) (export "relay1" (func $relay1))
      (export "relay2" (func $relay2)) (export "relay3" (func $relay3))))))
    (func (export "run") async (param "n" u32) (result u64) (canon lift (core func $i "run"))))"""
PIPELINE = f"""(component {SOURCE} {RELAY} {SINK}
  (instance $a (instantiate $source))
  (instance $b (instantiate $relay))
  (instance $c (instantiate $relay))
  (instance $d (instantiate $relay))
  (instance $e (instantiate $sink
    (with "source" (func $a "f")) (with "relay1" (func $b "f"))
    (with "relay2" (func $c "f")) (with "relay3" (func $d "f"))))
  (export "run" (func $e "run")))"""


def test_a_pipeline_of_five_components() -> None:
    assert same(PIPELINE, ("run", 3)) == [3 * PAGE << 1 | 1]
    store, exports = start(PIPELINE, 2 * PAGE)
    assert exports["run"](store, GIGABYTE // PAGE) == GIGABYTE << 1 | 1
