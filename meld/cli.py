"""The command line: argument parsing and exit codes; no logic.

Exit codes: 0 done; 1 a run program trapped or failed; 2 bad input or usage; 70 a defect of meldc.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

USAGE = """\
meldc INPUT… [-o OUT] [options]    fuse components into one core module
meldc passes [NAME]                list the passes, or describe one
meldc run FILE… [--invoke CALL]     run a module, or components, under wasmtime
meldc inspect FILE… [--json]       show what a program is made of"""

EPILOG = """\
examples:
  meldc producer.wasm consumer.wasm -o fused.wasm
  meldc a.wat b.wat --dump-after=emit-bridge --explain -o fused.wasm
  meldc a.wasm b.wasm --passes=detect-pairs,emit-bridge{slots=16},rewire-calls --emit=wat
  meldc app.wasm library.wasm --emit=component -o app.fused.wasm
  meldc dump.wat --passes=finish -o fused.wasm"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the script `meldc`; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    commands = {"passes": _passes, "run": _run, "inspect": _inspect}
    try:
        return commands[args[0]](args[1:]) if args and args[0] in commands else _compile(args)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - so that the interpreter's last flush is quiet
        return 1
    except KeyboardInterrupt:
        print("meldc: interrupted", file=sys.stderr)
        return 130
    except Exception as e:
        return _failed(e)


def _failed(e: Exception) -> int:
    from meld.diagnostics import MeldError

    if isinstance(e, MeldError):
        print(f"meldc: error: {e}", file=sys.stderr)
        return 2
    if os.environ.get("MELDC_TRACEBACK"):
        raise e
    if isinstance(e, MemoryError):
        print("meldc: error: out of memory", file=sys.stderr)
        return 2
    print(
        f"meldc: internal error: {type(e).__name__}: {e}\n"
        "hint: this is a defect of meldc; MELDC_TRACEBACK=1 shows where it happened",
        file=sys.stderr,
    )
    return 70


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meldc",
        usage=USAGE,
        description="Fuse WebAssembly components into one core module; shared streams stay inside it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="INPUT", help="components or a module, .wasm or .wat")
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
    add("-q", "--quiet", action="store_true", help="no remarks, no progress")
    add("--version", action="version", version=f"meldc {_version()}")
    return parser


def _version() -> str:
    from meld import __version__

    return __version__


def _compile(argv: list[str]) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if not args.inputs:
        parser.error("an INPUT is needed")
    from meld.command import compile_command

    return compile_command(args)


def _passes(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="meldc passes", description="List the passes, or describe one.")
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("--plugin", metavar="FILE", action="append", default=[])
    args = parser.parse_args(argv)
    from meld.command import passes_command

    return passes_command(args.name, args.plugin)


def _run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="meldc run",
        usage="meldc run FILE… [options] [--invoke 'NAME(VALUE, …)' | --invoke NAME ARG…]",
        description="Run a core module under wasmtime, or components, which are fused first.",
        epilog="""\
examples:
  meldc run fused.wasm --invoke add 1 2             core values
  meldc run a.wasm b.wasm --invoke 'f("a", [1,2])'  component values, in WAVE syntax
  meldc run a.wasm b.wasm --stop-after=merge --invoke 'f()'  boundaries interpreted""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a core module, or components; .wasm or .wat")
    parser.add_argument("--link", metavar="A:IMPORT=B", action="append", default=[], help="as in `meldc`")
    parser.add_argument("--stop-after", metavar="PASS", help="run what stands after this pass")
    parser.add_argument(
        "--invoke", nargs=argparse.REMAINDER, metavar=("CALL", "ARG"), help="an export and its arguments; comes last"
    )
    args = parser.parse_args(argv)
    if args.invoke == []:
        parser.error("--invoke needs the name of an export")
    from meld.runtime.run import run_files

    return run_files(args.files, args.invoke or [], links=args.link, stop_after=args.stop_after)


def _inspect(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="meldc inspect",
        description="Show imports, exports, instances, memories, resources, and who calls whom: of a core module (a "
        "text dump says more than a binary), or of components as they are linked.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a core module, or components; .wasm or .wat")
    parser.add_argument("--link", metavar="A:IMPORT=B", action="append", default=[], help="as in `meldc`")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    args = parser.parse_args(argv)
    from meld.inspect_command import inspect_command

    return inspect_command(args.files, args.link, as_json=args.json)
