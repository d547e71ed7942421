"""Handles in arguments of calls of the host that do not start at once: the caller's until then, beside the engine."""

from __future__ import annotations

import pytest
from both import fused, unfused
from hosted import TARGETS, both, composed, product
from open_guests import LIBC, MEMORY, by_mode

HOST = f"""(component {LIBC}
  (type $r (resource (rep i32)))
  (type $s (stream u8))
  (core func $new (canon resource.new $r)) (core func $drop (canon resource.drop $r))
  (core func $inc (canon backpressure.inc)) (core func $dec (canon backpressure.dec))
  (core func $read (canon stream.read $s {MEMORY}))
  (core func $done (canon stream.drop-readable $s))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32))) (import "" "drop" (func $drop (param i32)))
    (import "" "inc" (func $inc)) (import "" "dec" (func $dec))
    (import "" "read" (func $read (param i32 i32 i32) (result i32))) (import "" "done" (func $done (param i32)))
    (import "" "return" (func $return (param i32)))
    (func (export "make") (result i32) (call $new (i32.const 5)))
    (func (export "hold") (call $inc))
    (func (export "release") (call $dec))
    (func (export "give") (param $thing i32) (param $data i32)
      (call $drop (local.get $thing))
      (call $return (call $read (local.get $data) (i32.const 64) (i32.const 8)))
      (call $done (local.get $data))))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $new)) (export "drop" (func $drop))
    (export "inc" (func $inc)) (export "dec" (func $dec)) (export "read" (func $read)) (export "done" (func $done))
    (export "return" (func $return))))))
  (export $R "r" (type $r))
  (func (export "make") (result (own $R)) (canon lift (core func $i "make")))
  (func (export "hold") (canon lift (core func $i "hold")))
  (func (export "release") (canon lift (core func $i "release")))
  (func (export "give") async (param "thing" (own $R)) (param "data" $s) (result u32)
    (canon lift (core func $i "give") async)))"""

MODES = {
    "starts at once": "",
    "cancelled before": """
      (call $log (call $cancel (global.get $task)))
      (call $drop (local.get $thing))
      (call $log (call $read (local.get $data) (i32.const 96) (i32.const 8)))""",
    "taken when it starts": """
      (call $release)
      (call $wait-for)""",
    "gone when it starts": """
      (call $release)
      (call $wait-for)
      (call $drop (local.get $thing))""",
    "used before": """
      (call $log (call $read (local.get $data) (i32.const 96) (i32.const 1)))
      (call $release)
      (call $wait-for)""",
    "dropped before": """
      (call $drop (local.get $thing))
      (call $release)
      (call $wait-for)""",
    "joined before": """
      (call $join (local.get $data) (call $set-new))
      (call $release)
      (call $wait-for)""",
}

