"""Indices: what the encoder and the printer call the objects of a module."""

from __future__ import annotations

from typing import Any

from meld.diagnostics import MeldError
from meld.ir.instructions import IndexSpaces
from meld.ir.module import SPACE_OF, Module
from meld.ir.types import TypeDef

SINGULAR = {
    "types": "type",
    "functions": "function",
    "tables": "table",
    "memories": "memory",
    "globals": "global",
    "tags": "tag",
    "elements": "element segment",
    "datas": "data segment",
}


class Numbering:
    """The index of each object of a module, per index space."""

    def __init__(self, module: Module) -> None:
        self.indices: dict[str, dict[Any, int]] = {
            space: {item: i for i, item in enumerate(module.space(space))} for space in IndexSpaces.SPACES
        }
        self._maps: dict[tuple[int, str], list[int]] = {}

    def index(self, space: str, item: Any) -> int:
        """The index of an object. MeldError if it is not in the module."""
        try:
            return self.indices[space][item]
        except KeyError:
            name = getattr(item, "name", None)
            raise MeldError(
                f"the {SINGULAR[space]} {f'`{name}`' if name else '(unnamed)'} is used and is not in the module",
                hint="a pass removed it, or never added it",
            ) from None

    def type(self, typedef: TypeDef) -> int:
        """The index of a type definition."""
        return self.index("types", typedef)

    def of_item(self, item: Any) -> int:
        """The index of an item, in the space of its kind."""
        return self.index(SPACE_OF[type(item)], item)

    def map_of(self, scope: IndexSpaces, space: str) -> list[int]:
        """For each index of a scope the index in the module; −1 where the object is not in it."""
        key = (id(scope), space)
        found = self._maps.get(key)
        if found is None:
            indices = self.indices[space]
            found = self._maps[key] = [indices.get(item, -1) for item in getattr(scope, space)]
        return found
