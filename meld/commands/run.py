"""`meldc run`: runs a program under wasmtime."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meld.runtime.wasi import Surroundings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld.commands.compile import pipeline_arguments

    parser.usage = "meldc run FILE… [options] [--invoke 'NAME(VALUE, …)' | --invoke NAME ARG…] [-- ARG…]"
    parser.description = "Run a core module under wasmtime, or components, which are fused first."
    parser.epilog = """\
examples:
  meldc run fused.wasm --invoke add 1 2             core values
  meldc run a.wasm b.wasm --invoke 'f("a", [1,2])'  component values, in WAVE syntax
  meldc run app.wasm --dir . --env LANG=C -- input.txt       a program that uses WASI
  meldc run a.wasm b.wasm --stop-after=merge --invoke 'f()'  boundaries interpreted
  meldc run a.wasm b.wasm --trace-async --invoke 'f()'       the same, with what happens between components"""
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="a core module, or components; .wasm or .wat")
    add("--trace-async", action="store_true", help="print calls, events and copies between components as they happen")
    add("--dir", metavar="DIR[::GUEST]", action="append", default=[], help="a directory for a program that uses WASI")
    add(
        "--env", metavar="NAME[=VALUE]", action="append", default=[], help="a variable; without VALUE, the one there is"
    )
    add("--timeout", metavar="SECONDS", type=float, help="how long the program may run")
    add("--invoke", nargs=argparse.REMAINDER, metavar=("CALL", "ARG"), help="an export and its arguments; comes last")
    pipeline_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Runs the program; 1 if it traps."""
    from meld.commands.compile import pipeline_options, plugin_verifier
    from meld.diagnostics import MeldError
    from meld.runtime.run import run_files

    _check_files(args.files)
    if args.invoke == []:
        raise MeldError("--invoke needs the name of an export")
    options = pipeline_options(args)
    options.observers = plugin_verifier(args.files, options)
    if args.timeout is not None and not args.timeout > 0:
        raise MeldError(f"--timeout={args.timeout:g}", hint="a number of seconds above 0")
    return run_files(
        args.files,
        args.invoke or [],
        trace_async=args.trace_async,
        options=options,
        surroundings=_surroundings(args),
        timeout=args.timeout,
    )


def _check_files(names: list[str]) -> None:
    """Refuses a program's argument that stands among the files. Raises MeldError."""
    from pathlib import Path

    from meld.diagnostics import MeldError

    for name in names[1:]:
        if name != "-" and not Path(name).suffix and not Path(name).exists():
            raise MeldError("no such file", where=name, hint="arguments of the program come after `--`")


def _surroundings(args: argparse.Namespace) -> Surroundings:
    """What a program that uses WASI finds. Raises MeldError."""
    import os

    from meld.diagnostics import MeldError
    from meld.runtime.wasi import Surroundings

    env: list[tuple[str, str]] = []
    for text in args.env:
        name, equals, value = text.partition("=")
        if not name:
            raise MeldError(f"--env={text}", hint="write --env NAME=VALUE")
        if equals or name in os.environ:
            env.append((name, value if equals else os.environ[name]))
    directories = []
    for text in args.dir:
        path, mapped, guest = text.partition("::")
        directories.append((path, guest if mapped else path))
    return Surroundings(args.behind, env, directories)
