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
    raise MeldError("a binary is one string of bytes")


@note("world")
class World(Note):
    """On the module: ``(@meld.world "\\00asm…")``, a component type in the form of wit-component, as a binary."""

    data: bytes = coded(_write_bytes, _read_bytes, positional=True)


def _write_names(names: tuple[str, ...], name_of: NameOf) -> list[Sexp]:
    return [Quoted(name) for name in names]


def _read_names(parts: list[Sexp], resolve: Resolve) -> tuple[str, ...]:
    if not all(isinstance(part, Quoted) for part in parts):
        raise MeldError("names of exports are strings")
    return tuple(part.text for part in parts if isinstance(part, Quoted))


@note("module-export")
class ModuleExport(Note):
    """On the module: a core module, as a binary, that the program exports under `labels` (``m``, ``iface#m``).

    A core module has no form for it; a component has.
    """

    labels: tuple[str, ...] = coded(_write_names, _read_names)
    data: bytes = coded(_write_bytes, _read_bytes, positional=True)


@note("no-world")
class NoWorld(Note):
    """On the module: why its world cannot be written down."""

    why: str = text(positional=True)
