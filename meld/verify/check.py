"""What `meldc check` and the language server find in a file: errors of the text, of the program, of the engine."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from meld.diagnostics import MeldError, Source, Span, did_you_mean
from meld.diagnostics.forms import Diagnostic, Rule, Severity
from meld.files import decode_text, is_binary, load, read_file
from meld.ir.module import Function, Module
from meld.ir.notes import NOTES, Opaque
from meld.passes.base import Program
from meld.text.reading.program import parse
from meld.text.recovery import in_source, parse_all
from meld.verify.problem import Problem
from meld.verify.program import verify


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
    if len(text) >= LARGE and _is_right(text, name, engine=engine):
        return []
    program, errors = parse_all(text, name)
    return check_parsed(program, errors, Source(name, text), engine=engine)


LARGE = 1 << 16
"""Characters from which on a text is first read without the places of its instructions, which take a third of the time
and are of no use if nothing is wrong."""


def _is_right(text: str, name: str, *, engine: bool) -> bool:
    """Whether nothing is wrong with a text for sure."""
    try:
        return not check_program(parse(text, name), name, engine=engine)
    except MeldError:
        return False


def check_parsed(
    program: Program | None,
    errors: list[MeldError],
    source: Source,
    *,
    engine: bool = False,
    known: Container[Function] = (),
) -> list[Diagnostic]:
    """All that is wrong with a text of which `parse_all` has found these errors, and has left that program.

    Args:
        known: functions whose bodies are known to be right.
    """
    name = source.name
    if not errors and program is not None:
        return [_placed(d, source) for d in check_program(program, name, engine=engine, known=known)]
    found = [Diagnostic.of_error(e, file=name) for e in errors]
    if program is not None:
        more = [_placed(d, source) for d in check_program(program, name, known=known)]
        found += [replace(d, span=in_source(d.span, source)) for d in more if d.span is not None]
    return sorted(found, key=lambda d: d.span.start if d.span is not None else -1)


def _placed(diagnostic: Diagnostic, source: Source) -> Diagnostic:
    """A diagnostic about a fact, which the program keeps without its place, at the word in the text."""
    fact = _FACT.fullmatch(diagnostic.message) if diagnostic.span is None else None
    if fact is None:
        return diagnostic
    word = re.compile(rf"\(@meld\.facts\s[^()]*?(?<![^\s])({re.escape(fact[1])})(?![^\s)])").search(source.text)
    return diagnostic if word is None else replace(diagnostic, span=Span(source, word.start(1), word.end(1)))


_FACT = re.compile(r"unknown fact `([^`]+)`")


def check_program(
    program: Program, name: str, *, engine: bool = False, known: Container[Function] = ()
) -> list[Diagnostic]:
    """All that is wrong with a program that was read from `name`; `known` as in `check_parsed`."""
    found = [of_problem(p, Rule.VERIFIER, name) for p in verify(program, decode=True, known=known)]
    found += _misspelt(program, name)
    if engine and not found:
        from meld.verify.engine import engine_problems

        found = [of_problem(p, Rule.ENGINE, name) for p in engine_problems(program)]
    return found


def of_problem(problem: Problem, rule: Rule, name: str) -> Diagnostic:
    """The diagnostic of a problem."""
    return Diagnostic(Severity.ERROR, rule, problem.message, name, problem.span, problem.place or None, problem.hint)


def _misspelt(program: Program, name: str) -> list[Diagnostic]:
    """Unknown facts and notes that resemble known ones. Others may be those of a plugin."""
    from meld.passes import Registry

    strange: list[tuple[str, str, Any]] = [("fact", fact, None) for fact in program.facts]
    notes = [*program.notes, *(note for item in _items(program) for note in item.notes)]
    strange += [("note", n.label.removeprefix("meld."), n.span) for n in notes if isinstance(n, Opaque)]
    if not strange:
        return []
    known = {"fact": set(Registry.standard().facts()), "note": set(NOTES)}
    return [
        Diagnostic(Severity.WARNING, Rule.VERIFIER, f"unknown {kind} `{word}`", name, span, hint=hint)
        for kind, word, span in strange
        if word not in known[kind] and (hint := did_you_mean(word, sorted(known[kind])))
    ]


def _items(program: Program) -> Iterable[Any]:
    return program.items() if isinstance(program, Module) else program.definitions
