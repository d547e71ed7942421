"""Where the product and the dumps go: files written whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Protocol

from meld.diagnostics import MeldError
from meld.driver import encode, print_text
from meld.passes.base import Program
from meld.passmanager import Step


def write_file(path: Path, data: bytes) -> None:
    """Writes a file by way of a temporary one beside it, so that it is never half-written. Raises MeldError."""
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as special:  # a device or a pipe is written to as it is; a directory is an error
                special.write(data)
            return
        handle, name = tempfile.mkstemp(dir=path.parent or Path(), prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            umask = os.umask(0)
            os.umask(umask)
            Path(name).chmod(0o666 & ~umask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as e:
        raise MeldError(f"cannot write: {e.strerror}", where=str(path)) from e


def render(program: Program, emit: str) -> bytes:
    """The product as bytes; `emit` is ``wasm`` or ``wat``."""
    return encode(program) if emit == "wasm" else print_text(program).encode()


class Dumper(Protocol):
    """An observer of the pass manager that writes the IR around passes."""

    def __call__(self, when: str, number: int, step: Step, program: Program) -> None: ...


def dumper(before: list[str], after: list[str], directory: Path | None) -> Dumper:
    """Dumps the text of the program before and after the named passes (``all`` for every one).

    Into numbered files of `directory`, or to standard error.
    """

    def dump(when: str, number: int, step: Step, program: Program) -> None:
        wanted = before if when == "before" else after
        if "all" not in wanted and step.name not in wanted:
            return
        text = print_text(program)
        if directory is None:
            print(f";; {when} {step.name} (pass {number})\n{text}", file=sys.stderr)
        else:
            directory.mkdir(parents=True, exist_ok=True)
            write_file(directory / f"{number:02}-{when}-{step.name}.wat", text.encode())

    return dump
