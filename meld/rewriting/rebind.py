"""Update notes after items have been replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from meld.abi.options import Options
from meld.ir.module import Item, Module


def rebind_notes(module: Module, new: Mapping[Any, Any]) -> None:
    """Replaces core items in all notes of a module and of its items, canonical options included."""

    def rebound(value: Any) -> Any:
        if isinstance(value, Options):
            return replace(value, **{f.name: rebound(getattr(value, f.name)) for f in fields(value)})
        return new.get(value, value) if isinstance(value, Item) else value

    for holder in (*module.notes, *(n for item in module.items() for n in item.notes)):
        for f in fields(holder):
            value = getattr(holder, f.name)
            if isinstance(value, Options | Item):
                setattr(holder, f.name, rebound(value))
