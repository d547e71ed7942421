"""Threads that guests make: beside the engine's command line, which alone has them."""

from __future__ import annotations

import os
import random
from functools import cache
from pathlib import Path

import pytest
import wasmtime
from both import Fused, shared_engine
from engine_cli import invoked, needs_cli, needs_stack_switching, on_stacks
from random_threads import generate

import meld
from meld.diagnostics import MeldError
from meld.files import encode
from meld.text.reading.program import parse
from meld.verify.program import verify

CASES = int(os.environ.get("MELD_CASES", "4"))
NOT_SUSPENDED = "trap: cannot resume thread which is not suspended"
BLOCK = "trap: cannot block a synchronous task before returning"
DEADLOCK = "trap: deadlock detected: event loop cannot make further progress"

MAKE_A = "(local.set $a (call $new (i32.const {a}) (call $index)))"
MAKE_B = "(local.set $b (call $new (i32.const {b}) (call $index)))"
A, B, ME = "(local.get $a)", "(local.get $b)", "(call $index)"
WRITE = "(drop (call $write (i32.wrap_i64 (i64.shr_u (global.get $future) (i64.const 32))) (i32.const 0)))"
READ = "(drop (call $read (i32.wrap_i64 (global.get $future)) (i32.const 0)))"
CHANNEL = "(global.set $future (call $channel))"


def _log(n: int) -> str:
    return f"(global.set $log (i32.add (i32.mul (global.get $log) (i32.const 10)) (i32.const {n})))"


def _do(verb: str, thread: str = "") -> str:
    return f"(call ${verb} {thread})" if verb == "later" else f"(drop (call ${verb} {thread}))"


def _check(context: int) -> str:
    return f"(if (i32.ne (call $get) (i32.const {context})) (then (unreachable)))"


