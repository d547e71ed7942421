"""Lines of the inputs in the fused module: where the code of each went, and what it comes from.

A body keeps its instructions when it is fused, but its numbers may take fewer or more bytes. So a place in the old body
is the same instruction in the new one; a row that begins within an instruction counts from the next one on, as it does
for who looks up where instructions begin. In a body that was rewritten, an instruction knows its number in the old one;
what stands for one that is gone comes behind the one that was before it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from meld.binary.bodies import EncodedBody
from meld.binary.debug.dwarf import Row, Subprogram, Unit
from meld.binary.debug.dwarf_lines import LineUnit
from meld.binary.leb import read_unsigned
from meld.binary.plans import PLANS, Step
from meld.binary.section import CodeSection
from meld.ir.instructions import Code
from meld.ir.module import Function
from meld.ir.opcodes import Imm

Place = tuple[int, int]
"""Start and end of a body in the contents of a code section."""


def units(functions: Sequence[Function], places: Sequence[Place], code: Sequence[bytes | memoryview]) -> list[Unit]:
    """What the inputs say of the functions of a module.

    Args:
        functions: the defined functions of the module.
        places: where their bodies lie in its code section.
        code: the bodies as they are written.
    """
    by_section: dict[CodeSection, dict[int, list[tuple[LineUnit, Row]]]] = {}
    found: dict[int, Unit] = {}
    for function, (start, _), new in zip(functions, places, code, strict=True):
        body = function.body.source if isinstance(function.body, Code) else function.body
        if not isinstance(body, EncodedBody) or not body.section.debug or not body.section.lines():
            continue
        if body.section not in by_section:
            by_section[body.section] = _by_function(body.section)
        rows = by_section[body.section].get(body.number)
        if not rows:
            continue
        old = body.section.body(body.number)
        was, now = _landmarks(old), _landmarks(new)
        if isinstance(function.body, Code):
            now = _rewritten(function.body, now, len(was))
        elif len(was) != len(now):
            continue  # it was changed by hand
        first = body.section.starts[body.number] + body.section.head
        for unit in {id(unit): unit for unit, _ in rows}.values():
            target = found.setdefault(id(unit), Unit(unit.name, unit.language))
            target.functions.append(Subprogram(_name(function), start, start + len(new)))
            moved = []
            for low, high, path, line, column, flags in (row for of, row in rows if of is unit):
                a, b = (now[min(bisect_left(was, at - first), len(now) - 1)] for at in (low, high))
                if a < b:
                    moved.append((start + a, start + b, path, line, column, flags))
            target.sequences += _sequences(moved)
    return list(found.values())


def _rewritten(code: Code, landmarks: array[int], count: int) -> array[int]:
    """Where the landmarks of the old body, so many, are in the code that it has become."""
    begins: dict[int, int] = {}
    ends: dict[int, int] = {}
    for instruction, at, end in zip(code.instructions, landmarks[1:], landmarks[2:], strict=False):
        if instruction.place is not None:
            begins.setdefault(instruction.place, at)
            ends[instruction.place] = end
    found = array("I", [0])
    behind = landmarks[1]
    for place in range(count - 3):
        at = begins.get(place, behind)
        found.append(max(at, found[-1]))
        behind = ends.get(place, behind)
    found.extend(landmarks[-2:])
    return found


def _name(function: Function) -> str:
    """The name that a function had before it was fused."""
    name = function.name or ""
    return name.removeprefix(f"{function.owner.name}/") if function.owner is not None else name


def _by_function(section: CodeSection) -> dict[int, list[tuple[LineUnit, Row]]]:
    """The rows of the line tables by the function in which they begin. Those of code that was linked out are left."""
    found: dict[int, list[tuple[LineUnit, Row]]] = {}
    starts = [start + section.head for start in section.starts]
    ends = [end + section.head for end in section.ends]
    for unit in section.lines():
        for low, high, *rest in unit.rows:
            number = bisect_right(ends, low)
            if number < len(starts):
                a, b = max(low, starts[number]), min(high, ends[number])
                if a < b:
                    found.setdefault(number, []).append((unit, (a, b, *rest)))  # type: ignore[arg-type]
    for rows in found.values():
        rows.sort(key=lambda row: row[1][:2])
    return found


def _sequences(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in sequences without gaps; one that lies in what is said already is left out."""
    made: list[list[Row]] = []
    for row in rows:
        if made and made[-1][-1][1] == row[0]:
            made[-1].append(row)
        elif not made or row[0] > made[-1][-1][1]:
            made.append([row])
    return made


