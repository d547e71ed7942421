"""Exported functions that the host calls again while they wait, however they are lifted, beside the engine."""

from __future__ import annotations

import pytest
import wasmtime
from both import unfused
from hosted import product
from open_guests import ENDED

BUILTINS = """
  (type $f (future))
  (core func $new (canon future.new $f))
  (core func $read (canon future.read $f async)) (core func $read-sync (canon future.read $f))
  (core func $write (canon future.write $f async))
  (core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))
  (core func $inc (canon backpressure.inc)) (core func $dec (canon backpressure.dec))
  (core func $return (canon task.return (result u32)))
  (core instance $canon
    (export "new" (func $new)) (export "read" (func $read)) (export "read-sync" (func $read-sync))
    (export "write" (func $write)) (export "set-new" (func $set-new)) (export "join" (func $join))
    (export "inc" (func $inc)) (export "dec" (func $dec)) (export "return" (func $return)))"""
IMPORTS = """
    (import "c" "new" (func $new (result i64)))
    (import "c" "read" (func $read (param i32 i32) (result i32)))
    (import "c" "read-sync" (func $read-sync (param i32 i32) (result i32)))
    (import "c" "write" (func $write (param i32 i32) (result i32)))
    (import "c" "set-new" (func $set-new (result i32))) (import "c" "join" (func $join (param i32 i32)))
    (import "c" "inc" (func $inc)) (import "c" "dec" (func $dec))
    (import "c" "return" (func $return (param i32)))
    (global $count (mut i32) (i32.const 0)) (global $writable (mut i32) (i32.const 0))
    (func $made (result i32) (local $ends i64)
      (local.set $ends (call $new))
      (global.set $writable (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (i32.wrap_i64 (local.get $ends)))"""

ONE = f"""(component {BUILTINS}
  (core module $m {IMPORTS}
    ;; with 0 waits until it is called with another number, which both return
    (func $woken (param $n i32) (result i32)
      (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
      (global.set $count (local.get $n))
      (drop (call $write (global.get $writable) (i32.const 0)))
      (call $return (local.get $n))
      (i32.const 1))
    (func (export "calls-back") (param $n i32) (result i32) (local $set i32) (local $readable i32)
      (if (call $woken (local.get $n)) (then (return (i32.const 0))))
      (local.set $set (call $set-new))
      (local.set $readable (call $made))
      (drop (call $read (local.get $readable) (i32.const 0)))
      (call $join (local.get $readable) (local.get $set))
      (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
    (func (export "back") (param i32 i32 i32) (result i32) (call $return (global.get $count)) (i32.const 0))
    (func (export "blocks") (param $n i32)
      (if (call $woken (local.get $n)) (then (return)))
      (drop (call $read-sync (call $made) (i32.const 0)))
      (call $return (global.get $count)))
    ;; with 0 the next calls do not start until there was one of `dec`
    (func (export "holds") (param $n i32)
      (if (i32.eqz (local.get $n)) (then (call $inc)))
      (call $return (local.get $n)))
    (func (export "dec") (call $dec)))
  (core instance $i (instantiate $m (with "c" (instance $canon))))
  """

LIFTED = {
    "calls-back": '(canon lift (core func $i "calls-back") async (callback (core func $i "back")))',
    "blocks": '(canon lift (core func $i "blocks") async)',
    "holds": '(canon lift (core func $i "holds") async)',
}

