"""The interpreter on threads that guests make, after `merge` and further on: beside the fused module and the engine."""

from __future__ import annotations

import os
import random
from functools import cache
from typing import Any

import pytest
from both import Fused
from random_threads import generate
from thread_scenarios import SCENARIOS, binary, scenarios

from meld.files import decode
from meld.ir.module import Module
from meld.passes import Registry
from meld.passmanager import plan_default, run
from meld.runtime.instantiate import Trapped, instantiate

CASES = int(os.environ.get("MELD_CASES", "4"))
STAGES = ("merge", "plan-tasks", "handle-tables")


def interpreted(module: Module, name: str, *arguments: int) -> Any:
    """What a call answers in a new instance, or why it traps."""
    try:
        return instantiate(module).call(name, *arguments)
    except Trapped as e:
        return f"trap: {e}"


def after(wasm: bytes, stage: str) -> Module:
    """A component after a pass."""
    program = decode(wasm, "program")
    plan = plan_default(program, Registry.standard())
    module, _ = run(plan, program, steps=plan.position(stage, option="stage"))
    assert isinstance(module, Module)
    return module


@cache
def staged(stage: str) -> Module:
    return after(binary(scenarios()), stage)


@pytest.mark.parametrize("stage", STAGES)
def test_scenarios(stage: str) -> None:
    """Functions of both types answer what the fused module and the engine do."""
    module = staged(stage)
    for n, (name, (*_, asynchronous, synchronous)) in enumerate(SCENARIOS.items()):
        if (n + STAGES.index(stage)) % len(STAGES) and stage != "merge":
            continue
        assert interpreted(module, f"run{n}") == asynchronous, name
        assert interpreted(module, f"plain{n}") == synchronous, name


def test_random_programs() -> None:
    """Two instances whose threads switch at random answer as they do fused. ``MELD_CASES`` says how many programs."""
    choose = random.Random(CASES)
    for seed in range(CASES) if CASES < 10 else choose.sample(range(1 << 20), CASES):
        program = generate(seed, wild=0.005)
        wasm = binary(program.text)
        assert interpreted(after(wasm, "merge"), "run", 0) == Fused(wasm).answers((("run", 0),))[0], program
