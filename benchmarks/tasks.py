"""What streams and tasks cost: fused as one core module, beside the engine's own support, and beside bare copies.

The loops are in the programs, in WebAssembly, so that no call from outside is timed. A floor does only what the memory
has to do: one `memory.copy` a piece and a hop; for a switch, two frames that leave and come back at once, with nothing
scheduled; for a subtask, the two indirect calls of its callee.
"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import wasmtime
import wasmtime.component
from measure import Row, Sample, show_rows, timed
from running import interleaved
from wasmtime import _ffi as ffi

import meld
from meld.rewriting.resumable import Carrier, make_resumable
from meld.runtime.instantiate import instantiate
from meld.text.reading.program import parse_module

TURN = 1.5e-3
"""Seconds that one turn of one of the programs should take."""

INSTANCES = 3

SIZES = (16, 4096, 65536)
GIGABYTE, PIECE = 1 << 30, 1 << 16


@dataclass(frozen=True)
class Case:
    """A program that exports ``run (rounds, bytes) → …``, and how many copies of so many bytes are its floor."""

    name: str
    program: str
    size: int = 0
    hops: int = 0
    target: str = ""


MEMORY = """
    (core module $libc (memory (export "m") 4))
    (core instance $libc (instantiate $libc))"""

BUILTINS = {
    "new": ("stream.new $s", "(result i64)"),
    "read": ('stream.read $s {mode} (memory (core memory $libc "m"))', "(param i32 i32 i32) (result i32)"),
    "write": ('stream.write $s {mode} (memory (core memory $libc "m"))', "(param i32 i32 i32) (result i32)"),
    "drop-r": ("stream.drop-readable $s", "(param i32)"),
    "drop-w": ("stream.drop-writable $s", "(param i32)"),
    "set": ("waitable-set.new", "(result i32)"),
    "join": ("waitable.join", "(param i32 i32)"),
    "poll": ('waitable-set.poll (memory (core memory $libc "m"))', "(param i32 i32) (result i32)"),
    "give": ("task.return (result $s)", "(param i32)"),
    "done": ("task.return (result u32)", "(param i32)"),
}
"""What components use: the definition, and the core type."""


def given(names: str, mode: str = "async") -> str:
    """Definitions of the built-ins with these names, and a core instance of them."""
    functions = "".join(f"\n    (core func ${n} (canon {BUILTINS[n][0].format(mode=mode)}))" for n in names.split())
    exports = " ".join(f'(export "{n}" (func ${n}))' for n in names.split())
    instance = f'(core instance $env (export "m" (memory $libc "m")) {exports})'
    return f"{MEMORY}\n    (type $s (stream u8)){functions}\n    {instance}"


def imported(names: str) -> str:
    """Their imports in a core module."""
    functions = "".join(f'\n      (import "" "{n}" (func ${n} {BUILTINS[n][1]}))' for n in names.split())
    return f'(import "" "m" (memory 4)){functions}'


PLAIN = f"""(component
  (component $producer {given("new write")}
    (core module $m {imported("new write")}
      (global $end (mut i32) (i32.const 0))
      (func (export "open") (result i32) (local $ends i64)
        (local.set $ends (call $new))
        (global.set $end (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
        (i32.wrap_i64 (local.get $ends)))
      (func (export "pump") (param $n i32) (result i32)
        (call $write (global.get $end) (i32.const 1024) (local.get $n))))
    (core instance $i (instantiate $m (with "" (instance $env))))
    (func (export "open") (result (stream u8)) (canon lift (core func $i "open")))
    (func (export "pump") (param "n" u32) (result u32) (canon lift (core func $i "pump"))))
  (instance $p (instantiate $producer))
  (component $consumer
    (import "p" (instance $p
      (export "open" (func (result (stream u8)))) (export "pump" (func (param "n" u32) (result u32)))))
    {given("read set join poll")}
    (core func $open (canon lower (func $p "open")))
    (core func $pump (canon lower (func $p "pump")))
    (core module $m {imported("read set join poll")}
      (import "p" "open" (func $open (result i32)))
      (import "p" "pump" (func $pump (param i32) (result i32)))
      (global $end (mut i32) (i32.const 0))
      (global $ready (mut i32) (i32.const 0))
      ;; A read, which has to wait; a call of the producer, which writes; and the event.
      (func (export "run") (param $rounds i32) (param $n i32) (result i32) (local $sum i32)
        (if (i32.eqz (global.get $end))
          (then
            (global.set $end (call $open))
            (global.set $ready (call $set))
            (call $join (global.get $end) (global.get $ready))))
        (loop $next
          (if (i32.ne (call $read (global.get $end) (i32.const 1024) (local.get $n)) (i32.const -1))
            (then unreachable))
          (drop (call $pump (local.get $n)))
          (if (i32.ne (call $poll (global.get $ready) (i32.const 8)) (i32.const 2)) (then unreachable))
          (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 12))))
          (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance $env)) (with "p" (instance
      (export "open" (func $open)) (export "pump" (func $pump))))))
    (func (export "run") (param "rounds" u32) (param "n" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $c (instantiate $consumer (with "p" (instance $p))))
  (export "run" (func $c "run")))"""

CALLBACKS = f"""(component
  (component $producer {given("new write set join give drop-w")}
    (core module $m {imported("new write set join give drop-w")}
      (global $end (mut i32) (i32.const 0))
      (global $ready (mut i32) (i32.const 0))
      (global $left (mut i32) (i32.const 0))
      (global $n (mut i32) (i32.const 0))
      (func (export "f") (param $rounds i32) (param $n i32) (result i32) (local $ends i64)
        (local.set $ends (call $new))
        (global.set $end (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
        (if (i32.eqz (global.get $ready)) (then (global.set $ready (call $set))))
        (call $join (global.get $end) (global.get $ready))
        (global.set $left (local.get $rounds))
        (global.set $n (local.get $n))
        (call $give (i32.wrap_i64 (local.get $ends)))
        (call $on))
      (func $on (result i32)
        (loop $more
          (if (i32.eqz (global.get $left))
            (then (call $join (global.get $end) (i32.const 0)) (call $drop-w (global.get $end)) (return (i32.const 0))))
          (global.set $left (i32.sub (global.get $left) (i32.const 1)))
          (br_if $more (i32.ne (i32.const -1) (call $write (global.get $end) (i32.const 1024) (global.get $n)))))
        (i32.or (i32.const 2) (i32.shl (global.get $ready) (i32.const 4))))
      (func (export "back") (param $code i32) (param i32 i32) (result i32)
        (if (i32.ne (local.get $code) (i32.const 3)) (then unreachable))
        (call $on)))
    (core instance $i (instantiate $m (with "" (instance $env))))
    (func (export "f") async (param "rounds" u32) (param "n" u32) (result (stream u8))
      (canon lift (core func $i "f") async (callback (core func $i "back")))))
  (instance $p (instantiate $producer))
  (component $consumer
    (import "f" (func $f async (param "rounds" u32) (param "n" u32) (result (stream u8))))
    {given("read set join done drop-r")}
    (core func $f (canon lower (func $f)))
    (core module $m {imported("read set join done drop-r")}
      (import "p" "f" (func $f (param i32 i32) (result i32)))
      (global $end (mut i32) (i32.const 0))
      (global $ready (mut i32) (i32.const 0))
      (global $n (mut i32) (i32.const 0))
      (global $sum (mut i32) (i32.const 0))
      (func (export "run") (param $rounds i32) (param $n i32) (result i32)
        (if (i32.eqz (global.get $ready)) (then (global.set $ready (call $set))))
        (global.set $n (local.get $n))
        (global.set $end (call $f (local.get $rounds) (local.get $n)))
        (call $join (global.get $end) (global.get $ready))
        (call $on))
      (func $on (result i32) (local $got i32)
        (loop $more
          (local.set $got (call $read (global.get $end) (i32.const 1024) (global.get $n)))
          (if (i32.eq (local.get $got) (i32.const -1))
            (then (return (i32.or (i32.const 2) (i32.shl (global.get $ready) (i32.const 4))))))
          (global.set $sum (i32.add (global.get $sum) (local.get $got)))
          (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))
        (call $end))
      (func $end (result i32)
        (call $join (global.get $end) (i32.const 0))
        (call $drop-r (global.get $end))
        (call $done (global.get $sum))
        (i32.const 0))
      (func (export "back") (param $code i32) (param $end i32) (param $got i32) (result i32)
        (if (i32.ne (local.get $code) (i32.const 2)) (then unreachable))
        (global.set $sum (i32.add (global.get $sum) (local.get $got)))
        (if (i32.and (local.get $got) (i32.const 15)) (then (return (call $end))))
        (call $on)))
    (core instance $i (instantiate $m (with "" (instance $env)) (with "p" (instance (export "f" (func $f))))))
    (func (export "run") async (param "rounds" u32) (param "n" u32) (result u32)
      (canon lift (core func $i "run") async (callback (core func $i "back")))))
  (instance $c (instantiate $consumer (with "f" (func $p "f"))))
  (export "run" (func $c "run")))"""

SWITCH = """(component
  (component $yields
    (core func $yield (canon thread.yield))
    (core func $return (canon task.return))
    (core module $m
      (import "" "yield" (func $yield (result i32))) (import "" "return" (func $return))
      (global $left (mut i32) (i32.const 0))
      ;; two frames: this one and the one that calls it
      (func $inner (param $n i32) (result i32)
        (drop (call $yield))
        (i32.add (local.get $n) (i32.const 1)))
      (func (export "f") (param $rounds i32) (local $n i32)
        (call $return)
        (loop $more
          (local.set $n (call $inner (local.get $n)))
          (br_if $more (i32.lt_u (local.get $n) (local.get $rounds))))))
    (core instance $i (instantiate $m (with "" (instance
      (export "yield" (func $yield)) (export "return" (func $return))))))
    (func (export "f") async (param "rounds" u32) (canon lift (core func $i "f") async)))
  (instance $y (instantiate $yields))
  (component $root
    (import "f" (func $f async (param "rounds" u32)))
    (core func $f (canon lower (func $f)))
    (core func $yield (canon thread.yield))
    (core module $m
      (import "" "f" (func $f (param i32))) (import "" "yield" (func $yield (result i32)))
      (func (export "run") (param $rounds i32) (param i32) (result i32) (local $n i32)
        (call $f (local.get $rounds))
        (loop $more
          (drop (call $yield))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $n) (local.get $rounds))))
        (local.get $n)))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f)) (export "yield" (func $yield))))))
    (func (export "run") async (param "rounds" u32) (param "n" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $r (instantiate $root (with "f" (func $y "f"))))
  (export "run" (func $r "run")))"""

SUBTASK = f"""(component
  (component $lib
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "return" (func $return (param i32)))
      (func (export "f") (param i32) (result i32) (i32.const 1))  ;; YIELD
      (func (export "back") (param i32 i32 i32) (result i32)
        (call $return (i32.const 1))
        (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "f") async (param "x" u32) (result u32)
      (canon lift (core func $i "f") async (callback (core func $i "back")))))
  (instance $l (instantiate $lib))
  (component $app
    (import "f" (func $f async (param "x" u32) (result u32))) {MEMORY}
    (core func $f (canon lower (func $f) async (memory (core memory $libc "m"))))
    (core func $set (canon waitable-set.new))
    (core func $wait (canon waitable-set.wait (memory (core memory $libc "m"))))
    (core func $join (canon waitable.join))
    (core func $drop (canon subtask.drop))
    (core module $m
      (import "" "m" (memory 1))
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (import "" "set" (func $set (result i32))) (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (import "" "join" (func $join (param i32 i32))) (import "" "drop" (func $drop (param i32)))
      (global $ready (mut i32) (i32.const 0))
      (func (export "run") (param $rounds i32) (param i32) (result i32) (local $state i32) (local $sum i32)
        (if (i32.eqz (global.get $ready)) (then (global.set $ready (call $set))))
        (loop $next
          (local.set $state (call $f (i32.const 1) (i32.const 1024)))
          (if (i32.ne (i32.and (local.get $state) (i32.const 15)) (i32.const 1)) (then unreachable))  ;; STARTED
          (call $join (i32.shr_u (local.get $state) (i32.const 4)) (global.get $ready))
          (if (i32.ne (call $wait (global.get $ready) (i32.const 8)) (i32.const 1)) (then unreachable))
          (if (i32.ne (i32.load (i32.const 12)) (i32.const 2)) (then unreachable))  ;; RETURNED
          (call $drop (i32.load (i32.const 8)))
          (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 1024))))
          (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance
      (export "m" (memory $libc "m")) (export "f" (func $f)) (export "set" (func $set))
      (export "wait" (func $wait)) (export "join" (func $join)) (export "drop" (func $drop))))))
    (func (export "run") async (param "rounds" u32) (param "n" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $a (instantiate $app (with "f" (func $l "f"))))
  (export "run" (func $a "run")))"""

WRITE_ALL = """
      (func $write-all (param $end i32) (param $at i32) (param $n i32) (local $done i32)
        (loop $more
          (local.set $done (i32.shr_u (call $write (local.get $end) (local.get $at) (local.get $n)) (i32.const 4)))
          (local.set $at (i32.add (local.get $at) (local.get $done)))
          (br_if $more (local.tee $n (i32.sub (local.get $n) (local.get $done))))))"""
OPEN = """(local.set $ends (call $new))
        (local.set $w (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
        (call $give (i32.wrap_i64 (local.get $ends)))"""

SOURCE = f"""(component $source {given("new write give drop-w", "")}
    (core module $m {imported("new write give drop-w")} {WRITE_ALL}
      (func (export "f") (param $rounds i32) (param $n i32) (local $ends i64) (local $w i32)
        {OPEN}
        (loop $more
          (call $write-all (local.get $w) (i32.const 1024) (local.get $n))
          (br_if $more (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (call $drop-w (local.get $w))))
    (core instance $i (instantiate $m (with "" (instance $env))))
    (func (export "f") async (param "rounds" u32) (param "n" u32) (result (stream u8))
      (canon lift (core func $i "f") async)))"""
RELAY = f"""(component $relay {given("new read write give drop-r drop-w", "")}
    (core module $m {imported("new read write give drop-r drop-w")} {WRITE_ALL}
      (func (export "f") (param $r i32) (param $n i32) (local $ends i64) (local $w i32) (local $got i32)
        {OPEN}
        (loop $more
          (local.set $got (call $read (local.get $r) (i32.const 1024) (local.get $n)))
          (if (i32.shr_u (local.get $got) (i32.const 4))
            (then (call $write-all (local.get $w) (i32.const 1024) (i32.shr_u (local.get $got) (i32.const 4)))))
          (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))
        (call $drop-w (local.get $w))
        (call $drop-r (local.get $r))))
    (core instance $i (instantiate $m (with "" (instance $env))))
    (func (export "f") async (param "s" (stream u8)) (param "n" u32) (result (stream u8))
      (canon lift (core func $i "f") async)))"""
RELAYED = '(func async (param "s" (stream u8)) (param "n" u32) (result (stream u8)))'
SINK = f"""(component $sink {given("read drop-r", "")}
    (import "source" (func $source async (param "rounds" u32) (param "n" u32) (result (stream u8))))
    {"".join(f'(import "relay{i}" (func $relay{i} {RELAYED[6:]})' for i in (1, 2, 3))}
    (core func $source (canon lower (func $source)))
    {"".join(f"(core func $relay{i} (canon lower (func $relay{i})))" for i in (1, 2, 3))}
    (core module $m {imported("read drop-r")}
      (import "p" "source" (func $source (param i32 i32) (result i32)))
      {"".join(f'(import "p" "relay{i}" (func $relay{i} (param i32 i32) (result i32)))' for i in (1, 2, 3))}
      (func (export "run") (param $rounds i32) (param $n i32) (result i32)
        (local $r i32) (local $got i32) (local $sum i32)
        (local.set $r (call $source (local.get $rounds) (local.get $n)))
        {"".join(f"(local.set $r (call $relay{i} (local.get $r) (local.get $n)))" for i in (1, 2, 3))}
        (loop $more
          (local.set $got (call $read (local.get $r) (i32.const 1024) (local.get $n)))
          (local.set $sum (i32.add (local.get $sum) (i32.shr_u (local.get $got) (i32.const 4))))
          (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))
        (call $drop-r (local.get $r))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance $env))
      (with "p" (instance (export "source" (func $source))
        {"".join(f'(export "relay{i}" (func $relay{i}))' for i in (1, 2, 3))}))))
    (func (export "run") async (param "rounds" u32) (param "n" u32) (result u32) (canon lift (core func $i "run"))))"""
PIPELINE = f"""(component {SOURCE} {RELAY} {SINK}
  (instance $a (instantiate $source))
  {"".join(f"(instance $r{i} (instantiate $relay))" for i in (1, 2, 3))}
  (instance $e (instantiate $sink (with "source" (func $a "f"))
    {"".join(f'(with "relay{i}" (func $r{i} "f"))' for i in (1, 2, 3))}))
  (export "run" (func $e "run")))"""

TEN = "≥ 10 × the engine"
CASES = (
    *(Case(f"{n} B, plain functions", PLAIN, n, 1, f"{TEN}; ≥ 0.8 of a copy" if n == 4096 else TEN) for n in SIZES),
    *(Case(f"{n} B, callback tasks", CALLBACKS, n, 1, f"{TEN}; ≥ 0.9 of a copy" if n == 65536 else TEN) for n in SIZES),
    Case("a switch, two frames", SWITCH, target=f"{TEN}; ≤ 15 ns"),
    Case("a subtask's life", SUBTASK, target=TEN),
    *(Case(f"{n} B, five components that block", PIPELINE, n, 4, TEN) for n in SIZES),
)

FLOOR = """(module
  (memory $m0 4) (memory $m1 4) (memory $m2 4) (memory $m3 4) (memory $m4 4)
  (func (export "run") (param $rounds i32) (param $n i32) (result i32)
    (loop $next
      {copies}
      (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (i32.const 0)))"""
SUBTASK_FLOOR = """(module
  (type $f (func (param i32) (result i32)))
  (table 2 2 funcref) (elem (i32.const 0) $start $callback)
  (func $start (type $f) (local.get 0))
  (func $callback (type $f) (i32.add (local.get 0) (i32.const 1)))
  (func (export "run") (param $rounds i32) (param i32) (result i32) (local $n i32)
    (loop $next
      (local.set $n (call_indirect (type $f) (local.get $n) (i32.const 0)))
      (local.set $n (call_indirect (type $f) (local.get $n) (i32.const 1)))
      (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (local.get $n)))"""
"""The two calls of the callee, with nothing around them."""

FRAMES = """(module
  (memory $frames 1)
  (global $state (mut i32) (i32.const 0))
  (global $top (mut i32) (i32.const 8))
  (global $limit (mut i32) (i32.const 65536))
  (func $grow (param i32) unreachable)
  (func $leaf
    (global.set $state (select (i32.const 0) (i32.const 1) (i32.eq (global.get $state) (i32.const 2)))))
  (func $inner (param $n i32) (result i32)
    (call $leaf)
    (i32.add (local.get $n) (i32.const 1)))
  (func $outer (param $rounds i32) (local $n i32)
    (loop $more
      (local.set $n (call $inner (local.get $n)))
      (br_if $more (i32.lt_u (local.get $n) (local.get $rounds)))))
  (func (export "run") (param $rounds i32) (param i32) (result i32)
    (call $outer (local.get $rounds))
    (loop $more
      (if (global.get $state)
        (then
          (global.set $state (i32.const 2))
          (call $outer (i32.const 0))
          (br $more))))
    (i32.const 0)))"""
"""The same two frames, which leave and come back at once: nothing is scheduled."""


def frames_alone() -> meld.Module:
    """`FRAMES`, made resumable."""
    module = parse_module(FRAMES, "frames")
    functions = {f.name: f for f in module.functions}
    state, top, limit = module.globals
    carrier = Carrier(state, module.memories[0], top, limit, functions["grow"])
    make_resumable(module, [functions["leaf"]], [functions["inner"], functions["outer"]], carrier=carrier)
    return module


def floor(case: Case) -> meld.Module | bytes:
    """A module that does what the case cannot do without."""
    if case.program is SWITCH:
        return frames_alone()
    copies = "\n      ".join(
        f"(memory.copy $m{hop + 1} $m{hop} (i32.const 1024) (i32.const 1024) (local.get $n))"
        for hop in range(case.hops)
    )
    text = FLOOR.format(copies=copies) if case.hops else SUBTASK_FLOOR
    return bytes(wasmtime.wat2wasm(text))


def core(module: meld.Module | bytes, size: int) -> Callable[[int], object]:
    """Runs a core module."""
    running = instantiate(module)
    return lambda rounds: running.call("run", rounds, size)


def component(binary: bytes, size: int) -> Callable[[int], object]:
    """Runs a component under the engine's own support for asynchronous components, which its Python API has not."""
    config = wasmtime.Config()
    for feature in ("async", "more_async_builtins", "async_stackful"):
        getattr(ffi, f"wasmtime_config_wasm_component_model_{feature}_set")(config.ptr(), True)
    engine = wasmtime.Engine(config)
    store, linker = wasmtime.Store(engine), wasmtime.component.Linker(engine)
    compiled = wasmtime.component.Component(engine, binary)
    made = ffi.wasmtime_component_instance_t()
    _finish(
        lambda error: ffi.wasmtime_component_linker_instantiate_async(
            linker.ptr(), store._context(), compiled.ptr(), ctypes.byref(made), error
        )
    )
    function: Any = wasmtime.component.Instance._from_raw(made).get_func(store, "run")
    shape = function.type(store)

    def run(rounds: int) -> Any:
        given = (ffi.wasmtime_component_val_t * 2)()
        for place, ((_, t), value) in enumerate(zip(shape.params, (rounds, size), strict=True)):
            t.convert_to_c(store, value, ctypes.pointer(given[place]))
        result = ffi.wasmtime_component_val_t()
        _finish(
            lambda error: ffi.wasmtime_component_func_call_async(
                ctypes.byref(function._func), store._context(), given, 2, ctypes.byref(result), 1, error
            )
        )
        return shape.result.convert_from_c(result)

    return run


def _finish(start: Callable[[Any], Any]) -> None:
    """Runs an asynchronous call of the engine to its end."""
    error = ctypes.POINTER(ffi.wasmtime_error_t)()
    future = start(ctypes.byref(error))
    while not ffi.wasmtime_call_future_poll(future):
        pass
    ffi.wasmtime_call_future_delete(future)
    if error:
        raise wasmtime.WasmtimeError._from_ptr(error)


@cache
def fused(program: str) -> meld.Module:
    """The core module of a program."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "program.wat"
        path.write_text(program)
        module = meld.compile(path)
    assert isinstance(module, meld.Module)
    return module


def programs(case: Case) -> dict[str, Callable[[int], object]]:
    """What is compared, in new instances."""
    found = {
        "ours": core(fused(case.program), case.size),
        "engine": component(bytes(wasmtime.wat2wasm(case.program)), case.size),
        "floor": core(floor(case), case.size),
    }
    want, got = found["engine"](7), found["ours"](7)
    assert want == got, f"{case.name}: {got}, but under the engine {want}"
    return found


def measured(case: Case) -> Row:
    """The row of a case, over several instances: where a memory lies decides how quickly it is copied."""
    rounds: dict[str, int] = {}
    taken: dict[str, tuple[float, ...]] = {}
    for _ in range(INSTANCES):
        runs = programs(case)
        rounds = rounds or {name: enough(run) for name, run in runs.items()}
        for name, sample in interleaved(runs, rounds, turns=20).items():
            taken[name] = taken.get(name, ()) + sample.values
    ours, engine, least = (Sample(taken[name], rounds[name]) for name in ("ours", "engine", "floor"))
    return row(case.name, ours, engine, least, case.target, case.hops)


def enough(run: Callable[[int], object]) -> int:
    """So many rounds that the call from outside does not count."""
    rounds, took = 64, 0.0
    while took < TURN:
        rounds *= 4
        took = timed(partial(run, rounds), times=3).least
    return max(64, int(rounds * TURN / took))


def row(name: str, ours: Sample, engine: Sample, least: Sample, target: str, hops: int = 0) -> Row:
    """A row with its ratios, of the least times: what else the machine does makes programs slower, never quicker."""
    faster, share = engine.least / ours.least, least.least / ours.least
    reached = f"{faster:.1f} × the engine"
    if hops:
        copies = "a copy, which is" if hops == 1 else f"{hops} copies, which are"
        reached += f"; {share:.2f} of {copies} {engine.least / least.least:.1f} × the engine"
    else:
        reached += f"; {ours.least * 1e9:.0f} ns, {1 / share:.1f} × the floor"
    return Row(name, ours, "", engine, least, target, reached)


def gigabyte() -> Row:
    """The whole pipeline, once through with a gigabyte."""
    case = Case("1 GB through five components that block, 64 KiB at once", PIPELINE, PIECE, 4, TEN)
    taken = interleaved(programs(case), dict.fromkeys(("ours", "engine", "floor"), GIGABYTE // PIECE), turns=5)
    whole = {name: Sample(sample.values) for name, sample in taken.items()}
    return row(case.name, whole["ours"], whole["engine"], whole["floor"], case.target, case.hops)


def rows() -> list[Row]:
    """A row for each case."""
    return [*(measured(case) for case in CASES), gigabyte()]


if __name__ == "__main__":
    show_rows("Streams and tasks; unfused: the engine's own support; floor: bare copies, nothing else", rows())
