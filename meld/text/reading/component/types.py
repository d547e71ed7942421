"""Types and declarations in the text of components: from the trees of the grammar to definitions.

A type that is written in place becomes a definition without a name, in front of what uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from meld.diagnostics import MeldError, Source, Span
from meld.ir import component as c
from meld.ir.component import CompValType, Definition, ExternName, Prim, Sort, TypeDefinition
from meld.ir.instructions import IndexSpaces
from meld.ir.types import FuncType, RecGroup, TypeDef
from meld.text.grammar.lalr import Token, Tree
from meld.text.reading.component.core import core_types, module_type, references
from meld.text.reading.component.notes import ComponentContext, Head
from meld.text.reading.component.scope import TextScope
from meld.text.reading.notes import is_name
from meld.text.reading.types import Node, TextTypes
from meld.text.sexp import debug_name

MAX_NESTING = 100
"""How deep components, their types and their value types may nest, taken together, the outermost included."""

VALUE_SHAPES = (
    *(Prim, c.Record, c.Variant, c.ListType, c.MapType, c.Tuple, c.Flags, c.EnumType, c.Option, c.Result),
    *(c.Own, c.Borrow, c.Stream, c.Future),
)
"""What a value type may be."""


TypeShape: TypeAlias = c.DefValType | c.CompFuncType | c.ComponentType | c.InstanceType | c.ResourceType


class TypeReader(TextTypes):
    """Reads types; `meld.text.reading.component.declarations` adds the other declarations.

    Attributes:
        here: the index spaces in which things stand.
        notes: the notes there.
        place: where the definition that is being read begins.
    """

    def __init__(self, source: Source, name: str | None = None) -> None:
        self.here = TextScope(name=name)
        self.notes = ComponentContext.of(source, self.here)
        super().__init__(self.notes, IndexSpaces(), _no_implicit)
        self.source = source
        self.depth = 0
        self.place = Span(source, 0, 1)
        self.rules: dict[str, Callable[[list[Node]], None]] = {
            "core_type": self.core_type,
            "core_rec": self.core_rec,
            "type_definition": self.type_definition,
        }

    # --- places ---

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
        here, notes, place = self.here, self.notes, self.place
        with self.nested():
            self.here, self.notes = scope, ComponentContext.of(self.source, scope, notes)
            yield scope
            self.notes.finish()
        self.here, self.notes, self.place = here, notes, place

    def head(self, keyword: Node, nodes: Iterable[Node]) -> Head:
        """The name and the annotations behind a keyword."""
        self.place = self.span(token(keyword))
        head = Head(self.place)
        for node in nodes:
            part = token(node)
            if part.type == "NAME":
                head.key = head.name = self.identifier(part)
                self.place = head.place = Span(self.source, head.place.start, self.span(part).end)
            elif is_name(self.span(part)):
                head.name = debug_name(self.span(part))
            else:
                head.annotations.append(self.span(part))
        return head

    def add(self, item: Definition, head: Head | None = None) -> Definition:
        """Puts a definition into its space, with its name and notes; without a head it has none."""
        item.span = self.place
        if head is not None:
            item.name = head.name
            if head.annotations:
                self.notes.pending.append((item.notes, head.annotations))
        self.here.define(item, head.key if head else None, self.place)
        return item

    def find(self, sort: Sort, node: Node) -> Definition:
        """The definition to which a name or a number refers."""
        found = token(node)
        return self.here.find(sort, self.key(found), self.span(found))

    def read(self, nodes: Iterable[Node]) -> None:
        """Declarations or definitions, in order."""
        for node in nodes:
            assert isinstance(node, Tree)
            rule = self.rules.get(node.data)
            if rule is None:
                raise self.misplaced(node)
            rule(node.children)

    def misplaced(self, node: Tree) -> MeldError:
        """The error of something that stands where it must not."""
        first = next((t for t in node.walk() if isinstance(t, Token)), None)
        span = self.span(first) if first is not None else self.place
        where = "a type" if self.here.is_type else "this definition"
        return MeldError(f"this does not belong into {where}", span=span)

    # --- core types ---

    def core_reader(self, *trees: Tree) -> TextTypes:
        """A reader of core types."""
        return core_types(self.notes, self.here, trees)

    def core_type(self, nodes: list[Node]) -> None:
        """``(core type …)``."""
        keyword, head_tree, body = nodes
        assert isinstance(head_tree, Tree) and isinstance(body, Tree)
        head = self.head(keyword, head_tree.children)
        if body.data == "module_type":
            self.add(c.CoreType(module_type(self.notes, self.here, body)), head)
            return
        typedef = TypeDef(FuncType(), span=self.place)
        item = c.CoreType(typedef, RecGroup([typedef]))
        is_recursive = head.key is not None and any(self.key(t) == head.key for t in references([body]))
        if is_recursive:
            self.add(item, head)
        types = self.core_reader(body)
        types.define(typedef, body, len(self.here.spaces[Sort.CORE_TYPE]) - is_recursive)
        if not is_recursive:
            self.add(item, head)

    def core_rec(self, nodes: list[Node]) -> None:
        """``(core rec …)``: types that may refer to each other."""
        trees = [node for node in nodes if isinstance(node, Tree)]
        group = RecGroup([], explicit=True)
        names = {str(self.key(t)) for tree in trees for t in tree.children if isinstance(t, Token) and t.type == "NAME"}
        outer = self.core_reader(*trees) if not names else None
        first = len(self.here.spaces[Sort.CORE_TYPE])
        for tree in trees:
            typedef = TypeDef(FuncType())
            group.types.append(typedef)
            parts = [n for n in tree.children[1:] if isinstance(n, Token)]
            self.add(c.CoreType(typedef, group), self.head(tree.children[0], parts))
            typedef.span = self.place
        types = outer or self.core_reader(*trees)
        for number, tree in enumerate(trees):
            body = tree.children[-1]
            assert isinstance(body, Tree)
            types.define(group.types[number], body, first + number)

    # --- value types ---

    def value_type(self, node: Node) -> CompValType:
        """A value type in place."""
        if isinstance(node, Tree):
            shape = self.compound(node)
            return self.add(TypeDefinition(shape))
        if node.type == "PRIM":
            return Prim(node)
        found = self.find(Sort.TYPE, node)
        if isinstance(found, TypeDefinition) and not isinstance(found.type, VALUE_SHAPES):
            raise self.error(node, "expected a value type")
        return found

    def optional(self, nodes: list[Node]) -> CompValType | None:
        """A value type, or nothing."""
        return self.value_type(nodes[0]) if nodes else None

    def compound(self, tree: Tree) -> c.DefValType:
        """``(record …)``, ``(list …)``, …."""
        nodes = tree.children
        with self.nested():
            match tree.data:
                case "record":
                    return c.Record(tuple(self.labelled(node) for node in nodes))
                case "variant":
                    self.distinct(t for node in nodes for t in node.children[:1] if isinstance(node, Tree))
                    return c.Variant(tuple(self.case(node) for node in nodes))
                case "list":
                    length = self.number(token(nodes[1])) if len(nodes) > 1 else None
                    return c.ListType(self.value_type(nodes[0]), length)
                case "map":
                    return c.MapType(self.value_type(nodes[0]), self.value_type(nodes[1]))
                case "tuple":
                    return c.Tuple(tuple(map(self.value_type, nodes)))
                case "flags":
                    return c.Flags(tuple(self.text(token(node)) for node in nodes))
                case "enum":
                    return c.EnumType(tuple(self.text(token(node)) for node in nodes))
                case "option":
                    return c.Option(self.value_type(nodes[0]))
                case "result_type":
                    errors = trees(nodes, "result_error")
                    ok = self.optional(nodes[: len(nodes) - len(errors)])
                    return c.Result(ok, self.value_type(errors[0].children[0]) if errors else None)
                case "own":
                    return c.Own(self.find(Sort.TYPE, nodes[0]))
                case "borrow":
                    return c.Borrow(self.find(Sort.TYPE, nodes[0]))
                case "stream":
                    return c.Stream(self.optional(nodes))
                case "future":
                    return c.Future(self.optional(nodes))
                case other:
                    raise AssertionError(other)

    def labelled(self, node: Node) -> tuple[str, CompValType]:
        """A field or a parameter."""
        assert isinstance(node, Tree)
        return self.text(token(node.children[0])), self.value_type(node.children[1])

    def distinct(self, nodes: Iterable[Node]) -> None:
        """Refuses a name that is given twice."""
        seen: set[str | int] = set()
        for name in (node for node in nodes if isinstance(node, Token) and node.type == "NAME"):
            if self.key(name) in seen:
                raise self.error(name, f"case `{name}` is defined twice")
            seen.add(self.key(name))

    def case(self, node: Node) -> tuple[str, CompValType | None]:
        """A case of a variant; the grammar allows a name in front, which means nothing."""
        assert isinstance(node, Tree)
        first = token(node.children[0])
        nodes = node.children[1:] if first.type == "NAME" else node.children
        return self.text(token(nodes[0])), self.optional(nodes[1:])

    # --- other types ---

    def func_type(self, tree: Tree) -> c.CompFuncType:
        """What follows ``(func``: parameters and the result."""
        results = trees(tree.children, "comp_result")
        params = tuple(self.labelled(node) for node in trees(tree.children, "comp_param"))
        result = self.value_type(results[0].children[0]) if results else None
        return c.CompFuncType(params, result, isinstance(tree.children[0] if tree.children else None, Token))

    def declarations(self, nodes: Iterable[Node], name: str | None = None) -> list[Definition]:
        """The declarations of a component or instance type; outer aliases in them may use the name of the type."""
        with self.inside(TextScope(self.here, name, is_type=True)) as scope:
            self.read(nodes)
        return scope.definitions

    def instance_type(self, nodes: Iterable[Node], name: str | None = None) -> c.InstanceType:
        """The declarations of an instance type, which imports nothing."""
        found = c.InstanceType(self.declarations(nodes, name))
        for item in found.decls:
            if isinstance(item, c.Import):
                raise MeldError("an instance type has no imports", span=item.span)
        return found

    def resource_type(self, nodes: list[Node]) -> c.ResourceType:
        """``(resource (rep i32) …)``."""
        rep = self.core_reader(*(n for n in nodes[:1] if isinstance(n, Tree))).valtype(nodes[0])
        if len(nodes) == 1:
            return c.ResourceType(rep)
        assert isinstance(nodes[1], Tree)
        parts = nodes[1].children
        is_async = isinstance(parts[0], Token) and parts[0].type == "ASYNC"
        function, *more = parts[1:] if is_async else parts
        dtor = self.reference(Sort.CORE_FUNC, function)
        callback = None
        for node in more:
            assert isinstance(node, Tree)
            keyword, target, *strings = node.children
            if token(keyword).type != "CALLBACK":
                raise self.error(token(keyword), "a destructor has no option other than `(callback …)`")
            callback = self.reference(Sort.CORE_FUNC, target, strings)
        return c.ResourceType(rep, dtor, is_async, callback)

    def reference(self, sort: Sort, node: Node, strings: Iterable[Node] = ()) -> Definition:
        """A reference to a definition of a sort; more in a reader that knows aliases in place."""
        return self.find(sort, node)

    def type_body(
        self, node: Node, name: str | None = None
    ) -> c.DefValType | c.CompFuncType | c.ComponentType | c.InstanceType | c.ResourceType:
        """The right-hand side of the definition of a type, which may have a name."""
        if isinstance(node, Token):
            return Prim(node)
        match node.data:
            case "func_type":
                signature = node.children[1]
                assert isinstance(signature, Tree)
                return self.func_type(signature)
            case "component_type":
                return c.ComponentType(self.declarations(node.children[1:], name))
            case "instance_type":
                return self.instance_type(node.children[1:], name)
            case "resource_type":
                return self.resource_type(node.children)
            case _:
                return self.compound(node)

    def type_definition(self, nodes: list[Node]) -> None:
        """``(type $t …)``."""
        keyword, head_tree, *exports, body = nodes
        assert isinstance(head_tree, Tree)
        head = self.head(keyword, head_tree.children)
        place = self.place
        shape = self.type_body(body, head.key)
        self.place = place
        self.inline_exports(self.add(TypeDefinition(shape), head), exports)

    def inline_exports(self, item: Definition, nodes: Iterable[Node]) -> None:
        """``(export "a")`` inside a definition: an export at the end of the component."""
        for node in nodes:
            assert isinstance(node, Tree)
            if self.here.is_type:
                raise self.misplaced(node)
            self.here.exports.append(c.Export(self.extern_name(node.children[1]), item, span=self.place))

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


def _no_implicit(shape: FuncType) -> TypeDef:
    raise AssertionError(f"no core function of type {shape} stands here")
