"""Planning: which passes run, and in which order.

Constraints are a graph: a pass comes after those that establish the facts it needs (hard), and keeps to the wishes
`after` and `before` (soft, between passes that both run). A named pipeline is checked against it before anything runs;
the default pipeline is derived from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Any

from meld.diagnostics import MeldError, Remark, did_you_mean
from meld.ir.component import Component
from meld.passes import Registry
from meld.passes.base import Pass, Program
from meld.passmanager.step import Plan, Step
from meld.support.graph import Circle, topological

FRONT = ("link", "merge")
"""What takes a composition to a module, put in front of a pipeline that starts beyond its input's language."""


def plan_default(
    program: Program, registry: Registry, also: Collection[str] = (), without: Collection[str] = ()
) -> Plan:
    """The default pipeline from where the program stands: what its facts say has run is left out.

    `also` names passes of the compiler that otherwise run on request only, `without` those that are left out.

    A pass whose facts can no longer be established (a core module that no `merge` made) is left out too.
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

    Passes that take a composition to a module are put in front where the pipeline starts beyond its input, and those
    that a pass brings in their places; nothing else is added.

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
    steps = _with_brought(steps, program, registry, remarks)
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


def _with_brought(steps: list[Step], program: Program, registry: Registry, remarks: list[Remark]) -> list[Step]:
    """The steps, with those that some of them bring."""
    out: list[Step] = list(steps)
    for step in steps:
        for name in step.instance.brings:
            cls = registry.get(name)
            if any(other.name == name for other in out) or set(cls.establishes) <= set(program.facts):
                continue
            place = next((i for i, other in enumerate(out) if other.name in cls.before), None)
            if place is not None and any(other is step for other in out[place:]):
                out.insert(place, Step(cls()))
                remarks.append(Remark("plan", f"`{step.name}` brings `{name}`, before `{out[place + 1].name}`"))
    return out


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
