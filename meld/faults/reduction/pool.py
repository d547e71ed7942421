"""Candidates judged in several processes at a time.

The answer is that of one process which asks for one candidate after the other: the first that shows the fault counts,
and what was found out about later ones at the same time is dropped. Processes are started from nothing (`spawn`): the
engine has threads, which a fork would not have.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import field
from multiprocessing.connection import Connection, wait
from typing import Any

from meld.diagnostics import MeldError
from meld.faults.judge import CommandTest, Judge
from meld.faults.reduction.fault import Change, Fault
from meld.support.records import record

PATIENCE = 2.0
"""Seconds that a process gets to end what its test has started."""


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@record()
class _Worker:
    """A process, the pipe to it, the base that it has, and how many shared parts; `busy`: the candidate it has."""

    process: Any
    pipe: Connection
    base: bytes = b""
    shared: int = 0
    busy: tuple[int, int] | None = None


@record()
class Pool:
    """Processes that know a fault; `runs`: how often they have run the test."""

    fault: Fault
    size: int
    runs: int = 0
    _workers: list[_Worker] = field(default_factory=list)
    _round: int = 0
    _latest: dict[tuple[int, int], float | None] = field(default_factory=dict)

    @classmethod
    def start(cls, fault: Fault, size: int) -> Pool | None:
        """Starts processes; None if the test is not a command, which other processes could run."""
        if fault.judge.test is not None and not isinstance(fault.judge.test, CommandTest):
            return None
        pool, context = cls(fault, size), multiprocessing.get_context("spawn")
        for _ in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            pool._workers.append(_Worker(process, ours))
            with suppress(OSError):  # it has ended, which is said when it is asked
                ours.send(_said_of(fault))
        return pool

    def first(self, base: bytes, changes: Iterable[Change]) -> int | None:
        """The place of the first change after which a program still shows the fault; None: there is none.

        Raises:
            MeldError: the test cannot be run, or a process has ended.
        """
        self._round += 1
        pending, answers = enumerate(changes), dict[int, bool]()
        best: int | None = None
        more = True
        while True:
            for worker in self._workers:
                if worker.busy is None and more and best is None:
                    number, change = next(pending, (0, None))
                    if change is None:
                        more = False
                        break
                    self._ask(worker, number, base, change)
            mine = [w.busy[1] for w in self._workers if w.busy is not None and w.busy[0] == self._round]
            if best is not None and not any(number < best for number in mine):
                test = self.fault.judge.test
                if isinstance(test, CommandTest):
                    test.latest = self._latest[self._round, best]
                self._latest.clear()
                return best
            if not mine:
                return None
            for pipe in wait([worker.pipe for worker in self._workers if worker.busy is not None]):
                answered, shown = self._answer(next(w for w in self._workers if w.pipe is pipe))
                if answered is not None:
                    answers[answered] = shown
            best = min((number for number, shown in answers.items() if shown), default=None)

    def _ask(self, worker: _Worker, number: int, base: bytes, change: Change) -> None:
        shared = None
        if worker.shared < len(self.fault.frozen.shared):
            shared = self.fault.frozen.shared_from(worker.shared)
            worker.shared = len(self.fault.frozen.shared)
        new = None if base is worker.base else base
        worker.base, worker.busy = base, (self._round, number)
        test = self.fault.judge.test
        slowest = test.slowest if isinstance(test, CommandTest) else None
        try:
            worker.pipe.send((change, new, shared, self.fault.steps, slowest))
        except OSError:
            raise _ended() from None

    def _answer(self, worker: _Worker) -> tuple[int | None, bool]:
        """The number of a candidate, if it is one of this round, and whether it shows the fault."""
        assert worker.busy is not None
        (asked, number), worker.busy = worker.busy, None
        try:
            shown, runs, latest = worker.pipe.recv()
        except (EOFError, OSError):
            raise _ended() from None
        self.runs += runs
        self._latest[asked, number] = latest
        if isinstance(shown, MeldError):
            raise shown
        return (number if asked == self._round else None), shown

    def close(self) -> None:
        """Ends the processes, with all that their tests have started."""
        for worker in self._workers:
            with suppress(ProcessLookupError, TypeError):
                os.kill(worker.process.pid, signal.SIGINT)
        for worker in self._workers:
            worker.process.join(PATIENCE)
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self._workers.clear()


def _ended() -> MeldError:
    return MeldError("a process that judged candidates has ended", hint="--jobs=1 does without")


def _said_of(fault: Fault) -> tuple[Any, ...]:
    test = fault.judge.test
    how = (test.command, test.form, test.limit, None, None, test.least) if isinstance(test, CommandTest) else None
    said = (list(fault.plugins), fault.judge.form, how, fault.steps, fault.fuel, fault.failure, fault.late, fault.kind)
    return (*said, fault.differential)


def _work(pipe: Connection) -> None:
    """What a process does: judges candidates until the pipe is closed, or it is interrupted."""
    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        sys.stdout = sys.stderr
        plugins, form, how, *rest = pipe.recv()
        fault = Fault(plugins, Judge(None if how is None else CommandTest(*how), form), *rest)
        base = b""
        while True:
            change, new, shared, fault.steps, slowest = pipe.recv()
            test = fault.judge.test
            if isinstance(test, CommandTest):
                test.slowest = slowest
            if shared is not None:
                fault.frozen.take_shared(shared)
            base = base if new is None else new
            before = fault.judge.runs
            try:
                shown: Any = fault.after(base, change) is not None
            except MeldError as e:
                shown = MeldError(e.message, where=e.where, hint=e.hint)
            latest = test.latest if isinstance(test, CommandTest) else None
            pipe.send((shown, fault.judge.runs - before, latest))
