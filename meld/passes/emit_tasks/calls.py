"""Calls that are tasks: what the caller calls, what starts the callee, and what takes its result.

Each such call has a number, by which a task says what it is a task of. Three functions over tasks dispatch on it:
``$start``, ``$callback`` and, for each `task.return`, what carries the result. The values themselves are copied by two
imports, `TaskHalf`, which adapter-wiring writes:

    (func $call.1 (param i32 i32) (result i32)         ;; in place of the boundary: makes a task and begins it
      …store the parameters…  (call $call_async (local.get $task)))
    (func $start.1 (param $task i32)                   ;; now, or when the callee's instance can be entered
      (call $enter …)  (call $app/f.start …load the parameters…)  (call $lib/f …)  …)
    (func $return.1 (param $task i32) (param i32)      ;; by way of the callee's task.return
      (call $app/f.return …)  (call $resolve (local.get $task) (i32.const 2)))

Source: Component Model, CanonicalABI.md: canon lift, canon lower, canon task.return.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field

from meld.abi.layout import Layouts
from meld.abi.options import Options
from meld.abi.signatures import lifted_type, task_return_type
from meld.abi.types import function_types
from meld.ir import component as c
from meld.ir.component import CompFuncType
from meld.ir.module import Function, ImportName, Module
from meld.ir.notes import Instance
from meld.ir.types import I32, FuncType, NumType, ValType
from meld.notes.boundaries import BOUNDARY_MODULE, Boundary, CanonCall, HostExport
from meld.notes.tasks import HELD, MAY_BLOCK, OUT, RESULT, RETURN, START, VALUES, TaskHalf, TaskResult, task_bytes
from meld.passes.emit_tasks.shares import Shares
from meld.passes.emit_tasks.threads import Threads, thread_hooks
from meld.rewriting.handles import Tables
from meld.rewriting.text import Text, calls, signature
from meld.support.records import record


@record(eq=False)
class TaskCalled:
    """A function that is called as a task.

    Attributes:
        number: of the call, from 1.
        callee, target, type, lift: whose it is, what is lifted, how.
        boundary: the call, unless the host makes it.
        outer: the options of the host's side, if its values are copied or translated.
    """

    number: int
    label: str
    callee: Instance
    target: Function
    type: CompFuncType
    lift: Options
    import_: Function | None = None
    boundary: Boundary | None = None
    outer: Options | None = None

    @property
    def is_alone(self) -> bool:
        """Whether no other task may enter the instance while the callee runs.

        So it is with functions of asynchronous type that are lifted synchronously, or with a callback.
        """
        return self.type.is_async and (not self.lift.is_async or self.lift.callback is not None)

    @property
    def result(self) -> tuple[NumType, ...]:
        """The core types of the result: the parameters of the callee's `task.return`, or its core results."""
        if not self.lift.is_async:
            return numbers(self.target.signature.results)
        return numbers(task_return_type(self.type.result, self.lift).params)

    @property
    def has_pointers(self) -> bool:
        """Whether its result refers to memory."""
        return self.type.result is not None and (
            len(self.result) != len(_flat(self)) or Layouts().of(self.type.result).allocates
        )

    @property
    def borrows(self) -> bool:
        """Whether it borrows handles."""
        return any(isinstance(t, c.Borrow) for t in function_types(self.type))


def numbers(types: Iterable[ValType]) -> tuple[NumType, ...]:
    """Core types of a component function, which are numbers."""
    found = tuple(t for t in types if isinstance(t, NumType))
    return found


def of_boundary(number: int, import_: Function, n: Boundary) -> TaskCalled:
    """A call of one component by another."""
    return TaskCalled(number, n.label, n.callee, n.target, n.type, n.lift, import_, n)


def of_export(number: int, n: HostExport) -> TaskCalled:
    """A call by the host."""
    return TaskCalled(number, n.label, n.instance, n.target, n.type, n.lift)


