"""What `meldc check` and the language server find in a file: errors of the text, of the program, of the engine."""

from __future__ import annotations

from pathlib import Path

from meld.diagnostic_forms import Diagnostic, Rule, Severity
from meld.diagnostics import MeldError
from meld.driver import decode_text, is_binary, load, read_file
from meld.ir.recovery import parse_all
from meld.ir.verify import Problem, verify
from meld.passes.base import Program


def check_file(path: str, *, engine: bool = False) -> list[Diagnostic]:
    """All that is wrong with a file.

    Args:
        engine: have the engine validate the program as well, if nothing else is wrong.
    """
    try:
        data = read_file(Path(path))
        if is_binary(data):
            return check_program(load(path), path, engine=engine)
        text = decode_text(data, path)
    except MeldError as e:
        return [Diagnostic.of_error(e, file=path)]
    return check_text(text, path, engine=engine)


def check_text(text: str, name: str, *, engine: bool = False) -> list[Diagnostic]:
    """All that is wrong with a text."""
    from meld.driver import load_text

    program, errors = parse_all(text, name)
    if program is None:
        try:  # what the engine reads and we do not is in order
            program = load_text(text, name)
        except MeldError:
            return [Diagnostic.of_error(e, file=name) for e in errors]
    return check_program(program, name, engine=engine)


def check_program(program: Program, name: str, *, engine: bool = False) -> list[Diagnostic]:
    """All that is wrong with a program that was read from `name`."""
    found = [of_problem(p, Rule.VERIFIER, name) for p in verify(program, decode=True)]
    if engine and not found:
        from meld.runtime.validate import engine_problems

        found = [of_problem(p, Rule.ENGINE, name) for p in engine_problems(program)]
    return found


def of_problem(problem: Problem, rule: Rule, name: str) -> Diagnostic:
    """The diagnostic of a problem."""
    return Diagnostic(Severity.ERROR, rule, problem.message, name, problem.span, problem.place or None)