DRIVER = (
    """(component $D
  (import "f" (func $f async (param "n" u32) (result u32)))
  (import "g" (func $g async (param "n" u32) (result u32)))
  (import "then" (func $then))
  (core module $libc (memory (export "m") 1))
  (core instance $libc (instantiate $libc))
  (core func $f' (canon lower (func $f) async (memory (core memory $libc "m"))))
  (core func $g' (canon lower (func $g) async (memory (core memory $libc "m"))))
  (core func $then' (canon lower (func $then)))
  (core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait (memory (core memory $libc "m"))))
  (core func $drop (canon subtask.drop))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "m" (memory 1))
    (import "" "f" (func $f (param i32 i32) (result i32))) (import "" "g" (func $g (param i32 i32) (result i32)))
    (import "" "then" (func $then))
    (import "" "set-new" (func $set-new (result i32))) (import "" "join" (func $join (param i32 i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32))) (import "" "drop" (func $drop (param i32)))
    (import "" "return" (func $return (param i32)))
"""
    + ENDED
    + """    ;; 0: nobody waits for the first call. 1: a second one follows. 2: the first one never ends.
    (func (export "run") (param $mode i32) (local $first i32) (local $second i32)
      (local.set $first (call $f (i32.const 0) (i32.const 64)))
      (if (i32.eqz (local.get $mode))
        (then (call $return (i32.and (local.get $first) (i32.const 15))) (return)))
      (if (i32.eq (local.get $mode) (i32.const 1))
        (then (local.set $second (call $g (i32.const 7) (i32.const 68)))))
      (call $then)
      (call $ended (local.get $first))
      (call $ended (local.get $second))
      (call $return (i32.add (i32.mul (i32.load (i32.const 64)) (i32.const 10)) (i32.load (i32.const 68))))))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m"))
    (export "f" (func $f')) (export "g" (func $g')) (export "then" (func $then')) (export "set-new" (func $set-new))
    (export "join" (func $join)) (export "wait" (func $wait)) (export "drop" (func $drop))
    (export "return" (func $return))))))
  (func (export "run") async (param "mode" u32) (result u32) (canon lift (core func $i "run") async)))"""
)

NOTHING = """(core module $nothing (func (export "f"))) (core instance $nothing (instantiate $nothing))
  (func $then (canon lift (core func $nothing "f")))"""


def driven(program: str, f: str, g: str, then: str | None = None) -> bytes:
    """A component whose `run` is the driver's: it calls `f` of the program, `g`, and what is to come then."""
    inner = program[program.index("(component") + len("(component") :]
    given = f'(with "f" (func $program "{f}")) (with "g" (func $program "{g}"))'
    given += f' (with "then" (func $program "{then}"))' if then else ' (with "then" (func $then))'
    return bytes(
        wasmtime.wat2wasm(
            f"(component (component $P {inner}\n{DRIVER}\n{NOTHING}\n"
            f"(instance $program (instantiate $P)) (instance $driver (instantiate $D {given}))"
            '(export "run" (func $driver "run")))'
        )
    )


def answers(program: str, f: str, g: str, mode: int, then: str | None = None) -> object:
    """What the driver returns, unfused and fused."""
    calls = (("run", mode),)
    (want,) = unfused(driven(program, f, g, then), calls)
    made = product(program).replace("(component $program", "(component", 1)
    assert unfused(driven(made, f, g, then), calls) == [want]
    return want


@pytest.mark.parametrize("form", ["calls-back", "blocks"])
@pytest.mark.parametrize(("mode", "want"), [(0, 1), (1, 77), (2, "deadlock")])
def test_one_that_waits(form: str, mode: int, want: object) -> None:
    program = f'{ONE} (func (export "f") async (param "n" u32) (result u32) {LIFTED[form]}))'
    got = answers(program, "f", "f", mode)
    assert got == want or str(want) in str(got)


def test_one_that_holds_calls_back() -> None:
    """The second call does not start, until another export says so."""
    program = f"""{ONE} (func (export "f") async (param "n" u32) (result u32) {LIFTED["holds"]})
      (func (export "dec") (canon lift (core func $i "dec"))))"""
    assert answers(program, "f", "f", 1, "dec") == 7


