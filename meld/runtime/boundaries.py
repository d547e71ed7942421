"""The interpreter of what is still pending: calls between components, and the built-ins of resources.

After `merge` a call into another component is an import with a `Boundary` note, and a canonical built-in one with a
`CanonCall` note. Here is what Python supplies for them, so that a module runs at any stage and answers as the
compiled one. What an import stands for is known from notes alone, so the module must come as text or as objects: a
binary does not carry them.

Adapters compile the same rules, with the same two liberties that engines take: `post-return` may call out, and an
instance that is entered again by way of another may run.

Source: Component Model, CanonicalABI.md: `canon lift`, `canon lower`.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, TypeAlias

import wasmtime

from meld.abi.layout import MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Layout, Layouts, core_type, pointer_of
from meld.abi.options import Options
from meld.abi.types import Resource, show
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import CoreItem, Function, Module
from meld.ir.notes import Instance
from meld.ir.types import I32, I64, FuncType, NumType, ValType
from meld.notes.boundaries import Boundary, CanonCall, HostCall, HostExport
from meld.notes.handles import FUNCTIONS, HandleFunctions, HandleTable, type_numbers
from meld.runtime.canonical import MASK32, MASK64, Side, Value, trap_if
from meld.runtime.host import view
from meld.runtime.lifting import lift_values
from meld.runtime.lowering import lower_values
from meld.runtime.streams import HostTrap
from meld.runtime.tables import Held, Inside, Scope, Table
from meld.support.records import record

Store: TypeAlias = "wasmtime.Store | wasmtime.Caller"

RESERVED = {"functions": "meld:function/", "memories": "meld:memory/", "globals": "meld:global/"}
"""With an index in its space, the name under which the host reaches an item."""

ANY_TIME = frozenset({"resource.rep", "context.get", "context.set", "backpressure.inc", "backpressure.dec"})
"""Built-ins that an instance may call while it must not call out."""


@record()
class Interpreter:
    """Serves the pending imports of one running module, and typed calls of what it exports.

    Attributes:
        calls: how often each boundary was called, by its label.
    """

    module: Module
    calls: Counter[str] = field(default_factory=Counter)
    _names: dict[CoreItem, str] = field(default_factory=dict)
    _found: dict[CoreItem, Any] = field(default_factory=dict)
    _instance: tuple[wasmtime.Instance, wasmtime.Store] | None = None
    _layouts: dict[NumType, Layouts] = field(default_factory=lambda: {t: Layouts(t) for t in (I32, I64)})
    _tables: dict[Instance, Table] = field(default_factory=dict)
    _closed: set[Instance] = field(default_factory=set)
    _records: dict[Instance, int] = field(default_factory=dict)  # of handle tables in the module
    _over_tables: HandleFunctions | None = None
    _numbers: dict[Resource, int] = field(default_factory=dict)  # of resource types, in the module's handle tables

    def __post_init__(self) -> None:
        self._records = {note.instance: note.record for note in self.module.notes_of(HandleTable)}
        self._over_tables = next(iter(self.module.notes_of(HandleFunctions)), None)
        self._numbers = type_numbers(self.module)
        needed = _needed(self.module)
        if needed:
            for space, prefix in RESERVED.items():
                for i, item in enumerate(self.module.space(space)):
                    if item in needed:
                        self._names[item] = f"{prefix}{i}"

    @property
    def exports(self) -> dict[str, CoreItem]:
        """What the module must export so that this works, by reserved name."""
        return {name: item for item, name in self._names.items()}

    def attach(self, instance: wasmtime.Instance, store: wasmtime.Store) -> None:
        """Tells the instance, once there is one; before, items are found by way of who calls."""
        self._instance = (instance, store)

    # --- what is supplied for imports ---

    def function(self, wanted: Function) -> Callable[..., Any] | None:
        """What to supply for an import; it takes the caller first. None if its notes say nothing."""
        for note in wanted.notes:
            match note:
                case Boundary():
                    return self._boundary(note, wanted)
                case CanonCall():
                    return self._builtin(note, wanted)
        return None

    def guarded(self, wanted: Function, given: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the host, which an instance must not call while something is lowered into it."""
        notes = [n for n in wanted.notes if isinstance(n, HostCall)]
        if not notes:
            return given

        def call(*args: Any) -> Any:
            self._check_leave(notes[0].instance)
            return given(*args)

        return call

    def _boundary(self, note: Boundary, wanted: Function) -> Callable[..., Any]:
        where = f"call of `{note.label}` from `{note.caller.name}` into `{note.callee.name}`"
        _check_shape(note.type, note.lower, wanted, where, lower=True)
        _check_shape(note.type, note.lift, note.target, where, lower=False)
        params = [t for _, t in note.type.params]
        results = [] if note.type.result is None else [note.type.result]

        def call(caller: wasmtime.Caller, *args: Any) -> Any:
            self.calls[note.label] += 1
            self._refuse_async(note.label, note.type, note.lower, note.lift)
            trap_if(note.caller is note.callee, f"`{note.label}`: an instance calls itself")
            self._check_leave(note.caller)
            scope = Scope()
            lender = self._handles(note.caller, scope, caller)
            borrower = self._handles(note.callee, scope, caller)
            up, down = self._side(note.lower, lender, caller), self._side(note.lift, borrower, caller)
            lender.begin()
            cores = [bits_of(value, t) for value, t in zip(args, wanted.signature.params, strict=True)]
            values = lift_values(up, self._record(up, params), cores, MAX_FLAT_PARAMS)
            passed = self._lower(down, note.callee, self._record(down, params), values, MAX_FLAT_PARAMS)
            returned = self._call(caller, note.target, passed)
            result = lift_values(down, self._record(down, results), returned, MAX_FLAT_RESULTS)
            borrower.end_borrows()
            back = self._record(up, results)
            out = cores[-1] if len(back.flat) > MAX_FLAT_RESULTS else None
            answer = self._lower(up, note.caller, back, result, MAX_FLAT_RESULTS, out)
            lender.end_loans()
            if note.lift.post_return is not None:
                self._call(caller, note.lift.post_return, returned)
            return engine_value(answer[0], wanted.signature.results[0]) if answer else None

        return call

    def _builtin(self, note: CanonCall, wanted: Function) -> Callable[..., Any]:
        found: Any = note.type.resource if isinstance(note.type, c.Own) else None
        name = note.builtin
        ours = isinstance(found, Resource) and found.owner is not None
        if not ours or name not in ("resource.new", "resource.rep", "resource.drop"):
            return _pending(f"the canonical built-in {name} of `{note.instance.name}`")
        resource: Resource = found
        if wanted.signature != FuncType((I32,), () if name == "resource.drop" else (I32,)):
            raise MeldError(f"the import {wanted.imported} is not of the type of {name}")

        def call(caller: wasmtime.Caller, value: int) -> int | None:
            table = self._table(note.instance)
            if name == "resource.rep":
                return _signed32(table.rep(resource, value))
            self._check_leave(note.instance)
            if name == "resource.new":
                return table.new(resource, value)
            rep = table.drop(resource, value)
            if rep is not None and resource.dtor is not None:
                self._call(caller, resource.dtor, [rep])
            return None

        return call

    def _check_leave(self, instance: Instance) -> None:
        trap_if(instance in self._closed, f"`{instance.name}` calls out while something is lowered into it")

    def _lower(
        self, side: Side, instance: Instance, layout: Layout, values: Value, most: int, out: int | None = None
    ) -> list[int]:
        """Lowers into an instance, which must not call out meanwhile."""
        # Not undone by a trap: the instance is in no state to go on.
        self._closed.add(instance)
        cores = lower_values(side, layout, values, most, out)
        self._closed.discard(instance)
        return cores

    # --- typed calls of exports ---

    def invoke(self, export: HostExport, values: Sequence[Value]) -> Value:
        """Calls what the program exports.

        Args:
            values: the arguments, in the form of `meld.runtime.canonical`.

        Returns:
            The result in that form; None if there is none.

        Raises:
            HostTrap: lifting or lowering trapped. What the engine raises comes through.
            MeldError: the function does not have the type that the export says.
        """
        assert self._instance is not None
        store = self._instance[1]
        self._refuse_async(export.label, export.type, export.lift)
        _check_shape(export.type, export.lift, export.target, f"export `{export.label}`", lower=False)
        results = [] if export.type.result is None else [export.type.result]
        handles = self._handles(export.instance, Scope(), store)
        side = self._side(export.lift, handles, store)
        handles.begin()
        params = self._record(side, [t for _, t in export.type.params])
        passed = self._lower(side, export.instance, params, tuple(values), MAX_FLAT_PARAMS)
        returned = self._call(store, export.target, passed)
        result = lift_values(side, self._record(side, results), returned, MAX_FLAT_RESULTS)
        handles.end_borrows()
        handles.end_loans()
        if export.lift.post_return is not None:
            self._call(store, export.lift.post_return, returned)
        return result[0] if results else None

    def _refuse_async(self, label: str, t: c.CompFuncType, *options: Options) -> None:
        if t.is_async or any(o.is_async or o.callback is not None for o in options):
            raise HostTrap(f"not interpreted yet: the asynchronous call `{label}` {show(t)}")

    # --- the module's items ---

    def _record(self, side: Side, types: Sequence[Any]) -> Layout:
        return self._layouts[side.pointer].tuple_of(types)

    def _side(self, options: Options, handles: Held | Inside, store: Store) -> Side:
        memory, realloc = options.memory, options.realloc
        side = Side(lambda: memoryview(b""), encoding=options.encoding, handles=handles)
        if memory is not None:
            side.pointer = I64 if memory.limits.is64 else I32
            side.memory = lambda: view(store, self._reach(memory, store))
        if realloc is not None:
            side.realloc = lambda *args: self._call(store, realloc, args)[0]
        return side

    def _handles(self, instance: Instance, scope: Scope, store: Store) -> Held | Inside:
        record = self._records.get(instance)
        if record is None or self._over_tables is None:
            return Held(self._table(instance), instance, scope)

        def call(function: Function, *args: int) -> int:
            return (self._call(store, function, args) or [0])[0]

        return Inside(self._over_tables, instance, record, self._numbers, call, scope)

    def _table(self, instance: Instance) -> Table:
        return self._tables.setdefault(instance, Table())

    def _call(self, store: Store, function: Function, cores: Sequence[int]) -> list[int]:
        """Calls a core function with core values as unsigned bits; returns such."""
        signature = function.signature
        args = [engine_value(bits, t) for bits, t in zip(cores, signature.params, strict=True)]
        result = self._reach(function, store)(store, *args)
        return [] if not signature.results else [bits_of(result, signature.results[0])]

    def _reach(self, item: CoreItem, store: Store) -> Any:
        """The engine's item."""
        if item not in self._found:
            if isinstance(store, wasmtime.Caller):
                for each, name in self._names.items():
                    found = store.get(name)  # works during the start function; not if the host calls the import itself
                    if found is not None:
                        self._found[each] = found
            if item not in self._found and self._instance is not None:
                instance, owner = self._instance
                exports = instance.exports(owner)
                self._found |= {each: exports[name] for each, name in self._names.items()}
        if item not in self._found:
            raise HostTrap(f"{item.name or 'an item'} of the module cannot be reached")
        return self._found[item]


