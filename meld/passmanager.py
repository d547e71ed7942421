"""The pass manager: which passes run, in which order, and the loop that runs them.

Constraints are a graph: a pass comes after those that establish the facts it needs (hard), and keeps to the
wishes `after` and `before` (soft, between passes that both run). A named pipeline is checked against it before
anything runs; the default pipeline is derived from it.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import field
from itertools import pairwise
from pathlib import Path
from typing import Any

from meld.diagnostics import MeldError, PassFailure, Remark, Source, Span, did_you_mean
from meld.ir.component import Component
from meld.ir.module import HELD_BACK, Module
from meld.passes import Registry
from meld.passes.base import Gate, OptionInfo, Pass, PassContext, Program, options_of, parse_option
from meld.support.graph import Circle, topological
from meld.support.records import record

FRONT = ("link", "merge")
"""What takes a composition to a module, put in front of a pipeline that starts beyond its input's language."""


@record()
class Step:
    """One pass of a plan, with the place in the pipeline text that named it.

    `occurrence` counts the steps of one pass: the second has the label ``PASS#2``.
    """

    instance: Pass
    span: Span | None = None
    occurrence: int = 1

    @property
    def name(self) -> str:
        return self.instance.name

    @property
    def label(self) -> str:
        """What the step is called where one is meant: ``finish``, ``finish#2``."""
        return self.name if self.occurrence == 1 else f"{self.name}#{self.occurrence}"

    def matches(self, wanted: str) -> bool:
        """Whether a user who writes `wanted` means this step: a name means every occurrence, ``NAME#1`` the first."""
        return wanted in (self.name, f"{self.name}#{self.occurrence}")


@record()
class Plan:
    """What will run."""

    steps: list[Step]
    remarks: list[Remark] = field(default_factory=list)

    def __post_init__(self) -> None:
        seen: Counter[str] = Counter()
        for step in self.steps:
            seen[step.name] += 1
            step.occurrence = seen[step.name]

    def position(self, wanted: str, *, option: str) -> int:
        """How many steps have run after the last one that `wanted` (``PASS`` or ``PASS#2``) means.

        Raises:
            MeldError: there is none; `option` is what asked for it.
        """
        found = [number for number, step in enumerate(self.steps, 1) if step.matches(wanted)]
        if not found:
            labels = [step.label for step in self.steps]
            hint = did_you_mean(wanted, labels, "it is: " + ",".join(labels))
            if "," in wanted and option.startswith("--dump"):
                hint = "one at a time: " + " ".join(f"{option}={one}" for one in wanted.split(","))
            raise MeldError(f"{option}={wanted}: that pass is not in the pipeline", hint=hint)
        return found[-1]

    def exact(self, number: int) -> str:
        """What means the step with that number alone: ``finish``, or ``finish#1`` if it runs again later."""
        step = self.steps[number - 1]
        again = any(later.name == step.name for later in self.steps[number:])
        return f"{step.name}#{step.occurrence}" if again else step.label

    def spec(self) -> str:
        """The plan as a pipeline text."""
        return ",".join(step.instance.spec() for step in self.steps)


# --- the text of a pipeline ----------------------------------------------------------------------------------------

_NAME = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*")
_OPTION = re.compile(r"\s*([A-Za-z_][\w-]*)\s*(?:=\s*([^,{}\s]*))?\s*,?")


def parse_pipeline(text: str, registry: Registry, *, source: str = "--passes") -> list[Step]:
    """Reads ``detect-pairs,emit-bridge{slots=16,ring=8192}``; empty text is no pass at all.

    Raises:
        MeldError: a syntax error, an unknown pass or option, a bad value; with a span in the text.
    """
    src = Source(source, text)
    steps: list[Step] = []
    at = 0
    if not text.strip():
        return steps
    while True:
        match = _NAME.match(text, at)
        if not match:
            raise MeldError(
                "expected the name of a pass", span=Span(src, at, at + 1), hint="for example `merge,finish`"
            )
        span = Span(src, match.start(1), match.end(1))
        try:
            cls = registry.get(match[1])
        except MeldError as e:
            raise MeldError(e.message, span=span, hint=e.hint) from e
        at = match.end()
        values: dict[str, Any] = {}
        if text[at : at + 1] == "{":
            values, at = _parse_options(src, at, cls)
        try:
            steps.append(Step(cls(**values), span))
        except MeldError as e:
            raise MeldError(e.message, span=span, hint=e.hint) from e
        if at >= len(text):
            return steps
        if text[at] != ",":
            raise MeldError("expected `,` or `{` after the pass", span=Span(src, at, at + 1))
        at += 1


