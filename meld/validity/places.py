"""Where in a component something is wrong: the definitions that lead there, in words."""

from __future__ import annotations

from collections.abc import Sequence

from meld.diagnostics import MeldError, Span
from meld.ir import component as c
from meld.ir.component import Component, Definition
from meld.text.literals import identifier


def place_of(path: Sequence[Definition], component: Component) -> str:
    """The place that definitions lead to, outermost first: ``component $app, core instance 0``."""
    where, around = "", component.definitions
    for item in path:
        same = [other for other in around if other.sort is item.sort]
        where = inner_place(where, item, same.index(item) if item in same else 0)
        match item:
            case c.NestedComponent(component=nested):
                around = nested.definitions
            case c.TypeDefinition(type=c.ComponentType(decls=decls) | c.InstanceType(decls=decls)):
                around = decls
    return where


def inner_place(where: str, item: Definition, number: int) -> str:
    """A definition inside a place, by its name, or by its number among those of its sort."""
    sort = item.sort.value if item.sort is not None else type(item).__name__.lower()
    own = f"{sort} {identifier(item.name)}" if item.name else f"{sort} {number}"
    if isinstance(item, c.Export | c.Import | c.ExportDecl):
        word = type(item).__name__.lower().removesuffix("decl")
        own = f'{word} "{item.extern.name}"'
    return f"{where}, {own}" if where else own


def span_of(path: Sequence[Definition]) -> Span | None:
    """Where in the text the innermost of these definitions stands that came from text."""
    return next((item.span for item in reversed(path) if item.span is not None), None)


def located(error: MeldError, path: Sequence[Definition], component: Component) -> MeldError:
    """An error with the place that definitions lead to."""
    place, span = place_of(path, component), span_of(path)
    if span is not None:
        return MeldError(f"{place}: {error.message}", span=span, hint=error.hint)
    where = ": ".join(filter(None, (component.where, place)))
    return MeldError(error.message, where=where or None, hint=error.hint)
