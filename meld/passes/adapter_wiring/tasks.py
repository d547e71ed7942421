"""Tasks of calls that are lifted asynchronously, and are over when the callee returns.

A callee that cannot block needs no scheduler: it runs to its end below the adapter, and hands over its result with
`task.return` on the way. An instance runs one such task at a time. Which calls are so:
`meld.passes.plan_tasks.prompt`.

Source: Component Model, CanonicalABI.md: `canon lift` (async), `canon lower` (async), `canon task.return`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from meld.ir.module import Global
from meld.ir.types import I32, NumType
from meld.notes.tasks import ContextSlots, TaskFunctions
from meld.passes.adapter_wiring.adapter_module import AdapterModule, Body
from meld.support.records import record

if TYPE_CHECKING:
    from meld.passes.adapter_wiring.call import Call

RETURNED = 2
"""The result of an asynchronously lowered call that has returned, so that there is no subtask (Subtask.State)."""

_NONE, _OVER = 0, -1

Saved = list[tuple[str, str]]
"""Globals and the locals that keep their values."""


@record(frozen=True)
class Surroundings:
    """State that is saved around a direct call: the callee has its own, and the caller gets its own back.

    Attributes:
        slots: the globals of the context slots, if there are any in the program.
        tasks: the functions of the scheduler that give the running task, if there is one.
    """

    adapters: AdapterModule
    slots: ContextSlots | None
    tasks: TaskFunctions | None

    def begin(self, body: Body, call: Call) -> Saved:
        """Before the parameters are lowered; its result is passed to `end`."""
        saved: Saved = []
        if call.planned.context and self.slots is not None:
            for slot in (self.slots.first, self.slots.second):
                assert isinstance(slot.type, NumType)
                saved.append(self._replace(body, slot, slot.type, f"({slot.type.value}.const 0)"))
        if self.tasks is not None and call.planned.outside:
            saved.append(self._replace(body, self.tasks.running, I32, f"(i32.const {self.tasks.outside})"))
        return saved

    def _replace(self, body: Body, item: Global, core: NumType, value: str) -> tuple[str, str]:
        """Sets a global; returns what restores its old value."""
        name, local = self.adapters.global_(item), body.local(core)
        body.emit(f"(local.set {local} (global.get {name}))")
        body.emit(f"(global.set {name} {value})")
        return name, local

    def end(self, body: Body, saved: Saved) -> None:
        """After everything, `post-return` included, which finds what the callee left."""
        for name, local in saved:
            body.emit(f"(global.set {name} (local.get {local}))")


@record()
class Tasks:
    """The tasks of one callee.

    Attributes:
        running: the global that says which call runs: its place in `calls` from 1, 0 if none does, −1 if it has
            handed over its result.
        outs: for each type of address, the global that says where in the caller's memory the result goes.
    """

    adapters: AdapterModule
    running: Global
    outs: dict[NumType, Global]
    calls: list[Call] = field(default_factory=list)

    def begin(self, body: Body, call: Call, params: Sequence[tuple[str, NumType]]) -> None:
        """Just before the callee is called."""
        body.emit(f"(global.set {self._running} (i32.const {self._number(call)}))")
        if call.spills_results[0]:
            body.emit(f"(global.set {self.out_of(call)} (local.get {params[-1][0]}))")

    def end(self, body: Body, trap: str) -> None:
        """The callee has come back: it must have handed over its result."""
        body.trap_if(f"(i32.ne (global.get {self._running}) (i32.const {_OVER}))", trap)
        body.emit(f"(global.set {self._running} (i32.const {_NONE}))")

    def is_running(self, call: Call) -> str:
        """Whether a call runs that has not handed over its result."""
        return f"(i32.eq (global.get {self._running}) (i32.const {self._number(call)}))"

    def has_returned(self) -> str:
        """Whether one runs that has."""
        return f"(i32.eq (global.get {self._running}) (i32.const {_OVER}))"

    def returned(self, body: Body) -> None:
        """The one that runs hands over its result."""
        body.emit(f"(global.set {self._running} (i32.const {_OVER}))")

    def out_of(self, call: Call) -> str:
        """The name of the global that says where the result of a call goes."""
        return self.adapters.global_(self.outs[call.caller.pointer])

    @property
    def _running(self) -> str:
        return self.adapters.global_(self.running)

    def _number(self, call: Call) -> int:
        return self.calls.index(call) + 1