BODY = by_mode(MODES.values())
PROGRAM = f"""(component
  (import "r" (type $R (sub resource)))
  (import "make" (func $make (result (own $R))))
  (import "hold" (func $hold))
  (import "release" (func $release))
  (import "give" (func $give async (param "thing" (own $R)) (param "data" (stream u8)) (result u32)))
  {LIBC}
  (type $s (stream u8))
  (core func $make' (canon lower (func $make))) (core func $drop' (canon resource.drop $R))
  (core func $hold' (canon lower (func $hold))) (core func $release' (canon lower (func $release)))
  (core func $give' (canon lower (func $give) async {MEMORY}))
  (core func $new (canon stream.new $s))
  (core func $read (canon stream.read $s async {MEMORY})) (core func $write (canon stream.write $s async {MEMORY}))
  (core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait {MEMORY}))
  (core func $end (canon subtask.drop)) (core func $cancel (canon subtask.cancel))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "m" (memory 1))
    (import "" "make" (func $make (result i32))) (import "" "drop" (func $drop (param i32)))
    (import "" "hold" (func $hold)) (import "" "release" (func $release))
    (import "" "give" (func $give (param i32 i32 i32) (result i32)))
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "set-new" (func $set-new (result i32))) (import "" "join" (func $join (param i32 i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "end" (func $end (param i32))) (import "" "cancel" (func $cancel (param i32) (result i32)))
    (import "" "return" (func $return (param i32)))
    (global $task (mut i32) (i32.const 0)) (global $sum (mut i32) (i32.const 0))
    (global $set (mut i32) (i32.const 0))
    (func $log (param $n i32)
      (global.set $sum (i32.add (i32.mul (global.get $sum) (i32.const 31)) (i32.add (local.get $n) (i32.const 1)))))
    (func $wait-for
      (call $join (global.get $task) (global.get $set))
      (loop $more
        (drop (call $wait (global.get $set) (i32.const 2048)))
        (call $log (i32.load (i32.const 2052)))
        (br_if $more (i32.lt_u (i32.load (i32.const 2052)) (i32.const 2))))
      (call $log (i32.load (i32.const 32))))
    ;; which indices are free
    (func $count (result i32) (call $log (i32.wrap_i64 (call $new))) (call $set-new))
    (func $run (param $held i32) (param $mode i32)
      (local $thing i32) (local $data i32) (local $to i32) (local $ends i64)
      (if (local.get $held) (then (call $hold)))
      (local.set $thing (call $make))
      (local.set $ends (call $new))
      (local.set $data (i32.wrap_i64 (local.get $ends)))
      (local.set $to (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (call $log (call $write (local.get $to) (i32.const 128) (i32.const 3)))
      (global.set $task (call $give (local.get $thing) (local.get $data) (i32.const 32)))
      (call $log (global.get $task))
      (global.set $task (i32.shr_u (global.get $task) (i32.const 4)))
      (global.set $set (call $set-new))
      (call $log (global.get $set))
      {BODY}
      (call $log (call $count)))
    (func (export "run") (param i32 i32) (call $run (local.get 0) (local.get 1)) (call $return (global.get $sum))))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m")) (export "make" (func $make'))
    (export "drop" (func $drop')) (export "hold" (func $hold')) (export "release" (func $release'))
    (export "give" (func $give')) (export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))
    (export "set-new" (func $set-new)) (export "join" (func $join)) (export "wait" (func $wait))
    (export "end" (func $end)) (export "cancel" (func $cancel)) (export "return" (func $return))))))
  (func (export "run") async (param "held" bool) (param "mode" u32) (result u32)
    (canon lift (core func $i "run") async)))"""
IMPORTS = ("type r", "func make", "func hold", "func release", "func give")
TRAPS = {
    "gone when it starts": "unknown handle index",
    "dropped before": "unknown handle index",
    "joined before": "in a waitable set",
}


@pytest.mark.parametrize("mode", MODES)
def test_arguments(mode: str) -> None:
    held, number = mode != "starts at once", list(MODES).index(mode)
    (answer,) = both(HOST, PROGRAM, IMPORTS, ("run", held, number), targets=TARGETS)
    assert isinstance(answer, int) if mode not in TRAPS else TRAPS[mode] in answer


@pytest.mark.parametrize("target", TARGETS)
def test_arguments_of_exports(target: str) -> None:
    """The same of the functions that a fused component exports: its backpressure is that of the instance inside."""
    calls = [("run", mode != "starts at once", number) for number, mode in enumerate(MODES)]
    made = product(HOST, target)
    for call in calls:
        want = unfused(composed(HOST, PROGRAM, IMPORTS, ("func run",)), (call,))
        assert unfused(composed(made, PROGRAM, IMPORTS, ("func run",)), (call,)) == want, call


@pytest.mark.parametrize("mode", MODES)
def test_arguments_inside(mode: str) -> None:
    """The same where the callee is fused, too."""
    calls = (("run", mode != "starts at once", list(MODES).index(mode)),)
    wasm = composed(HOST, PROGRAM, IMPORTS, ("func run",))
    assert fused(wasm, calls) == unfused(wasm, calls)


