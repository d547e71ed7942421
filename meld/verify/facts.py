"""What each fact promises of a module, as far as it can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from meld.ir.module import Item, Module
from meld.ir.notes import Instance
from meld.notes.boundaries import BOUNDARY_MODULE, Boundary
from meld.notes.streams import Bridge, Domain

Broken = Iterator[tuple[str, Item | None]]
"""What speaks against a fact, with the item that it is about."""


def _promises_nothing(module: Module) -> Broken:
    return iter(())


def _has_instances(module: Module) -> Broken:
    owners = {item.owner for item in module.items() if item.owner is not None}
    if owners and not module.notes_of(Instance):
        yield "items have owners, and the module has no instances", None


def _nothing_at_boundaries(module: Module) -> Broken:
    for item in module.imports:
        if item.note(Boundary) is not None:
            yield "is a call between components that is still to be adapted", item


def _nothing_pending(module: Module) -> Broken:
    yield from _nothing_at_boundaries(module)
    for item in module.imports:
        if item.imported is not None and item.imported.module == BOUNDARY_MODULE and not item.notes:
            yield "is imported from meld:boundary, and no note says what it stands for", item


def _one_memory(module: Module) -> Broken:
    yield from (("is another memory", memory) for memory in module.space("memories")[1:])


def _bridge_is_there(module: Module) -> Broken:
    bridged = [note for note in module.notes_of(Domain) if note.bridged]
    lowered = "one-memory" in module.facts  # the bridge memory has become a region of the only one
    if bridged and not lowered and not module.notes_of(Bridge):
        yield "stream domains are bridged, and the module has no (@meld.bridge)", None


FACTS: dict[str, Callable[[Module], Broken]] = {
    "merged": _has_instances,
    "stream-bridge": _bridge_is_there,
    "wired": _nothing_at_boundaries,
    "finished": _nothing_pending,
    "one-memory": _one_memory,
}
"""What the facts of the compiler's own passes promise, as far as it can be seen. Facts of plugins promise nothing."""
