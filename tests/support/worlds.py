"""Whether two components have the same world, by our rules of subtyping."""

from __future__ import annotations

from meld.files import decode
from meld.ir.component import Component, NestedComponent
from meld.validity.components import Validator
from meld.validity.core_items import Mismatch
from meld.validity.subtyping import Fitting


def difference(*programs: bytes) -> str | None:
    """Why one of two components cannot stand for the other, either way; None if their types are equal."""
    nested = []
    for data in programs:
        component = decode(data, "component")
        assert isinstance(component, Component)
        nested.append(NestedComponent(component))
    validator = Validator()
    validator.component(Component(list(nested)))
    one, other = (validator.meaning[item] for item in nested)
    for given, wanted in ((one, other), (other, one)):
        try:
            Fitting(validator.known).type(given, wanted)
        except Mismatch as e:
            return str(e)
    return None
