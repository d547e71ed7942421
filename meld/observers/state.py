"""States of things: values that are equal as long as the text of a thing is the same, and far cheaper than the text.

The reverse does not hold: where states differ, the texts decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field, fields
from itertools import zip_longest
from operator import attrgetter
from typing import Any

from meld.binary.bodies import EncodedBody
from meld.binary.scan import INDEX
from meld.ir.instructions import Code, Instruction, LazyBody, Scope, references
from meld.ir.module import (
    CustomSection,
    DataSegment,
    ElementSegment,
    Export,
    Function,
    Global,
    Memory,
    Module,
    Table,
    Tag,
)
from meld.ir.notes import Note
from meld.ir.types import TypeDef
from meld.observers.texts import Printed, StableNames, is_plain
from meld.support.records import record

_head = attrgetter("name", "owner", "origin", "synthetic", "imported", "type", "type.shape", "body")
_FIELDS: dict[type[Any], Callable[[Any], tuple[Any, ...]]] = {
    kind: attrgetter(*(f.name for f in fields(kind) if f.name not in ("span", "notes")))
    for kind in (Table, Memory, Global, Tag, ElementSegment, DataSegment)
}


@record()
class LazyState:
    """What a function with a lazy body was.

    Attributes:
        head: its fields, as `_head` gives them.
        notes: as texts.
        named: the names of its variables and labels.
        meant: what the scope of the body meant.
    """

    head: tuple[Any, ...]
    notes: tuple[str, ...]
    named: tuple[tuple[tuple[int, str], ...], ...]
    meant: Meaning

    @classmethod
    def of(cls, function: Function, names: StableNames, meant: Meaning) -> LazyState:
        """The state of a function whose body is lazy."""
        return cls(_head(function), _notes(function.notes, names), _named(function), meant)

    def is_of(self, function: Function, meant: Meaning) -> bool:
        """Whether the function has this state for sure; False if that takes a closer look."""
        return (
            meant is self.meant
            and _head(function) == self.head
            and not (function.notes or function.local_names or function.label_names)
            and not (self.notes or self.named)
        )

    def same(self, other: LazyState) -> bool:
        """Whether the text is the same for sure."""
        *mine, typedef, shape, body = self.head
        *others, other_type, other_shape, other_body = other.head
        return (
            mine == others
            and shape == other_shape
            and (typedef is other_type or is_plain(shape))
            and self.notes == other.notes
            and self.named == other.named
            and (body is other_body or body.source == other_body.source)
            and (self.meant is other.meant or not self.meant.touches(other.meant, body))
        )

    def shown(self) -> Function:
        """A function as it was."""
        name, owner, origin, synthetic, imported, typedef, _, body = self.head
        local_names, label_names = self.named or ((), ())
        return Function(
            typedef,
            body.over(self.meant.scope),
            dict(local_names),
            dict(label_names),
            name=name,
            owner=owner,
            origin=origin,
            synthetic=synthetic,
            imported=imported,
            notes=[Printed(note) for note in self.notes],
        )


def _named(function: Function) -> tuple[tuple[tuple[int, str], ...], ...]:
    if not (function.local_names or function.label_names):
        return ()
    return tuple(function.local_names.items()), tuple(function.label_names.items())


_SEGMENT = tuple(f.name for f in fields(DataSegment) if f.name not in ("span", "notes", "offset"))
_segment = attrgetter(*_SEGMENT)


@record()
class SegmentState:
    """What a data segment without notes was: its fields, and the offset as `_instructions` gives it."""

    fields: tuple[Any, ...]
    offset: list[Any] | None

    @classmethod
    def of(cls, segment: DataSegment) -> SegmentState | None:
        """The state of a segment; None if it has notes."""
        if segment.notes or any(i.notes for i in segment.offset or ()):
            return None
        return cls(_segment(segment), None if segment.offset is None else _instructions(segment.offset))

    def shown(self) -> DataSegment:
        """A segment as it was."""
        offset = None
        if self.offset is not None:
            offset = [Instruction(op, args, None, label) for op, args, label, _ in self.offset]
        return DataSegment(**dict(zip(_SEGMENT, self.fields, strict=True)), offset=offset)


@record(eq=False)
class Meaning:
    """The objects that the indices of a scope meant at one time.

    Attributes:
        of: the scope itself, whose entries may be others by now.
        scope: one with the objects that they were.
    """

    of: Scope
    names: StableNames
    scope: Scope = field(init=False)
    _changed: tuple[Meaning, set[int]] | None = None

    def __post_init__(self) -> None:
        self.scope = self.of.renamed({})

    def changed(self, now: Scope) -> set[int]:
        """The entries that a text shows differently now: the number of the space << 28 | index."""
        found: set[int] = set()
        for number, (before, after) in enumerate(zip(self.scope.spaces(), now.spaces(), strict=True)):
            if before != after:
                pairs = enumerate(zip_longest(before, after))
                found.update(number << 28 | i for i, (a, b) in pairs if a is not b and self._differ(a, b))
        return found

    def _differ(self, before: Any, after: Any) -> bool:
        if not isinstance(before, TypeDef) or not isinstance(after, TypeDef):
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
        if isinstance(body, EncodedBody):
            return not changed.isdisjoint(body.codes())
        spaces = self.scope.spaces()
        objects = {spaces[code >> 28][code & INDEX] for code in changed}
        code = body.over(self.scope).decode()
        return any(used in objects for instruction in code.instructions for used in references(instruction))


RUN = 1024
"""Functions or data segments that are compared at once."""


@record(eq=False)
class Run:
    """Functions with lazy bodies, or data segments, that stand one behind the other and have no notes.

    Attributes:
        heads: what they are, as far as states tell.
        meanings: what the scopes of their bodies mean.
    """

    items: list[Any]
    heads: list[Any]
    meanings: list[Meaning]

    def same(self, other: Run) -> bool:
        """Whether nothing has changed for sure."""
        return self.items == other.items and self.meanings == other.meanings and self.heads == other.heads


_notes_of, _locals_of, _labels_of = map(attrgetter, ("notes", "local_names", "label_names"))


def runs_of(module: Module, meaning: Callable[[Scope], Meaning]) -> list[Run]:
    """The runs of a module. `meaning`: what a scope means now."""
    found = []
    for start in range(0, len(module.functions), RUN):
        functions = module.functions[start : start + RUN]
        bodies = [function.body for function in functions]
        lazy = [body.scope for body in bodies if isinstance(body, LazyBody)]
        if len(lazy) == len(functions) and not any(
            any(map(of, functions)) for of in (_notes_of, _locals_of, _labels_of)
        ):
            meanings = [meaning(scope) for scope in dict.fromkeys(lazy)]
            found.append(Run(functions, list(map(_head, functions)), meanings))
    for start in range(0, len(module.datas), RUN):
        segments = module.datas[start : start + RUN]
        offsets = [i for segment in segments for i in segment.offset or ()]
        if not any(map(_notes_of, segments)) and not any(map(_notes_of, offsets)):
            heads = [*map(_segment, segments), *((i.op, i.args, i.label) for i in offsets)]
            found.append(Run(segments, [*heads, [len(s.offset or ()) for s in segments]], []))
    return found


def state_of(thing: Any) -> Any:
    """The state of a thing that has no lazy body; None if only its text tells."""
    match thing:
        case Function(body=Code() as body):
            code = list(body.locals), _instructions(body.instructions)
            return _head(thing)[:-1], _fields_of(thing.notes), _named(thing), code
        case Function():
            return _head(thing), _fields_of(thing.notes), _named(thing)
        case Export():
            return thing.name, thing.item
        case CustomSection():
            return thing.name, thing.data, thing.place
    get = _FIELDS.get(type(thing))
    if get is None:
        return None
    values = [_frozen(v) if type(v) is list else v for v in get(thing)]
    return values, _fields_of(thing.notes) if thing.notes else None


def _instructions(code: Iterable[Instruction]) -> list[Any]:
    return [(i.op, i.args, i.label, _fields_of(i.notes) if i.notes else None) for i in code]


def _frozen(value: list[Any]) -> list[Any]:
    if value and isinstance(value[0], Instruction):
        return _instructions(value)
    return [_frozen(v) if type(v) is list else v for v in value]


def _fields_of(notes: Iterable[Note]) -> list[Any]:
    return [(type(note), [getattr(note, f.name) for f in fields(note)]) for note in notes]


def _notes(notes: Iterable[Note], names: StableNames) -> tuple[str, ...]:
    return tuple(names.note(note) for note in notes)
