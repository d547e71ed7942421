"""Core modules in the binary format (WebAssembly 3.0, section 5.5): the only place where indices are given out."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from meld.binary.bodies import BRANCH_HINTS, EncodedBody, branch_hints
from meld.binary.coretypes import CoreTypeWriter
from meld.binary.debug.dwarf import Subprogram, Unit, debug_sections, generated, line_of
from meld.binary.debug.provenance import SECTION, compact, provenance
from meld.binary.encode import Encoder
from meld.binary.leb import name, section_pieces, unsigned, vector
from meld.binary.limits import check_body, check_locals
from meld.binary.names import SECTION_NAME, write_names
from meld.binary.reader import MAGIC, SECTIONS
from meld.binary.section import CodeSection
from meld.diagnostics import MeldError
from meld.ir.instructions import Code, IndexSpaces, LazyBody, references
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

if TYPE_CHECKING:
    from meld.binary.kernel import Written
    from meld.support.ahead import Background

Piece: TypeAlias = bytes | memoryview
Groups: TypeAlias = "dict[tuple[CodeSection, IndexSpaces], Background[Written] | None]"
"""Sections with the scope that their bodies are over, and what the kernel writes of them."""

CODE = 10
SHORT = 4096
"""Bytes of a data segment that are copied sooner than kept as a piece."""
BEHIND_NAMES = frozenset({"producers", "target_features"})
KINDS: dict[type[Item], int] = {Function: 0, Table: 1, Memory: 2, Global: 3, Tag: 4}


def write_module(module: Module) -> bytes:
    """The binary of a module, the same bytes each time.

    Raises:
        MeldError: something refers to an object that is not in the module, or a body that is still encoded is
            malformed. Whether engines take as much is asked where a product is written (`meld.binary.limits`).
    """
    return b"".join(module_pieces(module))


def module_pieces(module: Module) -> list[Piece]:
    """The binary of a module in pieces, some of which lie in what was read, so that little is copied."""
    writer = _Writer(module)
    parts = list(writer.parts())
    for traced in module.notes_of(Traced)[:1]:
        made = compact(module, parts) if traced.compact else provenance(module, writer.code.places(), parts)
        parts += section_pieces(0, [name(SECTION), made])
    return parts


class Bodies:
    """The contents of a code section, behind the count, as they are put together."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.sizes = array("I")  # of each function, with the size in front of its body
        self._written: Written | None = None  # what the last bodies are part of, from where to where
        self._start = self._end = 0

    def add(self, body: Piece) -> None:
        """Adds a body, behind its size."""
        self.flush()
        self.pieces.append(body)
        self.sizes.append(len(body))

    def add_part(self, written: Written, number: int) -> None:
        """Adds a body that the kernel has written."""
        start, end = written.ends[number - 1] if number else 0, written.ends[number]
        if written is not self._written or start != self._end:
            self.flush()
            self._written, self._start = written, start
        self._end = end
        self.sizes.append(end - start)

    def flush(self) -> None:
        """Makes one piece of bodies that lie one behind the other."""
        if self._written is not None:
            self.pieces.append(self._written.data[self._start : self._end])
            self._written = None

    def places(self) -> Iterator[tuple[int, int]]:
        """Where the bodies lie in the contents of the section: start, behind the size, and end."""
        end = len(unsigned(len(self.sizes)))
        for size in self.sizes:
            start, end = end + _prefix(size), end + size
            yield start, end


def _prefix(size: int) -> int:
    """How many bytes of an entry say how long its body is."""
    return 1 + (size > 0x80) + (size > 0x4001) + (size > 0x200002) + (size > 0x10000003)


def _vector(items: list[Piece] | list[bytes], count: int | None = None) -> list[Piece]:
    """A vector in pieces; nothing if it is empty, since its section is left out then."""
    count = len(items) if count is None else count
    return [unsigned(count), *items] if count else []


