"""Short programs of threads, and what the engine answers: switches, promotion, indices, context slots, traps."""

from __future__ import annotations

from functools import cache

from meld.files import encode
from meld.text.reading.program import parse

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
    return _component(code, entries, lifts)


def started(name: str) -> str:
    """A component whose start function does what the function of a scenario does; `seen` returns what it has logged."""
    a, b, main, *_ = SCENARIOS[name]
    code = f"""(func $a (param i32) {a}) (func $b (param i32) {b})
      (func $begin (local $a i32) (local $b i32) {main.replace("{a}", "2").replace("{b}", "3")})
      (start $begin)
      (func (export "seen") (result i32) (global.get $log))"""
    return _component(code, "$a $b", '(func (export "seen") (result u32) (canon lift (core func $m "seen")))')


def _component(code: str, entries: str, lifts: str) -> str:
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


def binary(text: str) -> bytes:
    return encode(parse(text, "threads.wat"))
