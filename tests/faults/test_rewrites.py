"""What the compiler's passes leave is valid and runs right, whichever of their rewrites are held back."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meld.driver import Options, build
from meld.ir.module import Module
from meld.runtime.instantiate import Running, instantiate
from meld.runtime.typed import call
from meld.runtime.wave import split_call
from meld.verify.engine import fault_of

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "../shared/fixtures"
SAMPLES = max(3, int(os.environ.get("MELD_SEEDS", "8")) // 2 - 1)
"""How many amounts of fuel are tried if a pass has more rewrites."""

LOWERED = "detect-pairs,emit-bridge,rewire-calls,handle-tables,adapter-wiring,guard-entries,lower-multi-memory,finish"
EXPOSED = "expose-resources,handle-tables,adapter-wiring,finish"


def stream(running: Running) -> list[Any]:
    pair = running.call("p_new")
    written = running.call("p_write", pair >> 32 & 0xFFFF_FFFF, 300)
    read = running.call("c_read", pair & 0xFFFF_FFFF, 4096)
    return [written, read, *(running.call("c_get", i) for i in range(300))]


def typed(*calls: str) -> Callable[[Running], list[Any]]:
    def run(running: Running) -> list[Any]:
        texts = [split_call(text) for text in calls]
        return [call(running, text) for text in texts if text is not None]

    return run


@dataclass
class Case:
    inputs: list[Path]
    run: Callable[[Running], list[Any]]
    expected: list[Any]
    passes: str | None = None

    def check(self, **options: Any) -> list[str]:
        """Compiles, validates, runs; what each rewrite of each pass was."""
        outcome = build(self.inputs, Options(passes=self.passes, **options))
        assert isinstance(outcome.program, Module)
        assert fault_of(outcome.program) is None
        assert self.run(instantiate(outcome.program, lenient=True)) == self.expected
        return [f"{ran.step.label}: {rewrite}" for ran in outcome.ran for rewrite in ran.context.rewrites]


STREAM = [ROOT / "examples/stream/producer.wat", ROOT / "examples/stream/consumer.wat"]
GREET = [ROOT / "examples/greet/crowd.wat", ROOT / "examples/greet/greeter.wat"]
SHOP = [FIXTURES / "shop/consumer.wasm", FIXTURES / "shop/provider.wasm"]
SENT = [300, 300, *((i + 1) & 0xFF for i in range(300))]
WELCOME = typed('welcome(["Ann", "Bøb"])'), ['["hello, Ann", "hello, Bøb"]']
BUY = typed("run(12)", "run(49)", 'describe(["x", "y€"])')

CASES = {
    "stream": Case(STREAM, stream, SENT),
    "greet": Case(GREET, *WELCOME),
    "shop": Case(SHOP, BUY, []),
    "stream in one memory": Case(STREAM, stream, SENT, LOWERED),
    "greet in one memory": Case(GREET, *WELCOME, LOWERED.replace("guard-entries,", "")),
    "shop exposed": Case(SHOP, BUY, [], EXPOSED),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    found = CASES[request.param]
    if not found.inputs[0].exists():
        pytest.skip("../shared is not there")
    if not found.expected:
        merged = build(found.inputs, Options(stop_after="merge")).program
        assert isinstance(merged, Module)
        found.expected = found.run(instantiate(merged, lenient=True))
        assert found.expected
    return found


def samples(count: int) -> list[int]:
    return sorted({count * i // SAMPLES for i in range(SAMPLES)})


def test_any_fuel_for_any_pass(case: Case) -> None:
    rewrites = case.check()
    labels = dict.fromkeys(rewrite.partition(": ")[0] for rewrite in rewrites)
    assert {"finish"} < set(labels)
    for label in labels:
        count = sum(rewrite.startswith(f"{label}: ") for rewrite in rewrites)
        for fuel in samples(count):
            case.check(fuel={label: fuel}, stop_after=label)


def test_any_limit(case: Case) -> None:
    """What one pass holds back, all that follow can live with, to the end of the pipeline."""
    for limit in samples(len(case.check())):
        case.check(limit=limit)
