"""The pass `wire-entries`: what the host calls in place of the exported functions of asynchronous components.

A task begins with empty context slots. Nothing of the module runs between two calls of the host, so they are emptied
when a call is over: after `post-return`, or after the function if it has none. `realloc`, which the host calls to lower
parameters, has slots of its own each time (`emit-tasks`).

    (export "f" (func $app/f))
    ⟶
    (export "f" (func $f.task))
    (func $f.task (result i32) call $app/f  i32.const 0  global.set $context.0 …)

Source: Component Model, CanonicalABI.md: `canon lift`, Thread State (`context`).
"""

from __future__ import annotations

from dataclasses import replace

from meld.ir.module import Export, Function, Module
from meld.ir.types import NumType
from meld.notes.boundaries import HostExport
from meld.notes.tasks import ContextSlots, PlannedExport
from meld.passes.base import Pass, PassContext
from meld.rewriting.text import Text, calls


class WireEntries(Pass):
    """Give exported functions that run as tasks what the host calls in their place."""

    name = "wire-entries"
    requires = frozenset({"task-plan", "wired"})
    establishes = frozenset({"entered"})
    after = ("emit-tasks", "adapter-wiring")
    before = ("guard-entries", "finish")

    def run(self, module: Module, cx: PassContext) -> None:
        planned: dict[str, PlannedExport] = {n.label: n for n in module.notes_of(PlannedExport)}
        slots: list[ContextSlots] = module.notes_of(ContextSlots)
        text = Text(module, "async")
        names: dict[Function, str] = {}
        for n in module.notes_of(HostExport):
            plan = planned.get(n.label)
            if plan is None or not plan.context or not slots:
                continue
            last = n.lift.post_return or n.target
            if last not in names and cx.asks("entry", last):
                names[last] = f"{n.label}.task"
                _emptying(text, slots[0], last, names[last])
        made = text.place()
        entries = {function: made[name] for function, name in names.items()}
        _install(module, {old: new for old, new in entries.items() if isinstance(new, Function)})
        cx.stats["entries"] += len(entries)


def _emptying(text: Text, slots: ContextSlots, function: Function, name: str) -> None:
    """A function after which the context slots are empty."""
    emptied = []
    for slot in (slots.first, slots.second):
        assert isinstance(slot.type, NumType)
        emptied.append(f"(global.set {text.use(slot)} ({slot.type.value}.const 0))")
    text.function(name, function.signature, f"{calls(text.use(function), function.signature)} {' '.join(emptied)}")


def _install(module: Module, entries: dict[Function, Function]) -> None:
    """Has the host call the entries."""
    for n in module.notes_of(HostExport):
        n.target = entries.get(n.target, n.target)
        post_return = n.lift.post_return
        if post_return in entries:
            n.lift = replace(n.lift, post_return=entries[post_return])
    module.exports = [
        Export(export.name, entries.get(export.item, export.item), export.span)
        if isinstance(export.item, Function)
        else export
        for export in module.exports
    ]
