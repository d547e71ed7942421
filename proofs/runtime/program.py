"""Streams, futures and waitable sets alone: the generated functions in a module whose exports are the built-ins.

Every instance has a memory and one built-in of each kind for each type; the test calls them from outside, in any order,
and hands readable ends from one instance to another. There are no guests and no tasks: nothing can wait.
"""

from __future__ import annotations

from dataclasses import dataclass

import wasmtime

from meld.abi.layout import MAX_FLAT_PARAMS
from meld.abi.options import Options
from meld.binary.writer import write_module
from meld.ir import component as c
from meld.ir.module import Export, Function, Global, ImportName, Memory, Module
from meld.ir.notes import Instance
from meld.ir.types import I32, I64, FuncType, Limits
from meld.notes.boundaries import CanonCall
from meld.notes.channels import ElementCopy
from meld.notes.streams import Domain, StreamUse
from meld.notes.tasks import task_bytes
from meld.passes import emit_tasks
from meld.passes.emit_tasks.bodies import END_SCOPE, scheduler_params
from meld.passes.emit_tasks.channels import Channels
from meld.passes.emit_tasks.rendezvous import Copying, Operation, Verb
from meld.passes.emit_tasks.threads import BODIES, Threads
from meld.rewriting.splice import splice
from meld.rewriting.state import State
from meld.rewriting.template import filled as fill
from meld.rewriting.template import template_text
from meld.rewriting.text import Text
from meld.support.records import record
from meld.text.reading.program import parse_module
from proofs import running
from specs.channel_model import Element

ELEMENTS = {
    "none": (None, Element("none", 0, 1)),
    "u8": (c.Prim("u8"), Element("u8", 1, 1)),
    "u32": (c.Prim("u32"), Element("u32", 4, 4)),
    "f64": (c.Prim("f64"), Element("f64", 8, 8)),
    "bool": (c.Prim("bool"), Element("bool", 1, 1, numeric=False)),
    "string": (c.Prim("string"), Element("string", 8, 4, numeric=False)),
    "bytes": (c.ListType(c.Prim("u8"), None), Element("bytes", 8, 4, numeric=False)),
    "char": (c.Prim("char"), Element("char", 4, 4, numeric=False)),
    "maybe": (c.Option(c.Prim("u32")), Element("maybe", 8, 4, numeric=False)),
    "pair": (c.Tuple((c.Prim("u8"), c.Prim("u32"))), Element("pair", 8, 4, numeric=False)),
    "ends": (c.Stream(c.Prim("u8")), Element("ends", 4, 4, numeric=False)),
}
"""Element types by name: for the compiler, and for the model."""

ONE = (I32,)
SIGNATURES = {
    "new": ((), (I64,)),
    "read": (ONE * 3, ONE),
    "write": (ONE * 3, ONE),
    "cancel-read": (ONE, ONE),
    "cancel-write": (ONE, ONE),
    "drop-readable": (ONE, ()),
    "drop-writable": (ONE, ()),
    "waitable-set.new": ((), ONE),
    "waitable-set.drop": (ONE, ()),
    "waitable-set.poll": (ONE * 2, ONE),
    "waitable.join": (ONE * 2, ()),
}
COPY_BOOLS = """(module
  (import "" "from" (memory $from 0)) (import "" "to" (memory $to 0))
  (func (export "copy") (param $from i32) (param $to i32) (param $count i32)
    (loop $next
      (i32.store8 $to (local.get $to) (i32.ne (i32.load8_u $from (local.get $from)) (i32.const 0)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))"""
HOOKS = """
  (func $await_end (param $waitable i32) (result i32)
    (if (i32.load $state offset=4 (local.get $waitable)) (then (call {trap SYNC_AND_ASYNC})))
    (call {trap DEADLOCK})
    (unreachable))
  (func $set_wake (param $set i32) (unreachable))
  (func $subtask_delivered (param $waitable i32) (param $payload i32) (unreachable))
"""


