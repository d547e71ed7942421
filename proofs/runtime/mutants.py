"""Deliberate errors in the runtime, each of which its proof has to find, and a call that shows it.

They stand in mutants.toml. An edit replaces a piece of one function of a template, which has to stand there exactly
once; text is compared without comments and line breaks.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import z3

from meld.ir.module import Function
from meld.passes.emit_tasks import channels as stub_source
from meld.rewriting import template
from proofs.mutants import plain
from proofs.runtime import program
from proofs.runtime.check import Program, Scenario, failing
from proofs.runtime.replay import Replay, small
from proofs.solving import solved

COPY = "{name}"
"""The function of copies.wat, which is one for each domain and verb."""
SOURCE = "stub"
"""What stubs are made by: text in channels.py."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of a function of a template; `why` says what is lost, or of an equivalent one, why nothing is."""

    name: str
    file: str
    function: str
    old: str
    new: str
    why: str

    def text(self, text: str) -> str:
        """The template with the change; or the source in Python, whose text is not what is compared."""
        if self.function == SOURCE:
            if text.count(self.old) != 1:
                raise ValueError(f"mutant {self.name}: stands {text.count(self.old)} times in {self.file}: {self.old}")
            return text.replace(self.old, self.new)
        text = plain(re.sub(r"(?m)^ *;; (with|end) (\w+)$", r"§\1 \2§", text))
        start = text.index(f"(func {self.function} ")
        end = text.find("(func ", start + 1)
        body, behind = (text[start:], "") if end < 0 else (text[start:end], text[end:])
        old, new = plain(self.old), plain(self.new)
        if body.count(old) != 1 or old == new:
            raise ValueError(f"mutant {self.name}: stands {body.count(old)} times in {self.function}: {old}")
        return re.sub(r"§(\w+ \w+)§", r"\n;; \1\n", text[:start] + body.replace(old, new) + behind)

    @property
    def package(self) -> str:
        """The package whose template it changes."""
        return "meld.rewriting" if self.file in ("handles.wat", "state.wat") else "meld.passes.emit_tasks"

    def reaches(self, program: Program, scenario: Scenario) -> bool:
        """Whether the function of a scenario may call the one that is changed."""
        if self.function == SOURCE:
            return scenario.program == "stubs"
        if self.function == COPY:
            return re.match(r"(stream|future)_(read|write)\.", scenario.function) is not None
        return self.function in _reached(program.functions[scenario.function])


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Templates are read, or stubs are made, with the change."""
    if mutant.function == SOURCE:
        changed_source = ModuleType(stub_source.__name__)
        changed_source.__package__ = stub_source.__package__
        text = mutant.text(Path(stub_source.__file__).read_text(encoding="utf-8"))
        exec(compile(text, stub_source.__file__, "exec"), changed_source.__dict__)
        vars(program)["Channels"] = vars(changed_source)["Channels"]
        try:
            yield
        finally:
            vars(program)["Channels"] = stub_source.Channels
        return
    original = template._text

    def changed(package: str, name: str) -> str:
        text = original(package, name)
        return mutant.text(text) if name == mutant.file else text

    template._text = changed  # type: ignore[assignment]
    try:
        yield
    finally:
        template._text = original


@dataclass(frozen=True, slots=True)
class Refutation:
    """What the proof says against a mutant: the obligation that fails, and what a run of it does otherwise."""

    obligation: str
    shown: list[str]


Programs = Callable[[str], Program]
"""Programs by their names."""


def refute(mutant: Mutant, build: Programs, scenarios: list[Scenario], original: Programs) -> Refutation:
    """Finds what fails for a mutant, and runs the counter-example on both programs.

    Raises:
        AssertionError: nothing fails, or no counter-example shows it: the engine does on the original what the scenario
            wants, and on the mutant otherwise.
    """
    unshown = None
    changed: dict[str, Program] = {}
    for scenario in scenarios:
        known = original(scenario.program)
        if not mutant.reaches(known, scenario):
            continue
        if scenario.program not in changed:
            with mutated(mutant):
                changed[scenario.program] = build(scenario.program)
        mutated_program = changed[scenario.program]
        if mutated_program.binary == known.binary:  # made of other templates
            continue
        for obligation in failing(mutated_program, scenario):
            model = solved(*obligation.given, z3.Not(obligation.goal), *small(scenario, known.binary))
            if model is None:
                unshown = f"{obligation.name}: no small counter-example"
                continue
            replay = Replay(scenario, model)
            right = replay.differences(known.binary)
            assert not right, (mutant.name, obligation.name, right)
            if shown := replay.differences(mutated_program.binary):
                return Refutation(obligation.name, shown)
            unshown = f"{obligation.name}: the engine does not show it"
    raise AssertionError(f"{mutant.name}: {unshown or 'not refuted'}")


def _reached(function: Function) -> set[str]:
    """The names of the functions that a function may call, as they stand in templates."""
    found: dict[Function, None] = {function: None}
    pending = [function]
    while pending:
        here = pending.pop()
        for i in here.view().instructions if here.imported is None else ():
            for arg in i.args:
                if isinstance(arg, Function) and arg not in found:
                    found[arg] = None
                    pending.append(arg)
    return {"$" + re.sub(r"^(handle-table|state)\.", "", str(f.name)) for f in found}


def _listed(kind: str) -> tuple[Mutant, ...]:
    data = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text(encoding="utf-8"))
    return tuple(Mutant(**entry) for entry in data[kind])


WRONG, EQUIVALENT = _listed("wrong"), _listed("equivalent")
"""Each of the first has to be refuted, each of the others to be proved."""
