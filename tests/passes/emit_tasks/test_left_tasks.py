"""Tasks that exported functions of synchronous type leave: they go on while the host does something else."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import wasmtime
from both import unfused
from engine_cli import CLI, invoked
from hosted import TARGETS, composed, product
from open_guests import HELPERS, LIBC, SINK, SOURCES, builtins, imports

YIELDS = """
      (global $steps (mut i32) (i32.const 0))
      (func (export "work") (result i32) (i32.const 1))
      (func (export "back") (param i32 i32 i32) (result i32)
        (global.set $steps (i32.add (global.get $steps) (i32.const 1)))
        (if (i32.lt_u (global.get $steps) (i32.const 2)) (then (return (i32.const 1))))
        (call $return)
        (i32.const 0))"""
"""A function with a callback that yields twice."""
WORK = f"""
  (component $B
    (core func $return (canon task.return))
    (core module $m
      (import "" "return" (func $return))
{YIELDS}
      (func (export "steps") (result i32) (global.get $steps)))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "work") async (canon lift (core func $i "work") async (callback (core func $i "back"))))
    (func (export "steps") (result u32) (canon lift (core func $i "steps"))))
  (component $A
    (import "work" (func $work async))
    (core func $work' (canon lower (func $work) async))
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "work" (func $work (result i32))) (import "" "return" (func $return (param i32)))
      (func (export "start") (result i32) (drop (call $work)) (i32.const 5))
      (func (export "after") (param i32))
      (func (export "other") (call $return (i32.const 3))))
    (core instance $i (instantiate $m (with "" (instance
      (export "work" (func $work')) (export "return" (func $return))))))
    (func (export "start") (result u32) (canon lift (core func $i "start") (post-return (core func $i "after"))))
    (func (export "other") async (result u32) (canon lift (core func $i "other") async)))
  (instance $b (instantiate $B)) (instance $a (instantiate $A (with "work" (func $b "work"))))
  (export "start" (func $a "start")) (export "steps" (func $b "steps"))"""

DRIVER = """(component
  (import "start" (func $start (result u32))) (import "steps" (func $steps (result u32)))
  (core func $start' (canon lower (func $start))) (core func $steps' (canon lower (func $steps)))
  (core func $yield (canon thread.yield)) (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "start" (func $start (result i32))) (import "" "steps" (func $steps (result i32)))
    (import "" "yield" (func $yield (result i32))) (import "" "return" (func $return (param i32)))
    (func (export "run") (param $n i32)
      (drop (call $start))
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $n)))
        (drop (call $yield))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $more)))
      (call $return (call $steps))))
  (core instance $i (instantiate $m (with "" (instance (export "start" (func $start')) (export "steps" (func $steps'))
    (export "yield" (func $yield)) (export "return" (func $return))))))
  (func (export "run") async (param "n" u32) (result u32) (canon lift (core func $i "run") async)))"""


@pytest.mark.parametrize("more", ["", '(export "other" (func $a "other"))'], ids=["alone", "beside a task"])
def test_they_go_on(more: str) -> None:
    """Also where no other exported function is asynchronous, so that no call of the host's could run them."""
    program = f"(component {WORK} {more})"
    given = ("func start", "func steps")
    for n, want in ((0, 0), (1, 1), (5, 2)):
        calls = (("run", n),)
        assert unfused(composed(program, DRIVER, given, ("func run",)), calls) == [want]
        for target in TARGETS:
            assert unfused(composed(product(program, target), DRIVER, given, ("func run",)), calls) == [want], target


STREAMS = f"""(component {SOURCES}
  (component $App
    (import "source" (func $source async (param "n" u32) (result (stream u8)))) {LIBC}
    (core func $source' (canon lower (func $source) async (memory (core memory $libc "m"))))
    (core module $m
      (import "" "m" (memory 1)) (import "" "source" (func $source (param i32 i32) (result i32)))
      ;; its task goes on to write when it has returned the stream
      (func (export "open") (param $n i32) (result i32)
        (drop (call $source (local.get $n) (i32.const 16)))
        (i32.load (i32.const 16))))
    (core instance $i (instantiate $m (with "" (instance
      (export "m" (memory $libc "m")) (export "source" (func $source'))))))
    (func (export "open") (param "n" u32) (result (stream u8)) (canon lift (core func $i "open"))))
  (instance $sources (instantiate $Sources))
  (instance $app (instantiate $App (with "source" (func $sources "source"))))
  (export "open" (func $app "open")))"""

READER = f"""(component
  (import "open" (func $open (param "n" u32) (result (stream u8)))) {LIBC}
  {builtins("async", reads="s", writes="s")}
  (core func $open' (canon lower (func $open)))
  (core func $return (canon task.return (result u32)))
  (core module $m
    {imports(reads="s", writes="s")}
    (import "" "open" (func $open (param i32) (result i32))) (import "" "return" (func $return (param i32)))
    {HELPERS} {SINK}
    (func (export "run") (param $n i32) (call $return (call $drain (call $open (local.get $n))))))
  (core instance $i (instantiate $m (with "c" (instance $canon))
    (with "" (instance (export "open" (func $open')) (export "return" (func $return))))))
  (func (export "run") async (param "n" u32) (result u32) (canon lift (core func $i "run") async)))"""


