"""The pass `emit-tasks`: the canonical built-ins of asynchronous code become functions of the module.

Each built-in of an instance becomes a function that keeps the note of what it stands for. What it needs is linked in,
and no more: a context slot is a global, a backpressure counter another one, and where no call has a task, whatever
would block can only trap.

    (import "meld:canon" "context.get" (func $app/context.get (@meld.canon context.get …) (result i32)))
    ⟶
    (func $app/context.get (@meld.synthetic async) (@meld.canon context.get …) (result i32) global.get $context.0)

Source: Component Model, CanonicalABI.md: Canonical Definitions; behaviour of wasmtime.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, fields, replace
from typing import Any

from meld.abi.options import Options
from meld.ir.module import CoreItem, Function, Global, Module
from meld.ir.notes import Instance
from meld.ir.types import I32, I64
from meld.notes.boundaries import CanonCall
from meld.notes.tasks import ContextSlots, UsesContext
from meld.passes.base import Pass, PassContext
from meld.passes.emit_tasks.channels import BUILTINS, Channels, has_ends, inside
from meld.rewriting.rebind import rebind_notes
from meld.rewriting.text import Text, calls
from meld.support.records import record

CONTEXT = frozenset({"context.get", "context.set"})
BACKPRESSURE = frozenset({"backpressure.inc", "backpressure.dec"})
SLOTS = 2
KIND = "async"

WITHOUT_TASKS = {
    "task.cancel": "(call {trap CANCEL_NOT_SENT}) (unreachable)",
    "thread.yield": "(i32.const 0)",
    "waitable-set.wait": "(call {trap BLOCK}) (unreachable)",
}
"""Bodies of built-ins where no call has a task: nothing may block, and there is nobody to yield to."""


HOOKS_WITHOUT_TASKS = """
  (func $check_blocking (call {trap BLOCK}) (unreachable))
  (func $block_on_waitable (param $waitable i32) (call {trap DEADLOCK}) (unreachable))
  (func $set_wake (param $set i32))
  (func $subtask_delivered (param $waitable i32) (param $payload i32))
