"""What passes leave of asynchronous calls once the scheduler is in the module: copies of values, entries of exports.

After `emit-tasks` calls that are tasks, and built-ins, are functions of the module. What is still an import copies
values: the two halves of a call (`TaskHalf`), elements of a channel (`ElementCopy`). An exported function is entered by
the functions that `wire-entries` uses; until it has run, the result is handed to an import (`TaskResult`).

Source: `meld.passes.emit_tasks`, `meld.passes.wire_entries`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field, replace
from functools import partial
from typing import Any

from meld.abi.layout import MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS
from meld.abi.options import Options
from meld.abi.signatures import task_return_type
from meld.abi.types import function_types
from meld.ir import component as c
from meld.ir.module import CoreItem, Function, Module
from meld.ir.notes import Instance, Note
from meld.ir.types import NumType
from meld.notes.boundaries import HostExport
from meld.notes.channels import ElementCopy, EndFunctions, EndTypes
from meld.notes.handles import HandleTable
from meld.notes.state import StateMemory, state_memories
from meld.notes.tasks import (
    HELD,
    MAY_BLOCK,
    VALUES,
    Planned,
    PlannedExport,
    TaskFunctions,
    TaskHalf,
    TaskResult,
    task_bytes,
)
from meld.runtime.items import Items
from meld.runtime.lifting import lift_values, load
from meld.runtime.lowering import store
from meld.runtime.tables import Scope
from meld.runtime.tasks.calls import Calls, Entry, lower
from meld.runtime.tasks.channels import EndHandles
from meld.runtime.tasks.scheduler import Coroutine
from meld.support.records import record


@record(eq=False)
class Remains:
    """What is left of asynchronous calls in one running module.

    Attributes:
        tasks: the functions of the scheduler in the module; None if it has none.
        ends: the functions that carry ends between tables in the module; None if these have none.
        results: the flat results that tasks of exported functions have handed over, by task.
    """

    module: Module
    items: Items
    tasks: TaskFunctions | None = None
    ends: EndFunctions | None = None
    state: StateMemory | None = None
    records: dict[Instance, int] = field(default_factory=dict)
    numbers: dict[Any, int] = field(default_factory=dict)
    results: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, module: Module, items: Items) -> Remains:
        """What there is in a module, by its notes."""

        def only(kind: type[Any]) -> Any:
            return next(iter(module.notes_of(kind)), None)

        made = cls(module, items, only(TaskFunctions), only(EndFunctions), only(StateMemory))
        made.records = {note.instance: note.record for note in module.notes_of(HandleTable)}
        made.numbers = EndTypes.noted(module).numbers
        return made

    def carried(self, instance: Instance) -> EndHandles | None:
        """How ends and error contexts are values of an instance, if its table is in the module."""
        if self.ends is None or instance not in self.records:
            return None
        return EndHandles(self.ends, self.records[instance], self.numbers, self._call)

    # --- imports ---

    def served(self, note: Note, calls: Calls) -> tuple[Instance, Callable[..., Any]] | None:
        """The instance of an import, and what it does; None for other imports."""
        match note:
            case TaskHalf():
                return note.caller, partial(self._half, note, calls)
            case TaskResult():
                return self._export(note.label).instance, self._result
            case ElementCopy():
                return note.writer, partial(self._copy, note, calls)
        return None

    def _half(self, note: TaskHalf, calls: Calls, *cores: int) -> list[int]:
        caller, callee = calls.state(note.caller), calls.state(note.callee)
        given = list(cores)
        scope = Scope()
        starts = note.half == "start"
        if starts and any(isinstance(t, c.Borrow) for t in function_types(note.type)):
            scope.mark = given.pop(0)
        up = calls.side(note.lower, caller, calls.handles(caller, scope))
        down = calls.side(note.lift, callee, calls.handles(callee, scope))
        if starts:
            types = [t for _, t in note.type.params]
            most = MAX_FLAT_ASYNC_PARAMS if note.lower.is_async else MAX_FLAT_PARAMS
            values = lift_values(up, calls.layout(up, types), given, most)
            return lower(callee, down, calls.layout(down, types), values, MAX_FLAT_PARAMS)
        types = [] if note.type.result is None else [note.type.result]
        returned = MAX_FLAT_PARAMS if note.lift.is_async else MAX_FLAT_RESULTS
        values = lift_values(down, calls.layout(down, types), given, returned)
        taken = calls.layout(up, types)
        if note.half == "result":
            return lower(caller, up, taken, values, MAX_FLAT_PARAMS)
        most = 0 if note.lower.is_async else MAX_FLAT_RESULTS
        return lower(caller, up, taken, values, most, given[-1] if len(taken.flat) > most else None)

    def _result(self, task: int, *cores: int) -> None:
        self.results[task] = list(cores)

    def _copy(self, note: ElementCopy, calls: Calls, *cores: int) -> None:
        writer, reader = calls.state(note.writer), calls.state(note.reader)
        source = calls.side(note.lift, writer, calls.handles(writer, Scope()))
        target = calls.side(note.lower, reader, calls.handles(reader, Scope()))
        (_, from_), (_, to) = (calls.layout(side, [note.type]).fields[0] for side in (source, target))
        if note.flat:
            *flat, at = cores
            values = list(lift_values(source, calls.layout(source, [note.type]), flat, MAX_FLAT_PARAMS))
        else:
            start, at, count = cores
            values = [load(source, from_, start + i * from_.size) for i in range(count)]
        before, reader.closed = reader.closed, True
        for i, value in enumerate(values):
            store(target, to, value, at + i * to.size)
        reader.closed = before

    def around(self, wanted: Function, work: Coroutine) -> Coroutine:
        """A call that is no task, with the running task that its callee is to find."""
        planned = wanted.note(Planned)
        if self.tasks is None or planned is None or not planned.outside:
            return (yield from work)
        running = self.items.reach(self.tasks.running)
        before = running.value(self.items.stores[-1])
        running.set_value(self.items.stores[-1], self.tasks.outside)
        answer = yield from work
        running.set_value(self.items.stores[-1], before)
        return answer

    # --- entries ---

    def entry(self, export: HostExport) -> Entry | None:
        """How an exported function is called if not directly; None if directly."""
        lift, returned = export.lift, task_return_type(export.type.result, export.lift)
        if "entered" in self.module.facts:
            flat = not lift.is_async and export.type.is_async and export.target.signature.results == returned.params
            return Entry(None, lift, MAX_FLAT_PARAMS) if flat else None
        plans = self.module.notes_of(PlannedExport)
        plan = next((plan for plan in plans if plan.label == export.label), None)
        if self.tasks is None or plan is None or plan.how != "task":
            return None
        kept = lift if plan.kept is None else replace(lift, memory=plan.kept.memory)
        most = MAX_FLAT_PARAMS if lift.is_async else MAX_FLAT_RESULTS
        return Entry(partial(self._enter, export, plan, self.tasks), kept, most)

    def _enter(self, export: HostExport, plan: PlannedExport, tasks: TaskFunctions, cores: Sequence[int]) -> list[int]:
        """Runs a task of the module until it has its result. Returns that, flat."""
        assert self.state is not None
        lift, signature = export.lift, export.target.signature
        results = task_return_type(export.type.result, lift).params if lift.is_async else signature.results
        size = task_bytes(max(len(cores), len(results)))
        flags = HELD | (MAY_BLOCK if export.type.is_async else 0)
        task = self._call(tasks.new, plan.call, size, self.records[export.instance], 0, flags)
        for i, bits in enumerate(cores):
            at = task + VALUES + 8 * i
            self.items.bytes_of(self.state.memory)[at : at + 8] = bits.to_bytes(8, "little")
        self._call(tasks.call, task)
        answer = self.results.pop(task, None)
        if answer is None:
            memory = self.items.bytes_of(self.state.memory)
            starts = [task + VALUES + 8 * i for i in range(len(results))]
            answer = [
                int.from_bytes(memory[at : at + _size(t)], "little") for at, t in zip(starts, results, strict=True)
            ]
        self._call(tasks.let_go, task)
        return answer

    def _export(self, label: str) -> HostExport:
        exports = self.module.notes_of(HostExport)
        return next(export for export in exports if export.label == label)

    def _call(self, function: Function, *args: int) -> int:
        return (self.items.call(function, args) or [0])[0]


def _size(t: Any) -> int:
    return 8 if t in (NumType.I64, NumType.F64) else 4


def remaining_items(module: Module) -> list[CoreItem | None]:
    """The items of a module that these reach."""
    found: list[CoreItem | None] = []

    def options(*given: Options) -> None:
        for o in given:
            found.extend((o.memory, o.realloc))

    for _, note in module.noted(Note):
        if isinstance(note, TaskHalf | ElementCopy):
            options(note.lower, note.lift)
    for ends in module.notes_of(EndFunctions):
        found += [ends.end_lift, ends.end_lower, ends.error_lift, ends.error_lower, ends.error_give, ends.error_take]
    for tasks in module.notes_of(TaskFunctions):
        found += [tasks.running, tasks.new, tasks.call, tasks.let_go]
        found += state_memories(module)
    for plan in module.notes_of(PlannedExport):
        if plan.kept is not None:
            found.append(plan.kept.memory)
    return found
