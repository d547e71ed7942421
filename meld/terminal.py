"""Lines on standard output: coloured if it is a terminal, and without what a terminal would act on."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable

from meld.dumps import DIFF_COLOURS

_DIFF_LINE = re.compile(r"^ *([-+@])")


def show(lines: Iterable[str]) -> None:
    """Prints lines, those of a diff in colour."""
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in lines:
        text = "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)
        found = _DIFF_LINE.match(text) if colour else None
        print(f"\x1b[{DIFF_COLOURS[found[1]]}m{text}\x1b[0m" if found else text)
