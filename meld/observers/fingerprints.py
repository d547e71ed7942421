"""Fingerprints: values that are equal only if the texts of a part of a program are, and far cheaper than the text.

A recorder asks after each step which parts of the program have another text than before. Printing everything would
tell, and takes many times as long as compiling. So each part has a fingerprint, and only where the fingerprints
before and after a step differ are texts printed. The reverse need not hold: two fingerprints may differ though the
texts are equal (a definition was replaced by an equal one); then the texts decide.

There are three kinds.

- A **lazy body** (`BodyFingerprint`) has not been decoded by any pass. Its fingerprint is what it was read from (a
  range of a code section, or of a text) and the *meaning* of its scope: the objects that its indices stand for. A pass
  that replaces an item everywhere changes the scope and touches no body. Then a body counts as changed only if it names
  an entry that means something else now, which its scan tells without decoding.
- A **data segment** of a large program (`SegmentFingerprint`) keeps its bytes by reference.
- **Everything else** (`fingerprint_of`): the tuple of its fields, with instructions and notes taken apart, since passes
  change both in place.

The first two can be turned back into the part as it was (`shown`), so that a recorder need not keep its text.

A program has tens of thousands of functions, and a pass touches a dozen. So `Fingerprints` does not look at each of
them either: the fields of all functions with lazy bodies are one list (`Bodies`), those of data segments another
(`Segments`), and lists are compared without a loop in Python. Fingerprints are made only of parts that differ.

`Fingerprints` holds what one step leaves for the next: the lists, and what each scope meant. A meaning is one
object as long as nothing in it changes, so meanings are compared by identity.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import field, fields
from itertools import chain, compress, repeat, zip_longest
from operator import attrgetter, eq, itemgetter
from typing import Any, TypeAlias

from meld.binary.bodies import EncodedBody
from meld.binary.scan import INDEX
from meld.ir.instructions import Code, IndexSpaces, Instruction, LazyBody, references
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
from meld.observers.texts import Printed, StableNames, is_plain, note_fields
from meld.passes.base import Program
from meld.support.records import record

_head = attrgetter("name", "owner", "origin", "synthetic", "imported", "type", "type.shape", "body")
_FIELDS: dict[type[Any], Callable[[Any], tuple[Any, ...]]] = {
    kind: attrgetter(*(f.name for f in fields(kind) if f.name not in ("span", "notes")))
    for kind in (Table, Memory, Global, Tag, ElementSegment, DataSegment)
}


@record()
class BodyFingerprint:
    """Of a function with a lazy body.

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
    def of(cls, function: Function, names: StableNames, meant: Meaning) -> BodyFingerprint:
        """The fingerprint of a function whose body is lazy."""
        return cls(_head(function), _notes(function.notes, names), _named(function), meant)

    def is_of(self, function: Function, meant: Meaning) -> bool:
        """Whether the function has this fingerprint for sure; False if that takes a closer look."""
        return (
            meant is self.meant
            and _head(function) == self.head
            and not (function.notes or function.local_names or function.label_names)
            and not (self.notes or self.named)
        )

    def same(self, other: BodyFingerprint) -> bool:
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
_segment = attrgetter(*_SEGMENT, "offset")


@record()
class SegmentFingerprint:
    """Of a data segment without notes: its fields, and the offset as `_instructions` gives it."""

    fields: tuple[Any, ...]
    offset: list[Any] | None

    @classmethod
    def of(cls, segment: DataSegment) -> SegmentFingerprint | None:
        """The fingerprint of a segment; None if it has notes."""
        if segment.notes or any(i.notes for i in segment.offset or ()):
            return None
        return cls(_segment(segment)[:-1], None if segment.offset is None else _instructions(segment.offset))

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

    of: IndexSpaces
    names: StableNames
    scope: IndexSpaces = field(init=False)
    _changed: tuple[Meaning, set[int]] | None = None

    def __post_init__(self) -> None:
        self.scope = self.of.renamed({})

    def changed(self, now: IndexSpaces) -> set[int]:
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


Fields: TypeAlias = dict[Any, tuple[Any, Any]]
"""Per part in a column its fields, and what the scope of its body means or the instructions of its offset."""


