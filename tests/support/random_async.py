"""Random closed asynchronous programs: instances that run scripts over the built-ins of streams, futures and tasks.

Every instance has the same core code: it runs a script of its memory, one step after the other, and logs what each
built-in answers. So a program is its scripts, the type of the streams' elements, and how each function is lifted. Most
steps are right where they stand (the generator follows what each register holds); some are not, and trap.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import meld
from meld.text.reading.program import parse

ELEMENTS = ("", "u8", "u32", "(option u8)", "string", "(list u8)", "(tuple u8 u32)")
LIFTS = ("sync", "stackful", "callback")
REGISTERS = 12
ERROR = 12
"""The register of the error context that a function returns."""
SCRIPTS, LOG, DATA = 0x1000, 0x4000, 0x8000
"""Addresses: the scripts, 512 bytes each; the log (its length first); what is written."""
AT_ONCE = 8
"""Steps that one call writes into a script."""


@dataclass(frozen=True)
class Op:
    """A step of a script: its number is its place in `OPS`. `code` runs it with $a, $b and $c."""

    name: str
    code: str


def _reg(which: str) -> str:
    return f"(i32.load offset=0x3f00 (i32.shl (local.get ${which}) (i32.const 2)))"


def _set(which: str, value: str) -> str:
    return f"(i32.store offset=0x3f00 (i32.shl (local.get ${which}) (i32.const 2)) {value})"


def _logged(call: str) -> str:
    return f"(call $log {call})"


def _ends(kind: str) -> str:
    return (
        f"(local.set $ends (call ${kind}.new))"
        + _set("a", "(i32.wrap_i64 (local.get $ends))")
        + _set("b", "(i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32)))")
    )


BUFFER = "(i32.add (i32.const 0xA000) (i32.shl (local.get $c) (i32.const 6)))"
OPS = [
    Op("end", "(return (i32.const 0))"),
    Op("stream.new", _ends("stream")),
    Op("stream.read", _logged(f"(call $stream.read {_reg('a')} {BUFFER} (local.get $b))")),
    Op("stream.write", _logged(f"(call $stream.write {_reg('a')} (i32.const 0x8000) (local.get $b))")),
    Op("stream.read-sync", _logged(f"(call $stream.read-sync {_reg('a')} {BUFFER} (local.get $b))")),
    Op("stream.write-sync", _logged(f"(call $stream.write-sync {_reg('a')} (i32.const 0x8000) (local.get $b))")),
    Op("stream.cancel-read", _logged(f"(call $stream.cancel-read {_reg('a')})")),
    Op("stream.cancel-write", _logged(f"(call $stream.cancel-write {_reg('a')})")),
    Op("stream.drop-readable", f"(call $stream.drop-readable {_reg('a')})"),
    Op("stream.drop-writable", f"(call $stream.drop-writable {_reg('a')})"),
    Op("future.new", _ends("future")),
    Op("future.read", _logged(f"(call $future.read {_reg('a')} {BUFFER})")),
    Op("future.write", _logged(f"(call $future.write {_reg('a')} (i32.const 0x8000))")),
    Op("future.cancel-read", _logged(f"(call $future.cancel-read {_reg('a')})")),
    Op("future.cancel-write", _logged(f"(call $future.cancel-write {_reg('a')})")),
    Op("future.drop-readable", f"(call $future.drop-readable {_reg('a')})"),
    Op("future.drop-writable", f"(call $future.drop-writable {_reg('a')})"),
    Op("set.new", _set("a", "(call $set.new)")),
    Op("join", f"(call $join {_reg('a')} {_reg('b')})"),
    Op("leave", f"(call $join {_reg('a')} (i32.const 0))"),
    Op("poll", _logged(f"(call $poll {_reg('a')} (i32.const 0x3e00))") + "(call $log-event)"),
    Op("wait", _logged(f"(call $wait {_reg('a')} (i32.const 0x3e00))") + "(call $log-event)"),
    Op("set.drop", f"(call $set.drop {_reg('a')})"),
    Op("call", "(call $began (call $f (local.get $a) (local.get $c) (local.get $b)) (local.get $b))"),
    Op("call-sync", _logged("(call $f-sync (local.get $a) (local.get $c))")),
    Op("give", f"(call $began (call $g (local.get $a) (local.get $c) {_reg('d')} (local.get $b)) (local.get $b))"),
    Op("give-sync", _logged(f"(call $g-sync (local.get $a) (local.get $c) {_reg('d')})")),
    Op("subtask.cancel", _logged(f"(call $subtask.cancel {_reg('a')})")),
    Op("subtask.drop", f"(call $subtask.drop {_reg('a')})"),
    Op("return", "(call $return (local.get $a))"),
    Op("task.cancel", "(call $task.cancel)"),
    Op("yield", _logged("(call $yield)")),
    Op("backpressure.inc", "(call $backpressure.inc)"),
    Op("backpressure.dec", "(call $backpressure.dec)"),
    Op(
        "context",
        _logged("(i32.shr_u (call $context.get) (i32.const 16))")
        + "(call $context.set (i32.or (i32.shl (local.get $a) (i32.const 16)) (local.get $pc)))",
    ),
    Op("cb-wait", f"(return (i32.or (i32.const 2) (i32.shl {_reg('a')} (i32.const 4))))"),
    Op("cb-yield", "(return (i32.const 1))"),
    Op("take", _set("a", "(local.get $given)")),
    Op("swap", _set("a", _reg("b"))),
    Op("make", _set("b", "(call $make (local.get $a) (local.get $c))")),
    Op("destroy", f"(call $destroy (local.get $a) (local.get $c) {_reg('d')})"),
]
OF_ERRORS = [
    Op("error.new", _set("a", "(call $error.new (i32.const 0x8000) (local.get $b))")),
    Op(
        "error.message",
        f"(call $error.message {_reg('a')} (i32.const 0x3e08)) (call $log (i32.load (i32.const 0x3e0c)))"
        "(call $log (i32.load8_u (i32.load (i32.const 0x3e08))))",
    ),
    Op("error.drop", f"(call $error.drop {_reg('a')})"),
    Op("return-error", f"(call $return-error {_reg('a')})"),
    Op("tell", f"(call $began (call $e (local.get $a) (local.get $c) {_reg('d')} (local.get $b)) (local.get $b))"),
    Op("tell-sync", _logged(f"(call $e-sync (local.get $a) (local.get $c) {_reg('d')})")),
    Op("ask", _set("b", "(call $x-sync (local.get $a) (local.get $c))")),
]
"""Steps of programs with error contexts, which the engine has not by its Python package."""
NUMBER = {op.name: i for i, op in enumerate((*OPS, *OF_ERRORS))}


@dataclass
class Script:
    """The steps of one function, and how it is lifted.

    Attributes:
        kind: ``f`` takes a number, ``g`` a readable end; ``d`` is the destructor of a resource; ``e`` takes an error
            context, ``x`` returns one.
        plain: whether the type is synchronous.
    """

    kind: str
    lift: str
    steps: list[tuple[str, int, int, int, int]] = field(default_factory=list)
    plain: bool = False

    @property
    def is_quiet(self) -> bool:
        """Whether it traps where it would block."""
        return self.plain or self.kind == "d"

    @property
    def is_begun(self) -> bool:
        """Whether calls of it are lowered asynchronously, too."""
        return not self.plain and self.kind != "x"

    def encoded(self) -> bytes:
        data = b"".join(bytes([NUMBER[name], a, b, c, d, 0, 0, 0]) for name, a, b, c, d in self.steps)
        return data.ljust(512, b"\0")[:512]


@dataclass
class Instance:
    """One component instance: its scripts by number; it may call those of later instances."""

    scripts: list[Script]


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


# --- the text -------------------------------------------------------------------------------------------------------


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


# --- scripts --------------------------------------------------------------------------------------------------------


class _Writer:
    """Writes one script, with registers of its own, and keeps in mind what they hold."""

    def __init__(
        self,
        r: random.Random,
        script: Script,
        registers: range,
        callees: list[tuple[int, int, Script]],
        *,
        root: bool,
        errors: bool = False,
    ) -> None:
        self.r = r
        self.root = root
        self.script = script
        self.free = list(registers)
        self.callees = callees
        self.readable: list[int] = []
        self.writable: list[int] = []
        self.future_readable: list[int] = []
        self.future_writable: list[int] = []
        self.busy: dict[int, str] = {}  # an end with an operation that blocked, perhaps: which one
        self.sets: list[int] = []
        self.subtasks: list[int] = []
        self.watched: set[int] = set()  # sets with something in them that may happen
        self.buffer = r.randrange(8)
        self.things: list[tuple[int, int, int]] = []  # resources: instance, number and register
        self.errors: list[int] | None = [] if errors else None  # registers with error contexts

    def step(self, name: str, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> None:
        self.script.steps.append((name, a, b, c, d))

    def register(self) -> int | None:
        return self.free.pop() if self.free else None

    def write(self, length: int) -> Script:
        """The whole script. The root returns at the end: how far it runs behind that, nobody has said."""
        if self.script.kind == "g":
            end = self.register()
            assert end is not None
            self.step("take", end)
            self.readable.append(end)
        if self.script.kind == "e":
            error = self.register()
            assert error is not None and self.errors is not None
            self.step("take", error)
            self.errors.append(error)
        if self.script.kind == "x":
            self.step("error.new", ERROR, self.r.randrange(9))
        returned = self.script.lift == "sync" or self.script.kind == "d"
        for i in range(length):
            if not returned and not self.root and self.r.random() < i / length / 2:
                self.give_back()
                returned = True
            else:
                self.one()
        if (returned or self.root) and self.r.random() < 0.7:
            self.clean_up()
        if not returned:
            if self.r.random() < 0.9 or self.root:
                self.give_back()
            else:
                self.step("task.cancel", self.r.randrange(100))
        self.step("end")
        return self.script

    def give_back(self) -> None:
        if self.script.kind == "x":
            self.step("return-error", ERROR)
        else:
            self.step("return", self.r.randrange(100))

    def error(self) -> None:
        """Something with an error context."""
        r, errors = self.r, self.errors
        assert errors is not None
        told = [(j, n) for j, n, s in self.callees if s.kind == "e"]
        asked = [(j, n) for j, n, s in self.callees if s.kind == "x"]
        register = self.register()
        if not errors or (register is not None and r.random() < 0.2):
            if register is None:
                return
            if asked and r.random() < 0.5:
                j, n = r.choice(asked)
                self.step("ask", j, register, n)
            else:
                self.step("error.new", register, r.randrange(12))
            errors.append(register)
            return
        one = r.choice(errors)
        if told and r.random() < 0.6:
            j, n = r.choice(told)
            plain = next(s.plain for k, m, s in self.callees if (k, m) == (j, n))
            if register is None or plain or r.random() < 0.4:
                self.step("tell-sync", j, 0, n, one)
            else:
                self.step("tell", j, register, n, one)
                self.subtasks.append(register)
                return
        elif r.random() < 0.5:
            self.step("error.message", one)
        else:
            self.step("error.drop", one)
            if r.random() < 0.95:
                errors.remove(one)
        if register is not None:
            self.free.append(register)

    def one(self) -> None:
        r = self.r
        if self.errors is not None and r.random() < 0.4:
            return self.error()
        choices = [
            self.new,
            self.operate,
            self.operate,
            self.operate,
            self.wait,
            self.wait,
            self.call,
            self.call,
            self.small,
        ]
        r.choice(choices)()
        if r.random() < 0.02:  # whatever it means
            name = r.choice(OPS[1 : NUMBER["make"]]).name
            if not name.startswith("cb-") and name not in ("return", "task.cancel"):
                self.step(name, *(r.randrange(REGISTERS) for _ in range(2)), r.randrange(3), r.randrange(REGISTERS))

    def new(self) -> None:
        which = self.r.random()
        if which < 0.3:
            if (register := self.register()) is not None:
                self.step("set.new", register)
                self.sets.append(register)
            return
        a, b = self.register(), self.register()
        if a is None or b is None:
            return
        if which < 0.75:
            self.step("stream.new", a, b)
            self.readable.append(a)
            self.writable.append(b)
        else:
            self.step("future.new", a, b)
            self.future_readable.append(a)
            self.future_writable.append(b)

    def operate(self) -> None:
        r = self.r
        ends = [
            *(("stream", "read", x) for x in self.readable),
            *(("stream", "write", x) for x in self.writable),
            *(("future", "read", x) for x in self.future_readable),
            *(("future", "write", x) for x in self.future_writable),
        ]
        if not ends:
            return self.new()
        kind, what, end = r.choice(ends)
        if end in self.busy:
            if r.random() < 0.5:
                self.step(f"{kind}.cancel-{self.busy.pop(end)}", end)
            elif r.random() < 0.5 and self.sets:
                self.join(end)
            else:
                self.wait()
            return None
        if r.random() < 0.15:
            self.drop(kind, what, end)
            return None
        self.buffer = (self.buffer + 1) % 8
        if kind == "stream":
            sync = "-sync" if r.random() < (0.02 if self.script.is_quiet else 0.2) else ""
            self.step(f"stream.{what}{sync}", end, r.choice((0, 0, 1, 2, 3, 7)), self.buffer)
            if sync:
                return None
        else:
            self.step(f"future.{what}", end, 0, self.buffer)
        self.busy[end] = what
        return None

    def join(self, waitable: int) -> None:
        one = self.r.choice(self.sets)
        self.step("join", waitable, one)
        self.watched.add(one)

    def drop(self, kind: str, what: str, end: int) -> None:
        self.step(f"{kind}.drop-{'readable' if what == 'read' else 'writable'}", end)
        for held in (self.readable, self.writable, self.future_readable, self.future_writable):
            if end in held:
                held.remove(end)
        self.busy.pop(end, None)

    def wait(self) -> None:
        r = self.r
        if not self.sets:
            return self.new()
        one = r.choice(self.sets)
        how = r.random()
        if self.script.is_quiet and how < 0.9:
            how = 0
        if how < 0.4 or (one not in self.watched and r.random() < 0.95):
            self.step("poll", one)
        elif self.script.lift == "callback" and how < 0.9:
            self.step("cb-wait", one)
        else:
            self.step("wait", one)
        if r.random() < 0.5:
            self.busy.clear()
        return None

    def call(self) -> None:
        r = self.r
        if self.subtasks and r.random() < 0.4:
            task = r.choice(self.subtasks)
            which = r.random()
            if which < 0.5 and self.sets:
                self.join(task)
            elif which < 0.75:
                self.step("subtask.cancel", task)
            else:
                self.step("subtask.drop", task)
                self.subtasks.remove(task)
            return
        if not self.callees:
            return self.operate()
        j, n, callee = r.choice(self.callees)
        if callee.kind == "d":
            return self.thing(j, n)
        if callee.kind in ("e", "x"):
            return self.error()
        sync = r.random() < 0.25 or callee.plain
        if callee.kind == "g":
            if not self.readable:
                return self.new()
            end = r.choice(self.readable)
            if end not in self.busy:
                self.readable.remove(end)
        else:
            end = 0
        name = {"f": "call", "g": "give"}[callee.kind]
        if sync:
            self.step(f"{name}-sync", j, 0, n, end)
            return None
        register = self.register()
        if register is None:
            return None
        self.step(name, j, register, n, end)
        self.subtasks.append(register)
        return None

    def thing(self, j: int, n: int) -> None:
        if self.things and self.r.random() < 0.6:
            j, n, register = self.things.pop()
            return self.step("destroy", j, 0, n, register)
        if (register_ := self.register()) is not None:
            self.step("make", j, register_, n)
            self.things.append((j, n, register_))
        return None

    def small(self) -> None:
        r = self.r
        which = r.random()
        if which < 0.4:
            self.step("cb-yield" if self.script.lift == "callback" and r.random() < 0.6 else "yield")
        elif which < 0.6:
            self.step("context", r.randrange(256))
        elif which < 0.7:
            self.step("backpressure.inc")
            self.one()
            self.step("backpressure.dec")
        else:
            self.wait()

    def clean_up(self) -> None:
        for end in list(self.busy):
            for kind, held in (
                ("stream", (self.readable, self.writable)),
                ("future", (self.future_readable, self.future_writable)),
            ):
                if any(end in ends for ends in held):
                    self.step(f"{kind}.cancel-{self.busy[end]}", end)
        for end in list(self.readable):
            self.drop("stream", "read", end)
        for end in list(self.writable):
            self.drop("stream", "write", end)


def generate(seed: int, like: Program | None = None, *, more: bool = False, errors: bool = False) -> Program:
    """The program of a seed; of the same shape as another one, if given, so that only the scripts differ.

    `more` shapes have functions of synchronous type, and destructors; others have `errors`, error contexts.
    """
    errors = errors or (like is not None and like.errors)
    r = random.Random(seed)
    instances = (
        _shape(r, more=more, errors=errors)
        if like is None
        else [Instance([Script(s.kind, s.lift, plain=s.plain) for s in each.scripts]) for each in like.instances]
    )
    for k, instance in enumerate(instances):
        called = callees(Program(seed, "", instances), k)
        share = REGISTERS // len(instance.scripts)
        for n, script in enumerate(instance.scripts):
            _Writer(r, script, range(n * share, (n + 1) * share), called, root=k == 0, errors=errors).write(
                r.randint(2, 14)
            )
    element = r.choice((*ELEMENTS, "", "u8", "u8", "u32")) if like is None else like.element
    return Program(seed, element, instances, errors)


def _shape(r: random.Random, *, more: bool = False, errors: bool = False) -> list[Instance]:
    """Instances, each with the kinds and lifts of its scripts."""
    count = r.choice((2, 3, 3, 4)) if more else r.choice((1, 2, 2, 3, 3))
    made = [
        Instance(
            [
                Script("f" if k == 0 or r.random() < 0.5 else "g", r.choice(LIFTS))
                for _ in range(1 if k == 0 else r.randint(1, 2))
            ]
        )
        for k in range(count)
    ]
    for instance in made[1:] if more else ():
        for script in instance.scripts:
            which = r.random()
            if which < 0.2:
                script.kind, script.lift = "d", "sync"
            elif which < 0.35:
                script.lift, script.plain = "sync", True
    for instance in made[1:] if errors else ():
        for script in instance.scripts:
            script.kind = r.choice((script.kind, "e", "e", "x")) if script.kind != "d" else "d"
    return made


# --- wrong handles --------------------------------------------------------------------------------------------------

HANDLES: dict[str, list[tuple[str, int, int, int, int]]] = {
    "nothing": [],
    "readable": [("stream.new", 1, 2, 0, 0)],
    "writable": [("stream.new", 2, 1, 0, 0)],
    "future-readable": [("future.new", 1, 2, 0, 0)],
    "future-writable": [("future.new", 2, 1, 0, 0)],
    "set": [("set.new", 1, 0, 0, 0)],
    "subtask": [("call", 1, 1, 0, 0)],
    "returned": [("call", 1, 1, 1, 0), ("set.new", 2, 0, 0, 0), ("join", 1, 2, 0, 0), ("wait", 2, 0, 0, 0)],
    "dropped": [("set.new", 1, 0, 0, 0), ("set.drop", 1, 0, 0, 0)],
    "busy": [("stream.new", 1, 2, 0, 0), ("stream.read", 1, 1, 0, 0)],
    "in a set": [("stream.new", 1, 2, 0, 0), ("set.new", 3, 0, 0, 0), ("join", 1, 3, 0, 0)],
}
"""Steps after which register 1 holds a handle of some kind. Registers that nobody sets hold 0."""

NO_HANDLE = ("return", "context", "take", "make", "destroy")
ON_HANDLES = [op.name for op in OPS if "local.get $a" in op.code and op.name not in NO_HANDLE]


def misuses() -> list[tuple[str, Program]]:
    """Every built-in on handles of every kind."""
    found = []
    for kind, made in HANDLES.items():
        for name in ON_HANDLES:
            if name in ("stream.new", "future.new", "set.new", "call", "call-sync", "swap", "cb-wait", "cb-yield"):
                continue
            step = (name, 1, 3, 2, 1)
            root = Script("f", "stackful", [*made, step, ("return", 5, 0, 0, 0), ("end", 0, 0, 0, 0)])
            waits = Script("f", "stackful", [("yield", 0, 0, 0, 0)] * 3 + [("return", 1, 0, 0, 0)])
            soon = Script("f", "stackful", [("yield", 0, 0, 0, 0), ("return", 2, 0, 0, 0)])
            takes = Script("g", "stackful", [("take", 1, 0, 0, 0), ("return", 3, 0, 0, 0)])
            found.append((f"{name} of {kind}", Program(0, "u8", [Instance([root]), Instance([waits, soon, takes])])))
    return found
