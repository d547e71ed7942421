"""Annotations and sections of an input that only the compiler may write.

Inputs are data. A note decides where a call goes, who owns an item and what the host is told, so one that an input
brings along is dropped before anything reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from meld.ir import component as c
from meld.ir.module import Module
from meld.ir.notes import Note, Opaque

SECTIONS = "meld"
"""The prefix of the names of the compiler's own custom sections."""


def drop_claims(program: c.Component | Module, *, root: bool = True) -> Counter[str]:
    """Drops notes, facts and the compiler's sections from a program and all that is nested in it.

    Args:
        root: whether also those of the program itself, or only those of components and modules inside it.

    Returns:
        What was dropped, by its name in text, and how often.
    """
    dropped: Counter[str] = Counter()
    if isinstance(program, Module):
        _of_module(program, dropped)
        return dropped
    pending: list[tuple[c.Component, bool]] = [(program, root)]
    seen: set[int] = set()
    while pending:
        component, whole = pending.pop()
        if id(component) in seen:
            continue
        seen.add(id(component))
        if whole:
            _facts(component, dropped)
            component.notes = _kept(component.notes, dropped)
            component.definitions = [d for d in component.definitions if not _is_claim(d, dropped)]
        for definition in component.definitions:
            if whole and definition.notes:
                definition.notes = _kept(definition.notes, dropped)
            match definition:
                case c.CoreModule(module=module):
                    _of_module(module, dropped)
                case c.NestedComponent(component=inner):
                    pending.append((inner, True))
    return dropped


def _is_claim(definition: c.Definition, dropped: Counter[str]) -> bool:
    if not (isinstance(definition, c.Custom) and definition.section.name.startswith(SECTIONS)):
        return False
    dropped[f"section `{definition.section.name}`"] += 1
    return True


def _of_module(module: Module, dropped: Counter[str]) -> None:
    _facts(module, dropped)
    module.notes = _kept(module.notes, dropped)
    for item in module.items():
        if item.notes:
            item.notes = _kept(item.notes, dropped)
        if item.owner is not None:
            dropped["@meld.owner" if item.origin is None else "@meld.origin"] += 1
            item.owner = item.origin = None
        if item.synthetic is not None:
            dropped["@meld.synthetic"] += 1
            item.synthetic = None
    for section in module.customs:
        if section.name.startswith(SECTIONS):
            dropped[f"section `{section.name}`"] += 1
    module.customs = [section for section in module.customs if not section.name.startswith(SECTIONS)]


def _facts(program: c.Component | Module, dropped: Counter[str]) -> None:
    if program.facts:
        dropped["@meld.facts"] += 1
        program.facts = []


def _kept(notes: Iterable[Note], dropped: Counter[str]) -> list[Note]:
    """The notes of other tools, which the compiler does not read."""
    kept: list[Note] = []
    for n in notes:
        if isinstance(n, Opaque) and not n.label.startswith("meld."):
            kept.append(n)
        else:
            dropped["@" + (n.label if isinstance(n, Opaque) else f"meld.{n.tag}")] += 1
    return kept
