"""The commands of the command line, one module each; `meld.cli` finds them by name.

A module has two functions: ``configure(parser)`` declares its arguments and stays light, since `--help` pays for it;
``main(args)`` does the work, imports what it needs, and returns the exit code.
"""

from __future__ import annotations

import argparse


def add_diagnostics(parser: argparse.ArgumentParser, where: str = "standard error") -> None:
    """Declares `--diagnostics`; what is wrong then goes there in that form."""
    parser.add_argument(
        "--diagnostics",
        choices=("text", "json", "sarif"),
        default="text",
        help=f"how to say what is wrong, on {where}; text without it",
    )
