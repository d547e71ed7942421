"""Checks of what each step leaves: by our own rules, by the engine, and by running it.

A fault is a `PassFailure` of the step: it names the pass, the item, the place, and what the pass changed there.
"""

from __future__ import annotations

from meld.diagnostics import MeldError, PassFailure
from meld.files import print_text
from meld.ir.module import Module
from meld.observers.recorder import Listener, Recorded
from meld.passes.base import Program
from meld.passmanager import Plan, Ran, Step
from meld.runtime.command import run_command, run_tests
from meld.support.records import record
from meld.text.literals import identifier
from meld.verify.engine import fault_of

EACH, ENDS = "each", "ends"

SHOWN = 24
"""Lines of a difference that an error shows."""


@record()
class Verifier(Listener):
    """Checks programs after steps.

    Attributes:
        verify: `EACH` step, or both `ENDS`; None: never.
        run: whether each module is run as well.
        check: the command that runs one: ``{}`` stands for a file with its text, which says what pending calls stand
            for; it comes last otherwise. None: the exports of the module whose names begin with ``test`` are called;
            none may trap.
    """

    verify: str | None = None
    run: bool = False
    check: str | None = None
    last: int = 0

    def planned(self, plan: Plan) -> None:
        self.last = len(plan.steps)

    def before(self, number: int, step: Step, program: Program) -> None:
        if number == 1 and self.verify is not None:
            fault = fault_of(program)
            if fault is not None:
                raise MeldError(f"the input is not valid: {fault.message}", where=fault.where, hint=fault.hint)

    def recorded(self, ran: Ran, program: Program, recorded: Recorded) -> None:
        if self.verify == EACH or (self.verify == ENDS and ran.number == self.last):
            fault = fault_of(program)
            if fault is not None:
                raise self._failure(ran, recorded, "what it left is not valid", fault)
        if self.run and isinstance(program, Module):
            fault = self._run(program)
            if fault is not None:
                raise self._failure(ran, recorded, "what it left fails when it is run", fault)

    def _failure(self, ran: Ran, recorded: Recorded, what: str, fault: MeldError) -> PassFailure:
        message = f"{what}: {f'{fault.where}: ' if fault.where else ''}{fault.message}"
        shown = _difference(recorded, fault.where or "")
        if shown:
            message += "\n" + "\n".join(shown)
        return PassFailure(
            message,
            number=ran.number,
            label=ran.step.label,
            own=ran.step.instance.is_own,
            hint=fault.hint,
            rewrites=ran.context.rewrites,
        )

    def _run(self, module: Module) -> MeldError | None:
        try:
            data = None if self.check is None else print_text(module).encode()
            if data is None:
                return run_tests(module)
        except MeldError as e:
            return e
        assert self.check is not None
        return run_command(self.check, data)


def _difference(recorded: Recorded, where: str) -> list[str]:
    """What a step changed in the item that an error names."""
    for one in recorded.differences():
        if f"{identifier(one.symbol.name)}," in f"{where},":
            lines = one.lines()
            return lines[:SHOWN] + ["…"] * (len(lines) > SHOWN)
    return []
