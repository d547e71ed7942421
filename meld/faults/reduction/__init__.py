"""Reduction: a smaller program, and fewer passes, that still show what a test finds wrong.

The same test as for bisection says what matters: it succeeds on the program as it is, and fails on what the passes make
of it. So a cut that only breaks the program does not count. The program is first taken as it stands before the first
pass that breaks it; then parts of it are taken away as long as that holds.
"""

from __future__ import annotations

import hashlib
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from os import PathLike
from typing import Any

from meld.diagnostics import MeldError, PassFailure
from meld.driver import Options, build, prepare
from meld.faults.bisection import Bisection
from meld.faults.judge import CommandTest, Judge, Verdict
from meld.faults.reduction.body_cuts import BODY_CUTS, BodyCut
from meld.faults.reduction.cuts import CALLS, CUTS, NOTES, UNUSED, Cut, described, empty, functions, is_stub, strip
from meld.faults.reduction.frozen import Frozen
from meld.faults.reduction.replay import changed, ending, entered, moments, replayed, restored, weights
from meld.files import decode, encode, is_binary
from meld.ir.component import Component
from meld.ir.module import Function, Module
from meld.passes import Registry
from meld.passes.base import Gate, Program
from meld.passmanager import parse_pipeline, plan_named, run
from meld.support.records import record
from meld.verify.engine import fault_of
from meld.verify.program import verify

EVERY = 5.0
"""Seconds between two reports."""


class OutOfTime(BaseException):
    """The time that a reduction may take is over. Not an `Exception`: a pass must not be blamed for it."""


