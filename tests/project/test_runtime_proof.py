"""The runtime is proved, and its mutants refuted. See proofs/runtime/prove.py.

By default the quick functions and a few mutants are tried, all of them with MELD_CASES and by `make prove`.
"""

from __future__ import annotations

import os

import pytest

from meld.rewriting import template
from proofs.runtime import heap_world, worlds
from proofs.runtime import prove as runtime
from proofs.runtime.check import Figures, Scenario, prove
from proofs.runtime.mutants import EQUIVALENT, WRONG, Mutant, refute
from proofs.solving import solved

ALL = "MELD_CASES" in os.environ
SCENARIOS = list(runtime.scenarios())
QUICK = {
    "block_new",
    "block_free",
    "handle_add",
    "lift_own",
    "set_append",
    "future.read, elements of 0 bytes",
    "task: started",
    "task: exit",
    "task: begin",
    "stub: 0 stream.read u32 sync",
    "blocking: check_callers",
    "threads: thread.resume-later",
}
SHOWN = {"block-half-cleared", "append-keeps-next", "exits-uncounted", "buffer-wraps", "only-its-caller", "frames-kept"}
TRIED = [s for s in SCENARIOS if ALL or s.name in QUICK]


@pytest.mark.parametrize("scenario", TRIED, ids=lambda s: s.name)
def test_a_function_of_the_runtime_is_proved(scenario: Scenario) -> None:
    figures = Figures()
    prove(runtime.original(scenario.program), scenario, figures)
    assert figures.failed == []
    assert figures.paths > 1


def test_no_scenario_is_empty() -> None:
    """Some state meets the invariant."""
    assert [s.name for s in TRIED if solved(s.given) is None] == []


@pytest.mark.parametrize("name", worlds.WORLDS)
def test_every_sequence_of_operations_does_what_the_model_says(name: str) -> None:
    kinds, depth, before = worlds.WORLDS[name]
    states, sequences = worlds.Explorer(kinds).explore(depth if ALL else 1 + (not before), before)
    assert states > 8
    assert sequences > 40


def test_blocks_are_apart_zero_and_given_out_again() -> None:
    sequences, traps = heap_world.explore(heap_world.DEPTH if ALL else 2)
    assert sequences > traps > 0


def test_what_mutants_change_still_stands_in_the_templates() -> None:
    for mutant in (*WRONG, *EQUIVALENT):
        assert mutant.text(template._text(mutant.package, mutant.file))


@pytest.mark.parametrize("mutant", [m for m in WRONG if ALL or m.name in SHOWN], ids=lambda m: m.name)
def test_a_mutant_of_the_runtime_is_refuted_by_a_call_that_shows_it(mutant: Mutant) -> None:
    scenarios = list(runtime.scenarios(runtime.FEW))
    found = refute(mutant, runtime.build_small, scenarios, runtime.small)
    assert found.shown, mutant.why


@pytest.mark.parametrize("mutant", EQUIVALENT if ALL else (), ids=lambda m: m.name)
def test_a_mutant_of_the_runtime_that_changes_nothing_is_proved(mutant: Mutant) -> None:
    assert runtime.is_proved(mutant), mutant.why
