"""The ``component-name`` custom section: names of a component and of its definitions (Binary.md, name section)."""

from __future__ import annotations

from meld.binary.component.codes import SORT_CODES
from meld.binary.component.pieces import sort
from meld.binary.component.spaces import Spaces
from meld.binary.cursor import Cursor
from meld.binary.leb import name, section, unsigned, vector
from meld.diagnostics import MeldError
from meld.ir.component import Component, Sort

SECTION_NAME = "component-name"
COMPONENT, DEFINITIONS = 0, 1


def read_names(component: Component, spaces: Spaces, c: Cursor) -> None:
    """Takes the names of a name section over. One that is malformed is left out, as that of a core module is."""
    own: str | None = None
    found: list[tuple[Sort, dict[int, str]]] = []
    try:
        while c.more():
            number = c.u8("name subsection")
            sub = c.sub(c.u32("size of a name subsection"), "name subsection")
            if number == COMPONENT:
                own = sub.name("component name")
            elif number == DEFINITIONS:
                of = sort(sub)
                found.append((of, {sub.u32("index"): sub.name("name") for _ in range(sub.count("names"))}))
    except MeldError:
        return
    if own is not None:
        component.name = own
    for of, names in found:
        space = spaces.of(of)
        for index, text in names.items():
            if index < len(space):
                space[index].name = text


def write_names(component: Component, spaces: Spaces) -> bytes:
    """The name section of a component; empty if nothing has a name."""
    payload = b"" if component.name is None else section(COMPONENT, name(component.name))
    for of, code in SORT_CODES.items():
        names = [unsigned(i) + name(item.name) for i, item in enumerate(spaces.of(of)) if item.name is not None]
        if names:
            payload += section(DEFINITIONS, code + vector(names))
    return section(0, name(SECTION_NAME) + payload) if payload else b""
