"""`meldc check`: whether files are in order, and all that is not."""

from __future__ import annotations

import argparse

from meld.commands import add_diagnostics


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.description = (
        "Check modules and compositions: their text, that everything they refer to is there, that notes and facts are "
        "consistent, that components are valid; with --engine also what the engine validates. Everything that is wrong "
        "with a file is listed, as far as one error does not follow from another."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a module or a component; .wasm or .wat")
    parser.add_argument("--engine", action="store_true", help="have the engine validate what is in order otherwise")
    add_diagnostics(parser, "standard output")


def main(args: argparse.Namespace) -> int:
    """Lists what is wrong; 2 if anything is. Warnings alone are no reason."""
    from meld.diagnostics.forms import Severity, render
    from meld.support.terminal import say
    from meld.verify.check import check_file

    found = [diagnostic for path in args.files for diagnostic in check_file(path, engine=args.engine)]
    say(render(found, args.diagnostics), end="")
    return 2 if any(d.severity is Severity.ERROR for d in found) else 0
