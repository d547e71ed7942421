"""The test that bisection and reduction run on programs: a command, and what its exit code means."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import field
from enum import Enum
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

from meld.binary.reader import read_module
from meld.diagnostics import MeldError, PassFailure
from meld.driver import Options, Outcome, build
from meld.faults.inprocess import RunCall, ran, run_calls, substituted
from meld.files import encode, render
from meld.ir.module import Module
from meld.passes.base import Program
from meld.runtime.command import run_group, run_on_file
from meld.runtime.wasi import uses_wasi
from meld.support.records import record
from meld.verify.engine import fault_of

SKIP = 125
"""The exit code of a test that cannot tell, as for `git bisect run`."""


class Verdict(Enum):
    """What a test says of a program."""

    GOOD = "good"
    BAD = "bad"
    UNCLEAR = "cannot tell"


@record()
class Answer:
    """What a test says of a program: verdict, exit of the command, output; `late`: its time was over."""

    verdict: Verdict
    ended: str = ""
    printed: str = ""
    late: bool = False

    def lines(self, most: int = 4) -> list[str]:
        """The last lines that the test printed, and how it ended, if it is not good."""
        if self.verdict is Verdict.GOOD:
            return []
        return [*(line.rstrip() for line in self.printed.splitlines()[-most:]), *filter(None, [self.ended])]

    def kind(self) -> tuple[str, str]:
        """What tells one failure from another: how the command ended and the last line, without names and numbers."""
        last = (self.printed.strip().splitlines() or [""])[-1]
        return self.ended, re.sub(r"`[^`]*`|\$\S+|/\S+|\d+", "…", last)


Test = Callable[[bytes], "Verdict | Answer"]
"""What judges the bytes of a file with the program."""

LIMIT = 60.0
"""Seconds that a test may take as long as it has not succeeded."""
LEAST, TIMES = 3.0, 8.0
"""Seconds that a test may take in any case, and how many times as long as the slowest that succeeded."""


@record()
class CommandTest:
    """A shell command as a test: exit 0 is good, 125 unclear, anything else bad; so is more than `limit` seconds.

    Attributes:
        limit: seconds; None: it is taken from how long the test takes where it succeeds.
        slowest: seconds that the slowest test took that succeeded.
        latest: seconds that the latest one took.
        least: seconds that a test may take in any case.
    """

    command: str
    form: str
    limit: float | None = None
    slowest: float | None = None
    latest: float | None = None
    least: float = LEAST
    _calls: list[RunCall] | None = None

    def __call__(self, data: bytes) -> Answer:
        """Runs the command. Raises MeldError: it cannot be run."""
        limit, begin = self.seconds(), time.monotonic()
        done = run_on_file(self.command, data, option="--test", suffix=self.form, limit=limit)
        if done is None:
            return self._late(limit)
        return self._answer(done.returncode, done.stdout + done.stderr, begin)

    @property
    def calls(self) -> list[RunCall] | None:
        """What of the command is done in this process; None: nothing."""
        if self._calls is None:
            self._calls = run_calls(self.command) or []
        return self._calls or None

    def of_module(self, module: Module) -> Answer:
        """The same for a program that is a module, with `meldc run` done in this process."""
        calls = self.calls
        assert calls is not None
        limit, begin = self.seconds(), time.monotonic()
        if self.form == "wasm":
            module = read_module(encode(module))
        results = []
        for call in calls:
            results.append(ran(module, call.invoke, limit))
            if results[-1].is_over:
                return self._late(limit)
        if (calls[0].start, calls[0].end) == (0, len(self.command.rstrip())):
            return self._answer(results[0].code, results[0].out + results[0].err, begin)
        with TemporaryDirectory(prefix="meldc-") as directory:
            paths = [Path(directory) / str(number) for number in range(len(calls))]
            for path, result in zip(paths, results, strict=True):
                for suffix, text in ((".out", result.out), (".err", result.err), (".code", str(result.code))):
                    path.with_suffix(suffix).write_text(text)
            done = run_group(["sh", "-c", substituted(self.command, calls, paths)], limit)
        if done is None:
            return self._late(limit)
        return self._answer(done.returncode, done.stdout + done.stderr, begin)

    def _late(self, limit: float) -> Answer:
        return Answer(Verdict.BAD, f"the test took more than {limit:.3g} s", late=True)

    def _answer(self, code: int, printed: str, begin: float) -> Answer:
        match code:
            case 0:
                self.latest = time.monotonic() - begin
                self.slowest = max(self.slowest or 0.0, self.latest)
                return Answer(Verdict.GOOD, "", printed)
            case code if code < 0:
                return Answer(Verdict.BAD, f"signal {-code}", printed)
            case code:
                return Answer(Verdict.UNCLEAR if code == SKIP else Verdict.BAD, f"exit code {code}", printed)

    def seconds(self) -> float:
        """How long the next test may take."""
        if self.limit is not None:
            return self.limit
        return LIMIT if self.slowest is None else min(LIMIT, max(self.least, TIMES * self.slowest))


@record()
class Judge:
    """Judges programs.

    Attributes:
        last: the answer of the last question; good if the test was not reached.
        test: what is run; None: a program is good if it is valid.
        form: of the file that the test gets: ``wat`` keeps what `meldc run` needs to interpret what is pending.
        runs: how often the test was run; a file that was judged before is not run again.
    """

    test: Test | None
    form: str = "wat"
    runs: int = 0
    _known: dict[bytes, Answer] = field(default_factory=dict)
    last: Answer = field(default_factory=lambda: Answer(Verdict.GOOD))

    def of(self, program: Program, *, binary: bytes | None = None, again: bool = False) -> Verdict:
        """The verdict on a program, whose binary may be known; `again` runs the test even if the verdict is known.

        `last` is the whole answer then.
        """
        self.last = self._answer(program, binary, again)
        return self.last.verdict

    def _answer(self, program: Program, binary: bytes | None, again: bool) -> Answer:
        if self.test is None:
            return Answer(Verdict.GOOD if fault_of(program, binary) is None else Verdict.BAD)
        test = self.test
        if isinstance(test, CommandTest) and isinstance(program, Module) and test.calls and not uses_wasi(program):
            self.runs += 1
            try:
                return test.of_module(program)
            except MeldError:  # it is broken in a way that cannot be written
                return Answer(Verdict.BAD)
        try:
            data = binary if binary is not None and self.form == "wasm" else b"".join(render(program, self.form))
        except MeldError:  # it is broken in a way that cannot be written
            return Answer(Verdict.BAD)
        key = hashlib.sha256(data).digest()
        if again or key not in self._known:
            self.runs += 1
            said = self.test(data)
            self._known[key] = Answer(said) if isinstance(said, Verdict) else said
        return self._known[key]

    def test_run(
        self, inputs: Sequence[str | PathLike[str]], options: Options, steps: int | None = None
    ) -> tuple[Verdict, Outcome | MeldError]:
        """The verdict on what stands after some steps of a run, and what came of it.

        A pass that breaks is bad; a run that ends for another reason tells nothing.
        """
        self.last = Answer(Verdict.GOOD)
        try:
            outcome = build(inputs, options, steps=steps)
            return self.of(outcome.program), outcome
        except PassFailure as e:
            return Verdict.BAD, e
        except MeldError as e:
            return Verdict.UNCLEAR, e