def _texts(written: int) -> tuple[str, str]:
    """A host, and a program: its source has written strings, or not, when a call with the stream is cancelled."""
    host = f"""(component {LIBC}
      (type $s (stream string))
      (core func $inc (canon backpressure.inc))
      (core func $return (canon task.return))
      (core module $m (import "" "inc" (func $inc)) (import "" "return" (func $return))
        (func (export "hold") (call $inc)) (func (export "give") (param i32) (call $return)))
      (core instance $i (instantiate $m
        (with "" (instance (export "inc" (func $inc)) (export "return" (func $return))))))
      (func (export "hold") (canon lift (core func $i "hold")))
      (func (export "give") async (param "data" $s) (canon lift (core func $i "give") async)))"""
    options = f'{MEMORY} (realloc (core func $libc "realloc"))'
    source = f"""(component $Source {LIBC}
      (type $s (stream string))
      (core func $new (canon stream.new $s)) (core func $write (canon stream.write $s async {options}))
      (core func $drop (canon stream.drop-writable $s))
      (core func $return (canon task.return (result $s)))
      (core module $m
        (import "" "m" (memory 1)) (import "" "new" (func $new (result i64)))
        (import "" "write" (func $write (param i32 i32 i32) (result i32))) (import "" "drop" (func $drop (param i32)))
        (import "" "return" (func $return (param i32)))
        (data (i32.const 64) "\\80\\00\\00\\00\\02\\00\\00\\00\\81\\00\\00\\00\\02\\00\\00\\00")
        (data (i32.const 128) "abc")
        (global $to (mut i32) (i32.const 0))
        (func (export "source") (local $ends i64)
          (local.set $ends (call $new))
          (global.set $to (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
          (call $return (i32.wrap_i64 (local.get $ends))))
        (func (export "write") (result i32) (call $write (global.get $to) (i32.const 64) (i32.const 2)))
        (func (export "drop") (call $drop (global.get $to))))
      (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m")) (export "new" (func $new))
        (export "write" (func $write)) (export "drop" (func $drop)) (export "return" (func $return))))))
      (func (export "source") async (result $s) (canon lift (core func $i "source") async))
      (func (export "write") (result u32) (canon lift (core func $i "write")))
      (func (export "drop") (canon lift (core func $i "drop"))))"""
    steps = {0: ("", "", ""), 1: ("(call $write)", "", ""), 2: ("", "(call $write)", ""), 3: ("", "", "(call $write)")}
    before, meanwhile, after = (f"(call $log {step})" if step else "" for step in steps.get(written, ("", "", "")))
    dropped = "(call $drop)" if written == 4 else ""
    program = f"""(component
      (import "hold" (func $hold)) (import "give" (func $give async (param "data" (stream string))))
      {source}
      (component $App
        (import "hold" (func $hold)) (import "give" (func $give async (param "data" (stream string))))
        (import "source" (func $source async (result (stream string)))) (import "write" (func $write (result u32)))
        (import "drop" (func $drop))
        {LIBC}
        (type $s (stream string))
        (core func $hold' (canon lower (func $hold))) (core func $give' (canon lower (func $give) async))
        (core func $source' (canon lower (func $source))) (core func $write' (canon lower (func $write)))
        (core func $drop' (canon lower (func $drop)))
        (core func $read (canon stream.read $s async {options})) (core func $cancel (canon subtask.cancel))
        (core func $return (canon task.return (result u32)))
        (core module $m
          (import "" "m" (memory 1)) (import "" "hold" (func $hold))
          (import "" "give" (func $give (param i32) (result i32)))
          (import "" "source" (func $source (result i32))) (import "" "write" (func $write (result i32)))
          (import "" "drop" (func $drop)) (import "" "read" (func $read (param i32 i32 i32) (result i32)))
          (import "" "cancel" (func $cancel (param i32) (result i32))) (import "" "return" (func $return (param i32)))
          (global $sum (mut i32) (i32.const 0))
          (func $log (param $n i32)
            (global.set $sum
              (i32.add (i32.mul (global.get $sum) (i32.const 31)) (i32.add (local.get $n) (i32.const 1)))))
          (func (export "run") (local $data i32) (local $task i32)
            (call $hold)
            (local.set $data (call $source))
            {before}
            (local.set $task (call $give (local.get $data)))
            {meanwhile}
            {dropped}
            (call $log (call $cancel (i32.shr_u (local.get $task) (i32.const 4))))
            (call $log (call $read (local.get $data) (i32.const 96) (i32.const 1)))
            {after}
            (call $log (i32.load (i32.const 100)))
            (if (i32.load (i32.const 100)) (then (call $log (i32.load8_u (i32.load (i32.const 96))))))
            (call $return (global.get $sum))))
        (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m"))
          (export "hold" (func $hold')) (export "give" (func $give')) (export "source" (func $source'))
          (export "write" (func $write')) (export "drop" (func $drop')) (export "read" (func $read))
          (export "cancel" (func $cancel)) (export "return" (func $return))))))
        (func (export "run") async (result u32) (canon lift (core func $i "run") async)))
      (instance $source (instantiate $Source))
      (instance $app (instantiate $App (with "hold" (func $hold)) (with "give" (func $give))
        (with "source" (func $source "source")) (with "write" (func $source "write"))
        (with "drop" (func $source "drop"))))
      (export "run" (func $app "run")))"""
    return host, program


@pytest.mark.parametrize("written", ["never", "before", "meanwhile", "after", "dropped"])
def test_a_stream_that_comes_back(written: str) -> None:
    """Reader and writer are two instances of the program; engines let no single one have both ends of strings."""
    host, program = _texts(["never", "before", "meanwhile", "after", "dropped"].index(written))
    assert isinstance(both(host, program, ("func hold", "func give"), ("run",))[0], int)
