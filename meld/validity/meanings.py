"""What the definitions of a component mean, as far as they were gone through, and the scope in which they stand."""

from __future__ import annotations

from typing import Any

from meld.diagnostics import MeldError
from meld.ir.component import Definition, Prim
from meld.validity.entities import Defined, Entity, Res, Value, describe
from meld.validity.subtyping import Known

COMPONENT, COMPONENT_TYPE, INSTANCE_TYPE = "component", "component type", "instance type"


class ComponentState:
    """What stands in a component, or in a type with declarations, so far."""

    def __init__(self, kind: str, parent: ComponentState | None) -> None:
        self.kind = kind
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 1
        self.imports: dict[str, Entity] = {}
        self.exports: dict[str, Entity] = {}
        self.keys: dict[str, dict[tuple[str, str], str]] = {"import": {}, "export": {}}
        self.named: dict[str, set[Any]] = {"import": set(), "export": set()}  # types that others may refer to
        self.resources: dict[str, dict[Res, str]] = {"import": {}, "export": {}}  # their names, for methods
        self.imported: dict[int, tuple[str, ...]] = {}
        self.defined: dict[int, Any] = {}  # resources of its own, with the representation if that is known
        self.explicit: dict[int, tuple[str, ...]] = {}
        self.values: dict[Definition, bool] = {}  # whether each was used
        self.started = False
        self.is_closed = True  # nothing in it refers to what is around it
        self.size = 0  # parts of what it imports and exports, written out
        self.slot: Any = None  # the type of what `context.get` gives


class Meanings:
    """The meaning of each definition: a type, the type of an item, or a core item; and the scope that is open.

    Attributes:
        known: which types were found to fit which.
    """

    def __init__(self) -> None:
        self.meaning: dict[Definition, Any] = {}
        self.scope = ComponentState(COMPONENT, None)
        self.known = Known()

    def values(self, t: Any) -> Value:
        """A value type, resolved."""
        if type(t) is Prim:
            return t
        found = self.meaning[t]
        if type(found) is not Defined:
            raise MeldError(f"a value type is wanted here, not {describe(found)}")
        return found

    def a(self, kind: type[Any], item: Any, what: str) -> Any:
        """The meaning of a definition, which has to be of a kind."""
        found = self.meaning[item]
        if type(found) is not kind:
            raise MeldError(f"{what} is wanted here, not {describe(found)}")
        return found