@record(eq=False)
class Bodies:
    """The functions with lazy bodies and without notes, as they are after a step.

    Attributes:
        heads: their fields.
        meanings: what the scopes of their bodies mean.
    """

    items: list[Function]
    heads: list[Any]
    meanings: list[Meaning]

    @classmethod
    def of(cls, module: Module, meaning: Callable[[IndexSpaces], Meaning]) -> Bodies:
        """Those of a module. `meaning`: what a scope means now."""
        functions = [
            f
            for f in module.functions
            if isinstance(f.body, LazyBody) and not (f.notes or f.local_names or f.label_names)
        ]
        scopes = list(map(_scope_of, functions))
        meanings = {scope: meaning(scope) for scope in dict.fromkeys(scopes)}
        return cls(functions, list(map(_head, functions)), list(map(meanings.__getitem__, scopes)))

    def unchanged(self, last: Bodies) -> set[Any]:
        """The functions that have not changed for sure since they were as in `last`."""
        if self.items == last.items and self.heads == last.heads and self.meanings == last.meanings:
            return set(self.items)
        known, found = last.fields(), set()
        for item, head, meant in zip(self.items, self.heads, self.meanings, strict=True):
            was, before = known.get(item, (None, meant))
            if was == head and (before is meant or not before.touches(meant, head[-1])):
                found.add(item)
        return found

    def fields(self) -> Fields:
        """Of each function its fields and its meaning."""
        return dict(zip(self.items, zip(self.heads, self.meanings, strict=True), strict=True))


@record(eq=False)
class Segments:
    """The data segments without notes, as they are after a step.

    Attributes:
        columns: per field (`_SEGMENT`, and the offset, which may be changed in place) its values.
        offsets: the instructions of all offsets, one after the other: mnemonics, immediates, labels.
        counts: how many of them each segment with an offset has.
    """

    items: list[DataSegment]
    columns: list[list[Any]]
    offsets: list[list[Any]]
    counts: list[int]

    @classmethod
    def of(cls, module: Module) -> Segments:
        """Those of a module."""
        segments = module.datas[:]
        if any(map(_notes_of, segments)):
            segments = [s for s in segments if not s.notes]
        offsets = list(filter(None, map(_offset_of, segments)))
        found = list(chain.from_iterable(offsets))
        if any(map(_notes_of, found)):  # nearly never
            segments = [s for s in segments if not any(i.notes for i in s.offset or ())]
            offsets = list(filter(None, map(_offset_of, segments)))
            found = list(chain.from_iterable(offsets))
        columns, parts = ([list(map(get, of)) for get in gets] for gets, of in ((_COLUMNS, segments), (_PARTS, found)))
        return cls(segments, columns, parts, list(map(len, offsets)))

    def unchanged(self, last: Segments) -> set[Any]:
        """The segments that have not changed for sure since they were as in `last`."""
        same = self.items == last.items and self.columns == last.columns
        if same and self.offsets == last.offsets and self.counts == last.counts:
            return set(self.items)
        known, now = last.fields(), self.fields()
        return set(compress(now, map(eq, now.values(), map(known.get, now))))

    def fields(self) -> Fields:
        """Of each segment its fields and the instructions of its offset."""
        instructions = list(zip(*self.offsets, repeat(None)))
        counts, rests, at = iter(self.counts), [], 0
        heads = list(zip(*self.columns, strict=True))
        for head in heads:
            count = next(counts) if head[-1] else 0
            rests.append(instructions[at : at + count])
            at += count
        return dict(zip(self.items, zip(heads, rests, strict=True), strict=True))


_scope_of, _offset_of, _notes_of, _last = *map(attrgetter, ("body.scope", "offset", "notes")), itemgetter(-1)
_COLUMNS, _PARTS = ([attrgetter(name) for name in names] for names in ((*_SEGMENT, "offset"), ("op", "args", "label")))
_instruction = attrgetter("op", "args", "label", "notes")


