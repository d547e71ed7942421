"""Calls of the engine on another thread: the engine releases the interpreter while it runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Semaphore, Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_FREE = Semaphore(max(1, (os.cpu_count() or 1) - 1))  # one processor is for Python


class Background(Generic[T]):
    """The future result of an engine call on another thread.

    Args:
        call: the engine call, and nothing else: threads that run Python at the same time wait for each other.
        taken: converts the result of the call; runs in the thread that calls `get`.
    """

    def __init__(self, call: Callable[[], Any], taken: Callable[[Any], T]) -> None:
        self._call = call
        self._taken = taken
        self._result: Any = None
        self._error: Exception | None = None
        self._thread: Thread | None = Thread(target=self._run)
        try:
            self._thread.start()
        except RuntimeError:  # there cannot be more threads
            self._thread = None
            self._run()

    def _run(self) -> None:
        try:
            with _FREE:
                self._result = self._call()
        except Exception as e:
            self._error = e

    def get(self) -> T:
        """Return the converted result; waits for the call. Raises the exception of the call."""
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        return self._taken(self._result)
