"""What a word on the command line may become. What a terminal would act on is not offered, since readline shows it."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable
from pathlib import Path

from meld.debugger.session import Session
from meld.debugger.shell import all_commands, resolve
from meld.debugger.symbols import KINDS
from meld.diagnostics import MeldError
from meld.ir.module import Function, Module
from meld.passes.base import options_of


def _steps(session: Session) -> Iterable[str]:
    return [entry.step.label for entry in session.entries] + ["input"]


def _symbols(session: Session) -> Iterable[str]:
    return [symbol.name for symbol in session.symbols.symbols]


def _functions(session: Session) -> Iterable[str]:
    return [symbol.name for symbol in session.symbols.symbols if symbol.kind == "func" and not symbol.imported]


def _exports(session: Session) -> Iterable[str]:
    program = session.program
    functions = program.exports if isinstance(program, Module) else []
    return [export.name for export in functions if isinstance(export.item, Function)]


def _options(session: Session) -> Iterable[str]:
    passes = {entry.step.label: type(entry.step.instance) for entry in session.entries}
    return [*passes, *(f"{info.name}=" for one in passes.values() for info in options_of(one) if one.name != "edit")]


SOURCES: dict[str, Callable[[Session], Iterable[str]]] = {
    "steps": _steps,
    "symbols": _symbols,
    "functions": _functions,
    "exports": _exports,
    "options": _options,
    "breaks": lambda session: [*_steps(session), *_symbols(session)],
    "breakpoints": lambda session: [*(str(b.number) for b in session.breakpoints), "all"],
    "kinds": lambda session: [*sorted(KINDS), *_symbols(session)],
    "graphs": lambda session: ["plan", "calls", *_functions(session)],
    "commands": lambda session: list(all_commands()),
}


def completions(session: Session, line: str, word: str) -> list[str]:
    """What a word may become; `line` is what stands in front of it."""
    return [found for found in _found(session, line, word) if found.isprintable()]


def _found(session: Session, line: str, word: str) -> list[str]:
    if not line.strip():
        return [f"{name} " for name in all_commands() if name.startswith(word)]
    try:
        sources = resolve(line.split()[0]).completes.split()
    except MeldError:
        return []
    if "files" in sources or line.split()[-1] == "--from":
        found = sorted(glob.glob(f"{glob.escape(word)}*"))  # noqa: PTH207 - completes what was typed
        return [f"{name}/" if Path(name).is_dir() else name for name in found]
    mark = "$" if word.startswith("$") else ""
    names = dict.fromkeys(name for source in sources for name in SOURCES[source](session))
    return [mark + name for name in names if name.startswith(word.removeprefix("$"))]
