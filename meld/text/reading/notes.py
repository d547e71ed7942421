"""Notes in text: which annotations are ours, what they are read to, and where they go.

A note that others refer to is declared before any note is read, so references forward resolve.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, fields
from functools import cache

from meld.diagnostics import MeldError, Span
from meld.ir.instructions import IndexSpaces
from meld.ir.module import Item
from meld.ir.notes import (
    NOTES,
    Facts,
    Note,
    Opaque,
    Origin,
    Owner,
    Ref,
    Synthetic,
    note_from_sexp,
)
from meld.support.records import record
from meld.text.literals import identifier
from meld.text.reading.names import TextContext
from meld.text.sexp import debug_name, read_annotation


@cache
def load_notes() -> None:
    """Registers the notes of the compiler, so that annotations are read to what they are.

    Late, since text without annotations does not need them.
    """
    from meld.notes import boundaries, channels, handles, host_modules, linking, state, streams, tasks, world  # noqa: F401


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
        spans = list(spans)
        item.name = only_name(spans, item.name)
        for span in spans:
            if is_name(span):
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


def only_name(annotations: Iterable[Span], name: str | None = None) -> str | None:
    """What the ``(@name "…")`` among annotations says; `name` if there is none. Raises MeldError if there are two."""
    found = [span for span in annotations if is_name(span)]
    if len(found) > 1:
        raise MeldError("a name is given once, and this is a second", span=found[1])
    return debug_name(found[0]) if found else name
