"""References in the text of components: by name, by number, or through the exports of instances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meld.ir import component as c
from meld.ir.component import Definition, Sort
from meld.text.grammar.lalr import Token
from meld.text.reading.component.reading import Reading, token
from meld.text.reading.types import Node

CORE_EXPORT_SORTS = frozenset((Sort.CORE_FUNC, Sort.CORE_TABLE, Sort.CORE_MEMORY, Sort.CORE_GLOBAL, Sort.CORE_TAG))
"""What a core instance exports."""
EXPORT_SORTS = frozenset((Sort.FUNC, Sort.COMPONENT, Sort.INSTANCE, Sort.CORE_MODULE, Sort.TYPE, Sort.VALUE))
"""What a component instance exports."""


class References:
    """Reads references. An alias in place becomes a definition without a name, in front of what uses it."""

    def __init__(self, reading: Reading) -> None:
        self.here = reading

    def reference(self, sort: Sort, node: Node, strings: Iterable[Node] = ()) -> Definition:
        """A reference to a definition of a sort, by name or number or, with the sort in front, in parentheses.

        With strings behind, an export of the instance that the name means: an alias without a name of its own.
        """
        if isinstance(node, Token):
            return self.through(sort, node, strings)
        first, *rest = node.children
        keyword = token(first)[1:]
        if keyword == "core":
            word, *rest = rest
            keyword = f"core {word}"
        if keyword not in (sort.value, sort.value.removeprefix("core ")):
            raise self.here.error(token(first), f"expected a {sort.value}, found a {keyword}")
        target, *inner = rest
        return self.through(sort, target, [*inner, *strings])

    def through(self, sort: Sort, node: Node, strings: Iterable[Node]) -> Definition:
        """What a name means, or what the instance that it means exports under one string after the other."""
        labels = [self.here.text(token(string)) for string in strings]
        if not labels:
            return self.here.find(sort, node)
        core = sort in CORE_EXPORT_SORTS
        if core and len(labels) > 1:
            raise self.here.error(token(node), "a core instance exports no instances: one name is enough")
        item = self.here.find(Sort.CORE_INSTANCE if core else Sort.INSTANCE, node)
        for label in labels[:-1]:
            item = self.here.add(c.ExportAlias(item, label, Sort.INSTANCE))
        if core:
            return self.here.add(c.CoreExportAlias(item, labels[-1], sort))
        if sort not in EXPORT_SORTS:
            raise self.here.error(token(node), f"an instance exports no {sort.value}")
        return self.here.add(c.ExportAlias(item, labels[-1], sort))


def sort_of(nodes: Sequence[Node]) -> tuple[Sort, int]:
    """The sort that one keyword or two say, and how many there are."""
    first = token(nodes[0])
    if first.type != "CORE":
        return Sort(first[1:]), 1
    return Sort(f"core {token(nodes[1])}"), 2
