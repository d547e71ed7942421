"""Components from the binary format (Component Model, Binary.md). Every index becomes a reference to a definition."""

from __future__ import annotations

from collections.abc import Callable

from meld.binary.component.canon import CanonReader
from meld.binary.component.codes import MAX_NESTING, MAX_START_RESULTS, PREAMBLE, SECTION_BY_ID, Section
from meld.binary.component.names import SECTION_NAME, read_names
from meld.binary.component.pieces import core_sort, extern_name, optional, reference, sort, too_deep
from meld.binary.component.spaces import Spaces
from meld.binary.component.types import TypeReader
from meld.binary.cursor import Cursor
from meld.binary.limits import MAX_INNER, inner_excess
from meld.binary.reader import MAGIC as MODULE_PREAMBLE
from meld.binary.reader import read_module
from meld.ir.component import (
    EXTERN_SORTS,
    Component,
    ComponentInstance,
    CoreInlineInstance,
    CoreInstance,
    CoreModule,
    Custom,
    Definition,
    Export,
    ExternName,
    Import,
    InlineInstance,
    NestedComponent,
    Sort,
    StartDefinition,
    ValueResult,
)
from meld.ir.module import CustomSection


def read_component(data: bytes | memoryview, where: str = "") -> Component:
    """Reads a component with all that is nested in it. Bodies of core functions stay encoded.

    Args:
        data: the component, from its magic number on.
        where: its name, for messages. What is nested is named after it: ``a.wasm: component 1: core module 0``.

    Raises:
        MeldError: the binary is malformed; the place is ``where: offset 0x…`` in `data`.
    """
    root = _Reader(Cursor(data, where))
    stack = [root]
    while stack:
        nested = stack[-1].advance()
        if nested is not None:
            stack.append(nested)
            continue
        done = stack.pop()
        if stack:
            stack[-1].define(NestedComponent(done.component))
    return root.component


