"""Types in the text of components: from the trees of the grammar to definitions.

A type that is written in place becomes a definition without a name, in front of what uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import CompValType, Definition, ExternType, Prim, Sort, TypeDefinition
from meld.ir.types import FuncType, RecGroup, TypeDef
from meld.text.grammar.lalr import Token, Tree
from meld.text.reading.component.core import module_type, references
from meld.text.reading.component.reading import Reading, token, trees
from meld.text.reading.component.references import References
from meld.text.reading.component.scope import TextScope
from meld.text.reading.types import Node

VALUE_SHAPES = (
    *(Prim, c.Record, c.Variant, c.ListType, c.MapType, c.Tuple, c.Flags, c.EnumType, c.Option, c.Result),
    *(c.Own, c.Borrow, c.Stream, c.Future),
)
"""What a value type may be."""
TypeShape: TypeAlias = c.DefValType | c.CompFuncType | c.ComponentType | c.InstanceType | c.ResourceType
"""What a type definition may be."""

_TYPE_OF = {
    Sort.FUNC: (c.CompFuncType, "a function type"),
    Sort.COMPONENT: (c.ComponentType, "a component type"),
    Sort.INSTANCE: (c.InstanceType, "an instance type"),
}


def _primitive(node: Token) -> Prim:
    """A primitive type; text of before 2024 writes `float32` and `float64`."""
    return Prim(node.replace("float", "f"))


class TypeReader:
    """Reads types. `declared` reads the declarations of component and instance types, in the scope that is open."""

    def __init__(self, reading: Reading, references: References, declared: Callable[[Iterable[Node]], None]) -> None:
        self.here = reading
        self.references = references
        self.declared = declared

    # --- core types ---

    def core_type(self, nodes: list[Node]) -> None:
        """``(core type …)``."""
        keyword, head_tree, body = nodes
        assert isinstance(head_tree, Tree) and isinstance(body, Tree)
        head = self.here.head(keyword, head_tree.children)
        if body.data == "module_type":
            self.here.add(c.CoreType(module_type(self.here.notes, self.here.scope, body)), head)
            return
        typedef = TypeDef(FuncType(), span=self.here.place)
        item = c.CoreType(typedef, RecGroup([typedef]))
        is_recursive = head.key is not None and any(self.here.key(t) == head.key for t in references([body]))
        if is_recursive:
            self.here.add(item, head)
        types = self.here.core_reader(body)
        types.define(typedef, body, len(self.here.scope.spaces[Sort.CORE_TYPE]) - is_recursive)
        if not is_recursive:
            self.here.add(item, head)

    def core_rec(self, nodes: list[Node]) -> None:
        """``(core rec …)``: types that may refer to each other."""
        trees = [node for node in nodes if isinstance(node, Tree)]
        group = RecGroup([], explicit=True)
        names = {
            str(self.here.key(t)) for tree in trees for t in tree.children if isinstance(t, Token) and t.type == "NAME"
        }
        outer = self.here.core_reader(*trees) if not names else None
        first = len(self.here.scope.spaces[Sort.CORE_TYPE])
        for tree in trees:
            typedef = TypeDef(FuncType())
            group.types.append(typedef)
            parts = [n for n in tree.children[1:] if isinstance(n, Token)]
            self.here.add(c.CoreType(typedef, group), self.here.head(tree.children[0], parts))
            typedef.span = self.here.place
        types = outer or self.here.core_reader(*trees)
        for number, tree in enumerate(trees):
            body = tree.children[-1]
            assert isinstance(body, Tree)
            types.define(group.types[number], body, first + number)

    # --- value types ---

    def value_type(self, node: Node) -> CompValType:
        """A value type in place."""
        if isinstance(node, Tree):
            shape = self.compound(node)
            return self.here.add(TypeDefinition(shape))
        if node.type == "PRIM":
            return _primitive(node)
        found = self.here.find(Sort.TYPE, node)
        if isinstance(found, TypeDefinition) and not isinstance(found.type, VALUE_SHAPES):
            raise self.here.error(node, "expected a value type")
        return found

    def optional(self, nodes: list[Node]) -> CompValType | None:
        """A value type, or nothing."""
        return self.value_type(nodes[0]) if nodes else None

    def compound(self, tree: Tree) -> c.DefValType:
        """``(record …)``, ``(list …)``, …."""
        nodes = tree.children
        with self.here.nested():
            match tree.data:
                case "record":
                    return c.Record(tuple(self.labelled(node) for node in nodes))
                case "variant":
                    self.distinct(t for node in nodes for t in node.children[:1] if isinstance(node, Tree))
                    return c.Variant(tuple(self.case(node) for node in nodes))
                case "list":
                    length = self.here.number(token(nodes[1])) if len(nodes) > 1 else None
                    return c.ListType(self.value_type(nodes[0]), length)
                case "map":
                    return c.MapType(self.value_type(nodes[0]), self.value_type(nodes[1]))
                case "tuple":
                    return c.Tuple(tuple(map(self.value_type, nodes)))
                case "flags":
                    return c.Flags(tuple(self.here.text(token(node)) for node in nodes))
                case "enum":
                    return c.EnumType(tuple(self.here.text(token(node)) for node in nodes))
                case "option":
                    return c.Option(self.value_type(nodes[0]))
                case "result_type":
                    errors = trees(nodes, "result_error")
                    ok = self.optional(nodes[: len(nodes) - len(errors)])
                    return c.Result(ok, self.value_type(errors[0].children[0]) if errors else None)
                case "own":
                    return c.Own(self.here.find(Sort.TYPE, nodes[0]))
                case "borrow":
                    return c.Borrow(self.here.find(Sort.TYPE, nodes[0]))
                case "stream":
                    return c.Stream(self.optional(nodes))
                case "future":
                    return c.Future(self.optional(nodes))
                case other:
                    raise AssertionError(other)

    def labelled(self, node: Node) -> tuple[str, CompValType]:
        """A field or a parameter."""
        assert isinstance(node, Tree)
        return self.here.text(token(node.children[0])), self.value_type(node.children[1])

    def distinct(self, nodes: Iterable[Node]) -> None:
        """Refuses a name that is given twice."""
        seen: set[str | int] = set()
        for name in (node for node in nodes if isinstance(node, Token) and node.type == "NAME"):
            if self.here.key(name) in seen:
                raise self.here.error(name, f"case `{name}` is defined twice")
            seen.add(self.here.key(name))

    def case(self, node: Node) -> tuple[str, CompValType | None]:
        """A case of a variant; the grammar allows a name in front, which means nothing."""
        assert isinstance(node, Tree)
        first = token(node.children[0])
        nodes = node.children[1:] if first.type == "NAME" else node.children
        return self.here.text(token(nodes[0])), self.optional(nodes[1:])

    # --- other types ---

    def func_type(self, tree: Tree) -> c.CompFuncType:
        """What follows ``(func``: parameters and the result."""
        results = trees(tree.children, "comp_result")
        params = tuple(self.labelled(node) for node in trees(tree.children, "comp_param"))
        result = self.value_type(results[0].children[0]) if results else None
        return c.CompFuncType(params, result, isinstance(tree.children[0] if tree.children else None, Token))

    def declarations(self, nodes: Iterable[Node], name: str | None = None) -> list[Definition]:
        """The declarations of a component or instance type; outer aliases in them may use the name of the type."""
        with self.here.inside(TextScope(self.here.scope, name, is_type=True)) as scope:
            self.declared(nodes)
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
        rep = self.here.core_reader(*(n for n in nodes[:1] if isinstance(n, Tree))).valtype(nodes[0])
        if len(nodes) == 1:
            return c.ResourceType(rep)
        assert isinstance(nodes[1], Tree)
        parts = nodes[1].children
        is_async = isinstance(parts[0], Token) and parts[0].type == "ASYNC"
        function, *more = parts[1:] if is_async else parts
        dtor = self.references.reference(Sort.CORE_FUNC, function)
        callback = None
        for node in more:
            assert isinstance(node, Tree)
            keyword, target, *strings = node.children
            if token(keyword).type != "CALLBACK":
                raise self.here.error(token(keyword), "a destructor has no option other than `(callback …)`")
            callback = self.references.reference(Sort.CORE_FUNC, target, strings)
        return c.ResourceType(rep, dtor, is_async, callback)

    def type_body(self, node: Node, name: str | None = None) -> TypeShape:
        """The right-hand side of the definition of a type, which may have a name."""
        if isinstance(node, Token):
            return _primitive(node)
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
        head = self.here.head(keyword, head_tree.children)
        place = self.here.place
        shape = self.type_body(body, head.key)
        self.here.place = place
        self.here.inline_exports(self.here.add(TypeDefinition(shape), head), exports)

    def extern_type(self, sort: Sort, nodes: list[Node]) -> ExternType:
        """The type of an import or export of a sort; what is written out becomes a definition."""
        match sort, nodes:
            case Sort.VALUE, [Tree(data="value_equals") as tree]:
                return ExternType(sort, eq_value=self.here.find(Sort.VALUE, tree.children[0]))
            case Sort.VALUE, [node]:
                return ExternType(sort, self.value_type(node))
            case Sort.TYPE, [Tree(data="sub_resource")]:
                return ExternType(sort)
            case Sort.TYPE, [Tree(data="type_equals") as tree]:
                return ExternType(sort, self.here.find(Sort.TYPE, tree.children[0]))
            case Sort.CORE_MODULE, [Tree(data="type_index") as tree]:
                return ExternType(sort, self.here.find(Sort.CORE_TYPE, tree.children[0]))
            case Sort.CORE_MODULE, _:
                body: Tree = Tree("module_type", list(nodes))
                return ExternType(sort, self.here.add(c.CoreType(module_type(self.here.notes, self.here.scope, body))))
            case ((Sort.FUNC | Sort.COMPONENT | Sort.INSTANCE), _):
                return ExternType(sort, self.type_use(sort, nodes))
        raise AssertionError(sort)

    def type_use(self, sort: Sort, nodes: list[Node]) -> Definition:
        """The type of a function, component or instance: the one named, or what is written out."""
        kind, what = _TYPE_OF[sort]
        if uses := trees(nodes, "type_index"):
            found = self.here.find(Sort.TYPE, uses[0].children[0])
            if isinstance(found, TypeDefinition) and not isinstance(found.type, kind):
                raise self.here.error(token(uses[0].children[0]), f"expected {what}")
            return found
        match sort:
            case Sort.FUNC:
                (signature,) = trees(nodes, "signature")
                return self.here.add(TypeDefinition(self.func_type(signature)))
            case Sort.COMPONENT:
                return self.here.add(TypeDefinition(c.ComponentType(self.declarations(nodes))))
            case _:
                return self.here.add(TypeDefinition(self.instance_type(nodes)))
