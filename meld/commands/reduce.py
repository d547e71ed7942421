"""`meldc reduce`: a smaller program, and fewer passes, on which a test still fails."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from meld.commands.bisect import TEST_HELP, judge_of, test_arguments

if TYPE_CHECKING:
    from meld.faults.reduction import Reducer


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld.commands.compile import pipeline_arguments

    parser.description = f"""\
Shrink a program and its passes to what still shows a fault: the test succeeds on the program, and fails on what the
passes make of it. The program is taken as it stands before the first pass that makes the test fail, and what does not
matter is taken out of it. What is left is valid.

{TEST_HELP}
If link or merge is to blame, the test is asked behind the passes only; let it exit with 125 for any other failure.
Tests run side by side, in one folder: --jobs=1 if they write to the same files."""
    parser.epilog = """\
examples:
  meldc reduce a.wasm b.wasm --plugin=mine.py --test='meldc run {} --invoke check' -o small.wat
  meldc reduce a.wasm --passes=mine --plugin=mine.py        mine breaks, or what it leaves is not valid"""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="components or a module, .wasm or .wat")
    add("-o", "--output", metavar="OUT", help="where the smallest program goes, as text; standard output without it")
    add("--seconds", metavar="S", type=float, help="stop after that time, with the best so far; Ctrl-C does the same")
    add(
        "--jobs",
        metavar="N",
        type=int,
        help="how many candidates are judged at a time (default: one for each processor)",
    )
    add("-q", "--quiet", action="store_true", help="do not say what has been reached")
    test_arguments(parser)
    pipeline_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Writes the smallest program. Raises MeldError."""
    from pathlib import Path

    from meld.commands.compile import pipeline_options
    from meld.diagnostics import MeldError
    from meld.faults.reduction import Reducer
    from meld.faults.reduction.pool import processors
    from meld.files import print_text, write_file
    from meld.support.terminal import say

    def tell(line: str) -> None:
        if not args.quiet:
            say(line, error=True)

    if args.jobs is not None and args.jobs < 1:
        raise MeldError(f"--jobs={args.jobs}", hint="how many candidates are judged at a time, 1 at least")
    jobs = args.jobs or processors()
    reducer = Reducer(args.inputs, pipeline_options(args), judge_of(args), args.seconds, tell, jobs)
    whole = reducer.run()
    text = "\n".join([*_head(reducer, args), print_text(reducer.best)])
    if args.output is not None:
        write_file(Path(args.output), text.encode())
    else:
        say(text, end="")
    if not whole:
        tell("interrupted; this is the best so far")
    return 0


def _head(reducer: Reducer, args: argparse.Namespace) -> list[str]:
    import shlex
    from pathlib import Path

    name = Path(args.output).name if args.output is not None else "FILE"
    words = [f"--passes={reducer.passes}", *(f"--plugin={file}" for file in args.plugin)]
    words += [f"--fuel={label}:{count}" for label, count in reducer.fuel.items()]
    where = "succeeds on this program, and fails" if reducer.differential else "fails"
    said = f"the test {where} on the product of" if args.test is not None else "this is not valid, or fails:"
    lines = [f"Reduced: {said}", f"  meldc {shlex.join([name, *words])}"]
    lines += [f"test: {args.test}"] if args.test is not None else []
    return [f";; {' '.join(line.splitlines())}" for line in lines]
