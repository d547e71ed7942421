"""Function bodies in the binary format: scanned, renumbered, decoded.

A body that was read stays encoded. To write it, only its *sites* matter: the places that hold an index. A scan finds
them once; writing copies what lies between and writes the new indices. Instructions are made only by `decode`.

Source: WebAssembly 3.0, section 5.4 (instructions).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from meld.binary.coretypes import HEAP_BY_CODE, NUM_BY_CODE, CoreTypeReader
from meld.binary.cursor import Cursor
from meld.binary.leb import signed, unsigned
from meld.binary.section import CodeSection
from meld.ir.instructions import Catch, Code, Instruction, LazyBody, MemArg, Scope
from meld.ir.module import CLOSING, LABELLED
from meld.ir.numbering import Numbering
from meld.ir.opcodes import BY_CODE, VARIANTS, Imm, Op
from meld.ir.types import RefType, ValType
from meld.support.records import record

MAX_LOCALS = 50_000
"""Locals of one function; engines have the same limit."""

SPACE_OF_IMM = {
    Imm.FUNC: "functions",
    Imm.TYPE: "types",
    Imm.TABLE: "tables",
    Imm.MEMORY: "memories",
    Imm.GLOBAL: "globals",
    Imm.TAG: "tags",
    Imm.ELEM: "elements",
    Imm.DATA: "datas",
}
REVERSED = frozenset({"call_indirect", "return_call_indirect", "memory.init", "table.init"})
"""Instructions whose two indices stand in the binary in the other order than in text."""

OPENING = LABELLED
CATCH_KINDS = ("catch", "catch_ref", "catch_all", "catch_all_ref")

UNSIGNED, SIGNED = -1, -2
Site = tuple[int, int, str, int, int]
"""Start, end, index space, index, form: `UNSIGNED`, `SIGNED`, or the alignment of a memory argument."""

INDEX = (1 << 28) - 1
"""The part of a code, as `EncodedBody.codes` gives, that is the index; the number of the space is in front of it."""

CONSTANT = ""
"""In place of an index space: a number that is no index and takes more bytes than it needs."""


@record(frozen=True)
class Scan:
    """What a scan found in a body.

    Attributes:
        sites: the places that hold an index.
        padded: where the sites start whose numbers take more bytes than they need.
        canonical: whether everything else is spelled as the encoder does.
        alike: types of locals declared one after the other, but for their index alike.
    """

    sites: list[Site]
    padded: frozenset[int]
    canonical: bool
    alike: tuple[tuple[int, int], ...]


@record(eq=False)
class EncodedBody(LazyBody):
    """A lazy body: function `number` of a code section, with a scope. Instances of one module share the section.

    Its bytes are the local declarations, the instructions and the final `end`.
    """

    section: CodeSection
    number: int
    scope: Scope

    @property
    def source(self) -> object:
        """The bytes: which function of which section."""
        return (self.section, self.number)

    @property
    def size(self) -> int:
        """In bytes."""
        return self.section.ends[self.number] - self.section.starts[self.number]

    @property
    def offset(self) -> int:
        """Where its first byte stands in the input."""
        return self.section.offset + self.section.starts[self.number]

    def over(self, scope: Scope) -> EncodedBody:
        """The same body over another scope."""
        return EncodedBody(self.section, self.number, scope)

    def cursor(self) -> Cursor:
        """A cursor over the body; its positions count from the body's first byte."""
        return Cursor(self.section.body(self.number), self.section.where, base=self.offset)

    def decode(self) -> Code:
        """Decodes the body. Raises MeldError if it is malformed."""
        reader = InstructionReader(self.cursor(), self.scope)
        code = Code(reader.locals(), reader.body())
        if self.section.debug:
            code.source = self
            for place, instruction in enumerate(code.instructions):
                instruction.place = place
        return code

    def scan(self) -> Scan:
        """The places that hold an index. Raises MeldError if the body is malformed."""
        found = self.section.scans.get(self.number)
        if found is None:
            scanner = _Scanner(self.cursor(), self.scope)
            scanner.run()
            found = Scan(scanner.sites, frozenset(scanner.padded), scanner.canonical, tuple(scanner.alike))
            self.section.scans[self.number] = found
        return found

    def codes(self) -> Collection[int]:
        """The entries of the scope that the body names: the number of the space << 28 | index.

        Raises MeldError if the body is malformed.
        """
        bulk = self.section.uses(self.scope)
        if bulk is not None:
            number, ends = self.number, bulk.ends
            return bulk.entries[ends[number - 1] if number else 0 : ends[number]]
        sites = self.scan().sites
        return {Scope.SPACES.index(site[2]) << 28 | site[3] for site in sites if site[2] != CONSTANT}

    def look_ahead(self) -> None:
        """Has the kernel begin."""
        self.section.look_ahead(self.scope)

    def entries(self) -> set[tuple[str, int]]:
        """The entries of the scope that the body names, as (space, index). Raises MeldError if it is malformed."""
        return {(Scope.SPACES[code >> 28], code & INDEX) for code in self.codes()}

    def uses(self) -> list[Any]:
        """The items that the body names, type definitions aside; some may come more than once."""
        return items_of(self.codes(), self.scope.spaces())

    def encoded(self, numbering: Numbering) -> bytes | memoryview:
        """The bytes of the body with the indices of another module, each number in the shortest form.

        So a body that goes through text, or that a pass decodes, comes out as one that nobody looked at.
        """
        data, scope, scan = self.section.body(self.number), self.scope, self.scan()
        types = numbering.map_of(scope, "types")
        if not scan.canonical or any(types[a] == types[b] for a, b in scan.alike):
            from meld.binary.encode import Encoder

            return Encoder(numbering).body(self.decode())
        out: list[bytes | memoryview] = []
        done = 0
        for start, end, space, index, form in scan.sites:
            new = numbering.map_of(scope, space)[index] if space else index
            if new == index and start not in scan.padded:
                continue
            if new < 0 and space:
                numbering.index(space, getattr(scope, space)[index])
            out.append(data[done:start])
            if form == UNSIGNED:
                out.append(unsigned(new))
            elif form == SIGNED:
                out.append(signed(new))
            elif new:
                out.append(unsigned(form | 0x40) + unsigned(new))
            else:
                out.append(unsigned(form))
            done = end
        if not done:
            return data
        out.append(data[done:])
        return b"".join(out)


