"""Adapters over the edge of the program: what translates handles between an instance and the outside.

Two forms, see `meld.rewriting.outer`. A *passing* adapter passes on the values of the host and the instance, with
translated handles. A *copying* one is an adapter like those between instances, whose other side is the state
memory: there the host finds parameters, and leaves results, in blocks that are given back when the call is over.

Source: Component Model, CanonicalABI.md: `canon lift`, `canon lower`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace

from meld.abi.layout import Kind, Layout
from meld.ir.module import Function, Memory
from meld.ir.types import I32, I64, NumType
from meld.notes.boundaries import Edge
from meld.passes.adapter_wiring.adapter_module import Body, converted
from meld.passes.adapter_wiring.call import Call
from meld.passes.adapter_wiring.tasks import RETURNED
from meld.passes.adapter_wiring.values import InMemory, OnStack, Place, Translator
from meld.passes.adapter_wiring.writer import AdapterWriter, cores, gets
from meld.rewriting.state import State
from meld.support.records import record

Locals = tuple[tuple[str, NumType], ...]


@record()
class Passing(Translator):
    """Translates handles where they are; all else stays, or is passed on unchanged.

    Attributes:
        slots: for handles in lists that the host will read: the local that holds those found so far (slots.wat).
        slot_add: the function that adds one.
    """

    slots: str = ""
    slot_add: str = ""

    def inline(self, src: Layout, from_: Place, dst: Layout, to: Place) -> None:
        if self.adapters.handles(src):
            Translator.inline(self, src, from_, dst, to)
        elif isinstance(from_, OnStack) and isinstance(to, OnStack):
            self._hand_on(src, from_, to)

    def _hand_on(self, src: Layout, from_: OnStack, to: OnStack) -> None:
        for (name, _), (new, _) in zip(from_.locals[: len(src.flat)], to.locals, strict=False):
            self.body.emit(f"(local.set {new} (local.get {name}))")

    def _range(self, src: Layout, from_: Place, dst: Layout, to: Place) -> None:
        """A list that holds handles: translated where it is, or its handles are found."""
        p, element = self.source.pointer, src.element
        assert element is not None
        address, length = self.body.local(p), self.body.local(p)
        for i, local in enumerate((address, length)):
            self.body.emit(f"(local.set {local} {self._load_pointer(self._part(from_, i, src.align))})")
        if isinstance(from_, OnStack) and isinstance(to, OnStack):
            self._hand_on(src, from_, to)
            found = f"(call {self._finder(element)} (local.get {address}) (local.get {length}) (local.get {self.slots})"
            self.body.emit(f"(local.set {self.slots} {found}{self._scope_of(element)}))")
            return
        size = f"({p.value}.mul (local.get {length}) ({p.value}.const {element.size}))"
        end = f"({p.value}.add (local.get {address}) {size})"
        self.elements(element, element, f"(local.get {address})", end, f"(local.get {address})")

    @staticmethod
    def _part(place: Place, i: int, align: int) -> Place:
        if isinstance(place, OnStack):
            return OnStack(place.locals[i : i + 1])
        return replace(place, offset=place.offset + i * align)

    def _finder(self, element: Layout) -> str:
        """``(address, length, slots[, scope]) → slots`` with the handles of the list."""
        key = ("elements", "found", id(element), self.source, self.target)
        return self.adapters.helper(key, "found", lambda name: self._finder_text(name, element))

    def _finder_text(self, name: str, element: Layout) -> str:
        p = self.source.pointer
        params = [("$from", p), ("$length", p), ("$slots", I32), *self._scope_param(element)]
        body = Body(params, (I32,))
        inner = self._inside(body)
        end = body.local(p)
        body.emit(f"(local.set {end} ({p.value}.add (local.get $from) (local.get {self.check_list(body, element)})))")
        with body.block("block $done"), body.block("loop $next"):
            body.emit(f"({p.value}.eq (local.get $from) (local.get {end}))")
            body.emit("br_if $done")
            for offset, layout in _handles_in(element):
                place = InMemory(self.source, "$from", offset)
                at = f"({p.value}.add (local.get $from) ({p.value}.const {offset}))"
                handle = self.handle(inner, layout, inner._load(layout, place))
                body.emit(f"(local.set $slots (call {self.slot_add} (local.get $slots) {at} {handle}))")
            body.emit(f"(local.set $from ({p.value}.add (local.get $from) ({p.value}.const {element.size})))")
            body.emit("br $next")
        body.emit("local.get $slots")
        return body.text(name)


def _handles_in(layout: Layout, offset: int = 0) -> Iterator[tuple[int, Layout]]:
    """The handles in a record of scalars, with their offsets."""
    if layout.kind in (Kind.OWN, Kind.BORROW):
        yield offset, layout
    for at, part in layout.fields:
        yield from _handles_in(part, offset + at)


@record()
class EdgeWriter:
    """Writes the adapters of edges. `slots`: the functions of slots.wat for each memory."""

    writer: AdapterWriter
    state: State
    slots: dict[Memory, dict[str, Function]] = field(default_factory=dict)

    def write(self, edge: Edge, call: Call, name: str) -> str:
        """Writes the adapter of an edge. Returns its name in the text; the module calls it `name`."""
        params = tuple((f"$p{i}", core) for i, core in enumerate(cores(call.lower.params)))
        body = Body(list(params), cores(call.lower.results))
        if edge.way == "out":
            self.writer.check_may_leave(body, edge.instance)
        if not edge.copies:
            returned = self._pass(body, edge, call, params)
        else:
            returned = (self._copy_out if edge.way == "out" else self._copy_in)(body, call, params)
        for local, _ in returned:
            body.emit(f"local.get {local}")
        if edge.way == "out" and edge.inner.is_async:
            body.emit(f"i32.const {RETURNED}")
        return self.writer.adapters.add(body, name)

    def _call(self, body: Body, call: Call, arguments: Locals) -> Locals:
        """Calls the target; the locals that hold what it returns."""
        results = tuple((body.local(core), core) for core in cores(call.lift.results))
        body.emit(f"(call {self.writer.adapters.function(call.boundary.target)}{gets(arguments)})")
        for local, _ in reversed(results):
            body.emit(f"local.set {local}")
        return results

    def _post_return(self, body: Body, call: Call, results: Locals) -> None:
        """Calls the instance's `post-return`, as the host would, unless the host does."""
        wanted = call.boundary.lift.post_return
        if wanted is not None and wanted is not call.boundary.lower.post_return:
            self.writer.set_may_leave(body, call.boundary.callee, False)
            body.emit(f"(call {self.writer.adapters.function(wanted)}{gets(results)})")
            self.writer.set_may_leave(body, call.boundary.callee, True)

    def function(self, name: str) -> str:
        """A function over the state memory, by its name in the text of the adapters."""
        return self.writer.adapters.function(self.state.function(name))

    # --- passing adapters ---

    def _pass(self, body: Body, edge: Edge, call: Call, params: Locals) -> Locals:
        handles, adapters = self.writer.handles, self.writer.adapters
        scope = handles.begin(body, call)
        slots: dict[str, str] = {}
        arguments = params
        if not call.spills_params[0] and adapters.handles(call.params[0]):
            slots = self._slots(body, edge, call)
            made = tuple((body.local(core), core) for core in call.params[0].flat)
            there = Passing(
                adapters,
                body,
                call.caller,
                call.callee,
                handles.carry,
                None if scope is None else f"(local.get {scope})",
                slots.get("found", ""),
                slots.get("slot_add", ""),
            )
            there.inline(call.params[0], OnStack(params), call.params[1], OnStack(made))
            arguments = (*made, *params[len(made) :])
        watched = self._begin_watch(body, edge, call, params)
        if slots:
            body.emit(f"(local.set {slots['found']} (call {slots['slots_put']} (local.get {slots['found']})))")
        results = self._call(body, call, arguments)
        if slots:
            body.emit(f"(call {slots['slots_restore']} (local.get {slots['found']}))")
        if watched is not None:
            body.emit(f"(call {self.function('watch_end')} (local.get {watched}))")
        handles.returned(body, call, scope)
        returned = self._pass_back(body, call, params, results)
        handles.end(body, call, scope)
        self._post_return(body, call, results)
        return returned

    def _pass_back(self, body: Body, call: Call, params: Locals, results: Locals) -> Locals:
        adapters, (target, source) = self.writer.adapters, call.results
        if not adapters.handles(source):
            return results
        back = Passing(adapters, body, call.callee, call.caller, self.writer.handles.carry)
        if call.spills_results[0]:  # the host has written it where the instance wants it
            base = params[-1][0]
            back.inline(source, InMemory(call.callee, base), target, InMemory(call.caller, base))
            return results
        returned = tuple((body.local(core), core) for core in target.flat)
        back.inline(source, OnStack(results), target, OnStack(returned))
        return returned

    def _slots(self, body: Body, edge: Edge, call: Call) -> dict[str, str]:
        """Parameters of the template that collects handles in lists: the local for them, and functions by name."""
        memory = edge.inner.memory
        if memory is None or not any(map(self.writer.adapters.handles, _ranges(call.params[0]))):
            return {}
        if memory not in self.slots:
            wide = memory.limits.is64
            params = {
                "p": "i64" if wide else "i32",
                "is64": "i64" if wide else "",
                "long": "i64.add (i64.const 0)" if wide else "i64.extend_i32_u",
                "short": "i64.add (i64.const 0)" if wide else "i32.wrap_i64",
            }
            given = {"memory": memory}
            self.slots[memory] = self.state.link(
                __package__, "slots.wat", params, given, kind="adapter", prefix=f"{memory.name}.slots", shared=False
            )
        names = {name: self.writer.adapters.function(f) for name, f in self.slots[memory].items()}
        return names | {"found": body.local(I32)}

    def _begin_watch(self, body: Body, edge: Edge, call: Call, params: Locals) -> str | None:
        """Watches what the host is given for the result, and where that lies; the local for what it interrupts."""
        if not edge.watch:
            return None
        before, p = body.local(I32), call.caller.pointer
        body.emit(f"(local.set {before} (call {self.function('watch_begin')} (i32.const {edge.watch})))")
        at = converted(f"(local.get {params[-1][0]})", p, I64)
        size = f"(i64.const {call.results[0].size})"
        body.emit(f"(call {self.function('watch')} (i32.const {edge.watch}) {at} {size})")
        return before

    # --- copying adapters ---

    def _copy_out(self, body: Body, call: Call, params: Locals) -> Locals:
        arena, handles = _Arena(self, body, _in_blocks(call)), self.writer.handles
        before = arena.take()
        scope = handles.begin(body, call)
        arguments = self.writer.lower_params(body, call, params, scope)
        if call.spills_results[1]:
            arena.allocate(arguments[-1][0], call.results[1])
        given = arena.take()
        results = self._call(body, call, arguments)
        source = arguments[-1:] if call.spills_results[1] else results
        returned = self.writer.lower_results(body, call, params[-1:], source)
        arena.free(arena.take())
        arena.free(given)
        arena.put(before)
        handles.end(body, call, scope)
        return returned

    def _copy_in(self, body: Body, call: Call, params: Locals) -> Locals:
        arena, handles = _Arena(self, body, _in_blocks(call)), self.writer.handles
        given = arena.take()
        scope = handles.begin(body, call)
        arguments = self.writer.lower_params(body, call, params, scope)
        arena.free(given)
        results = self._call(body, call, arguments)
        handles.returned(body, call, scope)
        if call.spills_results[0]:
            before, out = arena.take(), (body.local(I32), I32)
            arena.allocate(out[0], call.results[0])
            self.writer.lower_results(body, call, [out], results)
            body.emit(f"(call {self.function('arena_hand')} (local.get {out[0]}) (local.get {before}))")
            returned: Locals = (out,)
        else:
            returned = self.writer.lower_results(body, call, params[-1:], results)
        handles.end(body, call, scope)
        self._post_return(body, call, results)
        return returned


