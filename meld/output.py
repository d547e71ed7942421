"""Where the product and the dumps go: files written whole or not at all."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import BinaryIO

from meld.diagnostics import MeldError
from meld.driver import encode, print_text
from meld.ir.module import Module
from meld.passes.base import Program


def write_file(path: Path, *pieces: bytes | memoryview) -> None:
    """Writes a file by way of a temporary one beside it, so that it is never half-written. Raises MeldError."""
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as special:  # a device or a pipe is written to as it is; a directory is an error
                special.writelines(pieces)
            return
        temporary, file = _beside(path)
        try:
            with file:
                file.writelines(pieces)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as e:
        raise MeldError(f"cannot write: {e.strerror}", where=str(path)) from e


def _beside(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside another, with a name that is not taken."""
    for number in count():
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{number}")
        try:
            return temporary, temporary.open("xb", buffering=1 << 20)
        except FileExistsError:
            continue
    raise AssertionError


def render(program: Program, emit: str) -> list[bytes | memoryview]:
    """The product in pieces; `emit` is ``wasm`` or ``wat``."""
    if emit == "wat":
        return [print_text(program).encode()]
    if isinstance(program, Module):
        from meld.binary.writer import module_pieces

        return module_pieces(program)
    return [encode(program)]
