"""Index spaces of a component, or of a component or instance type, while it is read or written."""

from __future__ import annotations

from collections.abc import Iterator

from meld.binary.component.codes import MAX_NESTING
from meld.binary.coretypes import CoreTypeReader
from meld.binary.cursor import Cursor
from meld.diagnostics import MeldError
from meld.ir.component import (
    CoreType,
    Definition,
    Export,
    ExportDecl,
    ExternName,
    Import,
    OuterAlias,
    Sort,
    StartDefinition,
    TypeDefinition,
)
from meld.ir.types import FuncType, TypeDef

NOT_A_CORE_TYPE = TypeDef(FuncType())
"""Stands in the list of core types where the core type index space has a module type."""


class Spaces:
    """The definitions so far, by sort. An enclosing component or type is the `parent`.

    Attributes:
        depth: how many spaces enclose this one.
        core_types: parallel to the core type index space, what core types that refer to it mean.
    """

    def __init__(self, parent: Spaces | None = None) -> None:
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.core_types: list[TypeDef] = []
        self._items: dict[Sort, list[Definition]] = {sort: [] for sort in Sort}
        self._indices: dict[Definition, int] = {}
        self._type_indices: dict[TypeDef, int] = {}

    def define(self, item: Definition) -> None:
        """Gives a definition the next index of its sort."""
        if isinstance(item, StartDefinition):
            for result in item.results:
                self.define(result)
            return
        sort = item.sort
        if sort is None:
            return
        if sort is Sort.CORE_TYPE:
            index = len(self._items[sort])
            if index == len(self.core_types):  # the reader of a recursion group has added its types already
                self.core_types.append(self.meaning(item))
            self._type_indices.setdefault(self.core_types[index], index)
        self._indices[item] = len(self._items[sort])
        self._items[sort].append(item)

    def meaning(self, item: Definition) -> TypeDef:
        """The core type that a definition of sort CORE_TYPE stands for; `NOT_A_CORE_TYPE` for a module type."""
        if isinstance(item, OuterAlias):
            for spaces in self.enclosing():
                index = spaces._indices.get(item.target)
                if index is not None:
                    return spaces.core_types[index]
        return item.type if isinstance(item, CoreType) and isinstance(item.type, TypeDef) else NOT_A_CORE_TYPE

    def of(self, sort: Sort) -> list[Definition]:
        """The index space of a sort."""
        return self._items[sort]

    def enclosing(self) -> Iterator[Spaces]:
        """These spaces, then those around them, outwards."""
        spaces: Spaces | None = self
        while spaces is not None:
            yield spaces
            spaces = spaces.parent

    def holds(self, item: Definition) -> bool:
        """Whether a definition stands here (not in an enclosing space)."""
        return item in self._indices

    def index(self, item: Definition) -> int:
        """The index of a definition. MeldError if it does not stand here, or not yet."""
        found = self._indices.get(item)
        if found is None:
            raise MeldError(
                f"the {describe(item)} is used where it is not defined",
                hint="a definition refers to earlier ones of its own component; others come in by an outer alias",
            )
        return found

    def type_index(self, typedef: TypeDef) -> int:
        """The index of a core type. MeldError if it does not stand here."""
        found = self._type_indices.get(typedef)
        if found is None:
            name = f"`{typedef.name}`" if typedef.name else "(unnamed)"
            raise MeldError(
                f"the core type {name} is used where it is not defined",
                hint="define it before, or bring it in by an outer alias",
            )
        return found


def describe(item: Definition) -> str:
    """A definition in words: its sort, and its name or that of its import or export."""
    kind = item.sort.value if item.sort else type(item).__name__.lower()
    if item.name is not None:
        return f"{kind} ${item.name}"
    extern: ExternName | None = item.extern if isinstance(item, Import | Export | ExportDecl) else None
    return f'{kind} "{extern}"' if extern else f"{kind} (unnamed)"


class ScopedTypes(CoreTypeReader):
    """Reads core types inside a component, where an index may also be that of a module type."""

    def _at(self, c: Cursor, index: int, at: int) -> TypeDef:
        typedef = super()._at(c, index, at)
        if typedef is NOT_A_CORE_TYPE:
            raise c.error(f"type {index} is not a core type that others can refer to", at)
        return typedef


def type_of(item: Definition) -> object:
    """What a definition of sort TYPE is, if that can be told without looking into instances; else None."""
    for _ in range(MAX_NESTING):  # a chain of exports may be as long as the component: then it is not followed
        match item:
            case OuterAlias(target=target) | Export(target=target):
                item = target
            case TypeDefinition(type=t):
                return t
            case Import(type=extern) | ExportDecl(type=extern):
                if not isinstance(extern.type, Definition):
                    return None
                item = extern.type
            case _:
                break
    return None
