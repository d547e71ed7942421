"""A pair of components whose adapter stands between separate core modules, linked by hand under wasmtime.

What `adapter-wiring` would splice into the program is instantiated as a module of its own here, so that adapters can be
tested before anything else of the compiler.
"""

from __future__ import annotations

from typing import Any

import wasmtime
from adapter_decode import Memory as Seen
from adapter_pairs import (
    Form,
    Image,
    Outcome,
    Pair,
    callee_module,
    caller_module,
    drive,
    memory_module,
)

import meld
from meld.abi.layout import Layout
from meld.abi.options import Options
from meld.ir.module import Export, Function, Global, ImportName, Memory, Module
from meld.ir.notes import Instance
from meld.ir.types import I32, I64, FuncType, Limits, RecGroup, TypeDef
from meld.notes.boundaries import Boundary
from meld.passes.adapter_wiring import place
from meld.passes.adapter_wiring.adapter_module import AdapterModule
from meld.passes.adapter_wiring.call import Call, analyse
from meld.passes.adapter_wiring.tasks import Surroundings
from meld.passes.adapter_wiring.writer import AdapterWriter


class NoHandles:
    """These pairs have no resource handles."""

    def carry(self, copy: Any, layout: Layout, expr: str) -> str:
        raise AssertionError("a handle")

    def begin(self, body: Any, call: Call) -> None:
        pass

    def returned(self, body: Any, call: Call, mark: Any) -> None:
        pass

    def end(self, body: Any, call: Call, mark: Any) -> None:
        pass


class Linked:
    """A pair with its adapter, each core module an instance of its own."""

    def __init__(self, engine: wasmtime.Engine, pair: Pair) -> None:
        self.engine = engine
        self.pair = pair
        self.core = {
            "caller": wasmtime.Module(engine, caller_module(pair.lower, pair.caller)),
            "callee": wasmtime.Module(engine, callee_module(pair.lift, pair.callee)),
        }
        self.memory = {
            "caller": wasmtime.Module(engine, memory_module(pair.caller)),
            "callee": wasmtime.Module(engine, memory_module(pair.callee)),
        }
        self.real: dict[int, tuple[str, str]] = {}  # id of an item of the IR → (instance, export)
        self.adapters = AdapterModule()
        boundary, import_ = self._boundary()
        self.call: Call = analyse(self.adapters, boundary, import_, None)
        self.flags: dict[Instance, Global] = {}
        for instance in self.call.leaves_closed:
            self.flags.setdefault(instance, Global(I32, mutable=True))
        flags = {i: self.adapters.global_(g) for i, g in self.flags.items()}
        name = AdapterWriter(self.adapters, flags, False, NoHandles(), Surroundings(self.adapters, None, None)).write(
            self.call, "f"
        )
        module = Module()
        made = place(self.adapters, module)[name]
        for field, item in self.adapters.bound.items():
            item.imported = ImportName("meld", field)
            module.imports.append(item)
            if isinstance(item, Function):
                module.types.append(RecGroup([item.type]))
        self.export = "adapter"
        module.exports.append(Export(self.export, made))
        self.adapter = wasmtime.Module(engine, meld.encode(module))

    def _boundary(self) -> tuple[Boundary, Function]:
        pair = self.pair

        def function(instance: str, name: str, shape: FuncType) -> Function:
            made = Function(TypeDef(shape), name=name)
            self.real[id(made)] = (instance, name)
            self.kept.append(made)
            return made

        def options(form: Form, instance: str, post_return: Function | None) -> Options:
            memory = Memory(Limits(1, is64=form.pointer is I64))
            self.real[id(memory)] = (f"{instance}-memory", "memory")
            self.kept.append(memory)
            realloc = function(f"{instance}-memory", "realloc", FuncType((form.pointer,) * 4, (form.pointer,)))
            return Options(form.encoding, memory, realloc, post_return)

        self.kept: list[Any] = []
        post = function("callee", "post", FuncType(pair.lift.results)) if pair.post_return else None
        boundary = Boundary(
            Instance(name="caller"),
            Instance(name="callee"),
            "f",
            function("callee", "f", pair.lift),
            pair.type,
            options(pair.caller, "caller", None),
            options(pair.callee, "callee", post),
        )
        import_ = Function(TypeDef(pair.lower), name="f", imported=ImportName("meld:boundary", "f"), notes=[boundary])
        return boundary, import_

    def run(self, caller: Image, callee: Image) -> Outcome:
        store = wasmtime.Store(self.engine)
        live: dict[str, Any] = {}
        for side in ("callee", "caller"):
            live[f"{side}-memory"] = wasmtime.Instance(store, self.memory[side], []).exports(store)
        live["callee"] = wasmtime.Instance(store, self.core["callee"], [live["callee-memory"]["memory"]]).exports(store)
        imports: list[Any] = []
        flags = []
        for needed in self.adapter.imports:
            item = self.adapters.bound[needed.name]
            if isinstance(item, Global):
                cell = wasmtime.Global(store, wasmtime.GlobalType(wasmtime.ValType.i32(), True), wasmtime.Val.i32(1))
                flags.append(cell)
                imports.append(cell)
            else:
                instance, name = self.real[id(item)]
                imports.append(live[instance][name])
        adapter = wasmtime.Instance(store, self.adapter, imports).exports(store)[self.export]
        live["caller"] = wasmtime.Instance(
            store, self.core["caller"], [live["caller-memory"]["memory"], adapter]
        ).exports(store)

        def f(name: str) -> Any:
            side, _, export = name.partition("-")
            where = live["caller"] if not export else live[f"{side}-memory"]
            return lambda *args: where[export or side](store, *args)

        outcome = drive(f, caller, callee)
        self.after = {
            side: Seen(form, bytes(live[f"{side}-memory"]["memory"].read(store)))
            for side, form in (("caller", self.pair.caller), ("callee", self.pair.callee))
        }
        if not outcome.trap:
            assert all(flag.value(store) == 1 for flag in flags), "an instance was left closed"
        return outcome
