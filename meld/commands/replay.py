"""`meldc replay`: runs the pass of a reproducer again."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meld.diagnostics import PassFailure
    from meld.reproducer import Reproducer


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.description = """\
Run again what failed: a reproducer is the file that meldc writes when a pass fails.
Exit code 0: it fails in the same way; 1: it does not fail, or in another way."""
    parser.add_argument("file", metavar="FILE", help="the reproducer")
    parser.add_argument(
        "--plugin", metavar="FILE", action="append", default=[], help="in place of the plugins that it names"
    )


def main(args: argparse.Namespace) -> int:
    """Runs it, says what came of it. Raises MeldError."""
    from pathlib import Path

    from meld.diagnostics import MeldError
    from meld.reproducer import Reproducer

    try:
        text = Path(args.file).read_text()
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "not UTF-8 text"
        raise MeldError(f"cannot read: {reason}", where=args.file) from e
    reproducer = Reproducer.of_text(text, args.file)
    for line in _remarks(reproducer, args.plugin):
        print(f"remark: {line}", file=sys.stderr)
    failure = _run(reproducer, args.file, args.plugin)
    if failure is None:
        print(f"`{reproducer.passes}` does not fail; it was to fail with: {reproducer.message}")
        return 1
    if failure.message.splitlines()[0] != reproducer.message.splitlines()[0]:
        print(
            f"`{reproducer.passes}` fails in another way: {failure.message}\nit was to fail with: {reproducer.message}"
        )
        return 1
    print(f"reproduced: {failure}")
    return 0


def _remarks(reproducer: Reproducer, plugins: list[str]) -> Iterator[str]:
    """What is not as it was."""
    from meld import __version__
    from meld.reproducer import digest_of

    if reproducer.version != __version__:
        yield f"it was written by meldc {reproducer.version}, this is {__version__}"
    if not plugins:
        for path, digest in reproducer.plugins:
            if digest_of(path) not in ("", digest):
                yield f"the plugin {path} has changed since"
    elif sorted(map(digest_of, plugins)) != sorted(digest for _, digest in reproducer.plugins):
        yield "the plugins are not those with which it failed"


def _run(reproducer: Reproducer, file: str, plugins: list[str]) -> PassFailure | None:
    from meld.diagnostics import PassFailure
    from meld.driver import Options, build
    from meld.journal.recorder import Recorder
    from meld.passmanager import Observer
    from meld.verification import Verifier

    options = Options(
        passes=reproducer.passes, plugins=plugins or [path for path, _ in reproducer.plugins], reproducer=None
    )
    if reproducer.fuel is not None:
        options.fuel = {reproducer.passes.partition("{")[0]: reproducer.fuel}
    if reproducer.verify or reproducer.run:
        recorder = Recorder()
        observers: list[Observer] = [recorder]
        observers.append(Verifier(recorder.journal, reproducer.verify, reproducer.run, reproducer.check))
        options.observers = observers
    try:
        build([file], options)
    except PassFailure as e:
        return e
    return None
