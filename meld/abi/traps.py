"""Why generated code traps: one function per reason, whose name is the reason in the words of the engine.

A core module cannot choose the message of a trap, but an engine's report names the functions that ran. So every check
that fails calls one of these. A check that does not trap costs no more than with `unreachable`.

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
    THROWN_BY_TASK = "thrown Wasm exception"
    ALIGNMENT = "unaligned pointer"
    AREA = "out of bounds memory access"
    STRING = "string content out-of-bounds"
    LIST = "list content out-of-bounds"
    LIST_RANGE = "list pointer/length out of bounds of memory"
    LIST_ALIGNMENT = "list pointer is not aligned"
    STRING_RANGE = "string pointer/length out of bounds of memory"
    STRING_ALIGNMENT = "string pointer not aligned to 2"
    REALLOC_RANGE = "realloc return: beyond end of memory"
    REALLOC_ALIGNMENT = "realloc return: result not aligned"
    UTF8 = "invalid utf8 encoding"
    UTF16 = "invalid utf16 encoding"
    CHAR = "invalid `char` bit pattern"
    CHAR_RANGE = "converted integer out of range for `char`"
    DISCRIMINANT = "invalid variant discriminant"
    HANDLE = "unknown handle index"
    HANDLE_TYPE = "handle index used with the wrong type"
    NOT_RESOURCE = "index is not a resource"
    NOT_OWN = "cannot lift own resource from a borrow"
    LENT = "cannot remove owned resource while borrowed"
    BORROWS = "borrow handles still remain at the end of the call"
    TABLE = "cannot allocate another handle"
    MEMORY = "out of memory for handles and tasks"
    TASKS = "cannot start another task of the instance"
    HOST_END = "a stream or future cannot be passed between a core module and its host"
    OVERLAP = "overlapping memory from `realloc`"
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
    SET_HAS_MEMBERS = "cannot drop waitable set with members: resource has children"
    NOT_SET = "handle is not an waitable-set"
    NOT_SET_TO_DROP = "handle is not a waitable-set"
    NOT_SUBTASK = "handle is not a subtask"
    NOT_WAITABLE = "handle is not a waitable"
    EVENT_ALIGNMENT = "pointer not aligned"
    EVENT_RANGE = "pointer out of bounds"
    NOT_STREAM = "handle is not a stream"
    NOT_FUTURE = "handle is not a future"
    OTHER_STREAM = "handle is a stream of a different type"
    OTHER_FUTURE = "handle is a future of a different type"
    COPYING = "cannot have concurrent operations active on a future/stream"
    TOO_MANY = "stream read/write count too large"
    TOO_MUCH = (
        "too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted"
    )
    BUFFER = "read pointer out of bounds of memory"
    READ_ALIGNMENT = "read pointer not aligned"
    WRITE_ALIGNMENT = "write pointer not aligned"
    READ_DONE = "cannot read from stream after being notified that the writable end dropped"
    WRITE_DONE = "cannot write to stream after being notified that the readable end dropped"
    READ_WRITTEN = "cannot read from future after previous read succeeded"
    WRITE_WRITTEN = "cannot write to future after previous write succeeded or readable end dropped"
    BOTH_ENDS = "cannot read from and write to intra-component future/stream with non-numeric payload"
    NO_READ = "stream or future read cancelled when no read is pending"
    NO_WRITE = "stream or future write cancelled when no write is pending"
    CANCEL_READ_END = "passed read end to `{stream|future}.cancel-write`"
    CANCEL_WRITE_END = "passed write end to `{stream|future}.cancel-read`"
    NOT_READABLE_STREAM = "handle is not a readable end of a stream"
    NOT_READABLE_FUTURE = "handle is not a readable end of a future"
    NOT_WRITABLE_STREAM = "passed read end to `stream.drop-writable`"
    NOT_WRITABLE_FUTURE = "passed read end to `future.drop-writable`"
    BUSY_READABLE_STREAM = "cannot remove busy stream"
    BUSY_READABLE_FUTURE = "cannot remove busy future"
    BUSY_WRITABLE_STREAM = "cannot drop busy stream"
    BUSY_WRITABLE_FUTURE = "cannot drop busy future"
    FUTURE_NOT_WRITTEN = "cannot drop future write end without first writing a value"
    LIFT_DONE_STREAM = "cannot lift stream after being notified that the writable end dropped"
    LIFT_READ_FUTURE = "cannot lift future after previous read succeeded"
    LIFT_JOINED_STREAM = "cannot lift stream while it's in a waitable set"
    LIFT_JOINED_FUTURE = "cannot lift future while it's in a waitable set"
    NOT_ERROR_CONTEXT = "handle is not an error-context"
    MESSAGE_AREA = "invalid debug message pointer: out of bounds"
    NOT_SUSPENDED = "cannot resume thread which is not suspended"
    START_UNINITIALIZED = "the start function index points to an uninitialized function"
    START_TYPE = "start function does not match expected type (currently only `(i32) -> ()` is supported)"
    SYNC_AND_ASYNC = "waitable cannot be used synchronously while added to a waitable set"
    OUT_OF_ORDER = "a blocked call would have to resume before one that was started later"
    """Not the engine's, as TASKS and MEMORY are not: frames on the stack of a core module cannot change places."""


IN_CALLS = {
    Trap.LIST_ALIGNMENT: Trap.ALIGNMENT,
    Trap.STRING_ALIGNMENT: Trap.ALIGNMENT,
    Trap.REALLOC_ALIGNMENT: Trap.ALIGNMENT,
}
IN_ELEMENTS = {
    Trap.LIST: Trap.LIST_RANGE,
    Trap.STRING: Trap.STRING_RANGE,
    Trap.CHAR: Trap.CHAR_RANGE,
}
"""Other reasons for the same checks on values of calls, and on elements of streams and futures: the engine translates
the former by generated code, and lifts and lowers the latter itself, with words of its own."""

OF_INDEX = {
    Trap.HANDLE: "unknown handle index {}",
    Trap.HANDLE_TYPE: "handle index {} used with the wrong type, "
    "expected guest-defined resource but found a different guest-defined resource",
    Trap.NOT_RESOURCE: "index {} is not a resource",
}
"""What traps for a handle is given its index. A name cannot hold any number; the likeliest ones have their own."""

NAMED_INDICES = (*range(8), 0xFFFFFFFF)
"""They do: most tables are small, 0 is a handle that was never set, and -1 is what calls that fail return."""


def trap_function(module: Module, reason: Trap) -> Function:
    """The function of a module that traps for a reason: ``[] → []``, or ``[i32] → []`` if the reason has an index."""
    for function in module.functions:
        if function.synthetic == KIND and function.name == reason.value:
            return function
    code: list[Instruction] = []
    if reason in OF_INDEX:
        for index in NAMED_INDICES:
            named = _add(module, OF_INDEX[reason].format(index), [])
            code += [
                Instruction("local.get", (0,)),
                Instruction("i32.const", (index - (index >> 31 << 32),)),
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
