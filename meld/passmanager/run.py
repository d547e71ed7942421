"""The loop that runs a plan, and who watches it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from os import PathLike
from pathlib import Path

from meld.diagnostics import Interruption, MeldError, PassFailure
from meld.ir.component import Component
from meld.ir.module import HELD_BACK, Module
from meld.passes.base import Gate, Pass, PassContext, Program, contained, told
from meld.passmanager.step import Plan, Step
from meld.support.records import record


@record()
class Ran:
    """The record of one step: its number from 1, what it left in its context, when it began and how long it took.

    Times are in seconds, by `time.perf_counter`.
    """

    number: int
    step: Step
    context: PassContext
    begin: float
    seconds: float


class Observer:
    """Watches a run. None of the methods may change the program."""

    def loaded(self, path: str | PathLike[str], data: bytes | memoryview) -> None:
        """An input has been read: the bytes of that file."""

    def planned(self, plan: Plan) -> None:
        """This is what will run. MeldError if what the observer was asked for does not fit it."""

    def before(self, number: int, step: Step, program: Program) -> None:
        """The step with that number (from 1) is about to run."""

    def after(self, ran: Ran, program: Program) -> None:
        """A step has run and left that program."""

    def failed(self, number: int, step: Step, program: Program, error: MeldError) -> None:
        """A step has failed, or an observer has found fault with what it left; the run ends with `error`."""


def run(
    plan: Plan,
    program: Program,
    *,
    observers: Iterable[Observer] = (),
    start: int = 0,
    steps: int | None = None,
    gate: Gate | None = None,
) -> tuple[Program, list[Ran]]:
    """Runs a plan; returns the program as it is at the end and a record of each step.

    Args:
        start: how many steps have run already.
        steps: how many steps will have run; all of them if None.
        gate: how many rewrites may happen.

    Raises:
        MeldError: from a pass, with the pass named; a plugin that crashes is a MeldError too.
    """
    watchers = list(observers)
    gate = gate or Gate()
    done: list[Ran] = []
    if isinstance(program, Component):
        program.changed()
    for number, step in enumerate(plan.steps[start:steps], start + 1):
        cx = PassContext(step.label, gate=gate)
        for observer in watchers:
            observer.before(number, step, program)
        begin = time.perf_counter()
        try:
            program = _run_one(number, step, program, cx)
            done.append(Ran(number, step, cx, begin, time.perf_counter() - begin))
            _show(watchers, done[-1], program)
        except MeldError as e:
            for observer in watchers:
                observer.failed(number, step, program, e)
            raise
    return program, done


def _show(watchers: Iterable[Observer], ran: Ran, program: Program) -> None:
    """Tells the observers what a step left. A crash of an observer on what a plugin left is blamed on the plugin."""
    one = ran.step.instance
    for observer in watchers:
        try:
            observer.after(ran, program)
        except MeldError:
            raise
        except Exception as e:
            if one.is_own:
                raise
            message = f"what plugin pass `{one.name}` left is malformed beyond looking at it: {told(e)}"
            rewrites = ran.context.rewrites
            raise PassFailure(message, number=ran.number, label=ran.step.label, own=False, rewrites=rewrites) from e


def _run_one(number: int, step: Step, program: Program, cx: PassContext) -> Program:
    one = step.instance

    def failure(message: str) -> PassFailure:
        return PassFailure(message, number=number, label=step.label, own=one.is_own, rewrites=cx.rewrites)

    try:
        with nullcontext() if one.is_own else contained():
            result = one.run(program, cx)
        if not one.is_own and not _is_whole(cx):
            raise failure(
                f"`{step.name}` has replaced parts of its context; `cx.stats`, `cx.remark` and so on are to be used"
            )
        after: Program = program if result is None else result
        if not isinstance(after, one.writes):
            declared = one.writes.__name__.lower()
            raise failure(f"`{step.name}` declares that it writes a {declared}, but left a {type(after).__name__}")
        if after is not program and not (isinstance(program, Module) and isinstance(after, Component)):
            after.facts = [*program.facts, *(f for f in after.facts if f not in program.facts)]
        if isinstance(after, Component) and not one.is_own:
            after.changed()
        facts = {*one.establishes, *([HELD_BACK] if cx.gate.refused else [])}
        after.facts += sorted(facts - set(after.facts))
    except MeldError as e:
        if e.where is None and e.span is None:
            e.where = f"pass {step.label}"
        raise
    except (KeyboardInterrupt, Interruption):
        raise
    except BaseException as e:
        who = "the compiler's pass" if one.is_own else "plugin pass"
        raise failure(f"{who} `{step.name}` failed: {told(e)}{_place_of(e, one, cx)}") from e
    return after


def _is_whole(cx: PassContext) -> bool:
    """Whether the context is still what a pass was given."""
    return isinstance(cx.stats, Counter) and isinstance(cx.rewrites, list) and isinstance(cx.remarks, list)


def _place_of(error: BaseException, one: Pass, cx: PassContext) -> str:
    """Where in the code of a pass an exception came up, and in which of its rewrites."""
    place = ""
    frame = error.__traceback__
    file = type(one).run.__code__.co_filename
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == file:
            place = f"; {Path(file).name}, line {frame.tb_lineno}"
        frame = frame.tb_next
    if cx.rewrites and _is_whole(cx):
        place += f"; the last rewrite it asked for is number {cx.rewrites[-1].number}, {cx.rewrites[-1]}"
    return place
