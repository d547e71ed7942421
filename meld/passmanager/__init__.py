"""The pass manager: the text of a pipeline (`pipeline`), the plan made of it (`plan`), the loop that runs it."""

from meld.passmanager.pipeline import parse_pipeline
from meld.passmanager.plan import constraints, plan_default, plan_named
from meld.passmanager.run import Observer, Ran, run
from meld.passmanager.step import Plan, Step

__all__ = [
    "Observer",
    "Plan",
    "Ran",
    "Step",
    "constraints",
    "parse_pipeline",
    "plan_default",
    "plan_named",
    "run",
]