def _needed(module: Module) -> dict[CoreItem, None]:
    """The items that interpreting calls."""
    found: dict[CoreItem, None] = {}

    def add(*items: CoreItem | None) -> None:
        found.update((item, None) for item in items if item is not None)

    def options(o: Options) -> None:
        add(o.memory, o.realloc, o.post_return)

    for item in module.imports:
        for note in item.notes:
            match note:
                case Boundary():
                    add(note.target)
                    options(note.lower)
                    options(note.lift)
                case CanonCall(type=c.Own(resource=Resource(dtor=dtor))):
                    add(dtor)
    for export in module.notes_of(HostExport):
        add(export.target)
        options(export.lift)
    for note in module.notes_of(HandleFunctions):
        add(*(getattr(note, name) for name in FUNCTIONS))
    return found


def _check_shape(t: c.CompFuncType, options: Options, function: Function, where: str, *, lower: bool) -> None:
    """Refuses a note, perhaps written by hand, that does not fit the core functions it speaks of."""
    if t.is_async or options.is_async:
        return  # refused when it is called
    pointer = pointer_of(options.memory is not None and options.memory.limits.is64)
    core = core_type(t, Layouts(pointer), lower=lower)
    if function.signature != core:
        raise MeldError(f"its core function does not have the type of {show(t)}", where=where)
    if options.realloc is not None and options.realloc.signature != FuncType((pointer,) * 4, (pointer,)):
        raise MeldError("its `realloc` does not have the type of one", where=where)
    if options.post_return is not None and options.post_return.signature != FuncType(core.results):
        raise MeldError("its `post-return` does not take what the function returns", where=where)