def items_of(codes: Iterable[int], spaces: list[list[Any]]) -> list[Any]:
    """What codes mean, as `EncodedBody.codes` gives them, type definitions aside."""
    return [spaces[code >> 28][code & INDEX] for code in codes if code > INDEX]


# --- scan ----------------------------------------------------------------------------------------------------------

OPEN, CLOSE = "open", "close"
Step = Imm | str


def _plan(op: Op) -> tuple[Step, ...]:
    """What a scan has to do after an opcode, in the order of the binary."""
    imms = tuple(reversed(op.imms)) if op.name in REVERSED else op.imms
    if op.name == "br_on_cast" or op.name == "br_on_cast_fail":
        return ("cast",)
    if op.name == "select":
        return ()
    if op.name in ("ref.test", "ref.cast"):
        return (Imm.HEAP,)
    return imms + ((OPEN,) if op.name in OPENING else (CLOSE,) if op.name in CLOSING else ())


PLANS = {code: _plan(op) for code, op in BY_CODE.items()} | {(0, 0x1C): (Imm.RESULTS,)}
_SHORT = [PLANS.get((0, byte)) for byte in range(256)]
_PREFIXES = (0xFB, 0xFC, 0xFD, 0xFE)
_SIZES = {Imm.F32: 4, Imm.F64: 8, Imm.V128: 16, Imm.LANES: 16, Imm.LANE: 1}
_SKIPPED = frozenset({Imm.LABEL, Imm.LOCAL, Imm.FIELD, Imm.COUNT})


