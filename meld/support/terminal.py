"""What reaches a terminal: text without control characters.

Names come from programs, and may contain escape sequences or marks of direction. So
everything that is printed goes through `say`, tables are made of `cell`, and JSON is written by `json_text`; colours
are added behind that. Products (WAT, HTML) escape such characters by themselves.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from meld.support.patterns import late

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDE = 1000
"""Columns of a table that goes to a file or another program: so many that nothing is cut."""
DIFF_COLOURS = {"+": "32", "-": "31", "@": "36"}

_DIFF_LINE = late(r"^ *([-+@])")


def say(text: object = "", *, error: bool = False, end: str = "\n") -> None:
    """Prints a text to standard output, or to standard error."""
    print(harmless(str(text)), end=end, file=sys.stderr if error else sys.stdout)


def show(lines: Iterable[str]) -> None:
    """Prints lines, those of a diff in colour if standard output is a terminal."""
    colour = sys.stdout.isatty()
    for line in lines:
        print(painted(line) if colour else harmless(line))


def harmless(text: str) -> str:
    """A text in which nothing is left that a terminal would act on, but ends of lines and tabs."""
    if text.isprintable():
        return text
    return "\n".join(line if line.isprintable() else _replaced(line) for line in text.split("\n"))


def _replaced(line: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)


def in_utf8(text: str) -> str:
    """A text of the system, such as the name of a file, as a program may hold it.

    Bytes that are no UTF-8, which Python keeps as half characters, are replaced.
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if not text.isascii() else text


def painted(line: str, *, margin: bool = True) -> str:
    """A line of a diff in its colour, if the user wants colours; other lines as they are.

    Args:
        margin: whether the mark of the diff may stand behind blanks.
    """
    text = harmless(line)
    found = None if os.environ.get("NO_COLOR") else _DIFF_LINE.match(text)
    if found is None or not (margin or found.end() == 1):
        return text
    return f"\x1b[{DIFF_COLOURS[found[1]]}m{text}\x1b[0m"


def painted_all(diff: str) -> str:
    """A unified diff in its colours."""
    return "\n".join(painted(line, margin=False) for line in diff.split("\n"))


def table_console(*, error: bool = False) -> Console:
    """A console for tables, on standard output or standard error.

    It is as wide as the terminal (or as COLUMNS says), and as wide as it takes where there is none.
    """
    from rich.console import Console

    wide = not (sys.stderr if error else sys.stdout).isatty() and not os.environ.get("COLUMNS")
    return Console(width=WIDE if wide else None, stderr=error)


def cell(value: object) -> Text:
    """A cell of a table: plain, since a name may hold brackets, which are markup otherwise."""
    from rich.text import Text

    return Text(harmless(str(value)))


def json_text(value: Any, indent: int | None = 1) -> str:
    """A value as JSON: all letters as they are, and what a terminal would act on as escapes."""
    import json

    text = json.dumps(value, indent=indent, ensure_ascii=False)
    if text.isprintable():
        return text
    return "\n".join(line if line.isprintable() else "".join(map(_escaped, line)) for line in text.split("\n"))


def _escaped(c: str) -> str:
    """A character inside of a string of JSON: only there can one stand that is not printable."""
    if c.isprintable():
        return c
    data = c.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[i]:02x}{data[i + 1]:02x}" for i in range(0, len(data), 2))