@record()
class Fingerprints:
    """The fingerprints of the parts of a program, taken after each step.

    Attributes:
        names: of everything that a fingerprint keeps as text.
        by_reference: whether bytes of data segments are kept by reference; otherwise their text is kept anyway.
    """

    names: StableNames
    by_reference: bool = False
    _bodies: Bodies = field(default_factory=lambda: Bodies([], [], []))
    _segments: Segments = field(default_factory=lambda: Segments.of(Module()))
    _before: tuple[Bodies, Segments] | None = None
    _fields: tuple[Fields, Fields] | None = None
    _meanings: dict[int, Meaning] = field(default_factory=dict)
    _last: dict[int, Meaning] = field(default_factory=dict)

    def after_step(self, program: Program) -> set[Any]:
        """Begins with the program that a step left; returns the parts that have not changed for sure."""
        self._last, self._meanings = self._meanings, {}
        before = self._before = self._bodies, self._segments
        self._fields = None
        if not isinstance(program, Module):
            return set()
        self._bodies, self._segments = Bodies.of(program, self._meaning), Segments.of(program)
        found = self._segments.unchanged(before[1])
        found |= self._bodies.unchanged(before[0])
        return found

    def fresh(self, known: Container[Any]) -> set[Any]:
        """The parts without a fingerprint yet that `before` gives after the next step; so none has to be made now."""
        items = chain(self._bodies.items, self._segments.items if self.by_reference else ())
        return {item for item in items if item not in known}

    def before(self, part: Any) -> Any:
        """The fingerprint of a part before this step, if `fresh` gave it once and it has not changed since."""
        if self._fields is None:
            assert self._before is not None
            bodies, segments = self._before
            self._fields = bodies.fields(), segments.fields()
        if isinstance(part, Function):
            head, meant = self._fields[0][part]
            return BodyFingerprint(head, (), (), meant)
        head, offset = self._fields[1][part]
        return SegmentFingerprint(head[:-1], offset if head[-1] is not None else None)

    def of(self, part: Any, last: Any) -> Any:
        """The fingerprint of a part, None if only its text tells; `last` itself if it has not changed for sure."""
        match part:
            case Function(body=LazyBody() as body):
                meant = self._meaning(body.scope)
                if isinstance(last, BodyFingerprint) and last.is_of(part, meant):
                    return last
                return BodyFingerprint.of(part, self.names, meant)
            case DataSegment() if self.by_reference:
                return SegmentFingerprint.of(part) or fingerprint_of(part)
        return fingerprint_of(part)

    def _meaning(self, scope: IndexSpaces) -> Meaning:
        """What a scope means now; one object as long as that is the same."""
        found = self._meanings.get(id(scope))
        if found is None:
            found = self._last.get(id(scope))
            if found is None or found.changed(scope):
                found = Meaning(scope, self.names)
            self._meanings[id(scope)] = found
        return found


def same(one: Any, other: Any) -> bool:
    """Whether two fingerprints of a part say that its text is the same."""
    if one is None or other is None:
        return False
    if isinstance(one, BodyFingerprint):
        return one is other or (isinstance(other, BodyFingerprint) and one.same(other))
    return bool(one == other)


def fingerprint_of(part: Any) -> Any:
    """The fingerprint of a part that has no lazy body; None if only its text tells."""
    match part:
        case Function(body=Code() as body):
            code = list(body.locals), _instructions(body.instructions)
            return _head(part)[:-1], _fields_of(part.notes), _named(part), code
        case Function():
            return _head(part), _fields_of(part.notes), _named(part)
        case Export():
            return part.name, part.item
        case CustomSection():
            return part.name, part.data, part.place
    get = _FIELDS.get(type(part))
    if get is None:
        return None
    values = [_frozen(v) if type(v) is list else v for v in get(part)]
    return values, _fields_of(part.notes) if part.notes else None


def _instructions(code: Iterable[Instruction]) -> list[Any]:
    found = list(map(_instruction, code))
    if any(map(_last, found)):
        return [(op, args, label, _fields_of(notes) if notes else None) for op, args, label, notes in found]
    return found


def _frozen(value: list[Any]) -> list[Any]:
    if value and isinstance(value[0], Instruction):
        return _instructions(value)
    return [_frozen(v) if type(v) is list else v for v in value]


def _fields_of(notes: Iterable[Note]) -> list[Any]:
    return [(type(note), note_fields(note)) for note in notes]


def _notes(notes: Iterable[Note], names: StableNames) -> tuple[str, ...]:
    return tuple(names.note(note) for note in notes)
