"""Bodies of built-ins that need no thought, and parts of the templates that only some programs have."""

from __future__ import annotations

from typing import Any

from meld.abi.layout import MAX_FLAT_PARAMS
from meld.ir.builtins import THREAD_BUILTINS
from meld.notes.channels import FIRST_FUTURE
from meld.notes.tasks import task_bytes
from meld.passes.emit_tasks.open_ends import hooks
from meld.passes.emit_tasks.threads import Threads, thread_hooks

MOST_YIELDS = 10_000
"""How often a task may yield while its frame blocks one that could be resumed."""
ROOM = 512
"""Bytes of the room that frames get at first when they leave the stack; a power of two."""

WITHOUT_TASKS = {
    "task.return": "(call {trap RETURN_INVALID}) (unreachable)",
    "task.cancel": "(call {trap CANCEL_NOT_SENT}) (unreachable)",
    "thread.yield": "(i32.const 0)",
    **dict.fromkeys(("subtask.cancel", "subtask.drop"), "(call {trap HANDLE} (local.get 0)) (unreachable)"),
    **dict.fromkeys(THREAD_BUILTINS, "(call {trap BLOCK}) (unreachable)"),
}
"""Bodies of built-ins in a module without tasks: a yield returns at once, and there are no handles."""


def _no_subtask(find: str, word: str) -> str:
    return f"(drop (call {find} (i32.const {{record}}) (local.get 0))) (call {{trap {word}}}) (unreachable)"


OF_CHANNELS = {
    "subtask.cancel": _no_subtask("$entry_of", "NOT_SUBTASK"),
    "subtask.drop": _no_subtask("$waitable_of", "NOT_SUBTASK"),
}
"""Bodies of built-ins in a module without tasks that has channels."""
OF_RESOURCES = {
    "subtask.cancel": _no_subtask("$entry_of", "NOT_SUBTASK"),
    "subtask.drop": _no_subtask("$entry_of", "NOT_WAITABLE"),
}
"""The same where there are no channels: all handles are those of resources."""

WITH_TASKS = {
    "task.cancel": "(call $task_cancel)",
    "thread.yield": "(call $yield)",
    "subtask.cancel": "(call $subtask_cancel (i32.const {record}) (local.get 0) (i32.const {sync}))",
    "subtask.drop": "(call $subtask_drop (i32.const {record}) (local.get 0))",
    "backpressure.inc": "(call $backpressure_inc (i32.const {record}))",
    "backpressure.dec": "(call $backpressure_dec (i32.const {record}))",
}
"""Bodies of built-ins over `tasks.wat`; that of task.return is `TaskCalls.task_return`."""

HOOKS_WITHOUT_TASKS = """
  (func $await_end (param $waitable i32) (result i32)
    (if (i32.load $state offset=4 (local.get $waitable)) (then (call {trap SYNC_AND_ASYNC}) (unreachable)))
    (call {trap BLOCK})
    (unreachable))
  (func $block_on_set (param $set i32)
    (if (i32.load $state (local.get $set)) (then (return)))
    (call {trap BLOCK})
    (unreachable))
  (func $set_wake (param $set i32))
"""
"""The functions that channels and waitable sets call of a scheduler, for modules without one."""


SWAP_CONTEXT = """
  (func $swap_context (param $task i32)
    (local $slot {core})
    (local.set $slot (global.get $context.0))
    (global.set $context.0 ({core}.load $state offset=64 (local.get $task)))
    ({core}.store $state offset=64 (local.get $task) (local.get $slot))
    (local.set $slot (global.get $context.1))
    (global.set $context.1 ({core}.load $state offset=72 (local.get $task)))
    ({core}.store $state offset=72 (local.get $task) (local.get $slot)))
"""
END_SCOPE = """(call $end_borrows (i32.add (local.get $task) (i32.const 48)))
    (if (i32.load $state offset=44 (local.get $task))
      (then
        (call $end_loans
          (i32.load $state offset=44 (local.get $task))
          (i32.add (local.get $task) (i32.const 48)))))"""


def scheduler_params(
    outside: int, queues: int, shares: int, most_tasks: int, *, opens: bool, threads: Threads | None
) -> dict[str, Any]:
    """The parameters of `tasks.wat` and `frames.wat`, for a program without context slots and borrows in calls.

    Args:
        outside: the address of the task of code that must not block.
        queues: the address of the queues, 24 bytes.
        shares: the address of the counts of tasks.
        most_tasks: how many a share may have.
        opens: whether the host has something that may go on.
        threads: those that instances make, if any does.
    """
    return {
        "least": task_bytes(0),
        "most": task_bytes(MAX_FLAT_PARAMS),
        "outside": outside,
        "ready": queues,
        "later": queues + 8,
        "waiting": queues + 16,
        "waiting_last": queues + 20,
        "room": ROOM,
        "room_left": ROOM - 32,
        "most_yields": MOST_YIELDS,
        "shares": shares,
        "most_tasks": most_tasks,
        "swap_context": "",
        "end_scope": "",
        "first_future": FIRST_FUTURE,
        **hooks(opens=opens),
        **thread_hooks(threads),
    }
