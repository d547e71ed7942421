"""The verifier of programs: modules and compositions."""

from __future__ import annotations

from collections.abc import Container

from meld.diagnostics import MeldError
from meld.ir.component import Component
from meld.ir.module import Function, Module
from meld.verify.module import module_problems
from meld.verify.problem import Problem

MAX_PROBLEMS = 200
"""A program that is wrong in more places than this is wrong in one; the rest is not listed."""


def verify(program: Component | Module, *, decode: bool = False, known: Container[Function] = ()) -> list[Problem]:
    """What is wrong with a program, at most `MAX_PROBLEMS` things, in the order of the program; empty if nothing is.

    Args:
        decode: look into every body. Without it a body that is not decoded, and whose scope refers to nothing but
            what is in the module, is taken as it was read.
        known: functions whose bodies are known to be right; those that are not decoded are not looked into.
    """
    if isinstance(program, Component):
        from meld.verify.composition import component_problems

        found = component_problems(program, lambda module: module_problems(module, decode=decode, known=known))
    else:
        found = module_problems(program, decode=decode, known=known)
    problems: list[Problem] = []
    try:
        for problem in found:
            problems.append(problem)
            if len(problems) == MAX_PROBLEMS:
                break
        if isinstance(program, Component) and not problems:
            from meld.validity.components import validate
            from meld.verify.composition import invalidity

            invalid = validate(program)
            problems += [invalidity(invalid, program)] if invalid is not None else []
    except MeldError as e:
        problems.append(Problem(e.message, e.where or "", span=e.span, hint=e.hint))
    except Exception as e:  # objects that a pass made, of whatever kind
        problems.append(Problem(f"the program is malformed beyond checking: {type(e).__name__}: {e}"))
    return problems
