"""What options of the command line ask of a pipeline: passes that run as well, and options of those that run anyway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from meld.diagnostics import MeldError, did_you_mean
from meld.passes import Registry
from meld.passmanager.step import Step

DEFAULT = "wasm3"
FIT = "fit-target"
LAST = "finish"
"""The pass that those of a target run before, if it runs."""
ONE_MEMORY = ("host-memory", "lower-multi-memory")


def check_target(target: str) -> None:
    """Raises MeldError if there is no such target."""
    if target == DEFAULT:
        return
    from meld.ir.features import TARGETS

    if target not in TARGETS:
        hint = did_you_mean(target, TARGETS, f"one of {', '.join(TARGETS)}")
        raise MeldError(f"--target={target}: there is no such target", hint=hint)


def passes_for(target: str) -> tuple[str, ...]:
    """The passes that run on request only, and that a target asks for."""
    if target == DEFAULT:
        return ()
    from meld.ir.features import TARGETS

    one_memory = () if "multi-memory" in TARGETS[target] else ONE_MEMORY
    return (*one_memory, FIT)


PROVENANCE: dict[str, dict[str, object]] = {"full": {}, "compact": {"compact": True}, "off": {"provenance": False}}
"""The options of `finish` for ``--provenance``."""


def with_provenance(steps: list[Step], form: str) -> list[Step]:
    """The steps, with `finish` asked for a form of the section `component-provenance`. Raises MeldError."""
    if form not in PROVENANCE:
        raise MeldError(f"--provenance={form}", hint=f"one of {', '.join(PROVENANCE)}")
    return [_with(step, PROVENANCE[form]) if step.name == LAST else step for step in steps]


def fitted(steps: list[Step], target: str, registry: Registry) -> list[Step]:
    """The steps with what a target asks for: options that were not given, and passes that are missing.

    Passes that others bring (`host-memory`) are not added here.
    """
    if target == DEFAULT:
        return steps
    out = [_with_options(step, target) for step in steps]
    if not any("merged" in step.instance.requires or "merged" in step.instance.establishes for step in out):
        return out
    place = next((i for i, step in enumerate(out) if step.name == LAST), len(out))
    for name in passes_for(target):
        if name != ONE_MEMORY[0] and not any(step.name == name for step in out):
            out.insert(place, _with_options(Step(registry.get(name)()), target))
            place += 1
    return out


def _with_options(step: Step, target: str) -> Step:
    from meld.ir.features import TARGETS

    options: dict[str, object] = {"simd": "simd" in TARGETS[target]}
    if step.name == FIT:
        options["target"] = target
    return _with(step, options)


def _with(step: Step, options: Mapping[str, object]) -> Step:
    """A step with options that it has, and that were not given."""
    one = step.instance
    defaults = {f.name: f.default for f in fields(one)}  # type: ignore[arg-type]
    asked = {key: value for key, value in options.items() if key in defaults and getattr(one, key) == defaults[key]}
    return Step(replace(one, **asked), step.span) if asked and one.is_own else step  # type: ignore[type-var]
