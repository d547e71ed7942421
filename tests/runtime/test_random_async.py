"""Random asynchronous programs, and every built-in on wrong handles: unfused under the engine beside fused."""

from __future__ import annotations

import os

import pytest
from both import fused, unfused
from random_async import generate, misuses

from meld.abi.traps import Trap

CASES = int(os.environ.get("MELD_CASES", "24"))
BLOCKS = 4

KNOWN = {
    "stream.cancel-write of busy": "the engine takes a readable end with a read in progress; CanonicalABI.md traps",
    "stream.drop-writable of busy": "the engine looks whether the end is busy before it looks which end it is",
}
"""Differences, and who is right."""


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_programs(block: int) -> None:
    """What each call answers, or why it traps, and what each instance saw: answers, events, delivered bytes."""
    answered = 0
    for seed in range(block, CASES, BLOCKS):
        program = generate(seed)
        want, got = unfused(program.wasm, program.calls), fused(program.wasm, program.calls)
        if any(Trap.OUT_OF_ORDER.value in str(answer) for answer in got):
            continue
        assert got == want, program
        answered += 1
    assert answered >= CASES // BLOCKS // 2


MISUSES = misuses()


@pytest.mark.parametrize("part", range(8))
def test_wrong_handles(part: int) -> None:
    for name, program in MISUSES[part::8] if CASES > 24 else MISUSES[part::48]:
        first = program.calls[:1]
        want, got = unfused(program.wasm, first), fused(program.wasm, first)
        assert (got == want) != (name in KNOWN), (name, want, got)