class _Scanner:
    """Finds the sites of a body and checks its shape: known opcodes, immediates, nesting, indices in range."""

    def __init__(self, c: Cursor, scope: Scope) -> None:
        self.c = c
        self.sites: list[Site] = []
        self.padded: set[int] = set()
        self.canonical = True
        self.alike: list[tuple[int, int]] = []
        self.sizes = {space: len(getattr(scope, space)) for space in Scope.SPACES}

    def run(self) -> None:
        c = self.c
        data, end = c.data, c.end
        previous: tuple[int, int] | None = None
        for _ in range(self.count("local declarations")):
            start = c.pos
            if not c.u32("count of locals") or self.is_padded(start):
                self.canonical = False
            t = self.valtype()
            if t == previous:
                self.canonical = False
            elif previous is not None and t[0] == previous[0] and t[1] >= 0 and previous[1] >= 0:
                self.alike.append((t[1], previous[1]))
            previous = t
        depth = 1
        while depth:
            at = c.pos
            if at >= end:
                raise c.cut_short("a function body: `end` expected")
            byte = data[at]
            c.pos = at + 1
            plan = _SHORT[byte]
            if plan is None:
                plan = self.prefixed(byte, at)
            for step in plan:
                if step in _SPACE_STEPS:
                    self.site(_SPACE_STEPS[step], at)
                elif step is Imm.MEMARG:
                    self.memarg()
                elif step is OPEN:
                    depth += 1
                elif step is CLOSE:
                    depth -= 1
                else:
                    self.step(step, at)
        if c.more():
            raise c.error("bytes after the `end` of a function body")

    def prefixed(self, byte: int, at: int) -> tuple[Step, ...]:
        plan = PLANS[_opcode(self.c, byte, at)]
        if byte in _PREFIXES and self.is_padded(at + 1):
            self.canonical = False
        return plan

    def is_padded(self, start: int, sign: int = 0) -> bool:
        """Whether the number that starts there and ends here takes more bytes than it needs.

        Args:
            sign: 0x40 if the number is signed.
        """
        data, end = self.c.data, self.c.pos
        if end - start < 2:
            return False
        last, bit = data[end - 1], data[end - 2] & sign
        return (last == 0x7F) if bit else (last == 0)

    def count(self, what: str) -> int:
        """The length of a vector."""
        start = self.c.pos
        count = self.c.count(what)
        if self.is_padded(start):
            self.canonical = False
        return count

    def constant(self, start: int, value: int, form: int) -> None:
        """A number that was read and is no index."""
        if self.is_padded(start, 0x40 if form == SIGNED else 0):
            self.padded.add(start)
            self.sites.append((start, self.c.pos, CONSTANT, value, form))

    def site(self, space: str, at: int) -> None:
        c = self.c
        start = c.pos
        index = c.u32(f"{space} index")
        self.check(space, index, start)
        if self.is_padded(start):
            self.padded.add(start)
        self.sites.append((start, c.pos, space, index, UNSIGNED))

    def check(self, space: str, index: int, at: int) -> None:
        if index >= self.sizes[space]:
            raise self.c.error(f"index {index} is out of range: {self.sizes[space]} {space}", at)

    def memarg(self) -> None:
        c = self.c
        start = c.pos
        align = c.u32("alignment")
        index = 0
        if align >= 0x80:
            raise c.error(f"malformed flags {align:#x} of a memory argument", start)
        if align & 0x40:
            index = c.u32("memory index")
        self.check("memories", index, start)
        # a memory argument that names memory 0 says more than it needs
        if c.pos - start > 1 and (not index or self.is_padded(start) or self.c.data[start] >= 0x80):
            self.padded.add(start)
        self.sites.append((start, c.pos, "memories", index, align & 0x3F))
        start = c.pos
        self.constant(start, c.u64("offset"), UNSIGNED)

    def step(self, step: Step, at: int) -> None:
        c = self.c
        start = c.pos
        if step in _SKIPPED:
            self.constant(start, c.u32("immediate"), UNSIGNED)
        elif step is Imm.BLOCK:
            self.blocktype()
        elif step is Imm.I32:
            self.constant(start, c.s32("i32 constant"), SIGNED)
        elif step is Imm.I64:
            self.constant(start, c.s64("i64 constant"), SIGNED)
        elif step in _SIZES:
            assert isinstance(step, Imm)
            c.take(_SIZES[step], "constant")
        elif step is Imm.LABELS:
            for _ in range(self.count("labels") + 1):
                self.label()
        elif step is Imm.HEAP:
            self.heaptype()
        elif step is Imm.RESULTS:
            for _ in range(self.count("result types")):
                self.valtype()
        elif step is Imm.CATCHES:
            for _ in range(self.count("catch clauses")):
                kind = c.u8("catch clause")
                if kind > 3:
                    raise c.error(f"malformed catch clause {kind:#04x}", c.pos - 1)
                if kind < 2:
                    self.site("tags", at)
                self.label()
        elif step is Imm.FENCE:
            _fence(c)
        elif step == "cast":
            if c.u8("cast flags") > 3:
                raise c.error("malformed cast flags", c.pos - 1)
            self.label()
            self.heaptype()
            self.heaptype()
        else:
            raise AssertionError(step)

    def label(self) -> None:
        start = self.c.pos
        self.constant(start, self.c.u32("label"), UNSIGNED)

    def heaptype(self) -> int:
        """A heap type: the index of a type definition, or the negative code of an abstract one."""
        c = self.c
        start = c.pos
        value = c.s33("heap type")
        if value >= 0:
            self.check("types", value, start)
            if self.is_padded(start, 0x40):
                self.padded.add(start)
            self.sites.append((start, c.pos, "types", value, SIGNED))
        elif value < -64 or value & 0x7F not in HEAP_BY_CODE:
            raise c.error("malformed heap type", start)
        elif c.pos - start > 1:
            self.canonical = False
        return value

    def valtype(self) -> tuple[int, int]:
        """A value type: its first byte, and what follows it in a reference type."""
        c = self.c
        byte, heap = c.u8("type"), -1
        if byte in (0x63, 0x64):
            heap = self.heaptype()
            if heap < 0 and byte == 0x63:
                self.canonical = False  # there is a shorter form
        elif byte not in NUM_BY_CODE and byte not in HEAP_BY_CODE:
            raise c.error(f"malformed type {byte:#04x}", c.pos - 1)
        return byte, heap

    def blocktype(self) -> None:
        c = self.c
        byte = c.peek()
        if byte == 0x40:
            c.pos += 1
        elif byte in NUM_BY_CODE or byte in HEAP_BY_CODE or byte in (0x63, 0x64):
            self.valtype()
        else:
            start = c.pos
            value = c.s33("block type")
            if value < 0:
                raise c.error("malformed block type", start)
            self.check("types", value, start)
            if self.is_padded(start, 0x40):
                self.padded.add(start)
            self.sites.append((start, c.pos, "types", value, SIGNED))


