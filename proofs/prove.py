"""Proves the shims, refutes the mutants, explores the small worlds: `python -m proofs.prove`, or `make prove`.

Prints time and number of paths; exit code 1 if anything that has to be proved is not, or a mutant is not refuted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from proofs import refute, worlds
from proofs.lemmas import lemmas
from proofs.obligations import Obligation, obligations, study
from proofs.subject import Shape, Subject, build

SHAPES = (
    Shape(),
    Shape(whole=4, unit=4),
    Shape(whole=12, unit=12),
    Shape(slots=2, ring=4),
    Shape(slots=2, ring=4, whole=4, unit=4),
    Shape(slots=5, ring=64, whole=4, unit=12),
    Shape(slots=1, ring=16, page_bits=0),
    Shape(kind="future", size=8, value=8),
    Shape(kind="future", slots=5, ring=4, size=20, value=24),
    Shape(kind="future", slots=2, ring=4, size=0, value=8),
    Shape(slots=2, ring=4, simd=False),
    Shape(slots=2, ring=4, base=2 << 16),
    Shape(slots=5, ring=64, whole=4, unit=12, base=6 << 16),
    Shape(kind="future", slots=5, ring=4, size=20, value=24, base=2 << 16),
)
"""The default layout and a small one, elements of 1, 4 and 12 bytes; slots that are not a power of two; two kinds of
elements in one instance; a memory with pages of one byte; futures, with values of no bytes among them; clusters behind
another one."""


@dataclass(slots=True)
class Report:
    """What was proved of one program; times are seconds of the processor."""

    paths: int = 0
    obligations: int = 0
    slowest: float = 0.0
    failed: list[str] = field(default_factory=list)


def prove(subject: Subject) -> Report:
    """Proves every obligation of every shim of a program, and the lemmas about the contract.

    A solver that gives up raises `GaveUp`.
    """
    report = Report()
    _discharge(lemmas(subject.shape), report)
    for operation in subject.shape.operations:
        case = study(subject, operation)
        report.paths += len(case.paths)
        _discharge(obligations(case), report)
    return report


def _discharge(those: Iterable[Obligation], report: Report) -> None:
    for obligation in those:
        start = time.process_time()
        if obligation.refute() is not None:
            report.failed.append(obligation.name)
        report.obligations += 1
        report.slowest = max(report.slowest, time.process_time() - start)


def main() -> int:
    """Proves all shapes, refutes all mutants, explores all small worlds."""
    status = 0
    for shape in SHAPES:
        start = time.process_time()
        report = prove(build(shape))
        took = time.process_time() - start
        verdict = "not proved" if report.failed else "proved"
        print(
            f"{verdict}: {shape}: {report.paths} paths, {report.obligations} obligations,"
            f" {took:.1f} s, slowest {report.slowest:.2f} s",
            flush=True,
        )
        for name in report.failed:
            print(f"  fails: {name}")
            status = 1
    status |= refute.main()
    worlds.main()
    return status


if __name__ == "__main__":
    sys.exit(main())
