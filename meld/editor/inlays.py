"""Types that an editor shows between the words of a text: of locals, globals and functions where they are used."""

from __future__ import annotations

from collections.abc import Iterator

from meld.editor.index import Index, Use, name_of
from meld.editor.variables import Variable
from meld.ir.describe import item_type, signature, type_name
from meld.ir.module import Function, Global, Tag
from meld.ir.types import FuncType, TypeDef
from meld.support.records import record


@record(frozen=True)
class Inlay:
    """A text that is shown behind a place."""

    place: int
    text: str


def inlays(index: Index, start: int, end: int) -> Iterator[Inlay]:
    """Those of a stretch: behind each use the type; behind a number also the name of what it means."""
    for use in index.within(start, end):
        if use.definition:
            continue
        shown = [part for part in (_name(index, use), _type(index, use)) if part]
        if shown:
            yield Inlay(use.span.end, ": ".join(shown) if len(shown) > 1 or shown[0][0] == "$" else f": {shown[0]}")


def _name(index: Index, use: Use) -> str | None:
    if not index.source.text[use.span.start].isdigit():
        return None
    name = name_of(use.target)
    return name if name.startswith("$") else None


def _type(index: Index, use: Use) -> str | None:
    match use.target:
        case Variable(kind="local", type=type) if type is not None:
            return type_name(type)
        case Function() | Global() | Tag() as item:
            return item_type(item)
        case TypeDef(shape=FuncType() as shape) if not _written_out(index, use):
            return signature(shape)
    return None


def _written_out(index: Index, use: Use) -> bool:
    """Whether parameters or results stand behind a type use, or it stands in a definition of types."""
    around = index.tree.around(use.span.start)
    if not around or around[0].keyword != "type":
        return True
    rest = index.source.text[around[0].end : around[0].end + 40].lstrip()
    return rest.startswith(("(param", "(result"))
