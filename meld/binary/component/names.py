"""The ``component-name`` custom section: names of a component and of its definitions (Binary.md, name section)."""

from __future__ import annotations

from collections.abc import Callable

from meld.binary.component.codes import SORT_CODES
from meld.binary.component.pieces import sort
from meld.binary.component.spaces import Spaces
from meld.binary.cursor import Cursor
from meld.binary.leb import name, section, unsigned, vector
from meld.binary.names import name_map, take_each, written_with
from meld.ir.component import Component, Custom, Definition, Sort

SECTION_NAME = "component-name"
COMPONENT, DEFINITIONS = 0, 1


def read_names(component: Component, space_of: Callable[[Sort], list[Definition]], c: Cursor) -> bytes:
    """Takes over the names in a name section.

    A name for what is not there is left out.

    Returns:
        The subsections that are not understood, unknown, malformed or cut short, as they are.
    """

    def take(number: int, sub: Cursor) -> None:
        if number == COMPONENT:
            component.name = sub.name("component name")
        elif number == DEFINITIONS:
            space = space_of(sort(sub))
            for index, text in name_map(sub).items():
                if index < len(space):
                    space[index].name = text
        else:
            raise KeyError(number)

    return take_each(c, take)


def take_names(component: Component) -> None:
    """Takes over the names in custom sections called ``component-name``; what is not known of them stays."""
    for item in [item for item in component.of(Custom) if item.section.name == SECTION_NAME]:
        item.section.data = read_names(component, component.space, Cursor(item.section.data))
        if not item.section.data:
            component.definitions.remove(item)


def write_names(component: Component, spaces: Spaces) -> bytes:
    """The name section of a component, with the subsections that are carried; empty if nothing has a name."""
    payload = b"" if component.name is None else section(COMPONENT, name(component.name))
    for of, code in SORT_CODES.items():
        names = [unsigned(i) + name(item.name) for i, item in enumerate(spaces.of(of)) if item.name is not None]
        if names:
            payload += section(DEFINITIONS, code + vector(names))
    return written_with(SECTION_NAME, payload, (item.section for item in component.of(Custom)))
