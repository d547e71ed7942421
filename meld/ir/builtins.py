"""The table of canonical built-ins: names in text, opcodes, operands (Component Model, Binary.md, `canon`).

Where the document and wasm-tools 1.262 differ, it says what wasm-tools reads and writes.
"""

from __future__ import annotations

from enum import Enum

ENCODINGS = {"utf8": 0, "utf16": 1, "latin1+utf16": 2}
"""String encodings: name in text, code."""


class Operand(Enum):
    """What follows the opcode of a built-in."""

    TYPE = "type"
    CORE_TYPE = "core type"
    TABLE = "table"
    MEMORY = "memory"
    OPTIONS = "options"
    ASYNC = "async"
    RESULT = "result"
    SLOT = "slot"
    ZERO = "zero"  # where `cancellable` once stood


BUILTINS: dict[str, tuple[int, tuple[Operand, ...]]] = {
    "resource.new": (0x02, (Operand.TYPE,)),
    "resource.drop": (0x03, (Operand.TYPE,)),
    "resource.rep": (0x04, (Operand.TYPE,)),
    "task.cancel": (0x05, ()),
    "subtask.cancel": (0x06, (Operand.ASYNC,)),
    "task.return": (0x09, (Operand.RESULT, Operand.OPTIONS)),
    "context.get": (0x0A, (Operand.SLOT,)),
    "context.set": (0x0B, (Operand.SLOT,)),
    "thread.yield": (0x0C, (Operand.ZERO,)),
    "subtask.drop": (0x0D, ()),
    "stream.new": (0x0E, (Operand.TYPE,)),
    "stream.read": (0x0F, (Operand.TYPE, Operand.OPTIONS)),
    "stream.write": (0x10, (Operand.TYPE, Operand.OPTIONS)),
    "stream.cancel-read": (0x11, (Operand.TYPE, Operand.ASYNC)),
    "stream.cancel-write": (0x12, (Operand.TYPE, Operand.ASYNC)),
    "stream.drop-readable": (0x13, (Operand.TYPE,)),
    "stream.drop-writable": (0x14, (Operand.TYPE,)),
    "future.new": (0x15, (Operand.TYPE,)),
    "future.read": (0x16, (Operand.TYPE, Operand.OPTIONS)),
    "future.write": (0x17, (Operand.TYPE, Operand.OPTIONS)),
    "future.cancel-read": (0x18, (Operand.TYPE, Operand.ASYNC)),
    "future.cancel-write": (0x19, (Operand.TYPE, Operand.ASYNC)),
    "future.drop-readable": (0x1A, (Operand.TYPE,)),
    "future.drop-writable": (0x1B, (Operand.TYPE,)),
    "error-context.new": (0x1C, (Operand.OPTIONS,)),
    "error-context.debug-message": (0x1D, (Operand.OPTIONS,)),
    "error-context.drop": (0x1E, ()),
    "waitable-set.new": (0x1F, ()),
    "waitable-set.wait": (0x20, (Operand.ZERO, Operand.MEMORY)),
    "waitable-set.poll": (0x21, (Operand.ZERO, Operand.MEMORY)),
    "waitable-set.drop": (0x22, ()),
    "waitable.join": (0x23, ()),
    "backpressure.inc": (0x24, ()),
    "backpressure.dec": (0x25, ()),
    "thread.index": (0x26, ()),
    "thread.new-indirect": (0x27, (Operand.CORE_TYPE, Operand.TABLE)),
    "thread.resume-later": (0x28, ()),
    "thread.suspend": (0x29, (Operand.ZERO,)),
    "thread.suspend-then-resume": (0x2A, (Operand.ZERO,)),
    "thread.yield-then-resume": (0x2B, (Operand.ZERO,)),
    "thread.suspend-then-promote": (0x2C, (Operand.ZERO,)),
    "thread.yield-then-promote": (0x2D, (Operand.ZERO,)),
    "stream.forward": (0x2E, (Operand.TYPE,)),
    "future.forward": (0x2F, (Operand.TYPE,)),
    "thread.spawn-ref": (0x40, (Operand.CORE_TYPE,)),
    "thread.spawn-indirect": (0x41, (Operand.CORE_TYPE, Operand.TABLE)),
    "thread.available_parallelism": (0x42, ()),
}
"""Built-ins by their names in text: opcode and operands."""

BUILTIN_BY_CODE = {code: name for name, (code, _) in BUILTINS.items()}
