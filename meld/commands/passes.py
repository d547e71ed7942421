"""`meldc passes`: what passes there are."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meld.passes import Registry


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld.commands import add_format

    parser.description = "List the passes, or describe one."
    parser.add_argument("name", nargs="?", metavar="PASS", help="the pass to describe; without it, all are listed")
    add_format(parser)
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
    from meld.support.terminal import cell, json_text, say, table_console

    registry = Registry.standard(args.plugin)
    if args.format == "json":
        names = [args.name] if args.name is not None else list(registry.names())
        say(json_text([_row(registry, name) for name in names]))
        return 0
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
    table_console().print(table)
    return 0


def _row(registry: Registry, name: str) -> dict[str, Any]:
    """What there is to know of a pass, for programs. A plugin that does not load says why."""
    from meld.diagnostics import MeldError
    from meld.passes.base import options_of, summary_of

    try:
        cls = registry.get(name)
    except MeldError as e:
        if name not in registry.broken:
            raise
        return {"name": name, "broken": e.message}
    return {
        "name": name,
        "summary": summary_of(cls),
        "plugin": not cls.is_own,
        "reads": cls.reads.__name__.lower(),
        "writes": cls.writes.__name__.lower(),
        "requires": sorted(cls.requires),
        "establishes": sorted(cls.establishes),
        "after": list(cls.after),
        "before": list(cls.before),
        "options": [
            {"name": o.name, "type": o.type.__name__, "default": o.default, "help": o.help} for o in options_of(cls)
        ],
    }
