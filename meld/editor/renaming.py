"""Renaming: every place that names a thing, if the new name changes nothing else."""

from __future__ import annotations

from meld.diagnostics import MeldError, Span
from meld.editor.index import Index, Use, index_text
from meld.text.literals import identifier, identifier_name


def renamable(index: Index, offset: int) -> Use | None:
    """The use at a place, if a name stands there."""
    use = index.at(offset)
    return use if use is not None and index.source.text.startswith("$", use.span.start) else None


def rename(index: Index, use: Use, new_name: str) -> tuple[str, list[Span]]:
    """The name as it is written, and the places where it is to stand.

    Raises:
        MeldError: the text cannot be read, the name is empty, or something else would be meant somewhere afterwards.
    """
    text = index.source.text
    name = identifier_name(new_name) if new_name.startswith("$") else new_name
    if not name:
        raise MeldError("a name has at least one character behind `$`")
    if index.program is None:
        raise MeldError("the errors of the text have to be mended first: what a name refers to is not known")
    written = identifier(name)
    places = [each.span for each in index.of(use.target) if text.startswith("$", each.span.start)]
    old = text[use.span.start : use.span.end]
    if identifier_name(old) != name:
        pieces, at = [], 0
        for span in places:
            pieces += [text[at : span.start], written]
            at = span.end
        after = index_text("".join([*pieces, text[at:]]), index.source.name)
        if len(after.errors) > len(index.errors) or _meanings(after) != _meanings(index):
            raise MeldError(f"with the name `{written}` something else would be meant here")
    return written, places


def _meanings(index: Index) -> list[int]:
    """For each use, in the order of the text, the number of the first that means the same."""
    first: dict[int, int] = {}
    return [first.setdefault(id(use.target), number) for number, use in enumerate(index.uses)]
