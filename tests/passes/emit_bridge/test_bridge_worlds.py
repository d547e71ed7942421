"""Small worlds, whole: the shims do what the model does after every sequence of calls. See proofs/worlds.py."""

from __future__ import annotations

import os

import pytest
import wasmtime

from proofs.mutants import WRONG, Mutant
from proofs.worlds import SHAPE, STARTS, Explorer, describe


@pytest.mark.parametrize("start", STARTS)
def test_every_sequence_of_calls(start: str, capsys: pytest.CaptureFixture[str]) -> None:
    world, depth = STARTS[start]
    explorer = Explorer()
    worlds, sequences = explorer.explore(world, depth)
    with capsys.disabled():
        print("\n" + describe(start, depth, worlds, sequences, explorer.calls))
    assert explorer.driver.host_calls == explorer.host_calls


OUT_OF_REACH = {
    "read-bound-strict": "takes a read around the edge of the ring to the end of the memory",
    "read-bound-wraps": "takes a memory of 4 GiB",
    "write-bound-signed": "takes a memory of more than 2 GiB",
    "read-slot-wide": "takes ring bytes that look like a header",
    "read-any-memory": "takes a call that names another memory than number 0",
    "write-any-memory": "takes a call that names another memory than number 0",
}


MUTANTS = [m for m in WRONG if m.shape == SHAPE and m.name not in OUT_OF_REACH]
"""All of them are tried with ``MELD_CASES``, by default every other one."""


@pytest.mark.parametrize("mutant", MUTANTS[:: 1 if "MELD_CASES" in os.environ else 2], ids=lambda m: m.name)
def test_a_mutant_is_found(mutant: Mutant) -> None:
    explorer = Explorer(mutant.text())
    with pytest.raises((AssertionError, wasmtime.Trap)):
        for start, _ in STARTS.values():
            explorer.explore(start, 4)
            assert explorer.driver.host_calls == explorer.host_calls
