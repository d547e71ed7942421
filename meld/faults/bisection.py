"""Bisection: the step of a pipeline, and in it the one rewrite, after which a test fails.

Compilation is deterministic, so each point between the inputs and the product is recovered by compiling again:
with fewer steps, or with less fuel for the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from os import PathLike

from meld.diagnostics import MeldError, PassFailure
from meld.driver import Options, Outcome, build, prepare
from meld.faults.judge import SKIP, Judge, Verdict
from meld.ir.module import Module
from meld.journal import Difference
from meld.observers.compare import OneStep, between_runs
from meld.passes.base import Program, Rewrite
from meld.passmanager import Observer, Plan, Step
from meld.support.records import record

UNSTEADY = "the test does not always say the same of the same program"
GOOD, BAD, UNCLEAR = Verdict.GOOD, Verdict.BAD, Verdict.UNCLEAR


@record()
class Culprit:
    """What a bisection found.

    Attributes:
        step, number, steps: the step after which the test fails, its number, and how many there are.
        label, before: what `--stop-after` calls it, and the step before it if there is one.
        rewrite: after which it fails; None if what breaks the test is not a rewrite of its own.
        rewrites: how many the step asks for.
        candidates: the other steps or rewrites, by number, that it may be as well, since the test could not tell.
        doubts: why the answer may not be the whole truth.
        differences: what the rewrite did to the program, or the whole step.
        failure: what the pass said, if it broke instead.
        runs: how often the test was run.
    """

    step: Step
    number: int
    steps: int
    label: str
    before: str | None
    rewrite: Rewrite | None = None
    rewrites: int = 0
    candidates: list[int] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    failure: str | None = None
    runs: int = 0

    def options(self, *, bad: bool) -> list[str]:
        """The options of `meldc` that give the program right before the test fails, or right after."""
        if self.rewrite is not None:
            return [f"--stop-after={self.label}", f"--fuel={self.label}:{self.rewrite.number - (not bad)}"]
        if bad:
            return [f"--stop-after={self.label}"]
        return ["--passes="] if self.before is None else [f"--stop-after={self.before}"]


@record()
class Bisection:
    """A search. `say` is told each verdict as it comes."""

    inputs: Sequence[str | PathLike[str]]
    options: Options
    judge: Judge
    say: Callable[[str], None] = lambda line: None

    def find(self) -> Culprit:
        """Finds the culprit.

        Raises:
            MeldError: the test succeeds at the end, or fails at the start already; or the program cannot be compiled.
        """
        low, high = self.culprit_step()
        plan, last = self._plan()
        culprit = Culprit(
            plan.steps[high - 1],
            high,
            last,
            plan.exact(high),
            plan.exact(high - 1) if high > 1 else None,
            candidates=list(range(low + 1, high)),
        )
        if not culprit.candidates:
            self._in_step(culprit)
        culprit.doubts += self._unsteady(low, high, last)
        culprit.runs = self.judge.runs
        return culprit

    def culprit_step(self) -> tuple[int, int]:
        """After how many steps the test still succeeds, and after how many it fails, as near to each other as it can
        tell. Raises MeldError as `find`."""
        plan, last = self._plan()
        first = first_module(prepare(self.inputs, self.options)[0], plan, last)
        self._check_ends(plan, first, last)
        return search(first, last, lambda steps: self._at(plan, steps))

    def _unsteady(self, low: int, high: int, last: int) -> Iterator[str]:
        """Repeats the tests at the ends and around the step: a test must be deterministic."""
        if self.judge.test is None:
            return
        first = first_module(*prepare(self.inputs, self.options), last)
        for steps, expected in ((first, GOOD), (last, BAD), (low, GOOD), (high, BAD)):
            outcome = build_or_none(self.inputs, self.options, steps)
            if outcome is not None and self.judge.of(outcome.program, again=True) is not expected:
                yield UNSTEADY
                return

    def _plan(self) -> tuple[Plan, int]:
        """The plan, and how many of its steps run."""
        plan = prepare(self.inputs, self.options)[1]
        wanted = self.options.stop_after
        return plan, len(plan.steps) if wanted is None else plan.position(wanted, option="--stop-after")

    def _at(self, plan: Plan, steps: int) -> Verdict:
        verdict, result = self.judge.test_run(self.inputs, self.options, steps)
        self._tell(f"after {plan.steps[steps - 1].label}" if steps else "the input", verdict, result)
        return verdict

    def _tell(self, where: str, verdict: Verdict, result: Outcome | MeldError) -> None:
        why = f" ({result.message.splitlines()[0]})" if isinstance(result, MeldError) else ""
        said = [] if isinstance(result, MeldError) else self.judge.last.lines()
        self.say("\n".join([f"{where}: {verdict.value}{why}", *(f"  | {line}" for line in said)]))

    def _check_ends(self, plan: Plan, first: int, last: int) -> None:
        verdict, result = self.judge.test_run(self.inputs, self.options, last)
        self._tell("the product", verdict, result)
        if verdict is UNCLEAR and isinstance(result, MeldError):
            raise result
        if verdict is not BAD:
            what = "succeeds" if verdict is GOOD else f"cannot tell (exit code {SKIP})"
            raise MeldError(
                f"the test {what} on the product of the pipeline: there is nothing to look for",
                hint="the test must fail there, and succeed on what stands before the pass that is to blame",
            )
        where = f"what stands after {plan.steps[first - 1].label}" if first else "the input"
        verdict = self._at(plan, first)
        if verdict is not GOOD:
            printed = self.judge.last.lines()
            what = "fails" if verdict is BAD else f"cannot tell (exit code {SKIP})"
            raise MeldError(
                f"the test {what} on {where} already, so none of the passes behind it is to blame"
                + (f"; it said: {' / '.join(printed)}" if printed else ""),
                hint="what is still pending there are imports: `meldc run {}` interprets them, an engine alone does not"
                if self.judge.form == "wat"
                else "what is still pending there are imports; only --emit=wat says what they stand for",
            )

    # --- inside a step ---

    def _in_step(self, culprit: Culprit) -> None:
        """Finds the rewrite of the culprit's step."""
        _, result = self.judge.test_run(self.inputs, self.options, culprit.number)
        count = culprit.rewrites = len(_rewrites(result))
        if count and self._with_fuel(culprit, 0)[0] is GOOD:
            low, high = search(0, count, lambda fuel: self._with_fuel(culprit, fuel)[0])
            _, result = self._with_fuel(culprit, high)
            culprit.rewrite = _rewrites(result)[high - 1]
            culprit.candidates = list(range(low + 1, high))
            if not culprit.candidates:
                culprit.doubts = list(self._doubts(culprit, high, count, result))
        elif count:
            culprit.doubts.append(
                "the test fails if all rewrites of the pass are held back: it is what it does besides"
            )
        if isinstance(result, MeldError):
            culprit.failure = result.message
        else:
            culprit.differences = self._differences(culprit)

    def _with_fuel(self, culprit: Culprit, fuel: int) -> tuple[Verdict, Outcome | MeldError]:
        verdict, result = self.judge.test_run(self.inputs, self._fueled(culprit, fuel), culprit.number)
        self._tell(f"{culprit.step.label} with {fuel} rewrites", verdict, result)
        return verdict, result

    def _fueled(self, culprit: Culprit, fuel: int, *observers: Observer) -> Options:
        """The options with that fuel for the culprit's step."""
        given = {name.removesuffix("#1"): count for name, count in self.options.fuel.items()}
        label = culprit.step.label
        return replace(self.options, fuel={**given, label: min(fuel, given.get(label, fuel))}, observers=observers)

    def _doubts(self, culprit: Culprit, fuel: int, count: int, result: Outcome | MeldError) -> Iterator[str]:
        """Tests the neighbours of the culprit, and the culprit twice."""
        label = culprit.step.label
        for near, expected in ((fuel - 2, GOOD), (fuel + 1, BAD)):
            if 0 <= near <= count and self._with_fuel(culprit, near)[0] is (BAD if expected is GOOD else GOOD):
                yield (
                    f"with --fuel={label}:{near} the test {'succeeds' if expected is BAD else 'fails'}: "
                    "rewrites depend on each other, and there are several places where the verdict changes"
                )
        if self.judge.test is None:
            return
        before = self.judge.test_run(self.inputs, self._fueled(culprit, fuel - 1), culprit.number)[1]
        for outcome, expected in ((before, GOOD), (result, BAD)):
            if isinstance(outcome, Outcome) and self.judge.of(outcome.program, again=True) is not expected:
                yield UNSTEADY

    def _differences(self, culprit: Culprit) -> list[Difference]:
        """What the rewrite did, or the whole step."""
        if culprit.rewrite is None:
            whole = OneStep(culprit.number)
            build(self.inputs, replace(self.options, observers=[whole]), steps=culprit.number)
            return list(whole.result().differences())
        sides = []
        for fuel in (culprit.rewrite.number - 1, culprit.rewrite.number):
            sides.append(OneStep(culprit.number))
            build(self.inputs, self._fueled(culprit, fuel, sides[-1]), steps=culprit.number)
        return between_runs(sides[0].result(), sides[1].result())


