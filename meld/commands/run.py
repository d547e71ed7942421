"""`meldc run`: runs a program under wasmtime."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld.commands.compile import pipeline_arguments

    parser.usage = "meldc run FILE… [options] [--invoke 'NAME(VALUE, …)' | --invoke NAME ARG…]"
    parser.description = "Run a core module under wasmtime, or components, which are fused first."
    parser.epilog = """\
examples:
  meldc run fused.wasm --invoke add 1 2             core values
  meldc run a.wasm b.wasm --invoke 'f("a", [1,2])'  component values, in WAVE syntax
  meldc run a.wasm b.wasm --stop-after=merge --invoke 'f()'  boundaries interpreted
  meldc run a.wasm b.wasm --trace-async --invoke 'f()'       the same, with what happens between components"""
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="a core module, or components; .wasm or .wat")
    add("--trace-async", action="store_true", help="print calls, events and copies between components as they happen")
    add("--invoke", nargs=argparse.REMAINDER, metavar=("CALL", "ARG"), help="an export and its arguments; comes last")
    pipeline_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Runs the program; 1 if it traps."""
    from meld.commands.compile import pipeline_options, plugin_verifier
    from meld.diagnostics import MeldError
    from meld.runtime.run import run_files

    if args.invoke == []:
        raise MeldError("--invoke needs the name of an export")
    options = pipeline_options(args)
    options.observers = plugin_verifier(args.files, options)
    return run_files(args.files, args.invoke or [], trace_async=args.trace_async, options=options)