def _written(ahead: Background[Written] | None) -> Written | None:
    """What the kernel wrote; None where Python has to write."""
    if ahead is None:
        return None
    from meld.binary.kernel import Refused

    try:
        return ahead.get()
    except Refused:
        return None


class _Writer:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.numbering = Numbering(module)
        self.types = CoreTypeWriter(self.numbering.type)
        self.encoder = Encoder(self.numbering)
        self.announced = False  # data segments, which bodies that name some need
        self.code = Bodies()
        self.hinted: dict[Function, dict[int, bool]] = {}

    def parts(self) -> Iterator[Piece]:
        """The module in pieces, of its sections and what belongs between and behind them."""
        sections = self.sections()
        yield MAGIC
        yield from self.customs("before first")
        numbers = list(SECTIONS)
        last = max((i for i, number in enumerate(numbers) if sections.get(number)), default=0)
        for number in numbers[:last]:
            if number == CODE:
                yield from self.branch_hints()
            if pieces := sections.get(number):
                yield from section_pieces(number, pieces)
            yield from self.customs(f"after {SECTIONS[number]}")
        if numbers[last] == CODE:
            yield from self.branch_hints()
        if pieces := sections.get(numbers[last]):
            yield from section_pieces(numbers[last], pieces)
        yield from self.last_customs([f"after {SECTIONS[number]}" for number in numbers[last:]])
        if self.module.notes_of(Attributed):
            for label, data in debug_sections(self.debug_units()).items():
                yield from section_pieces(0, [name(label), data])

    def branch_hints(self) -> Iterator[Piece]:
        """The section with the hints of the bodies, if there are any."""
        if self.hinted:
            from meld.binary.branch_hints import hints_section

            places = list(self.code.places())
            contents = b"".join([unsigned(len(places)), *self.code.pieces])
            code = [contents[start:end] for start, end in places]
            imported = len(self.module.space("functions")) - len(places)
            made = hints_section(self.module.functions, imported, self.hinted, code)
            yield from section_pieces(0, [name(BRANCH_HINTS), made])

    def debug_units(self) -> list[Unit]:
        """Where the functions come from: what the compiler made, and what the inputs say of theirs."""
        places = list(self.code.places())
        made = [
            Subprogram(function.name or "", start, end, line_of(function.synthetic))
            for function, (start, end) in zip(self.module.functions, places, strict=True)
            if function.synthetic is not None
        ]
        found = [generated(made)] if made else []
        if any(_has_lines(f.body) for f in self.module.functions):
            from meld.binary.debug.source_lines import units

            contents = b"".join([unsigned(len(places)), *self.code.pieces])
            found += units(self.module.functions, places, [contents[start:end] for start, end in places])
        return found

    def last_customs(self, places: Sequence[str]) -> Iterator[Piece]:
        """What comes behind the last section, and among it the names: some tools want `producers` behind them."""
        named = False
        for custom in (custom for place in places for custom in self.module.customs if custom.place == place):
            if custom.name == SECTION_NAME:
                continue
            if custom.name in BEHIND_NAMES and not named:
                yield write_names(self.module)
                named = True
            yield from section_pieces(0, [name(custom.name), custom.data])
        if not named:
            yield write_names(self.module)

    def customs(self, place: str) -> Iterator[Piece]:
        for custom in self.module.customs:
            if custom.place == place and custom.name != SECTION_NAME:
                yield from section_pieces(0, [name(custom.name), custom.data])

    def sections(self) -> dict[int, list[Piece]]:
        """The contents of each section, in pieces."""
        module, functions = self.module, self.module.functions
        bodies = self.begin_bodies()
        sections: dict[int, list[Piece]] = {
            1: _vector([self.types.rec_group(group) for group in module.types]),
            2: _vector([self.import_(item) for item in module.imports]),
            3: _vector([b"".join([unsigned(self.numbering.type(f.type)) for f in functions])], len(functions)),
            4: _vector([self.table(table) for table in module.tables]),
            5: _vector([self.types.limits(memory.limits) for memory in module.memories]),
            13: _vector([self.types.tag(tag.type) for tag in module.tags]),
            6: _vector([self.global_(item) for item in module.globals]),
            7: _vector([name(e.name) + bytes((KINDS[type(e.item)],)) + self.index(e.item) for e in module.exports]),
            9: _vector([self.element(segment) for segment in module.elements]),
            11: _vector(self.data(), len(module.datas)),
        }
        self.write_bodies(bodies)
        sections[10] = _vector(self.code.pieces, len(functions))
        if module.start is not None:
            sections[8] = [self.index(module.start)]
        if self.announced:
            sections[12] = [unsigned(len(module.datas))]
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

    def data(self) -> list[Piece]:
        """All data segments; what is long lies where it was read, what is short is put together."""
        pieces: list[Piece] = []
        short: list[Piece] = []
        for segment in self.module.datas:
            short.append(self.head(segment))
            if len(segment.data) < SHORT:
                short.append(segment.data)
            else:
                pieces += (b"".join(short), segment.data)
                short = []
        return [*pieces, b"".join(short)] if short else pieces

    def head(self, segment: DataSegment) -> bytes:
        """What comes in front of the bytes of a data segment."""
        size = unsigned(len(segment.data))
        if segment.memory is None:
            return b"\x01" + size
        assert segment.offset is not None
        memory = self.numbering.index("memories", segment.memory)
        flags = b"\x02" + unsigned(memory) if memory or segment.explicit_memory else b"\0"
        return flags + self.encoder.expression(segment.offset) + size

    def begin_bodies(self) -> Groups:
        """Starts the kernel on the bodies that it writes."""
        groups: dict[tuple[CodeSection, IndexSpaces], list[int]] = {}
        for function in self.module.functions:
            body = function.body
            if isinstance(body, EncodedBody):
                groups.setdefault((body.section, body.scope), []).append(body.number)
        return {key: key[0].rewritten(key[1], self.numbering, numbers) for key, numbers in groups.items()}

    def write_bodies(self, begun: Groups) -> None:
        """Writes all function bodies; those that the kernel writes one behind the other become one piece."""
        bulk = {key: _written(ahead) for key, ahead in begun.items()}
        self.announced = any(written is not None and written.names_data for written in bulk.values())
        for function in self.module.functions:
            body = function.body
            if isinstance(body, EncodedBody) and body.section.hints:
                self.hint(function, body.section.hints.get(body.number))
            written = bulk[body.section, body.scope] if isinstance(body, EncodedBody) else None
            if written is not None and isinstance(body, EncodedBody):
                self.code.add_part(written, body.number)
            else:
                self.code.add(self.body(function))
        self.code.flush()

    def body(self, function: Function) -> bytes:
        try:
            encoded = self._body(function)
            check_body(len(encoded))
        except MeldError as e:
            if e.where is None:
                e.within(f"function `{function.name}`" if function.name else "a function without a name")
            raise
        return unsigned(len(encoded)) + encoded

    def _body(self, function: Function) -> bytes:
        body = function.body
        if isinstance(body, EncodedBody):
            self.announced = self.announced or any(site[2] == "datas" for site in body.scan().sites)
            return bytes(body.encoded(self.numbering))
        code = function.decoded()
        check_locals(len(code.locals) + len(function.signature.params))
        if not self.announced:
            self.announced = _names_data(code)
        self.hint(function, branch_hints(code))
        return self.encoder.body(code)

    def hint(self, function: Function, hints: dict[int, bool] | None) -> None:
        """Notes the branch hints of a body."""
        if hints:
            self.hinted[function] = hints


def _has_lines(body: Code | LazyBody | None) -> bool:
    """Whether an input may have brought a line table for a body."""
    source = body.source if isinstance(body, Code) else body
    return isinstance(source, EncodedBody) and bool(source.section.debug)


def _names_data(code: Code) -> bool:
    return any(isinstance(used, DataSegment) for i in code.instructions for used in references(i))
