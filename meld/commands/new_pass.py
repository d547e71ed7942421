"""`meldc new-pass`: a plugin package to begin with."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.description = (
        "Lay out a package for a pass of your own: pyproject.toml with its entry point, the pass, a golden test that "
        "passes, a README. docs/passes.md goes on from there."
    )
    parser.epilog = "example:\n  meldc new-pass fold-constants     makes meld-fold-constants/ here"
    parser.add_argument("name", metavar="NEW-NAME", help="the name of the pass, as in a pipeline")
    parser.add_argument("folder", metavar="DIR", nargs="?", default=".", help="where the package's folder goes; here")


def main(args: argparse.Namespace) -> int:
    """Writes the files, and says what can be done with them. Raises MeldError: the folder is there already."""
    from pathlib import Path

    from meld.diagnostics import MeldError
    from meld.files import write_file
    from meld.scaffold import layout

    distribution, files = layout(args.name)
    folder = Path(args.folder) / distribution
    if folder.exists():
        raise MeldError("is there already", where=str(folder), hint="remove it, or name another DIR")
    for path, text in files.items():
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise MeldError(f"cannot make the folder: {e.strerror}", where=str(target.parent)) from e
        write_file(target, text.encode())
    print("\n".join([*(f"{folder / path}" for path in files), f"now: meldc test {folder / 'tests'}"]))
    return 0
