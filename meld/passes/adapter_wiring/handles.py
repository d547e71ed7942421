"""Handles in adapters: from the table of one instance into that of another, or over the edge of the module.

Source: Component Model, CanonicalABI.md: lift_own, lift_borrow, lower_own, lower_borrow, and the end of a call;
lift_stream, lift_future, lift_error_context and their counterparts.
"""

from __future__ import annotations

from collections.abc import Callable

from meld.abi.layout import Kind, Layout
from meld.abi.types import Resource, Type, function_types, is_end_or_error, show, show_bare
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Module
from meld.ir.notes import Instance
from meld.ir.types import I32
from meld.notes.channels import EndFunctions, EndTypes
from meld.notes.handles import Exposed, HandleFunctions, HandleTable, type_numbers
from meld.passes.adapter_wiring.adapter_module import AdapterModule, Body
from meld.passes.adapter_wiring.call import OUTSIDE, Call, place_of
from meld.passes.adapter_wiring.values import Translator
from meld.support.records import record


@record()
class Handles:
    """How the adapters of a module carry handles.

    Attributes:
        records: the addresses of the instances' records; `functions` are those over them.
        exposed: how handles of exposed resources cross the edge, where they do.
    """

    adapters: AdapterModule
    functions: HandleFunctions | None
    records: dict[Instance, int]
    numbers: dict[Resource, int]
    exposed: dict[Resource, Exposed]
    ends: EndFunctions | None
    end_types: EndTypes

    @classmethod
    def of(cls, adapters: AdapterModule, module: Module) -> Handles:
        """The tables that `handle-tables` made, and what `expose-resources` left."""
        functions = next(iter(module.notes_of(HandleFunctions)), None)
        records = {table.instance: table.record for table in module.notes_of(HandleTable)}
        exposed = {note.resource: note for note in module.notes_of(Exposed)}
        ends = next(iter(module.notes_of(EndFunctions)), None)
        end_types = EndTypes.noted(module)
        return cls(adapters, functions, records, type_numbers(module), exposed, ends, end_types)

    def check(self, call: Call) -> None:
        """Refuses a call whose handles cannot be carried. Raises MeldError."""
        sides = {call.boundary.caller, call.boundary.callee} - {OUTSIDE}
        for t in function_types(call.boundary.type):
            if is_end_or_error(t):
                self._check_end(call, t)
            if isinstance(t, c.Own | c.Borrow) and not sides <= self.records.keys():
                resource = t.resource
                assert isinstance(resource, Resource)
                raise MeldError(
                    f"handles of `{resource.label}` cannot be carried over: {show(call.boundary.type)}",
                    where=place_of(call.boundary),
                    hint="run handle-tables before adapter-wiring",
                )

    def _check_end(self, call: Call, t: Type) -> None:
        sides = (call.boundary.caller, call.boundary.callee)
        if OUTSIDE in sides and not self._reaches_host(t):
            raise MeldError(
                f"a {show_bare(t)} cannot cross to the host beside what is translated or checked: "
                f"{show(call.boundary.type)}",
                where=place_of(call.boundary),
                hint="give it in a call of its own, without handles of resources, and without values in memory where "
                "host-memory runs",
            )
        known = self.ends is not None and (
            self.ends.error_lift is not None if t is c.Prim.ERROR_CONTEXT else t in self.end_types.numbers
        )
        if not known or any(side not in self.records for side in sides if side is not OUTSIDE):
            raise MeldError(
                f"a {show_bare(t)} cannot be carried over: {show(call.boundary.type)}",
                where=place_of(call.boundary),
                hint="run emit-tasks before adapter-wiring",
            )

    def _reaches_host(self, t: Type) -> bool:
        if self.ends is None:
            return False
        if t is c.Prim.ERROR_CONTEXT:
            return self.ends.error_give is not None
        return self.ends.end_give is not None and t in self.end_types.numbers

    def carry(self, translator: Translator, layout: Layout, expr: str) -> str:
        """The target's handle for the source's, as an expression."""
        match layout.kind:
            case Kind.STREAM | Kind.FUTURE:
                return self._carry_end(translator, f"(i32.const {self.end_types.number(layout.carries)})", expr)
            case Kind.ERROR_CONTEXT:
                return self._carry_error(translator, expr)
            case _:
                return self._carry_resource(translator, layout, expr)

    def parking(self, mode: str) -> Callable[[Translator, Layout, str], str]:
        """How elements on their way to the host carry their handles: each becomes the host's handle for the same thing.

        Args:
            mode: what becomes of the instance's own handle: ``park`` while the host may read the element, ``release``
                when it has been read, ``restore`` when it has not been; ``note`` if the handle itself is copied.
        """

        def carry(translator: Translator, layout: Layout, expr: str) -> str:
            if mode == "note":
                return expr
            if layout.kind is Kind.ERROR_CONTEXT:  # its handle remains where it is
                return expr if mode != "park" else self._error_to_host(self._error_of(translator.source.instance, expr))
            instance = translator.source.instance
            if layout.kind in (Kind.STREAM, Kind.FUTURE):
                number = self.end_types.number(layout.carries)
                key = f"(i32.const {self.records[instance]}) (i32.const {number})"
                return f"(call {self._end_function(f'end_{mode}')} {key} {expr})"
            resource = layout.resource
            assert isinstance(resource, Resource)
            if not resource.is_outer:
                raise MeldError(
                    f"handles of `{resource.label}` cannot reach the host as elements of a stream or future: the "
                    "program does not export that resource",
                    where=f"component instance `{instance.name}`",
                    hint="export it, or pass something else",
                )
            key = f"(i32.const {self.records[instance]}) (i32.const {self.numbers[resource]})"
            if resource.owner is None or mode == "release":
                return f"(call {self._end_function(f'own_{mode}')} {key} {expr})"
            give, take = (self.adapters.function(f) for f in (self.exposed[resource].give, self.exposed[resource].take))
            if mode == "restore":
                return f"(call {take} (call {self._end_function('own_regain')} {key} {expr}))"
            host = f"(call {give} (call {self._end_function('own_park')} {key} {expr}))"
            return f"(call {self._end_function('own_lend')} {key} {expr} {host})"

        return carry

    def keep(self, translator: Translator, layout: Layout, expr: str) -> str:
        """The host's handle for that of an argument of a call that may not start at once: until it does, both last."""
        resource, instance = layout.resource, translator.source.instance
        if layout.kind in (Kind.STREAM, Kind.FUTURE):
            number = f"(i32.const {self.end_types.number(layout.carries)})"
            kept = f"(call {self._end_function('end_keep')} (i32.const {self.records[instance]}) {number} {expr})"
            host = f"(call {self._end_function('end_give')} {number} {kept})"
            return f"(call {self._end_function('kept_as')} {host})"
        if not isinstance(resource, Resource) or resource not in self.numbers:
            return self.carry(translator, layout, expr)
        key = f"(i32.const {self.records[instance]}) (i32.const {self.numbers[resource]})"
        if layout.kind is Kind.BORROW and resource.is_outer:
            assert translator.scope is not None
            return f"(call {self._end_function('borrow_keep')} {key} {expr} {translator.scope})"
        if layout.kind is not Kind.OWN or resource.owner is not None:
            return self.carry(translator, layout, expr)
        return f"(call {self._end_function('own_keep')} {key} {expr})"

    def _carry_end(self, translator: Translator, number: str, expr: str) -> str:
        lifted = self._call_end("lift", translator.source.instance, number, expr)
        return self._call_end("lower", translator.target.instance, number, lifted)

    def _call_end(self, way: str, instance: Instance, number: str, expr: str) -> str:
        """A readable end moves between an instance and another one, or the host."""
        name = {"lift": "end_take", "lower": "end_give"}[way] if instance is OUTSIDE else f"end_{way}"
        record = "" if instance is OUTSIDE else f"(i32.const {self.records[instance]}) "
        return f"(call {self._end_function(name)} {record}{number} {expr})"

    def _carry_error(self, translator: Translator, expr: str) -> str:
        error = self._error_of(translator.source.instance, expr)
        if translator.target.instance is OUTSIDE:
            return self._error_to_host(error)
        record = f"(i32.const {self.records[translator.target.instance]})"
        return f"(call {self._end_function('error_lower')} {record} {error})"

    def _error_of(self, instance: Instance, handle: str) -> str:
        """The error context of a handle: of an instance, or of the host."""
        if instance is OUTSIDE:
            return f"(call {self._end_function('error_take')} {handle})"
        return f"(call {self._end_function('error_lift')} (i32.const {self.records[instance]}) {handle})"

    def _error_to_host(self, error: str) -> str:
        return f"(call {self._end_function('error_give')} {error})"

    def _end_function(self, name: str) -> str:
        return self.adapters.function(getattr(self.ends, name))

    def _records(self, translator: Translator) -> tuple[str, str]:
        source, target = (self.records[side.instance] for side in (translator.source, translator.target))
        return f"(i32.const {source})", f"(i32.const {target})"

    def _carry_resource(self, translator: Translator, layout: Layout, expr: str) -> str:
        resource = layout.resource
        assert isinstance(resource, Resource)
        source, target = translator.source.instance, translator.target.instance
        if OUTSIDE in (source, target) and not resource.is_outer:
            return expr  # nothing translates handles that mean something in one table only
        if layout.kind is Kind.OWN:
            return self._lower_own(target, resource, self._lift_own(source, resource, expr))
        return self._lower_borrow(target, resource, self._lift_borrow(source, resource, expr, translator), translator)

    def _lift_own(self, source: Instance, resource: Resource, handle: str) -> str:
        if source is not OUTSIDE:
            return self._call("lift_own", source, resource, handle)
        if resource.owner is None:
            return handle
        return f"(call {self.adapters.function(self.exposed[resource].take)} {handle})"

    def _lower_own(self, target: Instance, resource: Resource, held: str) -> str:
        if target is not OUTSIDE:
            return self._call("handle_add", target, resource, held, "(i32.const 1)")
        if resource.owner is None:
            return held
        return f"(call {self.adapters.function(self.exposed[resource].give)} {held})"

    def _lift_borrow(self, source: Instance, resource: Resource, handle: str, translator: Translator) -> str:
        if source is OUTSIDE:  # a handle of the host, or a representation
            return handle
        assert translator.scope is not None
        return self._call("lift_borrow", source, resource, handle, translator.scope)

    def _lower_borrow(self, target: Instance, resource: Resource, held: str, translator: Translator) -> str:
        if target is OUTSIDE or target is resource.owner:
            return held
        assert translator.scope is not None
        return self._call("lower_borrow", target, resource, held, translator.scope)

    def _call(self, name: str, instance: Instance, resource: Resource, *operands: str) -> str:
        """A call of a function over the table of an instance."""
        key = f"(i32.const {self.records[instance]}) (i32.const {self.numbers[resource]})"
        return f"(call {self._function(name)} {key} {' '.join(operands)})"

    def _function(self, name: str) -> str:
        return self.adapters.function(getattr(self.functions, name))

    # --- the scope of a call ---

    def begin(self, body: Body, call: Call) -> str | None:
        """Before the parameters of a call are carried over: makes its scope. Returns the local that holds it."""
        if not self._lends(call) and not self._gives(call):
            return None
        scope = body.local(I32)
        outside = int(call.boundary.caller is OUTSIDE)
        body.emit(f"(local.set {scope} (call {self._function('scope_new')} (i32.const {outside})))")
        return scope

    def returned(self, body: Body, call: Call, scope: str | None) -> None:
        """After the callee returned: it must have dropped every borrow handle that the call gave it."""
        if self._gives(call):
            body.emit(f"(call {self._function('end_borrows')} (local.get {scope}))")

    def end(self, body: Body, call: Call, scope: str | None) -> None:
        """After the result was carried over: what was lent for the call is the caller's again."""
        if self._lends(call):
            record = f"(i32.const {self.records[call.boundary.caller]})"
            body.emit(f"(call {self._function('end_loans')} {record} (local.get {scope}))")
        if scope is not None:
            body.emit(f"(call {self._function('scope_free')} (local.get {scope}))")

    def _lends(self, call: Call) -> bool:
        """Whether the caller lends handles of its table."""
        return call.boundary.caller is not OUTSIDE and bool(self._borrowed(call))

    def _gives(self, call: Call) -> bool:
        """Whether the callee gets borrow handles. The owner of a resource gets representations."""
        callee = call.boundary.callee
        return callee is not OUTSIDE and any(resource.owner is not callee for resource in self._borrowed(call))

    @staticmethod
    def _borrowed(call: Call) -> list[Resource]:
        """The resources that a call borrows."""
        borrows = [t.resource for t in function_types(call.boundary.type) if isinstance(t, c.Borrow)]
        over_edge = OUTSIDE in (call.boundary.caller, call.boundary.callee)
        return [r for r in borrows if isinstance(r, Resource) and (r.is_outer or not over_edge)]
