"""`finish`: data segments that stand one behind the other become one where there are more than engines take.

A program that was started ahead of time has a segment for each stretch of its memory that is not zero, thousands of
them. Zeros that lie between two are written instead: the memory has them there already.
"""

from __future__ import annotations

from collections.abc import Sequence

from meld.ir.module import DataSegment, Memory, Module
from meld.rewriting.constants import integer, is_in_bounds
from meld.rewriting.liveness import body_uses


def join_data(module: Module, most: int) -> tuple[int, int]:
    """Joins as many segments as there are too many, where fewest zeros lie between them.

    Only active segments of memories of the module that all lie in bounds and in ascending order, and that no
    instruction names. What a memory holds once the module is instantiated stays the same.

    Returns:
        How many segments there are less, and the zeros that were added.
    """
    excess = len(module.datas) - most
    if excess <= 0:
        return 0, 0
    named = {item for function in module.functions for item in body_uses(function) if isinstance(item, DataSegment)}
    groups: dict[Memory, list[DataSegment]] = {}
    for data in module.datas:
        if data.memory is not None:
            groups.setdefault(data.memory, []).append(data)
    pairs = [
        (gap, number, data, behind)
        for number, group in enumerate(groups.values())
        for gap, data, behind in _gaps(group)
        if not {data, behind} & named
    ]
    pairs.sort(key=lambda pair: pair[:2])
    joined = {behind: (gap, data) for gap, _, data, behind in pairs[:excess]}
    pieces: dict[DataSegment, list[bytes | memoryview]] = {}
    first: dict[DataSegment, DataSegment] = {}
    for data in module.datas:
        if data in joined:
            gap, front = joined[data]
            target = first[data] = first.get(front, front)
            pieces.setdefault(target, [target.data]).extend((bytes(gap), data.data))
    for data, parts in pieces.items():
        data.data = b"".join(parts)
    module.datas = [data for data in module.datas if data not in joined]
    return len(joined), sum(gap for gap, _ in joined.values())


def _gaps(group: Sequence[DataSegment]) -> list[tuple[int, DataSegment, DataSegment]]:
    """The zeros between each segment of a memory and the one behind it; nothing if one might write over another."""
    memory = group[0].memory
    if memory is None or memory.imported is not None or not all(map(is_in_bounds, group)):
        return []
    found: list[tuple[int, DataSegment, DataSegment]] = []
    end, last = 0, None
    for data in group:
        start = integer(data.offset or []) or 0
        if start < end:
            return []
        if last is not None:
            found.append((start - end, last, data))
        end, last = start + len(data.data), data
    return found
