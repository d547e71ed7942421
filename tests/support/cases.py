"""How many cases the random comparisons with the engine try."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings

CASES = int(os.environ.get("MELD_CASES", "600"))
"""Calls made unfused and fused, over all tests that compare whole programs; ``MELD_CASES=20000`` for a thorough run."""


def trying(share: float, calls: int = 1) -> Any:
    """Settings of a test that makes so large a share of the cases, so many calls for each example.

    A share of the comparisons with whole programs is one of 1; what tests adapters alone comes on top of them.
    """
    return settings(
        deadline=None,
        derandomize="MELD_CASES" not in os.environ,  # the same cases for everybody; a thorough run draws new ones
        phases=[
            Phase.explicit,
            Phase.reuse,
            Phase.generate,
        ],  # pairs are slow to make: what is found is not made smaller
        max_examples=max(1, round(CASES * share / calls)),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
