"""What reduction looks for in candidates: the fault. One process can ask for it, or several at a time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

from meld.diagnostics import MeldError, PassFailure
from meld.faults.judge import Answer, Judge, Verdict
from meld.faults.reduction.body_cuts import BODY_CUTS
from meld.faults.reduction.cuts import CALLS, CUTS, NOTES, described, functions
from meld.faults.reduction.frozen import Frozen
from meld.files import decode, encode, is_binary
from meld.ir.component import Component
from meld.passes import Registry
from meld.passes.base import Gate, Program
from meld.passmanager import parse_pipeline, plan_named, run
from meld.support.records import record
from meld.verify.engine import fault_of
from meld.verify.program import verify

_CUTS = {cut.name: cut for cut in [*CUTS, *NOTES, CALLS]}
_BODY_CUTS = {cut.name: cut for cut in BODY_CUTS}


@record(frozen=True)
class Change:
    """Parts to take away: of one group of a body, or of the whole program.

    Attributes:
        cut: the name of the cut.
        numbers: of the parts.
        function: the number of the function whose body it is about; None: it is about the program.
        group: of the parts of the body.
    """

    cut: str
    numbers: range
    function: int | None = None
    group: int = 0

    def __call__(self, program: Program) -> None:
        """Makes the change."""
        if self.function is None:
            _CUTS[self.cut].remove(program, self.numbers)
        else:
            _BODY_CUTS[self.cut].remove(functions(program)[self.function], self.group, self.numbers)


@record()
class Fault:
    """What is to be seen of a program, and how.

    Attributes:
        plugins: files with passes.
        judge: the test; it succeeds on the program, if `differential`, and fails on what the passes make of it.
        steps, fuel: the passes, and how many rewrites they may do.
        failure: how a pass failed, or that what it left is not valid; None: the product is only wrong.
        late: whether the test failed by taking too long; if it did not, what takes too long fails in another way.
        kind: how the test failed, if it is not differential.
        differential: whether the test succeeds before the passes, and has to go on to do so.
    """

    plugins: Sequence[str]
    judge: Judge
    steps: list[str] = field(default_factory=list)
    fuel: dict[str, int] = field(default_factory=dict)
    failure: str | None = None
    late: bool = False
    kind: tuple[str, str] | None = None
    differential: bool = True
    frozen: Frozen = field(default_factory=Frozen)
    _refuted: set[bytes] = field(default_factory=set)

    def of_product(self, program: Program, steps: Sequence[str] | None = None) -> tuple[Verdict, str | None]:
        """The verdict on what the passes make of a program, which they change; and whether it is more than a wrong
        program: how a pass failed, or that what it left is not valid."""
        try:
            product = self.passed(program, steps)
        except PassFailure as e:
            return Verdict.BAD, _kind_of(e)
        binary = encode(product)
        if fault_of(product, binary) is not None:
            return Verdict.BAD, "not valid"
        verdict = self.judge.of(product, binary=binary)
        if verdict is Verdict.BAD and self._is_other(self.judge.last):
            return Verdict.UNCLEAR, None
        return verdict, None

    def _is_other(self, answer: Answer) -> bool:
        """Whether a test fails, but in another way."""
        return (answer.late and not self.late) or (self.kind is not None and answer.kind() != self.kind)

    def kept(self, program: Program) -> bytes:
        """A program as it is kept between cuts: as a binary if that says all there is to say, since that is faster."""
        if isinstance(program, Component) or program.facts or program.notes or described(program):
            return self.frozen.freeze(program)
        return encode(program)

    def load(self, kept: bytes) -> Program:
        """The program that was kept."""
        return decode(kept, "reduced") if is_binary(kept) else self.frozen.thaw(kept)

    def passed(self, program: Program, steps: Sequence[str] | None = None) -> Program:
        """What the passes make of a program, which they change."""
        registry = Registry.standard(list(self.plugins))
        plan = plan_named(parse_pipeline(",".join(self.steps if steps is None else steps), registry), program, registry)
        labels = {step.label for step in plan.steps}
        gate = Gate(fuel={label: count for label, count in self.fuel.items() if label in labels})
        return run(plan, program, gate=gate)[0]

    def shows(self, kept: bytes) -> bool:
        """Whether a program shows the fault."""
        program, binary = self.load(kept), kept if is_binary(kept) else None
        try:
            if fault_of(program, binary) is not None:
                return False
            if self.differential and self.judge.of(program, binary=binary) is not Verdict.GOOD:
                return False
            program = program if binary is not None else self.load(kept)
            return self.of_product(program) == (Verdict.BAD, self.failure)
        except MeldError:
            return False

    def changed(self, base: bytes, change: Callable[[Any], object]) -> bytes | None:
        """A changed program; None if it is inconsistent or the same, or is known not to show the fault."""
        program = self.load(base)
        if change(program) is False:
            return None
        try:
            if verify(program):
                return None
            kept = self.kept(program)
        except MeldError:
            return None
        return None if kept == base or hashlib.sha256(kept).digest() in self._refuted else kept

    def after(self, base: bytes, change: Callable[[Any], object]) -> bytes | None:
        """A changed program if it still shows the fault."""
        kept = self.changed(base, change)
        if kept is None or self.shows(kept):
            return kept
        self._refuted.add(hashlib.sha256(kept).digest())
        return None


def _kind_of(failure: PassFailure) -> str:
    """How a pass failed, without the names and numbers in it, which change as the program shrinks."""
    return re.sub(r"`[^`]*`|\$\S+|\d+", "…", failure.message.splitlines()[0].partition("; ")[0])
