"""Core types and module types in the text of components."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeGuard

from meld.ir.component import CoreExternType, Definition, ModuleType, OuterAlias, Sort
from meld.ir.instructions import IndexSpaces
from meld.ir.types import FuncType, RecGroup, TypeDef
from meld.text.grammar.lalr import Token, Tree
from meld.text.literals import identifier
from meld.text.reading.component.scope import TextScope, core_typedef
from meld.text.reading.names import TextContext, key_of
from meld.text.reading.types import Node, TextTypes, rec_groups

NOT_A_CORE_TYPE = TypeDef(FuncType(), name="module type", final=False)
"""Stands for a module type among core types, so that their indices are right."""


def core_types(context: TextContext, here: TextScope, trees: Iterable[Tree]) -> TextTypes:
    """A reader of the core types in some trees that knows those of a component.

    A name that only an enclosing component knows becomes an outer alias, as elsewhere.
    """
    types = TextTypes(context, IndexSpaces(), _no_implicit)
    named: dict[str, Definition] = dict(here.names[Sort.CORE_TYPE])
    for token in references(trees):
        key = key_of(token, types.failing(token))
        if isinstance(key, str) and key not in named and _is_outside(here, key):
            named[key] = here.find(Sort.CORE_TYPE, key, types.span(token))
    entries = here.spaces[Sort.CORE_TYPE]
    index = {item: i for i, item in enumerate(entries)}
    types.scope.types = [core_typedef(item) or NOT_A_CORE_TYPE for item in entries]
    types.scope.names["types"] = {name: index[item] for name, item in named.items() if item in index}
    return types


def module_type(context: TextContext, here: TextScope, tree: Tree) -> ModuleType:
    """``(module …)`` as a type. Raises MeldError."""
    reader = _ModuleTypeReader(context, here)
    for node in tree.children:
        if isinstance(node, Tree):  # else the keyword
            reader.declaration(node)
    return reader.found


class _ModuleTypeReader:
    """Reads declarations; core types have a space of their own here, which begins empty."""

    def __init__(self, context: TextContext, here: TextScope) -> None:
        self.here = here
        self.found = ModuleType()
        self.types = TextTypes(context, IndexSpaces(names={"types": {}}), self._implicit)

    def _implicit(self, shape: FuncType) -> TypeDef:
        """A type that is written out: always a definition of its own here, unlike in a module."""
        found = TypeDef(shape)
        self.found.decls.append(RecGroup([found]))
        self.types.scope.types.append(found)
        return found

    def declaration(self, node: Tree) -> None:
        """One declaration."""
        self._alias_outer_names(node)
        match node.data, node.children:
            case (("typedef" | "rec"), _):
                self._group(node)
            case "import_field", [_, Token() as module, Token() as name, Tree() as item]:
                names = self.types.text(module), self.types.text(name)
                self.found.decls.append((*names, self._extern(item)))
            case "module_export", [_, Token() as name, Tree() as item]:
                label = self.types.text(name)
                self.found.decls.append((label, self._extern(item)))
            case "module_alias", [_, Token() as outer, Token() as target, _, Tree() as head]:
                key, span = self.types.key(target), self.types.span(outer)
                scope, depth = self.here.enclosing(self._depth(outer), Sort.CORE_TYPE, key, span)
                aliased = scope.get(Sort.CORE_TYPE, key, self.types.span(target))
                first = head.children[0] if head.children else None
                self._alias(aliased, depth + 1, self.types.identifier(first) if _is_name(first) else None, target)
            case other, _:
                raise AssertionError(other)

    def _depth(self, node: Token) -> str | int:
        """The first operand of an outer alias; the module type itself is the innermost level."""
        key = self.types.key(node)
        if key == 0:
            raise self.types.error(node, "depth 0 is this module type itself", "the component around it has depth 1")
        return key - 1 if isinstance(key, int) else key

    def _group(self, node: Tree) -> None:
        for group, trees in rec_groups([node]):
            first = len(self.types.scope.types)
            for tree in trees:
                typedef = TypeDef(FuncType(), span=self.types.span(_token(tree.children[0])))
                name = tree.children[1]
                self._name(name, typedef)
                group.types.append(typedef)
                self.types.scope.types.append(typedef)
            for number, tree in enumerate(trees):
                body = tree.children[-1]
                assert isinstance(body, Tree)
                self.types.define(group.types[number], body, first + number)
            self.found.decls.append(group)

    def _name(self, node: Node, item: TypeDef) -> None:
        if isinstance(node, Token) and node.type == "NAME":
            name = self.types.identifier(node)
            names = self.types.scope.names["types"]
            if name in names:
                raise self.types.error(node, f"core type `{identifier(name)}` is defined twice")
            names[name] = len(self.types.scope.types)
            item.name = name

    def _alias(self, target: Definition, depth: int, name: str | None, token: Token) -> None:
        typedef = core_typedef(target)
        if typedef is None:
            raise self.types.error(token, "expected a core type, found a module type")
        if name is not None:
            self.types.scope.names["types"][name] = len(self.types.scope.types)
        self.types.scope.types.append(typedef)
        self.found.decls.append(OuterAlias(target, depth, Sort.CORE_TYPE, name=name))

    def _alias_outer_names(self, node: Tree) -> None:
        """A name that only the component around knows stands for an outer alias in front."""
        names = self.types.scope.names["types"]
        defined = (part.children[1] for part in node.walk() if isinstance(part, Tree) and part.data == "typedef")
        own = {self.types.key(name) for name in defined if _is_name(name)}
        for token in references([node]):
            key = self.types.key(token)
            if not isinstance(key, str) or key in names or key in own:
                continue
            scope: TextScope | None = self.here
            depth = 1
            while scope is not None:
                if key in scope.names[Sort.CORE_TYPE]:
                    self._alias(scope.names[Sort.CORE_TYPE][key], depth, None, token)
                    names[key] = len(self.types.scope.types) - 1
                    break
                scope, depth = scope.parent, depth + 1

    def _extern(self, tree: Tree) -> CoreExternType:
        """The type of an import or export."""
        keyword = _token(tree.children[0])
        nodes = tree.children[1:]
        parts = [n for n in nodes if not (isinstance(n, Token) and n.type in ("NAME", "ANNOTATION"))]
        match keyword.type, parts:
            case (("FUNC" | "TAG"), [Tree() as use]):
                return CoreExternType(keyword[1:], self.types.typeuse(use)[0])
            case "TABLE", [Tree() as limits, element]:
                return CoreExternType("table", self.types.reftype(element), self.types.limits(limits))
            case "MEMORY", [Tree() as limits]:
                return CoreExternType("memory", self.types.limits(limits))
            case "GLOBAL", [value]:
                valtype, mutable = self.types.globaltype(value)
                return CoreExternType("global", valtype, mutable=mutable)
            case other, _:
                raise AssertionError(other)


def _is_outside(here: TextScope, name: str) -> bool:
    scope = here.parent
    while scope is not None:
        if name in scope.names[Sort.CORE_TYPE]:
            return True
        scope = scope.parent
    return False


def references(trees: Iterable[Tree]) -> Iterator[Token]:
    """The names by which trees refer to core types."""
    for tree in trees:
        for part in tree.walk():
            if isinstance(part, Tree) and part.data in ("ref", "sub", "type_index"):
                yield from filter(_is_name, part.children)


def _is_name(node: object) -> TypeGuard[Token]:
    return isinstance(node, Token) and node.type == "NAME"


def _token(node: Node) -> Token:
    assert isinstance(node, Token)
    return node


def _no_implicit(shape: FuncType) -> TypeDef:
    raise AssertionError(f"a core type does not write out the function type {shape}")