@record()
class TaskCalls:
    """Writes the functions of calls that are tasks into the text of the runtime.

    Attributes:
        calls: by number from 1.
        shares: what tasks count for.
        lifts: whether the host's `task.return` takes the results of exports that are lifted asynchronously.
        halves: the imports that copy values, to be added to the module.
        kept: for the label of an export, where copies of its result lie.
        opens: whether exported functions may wait for the host.
        threads: those that instances make, if any does.
        later: for the numbers of calls by the host, code that hands over a result that was kept.
    """

    module: Module
    text: Text
    tables: Tables
    calls: Sequence[TaskCalled]
    shares: Shares
    lifts: bool
    halves: list[Function] = field(default_factory=list)
    kept: dict[str, Options] = field(default_factory=dict)
    opens: bool = False
    threads: Threads | None = None
    later: dict[int, str] = field(default_factory=dict)
    _caught: dict[Function, str] = field(default_factory=dict)

    def emit(self) -> dict[Function, str]:
        """Writes everything but `task.return`; the exports of the text that stand for boundaries."""
        stubs: dict[Function, str] = {}
        for call in self.calls:
            if call.boundary is not None and call.import_ is not None:
                stubs[call.import_] = self._stub(call, call.boundary, call.import_)
            self._return(call)
            self._start(call)
        self._dispatch()
        return stubs

    @property
    def borrows(self) -> bool:
        """Whether any call borrows."""
        return any(call.borrows for call in self.calls)

    # --- the caller's side -------------------------------------------------------------------------------------------

    def _stub(self, call: TaskCalled, n: Boundary, import_: Function) -> str:
        """In place of the boundary: makes a task of the call and begins it."""
        params = numbers(import_.signature.params)
        values, out = self._split(call, n, params)
        flags = HELD | (MAY_BLOCK if n.type.is_async else 0) | self.shares.flag(n.caller, n.callee)
        new = " ".join(
            f"(i32.const {x})"
            for x in (
                call.number,
                task_bytes(max(len(values), 1)),
                self.tables.record(n.callee),
                self.tables.record(n.caller),
                flags,
            )
        )
        lines = [f"(local.set $task (call $task_new {new}))"]
        lines += [_store(VALUES + 8 * i, t, f"(local.get {i})") for i, t in enumerate(values)]
        if out is not None:
            lines.append(_store(OUT, out, f"(local.get {len(values)})"))
        if n.lower.is_async:
            lines.append("(call $call_async (local.get $task))")
        else:
            results = numbers(import_.signature.results)
            lines.append("(call $call_sync (local.get $task))")
            lines += [_load(VALUES + 8 * i, t) for i, t in enumerate(results)]
            lines.append("(call $let_go (local.get $task))")
        name = f"call.{call.number}"
        body = "\n    ".join(["(local $task i32)", *lines])
        self.text.function(name, import_.signature, f"\n    {body}")
        return name

    @staticmethod
    def _split(
        call: TaskCalled, n: Boundary, params: tuple[NumType, ...]
    ) -> tuple[tuple[NumType, ...], NumType | None]:
        """The caller's flat parameters, and the type of the address of the result if there is one."""
        result = task_return_type(n.type.result, Options()).params
        has_out = bool(result) if n.lower.is_async else len(_flat(call)) > 1
        return (params[:-1], params[-1]) if has_out else (params, None)

    # --- the callee's side -------------------------------------------------------------------------------------------

    def _start(self, call: TaskCalled) -> None:
        """Lowers the parameters and calls the callee."""
        arguments = numbers(call.target.signature.params)
        lines = [f"(local $a{i} {t.value})" for i, t in enumerate(arguments)]
        results = numbers(call.target.signature.results)
        lines += [f"(local $r{i} {t.value})" for i, t in enumerate(results)]
        record_ = f"(i32.const {self.tables.record(call.callee)})"
        lines += ["(if (i32.eqz (call $leaving)) (then", "(call $enter (local.get $task))"]
        if self.threads is not None and call.callee in self.threads.instances:
            lines.append("(call $thread_number (local.get $task))")
        if call.is_alone:
            lines.append(f"(i32.store $state offset=20 {record_} {thread_hooks(self.threads)['alone']})")
        lines += self._parameters(call, arguments)
        lines.append("(call $started (local.get $task))))")
        lines.append(f"(call {self._quiet(call.target)} {_locals('$a', arguments)})")
        lines += [f"local.set $r{i}" for i in reversed(range(len(results)))]
        lines.append("(if (call $leaving) (then (return)))  ;; its frames have left")
        if call.lift.callback is not None:
            lines += ["(call $left (local.get $task))", "(call $answered (local.get $task) (local.get $r0))"]
        elif call.lift.is_async:
            lines += ["(call $leave (local.get $task))", "(call $exit (local.get $task))"]
        else:
            if call.is_alone:
                lines.append(f"(i32.store $state offset=20 {record_} (i32.const 0))")
            lines.append(f"(call $return.{call.number} (local.get $task) {_locals('$r', results)})")
            lines.append("(call $leave (local.get $task))")
            if call.is_alone:
                lines.append(f"(call $release {record_})")
            lines.append("(call $exit (local.get $task))")
        body = "\n    ".join(lines)
        self.text.add(f"  (func $start.{call.number} (param $task i32)\n    {body})", "calls")

    def _quiet(self, function: Function) -> str:
        """The name of a function; if there can be exceptions, of one that traps where an exception comes out of it."""
        if not self.module.space("tags"):
            return self.text.use(function)
        if function not in self._caught:
            self._caught[function] = name = f"$caught.{len(self._caught)}"
            results = "".join(f" (result {t.value})" for t in numbers(function.signature.results))
            self.text.add(
                f"  (func {name}{signature(function.signature)}\n"
                f"    (block $thrown\n"
                f"      (try_table{results} (catch_all $thrown) {calls(self.text.use(function), function.signature)})\n"
                f"      (return))\n"
                f"    (call {{trap THROWN_BY_TASK}}) (unreachable))"
            )
        return self._caught[function]

    def _parameters(self, call: TaskCalled, arguments: tuple[NumType, ...]) -> list[str]:
        """Code that sets the locals of the callee's arguments."""
        if call.outer is not None:
            return self._parameters_of_host(call, call.outer, arguments)
        if call.boundary is None or call.import_ is None:  # the host has lowered them
            return [f"(local.set $a{i} {_load(VALUES + 8 * i, t)})" for i, t in enumerate(arguments)]
        values, _ = self._split(call, call.boundary, numbers(call.import_.signature.params))
        scope = (I32,) if call.borrows else ()
        start = self._half(call, call.boundary, START, FuncType((*scope, *values), arguments))
        given = ["(i32.add (local.get $task) (i32.const 48))"] if call.borrows else []
        given += [_load(VALUES + 8 * i, t) for i, t in enumerate(values)]
        call_ = f"(call {self.text.use(start)} {' '.join(given)})"
        return [call_, *(f"local.set $a{i}" for i in reversed(range(len(arguments))))]

    def _parameters_of_host(self, call: TaskCalled, outer: Options, arguments: tuple[NumType, ...]) -> list[str]:
        """The same where they are copied or translated; what the host has allocated for them is given back."""
        values = numbers(lifted_type(call.type, outer).params)
        scope = (I32,) if call.borrows else ()
        note = TaskHalf(
            START, call.number, call.callee, call.callee, call.label, call.type, outer, call.lift, outside=True
        )
        start = self._import(f"{call.label} start", FuncType((*scope, *values), arguments), call.callee, note)
        given = ["(i32.add (local.get $task) (i32.const 48))"] if call.borrows else []
        given += [_load(VALUES + 8 * i, t) for i, t in enumerate(values)]
        lines = ["(i32.store $state offset=60 (local.get $task) (i32.const 1))"] if call.borrows else []
        lines.append(f"(call {self.text.use(start)} {' '.join(given)})")
        lines += [f"local.set $a{i}" for i in reversed(range(len(arguments)))]
        if outer.memory is not None:
            lines.append(f"(call {self._arena('free')} (i32.load $state offset={OUT} (local.get $task)))")
            lines.append(f"(i32.store $state offset={OUT} (local.get $task) (i32.const 0))")
        return lines

    def _arena(self, name: str) -> str:
        return self.text.use(self.tables.state.function(f"arena_{name}"))

    def _return(self, call: TaskCalled) -> None:
        """Takes the result of a task, and resolves it."""
        result = call.result
        head = f"  (func $return.{call.number} (param $task i32)" + "".join(
            f" (param $r{i} {t.value})" for i, t in enumerate(result)
        )
        given = _locals("$r", result)
        if call.boundary is not None and call.import_ is not None:
            lines = self._carry(call, call.boundary, call.import_, given)
        elif call.lift.is_async and self.lifts:
            lines = self._to_host(call, given)
        else:
            keeps = call.lift.is_async and (call.has_pointers or (call.outer is not None and bool(result)))
            lines = self._keep(call, given) if keeps else []
            lines += [_store(VALUES + 8 * i, t, f"(local.get $r{i})") for i, t in enumerate(result)]
        if call.lift.post_return is not None and call.boundary is not None:
            lines.append(f"(call {self.text.use(call.lift.post_return)} {given})")
        lines.append("(call $resolve (local.get $task) (i32.const 2))")
        self.text.add("\n    ".join([head, *lines]) + ")", "calls")

    def _to_host(self, call: TaskCalled, given: str) -> list[str]:
        """Hands a result over to the host's `task.return`: now, or when the host's call runs that it belongs to."""
        result = self._result(call)
        hand = f"(call {self.text.use(result)} (local.get $task) {given})"
        lines: list[str] = []
        copied = call.outer is not None and call.type.result is not None
        in_arena = copied and call.outer is not None and call.outer.memory is not None
        if in_arena:
            lines += ["(local $blocks i32)", f"(local.set $blocks (call {self._arena('take')}))"]
        lines += self._keep(call, given) if copied else []
        if in_arena:
            # its blocks go with the task, and come back when the host has read them
            lines.append(f"(i32.store $state offset={OUT} (local.get $task) (call {self._arena('take')}))")
            lines.append(f"(call {self._arena('put')} (local.get $blocks))")
        free = ""
        if in_arena:
            free = (
                f" (call {self._arena('free')} (i32.load $state offset={OUT} (local.get $task)))"
                f" (i32.store $state offset={OUT} (local.get $task) (i32.const 0))"
            )
        if not self.opens:
            return [*lines, hand + free]
        kept = [_store(VALUES + 8 * i, t, f"(local.get $r{i})") for i, t in enumerate(call.result)]
        now = "(call $root_now (local.get $task) (i32.const 32))"
        loaded = " ".join(_load(VALUES + 8 * i, t) for i, t in enumerate(call.result))
        self.later[call.number] = f"(call {self.text.use(result)} (local.get $task) {loaded}){free} (return)"
        return [*lines, *kept, f"(if {now} (then {hand}{free}))"]

    def _carry(self, call: TaskCalled, n: Boundary, import_: Function, given: str) -> list[str]:
        """Carries a result over to the caller: into its memory, or into the task until the caller continues."""
        _, out = self._split(call, n, numbers(import_.signature.params))
        results = () if n.lower.is_async else numbers(import_.signature.results)
        half = self._half(call, n, RETURN, FuncType((*call.result, *((out,) if out else ())), results))
        address = f" {_load(OUT, out)}" if out is not None else ""
        lines = [f"(local $c{i} {t.value})" for i, t in enumerate(results)]
        lines.append(f"(call {self.text.use(half)} {given}{address})")
        for i in reversed(range(len(results))):
            lines.append(f"local.set $c{i}")
        return lines + [_store(VALUES + 8 * i, t, f"(local.get $c{i})") for i, t in enumerate(results)]

    def _keep(self, call: TaskCalled, given: str) -> list[str]:
        """Copies what a result points to: its callee may reuse the memory before the host reads it.

        The copy lies in the state memory, or in the callee's own if the parameters do too: the host has one memory.
        """
        lower = call.outer or Options(call.lift.encoding, call.lift.memory, call.lift.realloc)
        if call.outer is None and lower.realloc is None:
            state = self.tables.state
            lower = Options(call.lift.encoding, state.memory, state.function("arena_realloc"))
        result = call.type.result
        self.kept[call.label] = lower
        note = TaskHalf(
            RESULT,
            call.number,
            call.callee,
            call.callee,
            call.label,
            CompFuncType((), result, True),
            lower,
            call.lift,
            outside=call.outer is not None,
        )
        results = task_return_type(result, lower).params
        half = self._import(f"{call.label} kept", FuncType(call.result, results), call.callee, note)
        return [f"(call {self.text.use(half)} {given})", *(f"local.set $r{i}" for i in reversed(range(len(results))))]

    def _half(self, call: TaskCalled, n: Boundary, half: str, shape: FuncType) -> Function:
        """An import that copies values."""
        note = TaskHalf(half, call.number, n.caller, n.callee, n.label, n.type, n.lower, n.lift)
        return self._import(f"{n.caller.name}->{n.label}#{call.number} {half}", shape, n.caller, note)

    def _result(self, call: TaskCalled) -> Function:
        """The import that the result of an exported function is handed over to."""
        note = TaskResult(call.number, call.label)
        return self._import(f"{call.label} result", FuncType((I32, *call.result), ()), call.callee, note)

    def _import(self, name: str, shape: FuncType, owner: Instance, note: TaskHalf | TaskResult) -> Function:
        made = Function(
            self.module.func_type(shape.params, shape.results),
            name=name,
            imported=ImportName(BOUNDARY_MODULE, name),
            owner=owner,
            notes=[note],
        )
        self.halves.append(made)
        return made

    # --- by number ---------------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """The functions that dispatch on the number of a task's call."""
        starts = {call.number: f"(call $start.{call.number} (local.get $task)) (return)" for call in self.calls}
        if self.threads is not None:
            starts |= self.threads.starts()
        self.text.add(f"  (func $start (param $task i32)\n{switch(starts, CALL_OF_TASK)}    (unreachable))", "calls")
        callbacks = {
            call.number: f"(return (call {self._quiet(call.lift.callback)} {_locals('$p', (I32,) * 3)}))"
            for call in self.calls
            if call.lift.callback is not None
        }
        params = "(param $task i32) (param $p0 i32) (param $p1 i32) (param $p2 i32) (result i32)"
        if self.opens:
            kept = switch(self.later, CALL_OF_TASK)
            self.text.add(f"  (func $result_kept (param $task i32)\n{kept}    (unreachable))", "calls")
        self.text.add(f"  (func $callback {params}\n{switch(callbacks, CALL_OF_TASK)}    (unreachable))", "calls")

    def task_return(self, item: Function, n: CanonCall) -> str:
        """The body of a `task.return`: the result of the running task, if that has this type and these options."""
        params = range(len(item.signature.params))
        given = " ".join(f"(local.get {i})" for i in params)
        returns = {
            call.number: f"(call $return.{call.number} (global.get $task) {given}) (return)"
            for call in self.calls
            if call.callee is n.instance and call.lift.is_async and _fits(call, n)
        }
        return f"\n{switch(returns, '(call $check_return)')}    (call {{trap RETURN_INVALID}}) (unreachable)"


