"""Branch hints: which way an `if` or a `br_if` probably goes.

In a binary they are a custom section in front of the code, with offsets into the bodies. In a decoded body each is a
note of its instruction; a lazy body keeps those that were read, by instruction. So hints stay right when bodies are
fused, copied or rewritten.

Source: WebAssembly tool conventions and the proposal Branch Hinting (`metadata.code.branch_hint`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from meld.binary.cursor import Cursor
from meld.binary.landmarks import landmarks_of
from meld.binary.leb import unsigned, vector
from meld.binary.section import CodeSection
from meld.diagnostics import MeldError
from meld.ir.module import Function


def read_hints(data: bytes | memoryview, section: CodeSection, imported: int) -> bool:
    """Takes the hints of a section over; false if one of them is malformed or hints at nothing.

    Args:
        imported: the functions that are imported, whose indices come first.
    """
    try:
        section.hints = dict(_read(Cursor(data), section, imported))
    except (MeldError, LookupError):
        return False
    return True


def _read(c: Cursor, section: CodeSection, imported: int) -> Iterator[tuple[int, dict[int, bool]]]:
    last = imported - 1
    for _ in range(c.count("functions with branch hints")):
        index = c.u32("function index")
        if not last < index < imported + len(section.starts):
            raise LookupError(index)
        last = index
        landmarks = landmarks_of(section.body(index - imported))
        numbers = {at: number for number, at in enumerate(landmarks[1:-1])}
        found: dict[int, bool] = {}
        for _ in range(c.count("branch hints")):
            number = numbers[c.u32("offset of a branch hint")]
            size, value = c.u32("size of a branch hint"), c.u8("branch hint")
            if size != 1 or value > 1 or number in found:
                raise LookupError(number)
            found[number] = bool(value)
        yield index - imported, found
    if c.more():
        raise LookupError("bytes behind the hints")


def hints_section(
    functions: Iterable[Function], imported: int, hinted: Mapping[Function, dict[int, bool]], code: Iterable[bytes]
) -> bytes:
    """The contents of the section.

    Args:
        functions: the defined functions; `code` has their bodies as they are written.
        hinted: the hints of those that have any.
    """
    entries = []
    for index, (function, body) in enumerate(zip(functions, code, strict=True), imported):
        hints = hinted.get(function)
        if hints:
            places = landmarks_of(body)[1:]
            rows = [unsigned(places[n]) + bytes((1, likely)) for n, likely in sorted(hints.items())]
            entries.append(unsigned(index) + vector(rows))
    return vector(entries)
