"""Random asynchronous programs, and every built-in on wrong handles: the engine, the interpreter, and fused."""

from __future__ import annotations

import os

import async_campaign
import pytest
from async_campaign import SCRIPTS, Shape, ShapeWithErrors, verdicts
from async_misuses import misuses
from random_async import generate

CASES = int(os.environ.get("MELD_CASES", "200"))
"""Programs, some 60 ms each."""
BLOCKS = 4

KNOWN = {
    "stream.cancel-write of busy": "the engine takes a readable end with a read in progress; CanonicalABI.md traps",
    "stream.drop-writable of busy": "the engine looks whether the end is busy before it looks which end it is",
}
"""Differences between the engine and both others, and who is right."""


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_programs(block: int) -> None:
    """What two runs answer, or why they trap, and all logs: the same, or what another schedule would have come to."""
    for seed in range(block, CASES // SCRIPTS, BLOCKS):
        for verdict in verdicts(seed):
            assert verdict.word in ("same", "legal", "engine"), verdict


@pytest.mark.parametrize("seed", [1, 27, 94, 97])
def test_schedules_differ(seed: int) -> None:
    """Programs in which the engine and the fused module get further, or less far, behind what the root returns."""
    program = generate(seed)
    assert Shape(program).verdict(program).word == "legal"


def test_a_schedule_is_no_excuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that no choice leads to are found out."""
    monkeypatch.setattr(async_campaign, "NEAR", 20)
    monkeypatch.setattr(async_campaign, "FAR", 20)
    program = generate(97)
    shape = Shape(program)
    wrong = [53, *shape.unfused.answers(program.calls)[1:]]
    assert shape.model.reaches(wrong, (), program.calls) is None


@pytest.mark.parametrize("seed", range(max(1, CASES // 100)))
def test_error_contexts(seed: int) -> None:
    """They are made, asked for their message, dropped, passed on, and returned."""
    first = generate(seed, more=seed % 2 == 1, errors=True)
    shape = ShapeWithErrors(first)
    for program in (first, *(generate(seed * 1000 + k, first) for k in range(1, 10))):
        verdict = shape.verdict(program)
        assert verdict.word in ("same", "legal"), verdict


MISUSES = misuses()


def test_wrong_handles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of two checks comes first may differ between the engine and the interpreter, not what is refused."""
    monkeypatch.setattr(async_campaign, "NEAR", 1)
    monkeypatch.setattr(async_campaign, "FAR", 0)
    shape = Shape(MISUSES[0][1])
    for name, program in MISUSES if CASES > 200 else MISUSES[::5]:
        verdict = shape.verdict(program)
        assert (verdict.word == "same") != (name in KNOWN), (name, verdict)
