"""An edit inside one function: what a new version of a text has in common with the one before.

People type in one function at a time. If all that changed lies in the body of one function, which ends where it did,
then everything outside of it means what it meant, and so do the other bodies: what was found out about them holds, at
places that have moved. Types are the exception: a body may define function types by writing them out, which later
numbers count. So a body that does, before or after the edit, is read again like the whole text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from meld.diagnostics import MeldError
from meld.support.records import record
from meld.text.grammar.lexer import Scanner
from meld.text.reading.names import ReadBody


@record()
class Edit:
    """A change of one body.

    Attributes:
        start, end: the body in the new version.
        by: how much longer it is than it was.
        known: the other bodies that are in order and define no types: start → end in the new version.
    """

    start: int
    end: int
    by: int
    known: dict[int, int]

    def moved(self, place: int) -> int:
        """Where a body that started at a place of the old version starts now."""
        return place + self.by if place > self.start else place

    def holds(self, bodies: Mapping[int, ReadBody], *, failed: bool) -> bool:
        """Whether the new version was read as expected: all bodies are where they were, and no type is defined.

        Args:
            failed: whether it has errors, so that the changed body may not have been read.
        """
        if any(start not in bodies or bodies[start].end != end for start, end in self.known.items()):
            return False
        changed = {start: body for start, body in bodies.items() if self.start <= start < self.end}
        if not changed:
            return failed
        return (
            changed.keys() == {self.start} and changed[self.start].end == self.end and not changed[self.start].defines
        )


def edit_of(bodies: Mapping[int, ReadBody], old: str, new: str) -> Edit | None:
    """How a text was edited, if only one of its bodies was; None if more was, or where that cannot be told.

    Args:
        bodies: those of the old version, by where they start.
    """
    first = _common(old, new)
    last = min(_common_end(old, new), min(len(old), len(new)) - first)
    end, by = len(old) - last, len(new) - len(old)
    start = max((start for start in bodies if start <= first), default=None)
    if (
        start is None
        or bodies[start].end < end
        or bodies[start].defines
        or (start == first and old[start - 1] not in " \t\r\n")
    ):
        return None
    stop = bodies[start].end + by
    try:
        if Scanner(new).stretch(start) != stop:
            return None
    except MeldError:
        return None
    edit = Edit(start, stop, by, {})
    others = ((at, body) for at, body in bodies.items() if at != start and body.sound)
    edit.known = {edit.moved(at): edit.moved(at) + body.end - at for at, body in others}
    return edit


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    return _longest(min(len(one), len(other)), lambda low, high: one[low:high] == other[low:high])


def _common_end(one: str, other: str) -> int:
    """How many characters two texts end with alike."""
    m, n = len(one), len(other)
    return _longest(min(m, n), lambda low, high: one[m - high : m - low] == other[n - high : n - low])


def _longest(most: int, alike: Callable[[int, int], bool]) -> int:
    """The largest number up to `most` such that all before it is alike; asks about stretches, each at most once."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if alike(low, middle):
            low = middle
        else:
            high = middle - 1
    return low
