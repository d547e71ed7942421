"""`meldc bisect`: which pass, and which of its rewrites, makes a test fail."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meld.faults.bisection import Culprit
    from meld.faults.judge import Judge

TEST_HELP = """\
The test is a command that gets a file with the program, in place of `{}` or as its last argument. Its exit code says:
  0      good
  125    cannot tell
  126, 127  it cannot be run: an error
  other  bad, and so is a test that takes longer than --timeout
A command with `|`, `&&` or other operators of the shell is run by `sh`.
The file is text by default: text says what calls that are not lowered yet stand for, so `meldc run {}` runs it
after any pass. Without --test a program is good if it is valid. A pass that breaks is bad."""

TIMEOUT_HELP = "seconds that a test may take (default: 8 times what it takes where it succeeds, at least 3, at most 60)"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld.commands import add_format
    from meld.commands.compile import pipeline_arguments

    parser.description = f"""\
Find the pass, and in it the one rewrite, after which a test fails that succeeds before.

{TEST_HELP}"""
    parser.epilog = """\
examples:
  meldc bisect a.wasm b.wasm --test='./check.sh {}'
  meldc bisect a.wat b.wat --plugin=mine.py --test='meldc run {} --invoke check'"""
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="components or a module, .wasm or .wat")
    test_arguments(parser)
    add_format(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="do not say what is tried")
    pipeline_arguments(parser)


def test_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments that say what the test is; `judge_of` reads them."""
    add = parser.add_argument_group("test").add_argument
    add("--test", metavar="CMD", help="what is run on a program")
    add("--emit", choices=("wat", "wasm"), default="wat", help="form of the file that the test gets (default: wat)")
    add("--timeout", metavar="S", type=float, help=TIMEOUT_HELP)


def judge_of(args: argparse.Namespace) -> Judge:
    """The judge that the arguments ask for."""
    from meld.faults.judge import CommandTest, Judge

    test = None if args.test is None else CommandTest(args.test, args.emit, args.timeout)
    return Judge(test, args.emit)


def main(args: argparse.Namespace) -> int:
    """Prints the culprit; 1 if it is one of several, or if there are doubts. Raises MeldError."""
    from meld.commands.compile import pipeline_options
    from meld.faults.bisection import Bisection
    from meld.support.terminal import json_text, say

    def tell(line: str) -> None:
        say(line, error=True)

    bisection = Bisection(
        args.inputs, pipeline_options(args), judge_of(args), (lambda line: None) if args.quiet else tell
    )
    culprit = bisection.find()
    if args.format == "json":
        say(json_text(_row(culprit, args)))
    else:
        print("\n".join(_lines(culprit, args)))
    return 1 if culprit.candidates or culprit.doubts else 0


def _lines(culprit: Culprit, args: argparse.Namespace) -> Iterator[str]:
    """What was found; of the differences, in colour if standard output is a terminal."""
    from meld.observers.dumps import diff_lines
    from meld.support.terminal import harmless, painted_all

    yield from map(harmless, _head(culprit))
    if culprit.differences:
        text = "\n".join(diff_lines(culprit.differences))
        yield from ("", painted_all(text) if sys.stdout.isatty() else harmless(text))
    yield ""
    yield harmless(f"good: {_command(culprit, args, bad=False)}")
    yield harmless(f"bad:  {_command(culprit, args, bad=True)}")
    yield f"runs of the test: {culprit.runs}"
    yield ""
    yield harmless(f"to shrink the program: {_next('reduce', args, '-o', 'small.wat')}")
    if culprit.rewrite is not None:
        goto = f"goto {culprit.before or 'input'}; into {culprit.rewrite.number}"
        yield harmless(f"to stand there: {_next('debug', args, '-i', '-c', goto, test=False)}")


def _next(command: str, args: argparse.Namespace, *more: str, test: bool = True) -> str:
    """Another command for the same inputs and passes."""
    import shlex

    words = list(map(shlex.quote, [*args.inputs, *pipeline_words(args)]))
    if test and args.test is not None:
        quoted = f'"{args.test}"' if not set(args.test) & set('"$`\\!') else shlex.quote(args.test)
        words += [f"--test={quoted}", *([] if args.emit == "wat" else [f"--emit={args.emit}"])]
    return " ".join(["meldc", command, *words, *map(shlex.quote, more)])


def _head(culprit: Culprit) -> list[str]:
    lines = [f"pass {culprit.label} (step {culprit.number} of {culprit.steps})"]
    if culprit.rewrite is not None:
        lines[0] += f", rewrite {culprit.rewrite.number} of {culprit.rewrites}: {culprit.rewrite}"
    elif not culprit.rewrites:
        lines[0] += ", which asks no leave for rewrites"
    if culprit.candidates:
        what = "rewrites" if culprit.rewrite is not None else "steps"
        lines.append(
            f"or one of the {what} before it that the test cannot tell: {', '.join(map(str, culprit.candidates))}"
        )
    lines += [f"doubt: {doubt}" for doubt in culprit.doubts]
    return [*lines, f"it breaks: {culprit.failure}"] if culprit.failure else lines


def _command(culprit: Culprit, args: argparse.Namespace, *, bad: bool) -> str:
    import shlex

    return "meldc " + shlex.join([*args.inputs, *pipeline_words(args, culprit.label), *culprit.options(bad=bad)])


def pipeline_words(args: argparse.Namespace, label: str = "") -> list[str]:
    """The arguments of `pipeline_arguments` as they were given, but where to stop, and the fuel of the step `label`."""
    fueled = (label, label.removesuffix("#1"), f"{label}#1")
    words = [f"--passes={args.passes}"] if args.passes is not None else []
    words += [f"--link={link}" for link in args.link] + [f"--plugin={file}" for file in args.plugin]
    words += [f"--host-only={pattern}" for pattern in args.host_only] + ["--trust-notes"] * args.trust_notes
    words += [f"--keep-exports={pattern}" for pattern in args.keep_exports]
    words += [f"--drop-exports={pattern}" for pattern in args.drop_exports]
    words += [f"--limit={args.limit}"] if args.limit is not None else []
    return words + [f"--fuel={text}" for text in args.fuel if text.rpartition(":")[0] not in fueled]


def _row(culprit: Culprit, args: argparse.Namespace) -> dict[str, Any]:
    rewrite, item = culprit.rewrite, culprit.rewrite.item if culprit.rewrite is not None else None
    return {
        "pass": culprit.label,
        "spec": culprit.step.instance.spec(),
        "step": culprit.number,
        "steps": culprit.steps,
        "rewrite": rewrite and {"number": rewrite.number, "what": rewrite.what, "item": item and item.name},
        "rewrites": culprit.rewrites,
        "candidates": culprit.candidates,
        "doubts": culprit.doubts,
        "failure": culprit.failure,
        "differences": [
            {"kind": d.symbol.kind, "name": d.symbol.name, "what": d.what.value, "diff": d.lines()}
            for d in culprit.differences
        ],
        "good": _command(culprit, args, bad=False),
        "bad": _command(culprit, args, bad=True),
        "runs": culprit.runs,
    }
