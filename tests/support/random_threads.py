"""Random programs of cooperative threads: two instances whose threads run scripts, switch to one another, and log.

Both have the same core code. A thread knows which others of its instance are suspended or yield, so that most switches
are right where they stand, and one that would be the last to run resumes another one first. Some steps are wild: they
trap, or everything waits.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

SWITCHES = ("suspend-then-resume", "yield-then-resume", "suspend-then-promote", "yield-then-promote")
CALLS = ("plain", "wait", "begin")
"""Calls of the other instance: of a function of synchronous type, and of another one in both ways."""
OPS = ("end", "mark", "index", "new", "later", "suspend", *SWITCHES, "yield", "context", *CALLS, "wild")
WEIGHTS = (0, 4, 2, 6, 4, 3, 3, 3, 2, 2, 4, 2, 2, 2, 2, 0)
SCRIPTS, STEPS = 6, 7
LIFTS = ("sync", "stackful", "callback", "plain")
"""How a function is lifted; a plain one is of synchronous type."""


@dataclass(frozen=True)
class Program:
    """A program: how the root is lifted and the other instance's function, and for each instance its scripts."""

    seed: int
    lifts: tuple[str, str]
    scripts: tuple[tuple[tuple[tuple[str, int], ...], ...], ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: {', '.join(self.lifts)}"]
        for of, scripts in enumerate(self.scripts):
            lines += [f"  {of}/{n}: " + "; ".join(f"{op} {a}" for op, a in script) for n, script in enumerate(scripts)]
        return "\n".join(lines)

    @property
    def text(self) -> str:
        """The program as a component with the export ``run``."""
        return f"""(component
          {_component("$b", self.scripts[1], self.lifts[1], calls=None)}
          {_component("$a", self.scripts[0], self.lifts[0], calls=self.lifts[1])}
          (instance $b (instantiate $b))
          (instance $a (instantiate $a (with "run" (func $b "run")) (with "plain" (func $b "plain"))))
          (export "run" (func $a "run")))"""


def generate(seed: int, *, wild: float = 0.02) -> Program:
    """A program, the same for the same seed."""
    choose = random.Random(seed)
    scripts = tuple(
        tuple(tuple(_step(choose, wild, of) for _ in range(choose.randint(1, STEPS))) for _ in range(SCRIPTS))
        for of in range(2)
    )
    return Program(seed, (choose.choice(LIFTS), choose.choice(LIFTS[:3])), scripts)


def _step(choose: random.Random, wild: float, of: int) -> tuple[str, int]:
    if choose.random() < wild:
        return "wild", choose.randrange(7)
    name = choose.choices(OPS, WEIGHTS)[0]
    return ("yield" if of and name in CALLS else name), choose.randrange(100)


def _component(name: str, scripts: tuple[tuple[tuple[str, int], ...], ...], lift: str, calls: str | None) -> str:
    canon = {
        "new": 'thread.new-indirect $start (core table $lib "table")',
        "index": "thread.index",
        "later": "thread.resume-later",
        "suspend": "thread.suspend",
        **{verb: f"thread.{verb}" for verb in SWITCHES},
        "yield": "thread.yield",
        "get": "context.get i32 0",
        "set": "context.set i32 0",
        "set.new": "waitable-set.new",
        "set.drop": "waitable-set.drop",
        "join": "waitable.join",
        "wait": 'waitable-set.wait (memory (core memory $lib "memory"))',
        "drop": "subtask.drop",
        "return": "task.return (result u32)",
    }
    imports = ""
    if calls is not None:
        imports = """(import "run" (func $run async (param "n" u32) (result u32)))
          (import "plain" (func $plain (param "n" u32) (result u32)))"""
        canon |= {
            "run": "lower (func $run)",
            "begin": 'lower (func $run) async (memory (core memory $lib "memory"))',
            "plain": "lower (func $plain)",
        }
    options = {
        "sync": "",
        "plain": "",
        "stackful": "async",
        "callback": 'async (callback (core func $m "callback-event"))',
    }
    return f"""(component {name}
      {imports}
      (core module $lib (memory (export "memory") 1) (table (export "table") 4 funcref)
        (data (i32.const 0x1000) "{_data(scripts)}"))
      (core instance $lib (instantiate $lib))
      (core type $start (func (param i32)))
      {"".join(f"(core func ${n} (canon {what}))" for n, what in canon.items())}
      {_core(calls is not None)}
      (core instance $m (instantiate $m (with "" (instance
        (export "memory" (memory $lib "memory")) (export "table" (table $lib "table"))
        {"".join(f'(export "{n}" (func ${n}))' for n in canon)}))))
      (func (export "plain") (param "n" u32) (result u32) (canon lift (core func $m "plain")))
      (func (export "run") {"" if lift == "plain" else "async"} (param "n" u32) (result u32)
        (canon lift (core func $m "{lift}") {options[lift]})))"""


def _data(scripts: tuple[tuple[tuple[str, int], ...], ...]) -> str:
    data = b""
    for script in scripts:
        steps = b"".join(bytes([OPS.index(op), a]) for op, a in script)
        data += steps.ljust(32, b"\0")
    return "".join(f"\\{byte:02x}" for byte in data)


def _pick(state: int) -> str:
    """A thread other than the running one that is suspended (1) or yields (2): its index, or 0."""
    return f"(call $pick (local.get $a) (local.get $me) (i32.const {state}))"


def _leave(how: int, call: str) -> str:
    """Code around a switch: the state of the running thread says that it is away."""
    back = "" if how == 1 else "(i32.store8 (local.get $me) (i32.const 0))"
    count = "(global.set $asleep (i32.add (global.get $asleep) (i32.const 1)))" if how == 1 else ""
    return f"(i32.store8 (local.get $me) (i32.const {how})) {count} (call $log {call}) {back}"


def _switch(verb: str) -> str:
    state = 2 if verb.endswith("promote") else 1
    how = 1 if verb.startswith("suspend") else 2
    return (
        f"(local.set $t {_pick(state)})"
        f" (if (local.get $t) (then (call $woken (local.get $t)) {_leave(how, f'(call ${verb} (local.get $t))')}))"
    )


def _core(calls: bool) -> str:
    called = ""
    if calls:
        called = """
        (import "" "run" (func $run (param i32) (result i32)))
        (import "" "begin" (func $begin (param i32 i32) (result i32)))
        (import "" "plain" (func $plain-of (param i32) (result i32)))"""
    wait = "(if (local.get $quiet) (then (return))) (call $log (call $run (local.get $a)))" if calls else ""
    begin = (
        """(if (local.get $quiet) (then (return)))
          (local.set $t (call $begin (local.get $a) (i32.const 0x800)))
          (call $log (i32.and (local.get $t) (i32.const 15)))
          (if (i32.gt_u (local.get $t) (i32.const 15)) (then (call $finish (i32.shr_u (local.get $t) (i32.const 4)))))
          (call $log (i32.load (i32.const 0x800)))"""
        if calls
        else ""
    )
    ops = {
        "mark": "(call $log (local.get $a))",
        "index": "(call $log (call $index))",
        "new": """(if (i32.gt_u (global.get $made) (i32.const 9)) (then (return)))
          (global.set $made (i32.add (global.get $made) (i32.const 1)))
          (local.set $t (call $new (i32.const 0) (i32.or (i32.rem_u (local.get $a) (i32.const 6)) (local.get $quiet))))
          (call $log (local.get $t))
          (if (local.get $quiet) (then (global.set $hushed (i32.add (global.get $hushed) (i32.const 1)))))
          (i32.store8 (local.get $t) (i32.const 1))
          (global.set $live (i32.add (global.get $live) (i32.const 1)))
          (global.set $asleep (i32.add (global.get $asleep) (i32.const 1)))""",
        "later": f"""(local.set $t {_pick(1)})
          (if (local.get $t) (then (call $woken (local.get $t)) (call $later (local.get $t))))""",
        "suspend": f"""(if (i32.or (local.get $quiet)
              (i32.lt_s (i32.sub (global.get $live) (global.get $asleep)) (i32.const 2)))
            (then (return)))
          {_leave(1, "(call $suspend)")}""",
        **{verb: _switch(verb) for verb in SWITCHES},
        "yield": _leave(2, "(call $yield)"),
        "context": "(call $log (call $get)) (call $set (local.get $a))",
        "plain": "(call $log (call $plain-of (local.get $a)))" if calls else "",
        "wait": wait,
        "begin": begin,
        "wild": """(block $5 (block $4 (block $3 (block $2 (block $1 (block $0
            (br_table $0 $1 $2 $3 $4 $5 $5 (local.get $a)))
            (call $later (i32.const 9)) (return)) (drop (call $suspend)) (return))
            (drop (call $suspend-then-resume (call $index))) (return))
            (drop (call $new (i32.const 1) (i32.const 0))) (return))
            (drop (call $new (i32.const 2) (i32.const 0))) (return))
          (drop (call $yield-then-promote (i32.const 1)))""",
    }
    cases = "".join(
        f"(if (i32.eq (local.get $op) (i32.const {OPS.index(name)})) (then {code} (return)))\n"
        for name, code in ops.items()
    )
    finish = """(func $finish (param $subtask i32) (local $set i32)
          (local.set $set (call $set.new))
          (call $join (local.get $subtask) (local.get $set))
          (loop $more
            (call $log (call $wait (local.get $set) (i32.const 0x900)))
            (call $log (i32.load (i32.const 0x904)))
            (br_if $more (i32.lt_u (i32.load (i32.const 0x904)) (i32.const 2))))
          (call $join (local.get $subtask) (i32.const 0))
          (call $drop (local.get $subtask))
          (call $set.drop (local.get $set)))"""
    return f"""(core module $m
        (import "" "memory" (memory 1)) (import "" "table" (table 4 funcref))
        (import "" "new" (func $new (param i32 i32) (result i32)))
        (import "" "index" (func $index (result i32)))
        (import "" "later" (func $later (param i32)))
        (import "" "suspend" (func $suspend (result i32)))
        {"".join(f'(import "" "{verb}" (func ${verb} (param i32) (result i32)))' for verb in SWITCHES)}
        (import "" "yield" (func $yield (result i32)))
        (import "" "get" (func $get (result i32)))
        (import "" "set" (func $set (param i32)))
        (import "" "set.new" (func $set.new (result i32)))
        (import "" "set.drop" (func $set.drop (param i32)))
        (import "" "join" (func $join (param i32 i32)))
        (import "" "wait" (func $wait (param i32 i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "return" (func $return (param i32)))
        {called}
        (global $log (mut i32) (i32.const 7))
        (global $live (mut i32) (i32.const 0))
        (global $asleep (mut i32) (i32.const 0))
        (global $made (mut i32) (i32.const 0))
        (global $hushed (mut i32) (i32.const 0))  ;; threads of functions of synchronous type, which wait for them
        (elem (i32.const 0) func $thread)
        (elem (i32.const 2) func $other)
        (func $other)
        (global $count (mut i32) (i32.const 0))
        (global $until (mut i32) (i32.const 0))
        (func $log (param i32)
          (global.set $count (i32.add (global.get $count) (i32.const 1)))
          (if (i32.or (i32.eqz (global.get $until)) (i32.le_u (global.get $count) (global.get $until)))
            (then (global.set $log (i32.add (i32.mul (global.get $log) (i32.const 31)) (local.get 0))))))
        (func $pick (param $from i32) (param $me i32) (param $state i32) (result i32) (local $i i32) (local $t i32)
          (loop $more
            (local.set $t (i32.and (i32.add (local.get $from) (local.get $i)) (i32.const 31)))
            (if (i32.ne (local.get $t) (local.get $me))
              (then (if (i32.eq (i32.load8_u (local.get $t)) (local.get $state)) (then (return (local.get $t))))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $i) (i32.const 32))))
          (i32.const 0))
        ;; A thread will run: its state is known no more, unless it yields.
        (func $woken (param $t i32)
          (if (i32.eq (i32.load8_u (local.get $t)) (i32.const 1))
            (then
              (i32.store8 (local.get $t) (i32.const 0))
              (global.set $asleep (i32.sub (global.get $asleep) (i32.const 1))))))
        {finish}
        (func $do (param $op i32) (param $a i32) (param $me i32) (param $quiet i32) (local $t i32)
          {cases})
        (func $script (param $n i32) (param $quiet i32) (local $at i32) (local $me i32) (local $t i32)
          (local.set $me (call $index))
          (call $log (local.get $me))
          (local.set $at (i32.add (i32.const 0x1000) (i32.shl (i32.rem_u (local.get $n) (i32.const 6)) (i32.const 5))))
          (loop $more
            (if (i32.load8_u (local.get $at))
              (then
                (i32.load8_u (local.get $at))
                (i32.load8_u offset=1 (local.get $at))
                (call $do (local.get $me) (local.get $quiet))
                (local.set $at (i32.add (local.get $at) (i32.const 2)))
                (br $more))))
          (if (i32.eq (i32.sub (global.get $live) (global.get $asleep)) (i32.const 1))
            (then
              (local.set $t (call $pick (local.get $n) (local.get $me) (i32.const 1)))
              (if (local.get $t) (then (call $woken (local.get $t)) (call $later (local.get $t))))))
          (call $log (i32.const 99))
          (global.set $live (i32.sub (global.get $live) (i32.const 1))))
        (func $thread (param $n i32)
          (call $script (i32.and (local.get $n) (i32.const 15)) (i32.and (local.get $n) (i32.const 16)))
          (if (i32.and (local.get $n) (i32.const 16))
            (then (global.set $hushed (i32.sub (global.get $hushed) (i32.const 1))))))
        ;; From 256 on, a number says with which entry the log ends.
        (func $main (param $n i32) (param $quiet i32)
          (global.set $until (i32.shr_u (local.get $n) (i32.const 8)))
          (local.set $n (i32.and (local.get $n) (i32.const 255)))
          (global.set $live (i32.add (global.get $live) (i32.const 1)))
          (call $script (local.get $n) (local.get $quiet)))
        (func (export "plain") (param i32) (result i32) (local $t i32)
          (call $main (local.get 0) (i32.const 16))
          (loop $more
            (if (global.get $hushed)
              (then
                (local.set $t (call $pick (i32.const 0) (i32.const 0) (i32.const 1)))
                (if (local.get $t) (then (call $woken (local.get $t)) (call $later (local.get $t))))
                (drop (call $yield))
                (br $more))))
          (global.get $log))
        (func (export "sync") (param i32) (result i32) (call $main (local.get 0) (i32.const 0)) (global.get $log))
        (func (export "stackful") (param i32)
          (call $main (local.get 0) (i32.const 0)) (call $return (global.get $log)))
        (func (export "callback") (param i32) (result i32) (call $main (local.get 0) (i32.const 0)) (i32.const 1))
        (func (export "callback-event") (param i32 i32 i32) (result i32)
          (call $return (global.get $log)) (i32.const 0)))"""
