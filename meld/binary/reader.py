"""Core modules from the binary format (WebAssembly 3.0, section 5.5). Bodies stay encoded."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable

from meld.binary.bodies import BRANCH_HINTS, EncodedBody
from meld.binary.coretypes import CoreTypeReader, unknown_code
from meld.binary.cursor import Cursor
from meld.binary.decode import InstructionReader
from meld.binary.limits import MAX_BODY
from meld.binary.names import SECTION_NAME, read_names
from meld.binary.section import CodeSection
from meld.ir import proposals
from meld.ir.instructions import IndexSpaces, Instruction
from meld.ir.module import (
    SPACE_OF,
    CoreItem,
    CustomSection,
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
from meld.ir.types import FUNCREF, TypeDef

I32_CONST, END = 0x41, 0x0B
MAGIC = b"\0asm\x01\0\0\0"

SECTIONS = {
    1: "type",
    2: "import",
    3: "func",
    4: "table",
    5: "memory",
    13: "tag",
    6: "global",
    7: "export",
    8: "start",
    9: "elem",
    12: "datacount",
    10: "code",
    11: "data",
}
"""Section ids in the order in which sections come, with their names in text."""

_RANK = {number: rank for rank, number in enumerate(SECTIONS)}


def read_module(data: bytes | memoryview, where: str = "", base: int = 0) -> Module:
    """Reads a core module.

    Args:
        data: the module, from its magic number on.
        where: its name, for messages.
        base: offset of `data` in its file, for messages.

    Raises:
        MeldError: the binary is malformed.
    """
    return _Reader(data, where, base).read()


DATA_INSTRUCTIONS = frozenset({"memory.init", "data.drop", "array.new_data", "array.init_data"})
_NAMES_DATA = rb"\xfc(?:[\x08\x09]|[\x88\x89]\x80*\x00)|\xfb(?:[\x09\x12]|[\x89\x92]\x80*\x00)"
"""Bytes that may be the opcode of an instruction that names a data segment."""


class _Reader:
    def __init__(self, data: bytes | memoryview, where: str, base: int) -> None:
        self.c = Cursor(data, where, base=base)
        self.scope = IndexSpaces()
        self.module = Module(scopes=[self.scope], where=where)
        self.types = CoreTypeReader(self.scope.types)
        self.declared: list[TypeDef] = []
        self.bodies = 0
        self.data_count: int | None = None
        self.names: list[Cursor] = []
        self.debug: dict[str, bytes | memoryview] = {}
        self.hints: CustomSection | None = None

    def read(self) -> Module:
        c, module = self.c, self.module
        if bytes(c.data[:8]) != MAGIC:
            raise c.error("not a core module: the magic number or the version is another")
        c.pos = 8
        last, rank = 0, -1
        read: dict[int, Callable[[Cursor], None]] = {
            1: self.type_section,
            2: lambda s: self.each(s, "imports", self.import_),
            3: lambda s: self.each(s, "functions", lambda s: self.declared.append(self.types.functype(s))),
            4: lambda s: self.each(s, "tables", self.table),
            5: lambda s: self.each(s, "memories", lambda s: self.define(Memory(self.types.limits(s, "memory")))),
            13: lambda s: self.each(s, "tags", lambda s: self.define(Tag(self.types.tag(s)))),
            6: lambda s: self.each(s, "globals", self.global_),
            7: lambda s: self.each(s, "exports", self.export),
            8: self.start,
            9: lambda s: self.each(s, "element segments", self.element),
            12: self.datacount,
            10: self.code,
            11: lambda s: self.each(s, "data segments", self.datum),
        }
        while c.more():
            at = c.pos
            number = c.u8("section id")
            size = c.u32("size of a section")
            if number and number not in SECTIONS:
                raise c.error(f"unknown section {number}", at)
            section = c.sub(size, f"section {number}")
            if number == 0:
                self.custom(section, last)
                continue
            if _RANK[number] <= rank:
                raise c.error(f"the {SECTIONS[number]} section is repeated or out of order", at)
            last, rank = number, _RANK[number]
            if number == 3:
                read[number](section)
                self.declare_functions()
            else:
                read[number](section)
            if section.more():
                raise section.error(f"the {SECTIONS[number]} section has bytes after its end")
        if self.bodies != len(self.declared):
            raise c.error(f"{len(self.declared)} functions and {self.bodies} function bodies")
        if self.data_count not in (None, len(module.datas)):
            raise c.error(f"{self.data_count} data segments announced, {len(module.datas)} there")
        if self.data_count is None:
            self.no_data_named()
        for names in self.names:
            if rest := read_names(module, names):
                module.customs.append(CustomSection(SECTION_NAME, rest))
        return module

    def each(self, c: Cursor, what: str, read: Callable[[Cursor], None]) -> None:
        for _ in range(c.count(what)):
            read(c)

    def define(self, item: CoreItem) -> None:
        self.module.add(item)
        self._space_of(item).append(item)

    def _space_of(self, item: CoreItem) -> list[CoreItem]:
        space: list[CoreItem] = getattr(self.scope, SPACE_OF[type(item)])
        return space

    def custom(self, c: Cursor, last: int) -> None:
        label = c.name("name of a custom section")
        if label == SECTION_NAME:
            self.names.append(c)
            return
        place = f"after {SECTIONS[last]}" if last else "before first"
        self.module.customs.append(CustomSection(label, c.take(c.end - c.pos, label), place))
        if label.startswith(".debug_"):
            self.debug.setdefault(label, self.module.customs[-1].data)
        elif label == BRANCH_HINTS and last != 10:
            self.hints = self.module.customs[-1]

    def type_section(self, c: Cursor) -> None:
        for _ in range(c.count("types")):
            self.module.types.append(self.types.rec_group(c))

    def import_(self, c: Cursor) -> None:
        """One import, or a group of them under one module name (the compact import section), which is taken apart."""
        module = c.name("module name of an import")
        field = c.name("name of an import")
        kind = c.u8("kind of an import")
        if not field and kind == 0x7F:
            for _ in range(c.count("imports")):
                imported = ImportName(module, c.name("name of an import"))
                self.define(self.described(c, c.u8("kind of an import"), imported))
        elif not field and kind == 0x7E:
            type_at = c.pos + 1
            kind = c.u8("kind of an import")
            self.described(c, kind, ImportName(module, ""))
            for name in [c.name("name of an import") for _ in range(c.count("imports"))]:
                again = Cursor(c.data, c.where, type_at, c.end, c.base)
                self.define(self.described(again, kind, ImportName(module, name)))
        else:
            self.define(self.described(c, kind, ImportName(module, field)))

    def described(self, c: Cursor, kind: int, imported: ImportName) -> CoreItem:
        match kind:
            case 0:
                return Function(self.types.functype(c), imported=imported)
            case 1:
                return Table(*self.types.table(c), imported=imported)
            case 2:
                return Memory(self.types.limits(c, "memory"), imported=imported)
            case 3:
                return Global(*self.types.globaltype(c), imported=imported)
            case 4:
                return Tag(self.types.tag(c), imported=imported)
        raise unknown_code(c, f"malformed kind {kind:#04x} of an import", c.pos - 1, proposals.IMPORT_KINDS)

    def declare_functions(self) -> None:
        functions = [Function(typedef) for typedef in self.declared]
        self.module.functions += functions
        self.scope.functions += functions

    def table(self, c: Cursor) -> None:
        if c.peek() != 0x40:
            self.define(Table(*self.types.table(c)))
            return
        c.pos += 1
        if c.u8("table with an initial value") != 0:
            raise c.error("malformed table", c.pos - 1)
        item = Table(*self.types.table(c))
        item.init = self.expression(c)
        self.define(item)

    def global_(self, c: Cursor) -> None:
        item = Global(*self.types.globaltype(c))
        item.init = self.expression(c)
        self.define(item)

    def expression(self, c: Cursor) -> list[Instruction]:
        start, data = c.pos, c.data
        if start < c.end and data[start] == I32_CONST:  # what nearly all offsets are, and large programs have many
            c.pos += 1
            value = c.s32("i32 constant")
            if c.pos < c.end and data[c.pos] == END:
                c.pos += 1
                return [Instruction("i32.const", (value,))]
            c.pos = start
        return InstructionReader(c, self.scope).expression()

    def item(self, c: Cursor, space: str) -> CoreItem:
        found: CoreItem = InstructionReader(c, self.scope).item(space)
        return found

    def export(self, c: Cursor) -> None:
        label = c.name("name of an export")
        at = c.pos
        kind = c.u8("kind of an export")
        spaces = ("functions", "tables", "memories", "globals", "tags")
        if kind >= len(spaces):
            raise c.error(f"malformed kind {kind:#04x} of an export", at)
        self.module.exports.append(Export(label, self.item(c, spaces[kind])))

    def start(self, c: Cursor) -> None:
        item = self.item(c, "functions")
        assert isinstance(item, Function)
        self.module.start = item

    def element(self, c: Cursor) -> None:
        at = c.pos
        flags = c.u32("flags of an element segment")
        if flags > 7:
            raise c.error(f"malformed flags {flags} of an element segment", at)
        segment = ElementSegment(type=FUNCREF, declarative=flags & 3 == 3)
        if not flags & 1:
            table = self.item(c, "tables") if flags & 2 else self.first(c, "tables", "table")
            assert isinstance(table, Table)
            segment.table, segment.explicit_table = table, bool(flags & 2) and table is self.scope.tables[0]
            segment.offset = self.expression(c)
        if flags & 4:
            if flags & 3:
                segment.type = self.types.reftype(c)
            segment.expressions = [self.expression(c) for _ in range(c.count("entries of an element segment"))]
        else:
            if flags & 3 and c.u8("kind of an element segment") != 0:
                raise c.error("malformed kind of an element segment", c.pos - 1)
            read = InstructionReader(c, self.scope).item
            segment.functions = [read("functions") for _ in range(c.count("entries of an element segment"))]
        self.module.elements.append(segment)
        self.scope.elements.append(segment)

    def first(self, c: Cursor, space: str, what: str) -> CoreItem:
        items: list[CoreItem] = getattr(self.scope, space)
        if not items:
            raise c.error(f"an active segment, and no {what}")
        return items[0]

    def datacount(self, c: Cursor) -> None:
        self.data_count = c.u32("number of data segments")
        # bodies come before the data section and may name its segments
        if self.data_count > len(self.c.data):
            raise c.error(f"{self.data_count} data segments announced, {len(self.c.data)} bytes in all")
        self.scope.datas += [DataSegment(data=b"") for _ in range(self.data_count)]

    def code(self, c: Cursor) -> None:
        at = c.pos
        count = c.count("function bodies")
        if count > len(self.declared):
            raise c.error(f"more function bodies than functions ({len(self.declared)})", at)
        section = CodeSection(c.data[c.pos : c.end], c.where, c.base + c.pos, head=c.pos - at, debug=self.debug)
        begin, scope = c.pos, self.scope
        starts, ends = section.starts, section.ends
        for number, function in enumerate(self.module.functions[:count]):
            at = c.pos
            size = c.u32("size of a function body")
            if size > MAX_BODY:
                raise c.error(f"a function body of {size} bytes; engines take {MAX_BODY} at most", at)
            starts.append(c.pos - begin)
            c.skip(size, "function body")
            ends.append(c.pos - begin)
            function.body = EncodedBody(section, number, scope)
        self.bodies = count
        if self.hints is not None:
            from meld.binary.branch_hints import read_hints

            if read_hints(self.hints.data, section, len(scope.functions) - len(self.declared)):
                self.module.customs.remove(self.hints)  # the writer makes it anew

    def no_data_named(self) -> None:
        """Without a data count no instruction may name a data segment: who reads in one go cannot know it there."""
        body = self.module.functions[0].body if self.bodies else None
        if not isinstance(body, EncodedBody):
            return
        section = body.section
        for match in re.finditer(_NAMES_DATA, section.data):
            number = bisect_right(section.starts, match.start()) - 1
            function = self.module.functions[number]
            if isinstance(function.body, EncodedBody) and any(
                one.op in DATA_INSTRUCTIONS for one in function.body.decode().instructions
            ):
                raise self.c.error("a function names a data segment, and there is no datacount section", self.c.pos)

    def datum(self, c: Cursor) -> None:
        at = c.pos
        flags = c.u32("flags of a data segment")
        if flags > 2:
            raise c.error(f"malformed flags {flags} of a data segment", at)
        datas = self.module.datas
        if self.data_count is None:
            segment = DataSegment(data=b"")
            self.scope.datas.append(segment)
        elif len(datas) < self.data_count:
            segment = self.scope.datas[len(datas)]
        else:
            raise c.error(f"more data segments than announced ({self.data_count})", at)
        if flags != 1:
            memory = self.item(c, "memories") if flags == 2 else self.first(c, "memories", "memory")
            assert isinstance(memory, Memory)
            segment.memory, segment.explicit_memory = memory, flags == 2 and memory is self.scope.memories[0]
            segment.offset = self.expression(c)
        segment.data = c.take(c.u32("size of a data segment"), "data segment")
        datas.append(segment)
