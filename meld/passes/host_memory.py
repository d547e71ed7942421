"""The pass `host-memory`: one memory for all values that the program and its host exchange.

A host reads and writes the memory of an instance by pointers that the instance gives it. In a module of one memory
these reach beyond the instance, so `lower-multi-memory` brings this pass: the host is given the state memory, and an
adapter over the edge of the program copies the values, with every check of the Canonical ABI (`meld.rewriting.outer`).
It also serves hosts that go by names, and know one memory only.

Calls that are tasks, and streams and futures of which the host has an end, have values that outlive a call. Their
copies are kept with the task, or with the channel, so `emit-tasks` makes them where the fact `host-memory` holds.
"""

from __future__ import annotations

from meld.ir.module import Function, Module
from meld.notes.boundaries import CanonCall, Edge, HostCall, HostExport
from meld.notes.tasks import How, Planned, PlannedExport
from meld.passes.base import Pass, PassContext, option
from meld.rewriting.outer import share_export, share_import


class HostMemory(Pass):
    """Give the host one memory, and copy what it is given into it, and what it gives out of it.

    A pointer that an instance gives to the host, or gets for it from its `realloc`, is checked inside the module, also
    a nested one. Costs a copy of each value that lies in memory. Functions of numbers stay as they are, and so does a
    module of one memory, unless ``always`` is given: no pointer leaves that memory, but a bad one makes the host trap,
    which `guard-entries` does not see.

        (import "host" "log" (func $log
          (@meld.host (type (param "s" string)) (lower (memory $app/memory)) …)
          (param i32 i32)))
    becomes
        (import "host" "log" (func $log.outer
          (@meld.host (type (param "s" string)) (lower (memory $state) …) …)
          (param i32 i32)))
        (import "meld:boundary" "app->log" (func $log
          (@meld.edge $app (way out) (target $log.outer) …)
          (param i32 i32)))
    """

    name = "host-memory"
    requires = frozenset({"merged"})
    establishes = frozenset({"host-memory"})
    after = ("plan-tasks", "expose-resources", "handle-tables")
    before = ("emit-tasks", "adapter-wiring")
    repeatable = True
    always: bool = option(False, "whether values are checked in the module also where it has one memory at most")

    def run(self, module: Module, cx: PassContext) -> None:
        edges = any(True for _ in module.noted(Edge))
        if len(module.space("memories")) < 2 and not edges and not _will_have_state(module) and not self.always:
            cx.remark("there is one memory at most; nothing to separate (always=true checks values all the same)")
            return
        calls = [(item, n) for item, n in module.noted(HostCall) if isinstance(item, Function)]
        for item, call in calls:
            if cx.allows("separate", item) and share_import(module, item, call):
                cx.stats["host calls"] += 1
        for export in module.notes_of(HostExport):
            if cx.allows("separate", export) and share_export(module, export):
                cx.stats["exports"] += 1


NEEDS_NO_STATE = frozenset({"context", "backpressure", "task", "thread", "resource"})
"""What built-ins are about for which `emit-tasks` needs no memory of the compiler's, unless there are tasks."""


def _will_have_state(module: Module) -> bool:
    """Whether `emit-tasks` is still to add the compiler's own memory: for tasks, channels or waitable sets."""
    if "tasks" in module.facts:
        return False
    plans = [n.how for n in module.notes_of(PlannedExport)] + [n.how for _, n in module.noted(Planned)]
    about = {n.builtin.partition(".")[0] for _, n in module.noted(CanonCall)}
    return How.TASK.value in plans or bool(about - NEEDS_NO_STATE)
