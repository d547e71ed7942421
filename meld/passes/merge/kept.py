"""Exports that the user leaves out: `--keep-exports`, `--drop-exports`."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from meld.diagnostics import MeldError, did_you_mean
from meld.ir.component import Component, Export, Sort
from meld.notes.linking import DroppedExport, KeptExport

CALLABLE = (Sort.FUNC, Sort.INSTANCE)
"""Sorts of exports that may be left out. Types stay: what is exported may need their names."""


def left_out(program: Component) -> frozenset[str]:
    """The names of exported functions and interfaces that patterns leave out: not kept, or dropped.

    A pattern means a name with or without its version.

    Raises:
        MeldError: a pattern means no export, or no export is left.
    """
    names = [str(export.extern) for export in program.of(Export) if export.sort in CALLABLE]
    keep = [n.pattern for n in program.notes_of(KeptExport)]
    drop = [n.pattern for n in program.notes_of(DroppedExport)]
    for option, patterns in (("--keep-exports", keep), ("--drop-exports", drop)):
        for pattern in patterns:
            if not any(_is_meant(name, [pattern]) for name in names):
                hint = did_you_mean(pattern, names, f"its exports are {', '.join(names) or 'none'}")
                raise MeldError(f"{option}={pattern}: the program has no such export", hint=hint)
    hidden = frozenset(
        name for name in names if (keep and not _is_meant(name, keep)) or (drop and _is_meant(name, drop))
    )
    if hidden and len(hidden) == len(set(names)):
        raise MeldError("--drop-exports leaves no export", hint="keep at least one: a program without exports is empty")
    return hidden


def _is_meant(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(one, pattern) for pattern in patterns for one in (name, name.partition("@")[0]))
