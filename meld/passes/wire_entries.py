"""The pass `wire-entries`: plain functions in place of exported functions that run as tasks.

An exported function that runs as a task becomes a plain function: it begins the task, runs whatever is ready until the
task has its result, and returns that. Tasks that are left go on with the next call. A function that is lifted
asynchronously returns the flat values that `task.return` got, several if need be, or a pointer where there are more
than 16.

Where the product is to be a component (`expose-resources` has run), such a function is lifted asynchronously again,
with the original's type: it calls the host's `task.return` when the task has its result, and returns EXIT.

Of a function that needs no task only the context slots are taken care of. Nothing of the module runs between two calls
of the host, so they are emptied when a call is over: after `post-return`, or after the function if it has none.
A destructor that the host runs needs no entry (`handle-tables` gave it a task of its own); tasks may wait for it, too.

Source: Component Model, CanonicalABI.md: canon lift; Thread State (`context`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

from meld.abi.options import Options
from meld.abi.signatures import lifted_type, task_return_type
from meld.ir.instructions import Instruction
from meld.ir.module import Export, Function, ImportName, Module
from meld.ir.types import I32, FuncType, NumType, ValType
from meld.notes.boundaries import CanonCall, HostExport, ResourceExport
from meld.notes.tasks import (
    HELD,
    MAY_BLOCK,
    OUT,
    VALUES,
    ContextSlots,
    How,
    PlannedExport,
    TaskFunctions,
    TaskResult,
    task_bytes,
)
from meld.passes.base import Pass, PassContext
from meld.rewriting.handles import Tables
from meld.rewriting.text import Text, calls
from meld.support.records import record

KIND = "async"
ASYNC_LIFT = "[async-lift]"
CALLBACK = FuncType((I32, I32, I32), (I32,))


class WireEntries(Pass):
    """Replace each exported function that runs as a task by a plain function that the host can call.

        (export "f" (func $app/f))
    becomes
        (export "f" (func $f.task))
        (func $f.task (param i32) (result i32)
          (local.set $task (call $task_new …))
          (i32.store $state offset=… (local.get $task) (local.get 0))
          (call $call_sync (local.get $task))
          (i32.load $state offset=… (local.get $task))
          (call $let_go (local.get $task)))
    """

    name = "wire-entries"
    requires = frozenset({"task-plan", "wired"})
    establishes = frozenset({"entered"})
    after = ("emit-tasks", "adapter-wiring")
    before = ("guard-entries", "finish")

    def run(self, module: Module, cx: PassContext) -> None:
        planned = {n.label: n for n in module.notes_of(PlannedExport)}
        wiring = _Wiring(module, Text(module, KIND), "exposed-resources" in module.facts)
        for n in module.notes_of(HostExport):
            plan = planned.get(n.label)
            if plan is None:
                continue
            if plan.how == How.TASK.value and module.notes_of(TaskFunctions):
                if cx.allows("entry", n.target):
                    wiring.enter(n, plan)
            elif (plan.context or wiring.nudge is not None) and cx.allows("entry", n.target):
                wiring.empty(n, plan)
        wiring.install()
        for resource in module.notes_of(ResourceExport):
            if resource.drop is not None and wiring.nudge is not None and cx.allows("entry", resource.drop):
                resource.drop.instructions.append(Instruction("call", (wiring.nudge,)))
        cx.stats["entries"] += len(wiring.entries)


@record()
class _Wiring:
    """Writes the entries of a module.

    Attributes:
        lifts: whether functions that were lifted asynchronously are lifted so again.
        entries: for each label, the exports of `text` that take the place of its function and its `post-return`.
        results: the same for each `TaskResult`.
    """

    module: Module
    text: Text
    lifts: bool
    entries: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    results: dict[Function, str] = field(default_factory=dict)
    _callback: str | None = None

    # --- functions that need no task ---

    @property
    def nudge(self) -> Function | None:
        """What is called after a function that is no task, where tasks may wait for one."""
        found = self.module.notes_of(TaskFunctions)
        return found[0].root_nudge if found else None

    def empty(self, n: HostExport, plan: PlannedExport) -> None:
        """A function, or its `post-return`, after which the context slots are empty, and tasks may go on."""
        last = n.lift.post_return or n.target
        nudge = "" if self.nudge is None else f"(call {self.text.use(self.nudge)})"
        emptied = [] if n.lift.post_return is not None else [nudge]
        for slots in self.module.notes_of(ContextSlots) if plan.context else ():
            for slot in (slots.first, slots.second):
                assert isinstance(slot.type, NumType)
                emptied.append(f"(global.set {self.text.use(slot)} ({slot.type.value}.const 0))")
        name = f"{n.label}.task"
        self.text.function(name, last.signature, f"{calls(self.text.use(last), last.signature)} {' '.join(emptied)}")
        self.entries[n.label] = (name, None) if n.lift.post_return is None else (None, name)
        if nudge and n.lift.post_return is not None:  # which must not call the host
            first = f"{n.label}.nudge"
            self.text.function(
                first, n.target.signature, f"{calls(self.text.use(n.target), n.target.signature)} {nudge}"
            )
            self.entries[n.label] = (first, name)

    # --- tasks ---

    def enter(self, n: HostExport, plan: PlannedExport) -> None:
        """A function that begins a task and returns when it has its result."""
        functions = self.module.notes_of(TaskFunctions)[0]
        tables = Tables.of(self.module)
        self.text.give("$state", tables.state.memory)
        params = _numbers(n.target.signature.params)
        results = _numbers(n.target.signature.results)
        if plan.outer is not None:
            params = _numbers(lifted_type(n.type, plan.outer).params)
            n.lift = replace(n.lift, memory=plan.outer.memory, realloc=plan.outer.realloc)
        if n.lift.is_async:
            results = _numbers(task_return_type(n.type.result, n.lift).params)
            self._result(n, results)
        returns = () if self.lifts and n.lift.is_async else results
        new = (
            f"(call {self.text.use(functions.new)} (i32.const {plan.call})"
            f" (i32.const {task_bytes(max(len(params), len(results)))}) (i32.const {tables.record(n.instance)})"
            f" (i32.const 0) (i32.const {HELD | (MAY_BLOCK if n.type.is_async else 0) | plan.share}))"
        )
        lines = ["(local $task i32)", *self._forget(n, plan), f"(local.set $task {new})"]
        lines += [_store(i, t, "$task", i) for i, t in enumerate(params)]
        lines += self._take_blocks(plan)
        if self.lifts and n.lift.is_async and functions.root_begin is not None:
            lines.append(f"(call {self.text.use(functions.root_begin)} (local.get $task))")
            self._enter_by(n, FuncType(params, (I32,)), lines)
            return
        lines.append(f"(call {self.text.use(functions.call)} (local.get $task))")
        lines += [f"({t.value}.load $state offset={VALUES + 8 * i} (local.get $task))" for i, t in enumerate(returns)]
        lines.append(f"(call {self.text.use(functions.let_go)} (local.get $task))")
        lines += [] if self.nudge is None else [f"(call {self.text.use(self.nudge)})"]
        if self.lifts and n.lift.is_async:
            lines.append("(i32.const 0)")  # EXIT
            returns = (I32,)
        self._enter_by(n, FuncType(params, returns), lines)

    def _enter_by(self, n: HostExport, shape: FuncType, lines: list[str]) -> None:
        name = f"{n.label}.task"
        self.text.function(name, shape, "\n    ".join(lines))
        self.entries[n.label] = name, None

    def _take_blocks(self, plan: PlannedExport) -> list[str]:
        """What the host has allocated for the parameters goes with the task."""
        if plan.outer is None or plan.outer.memory is None:
            return []
        take = self.text.use(Tables.of(self.module).state.function("arena_take"))
        return [f"(i32.store $state offset={OUT} (local.get $task) (call {take}))"]

    def _forget(self, n: HostExport, plan: PlannedExport) -> list[str]:
        """Results of the last call that lie in the state memory have been read; those of this one will."""
        state, kept = Tables.of(self.module).state, plan.kept
        if plan.outer is not None or kept is None or kept.memory is not state.memory:
            return []
        n.lift = replace(n.lift, memory=kept.memory, realloc=None)
        take, free = (self.text.use(state.function(f"arena_{name}")) for name in ("take", "free"))
        return [f"(call {free} (call {take}))"]

    def _result(self, n: HostExport, results: Sequence[NumType]) -> None:
        """Passes the result of a task to the host's `task.return`, if `emit-tasks` has left an import for it."""
        for item, note in self.module.noted(TaskResult):
            if not isinstance(item, Function) or note.label != n.label:
                continue
            given = "".join(f" (local.get {i + 1})" for i in range(len(results)))
            name = self.results[item] = f"{n.label}.result"
            self.text.function(name, item.signature, f"(call {self.text.use(self._host_return(n, results))}{given})")
            return

    def _host_return(self, n: HostExport, results: Sequence[NumType]) -> Function:
        """The import of the host's `task.return`, under the name that wit-component has for it."""
        interface, _, function = n.label.rpartition("#")
        made = Function(
            self.module.func_type(tuple(results), ()),
            name=f"{n.label}/task.return",
            imported=ImportName(f"[export]{interface or '$root'}", f"[task-return]{function}"),
            owner=n.instance,
            notes=[CanonCall("task.return", n.instance, n.type.result, Options(n.lift.encoding, n.lift.memory))],
        )
        self.module.add(made)
        return made

    # --- in place ---

    def install(self) -> None:
        """Has the host call the entries."""
        if any(n.lift.is_async and n.label in self.entries for n in self.module.notes_of(HostExport)) and self.lifts:
            self._callback = "callback"
            self.text.function(self._callback, CALLBACK, self._answer())
        made = self.text.place()
        targets: dict[str, Function] = {}
        for n in self.module.notes_of(HostExport):
            target, post_return = self.entries.get(n.label, (None, None))
            if target is not None:
                targets[n.label] = n.target = _function(made[target])
                callback = _function(made[self._callback]) if self._callback and n.lift.is_async else None
                n.lift = replace(n.lift, callback=callback, is_async=callback is not None)
            if post_return is not None:
                targets[f"cabi_post_{n.label}"] = _function(made[post_return])
                n.lift = replace(n.lift, post_return=_function(made[post_return]))
        self.module.exports = [self._export(e, targets) for e in self.module.exports]
        for n in self.module.notes_of(HostExport):
            if n.label in targets and n.lift.callback is not None:
                self.module.exports.append(Export(f"[callback]{ASYNC_LIFT}{n.label}", n.lift.callback))
        results = {item: made[name] for item, name in self.results.items()}
        self.module.replace_uses(results)
        self.module.imports = [item for item in self.module.imports if item not in results]

    def _answer(self) -> str:
        functions: TaskFunctions = self.module.notes_of(TaskFunctions)[0]
        if functions.root_event is None:
            return "(unreachable)"  # nothing waits: EXIT is the only answer
        return calls(self.text.use(functions.root_event), CALLBACK)

    def _export(self, export: Export, targets: dict[str, Function]) -> Export:
        """An export with its entry; one that is lifted asynchronously has the name that wit-component has for it."""
        item = targets.get(export.name, export.item)
        lifted = {n.label for n in self.module.notes_of(HostExport) if n.lift.callback is not None}
        name = f"{ASYNC_LIFT}{export.name}" if export.name in lifted and export.name in targets else export.name
        return Export(name, item, export.span)


def _function(item: object) -> Function:
    assert isinstance(item, Function)
    return item


def _numbers(types: Sequence[ValType]) -> tuple[NumType, ...]:
    found = tuple(t for t in types if isinstance(t, NumType))
    assert len(found) == len(types), "a lifted function has number types only"
    return found


def _store(number: int, core: NumType, task: str, value: int) -> str:
    """Code that keeps a local as a value of a task, which is a local too."""
    return f"({core.value}.store $state offset={VALUES + 8 * number} (local.get {task}) (local.get {value}))"
