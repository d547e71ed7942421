"""Imports, exports and aliases in the text of components, and references with aliases in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meld.diagnostics import Source
from meld.ir import component as c
from meld.ir.component import Definition, ExternType, Sort, TypeDefinition
from meld.support.records import record
from meld.text.grammar.lalr import Token, Tree
from meld.text.reading.component.core import module_type
from meld.text.reading.component.scope import OUTER_SORTS
from meld.text.reading.component.types import TypeReader, token, trees
from meld.text.reading.types import Node

_TYPE_OF = {
    Sort.FUNC: (c.CompFuncType, "a function type"),
    Sort.COMPONENT: (c.ComponentType, "a component type"),
    Sort.INSTANCE: (c.InstanceType, "an instance type"),
}
CORE_EXPORT_SORTS = frozenset((Sort.CORE_FUNC, Sort.CORE_TABLE, Sort.CORE_MEMORY, Sort.CORE_GLOBAL, Sort.CORE_TAG))
"""What a core instance exports."""


@record()
class _Desc:
    """A `desc` taken apart: its sort, the name and its annotations, the rest."""

    sort: Sort
    name: list[Node]
    rest: list[Node]
    is_reference: bool = False


class DeclarationReader(TypeReader):
    """Reads the declarations that component and instance types consist of."""

    def __init__(self, source: Source, name: str | None = None) -> None:
        super().__init__(source, name)
        self.rules |= {
            "alias": self.alias,
            "type_alias": self.inline_alias,
            "import_definition": self.import_definition,
            "export_definition": self.export_declaration,
        }

    # --- references ---

    def sort_of(self, nodes: Sequence[Node]) -> tuple[Sort, int]:
        """The sort that one keyword or two say, and how many there are."""
        first = token(nodes[0])
        if first.type != "CORE":
            return Sort(first[1:]), 1
        return Sort(f"core {token(nodes[1])}"), 2

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
            raise self.error(token(first), f"expected a {sort.value}, found a {keyword}")
        target, *inner = rest
        return self.through(sort, target, [*inner, *strings])

    def through(self, sort: Sort, node: Node, strings: Iterable[Node]) -> Definition:
        """What a name means, or what the instance that it means exports under one string after the other."""
        labels = [self.text(token(string)) for string in strings]
        if not labels:
            return self.find(sort, node)
        core = sort in CORE_EXPORT_SORTS
        if core and len(labels) > 1:
            raise self.error(token(node), "a core instance exports no instances: one name is enough")
        item = self.find(Sort.CORE_INSTANCE if core else Sort.INSTANCE, node)
        for label in labels[:-1]:
            item = self.add(c.ExportAlias(item, label, Sort.INSTANCE))
        if core:
            return self.add(c.CoreExportAlias(item, labels[-1], sort))
        if sort not in (*_TYPE_OF, Sort.CORE_MODULE, Sort.TYPE, Sort.VALUE):
            raise self.error(token(node), f"an instance exports no {sort.value}")
        return self.add(c.ExportAlias(item, labels[-1], sort))

    # --- aliases ---

    def alias(self, nodes: list[Node]) -> None:
        """``(alias export i "name" (func $f))`` and the like."""
        of, target = nodes
        assert isinstance(of, Tree) and isinstance(target, Tree)
        sort, taken = self.sort_of(target.children)
        head_tree = target.children[taken]
        assert isinstance(head_tree, Tree)
        item = self.alias_of(of, sort)
        self.add(item, self.head(of.children[0], head_tree.children))

    def inline_alias(self, nodes: list[Node]) -> None:
        """``(func $f (alias export i "name"))``, of any sort."""
        sort, taken = self.sort_of(nodes)
        head_tree, *exports, of = nodes[taken:]
        assert isinstance(head_tree, Tree) and isinstance(of, Tree)
        item = self.alias_of(of, sort)
        self.inline_exports(self.add(item, self.head(nodes[0], head_tree.children)), exports)

    def alias_of(self, tree: Tree, sort: Sort) -> Definition:
        """The alias, still without a place of its own."""
        keyword, first, second = (token(node) for node in tree.children)
        match tree.data:
            case "alias_export":
                if sort.value.startswith("core ") and sort is not Sort.CORE_MODULE:
                    raise self.error(keyword, f"a component instance exports no {sort.value}")
                return c.ExportAlias(self.find(Sort.INSTANCE, first), self.text(second), sort)
            case "alias_core_export":
                if sort not in CORE_EXPORT_SORTS:
                    raise self.error(keyword, f"a core instance exports no {sort.value}")
                return c.CoreExportAlias(self.find(Sort.CORE_INSTANCE, first), self.text(second), sort)
            case "alias_outer":
                if sort not in OUTER_SORTS:
                    raise self.error(keyword, f"an outer alias cannot refer to a {sort.value}")
                name = self.key(second)
                scope, depth = self.here.enclosing(self.key(first), sort, name, self.span(first))
                return c.OuterAlias(scope.get(sort, name, self.span(second)), depth, sort)
            case other:
                raise AssertionError(other)

    # --- imports and exports ---

    def import_definition(self, nodes: list[Node]) -> None:
        """``(import "name" (func $f …))``."""
        _, name, declared = nodes
        assert isinstance(declared, Tree)
        extern = self.extern_name(name)
        sort, taken = self.sort_of(declared.children)
        head_tree, *rest = declared.children[taken:]
        assert isinstance(head_tree, Tree)
        head = self.head(declared.children[0], head_tree.children)
        place = self.place
        t = self.extern_type(sort, rest)
        self.place = place
        self.add(c.Import(extern, t), head)

    def export_declaration(self, nodes: list[Node]) -> None:
        """``(export "name" (func …))`` in a type."""
        keyword, *parts = nodes
        tokens = [node for node in parts if isinstance(node, Token)]
        name, desc, *more = (node for node in parts if isinstance(node, Tree))
        if more:
            raise self.misplaced(more[0])
        self.place = self.span(token(keyword))
        extern = self.extern_name(name)
        t, named = self.described_type(desc)
        self.add(c.ExportDecl(extern, t), self.head(keyword, [*tokens, *named]))

    def split(self, desc: Tree) -> _Desc:
        """Takes a `desc` apart. A value's name or number can be a reference and a type; it counts as a reference."""
        sort, taken = self.sort_of(desc.children)
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
            raise self.error(token(desc.children[0]), f"expected a reference to a {found.sort.value}, found a type")
        return self.through(found.sort, found.name[0], found.rest)

    def described_type(self, desc: Tree) -> tuple[ExternType, list[Node]]:
        """The type that a `desc` is; and the name, with its annotations, that it gives to what is of that type."""
        found = self.split(desc)
        if found.is_reference and found.sort is Sort.VALUE and not found.rest:
            return self.extern_type(found.sort, found.name), []
        if found.is_reference:
            what = f"expected the type of a {found.sort.value}, found a reference"
            raise self.error(token(desc.children[0]), what)
        return self.extern_type(found.sort, found.rest), found.name

    def extern_type(self, sort: Sort, nodes: list[Node]) -> ExternType:
        """The type of an import or export of a sort; what is written out becomes a definition."""
        match sort, nodes:
            case Sort.VALUE, [Tree(data="value_equals") as tree]:
                return ExternType(sort, eq_value=self.find(Sort.VALUE, tree.children[0]))
            case Sort.VALUE, [node]:
                return ExternType(sort, self.value_type(node))
            case Sort.TYPE, [Tree(data="sub_resource")]:
                return ExternType(sort)
            case Sort.TYPE, [Tree(data="type_equals") as tree]:
                return ExternType(sort, self.find(Sort.TYPE, tree.children[0]))
            case Sort.CORE_MODULE, [Tree(data="type_index") as tree]:
                return ExternType(sort, self.find(Sort.CORE_TYPE, tree.children[0]))
            case Sort.CORE_MODULE, _:
                body: Tree = Tree("module_type", list(nodes))
                return ExternType(sort, self.add(c.CoreType(module_type(self.notes, self.here, body))))
            case ((Sort.FUNC | Sort.COMPONENT | Sort.INSTANCE), _):
                return ExternType(sort, self.type_use(sort, nodes))
        raise AssertionError(sort)

    def type_use(self, sort: Sort, nodes: list[Node]) -> Definition:
        """The type of a function, component or instance: the one named, or what is written out."""
        kind, what = _TYPE_OF[sort]
        if uses := trees(nodes, "type_index"):
            found = self.find(Sort.TYPE, uses[0].children[0])
            if isinstance(found, TypeDefinition) and not isinstance(found.type, kind):
                raise self.error(token(uses[0].children[0]), f"expected {what}")
            return found
        match sort:
            case Sort.FUNC:
                (signature,) = trees(nodes, "signature")
                return self.add(TypeDefinition(self.func_type(signature)))
            case Sort.COMPONENT:
                return self.add(TypeDefinition(c.ComponentType(self.declarations(nodes))))
            case _:
                return self.add(TypeDefinition(self.instance_type(nodes)))