LOG_INDEX = "(global.set $log (i32.add (i32.mul (global.get $log) (i32.const 10)) (call $index)))"
RUN_A = _do("yield-then-resume", A)
WAKE = _do("later", "(local.get 0)")
SCENARIOS: dict[str, tuple[str, str, str, int | str, int | str]] = {
    # the code of threads a and b, of the function; what it answers, and the same function of synchronous type
    "suspended until resumed": (
        _log(1) + WAKE,
        "",
        MAKE_A + _do("later", A) + _do("suspend") + _log(2),
        12,
        12,
    ),
    "switches at once": (_log(1) + WAKE, "", MAKE_A + _do("suspend-then-resume", A) + _log(2), 12, 12),
    "in the order in which they were resumed": (
        _log(1),
        _log(4),
        MAKE_A + MAKE_B + _do("later", B) + _do("later", A) + _log(3) + _do("yield") + _do("yield") + _log(2),
        3412,
        3412,
    ),
    "a yield lets one that was suspended run": (
        _log(1) + _do("suspend") + _log(3),
        "",
        MAKE_A + _do("yield-then-resume", A) + _log(4) + _do("later", A) + _do("yield") + _log(2),
        1432,
        1432,
    ),
    "only what yields is promoted": (
        _log(1) + WAKE,
        _log(4),
        MAKE_A + MAKE_B + _do("later", B) + _do("later", A) + _do("suspend-then-promote", A) + _log(2),
        412,
        412,
    ),
    "what yields is promoted": (
        _log(1) + _do("yield") + _log(3) + WAKE,
        _log(4),
        MAKE_A
        + MAKE_B
        + _do("yield-then-resume", A)
        + _do("later", B)
        + _do("suspend-then-promote", A)
        + _log(2)
        + _do("yield"),
        1342,
        1342,
    ),
    "a thread that is not ready is not promoted": (
        _log(1) + _do("suspend") + _log(3),
        "",
        MAKE_A
        + _do("yield-then-resume", A)
        + _log(4)
        + _do("yield-then-promote", A)
        + _log(2)
        + _do("later", A)
        + _do("yield"),
        1423,
        1423,
    ),
    "a synchronous read waits for another thread": (
        WRITE + _log(3),
        "",
        CHANNEL + MAKE_A + _do("later", A) + READ + _log(2),
        32,
        32,
    ),
    "a read of another thread": (
        READ + _log(3),
        "",
        CHANNEL + MAKE_A + _do("yield-then-resume", A) + _log(2) + WRITE + _log(5) + _do("yield"),
        253,
        253,
    ),
    "a switch comes before what is ready": (
        READ + _log(3),
        _log(4),
        CHANNEL
        + MAKE_A
        + MAKE_B
        + _do("yield-then-resume", A)
        + WRITE
        + _do("yield-then-resume", B)
        + _log(5)
        + _do("yield"),
        435,
        435,
    ),
    "resumed twice": (_log(1), "", MAKE_A + _do("later", A) + _do("later", A), NOT_SUSPENDED, NOT_SUSPENDED),
    "resumes itself": ("", "", _do("yield-then-resume", ME), NOT_SUSPENDED, NOT_SUSPENDED),
    "promotes itself": ("", "", _do("suspend-then-promote", ME), NOT_SUSPENDED, NOT_SUSPENDED),
    "an unknown thread": (
        "",
        "",
        _do("yield-then-promote", "(i32.const 7)"),
        "trap: unknown handle index 7",
        "trap: unknown handle index 7",
    ),
    "a thread that has ended": (
        "",
        "",
        MAKE_A + _do("yield-then-resume", A) + _do("later", A),
        "trap: unknown handle index 2",
        "trap: unknown handle index 2",
    ),
    "nothing resumes": ("", "", _do("suspend"), DEADLOCK, BLOCK),
    "who could resume has ended": (_log(1), "", MAKE_A + _do("suspend-then-resume", A), DEADLOCK, BLOCK),
    "no function": (
        "",
        "",
        "(drop (call $new (i32.const 0) (i32.const 0)))",
        "trap: the start function index points to an uninitialized function",
        "trap: the start function index points to an uninitialized function",
    ),
    "another function": (
        "",
        "",
        "(drop (call $new (i32.const 1) (i32.const 0)))",
        "trap: start function does not match expected type (currently only `(i32) -> ()` is supported)",
        "trap: start function does not match expected type (currently only `(i32) -> ()` is supported)",
    ),
    "indices are given again": (
        LOG_INDEX,
        LOG_INDEX,
        MAKE_A + MAKE_B + "".join((RUN_A, MAKE_A, RUN_A, _do("yield-then-resume", B))),
        223,
        223,
    ),
    "each has its own context": (
        "(call $set (i32.const 5))" + _do("yield") + _check(5) + _log(1),
        _check(0) + _log(2),
        "(call $set (i32.const 6))"
        + MAKE_A
        + MAKE_B
        + _do("yield-then-resume", A)
        + _do("yield-then-resume", B)
        + _do("yield")
        + _check(6),
        21,
        21,
    ),
}
SWITCHES = ("suspend-then-resume", "yield-then-resume", "suspend-then-promote", "yield-then-promote")
BUILTINS = {
    "new": ('thread.new-indirect $start (core table $lib "table")', "(param i32 i32) (result i32)"),
    "index": ("thread.index", "(result i32)"),
    "later": ("thread.resume-later", "(param i32)"),
    "suspend": ("thread.suspend", "(result i32)"),
    **{verb: (f"thread.{verb}", "(param i32) (result i32)") for verb in SWITCHES},
    "yield": ("thread.yield", "(result i32)"),
    "get": ("context.get i32 0", "(result i32)"),
    "set": ("context.set i32 0", "(param i32)"),
    "channel": ("future.new $future", "(result i64)"),
    "read": ('future.read $future (memory (core memory $lib "memory"))', "(param i32 i32) (result i32)"),
    "write": ('future.write $future async (memory (core memory $lib "memory"))', "(param i32 i32) (result i32)"),
}


@cache
def scenarios() -> str:
    """A component with two functions for each scenario, of asynchronous type and of synchronous type."""
    code, lifts, entries = "", "", ""
    for n, (a, b, main, *_) in enumerate(SCENARIOS.values()):
        at = {"a": str(2 * n + 2), "b": str(2 * n + 3)}
        main = main.replace("{a}", at["a"]).replace("{b}", at["b"])
        code += f"""(func $a{n} (param i32) {a}) (func $b{n} (param i32) {b})
          (func (export "run{n}") (result i32) (local $a i32) (local $b i32) {main} (global.get $log))"""
        entries += f" $a{n} $b{n}"
        lifted = f'(result u32) (canon lift (core func $m "run{n}"))'
        lifts += f'(func (export "run{n}") async {lifted}) (func (export "plain{n}") {lifted})'
    imports = "".join(f'(import "" "{name}" (func ${name} {shape}))' for name, (_, shape) in BUILTINS.items())
    given = "".join(f'(export "{name}" (func ${name}))' for name in BUILTINS)
    return f"""(component
      (core module $lib (memory (export "memory") 1) (table (export "table") {2 * len(SCENARIOS) + 2} funcref))
      (core instance $lib (instantiate $lib))
      (core type $start (func (param i32)))
      (type $future (future))
      {"".join(f"(core func ${name} (canon {what}))" for name, (what, _) in BUILTINS.items())}
      (core module $m
        (import "" "memory" (memory 1)) (import "" "table" (table 4 funcref)) {imports}
        (global $log (mut i32) (i32.const 0)) (global $future (mut i64) (i64.const 0))
        (elem (i32.const 1) func $other {entries})
        (func $other)
        {code})
      (core instance $m (instantiate $m (with "" (instance
        (export "memory" (memory $lib "memory")) (export "table" (table $lib "table")) {given}))))
      {lifts})"""


