"""Exported functions that the host calls at once, and that wait for one another, beside the engine."""

from __future__ import annotations

import pytest
import wasmtime
from both import unfused
from hosted import product
from open_guests import ENDED

PROGRAM = """(component
  (type $f (future))
  (core func $new (canon future.new $f))
  (core func $read (canon future.read $f async))
  (core func $read-sync (canon future.read $f))
  (core func $write (canon future.write $f async))
  (core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32) (result i32)))
    (import "" "read-sync" (func $read-sync (param i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32) (result i32)))
    (import "" "set-new" (func $set-new (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "return" (func $return (param i32)))
    (global $writable (mut i32) (i32.const 0))
    (global $count (mut i32) (i32.const 0))
    (func $made (result i32) (local $ends i64)
      (local.set $ends (call $new))
      (global.set $writable (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (i32.wrap_i64 (local.get $ends)))
    ;; waits until `wake` is called
    (func (export "calls-back") (result i32) (local $set i32) (local $readable i32)
      (local.set $set (call $set-new))
      (local.set $readable (call $made))
      (if (i32.ne (call $read (local.get $readable) (i32.const 0)) (i32.const -1)) (then unreachable))
      (call $join (local.get $readable) (local.get $set))
      (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
    (func (export "back") (param i32 i32 i32) (result i32)
      (if (i32.ne (local.get 0) (i32.const 4)) (then unreachable))
      (call $return (global.get $count))
      (i32.const 0))
    (func (export "blocks")
      (drop (call $read-sync (call $made) (i32.const 0)))
      (call $return (global.get $count)))
    (func (export "wake") (param $n i32)
      (global.set $count (local.get $n))
      (drop (call $write (global.get $writable) (i32.const 0))))
    (func (export "wake-later") (param $n i32) (result i32)
      (call $return (i32.const 5)) (global.set $count (local.get $n)) (i32.const 1))
    (func (export "later") (param i32 i32 i32) (result i32)
      (drop (call $write (global.get $writable) (i32.const 0))) (i32.const 0)))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $new)) (export "read" (func $read))
    (export "read-sync" (func $read-sync)) (export "write" (func $write)) (export "set-new" (func $set-new))
    (export "join" (func $join)) (export "return" (func $return))))))
  (func (export "calls-back") async (result u32)
    (canon lift (core func $i "calls-back") async (callback (core func $i "back"))))
  (func (export "blocks") async (result u32) (canon lift (core func $i "blocks") async))
  (func (export "wake") (param "n" u32) (canon lift (core func $i "wake")))
  (func (export "wake-async") async (param "n" u32) (result u32)
    (canon lift (core func $i "wake-later") async (callback (core func $i "later")))))
"""

DRIVER = (
    """(component
  (import "calls-back" (func $calls-back async (result u32)))
  (import "blocks" (func $blocks async (result u32)))
  (import "wake" (func $wake (param "n" u32)))
  (import "wake-async" (func $wake-async async (param "n" u32) (result u32)))
  (core module $libc (memory (export "m") 1))
  (core instance $libc (instantiate $libc))
  (core func $calls-back' (canon lower (func $calls-back) async (memory (core memory $libc "m"))))
  (core func $blocks' (canon lower (func $blocks) async (memory (core memory $libc "m"))))
  (core func $wake' (canon lower (func $wake)))
  (core func $wake-async' (canon lower (func $wake-async) async (memory (core memory $libc "m"))))
  (core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait (memory (core memory $libc "m"))))
  (core func $drop (canon subtask.drop))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "m" (memory 1))
    (import "" "calls-back" (func $calls-back (param i32) (result i32)))
    (import "" "blocks" (func $blocks (param i32) (result i32)))
    (import "" "wake" (func $wake (param i32)))
    (import "" "wake-async" (func $wake-async (param i32 i32) (result i32)))
    (import "" "set-new" (func $set-new (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "return" (func $return (param i32)))
"""
    + ENDED
    + """    (func (export "run") (param $blocks i32) (param $later i32) (local $first i32) (local $second i32)
      (local.set $first
        (if (result i32) (local.get $blocks)
          (then (call $blocks (i32.const 64))) (else (call $calls-back (i32.const 64)))))
      (if (local.get $later)
        (then (local.set $second (call $wake-async (i32.const 7) (i32.const 68))))
        (else (call $wake (i32.const 8))))
      (call $ended (local.get $first))
      (call $ended (local.get $second))
      (call $return (i32.add (i32.mul (i32.load (i32.const 64)) (i32.const 10)) (i32.load (i32.const 68))))))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m"))
    (export "calls-back" (func $calls-back')) (export "blocks" (func $blocks')) (export "wake" (func $wake'))
    (export "wake-async" (func $wake-async')) (export "set-new" (func $set-new)) (export "join" (func $join))
    (export "wait" (func $wait)) (export "drop" (func $drop)) (export "return" (func $return))))))
  (func (export "run") async (param "blocks" bool) (param "later" bool) (result u32)
    (canon lift (core func $i "run") async)))
"""
)


def driven(program: str) -> bytes:
    """A component whose `run` is the driver's."""
    names = ("calls-back", "blocks", "wake", "wake-async")
    given = " ".join(f'(with "{name}" (func $program "{name}"))' for name in names)
    inner = program[program.index("(component") + len("(component") :]
    return bytes(
        wasmtime.wat2wasm(
            f"(component (component $P {inner}\n(component $D {DRIVER[len('(component') :]}\n"
            f"(instance $program (instantiate $P)) (instance $driver (instantiate $D {given}))"
            '(export "run" (func $driver "run")))'
        )
    )


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("blocks", [False, True])
def test_one_wakes_another(blocks: bool, later: bool) -> None:
    calls = (("run", blocks, later), ("run", blocks, later))
    want = unfused(driven(PROGRAM), calls)
    assert want == [75, 75] if later else [80, 80]
    assert unfused(driven(product(PROGRAM).replace("(component $program", "(component", 1)), calls) == want


def test_constructors_beside_tasks() -> None:
    """Names of functions that are exported with resources are no identifiers as they stand."""
    inner = PROGRAM.rstrip()[len("(component") : -1]
    program = f"""(component {inner}
      (type $t (resource (rep i32)))
      (core func $new-t (canon resource.new $t))
      (export $thing "thing" (type $t))
      (func (export "[constructor]thing") (result (own $thing)) (canon lift (core func $made)))"""
    core = """(core module $k (import "" "new" (func $new (param i32) (result i32)))
        (func (export "made") (result i32) (call $new (i32.const 3))))
      (core instance $j (instantiate $k (with "" (instance (export "new" (func $new-t))))))
      (alias core export $j "made" (core func $made))"""
    assert "[constructor]thing" in product(program.replace("(export $thing", core + "\n      (export $thing") + ")")
