"""Random programs of which some instances are the host of the others: the engine, the interpreter, and fused."""

from __future__ import annotations

import os

import pytest
from open_async import verdicts

CASES = int(os.environ.get("MELD_CASES", "20"))
"""Programs; a shape of ten takes some three seconds."""
OF_A_SHAPE = 10


@pytest.mark.parametrize("seed", range(max(1, CASES // OF_A_SHAPE)))
def test_random_programs(seed: int) -> None:
    for verdict in verdicts(seed, OF_A_SHAPE):
        assert verdict.word in ("same", "legal", "engine"), verdict
