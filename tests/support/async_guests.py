"""The text of random asynchronous programs.

Every instance has the same core code: it runs a script of its memory, one step after the other, and logs what each
built-in answers. So a program is its scripts, the type of the streams' elements, and how each function is lifted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from async_scripts import ERROR, OF_ERRORS, OPS, Instance, Script

import meld
from meld.text.reading.program import parse

SCRIPTS, LOG, DATA = 0x1000, 0x4000, 0x8000
"""Addresses: the scripts, 512 bytes each; the log (its length first); what is written."""
AT_ONCE = 8
"""Steps that one call writes into a script."""


@dataclass
class Program:
    """A program, from the root (the first instance) down."""

    seed: int
    element: str
    instances: list[Instance]
    errors: bool = False

    @property
    def text(self) -> str:
        return _program(self)

    @property
    def wasm(self) -> bytes:
        return meld.encode(parse(self.text, "random.wat"))

    @property
    def calls(self) -> tuple[tuple[Any, ...], ...]:
        """Two runs of the root, then the logs: a number for each instance."""
        return (("run", 0), ("run", 0), *((f"log{k}",) for k in range(len(self.instances))))

    @property
    def loads(self) -> tuple[tuple[Any, ...], ...]:
        """Calls that write this program's scripts into an instance of another one of the same shape."""
        found = []
        for k, instance in enumerate(self.instances):
            for n, script in enumerate(instance.scripts):
                data = script.encoded()[: 8 * (len(script.steps) + 1)]
                for at in range(0, len(data), 8 * AT_ONCE):
                    words = [int.from_bytes(data[i : i + 8], "little") for i in range(at, at + 8 * AT_ONCE, 8)]
                    found.append((f"script{k}", SCRIPTS + 512 * n + at, *words))
        return tuple(found)

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, elements {self.element or 'none'}"]
        for k, instance in enumerate(self.instances):
            for n, script in enumerate(instance.scripts):
                steps = "; ".join(" ".join(map(str, step)) for step in script.steps)
                lines.append(f"  {k}/{script.kind}{n} {script.lift}: {steps}")
        return "\n".join(lines)


def _program(program: Program) -> str:
    parts = []
    for k in reversed(range(len(program.instances))):
        parts.append(component(program, k))
        given = " ".join(passed(s, j, n, f"$i{j}", str(n)) for j, n, s in callees(program, k))
        parts.append(f"(instance $i{k} (instantiate $c{k} {given}))")
    parts.append('(export "run" (func $i0 "f0"))')
    for name in ("log", "script"):
        parts += [f'(export "{name}{k}" (func $i{k} "{name}"))' for k in range(len(program.instances))]
    return "(component\n" + "\n".join(parts) + ")"


def typed(script: Script, stream: str = "$stream") -> str:
    """The type of a function, without its parentheses; `stream` is the type that it takes."""
    param = {"f": '(param "x" u32)', "g": f'(param "s" {stream})', "e": '(param "e" error-context)'}
    result = "error-context" if script.kind == "x" else "u32"
    return f"{'' if script.plain else 'async '}{param.get(script.kind, param['f'])} (result {result})"


def callees(program: Program, k: int) -> list[tuple[int, int, Script]]:
    """What an instance may call: the instance, the number in it, and the script."""
    later = range(k + 1, len(program.instances))
    return [(j, n, s) for j in later for n, s in enumerate(program.instances[j].scripts)]


def passed(script: Script, j: int, n: int, source: str, label: str) -> str:
    """Arguments of an instantiation: script n of instance j, of which `source` has the exports, with `label`."""
    if script.kind == "d":
        return f'(with "r{j}-{n}" (type {source} "r{label}")) (with "make{j}-{n}" (func {source} "make{label}"))'
    return f'(with "{script.kind}{j}-{n}" (func {source} "{script.kind}{label}"))'


