"""How many tasks there may be that have not exited: each caller has a share of its own with each callee.

A task that has returned and waits on is in no table, so it is bounded here. It counts for who called and whom:
who is given a function can use up what it may have with that callee, and neither the share of another caller nor that
of the callee with anybody else. The host is a caller like others, once for each instance that it calls.

A share is a word of the state memory, and a task knows the number of its share by the upper half of its flags.
"""

from __future__ import annotations

from collections.abc import Iterable

from meld.ir.notes import Instance
from meld.notes.tasks import SHARE
from meld.rewriting.handles import most_tasks
from meld.support.records import record

MOST_SHARES = 1 << 16
"""Numbers that flags have room for; callers beyond have the last one in common."""

Parties = tuple[Instance | None, Instance | None]
"""The caller and the callee; None is the host."""


@record(frozen=True)
class Shares:
    """The shares of a program, by their numbers."""

    numbers: dict[Parties, int]

    @classmethod
    def of(cls, parties: Iterable[Parties]) -> Shares:
        """The shares of so many calls, some of which have both parties in common."""
        return cls({both: min(number, MOST_SHARES - 1) for number, both in enumerate(dict.fromkeys(parties))})

    def flag(self, caller: Instance | None, callee: Instance | None) -> int:
        """The number of a share, as it stands in the flags of its tasks."""
        return self.numbers[caller, callee] * SHARE

    @property
    def bytes(self) -> int:
        """What the counters take."""
        return 4 * max(len(self.numbers), 1)

    @property
    def most(self) -> int:
        """How many tasks each of them has."""
        return most_tasks(len(self.numbers))
