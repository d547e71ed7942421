"""The note that holds the world of a program: what its root imports and exports, with types and names.

A core module cannot say it. `merge` writes it, `finish` puts it into a section for tools, `wrap` reads it. It is a note
and not a section, since sections come from inputs as well.
"""

from __future__ import annotations

from meld.diagnostics import MeldError
from meld.ir.notes import NameOf, Note, Quoted, Resolve, Sexp, coded, note, text


def _write_bytes(data: bytes, name_of: NameOf) -> list[Sexp]:
    return [Quoted(data.decode("utf-8", "surrogateescape"))]


def _read_bytes(parts: list[Sexp], resolve: Resolve) -> bytes:
    match parts:
        case [Quoted(text)]:
            return text.encode("utf-8", "surrogateescape")
    raise MeldError("@meld.world holds one string of bytes")


@note("world")
class World(Note):
    """On the module: ``(@meld.world "\\00asm…")``, a component type in the form of wit-component, as a binary."""

    data: bytes = coded(_write_bytes, _read_bytes, positional=True)


@note("no-world")
class NoWorld(Note):
    """On the module: why its world cannot be written down."""

    why: str = text(positional=True)
