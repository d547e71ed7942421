"""The call graph of a module: which functions lead to which.

An edge goes from a function to whatever its body names: functions that it calls or refers to, and tables, from which
edges go on to the functions in their segments. Nothing is followed across an import, but for the calls over the edge of
the program, which lead to their targets, and those of core modules of the host, to all that these may call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Any

from meld.ir.instructions import Code, LazyBody
from meld.ir.module import Function, Module, Table, item_uses
from meld.notes.boundaries import CanonCall, Edge
from meld.notes.host_modules import HostModuleExport, reached
from meld.support.records import record


@record()
class CallGraph:
    """The edges of a module, backwards: function or table → what names it."""

    users: dict[Any, list[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, module: Module) -> CallGraph:
        """The call graph of a module. Bodies read from a binary are scanned without being decoded."""
        graph = cls()
        for function in module.functions:
            match function.body:
                case Code(instructions=instructions):
                    graph._add(function, item_uses(instructions))
                case LazyBody() as body:
                    graph._add(function, body.uses())
                case None:
                    pass
        for item, n in module.noted(Edge):
            graph._add(item, (n.target, n.inner.realloc, n.inner.post_return))
        for item, built in module.noted(CanonCall):
            graph._add(item, (built.table,))
        for item, export in module.noted(HostModuleExport):
            graph._add(item, reached(module, export.instance))
        for element in module.elements:
            if element.table is not None:
                entries = [used for expression in element.expressions or () for used in item_uses(expression)]
                graph._add(element.table, [*(element.functions or ()), *entries])
        return graph

    def _add(self, user: Any, used: Iterable[Any]) -> None:
        for item in dict.fromkeys(used):
            if isinstance(item, Function | Table):
                self.users.setdefault(item, []).append(user)

    def leading_to(self, targets: Iterable[Any]) -> dict[Any, Any]:
        """Everything that leads to one of the targets → the next step on a shortest path; a target → itself."""
        found: dict[Any, Any] = {target: target for target in targets}
        pending = list(found)
        for item in pending:
            for user in self.users.get(item, ()):
                if user not in found:
                    found[user] = item
                    pending.append(user)
        return found


def path(leading: dict[Any, Any], start: Any) -> list[Any]:
    """The functions on the way from a start to a target, both included; tables are left out."""
    found = [start]
    while leading[found[-1]] is not found[-1]:
        found.append(leading[found[-1]])
    return [item for item in found if isinstance(item, Function)]
