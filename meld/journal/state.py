"""States of things: values that are equal as long as the text of a thing is the same, and far cheaper than the text.

The reverse does not hold: where states differ, the texts decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from meld.ir.instructions import Code, Instruction, LazyBody, Scope, references
from meld.ir.module import (
    CustomSection,
    DataSegment,
    ElementSegment,
    Export,
    Function,
    Global,
    Memory,
    Table,
    Tag,
)
from meld.ir.notes import Note
from meld.ir.types import TypeDef
from meld.journal.texts import Printed, StableNames, is_plain

HEAD = ("name", "owner", "origin", "synthetic", "imported", "type", "local_names", "label_names")
"""What the text of a function is made of besides its notes and its body."""

_head = attrgetter(*HEAD[:5])
_FIELDS: dict[type[Any], Callable[[Any], tuple[Any, ...]]] = {
    kind: attrgetter(*(f.name for f in fields(kind) if f.name not in ("span", "notes")))
    for kind in (Table, Memory, Global, Tag, ElementSegment, DataSegment)
}


@dataclass(slots=True)
class LazyState:
    """What a function with a lazy body was.

    Attributes:
        head: the fields `HEAD`, types by what their text is.
        type: its type.
        notes: as texts.
        meant: what the scope of the body meant.
    """

    head: tuple[Any, ...]
    type: TypeDef
    notes: tuple[str, ...]
    body: LazyBody
    meant: Meaning

    def same(self, other: LazyState) -> bool:
        """Whether the text is the same for sure."""
        return (
            self.head == other.head
            and self.notes == other.notes
            and self.body.source == other.body.source
            and (self.meant is other.meant or not self.meant.touches(other.meant, self.body))
        )

    def shown(self) -> Function:
        """A function as it was."""
        name, owner, origin, synthetic, imported, _, local_names, label_names = self.head
        return Function(
            self.type,
            self.body.over(self.meant.scope),
            dict(local_names),
            dict(label_names),
            name=name,
            owner=owner,
            origin=origin,
            synthetic=synthetic,
            imported=imported,
            notes=[Printed(note) for note in self.notes],
        )


@dataclass(eq=False, slots=True)
class Meaning:
    """The objects that the indices of a scope meant at one time."""

    scope: Scope
    names: StableNames
    _changed: tuple[Meaning, set[tuple[str, int]]] | None = None

    def changed(self, now: Scope) -> set[tuple[str, int]]:
        """The entries, as space and index, that a text shows differently now."""
        found: set[tuple[str, int]] = set()
        for space in Scope.SPACES:
            before, after = getattr(self.scope, space), getattr(now, space)
            if before != after:
                pairs = enumerate(zip(before, after, strict=False))
                found.update((space, i) for i, (a, b) in pairs if a is not b and self._differ(a, b))
        return found

    def _differ(self, before: Any, after: Any) -> bool:
        if not isinstance(before, TypeDef):
            return True
        if before.shape == after.shape and is_plain(before.shape):
            return False
        return self.names.type_name(before) != self.names.type_name(after)

    def touches(self, now: Meaning, body: LazyBody) -> bool:
        """Whether a body names an entry that means something else `now`."""
        if self._changed is None or self._changed[0] is not now:
            self._changed = now, self.changed(now.scope)
        changed = self._changed[1]
        if not changed:
            return False
        if hasattr(body, "entries"):
            return not changed.isdisjoint(body.entries())
        objects = {getattr(self.scope, space)[index] for space, index in changed}
        code = body.over(self.scope).decode()
        return any(used in objects for instruction in code.instructions for used in references(instruction))


def head_of(function: Function, names: StableNames) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The head of a function, and its notes as texts."""
    typedef = function.type
    shape: Any = typedef.shape if is_plain(typedef.shape) else typedef
    local, label = function.local_names, function.label_names
    named = (tuple(local.items()) if local else (), tuple(label.items()) if label else ())
    return (*_head(function), shape, *named), _notes(function.notes, names)


def state_of(thing: Any, names: StableNames) -> Any:
    """The state of a thing that has no lazy body; None if only its text tells."""
    match thing:
        case Function():
            body = thing.body
            return head_of(thing, names), None if body is None else _code(body, names)
        case Export():
            return thing.name, thing.item
        case CustomSection():
            return thing.name, thing.data, thing.place
    get = _FIELDS.get(type(thing))
    if get is None:
        return None
    values = tuple(_frozen(v, names) if type(v) is list else v for v in get(thing))
    return values, _notes(thing.notes, names) if thing.notes else ()


def _code(body: Code | LazyBody, names: StableNames) -> Any:
    assert isinstance(body, Code)
    return tuple(body.locals), _instructions(body.instructions, names)


def _instructions(code: Iterable[Instruction], names: StableNames) -> tuple[Any, ...]:
    return tuple((i.op, i.args, i.label, _notes(i.notes, names) if i.notes else None) for i in code)


def _frozen(value: list[Any], names: StableNames) -> tuple[Any, ...]:
    if value and isinstance(value[0], Instruction):
        return _instructions(value, names)
    return tuple(_frozen(v, names) if type(v) is list else v for v in value)


def _notes(notes: Iterable[Note], names: StableNames) -> tuple[str, ...]:
    return tuple(names.note(note) for note in notes)