MANY = """(component
  (core module $lib (table (export "table") 1 funcref))
  (core instance $lib (instantiate $lib))
  (core type $start (func (param i32)))
  (core func $new (canon thread.new-indirect $start (core table $lib "table")))
  (core func $switch (canon thread.yield-then-resume))
  (core func $yield (canon thread.yield))
  (core module $m (import "" "table" (table 1 funcref))
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "switch" (func $switch (param i32) (result i32)))
    (import "" "yield" (func $yield (result i32)))
    (elem (i32.const 0) func $start)
    (func $start (param i32) (drop (call $yield)))
    (func (export "run") (result i32) (local $i i32) (local $t i32)
      (loop $more
        (local.set $t (call $new (i32.const 0) (i32.const 0)))
        (drop (call $switch (local.get $t)))
        (drop (call $yield))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $i) (i32.const 100000))))
      (local.get $t)))
  (core instance $m (instantiate $m (with "" (instance (export "table" (table $lib "table"))
    (export "new" (func $new)) (export "switch" (func $switch)) (export "yield" (func $yield))))))
  (func (export "run") async (result u32) (canon lift (core func $m "run"))))"""


@cache
def fused() -> Fused:
    return Fused(_binary(scenarios()))


def _binary(text: str) -> bytes:
    return encode(parse(text, "threads.wat"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario(name: str) -> None:
    """Switches, and why they trap, in functions of both types."""
    n = list(SCENARIOS).index(name)
    *_, asynchronous, synchronous = SCENARIOS[name]
    assert fused().answers(((f"run{n}",),)) == [asynchronous]
    assert fused().answers(((f"plain{n}",),)) == [synchronous]


@needs_cli
def test_the_engine_answers_so(tmp_path: Path) -> None:
    """What stands above is what the engine answers, which waits for ever where nothing can go on."""
    (tmp_path / "a.wasm").write_bytes(_binary(scenarios()))
    for n, (name, (*_, asynchronous, synchronous)) in enumerate(SCENARIOS.items()):
        wanted = {f"run{n}()": asynchronous, f"plain{n}()": synchronous}
        for call, answer in wanted.items():
            if answer != DEADLOCK and (n + len(call)) % 2 == 0:
                (found,) = invoked(tmp_path / "a.wasm", [call])
                assert str(answer).removeprefix("trap: ") in found, name


@needs_cli
def test_random_programs(tmp_path: Path) -> None:
    """Two instances whose threads switch at random answer as they do unfused. ``MELD_CASES`` says how many programs.

    Of more than these few, one in a hundred differs: what waits in several instances comes back in another order.
    """
    choose = random.Random(CASES)
    for seed in range(CASES) if CASES < 10 else choose.sample(range(1 << 20), CASES):
        program = generate(seed, wild=0.005)
        wasm = _binary(program.text)
        (tmp_path / "a.wasm").write_bytes(wasm)
        (got,) = Fused(wasm).answers((("run", 0),))
        if got == DEADLOCK:
            continue  # the engine waits for ever
        (want,) = invoked(tmp_path / "a.wasm", ["run(0)"])
        if isinstance(got, int):
            assert str(got & 0xFFFFFFFF) == want, program
        else:
            assert str(got).removeprefix("trap: ") in want, program


def test_many_threads_one_after_another() -> None:
    """A thread that has ended leaves its record, its index and its frames to the next one: memory does not grow."""
    module = Fused(_binary(MANY)).module
    store = wasmtime.Store(shared_engine())
    store.set_limits(memory_size=1 << 17, table_elements=20)
    assert wasmtime.Instance(store, module, []).exports(store)["run"](store) == 2


WIDE = """(component
  (core module $l (table (export "t") {table} funcref)) (core instance $l (instantiate $l))
  (core type $s (func (param {argument})))
  (core func $new (canon thread.new-indirect $s (core table $l "t")))
  (core module $m (import "" "new" (func $new (param {index} {argument}) (result i32)))
    (func (export "f") (result i32) (call $new ({index}.const 0) ({argument}.const 0))))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))"""


@pytest.mark.parametrize(("index", "argument"), [("i32", "i64"), ("i64", "i32"), ("i64", "i64")])
def test_of_64_bits(index: str, argument: str, tmp_path: Path) -> None:
    """They are valid, as wasm-tools says, and refused by name."""
    text = WIDE.format(table="i64 1" if index == "i64" else "1", index=index, argument=argument)
    assert not verify(parse(text, "a.wat"))
    wrong = text.replace(f"(param {index} {argument})", "(param i32 i32)").replace(f"{index}.const", "i32.const")
    (problem,) = verify(parse(wrong.replace(f"{argument}.const", "i32.const"), "a.wat"))
    assert f"(func (param {index} {argument}) (result i32)) is given" in problem.message
    (tmp_path / "a.wat").write_text(text)
    with pytest.raises(
        MeldError, match=r"`thread\.new-indirect` of `a` has a 64-bit table, or starts functions of an i64"
    ):
        meld.compile([tmp_path / "a.wat"])


THROWS = """(component
  (core module $lib (table (export "table") 2 funcref)) (core instance $lib (instantiate $lib))
  (core type $start (func (param i32)))
  (core func $new (canon thread.new-indirect $start (core table $lib "table")))
  (core func $switch (canon thread.yield-then-resume))
  (core func $yield (canon thread.yield))
  (core module $m (import "" "table" (table 2 funcref))
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "switch" (func $switch (param i32) (result i32)))
    (import "" "yield" (func $yield (result i32)))
    (tag $e) (global $g (mut i32) (i32.const 0))
    (elem (i32.const 0) func $throws $catches)
    (func $throws (param i32) (throw $e))
    (func $catches (param i32)
      (block $caught (try_table (catch $e $caught) (drop (call $yield)) (throw $e)))
      (global.set $g (i32.const 7)))
    (func (export "run") (param $n i32) (result i32)
      (drop (call $switch (call $new (local.get $n) (i32.const 0))))
      (drop (call $yield))
      (global.get $g)))
  (core instance $m (instantiate $m (with "" (instance (export "table" (table $lib "table"))
    (export "new" (func $new)) (export "switch" (func $switch)) (export "yield" (func $yield))))))
  (func (export "run") async (param "n" u32) (result u32) (canon lift (core func $m "run"))))"""


def test_exceptions() -> None:
    """One that a thread throws traps unless it catches it, also after it was off the stack."""
    fused = Fused(_binary(THROWS))
    assert fused.answers((("run", 1),)) == [7]
    assert fused.answers((("run", 0),)) == ["trap: thrown Wasm exception"]


PARKED = """(component
  (core module $m
    (import "" "return" (func $return))
    (import "" "suspend" (func $suspend (result i32)))
    (global $plain (mut i32) (i32.const 0))
    (func (export "arm") (result i32) (call $return) (i32.const 1))
    (func (export "back") (param i32 i32 i32) (result i32)
      (if (global.get $plain) (then unreachable)) (i32.const 1))
    (func (export "plain") (global.set $plain (i32.const 1)) (drop (call $suspend))))
  (core func $return (canon task.return))
  (core func $suspend (canon thread.suspend))
  (core instance $m (instantiate $m (with "" (instance
    (export "return" (func $return)) (export "suspend" (func $suspend))))))
  (func (export "arm") async (canon lift (core func $m "arm") async (callback (core func $m "back"))))
  (func (export "plain") (canon lift (core func $m "plain"))))"""


def test_no_callback_runs_in_a_call_of_synchronous_type() -> None:
    """A callback that is ready needs the one stack of its instance; so nothing can run, and the call traps."""
    assert Fused(_binary(PARKED)).answers((("arm",), ("plain",)))[1] == BLOCK


@needs_cli
def test_in_a_component(tmp_path: Path) -> None:
    """The product of ``--emit=component`` runs its threads itself: it needs no engine that has them."""
    (tmp_path / "a.wasm").write_bytes(_binary(scenarios()))
    calls = ["run0()", "plain0()", "run5()", "plain7()"]
    product = meld.encode(meld.compile([tmp_path / "a.wasm"], wrap=True))
    (tmp_path / "b.wasm").write_bytes(product)
    assert invoked(tmp_path / "b.wasm", calls) == ["12", "12", "1342", "32"]


@needs_stack_switching
def test_on_stacks_of_their_own(tmp_path: Path) -> None:
    """The same with the proposal of stack switching in place of frames that are saved."""
    (tmp_path / "c.wasm").write_bytes(_binary(scenarios()))
    product = meld.compile([tmp_path / "c.wasm"], passes="default,stack-switching")
    (tmp_path / "a.wasm").write_bytes(meld.encode(product))
    for n, (name, (*_, answer, _)) in enumerate(SCENARIOS.items()):
        if isinstance(answer, int) and n % 3 == 0:
            assert on_stacks(tmp_path / "a.wasm", [((f"run{n}",), answer)]) is None, name
