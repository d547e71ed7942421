"""The pass `resumable-frames`: what blocks without a callback can leave the stack, and come back.

The scheduler of `emit-tasks` runs above what blocks, so the innermost frame has to go on first. Where another could,
the frames of the running task are taken off: every function between the driver that runs the task and the built-in that
blocks saves its locals and returns, and is called again when the task can go on. Exactly those functions are rewritten
(`meld.rewriting.resumable`); code that no task blocks in stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from meld.diagnostics import MeldError
from meld.ir.instructions import Instruction
from meld.ir.module import CoreItem, Function, Global, Module, Table
from meld.ir.types import RefType
from meld.notes.host_modules import HostModule, HostModuleExport, reached
from meld.notes.tasks import FrameFunctions, Suspends, may_block
from meld.passes.base import Pass, PassContext
from meld.rewriting.references import declared
from meld.rewriting.state import State


class ResumableFrames(Pass):
    """Make the functions that may block inside a task resumable, so that tasks go on in any order.

    Costs code in these functions: after each call that may block a test, and what saves and restores the locals.

        (func $app/work (param $x i32) (result i32)
          (call $app/waitable-set.wait …)
          …)
    becomes
        (func $app/work (param $x i32) (result i32)
          …                                   ;; coming back: restore the locals, go to the call
          (call $app/waitable-set.wait …)
          (if (i32.eq (global.get $frames.state) (i32.const 1)) …)  ;; leaving: save the locals, return
          …)
    """

    name = "resumable-frames"
    requires = frozenset({"wired"})
    establishes = frozenset({"resumable"})
    after = ("wire-entries", "adapter-wiring")
    before = ("guard-entries", "finish")

    def run(self, module: Module, cx: PassContext) -> None:
        if not any(may_block(module)):
            return  # tasks wait in their callbacks only: no call graph has to be made
        for functions in module.notes_of(FrameFunctions):
            _make_resumable(module, functions, cx)


def _make_resumable(module: Module, functions: FrameFunctions, cx: PassContext) -> None:
    from meld.rewriting.resumable import CallGraph, Carrier, make_resumable, must_be_resumable

    graph = CallGraph(module)
    driver = functions.drive
    roots = [*graph.direct[driver], *(f for kind in graph.indirect[driver] for f in graph.targets(kind))]
    for callees in graph.direct.values():
        callees.pop(driver, None)  # what the driver runs leaves no further than to it
    leaves = [f for f in module.functions if f.note(Suspends) is not None]
    callable_ = _callable_by_hosts(module)
    if callable_:
        _check_callable(must_be_resumable(module, leaves, callable_, graph))
    found = must_be_resumable(module, leaves, roots, graph)
    if (not found and not set(leaves) & set(roots)) or not cx.allows("resumable frames"):
        return
    carrier = Carrier(functions.state, State.of(module).memory, functions.top, functions.limit, functions.grow)
    try:
        done = make_resumable(module, leaves, found, carrier=carrier, graph=graph)
    except MeldError as e:
        paths = {f.name: path for f, path in found.items()}
        path = next((path for name, path in paths.items() if name and f"`{name}`" in e.message), None)
        raise MeldError(
            e.message, where=e.where, hint=e.hint or (f"it may block by {path}" if path else None)
        ) from None
    functions.movable.init = [Instruction("i32.const", (-1,))]
    cx.stats["resumable functions"] = len(done.frames)


def _callable_by_hosts(module: Module) -> list[Function]:
    """The functions that core modules of the host may call: what they are given, and what they get references to."""
    given = dict.fromkeys(item for n in module.notes_of(HostModule) for item in reached(module, n))
    found = [item for item in given if isinstance(item, Function)]
    taken = [item for item, _ in module.noted(HostModuleExport)]
    if any(map(_holds_references, taken)) or any(map(_gives_references, given)):
        found += declared(module)
    return found


def _check_callable(blocking: Mapping[Function, object]) -> None:
    """Refuses functions that may block and that code around the module may call: its frames stay on the stack."""
    for function, path in blocking.items():
        raise MeldError(
            f"`{function.name}` may block, and a core module that the host provides may call it",
            hint=f"it may block by {path}; let the component define the table, or that core module",
        )


def _gives_references(item: CoreItem) -> bool:
    """Whether code around the module gets references to functions by an item that it is given."""
    results = item.signature.results if isinstance(item, Function) else ()
    return _holds_references(item) or any(isinstance(t, RefType) for t in results)


def _holds_references(item: CoreItem) -> bool:
    """Whether code around the module may get references to functions by an item."""
    match item:
        case Table():
            return True
        case Global(type=of):
            return isinstance(of, RefType)
        case Function(signature=signature):
            return any(isinstance(t, RefType) for t in signature.params)
    return False