_SPACE_STEPS: dict[Step, str] = dict(SPACE_OF_IMM.items())


def _opcode(c: Cursor, byte: int, at: int) -> tuple[int, int]:
    """The key of the opcode whose first byte was read; MeldError if there is none such."""
    key = (byte, c.u32("opcode")) if byte in _PREFIXES else (0, byte)
    if key not in BY_CODE:
        shown = f"{byte:#04x} {key[1]:#04x}" if key[0] else f"{byte:#04x}"
        raise c.error(f"unknown opcode {shown}", at)
    return key


def _fence(c: Cursor) -> None:
    if c.u8("atomic.fence") != 0:
        raise c.error("malformed atomic.fence: zero byte expected", c.pos - 1)


# --- decode --------------------------------------------------------------------------------------------------------


class InstructionReader:
    """Decodes instructions from a cursor over a scope."""

    def __init__(self, c: Cursor, scope: Scope) -> None:
        self.c = c
        self.scope = scope
        self.types = CoreTypeReader(scope.types)

    def locals(self) -> list[ValType]:
        """The local declarations in front of a body."""
        found: list[ValType] = []
        c = self.c
        for _ in range(c.count("local declarations")):
            at = c.pos
            count = c.u32("count of locals")
            if count + len(found) > MAX_LOCALS:
                raise c.error(f"more than {MAX_LOCALS} locals", at)
            found += [self.types.valtype(c)] * count
        return found

    def body(self) -> list[Instruction]:
        """Instructions to the end of the cursor, which must be the `end` of the function."""
        code = self.expression()
        if self.c.more():
            raise self.c.error("bytes after the `end` of a function body")
        return code

    def expression(self) -> list[Instruction]:
        """Instructions up to the `end` that closes them, which is not in the list."""
        c, depth = self.c, 1
        data, end = c.data, c.end
        out: list[Instruction] = []
        while True:
            at = c.pos
            if at >= end:
                raise c.cut_short("instructions: `end` expected")
            byte = data[at]
            c.pos = at + 1
            plain = _PLAIN[byte]
            if plain is not None:
                mnemonic, read = plain
                out.append(Instruction(mnemonic) if read is None else Instruction(mnemonic, (read(self),)))
                continue
            key = _opcode(c, byte, at)
            op = BY_CODE[key]
            name = op.name
            if name in OPENING:
                depth += 1
            elif name in CLOSING:
                depth -= 1
                if not depth:
                    if name != "end":
                        raise c.error(f"`{name}` outside of a block", at)
                    return out
            out.append(Instruction(name, self.immediates(op, key) if op.imms else ()))

    def immediates(self, op: Op, key: tuple[int, int]) -> tuple[Any, ...]:
        """The immediates of an instruction, in the order of the text."""
        c = self.c
        match op.name:
            case "select":
                if key not in VARIANTS:
                    return ()
                return (tuple(self.types.valtype(c) for _ in range(c.count("result types"))),)
            case "ref.test" | "ref.cast":
                return (RefType(key in VARIANTS, self.types.heaptype(c)),)
            case "br_on_cast" | "br_on_cast_fail":
                flags = c.u8("cast flags")
                if flags > 3:
                    raise c.error("malformed cast flags", c.pos - 1)
                label = c.u32("label")
                source, target = self.types.heaptype(c), self.types.heaptype(c)
                return (label, RefType(bool(flags & 1), source), RefType(bool(flags & 2), target))
            case "atomic.fence":
                _fence(c)
                return ()
            case name if name in REVERSED:
                second, first = self.immediate(op.imms[1]), self.immediate(op.imms[0])
                return (first, second)
        return tuple([self.immediate(imm) for imm in op.imms])

    def immediate(self, imm: Imm) -> Any:
        """One immediate."""
        return _READERS[imm](self)

    def labels(self) -> tuple[int, ...]:
        """The labels of a `br_table`, the default last."""
        c = self.c
        return tuple([c.u32("label") for _ in range(c.count("labels") + 1)])

    def catches(self) -> tuple[Catch, ...]:
        """The clauses of a `try_table`."""
        return tuple([self.catch() for _ in range(self.c.count("catch clauses"))])

    def bits(self, size: int) -> int:
        """The bits of a float or vector."""
        return int.from_bytes(self.c.take(size, "constant"), "little")

    def item(self, space: str) -> Any:
        """An index, as the object that it means."""
        c = self.c
        at = c.pos
        index = c.u32(f"index into the {space}")
        items = getattr(self.scope, space)
        if index >= len(items):
            raise c.error(f"index {index} is out of range: {len(items)} {space}", at)
        return items[index]

    def memarg(self) -> MemArg:
        c = self.c
        at = c.pos
        align = c.u32("alignment")
        if align >= 0x80:
            raise c.error(f"malformed flags {align:#x} of a memory argument", at)
        index = c.u32("memory index") if align & 0x40 else 0
        memories = self.scope.memories
        if index >= len(memories):
            raise c.error(f"index {index} is out of range: {len(memories)} memories", at)
        return MemArg(align & 0x3F, c.u64("offset"), memories[index])

    def blocktype(self) -> Any:
        c = self.c
        byte = c.peek()
        if byte == 0x40:
            c.pos += 1
            return None
        if byte in NUM_BY_CODE or byte in HEAP_BY_CODE or byte in (0x63, 0x64):
            return self.types.valtype(c)
        at = c.pos
        value = c.s33("block type")
        if not 0 <= value < len(self.scope.types):
            raise c.error("malformed block type" if value < 0 else f"unknown type {value}", at)
        return self.scope.types[value]

    def catch(self) -> Catch:
        c = self.c
        kind = c.u8("catch clause")
        if kind > 3:
            raise c.error(f"malformed catch clause {kind:#04x}", c.pos - 1)
        tag = self.item("tags") if kind < 2 else None
        return Catch(CATCH_KINDS[kind], tag, c.u32("label"))


