"""The test that bisection and reduction run on programs: a command, and what its exit code means."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import field
from enum import Enum
from os import PathLike

from meld.diagnostics import MeldError, PassFailure
from meld.driver import Options, Outcome, build
from meld.files import render
from meld.passes.base import Program
from meld.runtime.command import run_on_file
from meld.support.records import record
from meld.verify.engine import fault_of

SKIP = 125
"""The exit code of a test that cannot tell, as for `git bisect run`."""


class Verdict(Enum):
    """What a test says of a program."""

    GOOD = "good"
    BAD = "bad"
    UNCLEAR = "cannot tell"


Test = Callable[[bytes], Verdict]
"""What judges the bytes of a file with the program."""


def command_test(command: str, form: str, limit: float) -> Test:
    """A shell command as a test: exit 0 is good, 125 unclear, anything else bad; so is more than `limit` seconds."""

    def test(data: bytes) -> Verdict:
        done = run_on_file(command, data, option="--test", suffix=form, limit=limit)
        if done is None:
            return Verdict.BAD
        return {0: Verdict.GOOD, SKIP: Verdict.UNCLEAR}.get(done.returncode, Verdict.BAD)

    return test


@record()
class Judge:
    """Judges programs.

    Attributes:
        test: what is run; None: a program is good if it is valid.
        form: of the file that the test gets: ``wat`` keeps what `meldc run` needs to interpret what is pending.
        runs: how often the test was run; a file that was judged before is not run again.
    """

    test: Test | None
    form: str = "wat"
    runs: int = 0
    _known: dict[bytes, Verdict] = field(default_factory=dict)

    def of(self, program: Program, *, binary: bytes | None = None, again: bool = False) -> Verdict:
        """The verdict on a program, whose binary may be known; `again` runs the test even if the verdict is known."""
        if self.test is None:
            return Verdict.GOOD if fault_of(program, binary) is None else Verdict.BAD
        try:
            data = binary if binary is not None and self.form == "wasm" else b"".join(render(program, self.form))
        except MeldError:  # it is broken in a way that cannot be written
            return Verdict.BAD
        key = hashlib.sha256(data).digest()
        if again or key not in self._known:
            self.runs += 1
            self._known[key] = self.test(data)
        return self._known[key]

    def of_run(
        self, inputs: Sequence[str | PathLike[str]], options: Options, steps: int | None = None
    ) -> tuple[Verdict, Outcome | MeldError]:
        """The verdict on what stands after some steps of a run, and what came of it.

        A pass that breaks is bad; a run that ends for another reason tells nothing.
        """
        try:
            outcome = build(inputs, options, steps=steps)
            return self.of(outcome.program), outcome
        except PassFailure as e:
            return Verdict.BAD, e
        except MeldError as e:
            return Verdict.UNCLEAR, e
