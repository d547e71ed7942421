"""The bodies of a code section taken together: where they are many, the kernel does in one call what Python does each.

``MELDC_KERNEL=on`` and ``=off`` force one way or the other; both write the same bytes.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meld.ir.instructions import Scope
from meld.ir.numbering import Numbering

if TYPE_CHECKING:
    from meld.binary.kernel import Kernel

THRESHOLD = 400_000
"""Bytes of code from which on the kernel's fixed cost pays."""


@dataclass(eq=False, slots=True)
class CodeSection:
    """A code section that was read.

    Attributes:
        data: sizes and bodies, one function after the other.
        count: how many functions.
    """

    data: memoryview
    count: int
    _uses: list[array[int]] | None = None
    _refused: bool = False

    def pays(self) -> bool:
        """Whether the kernel shall be used."""
        mode = os.environ.get("MELDC_KERNEL", "")
        return not self._refused and mode != "off" and (mode == "on" or len(self.data) >= THRESHOLD)

    def uses(self, scope: Scope) -> list[array[int]] | None:
        """Per function what it uses, as `Kernel.uses`; None where Python has to look."""
        if self._uses is None and self.pays():
            from meld.binary.kernel import Refused

            try:
                self._uses = self._kernel(scope).uses()
            except Refused:
                self._refused = True
        return self._uses

    def rewritten(
        self, scope: Scope, numbering: Numbering, numbers: Sequence[int]
    ) -> tuple[list[memoryview], bool] | None:
        """Some of the bodies, each behind its size, with the indices of another module; None where Python has to.

        With them, whether a body names a data segment.
        """
        if not self.pays():
            return None
        from meld.binary.kernel import Refused

        keep = bytearray(self.count)
        for number in numbers:
            keep[number] = 1
        try:
            written = self._kernel(scope).rewrite(
                {space: numbering.map_of(scope, space) for space in Scope.SPACES}, bytes(keep)
            )
        except Refused:
            return None
        starts = [0, *written.ends]
        return [written.data[starts[number] : written.ends[number]] for number in numbers], written.names_data

    def _kernel(self, scope: Scope) -> Kernel:
        from meld.binary.kernel import Kernel, sizes_of

        return Kernel(self.data, self.count, sizes_of(scope))
