"""Calls of core functions by threads, and the wasm frames of those that wait.

A guest call is a generator: it yields for as long as something that the function called has to wait. Meanwhile the
frames in between are off the native stack, if the module could be made so (`Unwinding`); `Thread.held` is for those
that are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from types import GeneratorType
from typing import Any, Protocol

from meld.ir.module import Function
from meld.runtime.canonical import trap_if
from meld.runtime.items import Callee
from meld.runtime.tasks.scheduler import Coroutine, Scheduler, Thread
from meld.support.records import record

MAX_NESTED = 64
"""Calls of core functions upon each other. Python's stack bounds them, and it takes a dozen frames for each."""


class Unwinding(Protocol):
    """What takes the frames of the running module off the native stack and puts them back."""

    def begin(self) -> None:
        """Starts unwinding: frames are written to memory as the running import returns."""

    def end(self) -> bytes:
        """They are off the stack: what was written."""

    def rewind(self, frames: bytes) -> None:
        """Starts rewinding: the function that is called next continues where its frames were."""

    def arrive(self) -> bool:
        """Whether an import is called only because frames are put back; they are now."""

    def passes(self, wanted: Function) -> bool:
        """Whether all frames from a guest call up to a call of this import can be taken off the stack."""


@record(eq=False)
class Waiting:
    """An import that has to wait: what it does, for whom."""

    thread: Thread
    work: Coroutine


@record(eq=False)
class Frames:
    """Calls of core functions, and of what they import.

    Attributes:
        call: calls a core function with core values as unsigned bits; returns such.
        nested: for each call of a core function on the native stack, whether its frames may be taken off.
        waiting: the import that the frames are being taken off the stack for.
        answer: what it has come to, for the import that is called again when they are back.
    """

    scheduler: Scheduler
    call: Callable[[Callee, Sequence[int]], list[int]]
    unwinding: Unwinding | None = None
    nested: list[bool] = field(default_factory=list)
    waiting: Waiting | None = None
    answer: Any = None

    def plain(self, function: Function, cores: Sequence[int]) -> list[int]:
        """Calls what must not wait."""
        return self._enter(function, cores, moves=False)

    def guest(self, function: Callee, cores: Sequence[int], *, moves: bool) -> Coroutine:
        """Calls a function for the current thread. Returns its results.

        Args:
            moves: whether its frames may be taken off the stack.
        """
        results = self._enter(function, cores, moves=moves)
        while self.waiting is not None:
            assert self.unwinding is not None
            work, self.waiting = self.waiting.work, None
            frames = self.unwinding.end()
            yield
            answer = yield from work
            self.answer = answer
            self.unwinding.rewind(frames)
            results = self._enter(function, [0] * len(cores), moves=True)
        return results

    def imported(self, wanted: Function, start: Callable[..., Any], cores: Sequence[int]) -> Any:
        """What an import does: a value, or a generator of one, which may wait.

        Args:
            start: does it.
            cores: the arguments.

        Returns:
            The value; None while frames are being taken off the stack, where it is not used.
        """
        if self.unwinding is not None and self.unwinding.arrive():
            answer, self.answer = self.answer, None
            return answer
        work = start(*cores)
        if not isinstance(work, GeneratorType):
            return work
        try:
            next(work)
        except StopIteration as end:
            return end.value
        thread = self.scheduler.current
        assert thread is not None
        if self.unwinding is not None and self.nested and self.nested[-1] and self.unwinding.passes(wanted):
            self.waiting = Waiting(thread, work)
            self.unwinding.begin()
            return None
        return self._held(thread, work)

    def _held(self, thread: Thread, work: Coroutine) -> Any:
        """Waits with frames on the native stack: others run on top of them."""
        thread.held = True
        confined = thread.task.instance if not thread.task.type.is_async else None
        while True:
            self.scheduler.run_target()
            self.scheduler.run_above(thread, confined)
            self.scheduler.current = thread
            thread.held = False
            try:
                next(work)
            except StopIteration as end:
                return end.value
            thread.held = True

    def _enter(self, function: Callee, cores: Sequence[int], *, moves: bool) -> list[int]:
        trap_if(len(self.nested) > MAX_NESTED, "calls between components and the host are nested too deep")
        self.nested.append(moves)
        try:
            return self.call(function, cores)
        finally:
            self.nested.pop()
