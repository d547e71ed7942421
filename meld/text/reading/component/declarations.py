"""Imports, exports and aliases in the text of components; the declarations of component and instance types."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meld.ir import component as c
from meld.ir.component import Definition, ExternType, Sort
from meld.support.records import record
from meld.text.grammar.lalr import Token, Tree
from meld.text.reading.component.reading import Reading, token
from meld.text.reading.component.references import CORE_EXPORT_SORTS, References, sort_of
from meld.text.reading.component.scope import OUTER_SORTS
from meld.text.reading.component.types import TypeReader
from meld.text.reading.types import Node


@record()
class _Desc:
    """A `desc` taken apart: its sort, the name and its annotations, the rest."""

    sort: Sort
    name: list[Node]
    rest: list[Node]
    is_reference: bool = False


class DeclarationReader:
    """Reads the declarations that component and instance types consist of. It has a reader of types, which has it read
    the types that consist of declarations.

    Attributes:
        rules: what reads each kind of declaration.
    """

    def __init__(self, reading: Reading, references: References) -> None:
        self.here = reading
        self.references = references
        self.types = TypeReader(reading, references, self.read)
        self.rules: dict[str, Callable[[list[Node]], None]] = {
            "core_type": self.types.core_type,
            "core_rec": self.types.core_rec,
            "type_definition": self.types.type_definition,
            "alias": self.alias,
            "type_alias": self.inline_alias,
            "import_definition": self.import_definition,
            "export_definition": self.export_declaration,
        }

    def read(self, nodes: Iterable[Node]) -> None:
        """Declarations in order. Raises MeldError at what is none."""
        for node in nodes:
            assert isinstance(node, Tree)
            rule = self.rules.get(node.data)
            if rule is None:
                raise self.here.misplaced(node)
            rule(node.children)

    # --- aliases ---

    def alias(self, nodes: list[Node]) -> None:
        """``(alias export i "name" (func $f))`` and the like."""
        of, target = nodes
        assert isinstance(of, Tree) and isinstance(target, Tree)
        sort, taken = sort_of(target.children)
        head_tree = target.children[taken]
        assert isinstance(head_tree, Tree)
        item = self.alias_of(of, sort)
        self.here.add(item, self.here.head(of.children[0], head_tree.children))

    def inline_alias(self, nodes: list[Node]) -> None:
        """``(func $f (alias export i "name"))``, of any sort."""
        sort, taken = sort_of(nodes)
        head_tree, *exports, of = nodes[taken:]
        assert isinstance(head_tree, Tree) and isinstance(of, Tree)
        item = self.alias_of(of, sort)
        self.here.inline_exports(self.here.add(item, self.here.head(nodes[0], head_tree.children)), exports)

    def alias_of(self, tree: Tree, sort: Sort) -> Definition:
        """The alias, still without a place of its own."""
        keyword, first, second = (token(node) for node in tree.children)
        match tree.data:
            case "alias_export":
                if sort.value.startswith("core ") and sort is not Sort.CORE_MODULE:
                    raise self.here.error(keyword, f"a component instance exports no {sort.value}")
                return c.ExportAlias(self.here.find(Sort.INSTANCE, first), self.here.text(second), sort)
            case "alias_core_export":
                if sort not in CORE_EXPORT_SORTS:
                    raise self.here.error(keyword, f"a core instance exports no {sort.value}")
                return c.CoreExportAlias(self.here.find(Sort.CORE_INSTANCE, first), self.here.text(second), sort)
            case "alias_outer":
                if sort not in OUTER_SORTS:
                    raise self.here.error(keyword, f"an outer alias cannot refer to a {sort.value}")
                name = self.here.key(second)
                scope, depth = self.here.scope.enclosing(self.here.key(first), sort, name, self.here.span(first))
                return c.OuterAlias(scope.get(sort, name, self.here.span(second)), depth, sort)
            case other:
                raise AssertionError(other)

    # --- imports and exports ---

    def import_definition(self, nodes: list[Node]) -> None:
        """``(import "name" (func $f …))``."""
        _, name, declared = nodes
        assert isinstance(declared, Tree)
        extern = self.here.extern_name(name)
        sort, taken = sort_of(declared.children)
        head_tree, *rest = declared.children[taken:]
        assert isinstance(head_tree, Tree)
        head = self.here.head(declared.children[0], head_tree.children)
        place = self.here.place
        t = self.types.extern_type(sort, rest)
        self.here.place = place
        self.here.add(c.Import(extern, t), head)

    def export_declaration(self, nodes: list[Node]) -> None:
        """``(export "name" (func …))`` in a type."""
        keyword, *parts = nodes
        tokens = [node for node in parts if isinstance(node, Token)]
        name, desc, *more = (node for node in parts if isinstance(node, Tree))
        if more:
            raise self.here.misplaced(more[0])
        self.here.place = self.here.span(token(keyword))
        extern = self.here.extern_name(name)
        t, named = self.described_type(desc)
        self.here.add(c.ExportDecl(extern, t), self.here.head(keyword, [*tokens, *named]))

    def split(self, desc: Tree) -> _Desc:
        """Takes a `desc` apart. A value's name or number can be a reference and a type; it counts as a reference."""
        sort, taken = sort_of(desc.children)
        rest = desc.children[taken:]
        if not rest or not isinstance(rest[0], Token) or rest[0].type not in ("NAME", "NUMBER"):
            return _Desc(sort, [], rest)
        if all(isinstance(node, Token) and node.type == "STRING" for node in rest[1:]):
            return _Desc(sort, rest[:1], rest[1:], is_reference=True)
        count = 1 + sum(isinstance(node, Token) and node.type == "ANNOTATION" for node in rest)
        return _Desc(sort, rest[:count], rest[count:])

    def described(self, desc: Tree) -> Definition:
        """The definition to which a `desc` refers."""
        found = self.split(desc)
        if not found.is_reference:
            raise self.here.error(
                token(desc.children[0]), f"expected a reference to a {found.sort.value}, found a type"
            )
        return self.references.through(found.sort, found.name[0], found.rest)

    def described_type(self, desc: Tree) -> tuple[ExternType, list[Node]]:
        """The type that a `desc` is; and the name, with its annotations, that it gives to what is of that type."""
        found = self.split(desc)
        if found.is_reference and found.sort is Sort.VALUE and not found.rest:
            return self.types.extern_type(found.sort, found.name), []
        if found.is_reference:
            what = f"expected the type of a {found.sort.value}, found a reference"
            raise self.here.error(token(desc.children[0]), what)
        return self.types.extern_type(found.sort, found.rest), found.name