def imported(script: Script, j: int, n: int, stream: str = "$stream") -> str:
    """The import of script n of instance j."""
    if script.kind == "d":
        return (
            f'(import "r{j}-{n}" (type $r{j}-{n} (sub resource)))'
            f' (import "make{j}-{n}" (func $make{j}-{n} (result (own $r{j}-{n}))))'
        )
    name = f"{script.kind}{j}-{n}"
    return f'(import "{name}" (func ${name} {typed(script, stream)}))'


def component(program: Program, k: int) -> str:
    """The component of instance k, named ``$ck``."""
    mine, called = program.instances[k], callees(program, k)
    element = f" {program.element}" if program.element else ""
    options = '(memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))'
    canon = {
        "stream.new": "stream.new $stream",
        "stream.read": f"stream.read $stream async {options}",
        "stream.write": f"stream.write $stream async {options}",
        "stream.read-sync": f"stream.read $stream {options}",
        "stream.write-sync": f"stream.write $stream {options}",
        "stream.cancel-read": "stream.cancel-read $stream",
        "stream.cancel-write": "stream.cancel-write $stream",
        "stream.drop-readable": "stream.drop-readable $stream",
        "stream.drop-writable": "stream.drop-writable $stream",
        "future.new": "future.new $future",
        "future.read": f"future.read $future async {options}",
        "future.write": f"future.write $future async {options}",
        "future.cancel-read": "future.cancel-read $future",
        "future.cancel-write": "future.cancel-write $future",
        "future.drop-readable": "future.drop-readable $future",
        "future.drop-writable": "future.drop-writable $future",
        "set.new": "waitable-set.new",
        "set.drop": "waitable-set.drop",
        "join": "waitable.join",
        "poll": 'waitable-set.poll (memory (core memory $mem "memory"))',
        "wait": 'waitable-set.wait (memory (core memory $mem "memory"))',
        "subtask.cancel": "subtask.cancel",
        "subtask.drop": "subtask.drop",
        "return": "task.return (result u32)",
        "task.cancel": "task.cancel",
        "yield": "thread.yield",
        "backpressure.inc": "backpressure.inc",
        "backpressure.dec": "backpressure.dec",
        "context.get": "context.get i32 0",
        "context.set": "context.set i32 0",
    }
    if program.errors:
        canon |= {
            "error.new": 'error-context.new (memory (core memory $mem "memory"))',
            "error.message": f"error-context.debug-message {options}",
            "error.drop": "error-context.drop",
            "return-error": "task.return (result error-context)",
        }
    for j, n, s in called:
        if s.kind == "d":
            canon |= {f"make{j}-{n}": f"lower (func $make{j}-{n})", f"destroy{j}-{n}": f"resource.drop $r{j}-{n}"}
            continue
        if s.is_begun:
            canon[f"call{j}-{n}"] = f'lower (func ${s.kind}{j}-{n}) async (memory (core memory $mem "memory"))'
        canon[f"sync{j}-{n}"] = f"lower (func ${s.kind}{j}-{n})"
    dtors = [n for n, s in enumerate(mine.scripts) if s.kind == "d"]
    canon |= {f"new{n}": f"resource.new $r{n}" for n in dtors}
    return f"""(component $c{k}
      (type $stream (stream{element}))
      (type $future (future{element}))
      {"".join(imported(s, j, n) for j, n, s in called)}
      (core module $mem
        (memory (export "memory") 2)
        {_destructors(dtors)}
        (global $next (mut i32) (i32.const 0x10000))
        (func (export "realloc") (param $old i32) (param i32) (param $align i32) (param $size i32) (result i32)
          (local $at i32)
          (local.set $at (global.get $next))
          (global.set $next
            (i32.add (local.get $at) (i32.and (i32.add (local.get $size) (i32.const 15)) (i32.const -16))))
          (if (i32.gt_u (global.get $next) (i32.const 0x1ff00)) (then (global.set $next (i32.const 0x10000))))
          (local.get $at))
        (data (i32.const {DATA}) "{_written(program.element)}")
        (data (i32.const 0x800) "some text")
        {_script_data(mine)})
      (core instance $mem (instantiate $mem))
      {"".join(f'(type $r{n} (resource (rep i32) (dtor (core func $mem "dtor{n}"))))' for n in dtors)}
      {"".join(f"(core func ${name} (canon {what}))" for name, what in canon.items())}
      {_core(mine, called, errors=program.errors)}
      (core instance $m (instantiate $m (with "" (instance (export "memory" (memory $mem "memory"))
        {'(export "dtors" (table $mem "dtors"))' if dtors else ""}
        {"".join(f'(export "{name}" (func ${name}))' for name in canon)}))))
      {"".join(_lift(n, s) for n, s in enumerate(mine.scripts))}
      (func (export "log") (result u32) (canon lift (core func $m "log")))
      (func (export "script") (param "at" u32) {" ".join(f'(param "s{i}" u64)' for i in range(AT_ONCE))}
        (canon lift (core func $m "script"))))"""


