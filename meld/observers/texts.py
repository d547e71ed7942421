"""Texts of the parts of a program, the same as long as the part is the same.

In a dump a reference may print differently because something else was added: numbers shift, names are made unique anew.
Here everything has one name for the whole run, function types are written out, and memories are always named.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any

from meld.ir.component import Component, CoreModule, Definition, NestedComponent
from meld.ir.module import Module
from meld.ir.notes import Note, Ref, Sexp
from meld.ir.numbering import Numbering
from meld.ir.types import FuncType, RefType, TypeDef
from meld.text.literals import identifier, quoted_bytes
from meld.text.printing.component import ComponentPrinter
from meld.text.printing.component_names import ScopeNames
from meld.text.printing.module import ModulePrinter
from meld.text.printing.names import Names, UniqueNames, declaration

KINDS = {
    "functions": "func",
    "tables": "table",
    "memories": "memory",
    "globals": "global",
    "tags": "tag",
    "elements": "elem",
    "datas": "data",
    "types": "type",
}
"""Index space → the keyword in text, which is the kind of a symbol."""

SHOWN = 64
"""Bytes of a data segment or custom section that its text shows."""


@dataclass(eq=False)
class Printed(Note):
    """A note that is a text already."""

    text: str


def note_fields(note: Note) -> list[Any]:
    """The fields of a note: while they are equal, so is its text."""
    return [getattr(note, f.name) for f in fields(note)]


class _NoNumbers(Numbering):
    """Numbers are what changes; a text that has to show one shows 0."""

    def __init__(self) -> None:
        super().__init__(Module())

    def index(self, space: str, item: Any) -> int:
        return 0


class StableNames(Names):
    """Names of objects for a whole run. Call `name` on each object in the order in which they are to get theirs."""

    def __init__(self) -> None:
        self.numbering = _NoNumbers()
        self.unique = {}
        self._names: dict[Any, str] = {}
        self._given: dict[str, UniqueNames] = {}
        self._notes: dict[Note, tuple[list[Any], str]] = {}

    def name(self, space: str, item: Any) -> str:
        """The name of an object in its space (as in `IndexSpaces`, or ``note``); a new one if it has none yet."""
        found = self._names.get(item)
        if found is None:
            found = self._names[item] = self.give(space, wish(space, item))
        return found

    def give(self, space: str, wish: str) -> str:
        """A name that nothing in the space has had; `wish` if that can be."""
        return self._given.setdefault(space, UniqueNames()).give(wish)

    def same(self, item: Any, other: Any) -> None:
        """From now on `item` is what `other` was."""
        self._names[item] = self._names[other]

    def forget(self, item: Any) -> None:
        """The item is not met again."""
        del self._names[item]

    def note(self, note: Note) -> str:
        return note.text if isinstance(note, Printed) else super().note(note)

    def known_note(self, note: Note) -> str:
        """The text of a note, which is printed anew only if one of its fields is another."""
        now = note_fields(note)
        found = self._notes.get(note)
        if found is None or found[0] != now:
            found = self._notes[note] = now, self.note(note)
        return found[1]

    def ref(self, space: str, item: Any) -> str:
        return self.type_name(item) if space == "types" else identifier(self.name(space, item))

    def declared(self, space: str, item: Any) -> str:
        mine = self.name(space, item)
        return " " + (identifier(mine) if item.name is None else declaration(mine, item.name))

    def sexp(self, space: str, item: Any) -> Sexp:
        return Ref(self.name(space, item))

    def type_name(self, typedef: TypeDef) -> str:
        if is_plain(typedef.shape):
            return self.shape(typedef)
        return identifier(self.name("types", typedef))


def is_plain(shape: object) -> bool:
    """Whether a type is a function type that names no other definition."""
    if not isinstance(shape, FuncType):
        return False
    return not any(isinstance(t, RefType) and isinstance(t.heap, TypeDef) for t in (*shape.params, *shape.results))


def wish(space: str, item: Any) -> str:
    """What an object would like to be called: unlike its name in a run, another may be called the same."""
    if item.name:
        return str(item.name)
    owner, origin = getattr(item, "owner", None), getattr(item, "origin", None)
    kind = KINDS.get(space, space)
    if owner is not None and origin is not None:
        return f"{owner.name}/{kind}-{origin[0]}"
    return str(getattr(item, "tag", "") or kind)


class ItemPrinter(ModulePrinter):
    """Prints items one by one."""

    def __init__(self, names: StableNames) -> None:
        super().__init__(Module(), 0, names)

    def typename(self, typedef: TypeDef) -> str:
        return ""

    def payload(self, data: bytes | memoryview) -> str:
        if len(data) <= SHOWN:
            return quoted_bytes(data)
        digest = hashlib.sha256(data).hexdigest()[:16]
        return f"{quoted_bytes(data[:SHOWN])} (; … {len(data)} bytes, sha256:{digest} ;)"


class DefinitionPrinter(ComponentPrinter):
    """Prints the definitions of a composition one by one; core modules are summed up."""

    def definition(self, item: Definition) -> None:
        if isinstance(item, CoreModule):
            module = item.module
            size = (
                f"{len(module.functions)} functions, {len(module.imports)} imports, {len(module.datas)} data segments"
            )
            self.line(f"{self._inside('core module', item, module.name)} (; {size} ;))")
        else:
            super().definition(item)

    def texts(self, component: Component) -> dict[Definition, str]:
        """The text of each definition of a component."""
        self.enter(ScopeNames(component.definitions, None, component.notes))
        found: dict[Definition, str] = {}
        for item in component.definitions:
            begin = len(self.lines)
            self.definition(item)
            found[item] = "\n".join(self.lines[begin:])
        self.leave()
        return found


def definition_name(item: Definition) -> str:
    """What a definition would like to be called."""
    extern = getattr(item, "extern", None)
    if item.name:
        return item.name
    if extern is not None:
        return str(extern.name)
    return "component" if isinstance(item, NestedComponent) else str(item.sort.value if item.sort else "definition")
