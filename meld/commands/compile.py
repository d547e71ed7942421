"""`meldc INPUT…`: fuses components into one core module, or a component around it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from meld.commands import add_diagnostics

if TYPE_CHECKING:
    from pathlib import Path

    from meld.driver import Outcome
    from meld.passes.base import Program

EPILOG = """\
examples:
  meldc producer.wasm consumer.wasm -o fused.wasm
  meldc a.wat b.wat --dump-after=emit-bridge --explain -o fused.wasm
  meldc a.wasm b.wasm --passes=detect-pairs,emit-bridge{slots=16},rewire-calls --emit=wat
  meldc app.wasm library.wasm --emit=component -o app.fused.wasm
  meldc dump.wat --passes=finish -o fused.wasm"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld import __version__

    parser.description = "Fuse WebAssembly components into one core module; shared streams stay inside it."
    parser.epilog = EPILOG
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="components or a module, .wasm or .wat")
    add("-o", "--output", metavar="OUT", help="where the product goes; text goes to standard output without it")
    add("--passes", metavar="PIPELINE", help="passes to run, with options: `detect-pairs,emit-bridge{slots=16}`")
    add("--stop-after", metavar="PASS", help="stop after this pass and write what there is")
    add("--dump-before", metavar="PASS", action="append", default=[], help="show the IR before a pass, or `all`")
    add("--dump-after", metavar="PASS", action="append", default=[], help="show the IR after a pass, or `all`")
    add("--dump-dir", metavar="DIR", help="write dumps to numbered files here instead of standard error")
    add(
        "--emit",
        choices=("wasm", "wat", "component"),
        help="form of the product; by OUT's suffix without it. component: wrapped as a component again",
    )
    add("--link", metavar="A:IMPORT=B", action="append", default=[], help="link import IMPORT of input A to input B")
    add("--plugin", metavar="FILE", action="append", default=[], help="load passes from a Python file")
    add("--manifest", metavar="FILE", help="write how to call the module and where its functions come from, as JSON")
    add("--explain", action="store_true", help="say what was done with each stream domain and boundary, and why")
    add_diagnostics(parser)
    add("-q", "--quiet", action="store_true", help="no remarks, no progress")
    add("--version", action="version", version=f"meldc {__version__}")


def main(args: argparse.Namespace) -> int:
    """Compiles, and writes the product whole or not at all. Raises MeldError."""
    from pathlib import Path

    from meld.diagnostics import MeldError
    from meld.driver import Options, build
    from meld.output import dumper, render, write_file
    from meld.passes import Registry
    from meld.progress import Progress

    wrap = args.emit == "component"
    if args.manifest is not None and wrap:
        raise MeldError("--manifest is about a core module; a component says itself what it is")
    form = "wat" if args.output is None or args.output.endswith(".wat") else "wasm"
    emit = args.emit if args.emit and not wrap else form
    if args.output is None and emit == "wasm" and sys.stdout.isatty():
        raise MeldError("will not write a binary to a terminal", hint="name a file with -o, or use --emit=wat")
    registry = Registry.standard(args.plugin)
    for name in {*args.dump_before, *args.dump_after} - {"all"}:
        registry.get(name)
    with Progress(quiet=args.quiet) as progress:
        dump = dumper(args.dump_before, args.dump_after, Path(args.dump_dir) if args.dump_dir else None)
        options = Options(args.passes, args.stop_after, args.link, args.plugin, [progress.observe, dump], wrap)
        outcome = build(args.inputs, options)
        progress.say("writing")
        product = render(outcome.program, emit)
    if args.manifest is not None:
        _write_manifest(outcome.program, Path(args.manifest))
    if args.output is not None:
        write_file(Path(args.output), product)
    else:
        sys.stdout.buffer.write(product)
        sys.stdout.buffer.flush()
    report(outcome, quiet=args.quiet, explain=args.explain)
    return 0


def _write_manifest(program: Program, path: Path) -> None:
    from meld.diagnostics import MeldError
    from meld.ir.module import Module
    from meld.manifest import manifest_text
    from meld.output import write_file

    if not isinstance(program, Module):
        raise MeldError("--manifest is about a core module, and the product is a composition", hint="run merge")
    write_file(path, manifest_text(program).encode())


def report(outcome: Outcome, *, quiet: bool, explain: bool) -> None:
    """Remarks and the explanation, to standard error."""
    if not quiet:
        for remark in outcome.remarks:
            print(f"remark: {remark}", file=sys.stderr)
    if explain:
        from meld.explain import explain as show

        show(outcome)
