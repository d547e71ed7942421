"""Progress on a terminal, of runs that take a while."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from meld.passes.base import Program
from meld.passmanager import Observer, Step

if TYPE_CHECKING:
    import threading


class Progress(Observer):
    """A line on standard error that names what is being done, if that is a terminal and it takes a while."""

    def __init__(self, *, quiet: bool) -> None:
        self._enabled = sys.stderr.isatty() and not quiet
        self._what = "loading"
        self._timer: threading.Timer | None = None
        self._shown = False

    def __enter__(self) -> Progress:
        if self._enabled:
            import threading

            self._timer = threading.Timer(0.7, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        if self._timer:
            self._timer.cancel()
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _show(self) -> None:
        self._shown = True
        self.say(self._what)

    def say(self, what: str) -> None:
        """Names what is being done now."""
        self._what = what
        if self._shown:
            print(f"\r\x1b[K{what} …", end="", file=sys.stderr, flush=True)

    def before(self, number: int, step: Step, program: Program) -> None:
        """Shows the step that is about to run."""
        self.say(f"pass {number}: {step.label}")
