"""The transform of resumable frames: programs that are suspended behave as if the host had answered at once."""

from __future__ import annotations

import os

import pytest
from random_wat import Program
from suspended import compare

PROGRAMS = int(os.environ.get("MELD_RESUMABLE", "300"))
"""How many random programs are run; ``MELD_RESUMABLE=5000`` for a long run."""

PARTS = 10


@pytest.mark.parametrize("part", range(PARTS))
def test_random_programs(part: int) -> None:
    switches = 0
    for seed in range(part, PROGRAMS, PARTS):
        switches += compare(Program(seed).text(), [("run", (seed, 3)), ("run", (7, seed))], seed).switches
    assert switches