"""
"""What channels and waitable sets ask of a scheduler, where there is none."""


class EmitTasks(Pass):
    """Replace the canonical built-ins of asynchronous code by functions of the module."""

    name = "emit-tasks"
    requires = frozenset({"task-plan"})
    establishes = frozenset({"tasks"})
    after = ("handle-tables",)
    before = ("adapter-wiring",)

    def run(self, module: Module, cx: PassContext) -> None:
        builtins = {item: n for item, n in inside(module, _builtins(module)) if cx.asks("built-in", item)}
        emitter = _Emitter(module, Text(module, KIND), builtins)
        emitter.emit()
        made = emitter.text.place()
        emitter.install(made)
        cx.stats["built-ins"] += len(emitter.stubs)


def _builtins(module: Module) -> Iterator[tuple[Function, CanonCall]]:
    """The built-ins that this pass knows."""
    known = {*CONTEXT, *BACKPRESSURE, *WITHOUT_TASKS, *BUILTINS}
    for item in module.imports:
        for n in item.notes:
            if isinstance(item, Function) and isinstance(n, CanonCall) and n.builtin in known:
                yield item, n


@record()
class _Emitter:
    """Writes the functions of a program.

    Attributes:
        stubs: the export of `text` that stands for each built-in.
        wrapped: the same for each `realloc` that uses context slots.
    """

    module: Module
    text: Text
    builtins: dict[Function, CanonCall]
    stubs: dict[Function, str] = field(default_factory=dict)
    wrapped: dict[Function, str] = field(default_factory=dict)
    channels: Channels | None = None

    def emit(self) -> None:
        """Writes everything."""
        self._context()
        self._backpressure()
        self._channels()
        for item, n in self.builtins.items():
            if n.builtin in WITHOUT_TASKS:
                self._stub(item, WITHOUT_TASKS[n.builtin])

    def install(self, made: dict[str, CoreItem]) -> None:
        """Puts what was made in place of the imports."""
        new: dict[Any, Any] = {item: made[name] for item, name in self.stubs.items()}
        for item, n in self.builtins.items():
            stub = new[item]
            stub.name, stub.owner, stub.notes = item.name, n.instance, list(item.notes)
        self.module.replace_uses(new)
        rebind_notes(self.module, new)
        self.module.imports = [item for item in self.module.imports if item not in new]
        if self.channels is not None:
            self.channels.install(made)
        if "context.0" in made:
            first, second = made["context.0"], made["context.1"]
            assert isinstance(first, Global) and isinstance(second, Global)
            self.module.notes.append(ContextSlots(first, second))
        _rebind_reallocs(self.module, {realloc: made[name] for realloc, name in self.wrapped.items()})

    def _stub(self, item: Function, body: str) -> None:
        name = self.stubs[item] = f"builtin.{len(self.stubs)}"
        self.text.function(name, item.signature, body)

    # --- channels ---

    def _channels(self) -> None:
        """Streams, futures, waitable sets and error contexts, where there are any."""
        wanted = {item: n for item, n in self.builtins.items() if n.builtin in BUILTINS}
        if not wanted and not has_ends(self.module):
            return
        self.channels = Channels.of(self.text, self.module, wanted)
        self.channels.templates()
        self.text.add(HOOKS_WITHOUT_TASKS)
        self.stubs |= {item: self.channels.stub(item, n) for item, n in wanted.items()}

    # --- context slots ---

    def _context(self) -> None:
        users = {item: n for item, n in self.builtins.items() if n.builtin in CONTEXT}
        if not users:
            return
        wide = any(I64 in (*item.signature.params, *item.signature.results) for item in users)
        core = (I64 if wide else I32).value
        for slot in range(SLOTS):
            self.text.add(f'  (global $context.{slot} (export "context.{slot}") (mut {core}) ({core}.const 0))')
        for item, n in users.items():
            narrow = wide and I64 not in (*item.signature.params, *item.signature.results)
            if n.builtin == "context.get":
                value = f"(global.get $context.{n.slot})"
                self._stub(item, f"(i32.wrap_i64 {value})" if narrow else value)
            else:
                value = "(i64.extend_i32_u (local.get 0))" if narrow else "(local.get 0)"
                self._stub(item, f"(global.set $context.{n.slot} {value})")
        for function in self.module.functions:
            if any(isinstance(n, UsesContext) for n in function.notes):
                self._wrap_realloc(function, core)

    def _wrap_realloc(self, realloc: Function, core: str) -> None:
        """Each call of a `realloc` begins with empty slots, and what it leaves in them is forgotten."""
        name = self.wrapped[realloc] = f"realloc.{len(self.wrapped)}"
        saved = "".join(f" (local $context{slot} {core})" for slot in range(SLOTS))
        begin = "".join(
            f" (local.set $context{slot} (global.get $context.{slot})) (global.set $context.{slot} ({core}.const 0))"
            for slot in range(SLOTS)
        )
        end = "".join(f" (global.set $context.{slot} (local.get $context{slot}))" for slot in range(SLOTS))
        body = f"{saved}{begin} {calls(self.text.use(realloc), realloc.signature)}{end}"
        self.text.function(name, realloc.signature, body)

    # --- backpressure ---

    def _backpressure(self) -> None:
        """Counters that nobody looks at, since no call waits: they only trap where they over- or underflow."""
        counters: dict[Instance, str] = {}
        for item, n in self.builtins.items():
            if n.builtin not in BACKPRESSURE:
                continue
            if n.instance not in counters:
                counters[n.instance] = f"$backpressure.{len(counters)}"
                self.text.add(f"  (global {counters[n.instance]} (mut i32) (i32.const 0))")
            counter = counters[n.instance]
            by, limit = (1, 0xFFFF) if n.builtin == "backpressure.inc" else (-1, 0)
            self._stub(
                item,
                f"(if (i32.eq (global.get {counter}) (i32.const {limit})) (then (call {{trap BACKPRESSURE}})))"
                f" (global.set {counter} (i32.add (global.get {counter}) (i32.const {by})))",
            )


def _rebind_reallocs(module: Module, new: dict[Function, CoreItem]) -> None:
    """Has what lowers values call other functions as `realloc`; whoever calls these by themselves goes on to."""
    if not new:
        return
    for holder in (*module.notes, *(n for item in module.items() for n in item.notes)):
        for f in fields(holder):
            value = getattr(holder, f.name)
            if isinstance(value, Options) and value.realloc in new:
                realloc = new[value.realloc]
                assert isinstance(realloc, Function)
                setattr(holder, f.name, replace(value, realloc=realloc))
