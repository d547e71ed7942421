"""Ending programs that run: by an interrupt from the terminal, or after a time.

Python handles signals between its own instructions, so not while a program of the engine runs in the main thread. But
the signal is written to a file at once, and a second thread that waits for it makes the program trap; then Python gets
to the signal.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from meld.runtime.instantiate import interrupt
from meld.support.records import record

TIME_LIMIT: ContextVar[float | None] = ContextVar("TIME_LIMIT", default=None)
"""Seconds that programs may run that a command runs by itself; None: no limit."""

STOPPING = frozenset((signal.SIGINT, signal.SIGALRM))
"""Signals on which a program ends: of the terminal, and of who has set an alarm."""

_AGAIN = 0.05
"""Seconds between two attempts: a program may have been instantiated, but not have begun."""


@record()
class Watch:
    """Whether the time was over, or an interrupt came from the terminal; `seconds` is the limit."""

    seconds: float | None
    over: bool = False
    interrupted: bool = False


@contextmanager
def stoppable(seconds: float | None) -> Iterator[Watch]:
    """In the block, programs that were instantiated as interruptible trap on Ctrl-C and when the time is over.

    Raises:
        KeyboardInterrupt: at the end, if Python has lost it meanwhile, as it does where it comes up in a finalizer.
    """
    watch = Watch(seconds)
    ready, told = os.pipe()
    os.set_blocking(told, False)
    main = threading.current_thread() is threading.main_thread()
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False) if main else -1
    done = threading.Event()
    thread = threading.Thread(target=_wait, args=(ready, watch, done), daemon=True)
    thread.start()
    try:
        yield watch
    except KeyboardInterrupt:
        watch.interrupted = False
        raise
    finally:
        done.set()
        os.write(told, b"\0")
        thread.join()
        if main:
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        os.close(ready)
        os.close(told)
        if main and watch.interrupted and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            raise KeyboardInterrupt


def _wait(ready: int, watch: Watch, done: threading.Event) -> None:
    end = None if watch.seconds is None else time.monotonic() + watch.seconds
    stop = False
    while not done.is_set():
        left = None if end is None else max(0.0, end - time.monotonic())
        readable = select.select([ready], [], [], _AGAIN if stop else left)[0]
        if readable:
            signals = os.read(ready, 64)
            watch.interrupted |= signal.SIGINT in signals
            stop = stop or not STOPPING.isdisjoint(signals)
        elif not stop:
            stop = watch.over = True
        if stop and not done.is_set():
            interrupt()