def _destructors(dtors: list[int]) -> str:
    """Destructors that are there before the code is: each calls what the code puts into a table."""
    if not dtors:
        return ""
    calls_ = "".join(
        f'(func (export "dtor{n}") (param i32) (call_indirect (param i32) (local.get 0) (i32.const {n})))'
        for n in dtors
    )
    return f'(table (export "dtors") {max(dtors) + 1} funcref) {calls_}'


def _lift(n: int, script: Script) -> str:
    if script.kind == "d":
        return (
            f'(export $r{n}\' "r{n}" (type $r{n}))'
            f' (func (export "make{n}") (result (own $r{n}\')) (canon lift (core func $m "make{n}")))'
        )
    options = {
        "sync": "",
        "stackful": " async",
        "callback": f' async (callback (core func $m "cb{n}"))',
    }[script.lift]
    lifted = f'(canon lift (core func $m "{script.kind}{n}"){options})'
    return f'(func (export "{script.kind}{n}") {typed(script)} {lifted})'


def _written(element: str) -> str:
    """Sixteen elements, whatever their type."""
    if element in ("string", "(list u8)"):
        return "".join(f"\\00\\08\\00\\00\\{i % 9:02x}\\00\\00\\00" for i in range(16))
    if element in ("u32", "char"):
        return "".join(f"\\{65 + i:02x}\\00\\00\\00" for i in range(16))
    if element == "(option u8)":
        return "".join(f"\\{i % 2:02x}\\{65 + i:02x}" for i in range(32))
    return "".join(f"\\{65 + i % 50:02x}" for i in range(128))


def _script_data(instance: Instance) -> str:
    lines = []
    for n, script in enumerate(instance.scripts):
        data = "".join(f"\\{byte:02x}" for byte in script.encoded().rstrip(b"\0") + b"\0")
        lines.append(f'(data (i32.const {SCRIPTS + 512 * n}) "{data}")')
    return "\n".join(lines)


SIGNATURES = {
    "stream.new": "(result i64)",
    "stream.read": "(param i32 i32 i32) (result i32)",
    "stream.write": "(param i32 i32 i32) (result i32)",
    "stream.read-sync": "(param i32 i32 i32) (result i32)",
    "stream.write-sync": "(param i32 i32 i32) (result i32)",
    "stream.cancel-read": "(param i32) (result i32)",
    "stream.cancel-write": "(param i32) (result i32)",
    "stream.drop-readable": "(param i32)",
    "stream.drop-writable": "(param i32)",
    "future.new": "(result i64)",
    "future.read": "(param i32 i32) (result i32)",
    "future.write": "(param i32 i32) (result i32)",
    "future.cancel-read": "(param i32) (result i32)",
    "future.cancel-write": "(param i32) (result i32)",
    "future.drop-readable": "(param i32)",
    "future.drop-writable": "(param i32)",
    "set.new": "(result i32)",
    "set.drop": "(param i32)",
    "join": "(param i32 i32)",
    "poll": "(param i32 i32) (result i32)",
    "wait": "(param i32 i32) (result i32)",
    "subtask.cancel": "(param i32) (result i32)",
    "subtask.drop": "(param i32)",
    "return": "(param i32)",
    "task.cancel": "",
    "yield": "(result i32)",
    "backpressure.inc": "",
    "backpressure.dec": "",
    "context.get": "(result i32)",
    "context.set": "(param i32)",
}