def test_they_write() -> None:
    """A stream that such a function returns, to whose end a task inside writes."""
    given, calls = ("func open",), (("run", 25), ("run", 0), ("run", 100))
    for target in TARGETS:
        made = composed(product(STREAMS, target), READER, given, ("func run",))
        assert unfused(made, calls) == [75, 0, 300] == unfused(composed(STREAMS, READER, given, ("func run",)), calls)


LATE = """(component
  (component $B
    (core func $return (canon task.return))
    (type $f (future)) (core func $read (canon future.read $f))
    (core module $m
      (import "" "return" (func $return)) (import "" "read" (func $read (param i32 i32) (result i32)))
      (func (export "late") (param $readable i32)
        (call $return)
        (drop (call $read (local.get $readable) (i32.const 0)))
        unreachable))
    (core instance $i (instantiate $m (with "" (instance
      (export "return" (func $return)) (export "read" (func $read))))))
    (func (export "late") async (param "f" $f) (canon lift (core func $i "late") async)))
  (component $A
    (type $f (future)) (import "late" (func $late async (param "f" $f)))
    (core func $late' (canon lower (func $late)))
    (core func $new (canon future.new $f)) (core func $write (canon future.write $f async))
    (core module $m
      (import "" "late" (func $late (param i32)))
      (import "" "new" (func $new (result i64))) (import "" "write" (func $write (param i32 i32) (result i32)))
      (func (export "f") (result i32) (local $ends i64)
        (local.set $ends (call $new))
        (call $late (i32.wrap_i64 (local.get $ends)))
        (drop (call $write (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))) (i32.const 0)))
        (i32.const 42)))
    (core instance $i (instantiate $m (with "" (instance
      (export "late" (func $late')) (export "new" (func $new)) (export "write" (func $write))))))
    (func (export "f") async (result u32) (canon lift (core func $i "f"))))
  (instance $b (instantiate $B)) (instance $a (instantiate $A (with "late" (func $b "late"))))"""


@pytest.mark.parametrize("exports", [("f",), ("f", "g")], ids=["alone", "beside another"])
def test_the_host_has_the_result_first(exports: tuple[str, ...]) -> None:
    """A task that is ready when such a function returns, and traps, does not take the result away."""
    shown = " ".join(f'(export "{name}" (func $a "f"))' for name in exports)
    program = f"{LATE} {shown})"
    calls = (("f",),)
    assert unfused(bytes(wasmtime.wat2wasm(program)), calls) == [42]
    assert unfused(bytes(wasmtime.wat2wasm(product(program))), calls) == [42]


DESTROYS = f"""(component
  (component $B
    (core func $return (canon task.return)) (core func $answer (canon task.return (result u32)))
    (core module $m
      (import "" "return" (func $return)) (import "" "answer" (func $answer (param i32)))
{YIELDS}
      (func (export "steps") (call $answer (global.get $steps))))
    (core instance $i (instantiate $m (with "" (instance
      (export "return" (func $return)) (export "answer" (func $answer))))))
    (func (export "work") async (canon lift (core func $i "work") async (callback (core func $i "back"))))
    (func (export "steps") async (result u32) (canon lift (core func $i "steps") async)))
  (component $A
    (import "work" (func $work async)) (core func $work' (canon lower (func $work) async))
    (core module $d
      (import "" "work" (func $work (result i32)))
      (func (export "dtor") (param i32) (drop (call $work))))
    (core instance $d (instantiate $d (with "" (instance (export "work" (func $work'))))))
    (type $r' (resource (rep i32) (dtor (core func $d "dtor")))) (core func $new (canon resource.new $r'))
    (core func $return (canon task.return (result (own $r'))))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32))) (import "" "return" (func $return (param i32)))
      (func (export "make") (call $return (call $new (i32.const 4)))))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new)) (export "return" (func $return))))))
    (export $r "r" (type $r'))
    (func (export "make") async (result (own $r)) (canon lift (core func $i "make") async)))
  (instance $b (instantiate $B)) (instance $a (instantiate $A (with "work" (func $b "work"))))
  (export $r "r" (type $a "r"))
  (export "make" (func $a "make") (func async (result (own $r)))) (export "steps" (func $b "steps")))"""

DROPS = """(component
  (import "r" (type $r (sub resource))) (import "make" (func $make async (result (own $r))))
  (import "steps" (func $steps async (result u32)))
  (core func $make' (canon lower (func $make))) (core func $steps' (canon lower (func $steps)))
  (core func $drop (canon resource.drop $r)) (core func $yield (canon thread.yield))
  (core module $m
    (import "" "make" (func $make (result i32))) (import "" "steps" (func $steps (result i32)))
    (import "" "drop" (func $drop (param i32))) (import "" "yield" (func $yield (result i32)))
    (func (export "run") (param $n i32) (result i32)
      (call $drop (call $make))
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $n)))
        (drop (call $yield))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $more)))
      (call $steps)))
  (core instance $i (instantiate $m (with "" (instance (export "make" (func $make')) (export "steps" (func $steps'))
    (export "drop" (func $drop)) (export "yield" (func $yield))))))
  (func (export "run") async (param "n" u32) (result u32) (canon lift (core func $i "run"))))"""


