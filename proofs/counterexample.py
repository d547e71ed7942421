"""From a refuted obligation to a call that can be run: concrete numbers, as small as they get."""

from __future__ import annotations

from collections.abc import Iterator

import z3

from proofs.contract import Fields, number
from proofs.division import without_division
from proofs.executor import Violation, initial
from proofs.obligations import PAGES, Case, Obligation, violations
from proofs.replay import Trace
from proofs.subject import HEADER, WORDS


def trace_of(case: Case, model: z3.ModelRef) -> Trace:
    """The call that a model of z3 describes."""

    def value(term: z3.BitVecRef) -> int:
        return int(model.eval(term, model_completion=True).as_long())

    arguments = [value(a) for a in case.arguments]
    headers: dict[int, dict[str, int]] = {}
    for slot in case.before:
        n = slot if isinstance(slot, int) else arguments[0] % case.subject.shape.headers
        headers[n] = {word: value(initial((slot, word))) for word in WORDS}
    first = case.subject.shape.first_room
    loads = [(value(v.address), value(v.value)) for v in violations(case) if v.value is not None]
    return Trace(case.operation, arguments, value(PAGES), headers, {at: found for at, found in loads if at >= first})


def runnable(case: Case) -> Iterator[z3.BoolRef]:
    """What a counter-example has to meet so that the state it describes can be set up.

    A load that is not from the header of the slot may find anything where streams have their room; elsewhere it finds
    zero, since the other slots are free in a trace.
    """
    shape = case.subject.shape
    first, end = shape.first_room, shape.first_room + shape.slots * shape.room
    loads = [v for v in violations(case) if v.value is not None]
    for v in loads:
        in_room = z3.And(z3.UGE(v.address, first), z3.ULE(v.address + 4, end), v.address & 3 == 0)
        yield z3.Or(in_room, z3.And(v.value == 0, z3.ULE(v.address + 4, first), _elsewhere(case, v)))
    for n, v in enumerate(loads):
        yield from (z3.Or(v.address != other.address, v.value == other.value) for other in loads[:n])


def _elsewhere(case: Case, v: Violation) -> z3.BoolRef:
    if not case.arguments:
        return z3.BoolVal(True)
    mine = z3.ZeroExt(32, case.arguments[0] & (case.subject.shape.headers - 1)) * HEADER
    return z3.Or(z3.ULE(v.address + 4, mine), z3.UGE(v.address, mine + HEADER))


def minimise(case: Case, obligation: Obligation) -> Trace | None:
    """The smallest counter-example, first in length, then pointer, pages, headers, handle; None if none can be run.

    "Small" is greedy: each number in turn is brought down from its highest bit on, the others being free.
    """
    solver = z3.SolverFor("QF_BV")
    solver.add(*without_division((*obligation.given, z3.Not(obligation.goal), *runnable(case))))
    if solver.check() != z3.sat:
        return None
    order = [*case.arguments[2:3], *case.arguments[1:2], PAGES, *_words(case), *case.arguments[3:], *case.arguments[:1]]
    for term in order:
        _bring_down(solver, term)
    assert solver.check() == z3.sat
    return trace_of(case, solver.model())


def _words(case: Case) -> Iterator[z3.BitVecRef]:
    for slot in case.before:
        fill = Fields(case.subject.shape, number(0, case.subject.shape.layout.slot_bits), case.before[slot]).fill
        yield from (fill, *(initial((slot, word)) for word in ("rd", "wr", "state", "key")))


def _bring_down(solver: z3.Solver, term: z3.BitVecRef) -> None:
    """Fixes a term to a small value that still has a model."""
    assert solver.check() == z3.sat
    value = solver.model().eval(term, model_completion=True).as_long()
    fixed = 0
    for n in reversed(range(term.size())):
        high = z3.Extract(term.size() - 1, n, term)
        if value >> n & 1:  # else the model at hand has it clear already
            if solver.check(high == fixed >> n) == z3.sat:
                value = solver.model().eval(term, model_completion=True).as_long()
            else:
                fixed |= 1 << n
    solver.add(term == fixed)