TWO = f"""(component
  (component $B {BUILTINS}
    (core func $give (canon task.return (result $f)))
    (core module $m (import "c2" "give" (func $give (param i32))) {IMPORTS}
      (func (export "made") (call $give (call $made)))
      (func (export "wakes") (param $n i32) (result i32)
        (drop (call $write (global.get $writable) (i32.const 0)))
        (local.get $n)))
    (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance (export "give" (func $give))))))
    (func (export "made") async (result $f) (canon lift (core func $i "made") async))
    (func (export "g") async (param "n" u32) (result u32) (canon lift (core func $i "wakes"))))
  (component $A {BUILTINS}
    (import "made" (func $made async (result (future))))
    (core func $made' (canon lower (func $made)))
    (core module $m
      (import "c" "read-sync" (func $read-sync (param i32 i32) (result i32)))
      (import "" "made" (func $made (result i32)))
      (func (export "blocks") (param $n i32) (result i32)
        (drop (call $read-sync (call $made) (i32.const 0)))
        (i32.const 7)))
    (core instance $i (instantiate $m
      (with "c" (instance $canon)) (with "" (instance (export "made" (func $made'))))))
    (func (export "f") async (param "n" u32) (result u32) (canon lift (core func $i "blocks"))))
  (instance $b (instantiate $B)) (instance $a (instantiate $A (with "made" (func $b "made"))))
  (export "f" (func $a "f")) (export "g" (func $b "g")))"""


@pytest.mark.parametrize(("mode", "want"), [(0, 1), (1, 77), (2, "deadlock")])
def test_lifted_synchronously(mode: int, want: object) -> None:
    """One instance blocks in such a function, and another one can be entered meanwhile."""
    got = answers(TWO, "f", "g", mode)
    assert got == want or str(want) in str(got)


RESULTS = {
    "": "",
    "u8": "(i32.const 0xff)",
    "f64": "(f64.const 0.5)",
    "string": '"\\20\\00\\00\\00\\03\\00\\00\\00"',
    "(tuple s8 bool u64)": '"\\fe\\01\\00\\00\\00\\00\\00\\00\\08\\00\\00\\00\\00\\00\\00\\01"',
    "(result (tuple u8 f32) (error string))": '"\\00\\00\\00\\00\\05\\00\\00\\00\\00\\00\\80\\3f\\00\\00\\00\\00"',
    "(result u64 (error f32))": '"\\01\\00\\00\\00\\00\\00\\00\\00\\00\\00\\80\\3f"',
    f"(tuple {'u16 ' * 17})": f'"{"".join(f"{chr(92)}{i:02x}{chr(92)}00" for i in range(17))}"',
    "(list u16)": '"\\20\\00\\00\\00\\02\\00\\00\\00"',
    "(list char)": '"\\20\\00\\00\\00\\02\\00\\00\\00"',
}
"""Types of results, and what the core function returns, or has at the address that it returns."""


@pytest.mark.parametrize("result", RESULTS)
def test_results_of_what_is_lifted_synchronously(result: str) -> None:
    """They go to the host's `task.return`, with what they point to, before `post-return` runs."""
    value = RESULTS[result]
    spilled = value.startswith('"')
    core = "i32" if spilled else value[1:4]
    body, data = ("(i32.const 64)", f"(data (i32.const 64) {value})") if spilled else (value, "")
    shape = f"(result {core})" if value else ""
    program = f"""(component
      (core func $yield (canon thread.yield))
      (core module $m
        (import "" "yield" (func $yield (result i32)))
        (memory (export "m") 1) {data} (data (i32.const 32) "a\\00\\00\\00b")
        (global $after (mut i32) (i32.const 0))
        (func (export "f") {shape} (drop (call $yield)) {body})
        (func (export "post") {f"(param {core})" if value else ""}
          (memory.fill (i32.const 0) (i32.const 255) (i32.const 128)) (global.set $after (i32.const 9)))
        (func (export "after") (result i32) (global.get $after)))
      (core instance $i (instantiate $m (with "" (instance (export "yield" (func $yield))))))
      (func (export "f") async {f"(result {result})" if result else ""} (canon lift (core func $i "f")
        (memory (core memory $i "m")) (post-return (core func $i "post"))))
      (func (export "after") (result u32) (canon lift (core func $i "after"))))"""
    calls = (("f",), ("after",))
    want = unfused(bytes(wasmtime.wat2wasm(program)), calls)
    assert want[1] == 9
    assert unfused(bytes(wasmtime.wat2wasm(product(program))), calls) == want
