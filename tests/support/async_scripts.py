"""Scripts of random asynchronous programs: steps over the built-ins of streams, futures and tasks.

A step is a number and four bytes; its code, in a loop over the script, does it and logs what the built-in answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

REGISTERS = 12
ERROR = 12
"""The register of the error context that a function returns."""


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
