"""The parts of a program, as a journal tells them apart: which there are, what they are called, what their text is.

Parts are recognized by identity: the same object is the same part, whatever its name or place. Exports, custom sections
and most notes have no identity, and are recognized by their text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.component import Component
from meld.ir.module import KEYWORD_OF, SPACE_OF, Item
from meld.ir.notes import Note
from meld.journal import Symbol
from meld.observers.texts import KINDS, ItemPrinter, StableNames, definition_name
from meld.passes.base import Program
from meld.text.literals import quoted


def parts_of(program: Program, names: StableNames, known: Container[Any] = ()) -> list[tuple[Any, Any]]:
    """(key, part) for every part of a program: the key is the part itself, or kind and text of one without identity.

    Each part that is not `known` gets a name.
    """
    seen: Counter[Any] = Counter()

    def numbered(kind: str, text: str) -> tuple[str, str]:
        """A key for what has no identity; equal ones are told apart by their order."""
        seen[kind, text] += 1
        return (kind, text) if seen[kind, text] == 1 else (kind, f"{text}#{seen[kind, text]}")

    if isinstance(program, Component):
        return [(item, item) for item in program.definitions]
    items = [*program.items(), *program.elements, *program.datas]
    for item in [item for item in items if item not in known]:
        names.name(space_of(item), item)
    found: list[tuple[Any, Any]] = list(zip(items, items, strict=True))
    found += [(numbered("export", export.name), export) for export in program.exports]
    if program.start is not None:
        found.append((("start", "start"), program.start))
    for note in program.notes:
        found.append((note if note.declares else numbered("note", names.known_note(note)), note))
    found += [(numbered("custom", section.name), section) for section in program.customs]
    return found


def symbol_of(key: Any, part: Any, names: StableNames) -> Symbol:
    """A symbol for a part, with a name that nothing else has."""
    if isinstance(part, Item):
        kind = KEYWORD_OF.get(type(part)) or KINDS[space_of(part)]
        symbol = Symbol(kind, names.name(space_of(part), part), synthetic=part.synthetic)
        if part.owner is not None and part.origin is not None:
            index, core = part.origin
            symbol.origin = f"{part.owner.name} {index}" + (f" (module {core})" if core else "")
        if part.imported is not None:
            symbol.imported = str(part.imported)
        return symbol
    if isinstance(part, Note):
        return Symbol("note", names.name("note", part))
    kind, wish = key if isinstance(key, tuple) else ("definition", definition_name(part))
    return Symbol(kind, names.give(kind, wish))


def text_of(key: Any, part: Any, show: ItemPrinter) -> str:
    """The text of a part; a comment that says why if it cannot be printed."""
    kind = key[0] if isinstance(key, tuple) else None
    if isinstance(part, Note):
        return show.names.note(part)
    try:
        match kind:
            case None if part.imported is not None:
                return show.import_(part)
            case None:
                return "\n".join(show.item(part))
            case "export":
                return show.export(part)
            case "start":
                return f"(start {show.names.ref('functions', part)})"
            case _:
                return show.custom(part)
    except MeldError as e:  # a journal is kept of broken programs too
        return f";; {quoted(e.message)}"


def space_of(item: Any) -> str:
    """The index space of an item or segment."""
    found = SPACE_OF.get(type(item))
    if found is None:
        found = "elements" if hasattr(item, "functions") else "datas"
    return found