WATCHED = HOOKS.replace(
    "(func $set_wake (param $set i32) (unreachable))",
    """(global $set_wake.0 (mut i32) (i32.const 0))
  (func $set_wake (param $set i32) (global.set $set_wake.0 (local.get $set)))""",
)
"""In place of `HOOKS`: the set whose task was woken is known afterwards, by a global."""


def hook(name: str, params: int) -> str:
    """A function that only says what it was called with, by globals; one of them says what it answers."""
    names = [f"{name}.{n}" for n in range(params)]
    globals_ = "".join(f"  (global ${each} (mut i32) (i32.const 0))\n" for each in [*names, f"{name}.answer"])
    sets = " ".join(f"(global.set ${each} (local.get {n}))" for n, each in enumerate(names))
    return f"{globals_}  (func ${name} (param{' i32' * params}) (result i32) {sets} (global.get ${name}.answer))\n"


AWAIT_END = HOOKS[: HOOKS.index("  (func $set_wake")]
STUBS = WATCHED.replace(AWAIT_END, "\n" + hook("await_end", 1))
"""The same where what a synchronous read or write waits for is answered."""


@record()
class HookedCopying(Copying):
    """Writes hooks in place of the functions that read and write: for proofs of what calls them."""

    def call(self, operation: Operation, verb: Verb, record: int, operands: str) -> str:
        domain = operation.domain
        sync = not operation.call.options.is_async
        key = (domain.number, verb, sync, 0, -1)
        if key not in self._functions:
            kind = "stream" if isinstance(domain.type, c.Stream) else "future"
            self._functions[key] = f"${kind}_{verb.value}.{domain.number}{'.sync' if sync else ''}"
            self.text.add(hook(self._functions[key][1:], 5))
        return f"(call {self._functions[key]} (i32.const {record}) (i32.const {operation.place}) {operands})"


GUESTS = """
  (global $start.0 (mut i32) (i32.const 0))
  (func $start (param $task i32) (global.set $start.0 (local.get $task)))
  (global $callback.0 (mut i32) (i32.const 0))
  (global $callback.1 (mut i32) (i32.const 0))
  (global $callback.2 (mut i32) (i32.const 0))
  (global $callback.3 (mut i32) (i32.const 0))
  (global $callback.answer (mut i32) (i32.const 0))
  (func $callback (param $task i32) (param $code i32) (param $handle i32) (param $payload i32) (result i32)
    (global.set $callback.0 (local.get $task))
    (global.set $callback.1 (local.get $code))
    (global.set $callback.2 (local.get $handle))
    (global.set $callback.3 (local.get $payload))
    (global.get $callback.answer))
"""
"""In place of the code of guests: what it was called with is known afterwards, and a global says what it answers."""

SHARES = 4
"""Callers and callees of a program with tasks that have a share of their own, and how many tasks each has."""


@dataclass(frozen=True, slots=True)
class Regions:
    """Where a program with tasks has its queues, the counts of its shares, and the record of its first instance."""

    queues: int
    shares: int
    most_tasks: int
    record: int


RUN_UNTIL = """(func $run_until (param $word i32)
    (global.set $run_until.0 (local.get $word))
    (if (i32.eqz (i32.load $state (local.get $word)))
      (then (i32.store $state (local.get $word) (global.get $run_until.answer)))))
  (global $run_until.0 (mut i32) (i32.const 0))
  (global $run_until.answer (mut i32) (i32.const 0))
  """
"""In place of the work that goes on above a frame: the word that the frame waits for has a value then."""
STAY, LEAVE = (f'(global $movable (export "frames.movable") i32 (i32.const {value}))' for value in (0, -1))
"""What says whether frames can leave the stack."""


THREAD_CALL = 99
"""What the records of threads have in place of the number of a call."""
OF_THREADS = tuple(name for name in BODIES if name not in ("thread.index", "thread.new-indirect"))
"""The built-ins of threads of which such a program has those of its first instance, under their names."""


