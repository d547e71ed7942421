"""The names of a component being printed: unique per sort, by number where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from meld.diagnostics import MeldError
from meld.ir.component import (
    Definition,
    ModuleType,
    OuterAlias,
    Sort,
    StartDefinition,
)
from meld.ir.notes import Note, Sexp, Symbol
from meld.ir.notes import Ref as NoteRef
from meld.ir.types import RecGroup, TypeDef
from meld.text.literals import identifier
from meld.text.printing.names import UniqueNames, declaration
from meld.text.reading.component.scope import core_typedef


def refer(unique: str | int) -> str:
    """How the text refers to a name or an index."""
    return str(unique) if isinstance(unique, int) else identifier(unique)


def declare(name: str | None, unique: str | int) -> str:
    """How a definition says its name. One without a name has its index in a comment."""
    return f"(;{unique};)" if isinstance(unique, int) else declaration(unique, name)


class ScopeNames:
    """The names of the definitions of one component, or of the declarations of one type.

    Args:
        definitions: all of them, in order.
        parent: the names of what encloses it.
        notes: the component's own notes, which may declare names.
    """

    def __init__(
        self, definitions: Sequence[Definition], parent: ScopeNames | None = None, notes: Iterable[Note] = ()
    ) -> None:
        self.parent = parent
        self._names: dict[Definition, str | int] = {}  # unique names, or indices of those without
        self._note_names: dict[Note, str] = {}
        self.core_types: dict[TypeDef, str] = {}
        counts = dict.fromkeys(Sort, 0)
        namers = {sort: UniqueNames() for sort in Sort}
        note_namer = UniqueNames()
        for item in _entries(definitions):
            sort = item.sort
            assert sort is not None
            self._names[item] = counts[sort] if item.name is None else namers[sort].give(item.name)
            counts[sort] += 1
            typedef = core_typedef(item)
            if typedef is not None:
                self.core_types.setdefault(typedef, self.reference(item))
        for note in [*notes, *(n for item in definitions for n in item.notes)]:
            if note.declares:
                self._note_names[note] = note_namer.give(note.name or note.tag)

    def reference(self, item: Definition) -> str:
        """How the text refers to a definition. Raises MeldError if it does not stand in this scope."""
        try:
            return refer(self._names[item])
        except KeyError:
            kind = item.sort.value if item.sort else "definition"
            name = identifier(item.name) if item.name else "without a name"
            raise MeldError(f"a {kind} {name} is used in a component that does not define it") from None

    def declaration(self, item: Definition) -> str:
        """What stands after the keyword of a definition: its name, or its number in a comment."""
        return declare(item.name, self._names[item]) if item in self._names else ""

    def enclosing(self, depth: int) -> ScopeNames:
        """The scope `depth` levels out; 0 is this one. Raises MeldError if there are not so many."""
        scope: ScopeNames | None = self
        for _ in range(depth):
            scope = scope.parent if scope else None
        if scope is None:
            raise MeldError(f"an outer alias reaches {depth} levels out, beyond the outermost component")
        return scope

    def note_reference(self, space: str, item: object) -> Sexp:
        """The name of what a note refers to (`meld.ir.notes.NameOf`). Raises MeldError."""
        scope: ScopeNames | None = self
        while scope is not None:
            if isinstance(item, Note) and item in scope._note_names:
                return NoteRef(scope._note_names[item])
            if isinstance(item, Definition) and item in scope._names:
                name = scope._names[item]
                return Symbol(str(name)) if isinstance(name, int) else NoteRef(name)
            scope = scope.parent
        raise MeldError(f"a note refers to a {space} that the component does not have")


def _entries(definitions: Iterable[Definition]) -> Iterator[Definition]:
    """Everything that stands in an index space, in order."""
    for item in definitions:
        if isinstance(item, StartDefinition):
            yield from item.results
        elif item.sort is not None:
            yield item


class ModuleTypeNames:
    """The core types that a module type declares or takes from outside: references, and how each says its name.

    References are numbers, since wasm-tools does not resolve names in the reference types of a module type.
    """

    def __init__(self, module_type: ModuleType) -> None:
        self.core_types: dict[TypeDef, str] = {}
        self.declarations: dict[TypeDef | OuterAlias, str] = {}
        namer, count = UniqueNames(), 0
        for decl in module_type.decls:
            entries: list[TypeDef | OuterAlias] = []
            if isinstance(decl, RecGroup):
                entries = list(decl.types)
            elif isinstance(decl, OuterAlias):
                entries = [decl]
            for entry in entries:
                self.declarations[entry] = declare(entry.name, count if entry.name is None else namer.give(entry.name))
                typedef = entry if isinstance(entry, TypeDef) else core_typedef(entry)
                if typedef is not None:
                    self.core_types.setdefault(typedef, str(count))
                count += 1
