"""How much code adapters may take: values of records and variants are copied one by one, each by code of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from meld.abi.layout import Layout
from meld.diagnostics import MeldError
from meld.support.records import record

FLOOR = 60_000
"""Values (`Layout.weight`) that the calls of any program may pass in records and variants."""

OF_CALL = 200
"""How many more for each call."""


@record()
class CodeBudget:
    """Counts each layout once for each pair of memories, as the code for it is written once."""

    spent: int = 0
    calls: int = 0
    _seen: set[tuple[str | None, str | None, int]] = field(default_factory=set)  # by id; a `Layouts` keeps them alive

    def spend(self, caller: str | None, callee: str | None, records: Iterable[Layout], calls: int = 1) -> None:
        """A call passes these records between two memories, given by their names in the text.

        Args:
            calls: how many calls that is; 0 for the elements of a stream, whose instances the compiler pairs.

        Raises:
            MeldError: code for so many values is out of proportion; a few definitions can make a type of any size.
        """
        self.calls += calls
        pending = list(records)
        while pending:
            layout = pending.pop()
            if layout.plain or (caller, callee, id(layout)) in self._seen:
                continue
            self._seen.add((caller, callee, id(layout)))
            self.spent += layout.weight
            pending += _elements(layout)
        limit = FLOOR + OF_CALL * self.calls
        if self.spent > limit:
            raise MeldError(
                f"calls pass more than {limit} values in records and variants, which are copied one by one",
                hint="pass lists, or records with fewer fields",
            )


def _elements(layout: Layout) -> list[Layout]:
    """The elements of lists inside a layout, those inside other lists aside: what has code of its own."""
    lists = layout.outermost(lambda one: one.element is not None)
    return [one.element for one in lists if one.element is not None]
