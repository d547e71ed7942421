"""Types in text: from the trees of the grammar to the types of the IR (WebAssembly 3.0, section 6.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from typing import TypeAlias

from meld.ir.instructions import IndexSpaces
from meld.ir.module import ImportName
from meld.ir.types import (
    ArrayType,
    ContType,
    FieldType,
    FuncType,
    Limits,
    Packed,
    RecGroup,
    RefType,
    StorageType,
    StructType,
    TypeDef,
    ValType,
)
from meld.support.records import record
from meld.text.grammar.lalr import Token, Tree
from meld.text.literals import identifier
from meld.text.reading.names import (
    HEAPTYPES,
    NUMTYPES,
    REFTYPES,
    TextContext,
    checked_use,
    find,
    find_index,
)
from meld.text.reading.terminals import Terminals
from meld.text.reading.tokens import LocalType

Node: TypeAlias = Token | Tree
_PACKED = {t.value: t for t in Packed}


@record()
class Variables:
    """Parameters or locals: their types, the names by which the text calls them, and their names for people."""

    types: list[LocalType] = field(default_factory=list)
    indices: dict[str, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)


class TextTypes(Terminals):
    """Reads types of one module. `implicit` gives the definition of a function type that is only written out."""

    def __init__(self, context: TextContext, scope: IndexSpaces, implicit: Callable[[FuncType], TypeDef]) -> None:
        super().__init__(context)
        self.scope = scope
        self.implicit = implicit

    def import_name(self, module: Node, name: Node) -> ImportName:
        """The two strings of an import."""
        assert isinstance(module, Token) and isinstance(name, Token)
        return ImportName(self.text(module), self.text(name))

    # --- value types ---

    def heap(self, nodes: list[Node]) -> tuple[bool, Token]:
        """Nullability and heap type of ``(ref …)``, the latter still as a token."""
        token = nodes[-1]
        assert isinstance(token, Token)
        return len(nodes) > 1, token

    def reftype(self, node: Node) -> RefType:
        """A reference type."""
        if isinstance(node, Token):
            return REFTYPES[node]
        nullable, token = self.heap(node.children)
        if token.type == "HEAPTYPE":
            return RefType(nullable, HEAPTYPES[token])
        return RefType(nullable, find(self.scope, "types", self.key(token), self.failing(token)))

    def valtype(self, node: Node) -> ValType:
        """A value type."""
        if isinstance(node, Token) and node.type == "NUMTYPE":
            return NUMTYPES[node]
        return self.reftype(node)

    def local_type(self, node: Node) -> LocalType:
        """The type of a local of a body that stays text."""
        if isinstance(node, Tree):
            nullable, token = self.heap(node.children)
            if token.type != "HEAPTYPE":
                return nullable, find_index(self.scope, "types", self.key(token), self.failing(token))
        return self.valtype(node)

    def storage(self, node: Node) -> StorageType:
        """The type of a field."""
        if isinstance(node, Token) and node.type == "PACKED":
            return _PACKED[node]
        return self.valtype(node)

    def fieldtype(self, node: Node) -> FieldType:
        """A field: its type, perhaps mutable."""
        if isinstance(node, Tree) and node.data == "mutable":
            return FieldType(self.storage(node.children[0]), True)
        return FieldType(self.storage(node), False)

    def globaltype(self, node: Node) -> tuple[ValType, bool]:
        """The type of a global, and whether it is mutable."""
        if isinstance(node, Tree) and node.data == "mutable":
            inner = node.children[0]
            if isinstance(inner, Token) and inner.type == "PACKED":
                raise self.error(inner, f"a global cannot be of type `{inner}`")
            return self.valtype(inner), True
        return self.valtype(node), False

    # --- functions ---

    def variables(self, trees: list[Tree], into: Variables, what: str, lazy: bool = False) -> None:
        """Adds ``(param …)`` or ``(local …)``."""
        for tree in trees:
            nodes = tree.children
            if nodes and isinstance(nodes[0], Token) and nodes[0].type == "NAME":
                token, index = nodes[0], len(into.types)
                name = self.identifier(token)
                if name in into.indices:
                    raise self.error(token, f"the {what} `{identifier(name)}` is defined twice")
                into.indices[name] = index
                into.names[index] = self.shown_name(nodes[1:-1], name)
                nodes = nodes[-1:]
            annotations = [node for node in nodes if isinstance(node, Token) and node.type == "ANNOTATION"]
            nodes = nodes[len(annotations) :]
            self.name_one(list(annotations), into.names, len(into.types), len(nodes), what)
            into.types += [self.local_type(node) if lazy else self.valtype(node) for node in nodes]

    def name_one(
        self, annotations: list[Token | Tree], names: dict[int, str], number: int, count: int, what: str
    ) -> None:
        """Takes the ``(@name "…")`` over that stands in front of `count` types, the first of which has a number."""
        shown = self.shown_name(annotations)
        if shown is not None and count != 1:
            raise self.error(annotations[0], f"a name is for one {what}, not for {count}")  # type: ignore[arg-type]
        if shown is not None:
            names[number] = shown

    def functype(self, nodes: list[Node]) -> tuple[FuncType, Variables]:
        """``(param …)… (result …)…``."""
        params = Variables()
        self.variables(list(_trees(nodes, "param")), params, "parameter")
        results = [self.valtype(node) for tree in _trees(nodes, "result") for node in tree.children]
        return FuncType(tuple(params.types), tuple(results)), params  # type: ignore[arg-type]  # not lazy

    def typeuse(self, tree: Tree) -> tuple[TypeDef, Variables]:
        """A type use: the definition that is named, or one for what is written out."""
        shape, params = self.functype(tree.children)
        for use in _trees(tree.children, "type_index"):
            (token,) = use.children
            assert isinstance(token, Token)
            fail = self.failing(token)
            typedef: TypeDef = find(self.scope, "types", self.key(token), fail)
            return checked_use(typedef, shape, fail), params
        return self.implicit(shape), params

    # --- definitions ---

    def define(self, typedef: TypeDef, node: Tree, index: int) -> None:
        """Fills a type definition that was declared."""
        if node.data == "sub":
            tokens = [t for t in node.children if isinstance(t, Token)]
            typedef.final = bool(tokens) and tokens[0].type == "FINAL"
            supers = [t for t in tokens if t.type != "FINAL"]
            typedef.supers = tuple(find(self.scope, "types", self.key(t), self.failing(t)) for t in supers)
            inner = node.children[-1]
            assert isinstance(inner, Tree)
            node = inner
        match node.data:
            case "functype":
                typedef.shape, params = self.functype(node.children)
                typedef.field_names = params.names
            case "arraytype":
                typedef.shape = ArrayType(self.fieldtype(node.children[0]))
            case "conttype":
                (token,) = node.children
                assert isinstance(token, Token)
                typedef.shape = ContType(find(self.scope, "types", self.key(token), self.failing(token)))
            case "structtype":
                typedef.shape = self.struct(typedef, node, index)
            case other:
                raise AssertionError(other)

    def struct(self, typedef: TypeDef, node: Tree, index: int) -> StructType:
        """A structure type; its field names go to the definition and to the scope."""
        fields: list[FieldType] = []
        names = self.scope.names.setdefault("fields", {})
        for tree in _trees(node.children, "struct_field"):
            nodes = tree.children
            if nodes and isinstance(nodes[0], Token) and nodes[0].type == "NAME":
                name = self.identifier(nodes[0])
                if f"{index} {name}" in names:
                    raise self.error(nodes[0], f"the field `{identifier(name)}` is defined twice")
                names[f"{index} {name}"] = len(fields)
                typedef.field_names[len(fields)] = self.shown_name(nodes[1:-1], name)
                nodes = nodes[-1:]
            annotations = [node for node in nodes if isinstance(node, Token) and node.type == "ANNOTATION"]
            nodes = nodes[len(annotations) :]
            self.name_one(list(annotations), typedef.field_names, len(fields), len(nodes), "field")
            fields += [self.fieldtype(node) for node in nodes]
        return StructType(tuple(fields))

    def limits(self, tree: Tree) -> Limits:
        """The limits of a memory or a table."""
        is64 = shared = False
        bounds: list[int] = []
        page_size = None
        for node in tree.children:
            if isinstance(node, Tree):
                page_size = self.page_size(node)
            elif node.type == "ADDRTYPE":
                is64 = node == "i64"
            elif node.type == "SHARED":
                shared = True
            else:
                bounds.append(self.number(node, 64))
        return Limits(bounds[0], bounds[1] if len(bounds) > 1 else None, is64, shared, page_size)

    def page_size(self, tree: Tree) -> int:
        """``(pagesize n)``, as the power of two."""
        (token,) = tree.children
        assert isinstance(token, Token)
        size = self.number(token)
        if not size or size & size - 1:
            raise self.error(token, "the size of a page is a power of two")
        return size.bit_length() - 1


def _trees(nodes: list[Node], rule: str) -> Iterator[Tree]:
    return (node for node in nodes if isinstance(node, Tree) and node.data == rule)


def rec_groups(fields: list[Node]) -> Iterator[tuple[RecGroup, list[Tree]]]:
    """The recursion groups among the fields of a module, still empty, with the trees of their types."""
    for node in fields:
        if isinstance(node, Tree) and node.data == "typedef":
            yield RecGroup([]), [node]
        elif isinstance(node, Tree) and node.data == "rec":
            yield RecGroup([], explicit=True), list(_trees(node.children, "typedef"))