def build_or_none(inputs: Sequence[str | PathLike[str]], options: Options, steps: int) -> Outcome | None:
    """What stands after some steps of a run; None if that breaks."""
    try:
        return build(inputs, options, steps=steps)
    except MeldError:
        return None


def _rewrites(result: Outcome | MeldError) -> Sequence[Rewrite]:
    """The rewrites of the last step of a run."""
    if isinstance(result, Outcome):
        return result.ran[-1].context.rewrites
    return result.rewrites if isinstance(result, PassFailure) else ()


def first_module(program: Program, plan: Plan, last: int) -> int:
    """After how many steps there is a module, which can be run, for the first time. MeldError: never."""
    if isinstance(program, Module):
        return 0
    for number, step in enumerate(plan.steps[:last], 1):
        if step.instance.writes is Module:
            return number
    raise MeldError("the pipeline does not get to a module, which a test could run", hint="it needs `merge`")


def search(low: int, high: int, verdict: Callable[[int], Verdict]) -> tuple[int, int]:
    """Two numbers between which a good `low` turns into a bad `high`; neighbours unless all between are unclear."""
    unclear: set[int] = set()
    while True:
        between = [n for n in range(low + 1, high) if n not in unclear]
        if not between:
            return low, high
        tried = min(between, key=lambda n: abs(2 * n - low - high))
        match verdict(tried):
            case Verdict.GOOD:
                low = tried
            case Verdict.BAD:
                high = tried
            case Verdict.UNCLEAR:
                unclear.add(tried)
