"""`meldc report`: a recorded run as one page of HTML."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.description = "Write a recorded run as one HTML file that needs nothing else: a browser, and no network."
    parser.epilog = """\
examples:
  meldc a.wasm b.wasm -o fused.wasm --journal=run.json
  meldc report run.json -o report.html"""
    parser.add_argument("journal", metavar="JOURNAL", help="what --journal=FILE wrote")
    parser.add_argument("-o", "--output", metavar="OUT", help="where it goes; to standard output without it")


def main(args: argparse.Namespace) -> int:
    """Writes the page whole or not at all. Raises MeldError."""
    import sys
    from pathlib import Path

    from meld.files import write_file
    from meld.journal import Journal
    from meld.journal.report import page

    html = page(Journal.load(args.journal)).encode()
    if args.output is not None:
        write_file(Path(args.output), html)
    else:
        sys.stdout.buffer.write(html)
        sys.stdout.buffer.flush()
    return 0