CALL_OF_TASK = "(i32.load $state offset=4 (local.get $task))"
"""The number of the call that a task is of."""
TESTED = 3
"""Numbers up to which each is tested."""


def _flat(call: TaskCalled) -> tuple[ValType, ...]:
    """The flat result of a function, whatever memory."""
    return () if call.type.result is None else Layouts().of(call.type.result).flat


def _fits(call: TaskCalled, n: CanonCall) -> bool:
    """Whether a `task.return` fits a task: type, memory and encoding are those of its `canon lift`.

    The specification asks for the same memory. Engines take one that names none, where the type needs none.
    """
    same_type = call.type.result == n.type
    return same_type and n.options.memory in (None, call.lift.memory) and n.options.encoding == call.lift.encoding


def switch(cases: dict[int, str], number: str) -> str:
    """A dispatch on a number; any other number falls through.

    Tests are quicker than a table where they are few, and the number can be loaded for each.
    """
    if number == CALL_OF_TASK and len(cases) <= TESTED:
        return "".join(f"    (if (i32.eq {number} (i32.const {n})) (then {code}))\n" for n, code in cases.items())
    if not cases:
        return ""
    labels = [f"$case.{n}" for n in cases]
    table = " ".join(f"$case.{n}" if n in cases else "$other" for n in range(max(cases) + 1))
    lines = ["(block $other", *(f"(block {label}" for label in reversed(labels))]
    lines.append(f"(br_table {table} $other {number}))")
    lines += [f"{code})" for code in cases.values()]
    return "".join(f"    {line}\n" for line in lines)


def _locals(stem: str, types: Sequence[object]) -> str:
    return " ".join(f"(local.get {stem}{i})" for i in range(len(types)))


def _load(offset: int, core: NumType) -> str:
    return f"({core.value}.load $state offset={offset} (local.get $task))"


def _store(offset: int, core: NumType, value: str) -> str:
    return f"({core.value}.store $state offset={offset} (local.get $task) {value})"