ERROR_SIGNATURES = {
    "error.new": "(param i32 i32) (result i32)",
    "error.message": "(param i32 i32)",
    "error.drop": "(param i32)",
    "return-error": "(param i32)",
}


def _core(mine: Instance, callees: list[tuple[int, int, Script]], *, errors: bool) -> str:
    signatures = SIGNATURES | (ERROR_SIGNATURES if errors else {})
    ops = OPS + (OF_ERRORS if errors else [])
    imports = [f'(import "" "{name}" (func ${name} {signature}))' for name, signature in signatures.items()]
    for j, n, s in callees:
        if s.kind == "d":
            imports.append(f'(import "" "make{j}-{n}" (func $make{j}-{n} (result i32)))')
            imports.append(f'(import "" "destroy{j}-{n}" (func $destroy{j}-{n} (param i32)))')
            continue
        if s.is_begun:
            imports.append(f'(import "" "call{j}-{n}" (func $call{j}-{n} (param i32 i32) (result i32)))')
        imports.append(f'(import "" "sync{j}-{n}" (func $sync{j}-{n} (param i32) (result i32)))')

    def chosen(kind: str, sync: bool) -> str:
        """A call of the callee that two numbers choose: its instance and its script."""
        argument = "(i32.const 7)" if kind in "fx" else "(local.get $end)"
        lines = []
        for j, n, s in callees:
            if s.kind == kind and (sync or s.is_begun):
                is_it = f"(i32.eq (local.get $who) (i32.const {16 * j + n}))"
                call = f"(call $sync{j}-{n} {argument})" if sync else f"(call $call{j}-{n} {argument} (local.get $to))"
                lines.append(f"(if {is_it} (then (return {call})))")
        return "\n".join(lines) + "\n(unreachable)"

    def of_resource(what: str, argument: str) -> str:
        """The same of a resource: it is made, or dropped."""
        lines = [
            f"(if (i32.eq (local.get $who) (i32.const {16 * j + n})) (then (return (call ${what}{j}-{n} {argument}))))"
            for j, n, s in callees
            if s.kind == "d"
        ]
        return "\n".join(lines) + "\n(unreachable)"

    who = "(local.set $who (i32.add (i32.shl (local.get $j) (i32.const 4)) (local.get $n)))"
    number, to = "(local $who i32)", "(local $to i32)"
    place = "(local.set $to (i32.add (i32.const 0x3d00) (i32.shl (local.get $reg) (i32.const 2))))"
    blocks = "".join(f"(block $op{i} " for i in reversed(range(len(ops))))
    table = " ".join(f"$op{i}" for i in range(len(ops)))
    cases = "".join(f")\n;; {op.name}\n{op.code} (br $next)" for op in ops)
    body = f"""
      (func $run (param $pc i32) (param $given i32) (result i32)
        (local $op i32) (local $a i32) (local $b i32) (local $c i32) (local $d i32) (local $ends i64)
        (loop $next
          (local.set $op (i32.load8_u (local.get $pc)))
          (local.set $a (i32.load8_u offset=1 (local.get $pc)))
          (local.set $b (i32.load8_u offset=2 (local.get $pc)))
          (local.set $c (i32.load8_u offset=3 (local.get $pc)))
          (local.set $d (i32.load8_u offset=4 (local.get $pc)))
          (local.set $pc (i32.add (local.get $pc) (i32.const 8)))
          (call $context.set
            (i32.or (i32.and (call $context.get) (i32.const -65536)) (local.get $pc)))
          {blocks} (br_table {table} $op0 (local.get $op)) {cases})
        (unreachable))"""
    lifted = []
    for n, script in enumerate(mine.scripts):
        start = SCRIPTS + 512 * n
        run = f"(call $run (i32.const {start}) (local.get 0))"
        name = f"{script.kind}{n}"
        if script.kind == "d":
            imports += [
                f'(import "" "new{n}" (func $new{n} (param i32) (result i32)))',
                *(['(import "" "dtors" (table $dtors 0 funcref))'] if "(table $dtors" not in "".join(imports) else []),
            ]
            lifted.append(f"(func $d{n} (param i32) (drop {run}))")
            lifted.append(f"(elem (table $dtors) (i32.const {n}) func $d{n})")
            lifted.append(f'(func (export "make{n}") (result i32) (call $new{n} (i32.const {n + 1})))')
            continue
        if script.lift == "callback":
            lifted.append(f'(func (export "{name}") (param i32) (result i32) {run})')
            lifted.append(
                f'(func (export "cb{n}") (param i32 i32 i32) (result i32)'
                "(call $log (local.get 0)) (call $log (local.get 1)) (call $log (local.get 2))"
                "(call $run (i32.and (call $context.get) (i32.const 65535)) (i32.const 0)))"
            )
        elif script.lift == "stackful":
            lifted.append(f'(func (export "{name}") (param i32) (drop {run}))')
        else:
            result = f"(i32.load (i32.const {0x3F00 + 4 * ERROR}))" if script.kind == "x" else f"(i32.const {40 + n})"
            lifted.append(f'(func (export "{name}") (param i32) (result i32) (drop {run}) {result})')
    return f"""(core module $m
      (import "" "memory" (memory 2))
      {chr(10).join(imports)}
      (func $log (param i32)
        (i32.store
          (i32.add (i32.const {LOG + 4}) (i32.and (i32.load (i32.const {LOG})) (i32.const 0x3ffc)))
          (local.get 0))
        (i32.store (i32.const {LOG}) (i32.add (i32.load (i32.const {LOG})) (i32.const 4))))
      (func $log-event (call $log (i32.load (i32.const 0x3e00))) (call $log (i32.load (i32.const 0x3e04))))
      (func $began (param $status i32) (param $reg i32)
        (call $log (local.get $status))
        (if (i32.shr_u (local.get $status) (i32.const 4)) (then
          (i32.store offset=0x3f00 (i32.shl (local.get $reg) (i32.const 2))
            (i32.shr_u (local.get $status) (i32.const 4))))))
      (func $f (param $j i32) (param $n i32) (param $reg i32) (result i32)
        {number} {to} {who} {place} {chosen("f", False)})
      (func $f-sync (param $j i32) (param $n i32) (result i32) {number} {who} {chosen("f", True)})
      (func $g (param $j i32) (param $n i32) (param $end i32) (param $reg i32) (result i32)
        {number} {to} {who} {place} {chosen("g", False)})
      (func $g-sync (param $j i32) (param $n i32) (param $end i32) (result i32) {number} {who} {chosen("g", True)})
      (func $e (param $j i32) (param $n i32) (param $end i32) (param $reg i32) (result i32)
        {number} {to} {who} {place} {chosen("e", False)})
      (func $e-sync (param $j i32) (param $n i32) (param $end i32) (result i32) {number} {who} {chosen("e", True)})
      (func $x-sync (param $j i32) (param $n i32) (result i32) {number} {who} {chosen("x", True)})
      (func $make (param $j i32) (param $n i32) (result i32) {number} {who} {of_resource("make", "")})
      (func $destroy (param $j i32) (param $n i32) (param $handle i32)
        {number} {who} {of_resource("destroy", "(local.get $handle)")})
      {body}
      {chr(10).join(lifted)}
      ;; Writes steps into a script.
      (func (export "script") (param i32{" i64" * AT_ONCE})
        {"".join(f"(i64.store offset={8 * i} (local.get 0) (local.get {i + 1}))" for i in range(AT_ONCE))})
      ;; A number for the log, for what was read and for where results were written.
      (func (export "log") (result i32) (local $i i32) (local $sum i32)
        (local.set $i (i32.const 0x3d00))
        (loop $next
          (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (i32.load8_u (local.get $i))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (i32.const 0x1ffff))))
        (i32.and (local.get $sum) (i32.const 0x7fffffff))))"""
