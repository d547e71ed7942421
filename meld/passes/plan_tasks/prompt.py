"""Prompt calls: asynchronous calls that are over when their callee returns, so that they need no scheduler.

A callee cannot block if it has nothing to block on: of the canonical built-ins only those that never block, no
synchronously lowered import that is asynchronous, and no callback. And nothing that it calls leads back to the caller
or to itself, so no second task of it can start while one runs. Calls that borrow and hand over their result with
`task.return` are left out: whether all is given back would be checked there. All asynchronous calls of one callee
are prompt, or none, since they share its `task.return`.

Source: Component Model, CanonicalABI.md: `canon lower` (async), Task State (`may_block`, `enter`).
"""

from __future__ import annotations

from collections.abc import Mapping

from meld.abi.types import function_types
from meld.ir import component as c
from meld.ir.module import Function, Module
from meld.ir.notes import Instance, Note
from meld.notes.boundaries import Boundary, CanonCall, HostCall, HostExport, resource_of
from meld.rewriting.calls import CallGraph

QUIET = frozenset({"task.return", "context.get", "context.set", "resource.new", "resource.rep", "resource.drop"})
"""Built-ins that never block, and start nothing that goes on later."""


def prompt_calls(module: Module, boundaries: Mapping[Function, Boundary], graph: CallGraph) -> set[Function]:
    """The pending asynchronous calls that are over when the callee returns."""
    calls = _calls(module, boundaries)
    busy = _may_block(module, graph)

    def is_prompt(n: Boundary) -> bool:
        return (
            n.lower.is_async
            and n.lift.callback is None
            and n.callee not in busy
            and not (n.lift.is_async and any(isinstance(t, c.Borrow) for t in function_types(n.type)))
            and not {n.caller, n.callee} & _reached(calls, n.callee)
        )

    asynchronous = {item: n for item, n in boundaries.items() if n.lower.is_async or n.lift.is_async}
    others = {n.callee for n in asynchronous.values() if not is_prompt(n)}
    return {item for item, n in asynchronous.items() if n.callee not in others}


def _calls(module: Module, boundaries: Mapping[Function, Boundary]) -> dict[Instance, set[Instance]]:
    """The instances that each one calls: by boundaries and destructors, or by any export through the host."""
    calls: dict[Instance, set[Instance]] = {}
    for n in boundaries.values():
        calls.setdefault(n.caller, set()).add(n.callee)
    exporting = {export.instance for export in module.notes_of(HostExport)}
    for _, note in module.noted(Note):
        match note:
            case CanonCall(builtin="resource.drop", instance=instance):
                resource = resource_of(note)
                if resource is not None and resource.owner is not None and resource.dtor is not None:
                    calls.setdefault(instance, set()).add(resource.owner)
            case HostCall(instance=instance):
                calls.setdefault(instance, set()).update(exporting)
    return calls


def _may_block(module: Module, graph: CallGraph) -> set[Instance]:
    """The instances that may block, or whose tasks the host may start."""
    found = {n.instance for n in module.notes_of(HostExport) if n.lift.is_async or n.type.is_async}
    for item in module.imports:
        for n in item.notes if item in graph.users else ():
            match n:
                case CanonCall() if n.builtin not in QUIET:
                    found.add(n.instance)
                case HostCall() if n.type.is_async:
                    found.add(n.instance)
                case Boundary() if n.type.is_async and not n.lower.is_async:
                    found.add(n.caller)
    return found


def _reached(calls: dict[Instance, set[Instance]], start: Instance) -> set[Instance]:
    """The instances that one calls, and those that they call."""
    found: set[Instance] = set()
    pending = list(calls.get(start, ()))
    while pending:
        instance = pending.pop()
        if instance not in found:
            found.add(instance)
            pending += calls.get(instance, ())
    return found
