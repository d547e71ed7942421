"""What is being read of a component: the scope that is open, its notes, the place; what every reader does with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from meld.diagnostics import MeldError, Source, Span
from meld.ir import component as c
from meld.ir.component import Definition, ExternName, Sort
from meld.text.grammar.lalr import Token, Tree
from meld.text.reading.component.core import core_types
from meld.text.reading.component.notes import ComponentContext, Head
from meld.text.reading.component.scope import TextScope
from meld.text.reading.notes import is_name, only_name
from meld.text.reading.terminals import Terminals
from meld.text.reading.types import Node, TextTypes

MAX_NESTING = 100
"""How deep components, their types and their value types may nest, taken together, the outermost included."""


class Reading(Terminals):
    """The state that the readers of one text share.

    Attributes:
        scope: the index spaces of the component, or of the type with declarations, that is open.
        notes: its notes.
        place: where the definition begins that is being read.
    """

    def __init__(self, source: Source, name: str | None = None) -> None:
        self.source = source
        self.scope = TextScope(name=name)
        self.notes = ComponentContext.of(source, self.scope)
        super().__init__(self.notes)
        self.depth = 0
        self.place = Span(source, 0, 1)

    @contextmanager
    def nested(self) -> Iterator[None]:
        """One level further in. Raises MeldError beyond `MAX_NESTING`."""
        if self.depth + 1 >= MAX_NESTING:
            raise MeldError(f"nested more than {MAX_NESTING} deep", span=self.place)
        self.depth += 1
        yield
        self.depth -= 1

    @contextmanager
    def inside(self, scope: TextScope) -> Iterator[TextScope]:
        """Reads into another scope for a while; its notes are read at the end."""
        before = self.scope, self.notes, self.place
        scope.place = self.place
        with self.nested():
            self.scope, self.notes = scope, ComponentContext.of(self.source, scope, self.notes)
            yield scope
            self.notes.finish()
        self.scope, self.notes, self.place = before

    def head(self, keyword: Node, nodes: Iterable[Node]) -> Head:
        """The name and the annotations behind a keyword."""
        self.place = self.span(token(keyword))
        head = Head(self.place)
        for node in nodes:
            part = token(node)
            if part.type == "NAME":
                head.key = head.name = self.identifier(part)
                self.place = head.place = Span(self.source, head.place.start, self.span(part).end)
            else:
                head.annotations.append(self.span(part))
        head.name = only_name(head.annotations, head.name)
        head.annotations = [span for span in head.annotations if not is_name(span)]
        return head

    def add(self, item: Definition, head: Head | None = None) -> Definition:
        """Puts a definition into its space, with its name and notes; without a head it has none."""
        item.span = self.place
        if head is not None:
            item.name = head.name
            if head.annotations:
                self.notes.pending.append((item.notes, head.annotations))
        self.scope.define(item, head.key if head else None, self.place)
        return item

    def find(self, sort: Sort, node: Node) -> Definition:
        """The definition to which a name or a number refers."""
        found = token(node)
        return self.scope.find(sort, self.key(found), self.span(found))

    def misplaced(self, node: Tree) -> MeldError:
        """The error of something that stands where it must not."""
        first = next((t for t in node.walk() if isinstance(t, Token)), None)
        span = self.span(first) if first is not None else self.place
        where = "a type" if self.scope.is_type else "this definition"
        return MeldError(f"this does not belong into {where}", span=span)

    def core_reader(self, *trees: Tree) -> TextTypes:
        """A reader of core types."""
        return core_types(self.notes, self.scope, trees)

    def inline_exports(self, item: Definition, nodes: Iterable[Node]) -> None:
        """``(export "a")`` inside a definition: an export at the end of the component."""
        for node in nodes:
            assert isinstance(node, Tree)
            if self.scope.is_type:
                raise self.misplaced(node)
            self.scope.exports.append(c.Export(self.extern_name(node.children[1]), item, span=self.place))

    def extern_name(self, node: Node) -> ExternName:
        """The name of an import or export, with its attributes."""
        assert isinstance(node, Tree)
        name, *attributes = node.children
        found: dict[str, str] = {}
        for attribute in attributes:
            assert isinstance(attribute, Tree)
            keyword, value = (token(part) for part in attribute.children)
            key = "version_suffix" if keyword.type == "VERSION_SUFFIX" else keyword[1:].replace("-", "_")
            if key in found:
                raise self.error(keyword, f"`{keyword}` is given twice")
            found[key] = self.text(value)
        return ExternName(self.text(token(name)), **found)


def token(node: Node) -> Token:
    """A node that the grammar makes a token."""
    assert isinstance(node, Token)
    return node


def trees(nodes: Iterable[Node], rule: str) -> list[Tree]:
    """The nodes of a rule."""
    return [node for node in nodes if isinstance(node, Tree) and node.data == rule]