@contextmanager
def alarm(seconds: float | None) -> Iterator[None]:
    """Raises OutOfTime in the block when the time is over, whatever it does then; only in the main thread."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(*_: object) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@record()
class Reducer:
    """A reduction. `best` is the smallest program so far that shows the fault.

    Attributes:
        options: of the run that shows it; without a limit of rewrites, whose number changes as the program shrinks.
        seconds: how long it may take; None: until nothing more can be taken away.
        say: is told what has been reached.
        passes, fuel: the pipeline that `best` needs, and how many rewrites it may do by step.
        tried, taken: how many cuts were tried, and how many of them could stay.
        differential: whether the test succeeds before the passes, and has to go on to do so. Not if `link` or `merge`
            is to blame: a composition cannot be run without them.
    """

    inputs: Sequence[str | PathLike[str]]
    options: Options
    judge: Judge
    seconds: float | None = None
    say: Callable[[str], None] = lambda line: None
    passes: str = ""
    fuel: dict[str, int] = field(default_factory=dict)
    tried: int = 0
    taken: int = 0
    differential: bool = True
    _best: bytes = b""
    _frozen: Frozen = field(default_factory=Frozen)
    _told: float = 0.0
    _view: Program | None = None
    _failure: str | None = None
    _kind: tuple[str, str] | None = None
    _steps: list[str] = field(default_factory=list)
    _seen: set[bytes] = field(default_factory=set)
    _end: float = float("inf")

    @property
    def best(self) -> Program:
        """A copy of the smallest program so far."""
        return self._load(self._best)

    @property
    def best_module(self) -> Module:
        """As `best`, for a program that is a module."""
        program = self.best
        assert isinstance(program, Module)
        return program

    @property
    def view(self) -> Program:
        """The smallest program so far, to look at only."""
        if self._view is None:
            self._view = self.best
        return self._view

    def run(self) -> bool:
        """Reduces as far as possible; False if the time was over, or the user interrupted.

        Raises:
            MeldError: there is no fault to begin with.
        """
        if self.options.limit is not None:
            raise MeldError("--limit counts rewrites, which change as the program shrinks", hint="leave it away")
        if self.seconds is not None:
            self._end = time.monotonic() + self.seconds
        self._begin()
        try:
            with alarm(self.seconds if self.seconds is None else self._end - time.monotonic()):
                self._shrink()
        except (OutOfTime, KeyboardInterrupt):
            return False
        return True

    # --- where to begin ---

    def _begin(self) -> None:
        """Takes the program as it stands before the step that breaks it, or else as it came in."""
        self.fuel = {label.removesuffix("#1"): count for label, count in self.options.fuel.items()}
        program, plan = prepare(self.inputs, self.options)
        try:
            first, last = Bisection(self.inputs, self.options, self.judge, self.say).culprit_step()
        except MeldError:
            verdict, result = self.judge.test_run(self.inputs, self.options)
            if isinstance(program, Module) or verdict is not Verdict.BAD:
                raise
            first, last, self.differential = 0, len(plan.steps), False
            if isinstance(result, PassFailure):
                first, last = result.number - 1, result.number
            elif self.options.stop_after is not None:
                last = plan.position(self.options.stop_after, option="--stop-after")
            self.say(
                "the test cannot be asked before the passes: what makes it fail in the same way behind them counts"
            )
            self._looks_at_the_program()
        program = build(self.inputs, replace(self.options, observers=()), steps=first).program
        self._steps = [step.instance.spec() for step in plan.steps[first:last]]
        labels = {step.label: (step.name, n) for n, step in enumerate(plan.steps[first:last])}
        self.fuel = {labels[label][0]: count for label, count in self.fuel.items() if label in labels}
        self._best = self._kept(program)
        verdict, self._failure = self._of_product(self.best)
        if verdict is not Verdict.BAD:
            raise MeldError(
                "the fault does not show if the program is written out before the pass and read again",
                hint="meldc bisect says where it comes in",
            )
        self.passes = ",".join(self._steps)
        self.say(f"begin: {self._size()}, passes {self.passes or 'none'}")

    def _looks_at_the_program(self) -> None:
        """Refuses a test that fails on an empty module in the same way: it would be reduced to nothing."""
        if self.judge.test is None or not self.judge.last.ended:
            return
        kind, printed = self.judge.last.kind(), self.judge.last.lines()
        if self.judge.of(Module()) is Verdict.BAD and self.judge.last.kind() == kind:
            raise MeldError(
                f"the test fails on an empty module just as on the product: {' / '.join(printed)}",
                hint="look for a mistake in --test, or let it exit with 125 unless the failure is the one that matters",
            )
        self._kind = kind

    # --- what still shows the fault ---

    def _of_product(self, program: Program, steps: Sequence[str] | None = None) -> tuple[Verdict, str | None]:
        """The verdict on what the passes make of a program, which they change; and whether it is more than a wrong
        program: how a pass failed, or that what it left is not valid."""
        try:
            product = self._passed(program, self._steps if steps is None else steps)
        except PassFailure as e:
            return Verdict.BAD, _kind_of(e)
        binary = encode(product)
        if fault_of(product, binary) is not None:
            return Verdict.BAD, "not valid"
        verdict = self.judge.of(product, binary=binary)
        if self._kind is not None and verdict is Verdict.BAD and self.judge.last.kind() != self._kind:
            return Verdict.UNCLEAR, None
        return verdict, None

    def _kept(self, program: Program) -> bytes:
        """A program as it is kept between cuts: as a binary if that says all there is to say, since that is faster."""
        if isinstance(program, Component) or program.facts or program.notes or described(program):
            return self._frozen.freeze(program)
        return encode(program)

    def _load(self, kept: bytes) -> Program:
        return decode(kept, "reduced") if is_binary(kept) else self._frozen.thaw(kept)

    def _passed(self, program: Program, steps: Sequence[str]) -> Program:
        """What the passes make of a program, which they change."""
        registry = Registry.standard(list(self.options.plugins))
        plan = plan_named(parse_pipeline(",".join(steps), registry), program, registry)
        labels = {step.label for step in plan.steps}
        gate = Gate(fuel={label: count for label, count in self.fuel.items() if label in labels})
        return run(plan, program, gate=gate)[0]

    def _shows(self, kept: bytes) -> bool:
        """Whether a program shows the fault."""
        program, binary = self._load(kept), kept if is_binary(kept) else None
        try:
            if fault_of(program, binary) is not None:
                return False
            if self.differential and self.judge.of(program, binary=binary) is not Verdict.GOOD:
                return False
            program = program if binary is not None else self._load(kept)
            return self._of_product(program) == (Verdict.BAD, self._failure)
        except MeldError:
            return False

    def _try(self, change: Callable[[Any], object]) -> bool:
        """Changes the best program; keeps that if it still shows the fault."""
        if time.monotonic() > self._end:
            raise OutOfTime
        program = self.best
        if change(program) is False:
            return False
        try:
            if verify(program):
                return False
            kept = self._kept(program)
        except MeldError:
            return False
        digest = hashlib.sha256(kept).digest()
        if kept == self._best or digest in self._seen:
            return False
        self._seen.add(digest)
        self.tried += 1
        if not self._shows(kept):
            return False
        self.taken += 1
        self._best = kept
        self._view = None
        self._progress()
        return True

    # --- taking away ---

    def _replay(self) -> None:
        """Goes on with one call of a function that the passes change, where the test lets us run the program."""
        test, program = self.judge.test, self.best
        if (
            not self.differential
            or not isinstance(test, CommandTest)
            or not test.calls
            or isinstance(program, Component)
        ):
            return
        limit = test.seconds()
        product = self._passed(self.best, self._steps)
        if isinstance(product, Component):
            return
        weight = weights(program)
        found = moments(self.best_module, changed(program, product), test.calls[-1].invoke, limit)
        for moment in sorted(found, key=lambda moment: weight[moment.function]):
            good = ending(restored(self.best_module, moment), moment, limit)
            if good.results is None:
                continue
            after = self._passed(restored(self.best_module, moment), self._steps)
            bad = ending(after, moment, limit) if isinstance(after, Module) else good
            if self._try(lambda one, m=moment, g=good, b=bad: replayed(restored(one, m), m, g, b)):  # type: ignore[misc]
                self.say(f"one call of {program.functions[moment.function].name or moment.function} is what matters")
                return

    def _empty_unused(self) -> None:
        """Empties the bodies of all functions that neither the program nor the product enters, all at once."""
        test, program = self.judge.test, self.view
        if not isinstance(test, CommandTest) or not test.calls or not isinstance(program, Module):
            return
        limit, used = test.seconds(), set[int]()
        product = self._passed(self.best, self._steps)
        for one in (self.best, product) if self.differential else (product,):
            if isinstance(one, Module):
                for call in test.calls:
                    copy: Any = self._frozen.thaw(self._frozen.freeze(one))
                    used |= entered(copy, call.invoke, limit)
        names = sorted({call.invoke[0].partition("(")[0] for call in test.calls if call.invoke})
        self._try(lambda one: strip(one, names)) or self._try(lambda one: strip(one, ()))
        unused = [n for n, function in enumerate(program.functions) if n not in used and not is_stub(function)]
        if unused and self._try(lambda one: empty([functions(one)[n] for n in unused])):
            self._apply(UNUSED)

    def _shrink(self) -> None:
        self._drop_steps()
        self._empty_unused()
        self._replay()
        self._empty_unused()
        before = -1
        while before != self.taken:
            before = self.taken
            self._drop_steps()
            for cut in [*CUTS, *NOTES]:
                self._apply(cut)
            self._bodies()
            if self.taken == before:
                self._apply(CALLS)
            self.say(f"{self._size()}; {self.judge.runs} runs of the test")

    def _drop_steps(self) -> None:
        for at in reversed(range(len(self._steps))):
            fewer = self._steps[:at] + self._steps[at + 1 :]
            try:
                if self._of_product(self.best, fewer) == (Verdict.BAD, self._failure):
                    self._steps = fewer
                    self.passes = ",".join(fewer)
                    self.taken += 1
            except MeldError:
                continue

    def _apply(self, cut: Cut) -> None:
        count = cut.parts(self.view)
        least = 1 if cut.least is None else max(1, count // cut.least)
        _halving(
            lambda numbers: self._try(lambda program: cut.remove(program, numbers)),
            lambda: cut.parts(self.view),
            least,
        )

    def _bodies(self) -> None:
        """Goes through all bodies, from those that call to those that are called."""
        done: set[str] = set()
        pending = _callers_first(self.view)
        while pending:
            key, number = pending.pop(0)
            if key in done:
                continue
            done.add(key)
            before = self.taken
            for cut in BODY_CUTS:
                self._apply_inside(cut, number)
            if self.taken > before:
                self._apply(UNUSED)
                pending = _callers_first(self.view)

    def _apply_inside(self, cut: BodyCut, number: int) -> None:
        def groups() -> list[int]:
            return cut.groups(functions(self.view)[number])

        group = 0
        while group < len(groups()):
            before = self.taken
            _halving(
                lambda numbers, group=group: self._try(  # type: ignore[misc]
                    lambda program: cut.remove(functions(program)[number], group, numbers)
                ),
                lambda group=group: (groups()[group : group + 1] or [0])[0],  # type: ignore[misc]
            )
            group += 0 if self.taken > before and cut.name in ("operands", "blocks") else 1

    def _progress(self) -> None:
        """Says how far it is, every few seconds."""
        now = time.monotonic()
        if now - self._told >= EVERY:
            self._told = now
            left = "" if self._end == float("inf") else f"; {max(0, self._end - now):.0f} s left"
            self.say(f"{self._size()}; {self.judge.runs} runs of the test{left}")

    def _size(self) -> str:
        bodies = functions(self.view)
        size = sum(len(function.view().instructions) for function in bodies)
        return f"{len(bodies)} functions with {size} instructions"


def _halving(remove: Callable[[range], bool], count: Callable[[], int], least: int = 1) -> None:
    """Removes as many parts as can be, first all at once, then halves, quarters, … in chunks of neighbours."""
    size = count()
    while size >= least and size > 0:
        at, now = 0, count()
        while at < now:
            if remove(range(at, min(at + size, now))):
                now = count()
            else:
                at += size
        size = min(size // 2, now)


def _kind_of(failure: PassFailure) -> str:
    """How a pass failed, without the names and numbers in it, which change as the program shrinks."""
    return re.sub(r"`[^`]*`|\$\S+|\d+", "…", failure.message.splitlines()[0].partition("; ")[0])


def _callers_first(program: Program) -> list[tuple[str, int]]:
    """The functions, those that exports reach with the fewest calls first, the others last.

    Each by what it is called while others come and go, and by its number.
    """
    from meld.faults.reduction.cuts import modules
    from meld.ir.instructions import references

    bodies = functions(program)
    number = {id(function): i for i, function in enumerate(bodies)}
    order: dict[int, None] = {}
    pending = [e.item for m in modules(program) for e in m.exports if isinstance(e.item, Function)]
    pending += [m.start for m in modules(program) if m.start is not None]
    while pending:
        later: list[Function] = []
        for function in pending:
            if id(function) in number and number[id(function)] not in order:
                order[number[id(function)]] = None
                used = (u for one in function.view().instructions for u in references(one))
                later += [u for u in used if isinstance(u, Function)]
        pending = later
    order |= dict.fromkeys(range(len(bodies)))
    return [(bodies[i].name or f"#{i}", i) for i in order]
