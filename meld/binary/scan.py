"""The uses in a body: which items its indices name, and where, found without decoding its instructions."""

from __future__ import annotations

from meld.binary.coretypes import HEAP_BY_CODE, NUM_BY_CODE, unknown_code
from meld.binary.cursor import Cursor
from meld.binary.limits import MAX_LOCALS
from meld.binary.plans import CLOSE, OPEN, PLANS, PREFIXES, SPACE_OF_IMM, Step, fence, handler_kind, opcode_at
from meld.ir import proposals
from meld.ir.instructions import IndexSpaces
from meld.ir.opcodes import Imm
from meld.support.records import record

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
        codes: the entries that the sites name: the number of the space << 28 | index.
    """

    sites: list[Site]
    padded: frozenset[int]
    canonical: bool
    alike: tuple[tuple[int, int], ...]
    codes: set[int]


_SHORT = [PLANS.get((0, byte)) for byte in range(256)]

_SIZES = {Imm.F32: 4, Imm.F64: 8, Imm.V128: 16, Imm.LANES: 16, Imm.LANE: 1}

_SKIPPED = frozenset({Imm.LABEL, Imm.LOCAL, Imm.FIELD, Imm.COUNT})
_NUMBERS = _SKIPPED | {Imm.I32, Imm.I64}
"""Numbers that are no indices; of one byte they are neither padded nor out of range."""


class Scanner:
    """Finds the sites of a body and checks its shape: known opcodes, immediates, nesting, indices in range."""

    def __init__(self, c: Cursor, scope: IndexSpaces) -> None:
        self.c = c
        self.sites: list[Site] = []
        self.padded: set[int] = set()
        self.canonical = True
        self.alike: list[tuple[int, int]] = []
        self.sizes = {space: len(getattr(scope, space)) for space in IndexSpaces.SPACES}

    def run(self) -> None:
        c = self.c
        data, end = c.data, c.end
        previous: tuple[int, int] | None = None
        locals_ = 0
        for _ in range(self.count("local declarations")):
            start = c.pos
            count = c.u32("count of locals")
            locals_ += count
            if locals_ > MAX_LOCALS:
                raise c.error(f"more than {MAX_LOCALS} locals", start)
            if not count or self.is_padded(start):
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
                if step in _NUMBERS and c.pos < end and data[c.pos] < 0x80:
                    c.pos += 1
                elif step in _SPACE_STEPS:
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
        plan = PLANS[opcode_at(self.c, byte, at)]
        if byte in PREFIXES and self.is_padded(at + 1):
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
        elif step is Imm.HANDLERS:
            for _ in range(self.count("clauses of resume")):
                kind = handler_kind(c)
                self.site("tags", at)
                if not kind:
                    self.label()
        elif step is Imm.FENCE:
            fence(c)
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
            raise unknown_code(c, "malformed heap type", start, proposals.HEAP_CODES)
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
            raise unknown_code(c, f"malformed type {byte:#04x}", c.pos - 1, proposals.HEAP_CODES)
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
                raise unknown_code(c, "malformed block type", start, proposals.HEAP_CODES)
            self.check("types", value, start)
            if self.is_padded(start, 0x40):
                self.padded.add(start)
            self.sites.append((start, c.pos, "types", value, SIGNED))


_SPACE_STEPS: dict[Step, str] = dict(SPACE_OF_IMM.items())

UNSIGNED, SIGNED = -1, -2
