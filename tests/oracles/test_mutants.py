"""Changed components and texts through the whole compiler: a clear error, or a program; a valid one out of a valid one.

``MELD_MUTATIONS=10000`` tries as many of each kind.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator
from functools import cache

import pytest
from smith import WASM_TOOLS, wasm_tools

from meld.diagnostics import MeldError
from meld.driver import FOR_COMPONENTS
from meld.files import decode, encode
from meld.passes import Registry
from meld.passes.base import Program
from meld.passmanager import parse_pipeline, plan_default, plan_named, run
from meld.text.reading.program import parse
from tests.binary.test_component_binary import FIXTURES, mutate
from tests.observers import test_attribution
from tests.oracles.test_five_components import Five, five

__all__ = ["five"]

PARTS = 2
COUNT = int(os.environ.get("MELD_MUTATIONS", "120")) // PARTS
"""Of each kind in each of the parts."""
LARGEST = 70_000
"""Bytes of what is changed."""


def valid(data: bytes) -> bool:
    done = subprocess.run([WASM_TOOLS, "validate", "--features=all", "-"], input=data, capture_output=True)
    return done.returncode == 0


@cache
def small() -> list[bytes]:
    """Programs to change, in the order of their names."""
    texts = (test_attribution.VALUES, test_attribution.RESOURCES)
    found = [encode(parse(text, "program")) for text in texts]
    return found + [path.read_bytes() for path in sorted(FIXTURES) if path.stat().st_size < LARGEST]


def products(read: Program, again: Program) -> Iterator[bytes]:
    """What the compiler makes of a program, as a module and as a component. Raises MeldError."""
    registry = Registry.standard()
    module, _ = run(plan_default(read, registry), read)
    yield encode(module)
    plan = plan_default(again, registry, *FOR_COMPONENTS)
    plan = plan_named([*plan.steps, *parse_pipeline("wrap", registry)], again, registry)
    yield encode(run(plan, again)[0])


def fused(data: bytes) -> bool:
    """Whether a binary is fused, or refused. What comes of a valid one is valid."""
    try:
        for product in products(decode(data, "mutant"), decode(data, "mutant")):
            assert valid(product) or not valid(data)
    except MeldError as e:
        assert e.message
        return False
    return True


@pytest.mark.parametrize("part", range(PARTS))
def test_binaries(part: int, five: Five) -> None:
    r = random.Random(f"binaries {part}")
    originals = [*small(), five.composed.read_bytes()]
    kept = sum(fused(mutate(r.choice(originals), r)) for _ in range(COUNT))
    assert 0 < kept < COUNT or COUNT < 50


TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|\(;.*?;\)|[^\s()"]+|[()]|\s+', re.S)


def kind(token: str) -> str:
    return token[0] if token[0] in '"$' else "0" if token.isdigit() else "word" if token[0].isalpha() else ""


def mutate_text(tokens: list[str], places: list[int], r: random.Random) -> str:
    """Text in which a few names, numbers, strings or words are others of the same text, or a form is twice or gone."""
    changed = list(tokens)
    for _ in range(r.choice([1, 1, 1, 2, 3])):
        at = r.choice(places)
        near = [i for i in places if abs(i - at) < r.choice([30, 300, 3000]) and kind(tokens[i]) == kind(tokens[at])]
        changed[at] = changed[r.choice(near)] if near else changed[at]
    if r.random() < 0.2:
        start = end = r.choice([i for i in places if changed[i - 1] == "("]) - 1
        depth = 0
        while end < len(changed) and (depth or end == start):
            depth += (changed[end] == "(") - (changed[end] == ")")
            end += 1
        changed[start:end] = [] if r.random() < 0.5 else [*changed[start:end], " ", *changed[start:end]]
    return "".join(changed)


def outside_of_code(tokens: list[str]) -> list[int]:
    """Where something may be changed: all of the component, little of its core modules."""
    found, depth, core = [], 0, 0
    for i, token in enumerate(tokens):
        if token == "(":
            depth += 1
            if not core and tokens[i + 1 : i + 4 : 2] == ["core", "module"]:
                core = depth
        elif token == ")":
            core = 0 if core == depth else core
            depth -= 1
        elif kind(token) and (not core or i % 50 == 0):
            found.append(i)
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_texts(part: int, five: Five) -> None:
    r = random.Random(f"texts {part}")
    originals = [
        TOKENS.findall(wasm_tools("print", data=data).decode()) for data in (*small(), five.composed.read_bytes())
    ]
    originals = [tokens for tokens in originals if len(tokens) < 60_000]
    places = [outside_of_code(tokens) for tokens in originals]
    for _ in range(COUNT):
        number = r.randrange(len(originals))
        text = mutate_text(originals[number], places[number], r)
        try:
            written = encode(parse(text, "mutant"))
        except MeldError as e:
            assert e.message
            continue
        fused(written)
