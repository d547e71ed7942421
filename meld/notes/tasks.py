"""Notes of `plan-tasks`: how each call between components is made, and how each export is entered."""

from __future__ import annotations

from enum import Enum

from meld.ir.module import Global
from meld.ir.notes import Note, flag, note, number, ref, symbol, text


class How(Enum):
    """How a call is made; the value is the word in the note."""

    DIRECT = "direct"
    """The adapter calls the callee and is done when it returns."""
    PROMPT = "prompt"
    """An asynchronous call that is over when the callee returns: no scheduler, one global says what runs."""
    TASK = "task"
    """The callee runs as a task: it may wait, and the call may be over later than the caller goes on."""


class Running(Enum):
    """The running task as the code of a callee finds it; the value is the word in the note."""

    CALLER = "caller"
    """The caller's. Nothing in the callee asks for it."""
    SYNC = "sync"
    """One that must not block, since the function is synchronous."""
    ASYNC = "async"
    """One that may block if the caller's may: a function of async type that is lifted and lowered synchronously."""


@note("planned")
class Planned(Note):
    """On the import of a boundary: how the call is made.

    Attributes:
        how: a `How`.
        call: the number of a call that is a task, from 1.
        running: a `Running`, of a direct call.
        context: the callee has context slots of its own.
        blocks: how the callee may block: a call path, functions separated by ``→``.
    """

    how: str = symbol(positional=True)
    call: int = number(default=0)
    running: str = symbol(default=Running.CALLER.value)
    context: bool = flag(default=False)
    blocks: str | None = text(default=None)


@note("planned-export")
class PlannedExport(Note):
    """On the module: how an exported function is entered, by its label. See `Planned`.

    Attributes:
        how: ``direct`` if the callee itself is exported, or ``task``.
    """

    label: str = text(positional=True)
    how: str = symbol()
    call: int = number(default=0)
    context: bool = flag(default=False)
    blocks: str | None = text(default=None)


@note("uses-context")
class UsesContext(Note):
    """On a `realloc`: it uses context slots, which are its own for each call (0 at the start, forgotten at the end)."""


@note("context-slots")
class ContextSlots(Note):
    """On the module: the globals that hold the context slots of whatever runs."""

    first: Global = ref("globals")
    second: Global = ref("globals")