def test_a_destructor_leaves_some() -> None:
    """What a destructor began that the host ran goes on, though every exported function is a task."""
    given = ("type r", "func make", "func steps")
    for n, want in ((1, 1), (5, 2)):
        calls = (("run", n),)
        assert unfused(composed(DESTROYS, DROPS, given, ("func run",)), calls) == [want]
        assert unfused(composed(product(DESTROYS), DROPS, given, ("func run",)), calls) == [want]


THREADS = """(component
  (type $f (future u32))
  (core module $lib (memory (export "m") 1) (table (export "t") 1 funcref))
  (core instance $lib (instantiate $lib)) (alias core export $lib "m" (core memory $m))
  (core type $start (func (param i32)))
  (core func $new (canon thread.new-indirect $start (core table $lib "t")))
  (core func $later (canon thread.resume-later)) (core func $yield (canon thread.yield))
  (core func $future (canon future.new $f)) (core func $write (canon future.write $f async (memory $m)))
  (core module $d
    (import "" "m" (memory 1)) (import "" "t" (table 1 funcref))
    (import "" "new" (func $new (param i32 i32) (result i32))) (import "" "later" (func $later (param i32)))
    (import "" "yield" (func $yield (result i32))) (import "" "future" (func $future (result i64)))
    (import "" "write" (func $write (param i32 i32) (result i32)))
    (global $ends (mut i64) (i64.const 0))
    (elem (i32.const 0) func $writes)
    (func $writes (param i32)
      (drop (call $yield)) (drop (call $yield))
      (i32.store (i32.const 8) (i32.const 77))
      (drop (call $write (i32.wrap_i64 (i64.shr_u (global.get $ends) (i64.const 32))) (i32.const 8))))
    (func $thread (call $later (call $new (i32.const 0) (i32.const 0))))
    (func $begin (global.set $ends (call $future)) IN-START)
    (start $begin)
    (func (export "get") (result i32) IN-FUNCTION (i32.wrap_i64 (global.get $ends)))
    (func (export "dtor") (param i32) IN-DESTRUCTOR))
  (core instance $d (instantiate $d (with "" (instance (export "m" (memory $m)) (export "t" (table $lib "t"))
    (export "new" (func $new)) (export "later" (func $later)) (export "yield" (func $yield))
    (export "future" (func $future)) (export "write" (func $write))))))
  (type $r' (resource (rep i32) (dtor (core func $d "dtor"))))
  (core func $resource (canon resource.new $r'))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (func (export "make") (result i32) (call $new (i32.const 4))))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $resource))))))
  (export $r "r" (type $r'))
  (func (export "make") (result (own $r)) (canon lift (core func $i "make")))
  (func (export "get") (result $f) (canon lift (core func $d "get"))))"""
"""A thread writes to a future: one of an exported function, of a destructor or of a start function."""

AWAITS = """(component
  (type $f (future u32))
  (import "r" (type $r (sub resource))) (import "make" (func $make (result (own $r))))
  (import "get" (func $get (result $f)))
  (core module $lib (memory (export "m") 1)) (core instance $lib (instantiate $lib))
  (core func $make' (canon lower (func $make))) (core func $get' (canon lower (func $get)))
  (core func $drop (canon resource.drop $r)) (core func $read (canon future.read $f (memory (core memory $lib "m"))))
  (core module $m
    (import "" "m" (memory 1)) (import "" "make" (func $make (result i32))) (import "" "get" (func $get (result i32)))
    (import "" "drop" (func $drop (param i32))) (import "" "read" (func $read (param i32 i32) (result i32)))
    (func (export "run") (result i32)
      (local $r i32) (local $future i32)
      (local.set $r (call $make))
      (local.set $future (call $get))
      (call $drop (local.get $r))
      (if (call $read (local.get $future) (i32.const 16)) (then unreachable))
      (i32.load (i32.const 16))))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $lib "m")) (export "make" (func $make'))
    (export "get" (func $get')) (export "drop" (func $drop)) (export "read" (func $read))))))
  (func (export "run") async (result u32) (canon lift (core func $i "run"))))"""


@pytest.mark.parametrize("where", ["FUNCTION", "DESTRUCTOR", "START"])
def test_threads_go_on(where: str, tmp_path: Path) -> None:
    """Threads that are left go on while the host waits for what one of them does."""
    program = re.sub(r"IN-[A-Z]+", lambda m: "(call $thread)" if m[0] == f"IN-{where}" else "", THREADS)
    given = ("type r", "func make", "func get")
    assert unfused(composed(product(program), AWAITS, given, ("func run",)), (("run",),)) == [77]
    if os.access(CLI, os.X_OK):
        (tmp_path / "a.wasm").write_bytes(composed(program, AWAITS, given, ("func run",)))
        assert invoked(tmp_path / "a.wasm", ["run()"]) == ["77"]
