"""The pass `emit-tasks`: the canonical built-ins of asynchronous code become functions of the module.

Each built-in of an instance becomes a function that keeps the note of what it stands for. Only what it needs is linked
in: a context slot is a global, a backpressure counter another one, and where no call has a task, whatever
would block can only trap.

Source: Component Model, CanonicalABI.md: Canonical Definitions; behaviour of wasmtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field, fields, replace
from typing import Any

from meld.abi.layout import MAX_FLAT_PARAMS
from meld.abi.options import Options
from meld.abi.types import Type, function_types, is_end, is_end_or_error, show
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.builtins import CONTEXT_BUILTINS, THREAD_BUILTINS
from meld.ir.module import CoreItem, Function, Global, Module
from meld.ir.notes import Instance
from meld.ir.types import I32, I64
from meld.notes.boundaries import Boundary, CanonCall, HostCall, HostExport, threaded_instances
from meld.notes.handles import HandleTable
from meld.notes.streams import Domain
from meld.notes.tasks import (
    FRAME_ITEMS,
    ContextSlots,
    FrameFunctions,
    How,
    LeavingFunctions,
    Planned,
    PlannedExport,
    Suspends,
    SynchronousCall,
    TaskCall,
    TaskFunctions,
    UsesContext,
    task_bytes,
)
from meld.passes.base import Pass, PassContext
from meld.passes.emit_tasks.bodies import (
    END_SCOPE,
    HOOKS_WITHOUT_TASKS,
    OF_CHANNELS,
    OF_RESOURCES,
    SWAP_CONTEXT,
    WITH_TASKS,
    WITHOUT_TASKS,
    scheduler_params,
)
from meld.passes.emit_tasks.calls import TaskCalled, TaskCalls, of_boundary, of_export
from meld.passes.emit_tasks.channels import BUILTINS, PART, Channels, has_ends, inside
from meld.passes.emit_tasks.host_tasks import HostTasks, kept_arguments
from meld.passes.emit_tasks.inlined import INLINED
from meld.passes.emit_tasks.open_ends import SEPARATE, ends_of_host
from meld.passes.emit_tasks.opens import FOR_COMPONENTS, Opens, opens_of, plans
from meld.passes.emit_tasks.shares import Parties, Shares
from meld.passes.emit_tasks.threads import Threads, synchronous
from meld.rewriting.handles import Tables
from meld.rewriting.liveness import Reached
from meld.rewriting.outer import crosses, has_end, needs_checks, open_edges, uses_memory
from meld.rewriting.rebind import rebind_notes
from meld.rewriting.state import State
from meld.rewriting.template import filled, template_text
from meld.rewriting.text import Text, calls
from meld.support.records import record

BACKPRESSURE = frozenset({"backpressure.inc", "backpressure.dec"})
SLOTS = 2
KIND = "async"

LEAVES = ("block_on_set", "block_on_waitable", "call_sync")
"""Functions of the templates that are leaves, apart from built-ins that are."""


class EmitTasks(Pass):
    """Replace the canonical built-ins of asynchronous code by functions of the module.

    A call that is a task becomes a function that starts the task, and two imports for `adapter-wiring` to replace: the
    half that copies the parameters when the task starts, and the half that copies the result when it returns.

        (import "meld:canon" "context.get" (func $app/context.get
          (@meld.canon context.get (instance $app) (slot 0)) (result i32)))
    becomes
        (func $app/context.get (@meld.canon context.get …) (result i32)
          (global.get $context.0))
    """

    name = "emit-tasks"
    requires = frozenset({"task-plan"})
    establishes = frozenset({"tasks"})
    after = ("handle-tables",)
    before = ("adapter-wiring",)

    def run(self, module: Module, cx: PassContext) -> None:
        live = Reached(module)
        opens = opens_of(module, live)
        shut = _shut(module, live, cx)
        _refuse_outside(module, live)
        known = inside(module, _builtins(module), [*opens.types, *shut], live)
        builtins = {item: n for item, n in known if cx.allows("built-in", item)}
        allowed = cx.allows("tasks")
        called = _called(module, opens, live) if allowed else []
        tasks = bool(called or opens) or (allowed and bool(synchronous(module, threaded_instances(builtins.values()))))
        emitter = _Emitter(module, Text(module, KIND), builtins, called, tasks, opens, shut)
        emitter.emit()
        made = emitter.text.place(INLINED)
        emitter.install(made)
        cx.stats["built-ins"] += len(emitter.stubs)
        cx.stats["calls that are tasks"] += len(emitter.called)


def _shut(module: Module, live: Reached, cx: PassContext) -> list[Type]:
    """The types of ends that exported functions of a core module would exchange with the host: they trap instead.

    None where the host is called with ends, too, where such functions need memory, and where ends are not those of
    canonical built-ins.
    """
    exports = [n for n in module.notes_of(HostExport) if has_end(n.type)]
    if FOR_COMPONENTS in module.facts or not exports or not cx.allows("shut ends"):
        return []
    if any(item in live and has_end(n.type) for item, n in module.noted(HostCall)):
        return []
    if not _are_open(module, exports) or any(uses_memory(n.type, n.lift, imported=False) for n in exports):
        return []
    for n in exports:
        cx.remark(f"export `{n.label}` {show(n.type)} traps where it would pass a stream or future to or from the host")
    open_edges(module)
    return ends_of_host(module)


def _are_open(module: Module, exports: Sequence[HostExport]) -> bool:
    """Whether exported functions pass ends of canonical built-ins only, which stay on the host only since they do."""
    opens = {(i, d.future, d.element) for d in module.notes_of(Domain) if d.open for i in d.instances}
    return all(
        (n.instance, isinstance(t, c.Future), t.element) in opens
        for n in exports
        for t in function_types(n.type)
        if is_end(t)
    )


def _refuse_outside(module: Module, live: Reached) -> None:
    """Refuses asynchronous calls of a core module's host that carry streams, futures or error contexts.

    Raises:
        MeldError: one that is called asynchronously; edges stand in front of all others.
    """
    for item, n in module.noted(HostCall):
        if n.lower.is_async and item in live:
            interface = item.imported.module if item.imported is not None else ""
            wanted = f"`{n.label}`" if interface in ("", "$root") else f"`{interface}`"
            raise MeldError(
                f"`{n.instance.name}` calls `{n.label}` {show(n.type)} of the host with a stream, a future or an error "
                "context, which cannot be passed to the host yet",
                hint=f"give a component that exports {wanted} as another input; or use --emit=component",
            )


def _builtins(module: Module) -> Iterator[tuple[Function, CanonCall]]:
    """The built-ins that this pass knows."""
    known = {*CONTEXT_BUILTINS, *BACKPRESSURE, *WITHOUT_TASKS, *BUILTINS}
    prompt = {n.callee for _, n, planned in plans(module) if planned.how == How.PROMPT.value}
    for item, n in module.noted(CanonCall):
        if not isinstance(item, Function) or n.builtin not in known:
            continue
        if n.builtin != "task.return" or n.instance not in prompt:  # else adapter-wiring writes it
            yield item, n


def _called(module: Module, opens: Opens, live: Reached) -> list[TaskCalled]:
    """The calls that are tasks, by their numbers; not those that no code reaches, whose callees would become live."""
    task = How.TASK.value
    tasks = [(item, n, planned.call) for item, n, planned in plans(module) if planned.how == task]
    found = [of_boundary(number, item, n) for item, n, number in tasks if item in live]
    exports = {n.label: n for n in module.notes_of(HostExport)}
    for n in module.notes_of(PlannedExport):
        if n.how == task:
            found.append(of_export(n.call, exports[n.label]))
            n.outer = found[-1].outer = _outer(module, found[-1], opens)
    return sorted(found, key=lambda call: call.number)


def _outer(module: Module, call: TaskCalled, opens: Opens) -> Options | None:
    """How the host lifts and lowers the values of an export, where something stands between it and the callee."""
    given = crosses(call.type) or any(map(is_end_or_error if opens.errors else is_end, function_types(call.type)))
    separate = SEPARATE in module.facts and needs_checks(call.type, call.lift, imported=False)
    if not call.lift.is_async or not (given or separate or (opens and call.has_pointers)):
        return None
    plain = Options(call.lift.encoding)
    if not uses_memory(call.type, replace(plain, is_async=True), imported=False):
        return plain
    state = State.of(module)
    return replace(plain, memory=state.memory, realloc=state.function("arena_realloc"))


@record()
class _Emitter:
    """Writes the functions of a program.

    Attributes:
        called: the calls that are tasks.
        tasks: whether there is a scheduler: for them, for the host, or for threads of a start function.
        stubs: the export of `text` that stands for each built-in.
        wrapped, boundaries: the same for each `realloc` that uses context slots, and for calls that are tasks.
        halves: new imports, which copy the values of calls.
        core: the type of context slots, if there are any.
        outside: the address of the task of code that must not block.
        threads: those that instances make, if any does.
        opens: what the program has with its host that may go on.
        shut: the types of ends that exported functions would exchange with the host, but trap.
    """

    module: Module
    text: Text
    builtins: dict[Function, CanonCall]
    called: list[TaskCalled]
    tasks: bool = False
    opens: Opens = field(default_factory=Opens)
    shut: Sequence[Type] = ()
    host: HostTasks | None = None
    stubs: dict[Function, str] = field(default_factory=dict)
    wrapped: dict[Function, str] = field(default_factory=dict)
    synchronous: dict[Function, str] = field(default_factory=dict)
    channels: Channels | None = None
    boundaries: dict[Function, str] = field(default_factory=dict)
    halves: list[Function] = field(default_factory=list)
    core: str | None = None
    outside: int = 0
    threads: Threads | None = None

    def emit(self) -> None:
        """Writes everything."""
        self._context()
        self._channels()
        if self.tasks:
            self._tasks()
            if self.channels is not None and self.channels.open_ends is not None:
                self.channels.open_ends.finish()
            self._synchronous()
            return
        self._synchronous()
        self._backpressure()
        self._without_tasks()

    def _without_tasks(self) -> None:
        """The built-ins of tasks where there are none, so that no handle is one of a subtask."""
        own, tables = OF_CHANNELS, None if self.channels is None else self.channels.tables
        asked = any(n.builtin in own for n in self.builtins.values())
        if asked and tables is None and self.module.notes_of(HandleTable):
            own, tables = OF_RESOURCES, Tables.of(self.module)
            self.text.give("$state", tables.state.memory)
            self.text.add(template_text(__package__, "entries.wat", {}), PART["entries.wat"])
        for item, n in self.builtins.items():
            if tables is not None and n.builtin in own:
                self._stub(item, filled(own[n.builtin], {"record": tables.record(n.instance)}))
            elif n.builtin in WITHOUT_TASKS:
                self._stub(item, WITHOUT_TASKS[n.builtin])

    def _synchronous(self) -> None:
        """Each destructor and start function runs in a task of its own, which must not block, with empty context slots.

        Where there are threads it has a record like other calls.
        """
        slots = [] if self.core is None else [f"$context.{slot}" for slot in range(SLOTS)]
        saved = [(slot, self.core or "", f"({self.core}.const 0)") for slot in slots]
        if self.outside:
            saved.append(("$task", "i32", f"(i32.const {self.outside})"))
        if self.threads is not None:
            saved.append(("$thread", "i32", "(i32.const 0)"))
        before = "".join(f" (local $was{i} {core})" for i, (_, core, _) in enumerate(saved))
        after = ""
        for i, (name, _, value) in enumerate(saved):
            before += f" (local.set $was{i} (global.get {name})) (global.set {name} {value})"
            after += f" (global.set {name} (local.get $was{i}))"
        for item, n in self.module.noted(SynchronousCall):
            assert isinstance(item, Function)
            if item in self.synchronous:
                continue
            made = self.synchronous[item] = f"synchronous.{len(self.synchronous)}"
            call = calls(self.text.use(n.target), item.signature)
            self.text.function(made, item.signature, f"{before} {call}{after}")

    def install(self, made: dict[str, CoreItem]) -> None:
        """Puts what was made in place of the imports."""
        new: dict[Any, Any] = {item: made[name] for item, name in self.stubs.items()}
        for item, n in self.builtins.items():
            stub = new[item]
            stub.name, stub.owner, stub.notes = item.name, n.instance, list(item.notes)
            if self.tasks and _suspends(n):
                stub.notes.append(Suspends())
        for item, name in self.synchronous.items():
            new[item] = made[name]
            new[item].name, new[item].owner = item.name, item.owner
        for item, call in () if self.threads is None else self.threads.synchronous:
            new[item].notes = [call]
        new |= self._install_calls(made)
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
        errors = self.opens.errors
        if not (wanted or self.tasks or errors or self.shut or has_ends(self.module)):
            return
        ends = [*self.opens.types, *self.shut]
        opens = bool(self.opens)
        self.channels = Channels.of(self.text, self.module, wanted, ends, opens=opens, tasks=self.tasks, errors=errors)
        if self.channels.open_ends is not None:
            self.channels.open_ends.keep(kept_arguments(self.opens.calls))
            self.channels.open_ends.leaves = self.opens.leaves
            self.channels.open_ends.entered = self.opens.entered
        self.channels.templates()
        if not self.tasks:
            self.text.add(HOOKS_WITHOUT_TASKS)
        self.stubs |= {item: self.channels.stub(item, n) for item, n in wanted.items()}

    # --- tasks ---

    def _tasks(self) -> None:
        """Tasks, the scheduler, the calls that are tasks, and the built-ins that ask for them."""
        tables = Tables.of(self.module)
        for label in ("handle_get", "handle_remove", "end_borrows", "end_loans"):
            self.text.give(f"${label}", tables.functions[label])
        first = max((call.number for call in self.called), default=0) + 1
        threads = self.threads = Threads.of(self.module, self.builtins, first + len(self.opens.calls))
        shares = self._shares()
        if self.opens:
            self.host = HostTasks(self.module, self.text, tables, self.opens.calls, shares, first)
            self.host.emit()
        lifts = FOR_COMPONENTS in self.module.facts
        opens = bool(self.opens)
        task_calls = TaskCalls(self.module, self.text, tables, self.called, shares, lifts, opens=opens, threads=threads)
        self.outside = tables.state.reserve(task_bytes(0 if threads is None else MAX_FLAT_PARAMS))
        queues = tables.state.reserve(24)
        kept = tables.state.reserve(shares.bytes)
        params = scheduler_params(self.outside, queues, kept, shares.most, opens=opens, threads=threads)
        if self.core is not None:
            self.text.add(filled(SWAP_CONTEXT, {"core": self.core}), "tasks")
            params["swap_context"] = "\n    (call $swap_context (local.get $task))"
        if task_calls.borrows or (self.host is not None and self.host.borrows):
            params["end_scope"] = END_SCOPE
        self.text.add(template_text(__package__, "tasks.wat", params), "tasks")
        self.text.add(template_text(__package__, "frames.wat", params), "frames")
        if threads is not None:
            threads.template(self.text, params)
            for number, (item, call) in enumerate(threads.synchronous, threads.call + 1):
                made = self.synchronous[item] = f"synchronous.{len(self.synchronous)}"
                share = shares.flag(call.instance, call.instance)
                body = threads.called(self.text, number, call, tables.record(call.instance), share)
                self.text.function(made, item.signature, body)
        if self.channels is not None and self.channels.open_ends is not None:
            self.channels.open_ends.templates(params, several=self.opens.several)
        self.boundaries = task_calls.emit()
        self.halves = task_calls.halves
        for planned in self.module.notes_of(PlannedExport):
            planned.kept = task_calls.kept.get(planned.label)
        for item, n in self.builtins.items():
            if n.builtin == "task.return":
                self._stub(item, task_calls.task_return(item, n))
            elif threads is not None and (n.builtin in THREAD_BUILTINS or n.builtin == "thread.yield"):
                self._stub(item, threads.body(self.text, item, n, {**params, "record": tables.record(n.instance)}))
            elif n.builtin in WITH_TASKS:
                given = {"record": tables.record(n.instance), "sync": int(not n.options.is_async)}
                self._stub(item, filled(WITH_TASKS[n.builtin], given))

    def _shares(self) -> Shares:
        """The shares that tasks count for; exports are told theirs."""
        parties: list[Parties] = [(edge.instance, None) for _, edge in self.opens.calls]
        for call in self.called:
            parties.append((None if call.boundary is None else call.boundary.caller, call.callee))
        if self.threads is not None:
            parties += [(n.instance, n.instance) for _, n in self.threads.synchronous]
        shares = Shares.of(parties)
        instances = {n.label: n.instance for n in self.module.notes_of(HostExport)}
        for planned in self.module.notes_of(PlannedExport):
            if planned.how == How.TASK.value:
                planned.share = shares.flag(None, instances[planned.label])
        return shares

    def _install_calls(self, made: dict[str, CoreItem]) -> dict[Any, Any]:
        """Notes what takes the place of boundaries, and what later passes need of the scheduler."""
        new: dict[Any, Any] = {}
        for item, name in self.boundaries.items():
            function = new[item] = made[name]
            n, planned = item.note(Boundary), item.note(Planned)
            assert n is not None and planned is not None
            function.name, function.owner = item.name, n.caller
            function.notes = [TaskCall(n.caller, n.callee, n.label, n.type, planned.blocks, planned.call)]
        for item, name in ({} if self.host is None else self.host.stubs).items():
            assert self.host is not None
            function = new[item] = made[name]
            function.name, function.owner, function.notes = item.name, item.owner, [self.host.notes(item)]
            self.module.imports += self.host.halves if item is next(iter(self.host.stubs)) else []
        if self.tasks:
            functions: Any = made
            note = TaskFunctions(
                functions["task"],
                self.outside,
                functions["task_new"],
                functions["call_sync"],
                functions["let_go"],
                functions.get("root_begin"),
                functions.get("root_event"),
                functions.get("root_nudge"),
            )
            self.module.notes.append(note)
            for name in (*LEAVES, "host_awaited"):
                if name in functions:
                    functions[name].notes.append(Suspends())
            frames = (functions[f"frames.{name}"] for name in FRAME_ITEMS)
            self.module.notes.append(FrameFunctions(*frames))
            self.module.notes.append(LeavingFunctions(functions["frames.driven"], functions["frames.off"]))
            self.module.imports += self.halves
        return new

    # --- context slots ---

    def _context(self) -> None:
        users = {item: n for item, n in self.builtins.items() if n.builtin in CONTEXT_BUILTINS}
        if not users:
            return
        wide = any(I64 in (*item.signature.params, *item.signature.results) for item in users)
        core = self.core = (I64 if wide else I32).value
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
            if function.note(UsesContext) is not None:
                self._wrap_realloc(function, core)

    def _wrap_realloc(self, realloc: Function, core: str) -> None:
        """Each call of a `realloc` begins with empty slots, and what it leaves in them is discarded."""
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
        """Backpressure counters of a module without tasks: no call waits for them, but over- and underflow trap."""
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


def _suspends(call: CanonCall) -> bool:
    """Whether what stands for a built-in is a leaf itself."""
    kind, _, verb = call.builtin.partition(".")
    copies = kind in ("stream", "future") and verb in ("read", "write")
    switches = call.builtin.startswith("thread.") and call.blocks
    return switches or (copies and not call.options.is_async)


def _rebind_reallocs(module: Module, new: dict[Function, CoreItem]) -> None:
    """Replaces `realloc` in the options of calls; direct calls of it are unchanged."""
    if not new:
        return
    for holder in (*module.notes, *(n for item in module.items() for n in item.notes)):
        for f in fields(holder):
            value = getattr(holder, f.name)
            if isinstance(value, Options) and value.realloc in new:
                realloc = new[value.realloc]
                assert isinstance(realloc, Function)
                setattr(holder, f.name, replace(value, realloc=realloc))
