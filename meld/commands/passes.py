"""`meldc passes`: what passes there are."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from inspect import cleandoc


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.description = "List the passes, or describe one."
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("--plugin", metavar="FILE", action="append", default=[], help="load passes from a Python file")


def description(docstring: str) -> Iterator[str]:
    """The lines of a docstring behind its first: a paragraph is one line, indented lines (WAT) are kept as they are."""
    paragraph: list[str] = []
    for line in cleandoc(docstring).splitlines()[1:]:
        if line and not line.startswith(" "):
            paragraph.append(line)
            continue
        if paragraph:
            yield " ".join(paragraph)
            paragraph = []
        yield line
    if paragraph:
        yield " ".join(paragraph)


def main(args: argparse.Namespace) -> int:
    """Prints a table of the passes, or one of them with its options."""
    from rich.console import Console
    from rich.table import Table

    from meld.diagnostics import MeldError
    from meld.passes import BUILTIN, Registry
    from meld.passes.base import options_of, summary_of
    from meld.support.terminal import cell

    registry = Registry.standard(args.plugin)
    console = Console()
    if args.name is not None:
        cls = registry.get(args.name)
        console.print(cell(f"{cls.name}: {summary_of(cls)}"))
        for line in description(cls.__doc__ or ""):
            console.print(cell(line), soft_wrap=line.startswith(" "))
        console.print()
        language = f"{cls.reads.__name__.lower()} → {cls.writes.__name__.lower()}"
        rows = [("language", language), ("requires", ", ".join(sorted(cls.requires)) or "nothing")]
        rows += [("establishes", ", ".join(sorted(cls.establishes)) or "nothing")]
        rows += [("after", ", ".join(cls.after))] * bool(cls.after) + [("before", ", ".join(cls.before))] * bool(
            cls.before
        )
        rows += [(f"option {o.name}", f"{o.type.__name__}, default {o.default}: {o.help}") for o in options_of(cls)]
        width = max(len(key) for key, _ in rows)
        for key, value in rows:
            console.print(cell(f"  {key:<{width}}  {value}"))
        return 0
    table = Table("pass", "from → to", "needs", "what it does", title=None)
    for each in registry.names():
        try:
            cls = registry.get(each)
        except MeldError as e:
            table.add_row(*map(cell, (each, "", "", e.message)), style="red")
            continue
        origin = "" if each in BUILTIN else " (plugin)"
        language = f"{cls.reads.__name__.lower()} → {cls.writes.__name__.lower()}"
        needs = ", ".join(sorted(cls.requires))
        table.add_row(*map(cell, (each + origin, language, needs, summary_of(cls))))
    console.print(table)
    return 0
