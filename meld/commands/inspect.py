"""`meldc inspect`: what a program is made of, as tables or as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

    from meld.ir.module import Module

TITLES = {
    "instances": "Instances",
    "calls": "Who calls whom",
    "streams": "Streams",
    "resources": "Resources",
    "memories": "Memories",
    "imports": "Imports",
    "exports": "Exports",
}
"""The tables, in the order in which they are shown."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld.commands import add_format

    parser.description = (
        "Show imports, exports, instances, memories, resources, and who calls whom: of a core module (a "
        "text dump says more than a binary), or of components as they are linked."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a core module, or components; .wasm or .wat")
    parser.add_argument("--link", metavar="A:IMPORT=B[#EXPORT]", action="append", default=[], help="as in `meldc`")
    add_format(parser)


def main(args: argparse.Namespace) -> int:
    """Shows what is in a module, or in components as they are linked. Raises MeldError: the files are no program."""
    from meld.support.terminal import json_text, say
    from meld.views.inspection import inspect

    paths: list[str] = args.files
    found = inspect(_module(paths, args.link))
    if args.format == "json":
        say(json_text({"inputs": list(paths), **found}, 2))
    else:
        _show(found)
    return 0


def _module(paths: Sequence[str], links: Sequence[str]) -> Module:
    """The module in the file, or what components are up to where streams are decided on and nothing is lowered."""
    from meld.diagnostics import MeldError
    from meld.driver import Options, build
    from meld.files import load
    from meld.inputs import read_bodies
    from meld.ir.module import Module

    program = load(paths[0]) if len(paths) == 1 else None
    if isinstance(program, Module):
        if links:
            raise MeldError("is a module already; --link is about components", where=paths[0])
        read_bodies(program)
        return program
    program = build(paths, Options(links=links, stop_after="detect-pairs")).program
    assert isinstance(program, Module)
    return program


def _show(found: dict[str, Any]) -> None:
    """One table per kind of thing that there is; columns that say nothing are left out."""
    from rich.table import Table

    from meld.support.terminal import cell, table_console

    console = table_console()
    if found["facts"]:
        console.print(cell(f"facts: {', '.join(found['facts'])}"))
    for key, title in TITLES.items():
        rows = [row for row in found[key] if _shown(key, row)]
        if not rows:
            continue
        columns = [name for name in rows[0] if any(row[name] not in (None, False, 0) for row in rows)]
        table = Table(*columns, title=f"{title} ({len(rows)})", title_justify="left", title_style="bold")
        for row in rows:
            table.add_row(*(_cell(row[name]) for name in columns))
        console.print(table)


def _shown(key: str, row: dict[str, Any]) -> bool:
    """Whether a row is worth a line: not an instance without code, nor an import that is listed as a call."""
    match key:
        case "imports":
            return bool(row["stands-for"] in ("host", "stream"))
        case "instances":
            return any(value for name, value in row.items() if name != "name")
        case _:
            return True


def _cell(value: Any) -> Text:
    from meld.support.terminal import cell

    match value:
        case None | False:
            return cell("")
        case True:
            return cell("yes")
        case _:
            return cell(value)
