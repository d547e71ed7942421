"""Core modules in the binary format (WebAssembly 3.0, section 5.5): the only place where indices are given out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from meld.binary.bodies import EncodedBody
from meld.binary.coretypes import CoreTypeWriter
from meld.binary.dwarf import Range, debug_sections, line_of
from meld.binary.encode import Encoder
from meld.binary.leb import name, section, unsigned, vector
from meld.binary.names import write_names
from meld.binary.provenance import SECTION, provenance
from meld.binary.reader import MAGIC, SECTIONS
from meld.diagnostics import MeldError
from meld.ir.instructions import Code, references
from meld.ir.module import (
    CoreItem,
    DataSegment,
    ElementSegment,
    Function,
    Global,
    Item,
    Memory,
    Module,
    Table,
    Tag,
)
from meld.ir.notes import Attributed, Traced
from meld.ir.numbering import Numbering
from meld.ir.types import FUNCREF

Piece: TypeAlias = bytes | memoryview
KINDS: dict[type[Item], int] = {Function: 0, Table: 1, Memory: 2, Global: 3, Tag: 4}


def write_module(module: Module) -> bytes:
    """The binary of a module, the same bytes each time.

    Raises:
        MeldError: something refers to an object that is not in the module, or a body that is still encoded is
            malformed.
    """
    writer = _Writer(module)
    sections = writer.sections()
    parts = list(writer.parts(sections))
    if module.notes_of(Traced):
        code = [(start, end) for _, start, end in writer.bodies(sections[10])]
        parts.append(section(0, name(SECTION) + provenance(module, code, parts)))
    return b"".join(parts)


class _Writer:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.numbering = Numbering(module)
        self.types = CoreTypeWriter(self.numbering.type)
        self.encoder = Encoder(self.numbering)
        self.announced = False  # data segments, which bodies that name some need

    def parts(self, sections: dict[int, list[Piece] | bytes]) -> Iterator[bytes]:
        """The module in pieces, of its sections and what belongs between and behind them."""
        yield MAGIC
        yield from self.customs("before first")
        for number, label in SECTIONS.items():
            items = sections.get(number)
            if items is not None:
                payload = items if isinstance(items, bytes) else vector(items) if items else b""
                if payload:
                    yield section(number, payload)
            yield from self.customs(f"after {label}")
        yield write_names(self.module)
        if self.module.notes_of(Attributed):
            for label, data in debug_sections(list(self.ranges(sections[10]))).items():
                yield section(0, name(label) + data)

    def bodies(self, bodies: list[Piece] | bytes) -> Iterator[tuple[Function, int, int]]:
        """Where the functions lie in the contents of the code section: start, behind the size, and end."""
        assert isinstance(bodies, list)
        position = len(unsigned(len(bodies)))
        for function, body in zip(self.module.functions, bodies, strict=True):
            end = position + len(body)
            yield function, position + _prefix(body), end
            position = end

    def ranges(self, bodies: list[Piece] | bytes) -> Iterator[Range]:
        """Where the functions that the compiler made lie in the code section."""
        for function, start, end in self.bodies(bodies):
            if function.synthetic is not None:
                yield Range(function.name or "", start, end, line_of(function.synthetic))

    def customs(self, place: str) -> Iterator[bytes]:
        for custom in self.module.customs:
            if custom.place == place:
                yield section(0, name(custom.name) + bytes(custom.data))

    def sections(self) -> dict[int, list[Piece] | bytes]:
        """Payload per section id; for a vector its items."""
        module = self.module
        bulk = self.bulk()
        bodies = [bulk.get(number) or self.body(f) for number, f in enumerate(module.functions)]
        sections: dict[int, list[Piece] | bytes] = {
            1: [self.types.rec_group(group) for group in module.types],
            2: [self.import_(item) for item in module.imports],
            3: [unsigned(self.numbering.type(f.type)) for f in module.functions],
            4: [self.table(table) for table in module.tables],
            5: [self.types.limits(memory.limits) for memory in module.memories],
            13: [self.types.tag(tag.type) for tag in module.tags],
            6: [self.global_(item) for item in module.globals],
            7: [name(e.name) + bytes((KINDS[type(e.item)],)) + self.index(e.item) for e in module.exports],
            9: [self.element(segment) for segment in module.elements],
            10: bodies,
            11: [self.datum(segment) for segment in module.datas],
        }
        if module.start is not None:
            sections[8] = self.index(module.start)
        if self.announced:
            sections[12] = unsigned(len(module.datas))
        return sections

    def index(self, item: CoreItem) -> bytes:
        return unsigned(self.numbering.of_item(item))

    def import_(self, item: CoreItem) -> bytes:
        assert item.imported is not None
        head = name(item.imported.module) + name(item.imported.field) + bytes((KINDS[type(item)],))
        match item:
            case Function(type=t):
                return head + unsigned(self.numbering.type(t))
            case Table():
                return head + self.types.table(item.type, item.limits)
            case Memory():
                return head + self.types.limits(item.limits)
            case Global():
                return head + self.types.globaltype(item.type, item.mutable)
            case Tag():
                return head + self.types.tag(item.type)

    def table(self, table: Table) -> bytes:
        plain = self.types.table(table.type, table.limits)
        return plain if table.init is None else b"\x40\0" + plain + self.encoder.expression(table.init)

    def global_(self, item: Global) -> bytes:
        assert item.init is not None
        return self.types.globaltype(item.type, item.mutable) + self.encoder.expression(item.init)

    def element(self, segment: ElementSegment) -> bytes:
        out: list[bytes] = []
        flags = 4 if segment.functions is None else 0
        if segment.table is not None:
            assert segment.offset is not None
            table = self.numbering.index("tables", segment.table)
            if table or segment.explicit_table or (flags and segment.type != FUNCREF):
                flags |= 2
                out.append(unsigned(table))
            out.append(self.encoder.expression(segment.offset))
        else:
            flags |= 3 if segment.declarative else 1
        if segment.functions is None:
            assert segment.expressions is not None
            out += [self.types.reftype(segment.type)] if flags & 3 else []
            out.append(vector([self.encoder.expression(e) for e in segment.expressions]))
        else:
            out += [b"\0"] if flags & 3 else []
            out.append(vector([self.index(f) for f in segment.functions]))
        return unsigned(flags) + b"".join(out)

    def datum(self, segment: DataSegment) -> bytes:
        data = unsigned(len(segment.data)) + bytes(segment.data)
        if segment.memory is None:
            return b"\x01" + data
        assert segment.offset is not None
        memory = self.numbering.index("memories", segment.memory)
        head = b"\x02" + unsigned(memory) if memory or segment.explicit_memory else b"\0"
        return head + self.encoder.expression(segment.offset) + data

    def bulk(self) -> dict[int, Piece]:
        """The bodies, behind their sizes, that can be written all at once, by the number of the function."""
        groups: dict[tuple[int, int], list[tuple[int, EncodedBody]]] = {}
        for number, function in enumerate(self.module.functions):
            body = function.body
            if isinstance(body, EncodedBody):
                groups.setdefault((id(body.raw.section), id(body.scope)), []).append((number, body))
        found: dict[int, Piece] = {}
        for group in groups.values():
            section, scope = group[0][1].raw.section, group[0][1].scope
            written = section.rewritten(scope, self.numbering, [body.raw.number for _, body in group])
            if written is not None:
                bodies, names_data = written
                self.announced = self.announced or names_data
                found.update(zip((number for number, _ in group), bodies, strict=True))
        return found

    def body(self, function: Function) -> bytes:
        try:
            encoded = self._body(function)
        except MeldError as e:
            if e.where is None:
                e.within(f"function `{function.name}`" if function.name else "a function without a name")
            raise
        return unsigned(len(encoded)) + encoded

    def _body(self, function: Function) -> bytes:
        body = function.body
        if isinstance(body, EncodedBody):
            self.announced = self.announced or any(site[2] == "datas" for site in body.sites())
            return bytes(body.encoded(self.numbering))
        code = function.view()
        if not self.announced:
            self.announced = _names_data(code)
        return self.encoder.body(code)


def _prefix(body: Piece) -> int:
    """How many bytes the size in front of a body takes."""
    return next(i for i, byte in enumerate(body, 1) if byte < 128)


def _names_data(code: Code) -> bool:
    return any(isinstance(used, DataSegment) for i in code.instructions for used in references(i))
