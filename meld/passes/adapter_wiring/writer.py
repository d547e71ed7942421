"""Adapters: one function for each call between two components.

Between a lowered import of one component and the lifted function of another, the Canonical ABI describes two
conversions. `canon lower` lifts the caller's core values to component values, and `canon lift` lowers these to core
values of the callee; the result takes the opposite way. An adapter does both conversions at once, so that no component
value ever exists: a string goes from one memory straight to the other, an `option<u8>` is checked and masked in locals.

`AdapterWriter.write` emits the steps in the order that the specification prescribes, since each of them can trap and
traps can be told apart:

1. The callee must be another instance than the caller, and the caller may call out (`may_leave`).
2. The surroundings of the callee are put in place: context slots, the running task, the scope of borrowed handles.
3. The parameters are carried over. If there are more than 16 flat values they lie in the caller's memory; the callee's
   copy lies in memory that its `realloc` returns. While `realloc` may run, the callee must not call out.
4. The callee is called.
5. The result is carried back, and the caller must not call out while its `realloc` may run.
6. Borrowed handles end, `post-return` runs, the surroundings of the caller come back.

A step that cannot have an effect is not emitted. The layouts of both sides decide: they differ if the memories have
different address sizes or the strings different encodings.

Code is text. A `Body` collects folded WAT for one function, values live in named locals, and `AdapterModule` gives out
names for items of the program; it becomes instructions once, when all adapters are written. How values are carried over
is in `values.py`, strings in `strings.py`, handles in `handles.py`, tasks in `tasks.py`.

Source: Component Model, CanonicalABI.md: `canon lift`, `canon lower`, Lifting and Lowering Values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Protocol

from meld.abi.layout import Layout
from meld.abi.traps import Trap
from meld.ir.module import Function
from meld.ir.notes import Instance
from meld.ir.types import I32, NumType
from meld.notes.boundaries import CanonCall
from meld.passes.adapter_wiring.adapter_module import AdapterModule, Body, Side
from meld.passes.adapter_wiring.call import Call
from meld.passes.adapter_wiring.tasks import RETURNED, Surroundings, Tasks
from meld.passes.adapter_wiring.values import InMemory, OnStack, Place, Translator
from meld.support.records import record


class Handles(Protocol):
    """How adapters carry handles from one instance to another."""

    def carry(self, translator: Translator, layout: Layout, expr: str) -> str:
        """The target's handle for the source's, as an expression."""

    def keep(self, translator: Translator, layout: Layout, expr: str) -> str:
        """The same for an argument of a call that may not start at once: both handles last until it does."""

    def parking(self, mode: str) -> Callable[[Translator, Layout, str], str]:
        """The same for elements that the host reads, in a mode of `meld.notes.channels.ElementCopy`."""

    def begin(self, body: Body, call: Call) -> str | None:
        """Before the parameters are carried over; returns the local that holds the scope of the call."""

    def returned(self, body: Body, call: Call, scope: str | None) -> None:
        """After the callee returned."""

    def end(self, body: Body, call: Call, scope: str | None) -> None:
        """After the result was carried over."""


@record()
class AdapterWriter:
    """Writes adapters into a module.

    Attributes:
        adapters: the module being written.
        may_leave: for the instances that are ever closed and call out, the name of the global that says whether they
            may.
        catches: whether exceptions can arise, which must not cross a boundary.
        handles: how resource handles are carried over.
        surroundings: what is the callee's own while it runs.
        tasks: for the instances with functions that are lifted asynchronously, their tasks.
    """

    adapters: AdapterModule
    may_leave: Mapping[Instance, str]
    catches: bool
    handles: Handles
    surroundings: Surroundings
    tasks: Mapping[Instance, Tasks] = field(default_factory=dict)

    def write(self, call: Call, name: str) -> str:
        """Writes the adapter of a call. Returns its name in the text; the module calls it `name`."""
        params = [(f"$p{i}", core) for i, core in enumerate(cores(call.lower.params))]
        body = Body(params, cores(call.lower.results))
        if call.boundary.caller is call.boundary.callee:
            # An instance that calls itself would be entered again while it runs.
            body.trap(self.adapters.trap(Trap.ENTER))
            return self.adapters.add(body, name)
        self.check_may_leave(body, call.boundary.caller)
        saved = self.surroundings.begin(body, call)
        scope = self.handles.begin(body, call)
        arguments = self.lower_params(body, call, tuple(params), scope)
        results = tuple((body.local(core), core) for core in cores(call.lift.results))
        tasks = self.tasks[call.boundary.callee] if call.boundary.lift.is_async else None
        if tasks is not None:
            tasks.begin(body, call, tuple(params))
        body.emit(f"(call {self.adapters.function(call.boundary.target)}{gets(arguments)})")
        for local, _ in reversed(results):
            body.emit(f"local.set {local}")
        self.handles.returned(body, call, scope)
        returned: tuple[tuple[str, NumType], ...] = ()
        if tasks is not None:
            tasks.end(body, self.adapters.trap(Trap.NO_RESULT))
        else:
            returned = self.lower_results(body, call, params[-1:], results)
        self.handles.end(body, call, scope)
        post_return = call.boundary.lift.post_return
        if post_return is not None:
            body.emit(f"(call {self.adapters.function(post_return)}{gets(results)})")
        self.surroundings.end(body, saved)
        for local, _ in returned:
            body.emit(f"local.get {local}")
        if call.boundary.lower.is_async:
            body.emit(f"i32.const {RETURNED}")
        return self.finished(body, name)

    def write_task_return(self, function: Function, builtin: CanonCall, name: str) -> str:
        """Writes the `task.return` of an instance: it carries the result of the running task over to the caller."""
        params = tuple((f"$p{i}", core) for i, core in enumerate(cores(function.signature.params)))
        body = Body(list(params))
        tasks = self.tasks[builtin.instance]
        self.check_may_leave(body, builtin.instance)
        for call in tasks.calls:
            if not _returns(call, builtin):
                continue
            with body.block(f"{tasks.is_running(call)} if"):
                tasks.returned(body)
                out = (body.local(call.caller.pointer), call.caller.pointer)
                if call.spills_results[0]:
                    body.emit(f"(local.set {out[0]} (global.get {tasks.out_of(call)}))")
                self.lower_results(body, call, [out], params)
                body.emit("return")
        body.trap_if(tasks.has_returned(), self.adapters.trap(Trap.RETURN_TWICE))
        body.trap(self.adapters.trap(Trap.RETURN_INVALID))
        return self.finished(body, name)

    def finished(self, body: Body, name: str) -> str:
        """Adds an adapter; where there can be exceptions, one around it that traps where one comes out of it."""
        if not self.catches:
            return self.adapters.add(body, name)
        inner = self.adapters.helper(("caught", name), "thrower", body.text)
        outer = Body(body.params, body.results)
        results = "".join(f" (result {core.value})" for core in body.results)
        with outer.block("block $thrown"):
            with outer.block(f"try_table{results} (catch_all $thrown)"):
                outer.emit(f"(call {inner}{gets(tuple(body.params))})")
            outer.emit("return")
        outer.trap(self.adapters.trap(Trap.THROWN))
        return self.adapters.add(outer, name)

    # --- parameters and results ---

    def lower_params(
        self,
        body: Body,
        call: Call,
        params: tuple[tuple[str, NumType], ...],
        scope: str | None,
        *,
        keeps: bool = False,
    ) -> tuple[tuple[str, NumType], ...]:
        """Carries the parameters over; returns the locals that hold the callee's. `scope` is a local too.

        With `keeps`, handles that go to the host are the caller's until the call starts.
        """
        source, target = call.params
        arguments = tuple((body.local(core), core) for core in cores(call.lift.params))
        in_memory, spills = call.spills_params
        closed = target.allocates or spills
        from_: Place = OnStack(params[: len(source.flat)])
        to: Place = OnStack(arguments)
        if in_memory:
            base = params[0][0]
            self.check_area(body, call.caller, source, base)
            from_ = InMemory(call.caller, base)
        if spills:
            to = InMemory(call.callee, arguments[0][0])
        if closed:
            self.set_may_leave(body, call.boundary.callee, False)
        if spills:
            q = call.callee.pointer.value
            realloc = self.adapters.realloc(call.callee, Trap.AREA)
            body.emit(
                f"(local.set {arguments[0][0]} (call {realloc} ({q}.const 0) ({q}.const 0)"
                f" ({q}.const {target.align}) ({q}.const {target.size})))"
            )
        lent = None if scope is None else f"(local.get {scope})"
        carry = self.handles.keep if keeps else self.handles.carry
        Translator(self.adapters, body, call.caller, call.callee, carry, lent).inline(source, from_, target, to)
        if closed:
            self.set_may_leave(body, call.boundary.callee, True)
        return arguments

    def lower_results(
        self,
        body: Body,
        call: Call,
        last: Sequence[tuple[str, NumType]],
        results: tuple[tuple[str, NumType], ...],
    ) -> tuple[tuple[str, NumType], ...]:
        """Carries the result back; returns the locals that the adapter returns.

        `last` is the caller's last parameter, which says where in its memory the result goes.
        """
        target, source = call.results
        wanted, in_memory = call.spills_results
        returned = () if wanted else tuple((body.local(core), core) for core in target.flat)
        from_: Place = OnStack(results)
        to: Place = OnStack(returned)
        if in_memory:
            self.check_area(body, call.callee, source, results[0][0])
            from_ = InMemory(call.callee, results[0][0])
        if wanted:
            out = last[0][0]
            self.check_area(body, call.caller, target, out)
            to = InMemory(call.caller, out)
        if target.allocates:
            self.set_may_leave(body, call.boundary.caller, False)
        Translator(self.adapters, body, call.callee, call.caller, self.handles.carry).inline(source, from_, target, to)
        if target.allocates:
            self.set_may_leave(body, call.boundary.caller, True)
        return returned

    def check_area(self, body: Body, side: Side, layout: Layout, base: str) -> None:
        """Traps unless the values that lie at an address are aligned and in bounds."""
        p = side.pointer.value
        assert side.memory is not None
        if layout.align > 1:
            unaligned = f"({p}.ne ({p}.and (local.get {base}) ({p}.const {layout.align - 1})) ({p}.const 0))"
            body.trap_if(unaligned, self.adapters.trap(Trap.ALIGNMENT))
        check_range = self.adapters.check_range(side.memory, Trap.AREA)
        body.emit(f"(call {check_range} (local.get {base}) ({p}.const {layout.size}))")

    # --- may_leave ---

    def check_may_leave(self, body: Body, instance: Instance) -> None:
        """Traps while the instance must not call out."""
        if instance in self.may_leave:
            closed = f"(i32.eqz (global.get {self.may_leave[instance]}))"
            body.trap_if(closed, self.adapters.trap(Trap.LEAVE))

    def set_may_leave(self, body: Body, instance: Instance, allowed: bool) -> None:
        """Sets `may_leave` of an instance."""
        if instance in self.may_leave:
            body.emit(f"(global.set {self.may_leave[instance]} (i32.const {int(allowed)}))")

    def close(self, function: Function, instance: Instance, name: str) -> str:
        """A wrapper of a function: the instance must not call out while the function runs."""
        params = [(f"$p{i}", core) for i, core in enumerate(cores(function.signature.params))]
        body = Body(params, cores(function.signature.results))
        before = body.local(I32)
        body.emit(f"(local.set {before} (global.get {self.may_leave[instance]}))")
        self.set_may_leave(body, instance, False)
        body.emit(f"(call {self.adapters.function(function)}{gets(tuple(params))})")
        body.emit(f"(global.set {self.may_leave[instance]} (local.get {before}))")
        return self.adapters.add(body, name)

    def guard(self, function: Function, instance: Instance, name: str) -> str:
        """A wrapper of a function that traps while the instance must not call out."""
        params = [(f"$p{i}", core) for i, core in enumerate(cores(function.signature.params))]
        body = Body(params, cores(function.signature.results))
        self.check_may_leave(body, instance)
        body.emit(f"(call {self.adapters.function(function)}{gets(tuple(params))})")
        return self.adapters.add(body, name)


def _returns(call: Call, builtin: CanonCall) -> bool:
    """Whether a `task.return` fits the task of a call: type, memory and encoding are those of its `canon lift`.

    The specification asks for the same memory. Engines take one that names none, where the type needs none.
    """
    lift, given = call.boundary.lift, builtin.options
    same_type = call.boundary.type.result == builtin.type
    return same_type and given.memory in (None, lift.memory) and given.encoding == lift.encoding


def gets(locals_: tuple[tuple[str, NumType], ...]) -> str:
    """The values of locals, as operands."""
    return "".join(f" (local.get {name})" for name, _ in locals_)


def cores(types: tuple[object, ...]) -> tuple[NumType, ...]:
    """The types of a lowered or lifted function, which are numbers."""
    cores = tuple(t for t in types if isinstance(t, NumType))
    assert len(cores) == len(types), "a lowered function has number types only"
    return cores
