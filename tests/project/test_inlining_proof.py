"""Functions of the runtime whose calls were inlined do what they did before. See proofs/runtime/inlining.py."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from meld.driver import Options, build
from proofs.runtime.inlining import MUTANTS, SAMPLE, Mutant, is_refuted, recorded, runtimes, validate

EXAMPLE = Path(__file__).parents[2] / "examples" / "async"
shared = cache(runtimes)


@pytest.mark.parametrize("number", range(len(runtimes())))
def test_inlined_functions_are_equal_to_those_with_calls(number: int) -> None:
    found = validate(shared()[number])
    assert found.differences == []
    assert found.functions and found.calls and found.decisions


def test_those_of_a_program_of_guests_are_equal() -> None:
    with recorded() as texts:
        build([EXAMPLE / "producer.wasm", EXAMPLE / "consumer.wasm"], Options())
    found = [validate(text) for text in texts]
    assert [d for each in found for d in each.differences] == []
    assert sum(each.calls for each in found) > 100


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_an_error_in_what_inlines_is_found(mutant: Mutant) -> None:
    assert is_refuted(mutant, [SAMPLE, *shared()]), mutant.why
