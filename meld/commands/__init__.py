"""The commands of the command line, one module each; `meld.cli` finds them by name.

A module has two functions: ``configure(parser)`` declares its arguments and stays light, since `--help` pays for it;
``main(args)`` does the work, imports what it needs, and returns the exit code.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any


def add_diagnostics(parser: argparse.ArgumentParser, where: str = "standard error") -> None:
    """Declares `--diagnostics`; what is wrong then goes there in that form."""
    parser.add_argument(
        "--diagnostics",
        choices=("text", "json", "sarif"),
        default="text",
        help=f"how to say what is wrong, on {where}; text without it",
    )


def add_format(parser: argparse.ArgumentParser) -> None:
    """Declares `--format`, and `--json`, which is short for one of its values."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of what is printed")
    parser.add_argument("--json", action="store_const", dest="format", const="json", help="short for --format=json")


COMMANDS = {
    "passes": "list the passes, or describe one",
    "run": "run a module, or components, under wasmtime",
    "inspect": "show what a program is made of",
    "plan": "show the pipeline as it will run, and why",
    "check": "say whether files are in order, and all that is not",
    "fmt": "rewrite text in its canonical form",
    "bisect": "find the pass, and in it the rewrite, after which a test fails",
    "reduce": "shrink a program and its passes to what still makes a test fail",
    "replay": "run a pass that failed again, from the reproducer that it left",
    "trace": "show what a recorded run did, and to whom",
    "diff": "compare points of a recorded run, or two runs",
    "report": "write a recorded run as a page of HTML",
    "debug": "step through a compilation, look at it, change it",
    "test": "run golden tests",
    "new-pass": "lay out a plugin package",
    "lsp": "serve editors",
    "completion": "teach a shell to complete",
}
"""Commands besides compiling, with what they are for; each stands in `meld.commands`, under its own name."""


def module_of(name: str) -> Any:
    """The module of a command."""
    return import_module(f"{__name__}.{name.replace('-', '_')}")