def _ranges(layout: Layout) -> Iterator[Layout]:
    """The lists directly in parameters."""
    if layout.kind is Kind.LIST:
        yield layout
    else:
        for part in layout.inner:
            yield from _ranges(part)


def _in_blocks(call: Call) -> bool:
    """Whether anything of a call lies in the memory of the host's side."""
    layouts = (call.params[0], call.results[0])
    return any(layout.allocates for layout in layouts) or any((*call.spills_params, *call.spills_results))


@record(frozen=True)
class _Arena:
    """Writes calls of the functions over blocks of the state memory (arena.wat); nothing where there are no blocks."""

    edges: EdgeWriter
    body: Body
    used: bool

    def take(self) -> str:
        """Begins a new list of blocks; the local that holds the one before."""
        if not self.used:
            return ""
        local = self.body.local(I32)
        self.body.emit(f"(local.set {local} (call {self.edges.function('arena_take')}))")
        return local

    def put(self, blocks: str) -> None:
        """Continues with a list."""
        if self.used:
            self.body.emit(f"(call {self.edges.function('arena_put')} (local.get {blocks}))")

    def free(self, blocks: str) -> None:
        """Gives the blocks of a list back."""
        if self.used:
            self.body.emit(f"(call {self.edges.function('arena_free')} (local.get {blocks}))")

    def allocate(self, local: str, layout: Layout) -> None:
        """Makes room for a value."""
        size = f"(i32.const {layout.align}) (i32.const {layout.size})"
        self.body.emit(
            f"(local.set {local} (call {self.edges.function('arena_realloc')} (i32.const 0) (i32.const 0) {size}))"
        )
