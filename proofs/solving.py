"""Many questions under one assumption: a solver that keeps it; where that gives up, one for the question alone."""

from __future__ import annotations

import z3

from proofs.obligations import GaveUp

MOST_STEPS = 300_000
"""What the first solver may spend on a question, in units of z3."""


class Solving:
    """Questions under an assumption. Its formula is prepared once, which is most of what a small question takes."""

    def __init__(self, assumption: z3.BoolRef) -> None:
        self.assumption = assumption
        self.solver = z3.SimpleSolver()
        self.solver.set("rlimit", MOST_STEPS)
        self.solver.push()
        self.solver.add(assumption)

    def model(self, *conditions: z3.BoolRef) -> z3.ModelRef | None:
        """A model of the assumption and some conditions, or None if there is none. GaveUp if no solver can tell."""
        self.solver.push()
        try:
            self.solver.add(*conditions)
            match self.solver.check():
                case z3.unsat:
                    return None
                case z3.sat:
                    return self.solver.model()
        finally:
            self.solver.pop()
        return solved(self.assumption, *conditions)


def solved(*conditions: z3.BoolRef) -> z3.ModelRef | None:
    """A model of some conditions, or None if there is none. GaveUp if the solver cannot tell."""
    solver = z3.SolverFor("QF_BV")
    solver.add(*conditions)
    match solver.check():
        case z3.unsat:
            return None
        case z3.sat:
            return solver.model()
    raise GaveUp(str(solver.reason_unknown()))
