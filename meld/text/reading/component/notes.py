"""Annotations in the text of components: what they say of definitions and of the component itself.

A note may refer to a definition behind it, so notes are read when the component is complete.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

from meld.diagnostics import MeldError, Source, Span
from meld.ir.component import Definition, Sort
from meld.ir.instructions import IndexSpaces
from meld.ir.notes import Note, Sexp
from meld.support.records import record
from meld.text.reading.component.scope import TextScope
from meld.text.reading.names import TextContext, similar
from meld.text.reading.notes import NoteReader
from meld.text.sexp import index_of

NOTE_SPACES: dict[str, Sort] = {
    **{sort.value: sort for sort in Sort},
    **{sort.value.replace(" ", "_"): sort for sort in Sort},
    "functions": Sort.CORE_FUNC,
    "tables": Sort.CORE_TABLE,
    "memories": Sort.CORE_MEMORY,
    "globals": Sort.CORE_GLOBAL,
    "tags": Sort.CORE_TAG,
}
"""The spaces of the references in notes: sorts, and the spaces of core items."""


@record()
class Head:
    """What a definition begins with.

    Attributes:
        place: where it stands, for errors.
        key: the ``$name`` by which the text refers to it.
        name: its name for people, another one if there is an annotation ``(@name "…")``.
        annotations: the others.
    """

    place: Span
    key: str | None = None
    name: str | None = None
    annotations: list[Span] = field(default_factory=list)


@record(eq=False)
class ComponentContext(TextContext):
    """The notes of one component, or of one type with declarations, and what they can refer to."""

    here: TextScope = field(default_factory=TextScope)
    parent: ComponentContext | None = None
    pending: list[tuple[list[Note], list[Span]]] = field(default_factory=list)

    @classmethod
    def of(cls, source: Source, here: TextScope, parent: ComponentContext | None = None) -> ComponentContext:
        """The context of a scope that has just been opened."""
        return cls(source, here=here, parent=parent)

    def resolver(self, scope: IndexSpaces, span: Span) -> Callable[[str, Sexp], Any]:
        """The `Resolve` of the notes that stand at a place."""

        def resolve(space: str, part: Sexp) -> Any:
            key = index_of(part)
            if key is None:
                raise MeldError("expected a reference", span=span)
            return self.note(str(key), span) if space == "note" else self.definition(space, key, span)

        return resolve

    def note(self, name: str, span: Span) -> Note:
        """The note of a name, of this component or an enclosing one. Raises MeldError."""
        context: ComponentContext | None = self
        known: list[str] = []
        while context is not None:
            if name in context.notes:
                return context.notes[name]
            known += context.notes
            context = context.parent
        raise MeldError(f"unknown note `${name}`", span=span, hint=similar(name, known))

    def definition(self, space: str, key: str | int, span: Span) -> Definition:
        """The definition that a note refers to, of this component or, by name, an enclosing one. Raises MeldError."""
        if space not in NOTE_SPACES:
            raise MeldError(f"a component has no space of {space}", span=span)
        sort = NOTE_SPACES[space]
        scope: TextScope | None = self.here
        while scope is not None and isinstance(key, str):
            if key in scope.names[sort]:
                return scope.names[sort][key]
            scope = scope.parent
        return self.here.find(sort, key, span)

    def finish(self) -> None:
        """Reads the notes of this component, now that all that they can refer to is there; once. Raises MeldError."""
        reader = NoteReader(self)
        reader.declare(span for _, spans in self.pending for span in spans)
        pending, self.pending = self.pending, []
        for holder, spans in pending:
            holder.extend(reader.read(span) for span in spans)
