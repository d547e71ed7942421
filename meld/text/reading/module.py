"""Core modules in text: from the tree of the grammar to a `Module` (WebAssembly 3.0, section 6.6).

In two passes over the fields: the first declares types, items, segments and named notes, so that a reference may stand
in front of what it refers to; the second, in the order of the text, fills them. Function types that are only written
out are defined behind the others, in the order in which they are met.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any

from meld.diagnostics import MeldError, Source, Span
from meld.ir.instructions import Code, IndexSpaces, Instruction
from meld.ir.module import (
    NO_NAMES,
    SPACE_OF,
    CoreItem,
    DataSegment,
    ElementSegment,
    Export,
    Function,
    Global,
    ImportName,
    Memory,
    Module,
    Table,
    Tag,
)
from meld.ir.notes import Facts
from meld.ir.numbering import SINGULAR
from meld.ir.types import FUNCREF, I32, AbstractHeap, FuncType, Limits, RecGroup, RefType, TypeDef
from meld.support.records import record
from meld.text.grammar.lalr import Token, Tree
from meld.text.literals import identifier
from meld.text.reading.body import TextBody, is_simple, label_names, read_instructions
from meld.text.reading.customs import custom_section
from meld.text.reading.names import ReadBody, TextContext, find, find_index, recorded
from meld.text.reading.notes import NoteReader, is_name, only_name
from meld.text.reading.tokens import BodyText
from meld.text.reading.types import Node, TextTypes, Variables, rec_groups
from meld.text.sexp import debug_name, read_annotation

_UNDEFINED = TypeDef(FuncType())


@record()
class Head:
    """A field taken apart: what stands in front of all fields, and the rest."""

    keyword: Token
    name: Token | None = None
    annotations: list[Span] = field(default_factory=list)
    exports: list[Token] = field(default_factory=list)
    imported: ImportName | None = None
    rest: list[Node] = field(default_factory=list)


@record()
class Declared:
    """A field with the object that it declares."""

    head: Head
    item: Any
    inline: Any = None  # the segment in a table or memory that holds one


def read_module_tree(tree: Tree, source: Source, where: str = "", context: TextContext | None = None) -> Module:
    """The module of a tree `module`, or of any tree whose fields are those of a module.

    Args:
        context: that of the text, where the module is a part of it.

    Raises:
        MeldError: a name is unknown or defined twice, a number is out of range, a body is malformed.
    """
    return _ModuleReader(context or TextContext(source), where).read(tree.children)


def read_function(tree: Tree, context: TextContext, scope: IndexSpaces, module: Module) -> Function:
    """The function of a field `func` whose names mean what `scope` says; types that it writes out go into `module`.

    Raises:
        MeldError: as `read_module_tree`; or the function is an import, or has exports.
    """
    reader = _ModuleReader(context, "", scope)
    reader.module = module
    reader.find_plain_types()
    head = reader.head(tree)
    if head.imported is not None or head.exports:
        raise reader.types.error(head.keyword, "a function of its own is expected, without imports and exports")
    name = None if head.name is None else reader.types.identifier(head.name)
    function = Function(_UNDEFINED, name=name, span=reader.types.span(head.name or head.keyword))
    reader.fill(Declared(head, function))
    return function


class _ModuleReader:
    def __init__(self, context: TextContext, where: str, scope: IndexSpaces | None = None) -> None:
        self.context = context
        self.scope = scope or IndexSpaces(names={space: {} for space in (*IndexSpaces.SPACES, "fields")})
        self.module = Module(scopes=[self.scope], where=where)
        self.types = TextTypes(context, self.scope, self.implicit)
        self.notes = NoteReader(context, self.scope)
        self.plain: dict[FuncType, TypeDef] = {}
        self.definitions: list[tuple[TypeDef, Head]] = []
        self.declared: list[Declared | Tree | Span] = []
        self.named, self.first = False, len(context.source.text)

    def read(self, nodes: list[Node]) -> Module:
        """The module, from the fields and what stands in front of them."""
        fields = [node for node in nodes if not isinstance(node, Token) or node.type == "ANNOTATION"]
        self.module_name(nodes)
        self.first = next((_start(node) for node in fields if isinstance(node, Tree)), self.first)
        self.read_types(fields)
        for node in fields:
            self.declare(node)
        self.notes.declare(entry for entry in self.declared if isinstance(entry, Span))
        for typedef, head in self.definitions:
            self.describe_type(typedef, head.annotations)
        for entry in self.declared:
            match entry:
                case Span():
                    self.annotation(entry)
                case Declared():
                    self.fill(entry)
                case _:
                    self.reference(entry)
        if any(custom.name == "name" for custom in self.module.customs):
            from meld.binary.names import take_names

            take_names(self.module)
        return self.module

    def implicit(self, shape: FuncType) -> TypeDef:
        """The definition of a function type that is written out: the first that is there, or a new one."""
        found = self.plain.get(shape)
        if found is None:
            found = self.plain[shape] = TypeDef(shape)
            self.module.types.append(RecGroup([found]))
            self.scope.types.append(found)
        return found

    # --- first pass ---

    def module_name(self, nodes: list[Node]) -> None:
        """The module's name: ``$name``, or that of a ``(@name "…")`` in front of all fields."""
        if len(nodes) > 1 and isinstance(nodes[1], Token) and nodes[1].type == "NAME":
            self.module.name = self.types.identifier(nodes[1])

    def read_types(self, fields: list[Node]) -> None:
        """All type definitions, which may refer to each other."""
        definitions = self.definitions
        for group, trees in rec_groups(fields):
            for tree in trees:
                head = self.head(tree)
                typedef = TypeDef(FuncType(), span=self.types.span(head.name or head.keyword))
                self.name(head, typedef, "types")
                group.types.append(typedef)
                definitions.append((typedef, head))
            self.module.types.append(group)
        for index, (typedef, head) in enumerate(definitions):
            (node,) = head.rest
            assert isinstance(node, Tree)
            self.types.define(typedef, node, index)
        self.find_plain_types()

    def find_plain_types(self) -> None:
        """Remembers the function types of the module that stand for those that are only written out."""
        for group in self.module.types:
            typedef = group.types[0] if len(group.types) == 1 else _UNDEFINED
            is_plain = typedef.final and not typedef.supers and typedef is not _UNDEFINED
            if is_plain and isinstance(typedef.shape, FuncType):
                self.plain.setdefault(typedef.shape, typedef)

    def head(self, tree: Tree) -> Head:
        """Takes a field apart."""
        nodes = tree.children
        imported = None
        if tree.data == "import_field":
            imported = self.types.import_name(nodes[1], nodes[2])
            nodes = nodes[3].children
        head = Head(nodes[0], imported=imported)
        for number, node in enumerate(nodes[1:]):
            if isinstance(node, Tree) and node.data == "inline_export":
                head.exports.append(node.children[0])
            elif isinstance(node, Tree) and node.data == "inline_import":
                head.imported = self.types.import_name(*node.children)
            elif isinstance(node, Token) and node.type == "ANNOTATION":
                head.annotations.append(self.types.span(node))
            elif isinstance(node, Token) and node.type == "NAME" and not number:
                head.name = node
            else:
                head.rest.append(node)
        return head

    def name(self, head: Head, item: Any, space: str) -> None:
        """Puts an object in its space, under its name."""
        entries = getattr(self.scope, space)
        if head.name is not None:
            item.name = self.types.identifier(head.name)
            names = self.scope.names[space]
            if item.name in names:
                shown = f"the {SINGULAR[space]} `{identifier(item.name)}`"
                raise self.types.error(head.name, f"{shown} is defined twice")
            names[item.name] = len(entries)
        entries.append(item)

    def declare(self, node: Node) -> None:
        """Makes the object of a field; its content comes later."""
        if isinstance(node, Token):
            self.declared.append(self.types.span(node))
            return
        if node.data in ("typedef", "rec"):
            return
        if node.data in ("export_field", "start"):
            self.declared.append(node)
            return
        head = self.head(node)
        span = self.types.span(head.name or head.keyword)
        item: Any
        match head.keyword.type:
            case "FUNC":
                item = Function(_UNDEFINED, imported=head.imported, span=span)
            case "TABLE":
                item = Table(FUNCREF, Limits(0), imported=head.imported, span=span)
            case "MEMORY":
                item = Memory(Limits(0), imported=head.imported, span=span)
            case "GLOBAL":
                item = Global(I32, imported=head.imported, span=span)
            case "TAG":
                item = Tag(_UNDEFINED, imported=head.imported, span=span)
            case "ELEM":
                item = ElementSegment(type=FUNCREF, span=span)
            case "DATA":
                item = DataSegment(data=b"", span=span)
            case other:
                raise AssertionError(other)
        declared = Declared(head, item)
        self.declared.append(declared)
        if isinstance(item, (ElementSegment, DataSegment)):
            self.add_segment(head, item)
            return
        self.name(head, item, SPACE_OF[type(item)])
        self.add(item, head)
        inline = next((n for n in head.rest if isinstance(n, Tree) and n.data in ("inline_elem", "inline_data")), None)
        if inline is not None:
            segment = DataSegment(data=b"") if inline.data == "inline_data" else ElementSegment(type=FUNCREF)
            segment.span = span
            declared.inline = segment
            self.add_segment(Head(head.keyword), segment)

    def add(self, item: CoreItem, head: Head) -> None:
        """Adds an item to the module."""
        if item.imported and any(getattr(self.module, space) for space in SPACE_OF.values()):
            raise self.types.error(head.keyword, "imports stand in front of all definitions")
        self.module.add(item)

    def add_segment(self, head: Head, segment: ElementSegment | DataSegment) -> None:
        """Adds a segment to the module."""
        if isinstance(segment, DataSegment):
            self.name(head, segment, "datas")
            self.module.datas.append(segment)
        else:
            self.name(head, segment, "elements")
            self.module.elements.append(segment)

    # --- second pass ---

    def annotation(self, span: Span) -> None:
        """An annotation among the fields."""
        label, parts = read_annotation(span.source, span.start, span.end)
        if label == "name":
            if self.named or span.start > self.first:
                raise MeldError("the name of a module stands in front of its fields, once", span=span)
            self.module.name, self.named = debug_name(span), True
            return
        if label.startswith("metadata.code."):
            raise MeldError(f"`@{label}` is for instructions", span=span)
        custom = custom_section(label, parts, span)
        if custom is not None:
            self.module.customs.append(custom)
            return
        note = self.notes.read(span)
        if isinstance(note, Facts):
            self.module.facts += [name for name in note.names if name not in self.module.facts]
        else:
            self.module.notes.append(note)

    def reference(self, tree: Tree) -> None:
        """An export or the start function."""
        match tree.data:
            case "start":
                if self.module.start is not None:
                    raise self.types.error(tree.children[0], "a module has one start function, and this is a second")
                self.module.start = self.item("functions", tree.children[1])
            case "export_field":
                token = tree.children[1]
                keyword, index = tree.children[2].children
                item = self.item(_SPACE_OF_KEYWORD[keyword.type], index)
                self.module.exports.append(Export(self.types.text(token), item, self.types.span(token)))
            case other:
                raise AssertionError(other)

    def item(self, space: str, token: Token) -> Any:
        """What a name or number refers to."""
        return find(self.scope, space, self.types.key(token), self.types.failing(token))

    def fill(self, entry: Declared) -> None:
        """The content of an object, its notes and its exports."""
        head, item = entry.head, entry.item
        self.notes.describe(item, head.annotations)
        for token in head.exports:
            self.module.exports.append(Export(self.types.text(token), item, self.types.span(token)))
        rest = [node for node in head.rest if not isinstance(node, Token) or node.type != "BODY"]
        body = next((node for node in head.rest if isinstance(node, Token) and node.type == "BODY"), None)
        match item:
            case Function():
                self.function(item, head, body)
            case Table():
                self.table(item, rest, body, entry.inline)
            case Memory():
                self.memory(item, rest, entry.inline)
            case Global():
                item.type, item.mutable = self.types.globaltype(rest[0])
                item.init = None if item.imported else self.expression(body)
            case Tag():
                item.type, params = self.types.typeuse(_tree(rest[0]))
                item.param_names = params.names or NO_NAMES
            case ElementSegment():
                self.element(item, rest)
            case DataSegment():
                self.datum(item, rest)
            case other:
                raise AssertionError(other)
        if body is not None and getattr(item, "imported", None):
            raise self.types.error(body, "an import has no content")

    def describe_type(self, typedef: TypeDef, annotations: list[Span]) -> None:
        """The notes on a type definition."""
        typedef.name = only_name(annotations, typedef.name)
        for span in annotations:
            if not is_name(span):
                typedef.notes.append(self.notes.read(span))

    def function(self, item: Function, head: Head, body: Token | None) -> None:
        """The type and the body of a function."""
        item.type, params = self.types.typeuse(_tree(head.rest[0]))
        signature = item.signature
        if len(params.types) < len(signature.params):
            params.types = list(signature.params)
        locals_ = [node for node in head.rest if isinstance(node, Tree) and node.data == "local"]
        count = len(params.types)
        self.types.variables(locals_, params, "local", lazy=True)
        item.local_names = params.names or NO_NAMES
        if item.imported:
            if locals_:
                raise self.types.error(head.keyword, "an import has no locals")
            return
        self.body(item, params, count, body)

    def body(self, item: Function, params: Variables, count: int, body: Token | None) -> None:
        """The body of a function: it stays text if nothing in it matters to the rest of the module."""
        start, end = (body.start_pos or 0, body.end_pos or 0) if body is not None else (0, 0)
        text = BodyText(self.context, start, end, tuple(params.types[count:]), params.indices)
        source = self.context.source.text
        item.body = lazy = TextBody(text, self.scope)
        found = recorded() if body is not None else None
        read = ReadBody(end, item)
        if found is not None:
            found.bodies[start] = read
            read.sound = found.known.get(start) == end
        if read.sound:
            return
        if is_simple(source, start, end):
            item.label_names = label_names(source, start, end) or NO_NAMES
            return
        types = len(self.scope.types)
        item.body = Code(lazy.local_types(), read_instructions(text, self.scope, self.implicit))
        read.defines = len(self.scope.types) > types
        read.sound = not read.defines

    def expression(self, token: Token | None) -> list[Instruction]:
        """A constant expression."""
        if token is None:
            return []
        text = BodyText(self.context, token.start_pos or 0, token.end_pos or 0)
        return read_instructions(text, self.scope, self.implicit)

    def table(self, item: Table, rest: list[Node], body: Token | None, inline: ElementSegment | None) -> None:
        """The type of a table, its initial value, the segment inside it."""
        if inline is None:
            item.limits = self.types.limits(_tree(rest[0]))
            item.type = self.types.reftype(rest[1])
            item.init = None if body is None else self.expression(body)
            return
        is64 = len(rest) > 2 and rest[0] == "i64"
        item.type = self.types.reftype(rest[-2])
        self.entries(inline, _tree(rest[-1]).children[1:], item.type)
        size = len(inline.entries)
        item.limits = Limits(size, size, is64)
        inline.table, inline.offset = item, [Instruction("i64.const" if is64 else "i32.const", (0,))]

    def memory(self, item: Memory, rest: list[Node], inline: DataSegment | None) -> None:
        """The limits of a memory, the segment inside it."""
        if inline is None:
            item.limits = self.types.limits(_tree(rest[0]))
            return
        is64 = rest[0] == "i64"
        sizes = [node for node in rest if isinstance(node, Tree) and node.data == "pagesize"]
        page_size = self.types.page_size(sizes[0]) if sizes else None
        inline.data = self.strings(_tree(rest[-1]).children)
        pages = -(-len(inline.data) >> (16 if page_size is None else page_size))
        item.limits = Limits(pages, pages, is64, page_size_log2=page_size)
        inline.memory, inline.offset = item, [Instruction("i64.const" if is64 else "i32.const", (0,))]

    def strings(self, nodes: list[Node]) -> bytes:
        """The bytes of all strings among some nodes."""
        return b"".join([self.types.bytes(n) for n in nodes if isinstance(n, Token) and n.type == "STRING"])

    def datum(self, item: DataSegment, rest: list[Node]) -> None:
        """A data segment."""
        item.data = self.strings(rest)
        item.offset = self.offset(rest)
        if item.offset is not None:
            index = self.target(rest, "memory_use", "memories")
            item.memory, item.explicit_memory = self.scope.memories[index or 0], index == 0

    def offset(self, rest: list[Node]) -> list[Instruction] | None:
        """The offset of a segment, None if it has none."""
        for node in rest:
            if isinstance(node, Token) and node.type == "EXPR":
                return self.expression(node)
            if isinstance(node, Tree) and node.data == "offset":
                return self.expression(node.children[0] if node.children else None)
        return None

    def target(self, rest: list[Node], rule: str, space: str) -> int | None:
        """The index of the table or memory that a segment names, None if it names none; there is one in any case."""
        for node in rest:
            if isinstance(node, Tree) and node.data == rule:
                (token,) = (t for t in node.children if t.type in ("NAME", "NUMBER"))
                return find_index(self.scope, space, self.types.key(token), self.types.failing(token))
        if not getattr(self.scope, space):
            raise MeldError(f"an active segment needs a {SINGULAR[space]}, and there is none", span=self._place(rest))
        return None

    def _place(self, rest: list[Node]) -> Span | None:
        return next((self.types.span(t) for n in rest for t in _tokens(n)), None)

    def element(self, item: ElementSegment, rest: list[Node]) -> None:
        """An element segment."""
        entries: list[Node] = []
        item.type = FUNCREF
        for position, node in enumerate(rest):
            if isinstance(node, Tree) and node.data in ("elem_funcs", "elem_exprs"):
                entries = node.children[1:]
                if node.data == "elem_exprs":
                    item.type = self.types.reftype(node.children[0])
                    item.expressions = [self.entry(entry) for entry in entries]
                break
            if isinstance(node, Token) and node.type == "DECLARE":
                item.declarative = True
            elif isinstance(node, Token) and node.type in ("NAME", "NUMBER"):
                entries = rest[position:]
                break
        if item.expressions is None:
            item.functions = [self.item("functions", _token(entry)) for entry in entries]
        item.offset = self.offset(rest)
        if item.offset is not None:
            index = self.target(rest, "table_use", "tables")
            item.table, item.explicit_table = self.scope.tables[index or 0], index == 0

    def entries(self, segment: ElementSegment, nodes: list[Node], of: RefType) -> None:
        """The entries of a segment inside a table: functions by name, or expressions."""
        indices = [n for n in nodes if isinstance(n, Token) and n.type in ("NAME", "NUMBER")]
        functions = [self.item("functions", token) for token in indices]
        if len(indices) < len(nodes):
            segment.type, segment.expressions = of, [self.entry(node) for node in nodes]
        elif of.heap is AbstractHeap.FUNC:
            segment.functions = functions
        else:
            segment.type, segment.expressions = of, [[Instruction("ref.func", (f,))] for f in functions]

    def entry(self, node: Node) -> list[Instruction]:
        """One entry of an element segment: ``(item …)`` or an instruction in parentheses."""
        if isinstance(node, Tree):
            return self.expression(node.children[0] if node.children else None)
        return self.expression(node)


_SPACE_OF_KEYWORD = {
    "FUNC": "functions",
    "TABLE": "tables",
    "MEMORY": "memories",
    "GLOBAL": "globals",
    "TAG": "tags",
}


def _tree(node: Node) -> Tree:
    assert isinstance(node, Tree)
    return node


def _start(tree: Tree) -> int:
    """Where a field begins."""
    return next((t.start_pos for t in tree.walk() if isinstance(t, Token)), 0)


def _token(node: Node) -> Token:
    assert isinstance(node, Token)
    return node


def _tokens(node: Node) -> Iterator[Token]:
    pending = [node]
    while pending:
        match pending.pop():
            case Token() as token:
                yield token
            case Tree(children=children):
                pending += reversed(children)