def _pending(what: str) -> Callable[..., Any]:
    def trap(*_: Any) -> Any:
        raise HostTrap(f"not interpreted yet: {what}")

    return trap


# --- core values ---


def _signed32(bits: int) -> int:
    return bits - (1 << 32) if bits >> 31 else bits


def bits_of(value: Any, t: ValType) -> int:
    """A core value of the engine as unsigned bits. A signalling NaN of 32 bits becomes a quiet one on its way here."""
    match t:
        case NumType.I32:
            return int(value) & MASK32
        case NumType.I64:
            return int(value) & MASK64
        case NumType.F32:
            return int.from_bytes(struct.pack("<f", value), "little")
        case NumType.F64:
            return int.from_bytes(struct.pack("<d", value), "little")
    raise HostTrap("a lifted function has a type that Python cannot supply")


def engine_value(bits: int, t: ValType) -> int | float:
    """The reverse of `bits_of`."""
    match t:
        case NumType.I32:
            return _signed32(bits & MASK32)
        case NumType.I64:
            return bits - (1 << 64) if bits >> 63 else bits
        case NumType.F32:
            return float(struct.unpack("<f", bits.to_bytes(4, "little"))[0])
        case NumType.F64:
            return float(struct.unpack("<d", bits.to_bytes(8, "little"))[0])
    raise HostTrap("a lifted function has a type that Python cannot supply")