class _Reader:
    """Reads one component; stops at each nested one until that has been read."""

    def __init__(self, c: Cursor, parent: _Reader | None = None) -> None:
        self.c = c
        self.component = Component(where=c.where)
        self.spaces: Spaces = Spaces(parent.spaces if parent is not None else None)
        self.inner: list[int] = parent.inner if parent is not None else []  # where what is nested begins, at all depths
        self.types = TypeReader(self.spaces)
        self.canon = CanonReader(self.types)
        self.names: list[Cursor] = []
        self._vectors: dict[Section, tuple[str, Callable[[Cursor], Definition]]] = {
            Section.CORE_INSTANCE: ("core instances", self.core_instance),
            Section.INSTANCE: ("instances", self.instance),
            Section.ALIAS: ("aliases", self.types.alias),
            Section.TYPE: ("types", self.types.type),
            Section.CANON: ("canonical definitions", self.canon.definition),
            Section.IMPORT: ("imports", lambda c: Import(extern_name(c), self.types.externtype(c))),
            Section.EXPORT: ("exports", self.export),
        }
        self.preamble()

    def preamble(self) -> None:
        """The magic number, version and layer."""
        c = self.c
        found = bytes(c.data[c.pos : min(c.pos + 8, c.end)])
        if found == PREAMBLE:
            c.pos += 8
        elif found == MODULE_PREAMBLE:
            raise c.error("this is a core module where a component is due")
        elif found[:4] == PREAMBLE[:4] and found[6:] == PREAMBLE[6:]:
            version = int.from_bytes(found[4:6], "little")
            raise c.error(
                f"component format version {version}; version 13 is understood", hint="rebuild it with current tools"
            )
        else:
            raise c.error("not a component: the magic number or the version is another")

    def define(self, item: Definition) -> None:
        """Adds a definition, with the next index of its sort."""
        self.component.definitions.append(item)
        self.spaces.define(item)

    def advance(self) -> _Reader | None:
        """Reads up to the next nested component, or to the end; that component's reader, or None at the end."""
        c = self.c
        while c.more():
            at = c.pos
            number = c.u8("section id")
            size = c.u32("size of a section")
            kind = SECTION_BY_ID.get(number)
            if kind is None:
                hint = "value definitions are not supported" if number == 12 else None
                raise c.error(f"unknown section {number}", at, hint=hint)
            section = c.sub(size, f"section {number}")
            if kind is Section.COMPONENT:
                return self.nested(section, at)
            self.section(kind, section)
            if section.more():
                raise section.error(f"the section ({kind.name.lower().replace('_', ' ')}) has bytes after its end")
        for names in self.names:
            if rest := read_names(self.component, self.spaces.of, names):
                self.define(Custom(CustomSection(SECTION_NAME, rest)))
        return None

    def nested(self, section: Cursor, at: int) -> _Reader:
        """The reader of a nested component."""
        if self.spaces.depth + 1 >= MAX_NESTING:
            raise too_deep(self.c, at)
        self.count_inner(at)
        section.where = self.place("component", Sort.COMPONENT)
        return _Reader(section, self)

    def count_inner(self, at: int) -> None:
        """Counts a core module or a component in this one. Raises MeldError if there are too many."""
        self.inner.append(at)
        if len(self.inner) > MAX_INNER:
            raise self.c.error(inner_excess(), at)

    def place(self, what: str, of: Sort) -> str:
        """The name for messages of the next definition of a sort that is nested here."""
        own = f"{what} {len(self.spaces.of(of))}"
        return f"{self.c.where}: {own}" if self.c.where else own

    def section(self, kind: Section, c: Cursor) -> None:
        """Reads a section."""
        match kind:
            case Section.CUSTOM:
                self.custom(c)
            case Section.CORE_MODULE:
                self.count_inner(c.pos)
                data = c.take(c.end - c.pos, "core module")
                where = self.place("core module", Sort.CORE_MODULE)
                self.define(CoreModule(read_module(data, where, c.base + c.pos - len(data))))
            case Section.CORE_TYPE:
                for _ in range(c.count("core types")):
                    self.component.definitions += self.types.core_type(c)
            case Section.START:
                self.start(c)
            case _:
                what, read = self._vectors[kind]
                for _ in range(c.count(what)):
                    self.define(read(c))

    def custom(self, c: Cursor) -> None:
        """A custom section: names are understood, others are carried."""
        label = c.name("name of a custom section")
        if label == SECTION_NAME:
            self.names.append(Cursor(c.data, c.where, c.pos, c.end, c.base))
        else:
            self.define(Custom(CustomSection(label, c.data[c.pos : c.end])))
        c.pos = c.end

    def core_instance(self, c: Cursor) -> Definition:
        """A core instance."""
        at = c.pos
        match c.u8("core instance"):
            case 0x00:
                module = reference(c, self.spaces, Sort.CORE_MODULE)
                return CoreInstance(module, [self.core_arg(c) for _ in range(c.count("arguments"))])
            case 0x01:
                return CoreInlineInstance([self.core_export(c) for _ in range(c.count("exports"))])
            case other:
                raise c.error(f"unknown form {other:#04x} of a core instance", at)

    def core_arg(self, c: Cursor) -> tuple[str, Definition]:
        name = c.name("name of an argument")
        at = c.pos
        if core_sort(c) is not Sort.CORE_INSTANCE:
            raise c.error(f'the argument "{name}" of a core module is not an instance', at)
        return name, reference(c, self.spaces, Sort.CORE_INSTANCE)

    def core_export(self, c: Cursor) -> tuple[str, Definition]:
        return c.name("name of an export"), reference(c, self.spaces, core_sort(c))

    def instance(self, c: Cursor) -> Definition:
        """An instance."""
        at = c.pos
        match c.u8("instance"):
            case 0x00:
                component = reference(c, self.spaces, Sort.COMPONENT)
                return ComponentInstance(component, [self.arg(c) for _ in range(c.count("arguments"))])
            case 0x01:
                return InlineInstance([self.inline_export(c) for _ in range(c.count("exports"))])
            case other:
                raise c.error(f"unknown form {other:#04x} of an instance", at)

    def arg(self, c: Cursor) -> tuple[str, Definition]:
        return c.name("name of an argument"), self.item(c)

    def inline_export(self, c: Cursor) -> tuple[ExternName, Definition]:
        return extern_name(c), self.item(c)

    def item(self, c: Cursor) -> Definition:
        """A sort and an index: something that can be exported."""
        at = c.pos
        of = sort(c)
        if of not in EXTERN_SORTS:
            raise c.error(f"a definition of sort {of.value} cannot be an argument or export of a component", at)
        return reference(c, self.spaces, of)

    def export(self, c: Cursor) -> Definition:
        """An export."""
        extern, target = extern_name(c), self.item(c)
        return Export(extern, target, optional(c, "type of an export", lambda: self.types.externtype(c)))

    def start(self, c: Cursor) -> None:
        """A start definition."""
        function = reference(c, self.spaces, Sort.FUNC)
        args = [reference(c, self.spaces, Sort.VALUE) for _ in range(c.count("arguments"))]
        at = c.pos
        results = c.u32("number of results")
        if results > MAX_START_RESULTS:
            raise c.error(f"a start function with {results} results; {MAX_START_RESULTS} are allowed", at)
        self.define(StartDefinition(function, args, [ValueResult() for _ in range(results)]))