def _item_reader(space: str) -> Callable[[InstructionReader], Any]:
    return lambda reader: reader.item(space)


_READERS: dict[Imm, Callable[[InstructionReader], Any]] = {
    **dict.fromkeys((Imm.LOCAL, Imm.LABEL, Imm.FIELD, Imm.COUNT), lambda reader: reader.c.u32("immediate")),
    Imm.I32: lambda reader: reader.c.s32("i32 constant"),
    Imm.I64: lambda reader: reader.c.s64("i64 constant"),
    Imm.F32: lambda reader: reader.bits(4),
    Imm.F64: lambda reader: reader.bits(8),
    Imm.V128: lambda reader: reader.bits(16),
    Imm.MEMARG: InstructionReader.memarg,
    Imm.BLOCK: InstructionReader.blocktype,
    Imm.LABELS: InstructionReader.labels,
    Imm.LANE: lambda reader: reader.c.u8("lane"),
    Imm.LANES: lambda reader: tuple(reader.c.take(16, "lanes")),
    Imm.HEAP: lambda reader: reader.types.heaptype(reader.c),
    Imm.CATCHES: InstructionReader.catches,
    **{imm: _item_reader(space) for imm, space in SPACE_OF_IMM.items()},
}


def _plain(byte: int) -> tuple[str, Callable[[InstructionReader], Any] | None] | None:
    """Mnemonic and reader of the only immediate, if any, of an opcode that nothing else has to be known of."""
    op = BY_CODE.get((0, byte))
    if op is None or op.name in OPENING | CLOSING | {"select"} or len(op.imms) > 1:
        return None
    return op.name, _READERS[op.imms[0]] if op.imms else None


_PLAIN = [_plain(byte) for byte in range(256)]
