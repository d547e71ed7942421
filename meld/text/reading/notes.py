"""Notes in text: which annotations are ours, what they are read to, and where they go.

A note that others refer to is declared before any note is read, so references forward resolve.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, fields
from functools import cache

from meld.diagnostics import MeldError, Span
from meld.ir.instructions import IndexSpaces
from meld.ir.module import CustomSection, Item
from meld.ir.notes import (
    NOTES,
    Facts,
    Note,
    Opaque,
    Origin,
    Owner,
    Quoted,
    Ref,
    Sexp,
    Symbol,
    Synthetic,
    note_from_sexp,
)
from meld.support.records import record
from meld.text.literals import identifier
from meld.text.reading.names import TextContext
from meld.text.sexp import debug_name, raw_bytes, read_annotation

SECTION_NAMES = (
    "type",
    "import",
    "func",
    "table",
    "memory",
    "tag",
    "global",
    "export",
    "start",
    "elem",
    "code",
    "data",
)
"""The sections of a binary in their order, as the places of custom sections call them."""


@cache
def load_notes() -> None:
    """Registers the notes of the compiler, so that annotations are read to what they are.

    Late, since text without annotations does not need them.
    """
    from meld.notes import boundaries, channels, handles, linking, state, streams, tasks, world  # noqa: F401


@record()
class NoteReader:
    """Reads the annotations of one text."""

    context: TextContext
    scope: IndexSpaces = field(default_factory=IndexSpaces)
    declared: dict[int, Note] = field(default_factory=dict)  # place in the text → note

    def declare(self, spans: Iterable[Span]) -> None:
        """First pass over annotations: makes the notes that others can refer to, still empty."""
        text = self.context.source.text
        for span in spans:
            if not text.startswith("(@meld.", span.start):
                continue
            load_notes()
            label, parts = read_annotation(span.source, span.start, span.end)
            cls = NOTES.get(label.removeprefix("meld."))
            if cls is None or not cls.declares:
                continue
            match parts:
                case [Ref(name), *_] if name not in self.context.notes:
                    note = cls.__new__(cls)
                    note.name = name
                    self.context.notes[name] = self.declared[span.start] = note
                case [Ref(name), *_]:
                    raise MeldError(f"the note `{identifier(name)}` is declared twice", span=span)
                case _:
                    raise MeldError(f"expected the note's name behind `(@{label}`", span=span)

    def read(self, span: Span) -> Note:
        """The note in an annotation; an unregistered annotation is kept as an `Opaque`."""
        load_notes()
        label, parts = read_annotation(span.source, span.start, span.end)
        tag = label.removeprefix("meld.")
        if label == "custom":
            raise MeldError("a custom section stands among the fields of a module", span=span)
        if not label.startswith("meld.") or tag not in NOTES:
            return Opaque(label, parts, span=span)
        declared = self.declared.get(span.start)
        resolve = self.context.resolver(self.scope, span)
        try:
            note = note_from_sexp(tag, parts[1:] if declared is not None else parts, resolve, span)
        except MeldError as e:
            e.span = e.span or span
            raise
        except (ValueError, TypeError, LookupError, AttributeError) as e:
            raise MeldError(f"malformed note `@{label}`", span=span) from e
        if declared is None:
            return note
        name = declared.name
        for f in fields(note):
            setattr(declared, f.name, getattr(note, f.name))
        declared.name = name
        return declared

    def facts(self, note: Note, facts: list[str]) -> bool:
        """Takes the facts of ``(@meld.facts …)`` over; false if the note is another."""
        if isinstance(note, Facts):
            facts += [name for name in note.names if name not in facts]
        return isinstance(note, Facts)

    def describe(self, item: Item, spans: Iterable[Span]) -> None:
        """Gives an item the notes that stand behind its name."""
        for span in spans:
            if is_name(span):
                item.name = debug_name(span)
                continue
            match self.read(span):
                case Owner(instance=instance):
                    item.owner = instance
                case Origin(instance=instance, index=index, module=module):
                    item.owner, item.origin = instance, (index, module)
                case Synthetic(kind=kind):
                    item.synthetic = kind
                case note:
                    item.notes.append(note)


def is_name(span: Span) -> bool:
    """Whether an annotation is ``(@name "…")``."""
    text = span.source.text
    return text.startswith("(@name", span.start) and text[span.start + 6] in ' \t\r\n"(;)'


def custom_section(label: str, parts: list[Sexp], span: Span) -> CustomSection | None:
    """The custom section that ``(@custom …)`` or ``(@producers …)`` describes; None if it is another annotation."""
    match label, parts:
        case "custom", [Quoted() as name, [Symbol("before" | "after" as side), Symbol(place)], *data]:
            pass
        case "custom", [Quoted() as name, *data]:
            side, place = "after", "last"
        case "producers", fields:
            return CustomSection("producers", _producers(fields, span))
        case "custom", _:
            raise MeldError('expected `(@custom "name" (after data) "bytes"…)`', span=span)
        case _:
            return None
    pieces = [raw_bytes(part) for part in data if isinstance(part, Quoted)]
    where = _place(side, place)
    if where is None or len(pieces) != len(data) or not _is_utf8(name.text):
        raise MeldError(
            "malformed custom section",
            span=span,
            hint=f"a place is `before first`, `after last`, or `before` or `after` one of {', '.join(SECTION_NAMES)}",
        )
    return CustomSection(name.text, b"".join(pieces), where)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _place(side: str, place: str) -> str | None:
    order = ("first", *SECTION_NAMES)
    if place == "last" and side == "after":
        return f"after {order[-1]}"
    if place not in order or (place == "first" and side == "after"):
        return None
    number = order.index(place) - (side == "before" and place != "first")
    return f"after {order[number]}" if number else "before first"


def _producers(fields: list[Sexp], span: Span) -> bytes:
    """The section that names the tools that made a module (tool conventions, ProducersSection.md)."""
    found: dict[str, list[bytes]] = {}
    for part in fields:
        match part:
            case [Symbol(name), Quoted() as tool, Quoted() as version]:
                found.setdefault(name, []).append(_counted(raw_bytes(tool)) + _counted(raw_bytes(version)))
            case _:
                raise MeldError('expected `(@producers (processed-by "tool" "version")…)`', span=span)
    out = [_counted(name.encode()) + _size(len(tools)) + b"".join(tools) for name, tools in found.items()]
    return _size(len(out)) + b"".join(out)


def _counted(data: bytes) -> bytes:
    return _size(len(data)) + data


def _size(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))
