"""`meldc fmt`: text in its canonical form."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.description = (
        "Rewrite modules and compositions in their canonical text (specs/ir.md): one field and one instruction a line, "
        "instructions flat, fields in the order of the binary. Files are changed in place; `-` goes from standard "
        "input to standard output."
    )
    parser.epilog = """\
Comments stay with what they stand at: behind it on its line, or on lines of their own above it, wherever it moves.
A comment inside of an expression goes to the nearest instruction. Where an annotation of another tool would be lost,
the file is refused and left as it is. Blank lines are not kept."""
    parser.add_argument("files", nargs="+", metavar="FILE", help=".wat files, or `-`")
    parser.add_argument("--check", action="store_true", help="change nothing, name what would change; then exit with 1")


def main(args: argparse.Namespace) -> int:
    """Formats; 1 if --check finds something to change. Raises MeldError: a file is left as it is, and so are later."""
    import sys
    from pathlib import Path

    from meld.diagnostics import MeldError
    from meld.files import decode_text, is_binary, read_file, write_file
    from meld.support.terminal import harmless, say
    from meld.text.format import format_text

    changed = []
    for name in args.files:
        if name != "-" and not args.check and (path := Path(name)).exists() and not (path.is_file() or path.is_dir()):
            hint = f"`meldc fmt - < {name}` goes to standard output"
            raise MeldError("is no regular file, and files are changed in place", where=name, hint=hint)
        data = read_file(Path(name))
        if is_binary(data):
            raise MeldError("is a binary, fmt is about text", where=name, hint=f"print it: meldc {name} --passes= ")
        text = decode_text(data, name)
        formatted = format_text(text, "standard input" if name == "-" else name)
        if formatted != text:
            changed.append(name)
        if args.check:
            continue
        if name == "-":
            sys.stdout.write(harmless(formatted) if sys.stdout.isatty() else formatted)
        elif formatted != text:
            write_file(Path(name), formatted.encode())
    if args.check:
        for name in changed:
            say(f"would change {name}")
    return int(args.check and bool(changed))
