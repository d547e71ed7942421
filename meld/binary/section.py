"""The bodies of a code section taken together: where they are many, the kernel does in one call what Python does each.

``MELDC_KERNEL=on`` and ``=off`` force one way or the other; both write the same bytes.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from meld.ir.instructions import IndexSpaces
from meld.ir.numbering import Numbering
from meld.support.records import record

if TYPE_CHECKING:
    from meld.binary.debug.dwarf_lines import LineUnit
    from meld.binary.kernel import Kernel, Uses, Written
    from meld.binary.scan import Scan
    from meld.support.ahead import Background

THRESHOLD = 80_000
"""Bytes of code, each function counting as `FUNCTION` more, from which on it pays to start the engine."""
THRESHOLD_STARTED = 8_000
"""The same when it is started already."""
FUNCTION = 16


@record(eq=False)
class CodeSection:
    """A code section that was read.

    Attributes:
        data: sizes and bodies, one function after the other.
        where: the name of the input, for messages.
        offset: where `data` stands in the input.
        starts, ends: where each body stands in `data`.
        scans: the results for the bodies that Python has scanned.
        head: how many bytes of the section, its count, are in front of `data`.
        debug: the debugging sections of the input, by name, which contain offsets into the section.
        hints: the branch hints: number of the function → number of the instruction → whether the branch is likely.
    """

    data: memoryview
    where: str = ""
    offset: int = 0
    starts: array[int] = field(default_factory=lambda: array("I"))
    ends: array[int] = field(default_factory=lambda: array("I"))
    scans: dict[int, Scan] = field(default_factory=dict)
    head: int = 1
    debug: dict[str, bytes | memoryview] = field(default_factory=dict)
    hints: dict[int, dict[int, bool]] = field(default_factory=dict)
    _lines: list[LineUnit] | None = None
    _ahead: Background[Uses] | None = None
    _uses: Uses | None = None
    _refused: bool = False

    def body(self, number: int) -> memoryview:
        """The bytes of a body."""
        return self.data[self.starts[number] : self.ends[number]]

    def lines(self) -> list[LineUnit]:
        """The line tables that its input brought, read once. Raises MeldError if they are malformed, the first time."""
        if self._lines is None:
            from meld.binary.debug.dwarf_lines import read_lines

            self._lines = []
            self._lines = read_lines(self.debug)
        return self._lines

    def look_ahead(self, scope: IndexSpaces) -> None:
        """Start scanning the section's uses in the background, if that pays."""
        if self._ahead is None and self.pays():
            kernel = self._kernel(scope)
            self._ahead = None if kernel is None else kernel.uses()

    def uses(self, scope: IndexSpaces) -> Uses | None:
        """The uses of each body; None if the kernel does not scan this section, so that Python has to."""
        if self._uses is not None:
            return self._uses
        if not self._refused:
            self.look_ahead(scope)
            if self._ahead is not None:
                from meld.binary.kernel import Refused

                try:
                    self._uses = self._ahead.get()
                except Refused:
                    self._refused = True
                self._ahead = None
        return self._uses

    def rewritten(self, scope: IndexSpaces, numbering: Numbering, numbers: Sequence[int]) -> Background[Written] | None:
        """Some of the bodies, each behind its size, with the indices of another module; None where Python has to.

        Getting it raises `meld.binary.kernel.Refused` where Python has to, after all.
        """
        if not self.pays():
            return None
        keep = bytearray(len(self.starts))
        for number in numbers:
            keep[number] = 1
        maps = {space: numbering.map_of(scope, space) for space in IndexSpaces.SPACES}
        kernel = self._kernel(scope)
        return None if kernel is None else kernel.rewrite(maps, bytes(keep))

    def pays(self) -> bool:
        """Whether to use the kernel."""
        if self._refused:
            return False
        match os.environ.get("MELDC_KERNEL", ""):
            case "off":
                return False
            case "on":
                return True
        weight = len(self.data) + FUNCTION * len(self.starts)
        if not THRESHOLD_STARTED <= weight < THRESHOLD:
            return weight >= THRESHOLD
        from meld.binary.kernel import is_started

        return is_started()

    def _kernel(self, scope: IndexSpaces) -> Kernel | None:
        """A kernel with the bodies; None if the engine gets no memory for it, so that Python has to do without."""
        from meld.binary.kernel import Kernel, Refused

        try:
            return Kernel(self.data, len(self.starts), [len(space) for space in scope.spaces()])
        except Refused:
            self._refused = True
            return None
