"""Components in text: from ``(component …)`` to a `Component`.

The grammar is component.lark behind wat.lark. Definitions are read in order, since each refers to earlier ones only;
notes are read when a component is complete. Sugar is undone on the way: types and aliases in place become definitions
without a name, in front of what uses them, and a name of an enclosing component becomes an outer alias.

Source: Component Model, Explainer.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meld.binary.limits import MAX_INNER, inner_excess
from meld.diagnostics import MeldError, Source, Span
from meld.ir import component as c
from meld.ir.component import Component, Definition, ExternType, Sort
from meld.ir.module import Module
from meld.ir.notes import Facts, Quoted
from meld.text.grammar.lalr import Token, Tree
from meld.text.grammar.lexer import Scanner
from meld.text.grammar.syntax import syntax
from meld.text.reading.component.canon import CanonReader
from meld.text.reading.component.declarations import DeclarationReader
from meld.text.reading.component.notes import Head
from meld.text.reading.component.reading import Reading, token, trees
from meld.text.reading.component.references import References, sort_of
from meld.text.reading.component.scope import TextScope
from meld.text.reading.customs import custom_section
from meld.text.reading.module import read_module_tree
from meld.text.reading.names import TextContext
from meld.text.reading.notes import is_name
from meld.text.reading.types import Node
from meld.text.sexp import debug_name, raw_bytes, read_annotation

_OUTSIDE = "(@meld.outside"


def parse_component(source: Source) -> Component:
    """The component that a text describes.

    Raises:
        MeldError: the text is malformed, or a name in it means nothing; the error shows the line.
    """
    tree = syntax("component", "wat.lark", "component.lark").parse(source)
    return _ComponentReader(source).root(tree)


class _ComponentReader:
    """Reads components. It has readers of declarations, with their types, and of canonical definitions."""

    def __init__(self, source: Source) -> None:
        self.inner = 0  # core modules and components so far
        self.here = Reading(source)
        self.references = References(self.here)
        self.declarations = DeclarationReader(self.here, self.references)
        self.types = self.declarations.types
        self.canon = CanonReader(self.here, self.references, self.types)
        inline_alias = self.declarations.inline_alias
        self.rules: dict[str, Callable[[list[Node]], None]] = {
            **self.declarations.rules,
            **self.canon.rules,
            "core_module": self.core_module,
            "core_module_binary": self.core_module,
            "core_module_import": self.core_module_import,
            "core_instance": self.core_instance,
            "core_inline_instance": self.core_inline_instance,
            "core_alias": inline_alias,
            "component": self.component,
            "component_binary": self.component,
            "instance": self.instance,
            "inline_instance": self.inline_instance,
            "instance_import": self.inline_import,
            "instance_alias": inline_alias,
            "func_alias": inline_alias,
            "func_import": self.inline_import,
            "value_definition": self.inline_import,
            "start_definition": self.start,
            "export_definition": self.export_definition,
        }

    # --- what may be nested ---

    def root(self, tree: Tree) -> Component:
        """The outermost component."""
        head, nodes = self.nested_head(tree.children)
        if tree.data == "component_binary":
            return self.binary_component(nodes)
        self.here.scope.name, self.here.scope.place = head.key, self.here.place
        return self.contents(Component(name=head.name, where=self.here.source.name), nodes)

    def read(self, node: Tree) -> None:
        """One definition. Raises MeldError if it is none."""
        rule = self.rules.get(node.data)
        if rule is None:
            raise self.here.misplaced(node)
        rule(node.children)

    def contents(self, found: Component, nodes: Iterable[Node]) -> Component:
        """Fills a component, whose scope is open."""
        found.span = self.here.place
        annotations: list[Span] = []
        named: list[Span] = []
        begun = False
        for node in nodes:
            if isinstance(node, Tree):
                self.read(node)
                begun = True
                continue
            if node.type != "ANNOTATION":
                continue
            span = self.here.span(node)
            if not is_name(span):
                self.annotation(span, annotations)
            elif begun or named:
                raise MeldError("the name of a component stands in front of its definitions, once", span=span)
            else:
                named.append(span)
                found.name = debug_name(span)
        for export in self.here.scope.exports:
            self.here.scope.define(export, None, export.span or self.here.place)
        self.here.notes.pending.insert(0, (found.notes, annotations))
        self.here.notes.finish()
        for note in [note for note in found.notes if isinstance(note, Facts)]:
            found.facts += [name for name in note.names if name not in found.facts]
            found.notes.remove(note)
        found.definitions = self.here.scope.definitions
        if any(custom.section.name == "component-name" for custom in found.of(c.Custom)):
            from meld.binary.component.names import take_names

            take_names(found)
        return found

    def annotation(self, span: Span, annotations: list[Span]) -> None:
        """An annotation among the definitions: a custom section, or a note to be read later."""
        label, parts = read_annotation(span.source, span.start, span.end)
        match label, parts:
            case "custom", [_, [*_], *_]:
                hint = "a custom section of a component stands where it is written"
                raise MeldError("places of custom sections are for core modules", span=span, hint=hint)
            case "dylink.0", _:
                raise MeldError("dynamic linking is described in a core module", span=span)
        custom = custom_section(label, parts, span)
        if custom is None:
            annotations.append(span)
        else:
            self.here.place = span
            self.here.add(c.Custom(custom))

    def nested_head(self, nodes: list[Node]) -> tuple[Head, list[Node]]:
        """The name of a module or component in place, and what is inside.

        Annotations stand for what is inside, but for those that the printer wraps: see `wrapped`.
        """
        keywords = [n for n in nodes[:2] if isinstance(n, Token) and n.type not in ("NAME", "ANNOTATION", "STRING")]
        rest = nodes[len(keywords) :]
        names = [n for n in rest[:1] if isinstance(n, Token) and n.type == "NAME"]
        return self.here.head(nodes[0], names), rest[len(names) :]

    def wrapped(self, head: Head, nodes: list[Node]) -> tuple[str | None, list[Node]]:
        """The name that a nested thing gives itself, and its content without what is said of the definition."""
        own, has_own, named, kept = head.key, False, False, list[Node]()
        for node in nodes:
            if isinstance(node, Token) and node.type == "ANNOTATION":
                span = self.here.span(node)
                if is_name(span):
                    if named:
                        raise MeldError("a name is given once, and this is a second", span=span)
                    named = True
                    head.name = debug_name(span)
                    own = own if has_own else head.name
                    continue
                if node.startswith("(@meld.own-name"):
                    own, has_own = self.own_name(span), True
                    continue
                if node.startswith(_OUTSIDE):
                    head.annotations += _inner_annotations(span)
                    continue
            kept.append(node)
        return own, kept

    def own_name(self, span: Span) -> str | None:
        """The name in ``(@meld.own-name "x")``; None if there is none."""
        match read_annotation(span.source, span.start, span.end)[1]:
            case []:
                return None
            case [Quoted() as name]:
                return raw_bytes(name).decode("utf-8", "replace")
        raise MeldError('expected `(@meld.own-name "…")`', span=span)

    def component(self, nodes: list[Node]) -> None:
        """``(component $c …)`` in a component."""
        head, rest = self.nested_head(nodes)
        self.count_inner()
        if any(isinstance(node, Token) and node.type == "STRING" for node in rest):
            self.here.add(c.NestedComponent(self.binary_component(rest)), head)
            return
        place = self.here.place
        exports, imports = trees(rest, "inline_export_one"), trees(rest, "inline_import_one")
        own, inner = self.wrapped(head, _without(rest, [*exports, *imports]))
        item: Definition
        if imports:
            extern = self.here.extern_name(imports[0].children[1])
            t = self.types.type_use(Sort.COMPONENT, [n for n in inner if isinstance(n, Tree)])
            item = c.Import(extern, ExternType(Sort.COMPONENT, t))
        else:
            where = f"{self.here.source.name}: component {head.name or len(self.here.scope.spaces[Sort.COMPONENT])}"
            with self.here.inside(TextScope(self.here.scope, head.key)):
                item = c.NestedComponent(self.contents(Component(name=own, where=where), inner))
        self.here.place = place
        self.here.inline_exports(self.here.add(item, head), exports)

    def core_module_import(self, nodes: list[Node]) -> None:
        """``(core module $m (import "a") …)``."""
        head, (imported, *types) = self.nested_head(nodes)
        place = self.here.place
        assert isinstance(imported, Tree)
        extern = self.here.extern_name(imported.children[1])
        t = self.types.extern_type(Sort.CORE_MODULE, types)
        self.here.place = place
        self.here.add(c.Import(extern, t), head)

    def count_inner(self) -> None:
        """Counts a core module or a component in this one. Raises MeldError if there are too many."""
        self.inner += 1
        if self.inner > MAX_INNER:
            raise MeldError(inner_excess(), span=self.here.place)

    def core_module(self, nodes: list[Node]) -> None:
        """``(core module $m …)`` in place."""
        head, rest = self.nested_head(nodes)
        self.count_inner()
        exports = trees(rest, "inline_export_one")
        own, inner = self.wrapped(head, _without(rest, exports))
        strings = [node for node in inner if isinstance(node, Token) and node.type == "STRING"]
        where = f"{self.here.source.name}: core module {head.name or len(self.here.scope.spaces[Sort.CORE_MODULE])}"
        if strings:
            module = self.binary_module(strings, where)
        else:
            fields: Tree = Tree("module", [token(nodes[0]), *inner])
            module = read_module_tree(fields, self.here.source, where, TextContext(self.here.source))
            module.name = own
        self.here.inline_exports(self.here.add(c.CoreModule(module), head), exports)

    def binary_module(self, strings: list[Token], where: str) -> Module:
        """``(core module binary "…")``."""
        from meld.binary.reader import read_module

        return read_module(b"".join(map(self.here.bytes, strings)), where)

    def binary_component(self, nodes: list[Node]) -> Component:
        """``(component binary "…")``."""
        from meld.binary.component.reader import read_component

        data = b"".join(self.here.bytes(token(node)) for node in nodes if token(node).type == "STRING")
        return read_component(data, self.here.source.name)

    # --- instances ---

    def core_instance(self, nodes: list[Node]) -> None:
        """``(core instance $i (instantiate $m …))``."""
        keyword, head_tree, instantiate = nodes
        assert isinstance(head_tree, Tree) and isinstance(instantiate, Tree)
        head = self.here.head(keyword, head_tree.children)
        _, target, *args = instantiate.children
        module = self.references.reference(Sort.CORE_MODULE, target)
        item = c.CoreInstance(module, [self.core_argument(arg) for arg in args])
        self.here.add(item, head)

    def core_argument(self, node: Node) -> tuple[str, Definition]:
        """``(with "a" (instance …))`` of a core instance."""
        assert isinstance(node, Tree)
        _, name, value = node.children
        assert isinstance(value, Tree)
        label = self.here.text(token(name))
        if value.data == "core_with_exports":
            exports = [self.core_export(export) for export in trees(value.children, "core_item_export")]
            return label, self.here.add(c.CoreInlineInstance(exports))
        _, target, *strings = value.children
        return label, self.references.through(Sort.CORE_INSTANCE, target, strings)

    def core_inline_instance(self, nodes: list[Node]) -> None:
        """``(core instance $i (export "a" (func $f))…)``."""
        keyword, head_tree, *exports = nodes
        assert isinstance(head_tree, Tree)
        head = self.here.head(keyword, head_tree.children)
        place = self.here.place
        item = c.CoreInlineInstance([self.core_export(export) for export in exports])
        self.here.place = place
        self.here.add(item, head)

    def core_export(self, node: Node) -> tuple[str, Definition]:
        """``(export "a" (func $f))`` of a core instance."""
        assert isinstance(node, Tree)
        _, name, item = node.children
        assert isinstance(item, Tree)
        first, *rest = item.children
        keyword = token(first)[1:]
        if keyword == "core":
            word, *rest = rest
            keyword = str(word)
        target, *strings = rest
        return self.here.text(token(name)), self.references.through(Sort(f"core {keyword}"), target, strings)

    def instance(self, nodes: list[Node]) -> None:
        """``(instance $i (instantiate $c …))``."""
        keyword, head_tree, *exports, instantiate = nodes
        assert isinstance(head_tree, Tree) and isinstance(instantiate, Tree)
        head = self.here.head(keyword, head_tree.children)
        place = self.here.place
        _, target, *args = instantiate.children
        item = c.ComponentInstance(
            self.references.reference(Sort.COMPONENT, target), [self.argument(arg) for arg in args]
        )
        self.here.place = place
        self.here.inline_exports(self.here.add(item, head), exports)

    def argument(self, node: Node) -> tuple[str, Definition]:
        """``(with "a" (func $f))``; an instance may be made of exports on the spot."""
        assert isinstance(node, Tree)
        _, name, desc = node.children
        assert isinstance(desc, Tree)
        label = self.here.text(token(name))
        keyword, *rest = desc.children
        if token(keyword).type == "INSTANCE" and all(isinstance(n, Tree) for n in rest):
            exports = trees(rest, "export_definition")
            if len(exports) == len(rest):
                return label, self.here.add(c.InlineInstance([self.item_export(export) for export in exports]))
        return label, self.declarations.described(desc)

    def inline_instance(self, nodes: list[Node]) -> None:
        """``(instance $i (export "a" (func $f))…)``."""
        keyword, head_tree, *parts = nodes
        assert isinstance(head_tree, Tree)
        head = self.here.head(keyword, head_tree.children)
        place = self.here.place
        item = c.InlineInstance([self.item_export(part) for part in trees(parts, "item_export")])
        self.here.place = place
        self.here.inline_exports(self.here.add(item, head), trees(parts, "inline_export_one"))

    def item_export(self, node: Tree) -> tuple[c.ExternName, Definition]:
        """``(export "a" (func $f))`` of an instance."""
        named, *more = trees(node.children, "desc")
        if more or any(isinstance(n, Token) and n.type == "NAME" for n in node.children):
            raise self.here.misplaced(node)
        (name,) = trees(node.children, "extern_name")
        return self.here.extern_name(name), self.declarations.described(named)

    # --- the rest ---

    def inline_import(self, nodes: list[Node]) -> None:
        """``(func $f (import "a") …)``, ``(instance …)`` and ``(value …)``."""
        sort, taken = sort_of(nodes)
        head_tree, *rest = nodes[taken:]
        assert isinstance(head_tree, Tree)
        head = self.here.head(nodes[0], head_tree.children)
        place = self.here.place
        exports = trees(rest, "inline_export_one")
        imported, *types = rest[len(exports) :]
        assert isinstance(imported, Tree)
        extern = self.here.extern_name(imported.children[1])
        t = self.types.extern_type(sort, types)
        self.here.place = place
        self.here.inline_exports(self.here.add(c.Import(extern, t), head), exports)

    def export_definition(self, nodes: list[Node]) -> None:
        """``(export $e "a" (func $f) (func (type $t))?)``."""
        keyword, *parts = nodes
        head = self.here.head(keyword, [node for node in parts if isinstance(node, Token)])
        place = self.here.place
        name, desc, *ascribed = (node for node in parts if isinstance(node, Tree))
        extern, target = self.here.extern_name(name), self.declarations.described(desc)
        t, named = self.declarations.described_type(ascribed[0]) if ascribed else (None, [])
        if named:
            raise self.here.error(token(named[0]), "the type of an export has no name here")
        if t is not None and t.sort is not target.sort:
            raise self.here.error(token(keyword), "the type of this export is of another sort than what is exported")
        self.here.place = place
        self.here.add(c.Export(extern, target, t), head)

    def start(self, nodes: list[Node]) -> None:
        """``(start $f (value $v)… (result (value $w))…)``."""
        keyword, *rest = nodes
        head = self.here.head(keyword, [n for n in rest if isinstance(n, Token) and n.type == "ANNOTATION"])
        (function,) = (n for n in rest if isinstance(n, Token) and n.type != "ANNOTATION")
        args = [self.here.find(Sort.VALUE, use.children[1]) for use in trees(rest, "value_use")]
        item = c.StartDefinition(self.here.find(Sort.FUNC, function), args)
        self.here.add(item, head)
        for result in trees(rest, "start_result"):
            named, head_tree = result.children
            assert isinstance(head_tree, Tree)
            value_head = self.here.head(named, head_tree.children)
            value = c.ValueResult(name=value_head.name, span=value_head.place)
            if value_head.annotations:
                self.here.notes.pending.append((value.notes, value_head.annotations))
            self.here.scope.stand(value, value_head.key, value_head.place)
            item.results.append(value)


def _inner_annotations(span: Span) -> list[Span]:
    """The annotations inside ``(@meld.outside …)``."""
    text, scanner = span.source.text, Scanner(span.source.text, span.source)
    pos, found = scanner.skip(span.start + len(_OUTSIDE)), list[Span]()
    while text.startswith("(@", pos):
        end = scanner.close(pos)
        found.append(Span(span.source, pos, end))
        pos = scanner.skip(end)
    if pos != span.end - 1:
        raise MeldError("expected the notes of the definition", span=span)
    return found


def _without(nodes: list[Node], taken: Iterable[Node]) -> list[Node]:
    """The nodes other than those taken. Not by equality, which would compare whole trees."""
    identities = {id(node) for node in taken}
    return [node for node in nodes if id(node) not in identities]
