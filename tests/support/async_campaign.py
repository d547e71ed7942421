"""Random asynchronous programs by the thousand: the engine, the interpreter, and fused; and what a schedule may change.

Programs of one shape share their code, which is compiled once for each of the three; scripts are written into fresh
instances. Answers of all calls are compared. Where two differ, that may be the scheduler's choice: the interpreter is
run with other choices until it answers the same (then that is legal) or has been tried often enough.

    python tests/support/async_campaign.py SHAPES STATE      goes on where STATE, a file, ends; a line for each shape
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import wasmtime
from adapter_pairs import BUG
from async_guests import Program
from both import Calls, Fused, Unfused
from random_async import generate

from meld.binary.writer import write_module
from meld.files import decode
from meld.ir.module import Module
from meld.passes import Registry
from meld.passmanager import parse_pipeline, plan_named, run
from meld.runtime.boundaries import Interpreter
from meld.runtime.host import Host
from meld.runtime.instantiate import Running, Trapped, _Supply, engine, expose_memories
from meld.runtime.tasks.unwinding import FramesInModule

ENGINES_OWN = (f"trap: {BUG}", "trap: resource not present")
"""What the engine says where its own tables are not in order."""
SCRIPTS = 50
"""Programs of one shape."""
NEAR, FAR = 200, 300
"""Schedules that are tried before a difference counts as one: near to the first, and any."""


@dataclass
class Choices:
    """Answers the scheduler from a list; after its end with 0, or, some of the time, with anything.

    Attributes:
        astray: how often with anything.
        among: of how many things one was to be chosen, each time.
        given: which one was.
    """

    taken: tuple[int, ...] = ()
    astray: float = 0
    r: random.Random = field(default_factory=random.Random)
    among: list[int] = field(default_factory=list)
    given: list[int] = field(default_factory=list)

    def __call__(self, count: int) -> int:
        place, chosen = len(self.among), 0
        if place < len(self.taken):
            chosen = min(self.taken[place], count - 1)
        elif self.astray and self.r.random() < self.astray:
            chosen = self.r.randrange(count)
        self.among.append(count)
        self.given.append(chosen)
        return chosen

    def others(self) -> list[tuple[int, ...]]:
        """Lists of choices that depart from this one once, behind all that it was given."""
        places = range(len(self.taken), len(self.among))
        return [(*self.given[:k], other) for k in places for other in range(1, self.among[k])]


class Model:
    """What `merge` leaves of a component, for the interpreter; compiled once."""

    def __init__(self, wasm: bytes) -> None:
        source, registry = decode(wasm, "program"), Registry.standard()
        merged, _ = run(plan_named(parse_pipeline("link,merge", registry), source, registry), source)
        assert isinstance(merged, Module)
        self.merged = merged
        self.first = Interpreter(merged)
        with self.first.encoded() as made:
            self.compiled = wasmtime.Module(engine(), write_module(expose_memories(made, self.first.exports)))

    def start(self, choose: Callable[[int], int]) -> Running:
        """A new instance, whose scheduler chooses thus."""
        interpreter = Interpreter(self.merged)
        interpreter._items.names |= self.first._items.names
        interpreter._scheduler.choose = choose
        moving = self.first._frames.unwinding
        if moving is not None:
            assert isinstance(moving, FramesInModule)
            interpreter._frames.unwinding = FramesInModule(interpreter._items, moving.carrier, moving.leaves)
        store = wasmtime.Store(engine())
        supply = _Supply(Host(), interpreter, {}, store, False)
        instance = wasmtime.Instance(store, self.compiled, [supply.item(wanted) for wanted in self.merged.imports])
        interpreter.attach(instance, store)
        return Running(self.merged, supply.host, interpreter, store, instance)

    def answers(self, calls: Calls, choices: Choices | None = None) -> list[Any]:
        """What each call answers, or why it traps."""
        running = self.start(choices or Choices())
        answers: list[Any] = []
        for name, *arguments in calls:
            try:
                answers.append(running.call(name, *arguments))
            except Trapped as e:
                answers.append(f"trap: {e}")
        return answers

    def reaches(self, want: list[Any], loads: Calls, calls: Calls) -> tuple[int, ...] | None:
        """Choices under which the calls answer thus: few departures from the first choice, then any number of them."""

        def answers(choices: Choices) -> bool:
            return plain(self.answers((*loads, *calls), choices)[len(loads) :]) == want

        queue, r = deque([Choices()]), random.Random(0)
        for _ in range(NEAR):
            if not queue:
                break
            choices = queue.popleft()
            if answers(choices):
                return choices.taken
            if len(queue) < NEAR:
                queue.extend(map(Choices, choices.others()))
        for _ in range(FAR):
            choices = Choices(astray=r.random(), r=r)
            if answers(choices):
                return tuple(choices.given)
        return None


SAYS_LESS = (
    (r"unknown handle index \d+", "unknown handle index"),
    (r"handle \d+ is", "handle is"),
    (r"is not an? (waitable-set|subtask)", r"is not a \1"),
    (r"is not an? (end|stream|future)\b", "is not an end"),
    (r"(stream or future|stream|future) (read|write) cancelled", r"\2 cancelled"),
)
"""Words of traps, as far as the interpreter and the engine say the same."""


def plain(answers: list[Any]) -> list[Any]:
    """Answers whose words of traps can be compared between the engine and the interpreter."""
    return [_plain_words(answer) if isinstance(answer, str) else answer for answer in answers]


def _plain_words(text: str) -> str:
    for pattern, less in SAYS_LESS:
        text = re.sub(pattern, less, text)
    return text


@dataclass
class Verdict:
    """What the three answered, and a word for it: "same"; "legal", by choices of the schedule; "engine", a bug of it.

    Any other word names who differs.
    """

    program: Program
    unfused: list[Any]
    model: list[Any]
    fused: list[Any]
    word: str = "same"

    def __str__(self) -> str:
        return f"{self.word}\nengine {self.unfused}\nmodel  {self.model}\nfused  {self.fused}\n{self.program}"


class Shape:
    """The programs that differ in nothing but their scripts."""

    def __init__(self, program: Program) -> None:
        wasm = program.wasm
        self.program = program
        self.unfused, self.model, self.fused = Unfused(wasm), Model(wasm), Fused(wasm)

    def verdict(self, program: Program) -> Verdict:
        """Runs one program on all three."""
        return judged(self, program)


class ShapeWithErrors:
    """The same of programs with error contexts, which the engine has not by its Python package: two of the three."""

    def __init__(self, program: Program) -> None:
        self.model, self.fused = Model(program.wasm), Fused(program.wasm)

    def verdict(self, program: Program) -> Verdict:
        """Runs one program on both."""
        loads, calls = program.loads, program.calls
        want, mine = (plain(side.answers((*loads, *calls))[len(loads) :]) for side in (self.model, self.fused))
        found = Verdict(program, [], want, mine)
        if _wordless(mine) != _wordless(want):
            legal = self.model.reaches(mine, loads, calls) is not None
            found.word = "legal" if legal else "differs: fused"
        return found


class Sides(Protocol):
    """The three that run programs."""

    unfused: Unfused
    model: Model
    fused: Fused | Unfused


def judged(sides: Sides, program: Program) -> Verdict:
    """Runs one program on all three."""
    loads, calls = program.loads, program.calls
    got = [side.answers((*loads, *calls))[len(loads) :] for side in (sides.unfused, sides.model, sides.fused)]
    found = Verdict(program, *got)
    want, model, mine = map(plain, got)
    if mine in (want, model) and _wordless(want) == _wordless(model):
        return found  # which of two checks comes first is not always said
    if mine == model and any(answer in ENGINES_OWN for answer in found.unfused):
        found.word = "engine"
        return found
    strays = [
        name
        for name, answers in (("engine", want), ("fused", mine))
        if answers != model and sides.model.reaches(answers, loads, calls) is None
    ]
    found.word = f"differs: {', '.join(strays)}" if strays else "legal"
    return found


def _wordless(answers: list[Any]) -> list[Any]:
    return ["trap" if isinstance(answer, str) else answer for answer in answers]


def verdicts(seed: int, scripts: int = SCRIPTS) -> list[Verdict]:
    """Of the shape of a seed, and of scripts in it. Every other shape has synchronous functions, and destructors."""
    first = generate(seed, more=seed % 2 == 1)
    shape = Shape(first)
    programs = [first, *(generate(seed * 1000 + k, first) for k in range(1, scripts))]
    return [shape.verdict(program) for program in programs]


def main(shapes: int, state: Path) -> None:
    done = len(state.read_text().splitlines()) if state.exists() else 0
    for seed in range(done, shapes):
        found = verdicts(seed)
        odd = [str(verdict) for verdict in found if verdict.word not in ("same",)]
        with state.open("a") as lines:
            print(json.dumps({"seed": seed, "programs": len(found), "odd": odd}), file=lines)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
