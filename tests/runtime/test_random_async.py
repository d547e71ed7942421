"""Random asynchronous programs, and every built-in on wrong handles: the engine, the interpreter, and fused."""

from __future__ import annotations

import os
from typing import Any

import pytest
from both import Calls, fused, unfused
from random_async import Program, generate, misuses

from meld.files import decode
from meld.ir.module import Module
from meld.passes import Registry
from meld.passmanager import parse_pipeline, plan_named, run
from meld.runtime.instantiate import Trapped, instantiate

CASES = int(os.environ.get("MELD_CASES", "24"))
BLOCKS = 4

KNOWN = {
    "stream.cancel-write of busy": "the engine takes a readable end with a read in progress; CanonicalABI.md traps",
    "stream.drop-writable of busy": "the engine looks whether the end is busy before it looks which end it is",
}
"""Differences, and who is right."""


def first_of(program: Program) -> Calls:
    """A run, and the root's log. How far other tasks get behind the root's result is the scheduler's choice."""
    return program.calls[0], program.calls[2]


def interpreted(program: Program) -> list[Any]:
    """The same of what `merge` leaves; traps have words of their own."""
    source = decode(program.wasm, "program")
    merged, _ = run(plan_named(parse_pipeline("link,merge", Registry.standard()), source, Registry.standard()), source)
    assert isinstance(merged, Module)
    running = instantiate(merged)
    answers: list[Any] = []
    for name, *arguments in first_of(program):
        try:
            answers.append(running.call(name, *arguments))
        except Trapped:
            answers.append("trap")
    return answers


def plain(answers: list[Any]) -> list[Any]:
    return ["trap" if isinstance(answer, str) else answer for answer in answers]


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_programs(block: int) -> None:
    """What the root answers, or why it traps, and what it saw until then: answers, events, delivered bytes."""
    for seed in range(block, CASES, BLOCKS):
        program = generate(seed)
        want = unfused(program.wasm, first_of(program))
        assert fused(program.wasm, first_of(program)) == want, program
        assert interpreted(program) == plain(want), program


MISUSES = misuses()


@pytest.mark.parametrize("part", range(8))
def test_wrong_handles(part: int) -> None:
    for name, program in MISUSES[part::8] if CASES > 24 else MISUSES[part::48]:
        first = program.calls[:1]
        want, got = unfused(program.wasm, first), fused(program.wasm, first)
        assert (got == want) != (name in KNOWN), (name, want, got)
