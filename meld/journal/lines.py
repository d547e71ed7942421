"""Which lines of one text are those of another.

As in `difflib`, but for texts of any length: what begins and ends the same is cut off first, and middles without end
are taken as replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import TypeAlias

Block: TypeAlias = tuple[bool, int, int, int, int]
"""Whether the lines are the same; start and end in the one text, start and end in the other."""

LONG, ENDLESS = 2_000, 20_000
"""Lines of a middle from which on frequent lines do not count, and from which on nothing is looked for."""


def blocks(before: Sequence[str], after: Sequence[str]) -> list[Block]:
    """The stretches of two texts that are the same or not, in order; each as `Block` says."""
    top, shorter = 0, min(len(before), len(after))
    while top < shorter and before[top] == after[top]:
        top += 1
    tail = 0
    while tail < shorter - top and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    found: list[Block] = [(True, 0, top, 0, top)] if top else []
    a, b = before[top : len(before) - tail], after[top : len(after) - tail]
    if max(len(a), len(b)) > ENDLESS:
        found.append((False, top, top + len(a), top, top + len(b)))
    elif a or b:
        matcher = SequenceMatcher(None, a, b, autojunk=max(len(a), len(b)) > LONG)
        for tag, a1, a2, b1, b2 in matcher.get_opcodes():
            found.append((tag == "equal", top + a1, top + a2, top + b1, top + b2))
    if tail:
        found.append((True, len(before) - tail, len(before), len(after) - tail, len(after)))
    return found


def unified(before: Sequence[str], after: Sequence[str], name: str, context: int = 3) -> list[str]:
    """A unified diff, without newlines; empty if the texts are the same."""
    lines: list[str] = []
    for hunk in _hunks(blocks(before, after), context):
        spans = _span(hunk[0][1], hunk[-1][2]), _span(hunk[0][3], hunk[-1][4])
        lines.append(f"@@ -{spans[0]} +{spans[1]} @@")
        for same, a1, a2, b1, b2 in hunk:
            if same:
                lines += [" " + line for line in before[a1:a2]]
            else:
                lines += ["-" + line for line in before[a1:a2]]
                lines += ["+" + line for line in after[b1:b2]]
    return [f"--- {name}", f"+++ {name}", *lines] if lines else []


def _span(start: int, end: int) -> str:
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _hunks(found: list[Block], context: int) -> Iterator[list[Block]]:
    """Changes with what is around them."""
    hunk: list[Block] = []
    last = len(found) - 1
    for i, (same, a1, a2, b1, b2) in enumerate(found):
        if not same:
            hunk.append((same, a1, a2, b1, b2))
            continue
        if i > 0 and i < last and a2 - a1 <= 2 * context:
            hunk.append((same, a1, a2, b1, b2))
            continue
        if i > 0:
            keep = min(context, a2 - a1)
            yield [*hunk, (True, a1, a1 + keep, b1, b1 + keep)] if keep else hunk
            hunk = []
        if i < last:
            keep = min(context, a2 - a1)
            hunk = [(True, a2 - keep, a2, b2 - keep, b2)] if keep else []
    if any(not block[0] for block in hunk):
        yield hunk