def build_tasks(most_tasks: int, *, hooked: bool = False, threaded: bool = False) -> tuple[bytes, Regions]:
    """Two instances with tables, and the scheduler; guests only answer. Everything is exported by its name.

    Args:
        hooked: whether `RUN_UNTIL` is in place of the function of that name.
        threaded: whether there are threads, and frames can leave the stack.
    """
    module = Module(name="tasks")
    owners = [Instance(name=f"i{i}") for i in range(2)]
    module.notes += owners
    text = Text(module, "async")
    channels = Channels.of(text, module, {}, (), opens=False, tasks=True)
    channels.templates()
    tables = channels.tables
    state = tables.state
    for owner in owners:
        tables.record(owner)
    for label in ("handle_get", "end_borrows", "end_loans"):
        text.give(f"${label}", tables.functions[label])
    outside, queues = state.reserve(task_bytes(MAX_FLAT_PARAMS if threaded else 0)), state.reserve(24)
    regions = Regions(queues, state.reserve(4 * SHARES), most_tasks, tables.record(owners[0]))
    threads = Threads(frozenset(owners), THREAD_CALL, tested=False, catches=False) if threaded else None
    params = scheduler_params(outside, queues, regions.shares, most_tasks, opens=False, threads=threads)
    params["end_scope"] = END_SCOPE
    for name in ("tasks.wat", "frames.wat"):
        filled = template_text(emit_tasks.__name__, name, params)
        if hooked and name == "tasks.wat":
            start = filled.index("(func $run_until ")
            filled = filled[:start] + RUN_UNTIL + filled[filled.index("(func ", start + 1) :]
        text.add(filled.replace(STAY, LEAVE) if threaded else filled)
    if threads is not None:
        threads.template(text, params)
        for name in OF_THREADS:
            shape = FuncType((I32,) if "resume" in name or "promote" in name else (), () if "later" in name else (I32,))
            text.function(name, shape, fill(BODIES[name], params | {"record": regions.record}))
    text.add(GUESTS)
    text.place()
    _export_all(module, state)
    return write_module(module), regions


def _export_all(module: Module, state: State) -> None:
    """Exports every function and every variable of the runtime, and its memory, by their names."""
    variables = [item for item in module.globals if item.mutable]
    inner: list[Function | Memory | Global] = [*module.functions, state.memory, *variables]
    known = {str(export.name) for export in module.exports}
    module.exports += [Export(name, item) for item in inner if (name := str(item.name)) not in known and item.name]


def build(instances: int, elements: list[str], pages: int = 1, *, watched: bool = False, told: bool = False) -> bytes:
    """A module with the built-ins of some instances as exports: ``0 stream.read u8``, ``0 stream.read u8 sync``, …

    Args:
        watched: whether the state memory and every function of the runtime is exported, too, by its name.
        told: whether reads and writes have one function for each domain, which is told record and place; what waits
            is known afterwards.
    """
    return _build(instances, elements, pages, watched, STUBS if told else WATCHED if watched else HOOKS)[0]


def build_stubs(elements: list[str]) -> tuple[bytes, list[int]]:
    """Such a module of two instances whose reads and writes are hooks, and the addresses of the instances' records."""
    return _build(2, elements, 2, True, STUBS, hooked=True)


