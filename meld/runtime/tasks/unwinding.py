"""The frames of the running module, taken off the native stack and put back.

The module is made resumable as it is encoded for the engine, and is afterwards what it was: only the functions that may
be on the stack of a task when something blocks are rewritten, and nothing if nothing blocks. Frames of a synchronous
root call stay: whatever runs above them is over before they go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from meld.diagnostics import MeldError
from meld.ir.builtins import THREAD_START
from meld.ir.module import Function, Global, Module
from meld.ir.notes import Instance
from meld.notes.boundaries import Boundary, CanonCall, HostExport, ResourceExport, destructors, threaded_instances
from meld.notes.tasks import SynchronousCall, TaskFunctions
from meld.rewriting.resumable import CallGraph, Carrier, make_resumable, must_be_resumable
from meld.runtime.items import Items
from meld.runtime.tasks.frames import Frames
from meld.support.records import record

BOTTOM = 8
"""Where frames begin in the carrier's memory."""
RUNNING, LEAVING, COMING_BACK = 0, 1, 2
"""Values of the carrier's `state`."""


@record(eq=False)
class FramesInModule:
    """What moves the frames of one module; see `meld.runtime.tasks.frames.Unwinding`."""

    items: Items
    carrier: Carrier
    leaves: frozenset[Function]
    arriving: bool = False

    def begin(self) -> None:
        self._set(self.carrier.state, LEAVING)

    def end(self) -> bytes:
        self._set(self.carrier.state, RUNNING)
        top = self.items.reach(self.carrier.top).value(self.items.stores[-1]) & 0xFFFF_FFFF
        frames = bytes(self.items.bytes_of(self.carrier.memory)[BOTTOM:top])
        self._set(self.carrier.top, BOTTOM)
        return frames

    def rewind(self, frames: bytes) -> None:
        end = BOTTOM + len(frames)
        self.items.bytes_of(self.carrier.memory)[BOTTOM:end] = frames
        self._set(self.carrier.top, end)
        self._set(self.carrier.state, COMING_BACK)
        self.arriving = True

    def arrive(self) -> bool:
        if not self.arriving:
            return False
        self.arriving = False
        self._set(self.carrier.state, RUNNING)
        return True

    def passes(self, wanted: Function) -> bool:
        return wanted in self.leaves

    def _set(self, item: Global, value: int) -> None:
        self.items.reach(item).set_value(self.items.stores[-1], value)


@contextmanager
def unwindable(module: Module, items: Items, frames: Frames) -> Iterator[Module]:
    """The module as it is to be encoded. It shares everything with the given one, which is itself again afterwards."""
    leaves = frozenset(item for item in module.imports if isinstance(item, Function) and may_wait(item))
    if module.notes_of(TaskFunctions):  # its own scheduler runs on top of what waits
        leaves = frozenset()
    graph = CallGraph(module) if leaves else None
    found = must_be_resumable(module, leaves, _roots(module, graph), graph) if graph is not None else {}
    if not found:
        yield module
        return
    bodies = {function: function.body for function in found}
    made = replace(
        module,
        types=[*module.types],
        functions=[*module.functions],
        tables=[*module.tables],
        memories=[*module.memories],
        globals=[*module.globals],
        elements=[*module.elements],
    )
    try:
        try:
            carrier = make_resumable(made, leaves, found, graph=graph).carrier
        except MeldError:  # of a kind of frame that cannot be moved: all stay on the native stack
            for function, body in bodies.items():
                function.body = body
            yield module
            return
        index = made.space("memories").index(carrier.memory)
        items.names |= {carrier.memory: f"meld:memory/{index}"}
        items.names |= {carrier.state: "meld:frames/state", carrier.top: "meld:frames/top"}
        frames.unwinding = FramesInModule(items, carrier, leaves)
        yield made
    finally:
        for function, body in bodies.items():
            function.body = body


def may_wait(item: Function) -> bool:
    """Whether a call of an import may have to wait: then its caller's frames have to go."""
    for note in item.notes:
        match note:
            case Boundary():
                return note.type.is_async and not note.lower.is_async
            case CanonCall():
                return note.blocks
    return False


def _roots(module: Module, graph: CallGraph) -> list[Function]:
    """The functions that are called for tasks and threads whose frames may have to go."""
    threaded = threaded_instances(n for _, n in module.noted(CanonCall))
    found: dict[Function, None] = {}
    boundaries = [note for _, note in module.noted(Boundary)]
    exports = module.notes_of(HostExport)
    called = [n for n in boundaries if n.type.is_async or n.lift.is_async or n.callee in threaded]
    lifts = [(note.target, note.lift) for note in called]
    lifts += [(note.target, note.lift) for note in exports if note.lift.is_async or note.instance in threaded]
    for target, lift in lifts:
        found[target] = None
        if lift.callback is not None:
            found[lift.callback] = None
    if threaded:
        found |= dict.fromkeys(graph.taken(THREAD_START))
        found |= dict.fromkeys(_not_lifted(module, threaded))
    return [function for function in found if function.body is not None]


def _not_lifted(module: Module, threaded: frozenset[Instance]) -> Iterator[Function]:
    """The destructors and start functions that run in instances with threads."""
    exported = [n for n in module.notes_of(ResourceExport) if n.resource.owner in threaded]
    yield from (n.drop for n in exported if n.drop is not None)
    yield from (dtor for owner, dtor in destructors(n for _, n in module.noted(CanonCall)) if owner in threaded)
    yield from (n.target for _, n in module.noted(SynchronousCall) if n.instance in threaded)
