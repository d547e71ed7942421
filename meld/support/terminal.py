"""Lines on standard output: coloured if it is a terminal, and without what a terminal would act on."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable

from meld.observers.dumps import DIFF_COLOURS

_DIFF_LINE = re.compile(r"^ *([-+@])")


def show(lines: Iterable[str]) -> None:
    """Prints lines, those of a diff in colour."""
    colour = sys.stdout.isatty()
    for line in lines:
        print(painted(line) if colour else harmless(line))


def harmless(text: str) -> str:
    """A text in which nothing is left that a terminal would act on, but ends of lines and tabs."""
    return "".join(c if c.isprintable() or c in "\t\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def painted(line: str) -> str:
    """A line of a diff in its colour, if the user wants colours; other lines as they are."""
    text = harmless(line)
    found = None if os.environ.get("NO_COLOR") else _DIFF_LINE.match(text)
    return f"\x1b[{DIFF_COLOURS[found[1]]}m{text}\x1b[0m" if found else text
