"""The verifier of compositions: each definition refers to earlier ones of the right sort, as its binary has to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import Component, Definition, Sort
from meld.ir.module import Module
from meld.ir.notes import Note
from meld.support.records import record
from meld.text.literals import identifier
from meld.validity.places import inner_place, place_of, span_of
from meld.verify.problem import Problem, own_problems, referred

MAX_DEPTH = 200
"""Levels of nested components that are looked into; those deeper are refused elsewhere."""

SORTS: dict[tuple[type[Any], str], Sort] = {
    (c.CoreInstance, "module"): Sort.CORE_MODULE,
    (c.ComponentInstance, "component"): Sort.COMPONENT,
    (c.ExportAlias, "instance"): Sort.INSTANCE,
    (c.CoreExportAlias, "instance"): Sort.CORE_INSTANCE,
    (c.CanonLift, "function"): Sort.CORE_FUNC,
    (c.CanonLift, "type"): Sort.TYPE,
    (c.CanonLower, "function"): Sort.FUNC,
    (c.StartDefinition, "function"): Sort.FUNC,
    (c.CanonOptions, "memory"): Sort.CORE_MEMORY,
    (c.CanonOptions, "realloc"): Sort.CORE_FUNC,
    (c.CanonOptions, "post_return"): Sort.CORE_FUNC,
    (c.CanonOptions, "callback"): Sort.CORE_FUNC,
}
"""The sort of what a field refers to, where there is one only."""


@record()
class _Scope:
    """What can be referred to at a place: definitions so far, notes, and the scope around."""

    parent: _Scope | None
    notes: set[Note]
    known: set[Definition]
    everything: set[Definition]

    def outer(self, depth: int) -> _Scope | None:
        scope: _Scope | None = self
        for _ in range(depth):
            scope = scope.parent if scope else None
        return scope

    def note_is_known(self, note: Note) -> bool:
        scope: _Scope | None = self
        while scope is not None:
            if note in scope.notes:
                return True
            scope = scope.parent
        return False


def component_problems(component: Component, check_module: Callable[[Module], Iterator[Problem]]) -> Iterator[Problem]:
    """What is wrong with a component and all that is nested in it; core modules are given to `check_module`."""
    # A stack of iterators instead of recursion: components nest as deep as their author likes.
    pending = [_definitions(component, None, "")]
    while pending:
        entry = next(pending[-1], None)
        match entry:
            case None:
                pending.pop()
            case Problem():
                yield entry
            case (Component() as nested, scope, where):
                if len(pending) < MAX_DEPTH:
                    pending.append(_definitions(nested, scope, where))
            case (Module() as module, _, where):
                for problem in check_module(module):
                    place = f"{where}, {problem.where}" if problem.where else where
                    yield replace(problem, where=place)


def invalidity(found: tuple[MeldError, list[Definition]], component: Component) -> Problem:
    """What `meld.validity` found in a component, with its place."""
    error, path = found
    return Problem(
        error.message, place_of(path, component), path[-1] if path else None, None, span_of(path), error.hint
    )


def _definitions(component: Component, parent: _Scope | None, where: str) -> Iterator[Any]:
    """Problems of the definitions of one component; and what is nested in it, with its scope and its place."""
    everything = set(component.definitions)
    notes = {*component.notes, *(note for item in component.definitions for note in item.notes)}
    scope = _Scope(parent, notes, set(), everything)
    for fact, count in Counter(component.facts).items():
        if count > 1:
            yield Problem(f"the fact `{fact}` is stated {count} times", where)
    yield from _notes(component, component.notes, scope, component, where)
    exports: set[str] = set()
    counts: Counter[Sort | None] = Counter()
    for item in component.definitions:
        place = inner_place(where, item, counts[item.sort])
        counts[item.sort] += 1
        if item in scope.known:
            yield Problem("stands in the component twice", place, item, None, item.span)
        match item:
            case c.NestedComponent(component=nested):
                yield nested, scope, place
            case c.CoreModule(module=module):
                yield module, scope, place
            case c.OuterAlias(target=target, depth=depth):
                around = scope.outer(depth)
                if around is None or target not in around.everything:
                    yield Problem(f"refers to something that is not {depth} levels out", place, item, None, item.span)
            case _:
                for field, used in references_of(item):
                    yield from _reference(item, field, used, scope, place)
        if isinstance(item, c.Export):
            if item.extern.name in exports:
                yield Problem(f'"{item.extern.name}" is exported already', place, item, None, item.span)
            exports.add(item.extern.name)
        yield from _notes(item, item.notes, scope, component, place)
        scope.known.add(item)
        if isinstance(item, c.StartDefinition):
            scope.known.update(item.results)


def references_of(item: Definition) -> Iterator[tuple[tuple[type[Any], str], Definition]]:
    """The definitions that a definition refers to, each with the class and the field that hold it.

    Declarations inside a component or instance type have index spaces of their own, and are not looked into.
    """
    pending: list[tuple[tuple[type[Any], str], Any]] = [
        ((type(item), f.name), getattr(item, f.name))
        for f in fields(item)
        if f.name not in ("notes", "span", "results")
    ]
    pending.reverse()
    while pending:
        field, value = pending.pop()
        match value:
            case Definition():
                yield field, value
            case list() | tuple():
                pending += [(field, part) for part in reversed(value)]
            case c.ComponentType() | c.InstanceType() | c.ModuleType():
                pass
            case c.Part():
                assert is_dataclass(value)
                pending += [((type(value), f.name), getattr(value, f.name)) for f in reversed(fields(value))]


def _reference(
    item: Definition, field: tuple[type[Any], str], used: Definition, scope: _Scope, place: str
) -> Iterator[Problem]:
    """Whether what a definition refers to stands in front of it, and is of the right sort."""
    sort = used.sort.value if used.sort is not None else "definition"
    name = f"{sort} {identifier(used.name)}" if used.name else f"a {sort} without a name"
    if used not in scope.known:
        why = "stands only behind it" if used in scope.everything else "is not in the component"
        yield Problem(f"`{field[1]}` refers to {name}, which {why}", place, item, None, item.span)
    wanted = SORTS.get(field)
    if wanted is not None and used.sort is not wanted:
        yield Problem(f"`{field[1]}` has to be a {wanted.value}, and is {name}", place, item, None, item.span)


def _notes(holder: Any, notes: list[Note], scope: _Scope, component: Component, where: str) -> Iterator[Problem]:
    for note in notes:
        place = f"{where}, (@meld.{note.tag})" if where else f"(@meld.{note.tag})"
        for name, used in referred(note):
            if isinstance(used, Note):
                there = not used.declares or scope.note_is_known(used)
            else:
                there = _is_defined(used, scope)
            if not there:
                yield Problem(
                    f"`{name}` refers to something that is not in the component", place, note, None, note.span
                )
        for message in own_problems(note, holder, component):
            yield Problem(message, place, note, None, note.span)


def _is_defined(used: Any, scope: _Scope) -> bool:
    around: _Scope | None = scope
    while around is not None:
        if used in around.everything:
            return True
        around = around.parent
    return False
