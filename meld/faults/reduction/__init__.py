"""Reduction: a smaller program, and fewer passes, that still show what a test finds wrong.

The same test as for bisection says what matters: it succeeds on the program as it is, and fails on what the passes make
of it. So a cut that only breaks the program does not count. The program is first taken as it stands before the first
pass that breaks it; then parts of it are taken away as long as that holds.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from itertools import chain
from os import PathLike
from typing import Any

from meld.diagnostics import Interruption, MeldError, PassFailure
from meld.driver import Options, build, prepare
from meld.faults.bisection import Bisection
from meld.faults.judge import CommandTest, Judge, Verdict
from meld.faults.reduction.body_cuts import BODY_CUTS, BodyCut
from meld.faults.reduction.cuts import CALLS, CUTS, NOTES, UNUSED, Cut, empty, functions, is_stub, strip
from meld.faults.reduction.fault import Change, Fault
from meld.faults.reduction.pool import Pool
from meld.faults.reduction.replay import changed, ending, entered, moments, replayed, restored, weights
from meld.ir.component import Component
from meld.ir.module import Function, Module
from meld.passes.base import Program
from meld.support.records import record

SHORTEST = 1.0
"""Seconds that a test in this process may take in any case: many candidates run endlessly."""
ALONE = 1.0
"""Seconds of judging candidates from which on it pays to start more processes."""
EVERY = 5.0
"""Seconds between two reports."""


class OutOfTime(Interruption):
    """The time that a reduction may take is over."""


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


@record(frozen=True)
class Target:
    """What a cut is applied to: the body of a function, by number, or the program."""

    cut: Cut | BodyCut
    function: int | None = None
    least: int = 1

    def groups(self, program: Program) -> list[int]:
        """How many parts there are in each group."""
        match self.cut:
            case Cut() as cut:
                return [cut.parts(program)]
            case BodyCut() as cut:
                assert self.function is not None
                return cut.groups(functions(program)[self.function])


@record(frozen=True)
class Attempt:
    """A chunk of neighbours to take away: of a target by its place in a list, from `at` on, `size` of them at most."""

    target: int
    group: int
    size: int
    at: int
    change: Change


@record()
class Reducer:
    """A reduction. `best` is the smallest program so far that shows the fault.

    Attributes:
        options: of the run that shows it; without a limit of rewrites, whose number changes as the program shrinks.
        seconds: how long it may take; None: until nothing more can be taken away.
        say: is told what has been reached.
        jobs: how many candidates are judged at a time; what is found does not depend on it.
        tried, taken: how many cuts were tried here, and how many of them could stay.
    """

    inputs: Sequence[str | PathLike[str]]
    options: Options
    judge: Judge
    seconds: float | None = None
    say: Callable[[str], None] = lambda line: None
    jobs: int = 1
    tried: int = 0
    taken: int = 0
    fault: Fault = field(init=False)
    _best: bytes = b""
    _told: float = 0.0
    _view: Program | None = None
    _counted: tuple[int, int] | None = None
    _begun: float = 0.0
    _end: float = float("inf")
    _alone: float = 0.0
    _pool: Pool | None = None

    def __post_init__(self) -> None:
        fuel = {label.removesuffix("#1"): count for label, count in self.options.fuel.items()}
        self.fault = Fault(self.options.plugins, self.judge, fuel=fuel)
        test = self.judge.test
        if isinstance(test, CommandTest) and test.calls:
            test.least = SHORTEST

    @property
    def passes(self) -> str:
        """The pipeline that `best` needs."""
        return ",".join(self.fault.steps)

    @property
    def fuel(self) -> dict[str, int]:
        """How many rewrites its passes may do, by step."""
        return self.fault.fuel

    @property
    def differential(self) -> bool:
        """Whether the test succeeds before the passes, and has to go on to do so. Not if `link` or `merge` is to blame:
        a composition cannot be run without them."""
        return self.fault.differential

    @property
    def best(self) -> Program:
        """A copy of the smallest program so far."""
        return self.fault.load(self._best)

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
        self._begun = time.monotonic()
        if self.seconds is not None:
            self._end = self._begun + self.seconds
        self._begin()
        try:
            with alarm(self.seconds if self.seconds is None else self._end - time.monotonic()):
                self._shrink()
        except (OutOfTime, KeyboardInterrupt):
            return False
        finally:
            if self._pool is not None:
                self._pool.close()
        return True

    # --- where to begin ---

    def _begin(self) -> None:
        """Takes the program as it stands before the step that breaks it, or else as it came in."""
        program, plan = prepare(self.inputs, self.options)
        try:
            first, last = Bisection(self.inputs, self.options, self.judge, self.say).culprit_step()
        except MeldError:
            verdict, result = self.judge.test_run(self.inputs, self.options)
            if isinstance(program, Module) or verdict is not Verdict.BAD:
                raise
            first, last, self.fault.differential = 0, len(plan.steps), False
            if isinstance(result, PassFailure):
                first, last = result.number - 1, result.number
            elif self.options.stop_after is not None:
                last = plan.position(self.options.stop_after, option="--stop-after")
            self.say(
                "the test cannot be asked before the passes: what makes it fail in the same way behind them counts"
            )
            self._looks_at_the_program()
        program = build(self.inputs, replace(self.options, observers=()), steps=first).program
        self.fault.steps = [step.instance.spec() for step in plan.steps[first:last]]
        labels = {step.label: (step.name, n) for n, step in enumerate(plan.steps[first:last])}
        self.fault.fuel = {labels[label][0]: count for label, count in self.fuel.items() if label in labels}
        self._best = self.fault.kept(program)
        self.fault.late = True
        verdict, self.fault.failure = self.fault.of_product(self.best)
        self.fault.late = self.judge.last.late
        if verdict is not Verdict.BAD:
            raise MeldError(
                "the fault does not show if the program is written out before the pass and read again",
                hint="meldc bisect says where it comes in",
            )
        self._tell(f"begin with passes {self.passes or 'none'}")

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
        self.fault.kind = kind

    # --- one change, or the first of many ---

    def _try(self, change: Callable[[Any], object]) -> bool:
        """Changes the best program; keeps that if it still shows the fault."""
        self._progress()
        kept = self.fault.after(self._best, change)
        self.tried += 1
        return kept is not None and self._keep(kept)

    def _keep(self, kept: bytes) -> bool:
        self.taken += 1
        self._best = kept
        self._view = self._counted = None
        if isinstance(self.judge.test, CommandTest):  # a smaller program does not take longer
            self.judge.test.slowest = self.judge.test.latest
        return True

    def _first(self, attempts: Iterable[Attempt]) -> Attempt | None:
        """Makes the first change that can stay; None if there is none."""
        given = iter(attempts)
        for one in given:
            if self._pool is not None:
                return self._first_of_pool(chain([one], given))
            begin = time.monotonic()
            if self._try(one.change):
                return one
            self._alone += time.monotonic() - begin
            if self.jobs > 1 and self._alone > ALONE:
                self._pool = Pool.start(self.fault, self.jobs)
                self._alone = float("-inf") if self._pool is None else 0.0
        return None

    def _first_of_pool(self, attempts: Iterator[Attempt]) -> Attempt | None:
        assert self._pool is not None
        asked: list[Attempt] = []

        def changes() -> Iterator[Change]:
            for one in attempts:
                self._progress()
                asked.append(one)
                yield one.change

        found = self._pool.first(self._best, changes())
        if found is None:
            return None
        kept = self.fault.changed(self._best, asked[found].change)
        assert kept is not None
        self._keep(kept)
        return asked[found]

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
        product = self.fault.passed(self.best)
        if isinstance(product, Component):
            return
        weight = weights(program)
        found = moments(self.best_module, changed(program, product), test.calls[-1].invoke, limit)
        for moment in sorted(found, key=lambda moment: weight[moment.function]):
            good = ending(restored(self.best_module, moment), moment, limit)
            if good.results is None:
                continue
            after = self.fault.passed(restored(self.best_module, moment))
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
        product = self.fault.passed(self.best)
        for one in (self.best, product) if self.differential else (product,):
            if isinstance(one, Module):
                for call in test.calls:
                    copy: Any = self.fault.frozen.thaw(self.fault.frozen.freeze(one))
                    used |= entered(copy, call.invoke, limit)
        names = sorted({call.invoke[0].partition("(")[0] for call in test.calls if call.invoke})
        self._try(lambda one: strip(one, names)) or self._try(lambda one: strip(one, ()))
        unused = [n for n, function in enumerate(program.functions) if n not in used and not is_stub(function)]
        if unused and self._try(lambda one: empty([functions(one)[n] for n in unused])):
            self._apply([UNUSED])

    def _shrink(self) -> None:
        self._drop_steps()
        self._empty_unused()
        self._replay()
        self._empty_unused()
        before = -1
        while before != self.taken:
            before = self.taken
            self._drop_steps()
            self._apply([*CUTS, *NOTES])
            self._bodies()
            if self.taken == before:
                self._apply([CALLS])
        self._tell("nothing more can be taken away")

    def _drop_steps(self) -> None:
        for at in reversed(range(len(self.fault.steps))):
            fewer = self.fault.steps[:at] + self.fault.steps[at + 1 :]
            try:
                if self.fault.of_product(self.best, fewer) == (Verdict.BAD, self.fault.failure):
                    self.fault.steps = fewer
                    self.taken += 1
            except MeldError:
                continue

    def _apply(self, cuts: Sequence[Cut]) -> None:
        def least(cut: Cut) -> int:
            return 1 if cut.least is None else max(1, cut.parts(self.view) // cut.least)

        self._go_on([Target(cut, least=least(cut)) for cut in cuts])

    def _go_on(self, targets: Sequence[Target], found: Attempt | None = None) -> None:
        """Takes as many parts away as can be; behind a change that was found, from there on."""
        found = self._first(_attempts(targets, self.view, found))
        while found is not None:
            found = self._first(_attempts(targets, self.view, found))

    def _bodies(self) -> None:
        """Goes through all bodies, from those that call to those that are called."""
        done: set[str] = set()
        while True:
            pending = [(key, number) for key, number in _callers_first(self.view) if key not in done]
            targets = [Target(cut, number) for _, number in pending for cut in BODY_CUTS]
            found = self._first(_attempts(targets, self.view))
            if found is None:
                return
            at = found.target // len(BODY_CUTS)
            done.update(key for key, _ in pending[: at + 1])
            begin = at * len(BODY_CUTS)
            own = targets[begin : begin + len(BODY_CUTS)]
            self._go_on(own, replace(found, target=found.target - begin))
            self._apply([UNUSED])

    def _progress(self) -> None:
        """Says how far it is, every few seconds. Raises OutOfTime."""
        if time.monotonic() > self._end:
            raise OutOfTime
        if time.monotonic() - self._told >= EVERY:
            left = "" if self._end == float("inf") else f"{max(0, self._end - time.monotonic()):.0f} s left"
            self._tell(left)

    def _tell(self, what: str) -> None:
        """Says how large the program is by now, after how many seconds and runs of the test."""
        self._told = time.monotonic()
        runs = self.judge.runs + (0 if self._pool is None else self._pool.runs)
        said = f"{self._told - self._begun:6.1f} s  {self._size()}; {runs} runs of the test"
        self.say(f"{said}; {what}" if what else said)

    def _size(self) -> str:
        if self._counted is None:  # which decodes every body
            bodies = functions(self.view)
            self._counted = len(bodies), sum(len(function.view().instructions) for function in bodies)
        return "{} functions with {} instructions".format(*self._counted)


def _attempts(targets: Sequence[Target], program: Program, found: Attempt | None = None) -> Iterator[Attempt]:
    """What to try, as long as nothing of it can stay: of each group all parts, then halves, quarters, … of neighbours.

    Args:
        found: what was taken away last; it goes on there, with what has moved up into its place.
    """
    for number, target in enumerate(targets):
        if found is not None and number < found.target:
            continue
        groups = target.groups(program)
        for group in range(0 if found is None or number > found.target else found.group, len(groups)):
            now = size = groups[group]
            at = 0
            if found is not None and (number, group) == (found.target, found.group):
                size, at = found.size, found.at
            while size >= target.least and size > 0:
                for start in range(at, now, size):
                    numbers = range(start, min(start + size, now))
                    change = Change(target.cut.name, numbers, target.function, group)
                    yield Attempt(number, group, size, start, change)
                size, at = min(size // 2, now), 0


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
