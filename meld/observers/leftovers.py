"""What plugins leave is checked even without `--verify`: an invalid module must not get past the compiler.

Our verifier looks at what each pass of a plugin leaves, and the engine validates it; the product is validated again if
passes of the compiler ran behind the last plugin. Runs without plugins pay nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from meld.diagnostics import MeldError, PassFailure, Remark
from meld.passes.base import Program
from meld.passmanager import Observer, Ran
from meld.support.records import record

NOTABLE = 0.5
"""Seconds from which on the user is told what the checks cost."""
OFF = "--verify=off leaves that out"


@record()
class PluginVerifier(Observer):
    """Checks what passes of plugins leave.

    Attributes:
        before_step: the program before a step, by the step's number, made again.
        checked: how many programs were checked.
        seconds: how long that took.
        last: the last pass of a plugin that ran.
        pending: whether another pass ran behind it.
    """

    before_step: Callable[[int], Program]
    checked: int = 0
    seconds: float = 0.0
    last: Ran | None = None
    pending: bool = False

    def after(self, ran: Ran, program: Program) -> None:
        if ran.step.instance.is_own:
            self.pending = self.last is not None
            return
        self.last, self.pending = ran, False
        self._check(program)

    def product(self, program: Program) -> None:
        """Checks the program at the end, unless it is what a plugin left. Raises MeldError."""
        if self.pending:
            self._check(program)

    def _check(self, program: Program) -> None:
        from meld.verify.engine import leftover_fault

        begin = time.perf_counter()
        fault = leftover_fault(program)
        self.checked += 1
        self.seconds += time.perf_counter() - begin
        if fault is None or self.last is None:
            return
        label, number = self.last.step.label, self.last.number
        earlier = leftover_fault(self.before_step(number - 1))
        if earlier is not None:
            where = f"{earlier.where}: " if earlier.where else ""
            raise MeldError(f"what `{label}` gets is not valid already: {where}{earlier.message}", hint=OFF)
        where = f"{fault.where}: " if fault.where else ""
        what = "what the compiler made of what it left" if self.pending else "what it left"
        hint = "; ".join(filter(None, (fault.hint, OFF)))
        message = f"{what} is not valid: {where}{fault.message}"
        raise PassFailure(
            message, number=number, label=label, own=False, hint=hint, rewrites=self.last.context.rewrites
        )

    def remark(self) -> Remark | None:
        """How long it took, if that is worth a word."""
        if not self.checked or self.seconds < NOTABLE:
            return None
        return Remark("verify", f"what plugins left is valid, checked in {self.seconds:.2f} s; {OFF}")