# --- where instructions are ------------------------------------------------------------------------------------------

_NUMBER = frozenset(
    {Imm.FUNC, Imm.TYPE, Imm.TABLE, Imm.MEMORY, Imm.GLOBAL, Imm.TAG, Imm.ELEM, Imm.DATA, Imm.LABEL, Imm.LOCAL}
) | {Imm.FIELD, Imm.COUNT, Imm.I32, Imm.I64, Imm.HEAP}
_BYTES = {Imm.F32: 4, Imm.F64: 8, Imm.V128: 16, Imm.LANES: 16, Imm.LANE: 1, Imm.FENCE: 1}


def _landmarks(body: bytes | memoryview) -> array[int]:
    """The start of the body, of each instruction, and the end, from its first byte. The body is well-formed."""
    data = bytes(body)
    found = array("I", [0])
    walk = _Walk(data)
    for _ in range(walk.number()):
        walk.number()
        walk.type()
    at, end = walk.at, len(data)
    while at < end:
        found.append(at)
        plan = _PLAIN[data[at]]
        at += 1
        if plan:
            if plan == MEMORY:
                plan = 3 if data[at] & 0x40 else 2
            for _ in range(plan):
                while data[at] > 127:
                    at += 1
                at += 1
        elif plan is None:
            walk.at = at - 1
            walk.instruction()
            at = walk.at
    found.append(end)
    return found


class _Walk:
    """Goes through what is not just numbers."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self) -> int:
        value, self.at = read_unsigned(self.data, self.at)
        return value

    def type(self) -> None:
        self.at += 1
        if self.data[self.at - 1] in (0x63, 0x64):
            self.number()

    def instruction(self) -> None:
        byte = self.data[self.at]
        self.at += 1
        for step in PLANS[(byte, self.number()) if byte >= 0xFB else (0, byte)]:
            self.step(step)

    def step(self, step: Step) -> None:
        if step in _NUMBER:
            self.number()
        elif step in _BYTES:
            assert isinstance(step, Imm)
            self.at += _BYTES[step]
        elif step is Imm.MEMARG:
            if self.number() & 0x40:
                self.number()
            self.number()
        elif step is Imm.BLOCK:
            if self.data[self.at] in (0x63, 0x64):
                self.type()
            else:
                self.number()
        elif step is Imm.LABELS:
            for _ in range(self.number() + 1):
                self.number()
        elif step is Imm.RESULTS:
            for _ in range(self.number()):
                self.type()
        elif step is Imm.CATCHES:
            for _ in range(self.number()):
                self.at += 1
                if self.data[self.at - 1] < 2:
                    self.number()
                self.number()
        elif step == "cast":
            self.at += 1
            for _ in range(3):
                self.number()
        else:
            assert step in ("open", "close"), step


MEMORY = -1


def _plain(byte: int) -> int | None:
    """How many numbers follow an opcode, `MEMORY` for a memory argument; None if something else follows."""
    plan = PLANS.get((0, byte))
    if plan == (Imm.MEMARG,):
        return MEMORY
    if plan is None or not all(step in _NUMBER or step in ("open", "close") for step in plan):
        return None
    return sum(step in _NUMBER for step in plan)


_PLAIN = [_plain(byte) for byte in range(256)]
