"""Notes about links: what is to be linked, and what was linked without items."""

from __future__ import annotations

from typing import Any

from meld.ir.component import ComponentInstance
from meld.ir.notes import Instance, Note, note, ref, text


@note("link")
class Link(Note):
    """On the module: two instances linked by an import that carries no items: stream partners. See `Partner`."""

    importer: Instance = ref("note")
    exporter: Instance = ref("note")
    label: str = text(default="link")


@note("partner")
class Partner(Note):
    """On a component instance of a composition: it is linked to another instance, under an import's name.

    For a link that a validator would refuse as a `with` argument: a core module imported under an empty module type.
    """

    to: ComponentInstance = ref("instance", positional=True)
    label: str = text(default="link")


@note("input")
class Input(Note):
    """On a composition: a nested component that was given as an input and is still to be linked, by its file's stem."""

    component: Any = ref("component", positional=True)
    label: str = text()


@note("wanted")
class Wanted(Note):
    """On a composition: a link that the user asked for with ``--link importer:import=exporter#export``.

    `export` is empty where the export goes by the name of the import, or by the interface that it implements.
    """

    importer: str = text()
    label: str = text()
    exporter: str = text()
    export: str = text(default="")


@note("host-only")
class HostOnly(Note):
    """On a composition: imports that only the host may serve, by a pattern of their names (``--host-only=GLOB``)."""

    pattern: str = text(positional=True)


@note("kept-export")
class KeptExport(Note):
    """On a composition: exports that stay, by a pattern of their names; others go (``--keep-exports=GLOB``)."""

    pattern: str = text(positional=True)


@note("dropped-export")
class DroppedExport(Note):
    """On a composition: exports that go, by a pattern of their names (``--drop-exports=GLOB``)."""

    pattern: str = text(positional=True)
