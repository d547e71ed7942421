"""Texts of the parts of a program, the same as long as the part is the same.

In a dump a reference may print differently because something else was added: numbers shift, names are made unique anew.
Here everything has one name for the whole run, function types are written out, and memories are always named.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from meld.ir.component import Component, CoreModule, Definition, NestedComponent
from meld.ir.component_names import ScopeNames
from meld.ir.component_printer import ComponentPrinter
from meld.ir.literals import identifier, quoted_bytes
from meld.ir.module import CustomSection, DataSegment, Module
from meld.ir.notes import Note, Ref, Sexp
from meld.ir.numbering import Numbering
from meld.ir.print_names import Names, UniqueNames, declaration
from meld.ir.printer import ModulePrinter
from meld.ir.types import FuncType, TypeDef

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

    def name(self, space: str, item: Any) -> str:
        """The name of an object in its space (as in `Scope.SPACES`, or ``note``); a new one if it has none yet."""
        found = self._names.get(item)
        if found is None:
            found = self._names[item] = self.give(space, _wish(space, item))
        return found

    def give(self, space: str, wish: str) -> str:
        """A name that nothing in the space has had; `wish` if that can be."""
        return self._given.setdefault(space, UniqueNames()).give(wish)

    def same(self, item: Any, other: Any) -> None:
        """From now on `item` is what `other` was."""
        self._names[item] = self._names[other]

    def note(self, note: Note) -> str:
        return note.text if isinstance(note, Printed) else super().note(note)

    def ref(self, space: str, item: Any) -> str:
        return self.type_name(item) if space == "types" else identifier(self.name(space, item))

    def declared(self, space: str, item: Any) -> str:
        mine = self.name(space, item)
        return " " + (identifier(mine) if item.name is None else declaration(mine, item.name))

    def sexp(self, space: str, item: Any) -> Sexp:
        return Ref(self.name(space, item))

    def type_name(self, typedef: TypeDef) -> str:
        if isinstance(typedef.shape, FuncType) and _is_plain(typedef.shape):
            return self.shape(typedef)
        return identifier(self.name("types", typedef))


def _is_plain(shape: FuncType) -> bool:
    return not any(isinstance(getattr(t, "heap", None), TypeDef) for t in (*shape.params, *shape.results))


def _wish(space: str, item: Any) -> str:
    """What an object would like to be called."""
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

    def datum(self, segment: DataSegment) -> str:
        return _cut(segment.data, lambda data: super(ItemPrinter, self).datum(_with(segment, data)))

    @staticmethod
    def custom(section: CustomSection) -> str:
        """A custom section."""
        return _cut(section.data, lambda data: f'(@custom "{section.name}" ({section.place}) {quoted_bytes(data)})')


def _with(segment: DataSegment, data: bytes) -> DataSegment:
    return replace(segment, data=data)


def _cut(data: bytes | memoryview, show: Any) -> str:
    """A text in which long data is cut; what is not shown is there as a hash."""
    if len(data) <= SHOWN:
        return str(show(bytes(data)))
    rest = f" ;; … of {len(data)} bytes, sha256:{hashlib.sha256(data).hexdigest()[:16]}"
    return str(show(bytes(data[:SHOWN]))) + rest


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