def _build(
    instances: int, elements: list[str], pages: int, watched: bool, hooks: str, hooked: bool = False
) -> tuple[bytes, list[int]]:
    module = Module(name="channels")
    owners = [Instance(name=f"i{i}") for i in range(instances)]
    module.notes += owners
    calls: list[tuple[Function, CanonCall]] = []
    for i, owner in enumerate(owners):
        memory = Memory(Limits(pages, pages), name=f"memory{i}", owner=owner)
        module.memories.append(memory)
        module.exports.append(Export(f"memory{i}", memory))
        for name in elements:
            for kind in (c.Stream, c.Future):
                t = kind(ELEMENTS[name][0])
                module.notes.append(StreamUse(owner, (), t))
                for verb in list(SIGNATURES)[:7]:
                    builtin = f"{kind.__name__.lower()}.{verb}"
                    for sync in (False, True):
                        calls.append(_call(module, owner, i, builtin, name, t, memory, sync))
        for builtin in list(SIGNATURES)[7:]:
            calls.append(_call(module, owner, i, builtin, "", None, memory, False))
    text = Text(module, "async")
    text.add(hooks)
    for name in elements:
        for future in (False, True):
            element, size = ELEMENTS[name][0], ELEMENTS[name][1].size
            module.notes.append(Domain(tuple(owners), element, size, future, carried="rendezvous"))
    channels = Channels.of(text, module, dict(calls), (), opens=False, tasks=False)
    channels.copying.shared = hooks == STUBS
    if hooked:
        channels.copying = HookedCopying(text, channels.types, channels.copying.operations, channels.copies)
    channels.templates()
    tables = channels.tables
    stubs = {import_: channels.stub(import_, call) for import_, call in calls}
    text.add(
        "\n".join(
            f'  (func (export "pass.{a}.{b}") (param $type i32) (param $handle i32) (result i32)'
            f" (call $end_lower (i32.const {tables.record(target)}) (local.get $type)"
            f" (call $end_lift (i32.const {tables.record(source)}) (local.get $type) (local.get $handle))))"
            for a, source in enumerate(owners)
            for b, target in enumerate(owners)
        )
    )
    made = text.place()
    for import_, stub in stubs.items():
        module.exports.append(Export(import_.name or "", made[stub]))
    module.exports += [Export(label, item) for label, item in made.items() if label.startswith("pass.")]
    _copy_elements(module)
    module.imports.clear()
    if watched:
        _export_all(module, tables.state)
    return write_module(module), [tables.record(owner) for owner in owners]


def _copy_elements(module: Module) -> None:
    """What `adapter-wiring` would do, for elements of one byte that need no check."""
    for item in module.imports:
        for n in item.notes:
            if isinstance(n, ElementCopy):
                source = parse_module(COPY_BOOLS, "copy")
                assert n.lift.memory is not None and n.lower.memory is not None
                bound = dict(zip(source.imports, (n.lift.memory, n.lower.memory), strict=True))
                module.replace_uses({item: splice(source, module, bound).exports["copy"]})


def _call(
    module: Module, owner: Instance, i: int, builtin: str, element: str, t: object, memory: Memory, sync: bool
) -> tuple[Function, CanonCall]:
    kind, _, verb = builtin.partition(".")
    params, results = SIGNATURES[verb if kind in ("stream", "future") else builtin]
    if kind == "future" and verb in ("read", "write"):
        params = params[:2]
    name = f"{i} {builtin}" + (f" {element}" if element else "") + (" sync" if sync else "")
    function = Function(module.func_type(params, results), name=name, imported=ImportName("meld:canon", builtin))
    module.imports.append(function)
    note = CanonCall(builtin, owner, t, Options(memory=memory, is_async=not sync))
    function.notes.append(note)
    return function, note


def _signed(a: int, bits: int) -> int:
    return a - (1 << bits) if a >> (bits - 1) else a


class Machine:
    """An instance of such a module."""

    def __init__(self, engine: wasmtime.Engine, module: wasmtime.Module) -> None:
        self.store = wasmtime.Store(engine)
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)

    def call(self, name: str, *args: int) -> int:
        """What a built-in returns, unsigned. Raises wasmtime.Trap."""
        function = running.function(self.exports, name)
        shape = function.type(self.store)
        params = (64 if str(p) == "i64" else 32 for p in shape.params)
        result = function(self.store, *map(_signed, args, params))
        if result is None:
            return 0
        wide = str(shape.results[0]) == "i64"
        return result & (0xFFFFFFFFFFFFFFFF if wide else 0xFFFFFFFF)

    def memory(self, i: int) -> bytes:
        """The memory of an instance."""
        memory = running.memory(self.exports, f"memory{i}")
        return bytes(memory.read(self.store, 0, memory.data_len(self.store)))

    def poke(self, i: int, address: int, data: bytes) -> None:
        """Writes into the memory of an instance."""
        running.memory(self.exports, f"memory{i}").write(self.store, data, address)
