"""What is said of something when one points at it: its type, where it comes from, what notes say.

Names and notes are of a program. Whatever stands in them, they end no code of the Markdown, and so are no links or
pictures, which an editor would fetch.
"""

from __future__ import annotations

import re
from typing import Any

from meld.editor.index import Index, kind_of, name_of
from meld.editor.operands import shape_of
from meld.editor.scan import word_at
from meld.editor.signatures import addresses_of
from meld.editor.variables import Variable
from meld.ir.describe import item_type, signature, type_name
from meld.ir.module import DataSegment, ElementSegment, Function, Item
from meld.ir.notes import Instance, Note, Opaque
from meld.ir.types import FuncType, TypeDef
from meld.support.terminal import harmless
from meld.text.literals import identifier

MAX_LINES = 12
"""Lines of text that are shown of a definition."""


def hover(index: Index, offset: int) -> str | None:
    """What is said of the word at a place, in Markdown; None if there is nothing to say."""
    use = index.at(offset)
    if use is None:
        return _instruction(index, offset)
    target = use.target
    parts = [_block(head(index, target)), *(f"- {line}" for line in facts(target))]
    uses = sum(1 for each in index.of(target) if not each.definition)
    return "\n".join([*parts, f"- used {'once' if uses == 1 else f'{uses} times'} here" if uses else "- not used here"])


def _instruction(index: Index, offset: int) -> str | None:
    """What is said of an instruction: its operands and results."""
    word = word_at(index.source.text, offset)
    if word is None:
        return None
    start = index.source.text.rfind(word, 0, offset + len(word))
    addresses = addresses_of(index, word, start, len(index.source.text))
    shape = shape_of(word, addresses[0], addresses[-1])
    return None if shape is None else _block(f"{word}: {signature(shape)}")


def _fence(text: str, least: int) -> str:
    """A row of backticks that a text does not have."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def _code(text: str) -> str:
    """A text as code in a line."""
    line = " ".join(harmless(text).split("\n"))
    fence = _fence(line, 1)
    room = " " if line[:1] in ("`", " ") or line[-1:] in ("`", " ") else ""
    return f"{fence}{room}{line}{room}{fence}"


def _block(text: str) -> str:
    """A text as a block of code."""
    shown = harmless(text)
    fence = _fence(shown, 3)
    return f"{fence}wat\n{shown}\n{fence}"


def head(index: Index, target: Any) -> str:
    """The definition in short: with its type if it has one, else as it is written."""
    match target:
        case Variable(kind="local", name=name, type=type):
            return f"local {name}" if type is None else f"local {name}: {type_name(type)}"
        case Variable(kind=kind, name=name, block=block):
            return f"{kind} {name} of this `{block}`"
        case TypeDef(shape=FuncType() as shape):
            return f"type {name_of(target)}: {signature(shape)}"
        case ElementSegment() | DataSegment() | TypeDef():
            return _text(index, target)
        case Item():
            return f"{kind_of(target)} {name_of(target)}: {item_type(target)}"  # type: ignore[arg-type]
    return _text(index, target)


def _text(index: Index, target: Any) -> str:
    if target.span is None:
        return f"{kind_of(target)} {name_of(target)}"
    whole = index.whole(target.span)
    lines = index.source.text[whole.start : whole.end].split("\n")
    return "\n".join(lines[:MAX_LINES] + ["…"] * (len(lines) > MAX_LINES))


def facts(target: Any) -> list[str]:
    """What there is to know besides the type: where an item comes from, and what is noted on it."""
    found: list[str] = []
    if isinstance(target, Item):
        if target.imported is not None:
            found.append(f"imported as {_code(str(target.imported))}")
        found += _origin(target)
    if isinstance(target, Instance) and target.path:
        found.append(f"stands at {_code(target.path)} in the composition")
    found += [f"noted: {_noted(note)}" for note in getattr(target, "notes", None) or ()]
    return found


def _origin(item: Item) -> list[str]:
    kind = "function" if isinstance(item, Function) else "item"
    if item.synthetic is not None:
        made = f"made by the compiler: {_code(item.synthetic)}"
        return [made if item.owner is None else f"{made}, for the instance {_named(item.owner)}"]
    if item.owner is None:
        return []
    if item.origin is None:
        return [f"belongs to the instance {_named(item.owner)}"]
    index, module = item.origin
    core = f" of its core module {module}" if module else ""
    return [f"comes from the instance {_named(item.owner)}: {kind} {index}{core}"]


def _named(note: Note) -> str:
    return _code(identifier(note.name)) if note.name else "without a name"


def _noted(note: Note) -> str:
    label = note.label if isinstance(note, Opaque) else f"meld.{note.tag}"
    if note.span is None:
        return _code(f"@{label}")
    text = " ".join(note.span.source.text[note.span.start : note.span.end].split())
    return _code(text if len(text) <= 200 else text[:200] + "…")
