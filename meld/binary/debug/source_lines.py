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
from meld.binary.landmarks import landmarks_of
from meld.binary.section import CodeSection
from meld.ir.instructions import Code
from meld.ir.module import Function

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
        was, now = landmarks_of(old), landmarks_of(new)
        if isinstance(function.body, Code):
            now = _rewritten(function.body, now, len(was))
        elif len(was) != len(now):
            continue  # it was changed by hand
        first = body.section.starts[body.number] + body.section.head
        unit = rows[0][0]
        target = found.setdefault(id(unit), Unit(unit.name, unit.language))
        target.functions.append(Subprogram(_name(function), start, start + len(new)))
        moved = []
        for _, (low, high, path, line, column, flags) in rows:
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
    """The rows of the line tables by the function in which they begin. Those of code that was linked out are left.

    A function belongs to the unit that says something of its first byte, and a byte to one row, so there are as many
    rows as bytes at most, whatever the tables say.
    """
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
    for number, rows in found.items():
        rows.sort(key=lambda row: row[1][:2])
        kept = rows[:1]
        for unit, row in rows:
            if unit is kept[0][0] and row[0] >= kept[-1][1][1]:
                kept.append((unit, row))
        found[number] = kept
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
