"""Why generated code traps: one function per reason, whose name is the reason in the words of the engine.

A core module cannot choose the message of a trap, but an engine's report names the functions that ran. So every check
that fails calls one of these. They stay out of the way of what does not trap: a check costs what `unreachable` cost.

Source: Component Model, CanonicalABI.md (`trap_if`); messages of wasmtime (`wasmtime_environ::Trap` and its tables).
"""

from __future__ import annotations

from enum import Enum

from meld.ir.instructions import Code, Instruction
from meld.ir.module import Function, Module
from meld.ir.types import I32, ValType

KIND = "trap"
"""What these functions are, for attribution (`Item.synthetic`)."""


class Trap(Enum):
    """A reason; the value is the name of its function. Templates call it by its name here: ``{trap ENTER}``."""

    LEAVE = "cannot leave component instance"
    ENTER = "cannot enter component instance"
    THROWN = "uncaught exception propagated out of component"
    ALIGNMENT = "unaligned pointer"
    AREA = "out of bounds memory access"
    STRING = "string content out-of-bounds"
    LIST = "list content out-of-bounds"
    UTF8 = "invalid utf8 encoding"
    UTF16 = "invalid utf16 encoding"
    CHAR = "invalid `char` bit pattern"
    DISCRIMINANT = "invalid variant discriminant"
    HANDLE = "unknown handle index"
    HANDLE_TYPE = "handle index used with the wrong type"
    NOT_OWN = "cannot lift own resource from a borrow"
    LENT = "cannot remove owned resource while borrowed"
    BORROWS = "borrow handles still remain at the end of the call"
    TABLE = "cannot allocate another handle"
    MEMORY = "out of memory for handles and tasks"
    NO_RESULT = "async-lifted export failed to produce a result"
    RETURN_TWICE = "`task.return` or `task.cancel` called more than once for current task"
    RETURN_INVALID = "invalid `task.return` signature and/or options for current task"
    BLOCK = "cannot block a synchronous task before returning"
    DEADLOCK = "deadlock detected: event loop cannot make further progress"
    CALLBACK_CODE = "unsupported callback code"
    CANCEL_NOT_SENT = "`task.cancel` called by task which has not been cancelled"
    CANCEL_TERMINAL = "`subtask.cancel` called after terminal status delivered"
    SUBTASK_DROP = "cannot drop a subtask which has not yet resolved"
    SET_HAS_WAITERS = "cannot drop waitable set with waiters"
    BACKPRESSURE = "backpressure counter overflow"
    SYNC_AND_ASYNC = "waitable cannot be used synchronously while added to a waitable set"
    OUT_OF_ORDER = "a blocked call would have to resume before one that was started later"
    """The one that is not the engine's: frames on the stack of a core module cannot change places."""


OF_INDEX = {
    Trap.HANDLE: "unknown handle index {}",
    Trap.HANDLE_TYPE: "handle index {} used with the wrong type, "
    "expected guest-defined resource but found a different guest-defined resource",
}
"""What traps for a handle is given its index. A name cannot hold any number; the smallest ones have their own."""

NAMED_INDICES = 8
"""So many indices from 0 on have them. Most tables are small, and 0 is what a handle is that nobody has set."""


def trap_function(module: Module, reason: Trap) -> Function:
    """The function of a module that traps for a reason: ``[] → []``, or ``[i32] → []`` if the reason has an index."""
    for function in module.functions:
        if function.synthetic == KIND and function.name == reason.value:
            return function
    code: list[Instruction] = []
    if reason in OF_INDEX:
        for index in range(NAMED_INDICES):
            named = _add(module, OF_INDEX[reason].format(index), [])
            code += [
                Instruction("local.get", (0,)),
                Instruction("i32.const", (index,)),
                Instruction("i32.eq"),
                Instruction("if", (None,)),
                Instruction("call", (named,)),
                Instruction("end"),
            ]
    return _add(module, reason.value, code, (I32,) if reason in OF_INDEX else ())


def _add(module: Module, name: str, code: list[Instruction], params: tuple[ValType, ...] = ()) -> Function:
    body = Code([], [*code, Instruction("unreachable")])
    made = Function(module.func_type(params), body, name=name, synthetic=KIND)
    module.add(made)
    return made


def trap_text(name: str) -> str:
    """Such a function as WAT, under the name that it has in a text."""
    return f"  (func {name} unreachable)"
