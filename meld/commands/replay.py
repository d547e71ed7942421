"""`meldc replay`: runs the pass of a reproducer again, or what is left to run of a program that a debugger saved."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meld.diagnostics import PassFailure
    from meld.driver import Options
    from meld.faults.reproducer import Reproducer


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.description = """\
Run again what failed: a reproducer is the file that meldc writes when a pass fails.
Exit code 0: it fails in the same way; 1: it does not fail, or in another way.
Or run what is left to run: of a file that `save` in `meldc debug` wrote."""
    parser.add_argument("file", metavar="FILE", help="the reproducer")
    parser.add_argument(
        "--allow-commands",
        action="store_true",
        help="run the command and load the plugins that the file names; they can do whatever you can",
    )
    parser.add_argument("-o", "--output", metavar="OUT", help="where the product goes, of what was saved")
    parser.add_argument(
        "--plugin", metavar="FILE", action="append", default=[], help="in place of the plugins that it names"
    )


def main(args: argparse.Namespace) -> int:
    """Runs it, says what came of it. Raises MeldError."""
    from pathlib import Path

    from meld.diagnostics import MeldError
    from meld.faults.reproducer import Reproducer
    from meld.support.terminal import say

    try:
        text = Path(args.file).read_text()
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "not UTF-8 text"
        raise MeldError(f"cannot read: {reason}", where=args.file) from e
    reproducer = Reproducer.of_text(text, args.file)
    _refuse_foreign(reproducer, args)
    for line in _remarks(reproducer, args.plugin):
        say(f"remark: {line}", error=True)
    options = _options(reproducer, args.plugin)
    if not reproducer.message:
        return _go_on(args, options)
    if args.output is not None:
        raise MeldError("a pass failed on this: there is no product", where=args.file)
    failure = _run(args.file, options)
    if failure is None:
        say(f"`{reproducer.passes}` does not fail; it was to fail with: {reproducer.message}")
        return 1
    if failure.message.splitlines()[0] != reproducer.message.splitlines()[0]:
        say(f"`{reproducer.passes}` fails in another way: {failure.message}\nit was to fail with: {reproducer.message}")
        return 1
    say(f"reproduced: {failure}")
    return 0


def _refuse_foreign(reproducer: Reproducer, args: argparse.Namespace) -> None:
    """Refuses to run what only the file names, unless the user allows it, and plugins that are not those it means.

    Raises:
        MeldError: the file names a command or plugins, or a plugin has another digest.
    """
    from meld.diagnostics import MeldError
    from meld.faults.reproducer import digest_of

    plugins = [] if args.plugin else reproducer.plugins
    foreign = [f"loads the plugin {path}" for path, _ in plugins]
    if reproducer.run and reproducer.check:
        foreign.append(f"runs the command {reproducer.check}")
    if foreign and not args.allow_commands:
        hint = "look at what they are, then allow them with --allow-commands"
        raise MeldError(f"it {' and '.join(foreign)}", where=args.file, hint=hint)
    for path, digest in plugins:
        if digest_of(path) not in ("", digest):  # one that is not there is missed when it is loaded
            hint = f"to run it with this one all the same: --plugin={path}"
            raise MeldError(f"the plugin {path} has changed since", where=args.file, hint=hint)


def _remarks(reproducer: Reproducer, plugins: list[str]) -> Iterator[str]:
    """What is not as it was."""
    from meld.faults.reproducer import digest_of
    from meld.version import __version__

    if reproducer.version != __version__:
        yield f"it was written by meldc {reproducer.version}, this is {__version__}"
    if plugins and sorted(map(digest_of, plugins)) != sorted(digest for _, digest in reproducer.plugins):
        yield "the plugins are not those with which it failed"


def _go_on(args: argparse.Namespace, options: Options) -> int:
    from pathlib import Path

    from meld.driver import build
    from meld.files import render, write_file

    program = build([args.file], options).program
    wasm = args.output is not None and not args.output.endswith(".wat")
    product = render(program, "wasm" if wasm else "wat")
    if args.output is None:
        sys.stdout.buffer.writelines(product)
    else:
        write_file(Path(args.output), *product)
    return 0


def _run(file: str, options: Options) -> PassFailure | None:
    from meld.diagnostics import PassFailure
    from meld.driver import build

    try:
        build([file], options)
    except PassFailure as e:
        return e
    return None


def _options(reproducer: Reproducer, plugins: list[str]) -> Options:
    from meld.driver import Options
    from meld.observers.recorder import Recorder
    from meld.observers.verifier import Verifier

    options = Options(
        passes=reproducer.passes,
        plugins=plugins or [path for path, _ in reproducer.plugins],
        trust_notes=True,  # the file is a dump
        reproducer=None,
    )
    if reproducer.fuel is not None:
        options.fuel = {reproducer.passes.partition("{")[0]: reproducer.fuel}
    if reproducer.verify or reproducer.run:
        verifier = Verifier(reproducer.verify, reproducer.run, reproducer.check)
        options.observers = [Recorder(listeners=[verifier])]
    return options
