"""Handles in adapters: from the table of one instance into that of another.

Source: Component Model, CanonicalABI.md: lift_own, lift_borrow, lower_own, lower_borrow, and the end of a call;
lift_stream, lift_future, lift_error_context and their counterparts.
"""

from __future__ import annotations

from meld.abi.layout import Kind, Layout
from meld.abi.types import Resource, Type, function_types, show
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Function, Module
from meld.ir.notes import Instance
from meld.ir.types import I32
from meld.notes.boundaries import CanonCall, resource_of
from meld.notes.channels import EndFunctions, EndTypes
from meld.notes.handles import HandleFunctions, HandleTable, HostLoans, lent, type_numbers
from meld.passes.adapter_wiring.adapter_module import AdapterModule, Body
from meld.passes.adapter_wiring.values import Translator
from meld.passes.adapter_wiring.writer import Call, Marks, place_of
from meld.support.records import record


@record()
class Handles:
    """How the adapters of a module carry handles.

    Attributes:
        records: the addresses of the instances' records; `functions` are those over them.
        reps: the imports that give the representation for a handle that lives outside.
    """

    adapters: AdapterModule
    functions: HandleFunctions | None
    records: dict[Instance, int]
    numbers: dict[Resource, int]
    reps: dict[Resource, Function]
    loans: dict[Instance, HostLoans]
    ends: EndFunctions | None
    end_types: EndTypes

    @classmethod
    def of(cls, adapters: AdapterModule, module: Module) -> Handles:
        """The tables that `handle-tables` made, and what `expose-resources` left."""
        functions = next(iter(module.notes_of(HandleFunctions)), None)
        records = {table.instance: table.record for table in module.notes_of(HandleTable)}
        reps: dict[Resource, Function] = {}
        for item in module.imports:
            for n in item.notes:
                if isinstance(item, Function) and isinstance(n, CanonCall) and n.builtin == "resource.rep":
                    resource = resource_of(n)
                    if resource is not None and not resource.is_inside:
                        reps.setdefault(resource, item)
        loans = {note.instance: note for note in module.notes_of(HostLoans)}
        ends = next(iter(module.notes_of(EndFunctions)), None)
        end_types = EndTypes.noted(module)
        return cls(adapters, functions, records, type_numbers(module), reps, loans, ends, end_types)

    def check(self, call: Call) -> None:
        """Refuses a call whose handles cannot be carried. Raises MeldError."""
        boundary = call.boundary
        for t in function_types(boundary.type):
            if isinstance(t, c.Stream | c.Future) or t is c.Prim.ERROR_CONTEXT:
                self._check_end(call, t)
            if not isinstance(t, c.Own | c.Borrow):
                continue
            resource = t.resource
            assert isinstance(resource, Resource)
            where = place_of(boundary)
            if not resource.is_inside:
                if isinstance(t, c.Borrow) and resource.owner is boundary.callee and resource not in self.reps:
                    raise MeldError(
                        f"nothing gives the representation of `{resource.label}` that the callee is to borrow: "
                        f"{show(boundary.type)}",
                        where=where,
                        hint="expose-resources keeps an import for it",
                    )
                borrowed = isinstance(t, c.Borrow) and resource in lent(boundary)
                missing = borrowed and boundary.callee not in self.loans
            else:
                missing = boundary.caller not in self.records or boundary.callee not in self.records
            if missing:
                raise MeldError(
                    f"handles of `{resource.label}` cannot be carried over: {show(boundary.type)}",
                    where=where,
                    hint="run handle-tables before adapter-wiring",
                )

    def _check_end(self, call: Call, t: Type) -> None:
        sides = (call.boundary.caller, call.boundary.callee)
        known = self.ends is not None and (
            self.ends.error_lift is not None if t is c.Prim.ERROR_CONTEXT else t in self.end_types.numbers
        )
        if not known or any(side not in self.records for side in sides):
            raise MeldError(
                f"a {show(t).strip('()')} cannot be carried over: {show(call.boundary.type)}",
                where=place_of(call.boundary),
                hint="run emit-tasks before adapter-wiring",
            )

    def carry(self, translator: Translator, layout: Layout, expr: str) -> str:
        """The target's handle for the source's, as an expression."""
        match layout.kind:
            case Kind.STREAM | Kind.FUTURE:
                return self._carry_end(translator, f"(i32.const {self.end_types.number(layout.carries)})", expr)
            case Kind.ERROR_CONTEXT:
                return self._carry_error(translator, expr)
            case _:
                return self._carry_resource(translator, layout, expr)

    def _carry_end(self, translator: Translator, number: str, expr: str) -> str:
        assert self.ends is not None and self.ends.end_lift is not None and self.ends.end_lower is not None
        source, target = (
            f"(i32.const {self.records[side.instance]})" for side in (translator.source, translator.target)
        )
        lift, lower = (self.adapters.function(f) for f in (self.ends.end_lift, self.ends.end_lower))
        return f"(call {lower} {target} {number} (call {lift} {source} {number} {expr}))"

    def _carry_error(self, translator: Translator, expr: str) -> str:
        assert self.ends is not None and self.ends.error_lift is not None and self.ends.error_lower is not None
        source, target = (
            f"(i32.const {self.records[side.instance]})" for side in (translator.source, translator.target)
        )
        lift, lower = (self.adapters.function(f) for f in (self.ends.error_lift, self.ends.error_lower))
        return f"(call {lower} {target} (call {lift} {source} {expr}))"

    def _records(self, translator: Translator) -> tuple[str, str]:
        source, target = (self.records[side.instance] for side in (translator.source, translator.target))
        return f"(i32.const {source})", f"(i32.const {target})"

    def _carry_resource(self, translator: Translator, layout: Layout, expr: str) -> str:
        resource = layout.resource
        assert isinstance(resource, Resource)
        if not resource.is_inside:
            if layout.kind is not Kind.BORROW:
                return expr
            if translator.target.instance is resource.owner:
                return f"(call {self.adapters.function(self.reps[resource])} {expr})"
            lend = self.adapters.function(self.loans[translator.target.instance].lend)
            return f"(call {lend} (i32.const {self.numbers[resource]}) {expr})"
        source, target = translator.source.instance, translator.target.instance
        if layout.kind is Kind.OWN:
            return self._call(
                "handle_add", target, resource, self._call("lift_own", source, resource, expr), "(i32.const 1)"
            )
        assert translator.scope is not None
        rep = self._call("lift_borrow", source, resource, expr, translator.scope)
        return rep if target is resource.owner else self._call("lower_borrow", target, resource, rep, translator.scope)

    def _call(self, name: str, instance: Instance, resource: Resource, *operands: str) -> str:
        """A call of a function over the table of an instance."""
        key = f"(i32.const {self.records[instance]}) (i32.const {self.numbers[resource]})"
        return f"(call {self._function(name)} {key} {' '.join(operands)})"

    def _function(self, name: str) -> str:
        return self.adapters.function(getattr(self.functions, name))

    def begin(self, body: Body, call: Call) -> Marks:
        """Before the parameters of a call are carried over: makes its scope. Answers the locals that say so."""
        scope = loans = None
        if self._borrowed(call):
            scope = body.local(I32)
            body.emit(f"(local.set {scope} (call {self._function('scope_new')} (i32.const 0)))")
        if lent(call.boundary):
            loans, mark = body.local(I32), self.adapters.function(self.loans[call.boundary.callee].mark)
            body.emit(f"(local.set {loans} (call {mark}))")
        return scope, loans

    def returned(self, body: Body, call: Call, marks: Marks) -> None:
        """After the callee returned: it must have dropped every borrow handle that the call gave it."""
        scope, loans = marks
        if self._gives_handles(call):
            body.emit(f"(call {self._function('end_borrows')} (local.get {scope}))")
        if loans is not None:
            end = self.adapters.function(self.loans[call.boundary.callee].end)
            body.emit(f"(call {end} (local.get {loans}))")

    def end(self, body: Body, call: Call, marks: Marks) -> None:
        """After the result was carried over: what was lent for the call is the caller's again."""
        scope, _ = marks
        if scope is None:
            return
        record = f"(i32.const {self.records[call.boundary.caller]})"
        body.emit(f"(call {self._function('end_loans')} {record} (local.get {scope}))")
        body.emit(f"(call {self._function('scope_free')} (local.get {scope}))")

    def _gives_handles(self, call: Call) -> bool:
        """Whether the callee gets borrow handles, which need a scope. The owner of a resource gets representations."""
        return any(resource.owner is not call.boundary.callee for resource in self._borrowed(call))

    @staticmethod
    def _borrowed(call: Call) -> list[Resource]:
        """The resources of the program that a call borrows."""
        borrows = [t.resource for t in function_types(call.boundary.type) if isinstance(t, c.Borrow)]
        return [resource for resource in borrows if isinstance(resource, Resource) and resource.is_inside]
