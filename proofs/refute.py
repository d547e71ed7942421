"""Refutes the mutants and proves the equivalent ones: `python -m proofs.refute`. Exit code 1 if one goes the other way.

A refuted mutant is replayed: its smallest counter-example runs on the mutant and on the shims as they are, under the
engine, and has to end differently; the shims as they are have to do what specs/stream_model.py says.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache

from proofs.counterexample import minimise
from proofs.mutants import EQUIVALENT, WRONG, Mutant
from proofs.obligations import Case, Obligation, obligations, study
from proofs.replay import Engine, Observation, Trace, differences
from proofs.subject import Shape, build


@dataclass(frozen=True, slots=True)
class Refutation:
    """What the proof found wrong with a mutant, the call that shows it, and what the engine then does otherwise."""

    obligation: str
    trace: Trace
    seen: tuple[str, ...]


def failing(mutant: Mutant) -> Iterator[tuple[Case, Obligation]]:
    """The obligations that a mutant does not meet."""
    subject = build(mutant.shape, mutant.text())
    for operation in mutant.operations:
        case = study(subject, operation)
        for obligation in obligations(case):
            if obligation.refute() is not None:
                yield case, obligation


@cache
def engine(shape: Shape) -> Engine:
    """The shims as they are."""
    return Engine(build(shape))


def refute(mutant: Mutant) -> Refutation | None:
    """The first counter-example that shows under the engine; None if there is none."""
    broken = Engine(build(mutant.shape, mutant.text()))
    for case, obligation in failing(mutant):
        trace = minimise(case, obligation)
        if trace is None:
            continue
        right = engine(mutant.shape).run(trace)
        wrong_model = differences(trace, mutant.shape, right)
        if wrong_model:
            raise AssertionError(f"{mutant.name}: the shims differ from the model on {trace.json()}: {wrong_model}")
        seen = tuple(unlike(right, broken.run(trace)))
        if seen:
            return Refutation(obligation.name, trace, seen)
    return None


def unlike(one: Observation, other: Observation) -> Iterator[str]:
    """What two runs differ in."""
    for f in fields(Observation):
        if getattr(one, f.name) != getattr(other, f.name):
            yield f.name


def main() -> int:
    """All mutants."""
    status, start = 0, time.process_time()
    for mutant in WRONG:
        found = refute(mutant)
        if found is None:
            status = 1
            print(f"NOT REFUTED {mutant.name}: {mutant.why}", flush=True)
            continue
        print(f"refuted {mutant.name}: {mutant.why}", flush=True)
        print(f"  {found.obligation}; {', '.join(found.seen)} differ on {found.trace.json()}", flush=True)
    for mutant in EQUIVALENT:
        names = [obligation.name for _, obligation in failing(mutant)]
        status = status or bool(names)
        print(f"{'NOT PROVED' if names else 'proved equivalent'} {mutant.name}: {mutant.why}", *names, sep="\n  ")
    print(f"{len(WRONG)} mutants, {len(EQUIVALENT)} equivalent ones, {time.process_time() - start:.1f} s")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
