"""A plan: the passes that will run, in order."""

from __future__ import annotations

from collections import Counter
from dataclasses import field

from meld.diagnostics import MeldError, Remark, Span, did_you_mean
from meld.passes.base import Pass
from meld.support.records import record


@record()
class Step:
    """One pass of a plan, with the place in the pipeline text that named it.

    `occurrence` counts the steps of one pass: the second has the label ``PASS#2``.
    """

    instance: Pass
    span: Span | None = None
    occurrence: int = 1

    @property
    def name(self) -> str:
        return self.instance.name

    @property
    def label(self) -> str:
        """What the step is called where one is meant: ``finish``, ``finish#2``."""
        return self.name if self.occurrence == 1 else f"{self.name}#{self.occurrence}"

    def matches(self, wanted: str) -> bool:
        """Whether a user who writes `wanted` means this step: a name means every occurrence, ``NAME#1`` the first."""
        return wanted in (self.name, f"{self.name}#{self.occurrence}")


@record()
class Plan:
    """What will run."""

    steps: list[Step]
    remarks: list[Remark] = field(default_factory=list)

    def __post_init__(self) -> None:
        seen: Counter[str] = Counter()
        for step in self.steps:
            seen[step.name] += 1
            step.occurrence = seen[step.name]

    def position(self, wanted: str, *, option: str) -> int:
        """How many steps have run after the last one that `wanted` (``PASS`` or ``PASS#2``) means.

        Raises:
            MeldError: there is none; `option` is what asked for it.
        """
        found = [number for number, step in enumerate(self.steps, 1) if step.matches(wanted)]
        if not found:
            labels = [step.label for step in self.steps]
            hint = did_you_mean(wanted, labels, "it is: " + ",".join(labels))
            if "," in wanted and option.startswith("--dump"):
                hint = "one at a time: " + " ".join(f"{option}={one}" for one in wanted.split(","))
            raise MeldError(f"{option}={wanted}: that pass is not in the pipeline", hint=hint)
        return found[-1]

    def exact(self, number: int) -> str:
        """What means the step with that number alone: ``finish``, or ``finish#1`` if it runs again later."""
        step = self.steps[number - 1]
        again = any(later.name == step.name for later in self.steps[number:])
        return f"{step.name}#{step.occurrence}" if again else step.label

    def spec(self) -> str:
        """The plan as a pipeline text."""
        return ",".join(step.instance.spec() for step in self.steps)
