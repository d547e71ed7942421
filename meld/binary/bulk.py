"""The bodies of a code section taken together: where they are many, the kernel does in one call what Python does each.

``MELDC_KERNEL=on`` and ``=off`` force one way or the other; both write the same bytes.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from meld.ir.instructions import Scope
from meld.ir.numbering import Numbering
from meld.records import record

if TYPE_CHECKING:
    from meld.binary.bodies import Scan
    from meld.binary.dwarf_lines import LineUnit
    from meld.binary.kernel import Kernel, Uses, Written

THRESHOLD = 400_000
"""Bytes of code from which on it pays to start the engine."""
THRESHOLD_STARTED = 8_000
"""The same when it is started already."""


@record(eq=False)
class CodeSection:
    """A code section that was read.

    Attributes:
        data: sizes and bodies, one function after the other.
        where: the name of the input, for messages.
        offset: where `data` stands in the input.
        starts, ends: where each body stands in `data`.
        scans: what was found in the bodies that Python has looked at.
        head: how many bytes of the section, its count, are in front of `data`.
        debug: the debugging sections of the input, by name, which speak of places in the section.
        lines: what they say of lines, once it was read (`meld.binary.source_lines`).
    """

    data: memoryview
    where: str = ""
    offset: int = 0
    starts: array[int] = field(default_factory=lambda: array("I"))
    ends: array[int] = field(default_factory=lambda: array("I"))
    scans: dict[int, Scan] = field(default_factory=dict)
    head: int = 1
    debug: dict[str, bytes | memoryview] = field(default_factory=dict)
    lines: list[LineUnit] | None = None
    _uses: Uses | None = None
    _refused: bool = False

    def body(self, number: int) -> memoryview:
        """The bytes of a body."""
        return self.data[self.starts[number] : self.ends[number]]

    def uses(self, scope: Scope) -> Uses | None:
        """What each body uses; None where Python has to look."""
        if self._uses is None and self.pays():
            from meld.binary.kernel import Refused

            try:
                self._uses = self._kernel(scope).uses()
            except Refused:
                self._refused = True
        return self._uses

    def rewritten(self, scope: Scope, numbering: Numbering, numbers: Sequence[int]) -> Written | None:
        """Some of the bodies, each behind its size, with the indices of another module; None where Python has to."""
        if not self.pays():
            return None
        from meld.binary.kernel import Refused

        keep = bytearray(len(self.starts))
        for number in numbers:
            keep[number] = 1
        try:
            return self._kernel(scope).rewrite(
                {space: numbering.map_of(scope, space) for space in Scope.SPACES}, bytes(keep)
            )
        except Refused:
            return None

    def pays(self) -> bool:
        """Whether the kernel shall be used."""
        if self._refused:
            return False
        match os.environ.get("MELDC_KERNEL", ""):
            case "off":
                return False
            case "on":
                return True
        started = "meld.binary.kernel" in sys.modules
        return len(self.data) >= (THRESHOLD_STARTED if started else THRESHOLD)

    def _kernel(self, scope: Scope) -> Kernel:
        from meld.binary.kernel import Kernel

        return Kernel(self.data, len(self.starts), [len(space) for space in scope.spaces()])
