"""Inlined calls compute what the calls did: in loops, with constants and locals as arguments, with early returns."""

from __future__ import annotations

import wasmtime

from meld.files import encode
from meld.passes.emit_tasks.inlined import inline_runtime
from meld.text.reading.program import parse_module

PROGRAM = """(module
  ;; its local is zero at each call, also in a loop
  (func $once (param $x i32) (result i32) (local $seen i32)
    (if (local.get $x) (then (local.set $seen (i32.add (local.get $seen) (local.get $x)))))
    (local.get $seen))
  ;; returns from within blocks
  (func $early (param $x i32) (param $y i32) (result i32)
    (block $out
      (br_if $out (i32.eqz (local.get $x)))
      (return (i32.mul (local.get $x) (local.get $y))))
    (local.get $y))
  ;; changes its parameter, which is not the caller's local
  (func $down (param $x i32) (result i32) (local $sum i32)
    (loop $more
      (local.set $sum (i32.add (local.get $sum) (local.get $x)))
      (br_if $more (local.tee $x (i32.sub (local.get $x) (i32.const 1)))))
    (local.get $sum))
  (func $two (param $x i32) (result i32 i32)
    (local.get $x)
    (if (result i32) (local.get $x) (then (return (local.get $x) (i32.const 7))) (else (i32.const 8))))
  (func (export "run") (param $n i32) (result i32) (local $sum i32) (local $i i32)
    (local.set $i (local.get $n))
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (call $once (i32.and (local.get $i) (i32.const 1)))))
      (local.set $sum (i32.add (local.get $sum) (call $early (local.get $i) (i32.const 3))))
      (local.set $sum (i32.add (local.get $sum) (call $down (local.get $n))))
      (call $two (local.get $i))
      (local.set $sum (i32.add (i32.add (local.get $sum))))
      (br_if $next (i32.ge_s (local.tee $i (i32.sub (local.get $i) (i32.const 1))) (i32.const 0))))
    (i32.add (local.get $sum) (local.get $n))))"""


def test_inlined_calls_compute_the_same() -> None:
    plain, inlined = (parse_module(PROGRAM, "program") for _ in range(2))
    assert inline_runtime(inlined) == 4
    assert [f.name for f in inlined.functions] == [None]

    def answers(module: object) -> list[int]:
        engine = wasmtime.Engine()
        store = wasmtime.Store(engine)
        run = wasmtime.Instance(store, wasmtime.Module(engine, encode(module)), []).exports(store)["run"]
        return [run(store, n) for n in (1, 2, 5, 40)]

    assert answers(inlined) == answers(plain)
