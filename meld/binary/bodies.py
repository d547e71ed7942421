"""Function bodies in the binary format: scanned, renumbered, decoded.

A body that was read stays encoded. To write it, only its *sites* matter: the places that hold an index. A scan finds
them once; writing copies what lies between and writes the new indices. Instructions are made only by `decode`.

Source: WebAssembly 3.0, section 5.4 (instructions).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from meld.binary.cursor import Cursor
from meld.binary.decode import InstructionReader
from meld.binary.leb import signed, unsigned
from meld.binary.scan import CONSTANT, INDEX, SIGNED, UNSIGNED, Scan, Scanner
from meld.binary.section import CodeSection
from meld.ir.instructions import Code, IndexSpaces, LazyBody
from meld.ir.notes import BranchHint
from meld.ir.numbering import Numbering
from meld.support.records import record

BRANCH_HINTS = "metadata.code.branch_hint"
"""The custom section with the branch hints of a module."""

_FIRST = {space: number << 28 for number, space in enumerate(IndexSpaces.SPACES)}
"""The code of the first entry of each index space (`EncodedBody.codes`)."""


@record(eq=False)
class EncodedBody(LazyBody):
    """A lazy body: function `number` of a code section, with a scope. Instances of one module share the section.

    Its bytes are the local declarations, the instructions and the final `end`.
    """

    section: CodeSection
    number: int
    scope: IndexSpaces

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

    def over(self, scope: IndexSpaces) -> EncodedBody:
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
        for number, likely in self.section.hints.get(self.number, {}).items():
            instruction = code.instructions[number]
            instruction.notes = [*(instruction.notes or ()), BranchHint(likely)]
        return code

    def scan(self) -> Scan:
        """The places that hold an index. Raises MeldError if the body is malformed."""
        found = self.section.scans.get(self.number)
        if found is None:
            scanner = Scanner(self.cursor(), self.scope)
            scanner.run()
            codes = {_FIRST[site[2]] | site[3] for site in scanner.sites if site[2] != CONSTANT}
            found = Scan(scanner.sites, frozenset(scanner.padded), scanner.canonical, tuple(scanner.alike), codes)
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
        return self.scan().codes

    def look_ahead(self) -> None:
        """Has the kernel begin."""
        self.section.look_ahead(self.scope)

    def entries(self) -> set[tuple[str, int]]:
        """The entries of the scope that the body names, as (space, index). Raises MeldError if it is malformed."""
        return {(IndexSpaces.SPACES[code >> 28], code & INDEX) for code in self.codes()}

    def uses(self) -> list[Any]:
        """The items that the body names, type definitions aside; some may come more than once."""
        return items_of(self.codes(), self.scope.spaces())

    def encoded(self, numbering: Numbering) -> bytes | memoryview:
        """The bytes of the body with the indices of another module, each number in the shortest form.

        So a body that goes through text, or that a pass decodes, comes out as an untouched one.
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


def branch_hints(code: Code) -> dict[int, bool]:
    """The branch hints of a decoded body: number of the instruction → whether the branch is likely."""
    return {
        number: hint.likely
        for number, i in enumerate(code.instructions)
        if i.notes and i.op in ("br_if", "if")
        for hint in i.notes
        if isinstance(hint, BranchHint)
    }


def items_of(codes: Iterable[int], spaces: list[list[Any]]) -> list[Any]:
    """What codes mean, as `EncodedBody.codes` gives them, type definitions aside."""
    return [spaces[code >> 28][code & INDEX] for code in codes if code > INDEX]


def codes_of(scope: IndexSpaces, space: str, items: Collection[Any]) -> set[int]:
    """The codes of some items in a space, as `EncodedBody.codes` gives them."""
    return {_FIRST[space] | index for index, item in enumerate(getattr(scope, space)) if item in items}


# --- scan ----------------------------------------------------------------------------------------------------------


# --- decode --------------------------------------------------------------------------------------------------------