def _parse_options(src: Source, at: int, cls: type[Pass]) -> tuple[dict[str, Any], int]:
    text = src.text
    known = {info.name: info for info in options_of(cls)}
    close = text.find("}", at)
    if close < 0:
        raise MeldError("`{` is never closed", span=Span(src, at, at + 1))
    values: dict[str, Any] = {}
    at += 1
    while text[at:close].strip():
        match = _OPTION.match(text, at, close)
        if not match:
            raise MeldError("expected `option=value`", span=Span(src, at, at + 1))
        span = Span(src, match.start(1), match.end(1))
        info = known.get(match[1].replace("_", "-"))
        if info is None:
            hint = did_you_mean(match[1], known, f"its options: {', '.join(known) or 'none'}")
            raise MeldError(f"`{cls.name}` has no option `{match[1]}`", span=span, hint=hint)
        values[info.name.replace("-", "_")] = _value(info, match[2] or "", span)
        at = match.end()
    rest = _spaces(text, close + 1)
    return values, rest


def _value(info: OptionInfo, text: str, span: Span) -> Any:
    try:
        return parse_option(info, text)
    except MeldError as e:
        raise MeldError(e.message, span=span) from e


def _spaces(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


# --- planning ------------------------------------------------------------------------------------------------------


def plan_default(
    program: Program, registry: Registry, also: Collection[str] = (), without: Collection[str] = ()
) -> Plan:
    """The default pipeline from where the program stands: what its facts say has run is left out.

    `also` names passes of the compiler that otherwise run on request only, `without` those that shall not run.

    A pass whose facts nobody can establish any more (a core module that no `merge` made) is left out too.
    """
    classes = [cls for cls in registry.placed(also) if cls.name not in without]
    facts = set(program.facts)
    language: type[Any] = type(program)
    order = _sorted(classes)
    steps: list[Step] = []
    for cls in order:
        done = bool(cls.establishes) and set(cls.establishes) <= facts and not cls.repeatable
        if done or cls.reads is not language or not set(cls.requires) <= facts:
            continue
        steps.append(Step(cls()))
        facts |= set(cls.establishes)
        language = cls.writes
    return Plan(steps, list(registry.remarks))


def plan_named(steps: list[Step], program: Program, registry: Registry) -> Plan:
    """Checks a named pipeline against the program's language and facts.

    Passes that take a composition to a module are put in front where the pipeline starts beyond its input; nothing
    else is added.

    Raises:
        MeldError: with the place in the pipeline text, the reason, and an order that works.
    """
    remarks = list(registry.remarks)
    if steps and isinstance(program, Component) and steps[0].instance.reads is not Component:
        front = [registry.get(name) for name in FRONT]
        missing = [cls for cls in front if not set(cls.establishes) <= set(program.facts)]
        steps = [Step(cls()) for cls in missing] + steps
        names = ",".join(cls.name for cls in missing)
        remarks.append(Remark("plan", f"the input is a component: `{names}` put in front"))
    elif [step.name for step in steps[:1]] == ["merge"] and "linked" not in program.facts:
        steps = [Step(registry.get("link")()), *steps]
        remarks.append(Remark("plan", "`link` put in front of `merge`"))
    _sorted([type(step.instance) for step in steps])
    facts: set[str] = set(program.facts)
    language: type[Any] = type(program)
    for i, step in enumerate(steps):
        problem = _problem(steps, i, facts, language, registry)
        if problem:
            raise MeldError(problem, span=step.span, hint=_way_out(steps, program, registry))
        facts |= set(step.instance.establishes)
        language = step.instance.writes
    return Plan(steps, remarks)


def _problem(steps: list[Step], i: int, facts: set[str], language: type[Any], registry: Registry) -> str | None:
    one = steps[i].instance
    if one.reads is not language:
        return f"`{one.name}` reads a {one.reads.__name__.lower()}, but gets a {language.__name__.lower()} here"
    missing = sorted(set(one.requires) - facts)
    if missing:
        fact = missing[0]
        later = next((s.name for s in steps[i + 1 :] if fact in s.instance.establishes), None)
        if later:
            return f"`{one.name}` needs the fact `{fact}`, which `{later}` establishes only later"
        makers = registry.facts().get(fact)
        if not makers:
            return f"`{one.name}` needs the fact `{fact}`, which no pass establishes"
        return f"`{one.name}` needs the fact `{fact}`, which `{makers[0].name}` establishes; it is not in the pipeline"
    held = set(one.establishes) & facts
    if held and not one.repeatable:
        return f"`{one.name}` has run already: the fact `{sorted(held)[0]}` holds"
    return None


def _way_out(steps: list[Step], program: Program, registry: Registry) -> str | None:
    """A working order of the named passes, with those that supply what is missing."""
    facts = set(program.facts)
    wanted: dict[str, Step] = {}
    pending = list(steps)
    while pending:
        step = pending.pop(0)
        if step.name in wanted or (set(step.instance.establishes) & facts and not step.instance.repeatable):
            continue
        wanted[step.name] = step
        for fact in sorted(set(step.instance.requires) - facts):
            if not any(fact in s.instance.establishes for s in [*wanted.values(), *pending]):
                makers = registry.facts().get(fact)
                if not makers:
                    return did_you_mean(fact, registry.facts())
                pending.append(Step(makers[0]()))
    try:
        order = _sorted([type(step.instance) for step in wanted.values()])
    except MeldError:
        return None
    if not order:
        return "nothing is left to run"
    return "this order works: " + ",".join(wanted[cls.name].instance.spec() for cls in order)


def constraints(classes: Iterable[type[Pass]]) -> dict[tuple[str, str], str]:
    """The constraints among some passes: (pass, pass that comes after it) → why."""
    unique = {cls.name: cls for cls in classes}
    found: dict[tuple[str, str], str] = {}

    def edge(first: str, second: str, reason: str) -> None:
        if first in unique and second in unique and first != second:
            found.setdefault((first, second), reason)

    for cls in unique.values():
        for maker in unique.values():
            for fact in sorted(set(cls.requires) & set(maker.establishes)):
                edge(maker.name, cls.name, f"`{cls.name}` needs `{fact}`, which `{maker.name}` establishes")
        for other in cls.after:
            edge(other, cls.name, f"`{cls.name}` asks to run after `{other}`")
        for other in cls.before:
            edge(cls.name, other, f"`{cls.name}` asks to run before `{other}`")
    return found


def _sorted(classes: list[type[Pass]]) -> list[type[Pass]]:
    """The passes in an order that keeps every constraint and otherwise the given one. Raises MeldError on a cycle."""
    unique = {cls.name: cls for cls in classes}
    edges = constraints(unique.values())
    try:
        return [unique[name] for name in topological(list(unique), edges)]
    except Circle as e:
        path = [str(name) for name in e.path]
        reasons = "; ".join(edges[pair] for pair in pairwise(path))
        culprits = [name for name in path if not unique[name].is_own]
        hint = f"change `requires`, `after` or `before` of `{culprits[0]}`" if culprits else None
        raise MeldError(
            f"the passes {' → '.join(path)} wait for each other: {reasons}", where="pipeline", hint=hint
        ) from None


# --- running -------------------------------------------------------------------------------------------------------


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
    """Somebody who watches a run. None of the methods may change the program."""

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
    for number, step in enumerate(plan.steps[start:steps], start + 1):
        cx = PassContext(step.label, gate=gate)
        for observer in watchers:
            observer.before(number, step, program)
        begin = time.perf_counter()
        try:
            program = _run_one(number, step, program, cx)
            done.append(Ran(number, step, cx, begin, time.perf_counter() - begin))
            for observer in watchers:
                observer.after(done[-1], program)
        except MeldError as e:
            for observer in watchers:
                observer.failed(number, step, program, e)
            raise
    return program, done


def _run_one(number: int, step: Step, program: Program, cx: PassContext) -> Program:
    one = step.instance

    def failure(message: str) -> PassFailure:
        return PassFailure(message, number=number, label=step.label, own=one.is_own, rewrites=cx.rewrites)

    try:
        result = one.run(program, cx)
    except MeldError as e:
        if e.where is None and e.span is None:
            e.where = f"pass {step.label}"
        raise
    except Exception as e:
        who = "the compiler's pass" if one.is_own else "plugin pass"
        raise failure(f"{who} `{step.name}` failed: {type(e).__name__}: {e}{_place_of(e, one, cx)}") from e
    after: Program = program if result is None else result
    if not isinstance(after, one.writes):
        raise failure(
            f"`{step.name}` declares that it writes a {one.writes.__name__.lower()}, but left a {type(after).__name__}"
        )
    if after is not program and not (isinstance(program, Module) and isinstance(after, Component)):
        after.facts = [*program.facts, *(f for f in after.facts if f not in program.facts)]
    facts = {*one.establishes, *([HELD_BACK] if cx.gate.refused else [])}
    after.facts += sorted(facts - set(after.facts))
    return after


def _place_of(error: Exception, one: Pass, cx: PassContext) -> str:
    """Where in the code of a pass an exception came up, and in which of its rewrites."""
    place = ""
    frame = error.__traceback__
    file = type(one).run.__code__.co_filename
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == file:
            place = f"; {Path(file).name}, line {frame.tb_lineno}"
        frame = frame.tb_next
    if cx.rewrites:
        place += f"; the last rewrite it asked for is number {cx.rewrites[-1].number}, {cx.rewrites[-1]}"
    return place
