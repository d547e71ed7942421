"""Where the product and the dumps go: files written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

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
        handle, name = tempfile.mkstemp(dir=path.parent or Path(), prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb", buffering=1 << 20) as file:
                file.writelines(pieces)
            umask = os.umask(0)
            os.umask(umask)
            Path(name).chmod(0o666 & ~umask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as e:
        raise MeldError(f"cannot write: {e.strerror}", where=str(path)) from e


def render(program: Program, emit: str) -> list[bytes | memoryview]:
    """The product in pieces; `emit` is ``wasm`` or ``wat``."""
    if emit == "wat":
        return [print_text(program).encode()]
    if isinstance(program, Module):
        from meld.binary.writer import module_pieces

        return module_pieces(program)
    return [encode(program)]
