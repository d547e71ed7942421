"""The table of canonical built-ins: names, opcodes, operands, core signatures, what they do to their task.

Both formats, validity, `merge`, the passes for tasks and the interpreter look built-ins up here. Where the documents
and wasm-tools 1.262 differ, the table says what wasm-tools reads and writes.

Source: Component Model, Binary.md (`canon`), Explainer.md and CanonicalABI.md (Canonical Built-ins).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TypeAlias

from meld.diagnostics import MeldError
from meld.ir.proposals import HINT, THREADS, unsupported
from meld.ir.types import I32, I64, FuncType, NumType, ValType
from meld.support.records import record

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


class Part(Enum):
    """Core types in a signature that depend on the operands."""

    POINTER = "pointer"  # an address or a length in the memory of the options
    REP = "rep"  # the representation of the resource type
    SLOT = "slot"  # the type of the context slot
    RESULT = "result"  # the result type, flattened
    INDEX = "index"  # an index of the table
    ARGUMENT = "argument"  # what the function that a thread begins with takes


class Blocking(Enum):
    """Whether a built-in suspends the task that calls it."""

    NEVER = "never"
    SYNC = "sync"  # unless it is `async`
    ALWAYS = "always"


Slots: TypeAlias = tuple[NumType | Part, ...]


@record(frozen=True)
class Builtin:
    """A canonical built-in.

    Attributes:
        name: in text.
        code: the opcode.
        operands: what follows the opcode, in order.
        params, results: the core signature; no params (None) where the documents do not give one yet.
        blocking: whether a call suspends the task.
        leaves: whether a call traps while the instance must not be left (`may_leave`).
        proposal: the unsupported proposal that the built-in belongs to, or "".
    """

    name: str
    code: int
    operands: tuple[Operand, ...] = ()
    params: Slots | None = ()
    results: Slots = ()
    blocking: Blocking = Blocking.NEVER
    leaves: bool = True
    proposal: str = ""

    def signature(self, parts: Mapping[Part, Iterable[ValType]]) -> FuncType | None:
        """The core type of the built-in; `parts` has the core types of those `Part`s that occur in it."""
        if self.params is None:
            return None
        return FuncType(_filled(self.params, parts), _filled(self.results, parts))

    def blocks(self, is_async: bool) -> bool:
        """Whether a call suspends its task, by the `async` of its options."""
        return self.blocking is Blocking.ALWAYS or (self.blocking is Blocking.SYNC and not is_async)

    def check_supported(self) -> None:
        """Raises MeldError if the built-in belongs to a proposal that is not supported."""
        if self.proposal:
            raise MeldError(unsupported(self.proposal, f"`{self.name}`"), hint=HINT)


def _filled(slots: Slots, parts: Mapping[Part, Iterable[ValType]]) -> tuple[ValType, ...]:
    found: list[ValType] = []
    for slot in slots:
        found += parts[slot] if isinstance(slot, Part) else (slot,)
    return tuple(found)


_P = Part.POINTER
_TYPE, _OPTIONS, _ASYNC, _ZERO = (Operand.TYPE,), (Operand.OPTIONS,), (Operand.ASYNC,), (Operand.ZERO,)


def _ends(kind: str, first: int, buffer: Slots) -> tuple[Builtin, ...]:
    """The built-ins of streams or of futures, at consecutive opcodes. `buffer`: where the values are, and how many."""
    new = Builtin(f"{kind}.new", first, _TYPE, (), (I64,))
    copies = [
        Builtin(f"{kind}.{verb}", first + i, _TYPE + _OPTIONS, (I32, *buffer), (I32,), Blocking.SYNC)
        for i, verb in enumerate(("read", "write"), 1)
    ]
    cancels = [
        Builtin(f"{kind}.cancel-{verb}", first + i, _TYPE + _ASYNC, (I32,), (I32,))
        for i, verb in enumerate(("read", "write"), 3)
    ]
    drops = [
        Builtin(f"{kind}.drop-{end}", first + i, _TYPE, (I32,)) for i, end in enumerate(("readable", "writable"), 5)
    ]
    return new, *copies, *cancels, *drops


_ALL = (
    Builtin("resource.new", 0x02, _TYPE, (Part.REP,), (I32,)),
    Builtin("resource.drop", 0x03, _TYPE, (I32,)),
    Builtin("resource.rep", 0x04, _TYPE, (I32,), (Part.REP,), leaves=False),
    Builtin("task.cancel", 0x05),
    Builtin("subtask.cancel", 0x06, _ASYNC, (I32,), (I32,), Blocking.SYNC),
    Builtin("task.return", 0x09, (Operand.RESULT, Operand.OPTIONS), (Part.RESULT,)),
    Builtin("context.get", 0x0A, (Operand.SLOT,), (), (Part.SLOT,), leaves=False),
    Builtin("context.set", 0x0B, (Operand.SLOT,), (Part.SLOT,), leaves=False),
    Builtin("thread.yield", 0x0C, _ZERO, (), (I32,), Blocking.ALWAYS),
    Builtin("subtask.drop", 0x0D, (), (I32,)),
    *_ends("stream", 0x0E, (_P, _P)),
    *_ends("future", 0x15, (_P,)),
    Builtin("error-context.new", 0x1C, _OPTIONS, (_P, _P), (I32,)),
    Builtin("error-context.debug-message", 0x1D, _OPTIONS, (I32, _P)),
    Builtin("error-context.drop", 0x1E, (), (I32,)),
    Builtin("waitable-set.new", 0x1F, (), (), (I32,)),
    Builtin("waitable-set.wait", 0x20, (Operand.ZERO, Operand.MEMORY), (I32, _P), (I32,), Blocking.ALWAYS),
    Builtin("waitable-set.poll", 0x21, (Operand.ZERO, Operand.MEMORY), (I32, _P), (I32,)),
    Builtin("waitable-set.drop", 0x22, (), (I32,)),
    Builtin("waitable.join", 0x23, (), (I32, I32)),
    Builtin("backpressure.inc", 0x24, leaves=False),
    Builtin("backpressure.dec", 0x25, leaves=False),
    Builtin("thread.index", 0x26, (), (), (I32,)),
    Builtin("thread.new-indirect", 0x27, (Operand.CORE_TYPE, Operand.TABLE), (Part.INDEX, Part.ARGUMENT), (I32,)),
    Builtin("thread.resume-later", 0x28, (), (I32,)),
    Builtin("thread.suspend", 0x29, _ZERO, (), (I32,), Blocking.ALWAYS),
    Builtin("thread.suspend-then-resume", 0x2A, _ZERO, (I32,), (I32,), Blocking.ALWAYS),
    Builtin("thread.yield-then-resume", 0x2B, _ZERO, (I32,), (I32,), Blocking.ALWAYS),
    Builtin("thread.suspend-then-promote", 0x2C, _ZERO, (I32,), (I32,), Blocking.ALWAYS),
    Builtin("thread.yield-then-promote", 0x2D, _ZERO, (I32,), (I32,), Blocking.ALWAYS),
    Builtin("stream.forward", 0x2E, _TYPE, None),
    Builtin("future.forward", 0x2F, _TYPE, None),
    Builtin("thread.spawn-ref", 0x40, (Operand.CORE_TYPE,), None, proposal=THREADS),
    Builtin("thread.spawn-indirect", 0x41, (Operand.CORE_TYPE, Operand.TABLE), None, proposal=THREADS),
    Builtin("thread.available_parallelism", 0x42, (), (), (I32,), proposal=THREADS),
)

BUILTINS = {builtin.name: builtin for builtin in _ALL}
"""Built-ins by their names in text."""
BUILTIN_BY_CODE = {builtin.code: builtin for builtin in _ALL}
"""Built-ins by their opcodes."""

SWITCHES = ("suspend", "suspend-then-resume", "yield-then-resume", "suspend-then-promote", "yield-then-promote")
CONTEXT_BUILTINS = frozenset({"context.get", "context.set"})
THREAD_BUILTINS = frozenset(f"thread.{verb}" for verb in ("index", "new-indirect", "resume-later", *SWITCHES))
"""The built-ins of cooperative threads, apart from `thread.yield`, which needs none."""
THREAD_START = FuncType((I32,), ())
"""The type of the function that a thread begins with."""
