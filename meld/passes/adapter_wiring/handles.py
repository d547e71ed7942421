"""Resource handles in adapters: from the table of one instance into that of another.

Source: Component Model, CanonicalABI.md: lift_own, lift_borrow, lower_own, lower_borrow, and the end of a call.
"""

from __future__ import annotations

from meld.abi.layout import Kind, Layout
from meld.abi.types import Resource, function_types, show
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Function, Module
from meld.ir.notes import Instance
from meld.ir.types import I32
from meld.notes.boundaries import CanonCall, resource_of
from meld.passes.adapter_wiring.items import Body, Items
from meld.passes.adapter_wiring.values import Copy
from meld.passes.adapter_wiring.writer import Call, Marks, place_of
from meld.passes.handle_tables import HandleTable
from meld.passes.handle_tables.host_loans import HostLoans, lent
from meld.support.records import record


@record()
class Handles:
    """How the adapters of a module carry handles. Each resource type has a number, its place among the notes.

    `reps`: the imports that give the representation for a handle that lives outside.
    """

    items: Items
    tables: dict[Instance, HandleTable]
    numbers: dict[Resource, int]
    reps: dict[Resource, Function]
    loans: dict[Instance, HostLoans]

    @classmethod
    def of(cls, items: Items, module: Module) -> Handles:
        """The tables that `handle-tables` made, and what `expose-resources` left."""
        numbers = {resource: i for i, resource in enumerate(module.notes_of(Resource), 1)}
        tables = {table.instance: table for table in module.notes_of(HandleTable)}
        reps: dict[Resource, Function] = {}
        for item in module.imports:
            for n in item.notes:
                if isinstance(item, Function) and isinstance(n, CanonCall) and n.builtin == "resource.rep":
                    resource = resource_of(n)
                    if resource is not None and not resource.is_inside:
                        reps.setdefault(resource, item)
        loans = {note.instance: note for note in module.notes_of(HostLoans)}
        return cls(items, tables, numbers, reps, loans)

    def check(self, call: Call) -> None:
        """Refuses a call whose handles cannot be carried. Raises MeldError."""
        boundary = call.boundary
        for t in function_types(boundary.type):
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
                missing = boundary.caller not in self.tables or boundary.callee not in self.tables
            if missing:
                raise MeldError(
                    f"handles of `{resource.label}` cannot be carried over: {show(boundary.type)}",
                    where=where,
                    hint="run handle-tables before adapter-wiring",
                )

    def carry(self, copy: Copy, layout: Layout, expr: str) -> str:
        """The target's handle for the source's, as an expression."""
        resource = layout.resource
        assert isinstance(resource, Resource)
        if not resource.is_inside:
            if layout.kind is not Kind.BORROW:
                return expr
            if copy.target.instance is resource.owner:
                return f"(call {self.items.function(self.reps[resource])} {expr})"
            lend = self.items.function(self.loans[copy.target.instance].lend)
            return f"(call {lend} (i32.const {self.numbers[resource]}) {expr})"
        source, target = self.tables[copy.source.instance], self.tables[copy.target.instance]
        number = f"(i32.const {self.numbers[resource]})"

        def call(function: Function, operand: str) -> str:
            return f"(call {self.items.function(function)} {number} {operand})"

        if layout.kind is Kind.OWN:
            return call(target.lower_own, call(source.lift_own, expr))
        rep = call(source.lift_borrow, expr)
        return rep if copy.target.instance is resource.owner else call(target.lower_borrow, rep)

    def begin(self, body: Body, call: Call) -> Marks:
        """Before the parameters of a call are carried over: remembers which loans are older. Answers their locals."""
        scope = loans = None
        if self._borrowed(call):
            scope, table = body.local(I32), self.tables[call.boundary.caller]
            begin = f"(call {self.items.function(table.begin_scope)})"
            top = f"(global.get {self.items.global_(table.loans)})"
            body.emit(f"(local.set {scope} {begin if self._gives_handles(call) else top})")
        if lent(call.boundary):
            loans, mark = body.local(I32), self.items.function(self.loans[call.boundary.callee].mark)
            body.emit(f"(local.set {loans} (call {mark}))")
        return scope, loans

    def returned(self, body: Body, call: Call, marks: Marks) -> None:
        """After the callee returned: it must have dropped every borrow handle that the call gave it."""
        scope, loans = marks
        if self._gives_handles(call):
            end_borrows = self.items.function(self.tables[call.boundary.callee].end_borrows)
            body.emit(f"(call {end_borrows} (local.get {scope}))")
        if loans is not None:
            end = self.items.function(self.loans[call.boundary.callee].end)
            body.emit(f"(call {end} (local.get {loans}))")

    def end(self, body: Body, call: Call, marks: Marks) -> None:
        """After the result was carried over: what was lent for the call is the caller's again."""
        mark, _ = marks
        if mark is None:
            return
        table = self.tables[call.boundary.caller]
        body.emit(f"(call {self.items.function(table.end_loans)} (local.get {mark}))")
        if self._gives_handles(call):
            body.emit(f"(call {self.items.function(table.end_scope)} (local.get {mark}))")

    def _gives_handles(self, call: Call) -> bool:
        """Whether the callee gets borrow handles, which need a scope. The owner of a resource gets representations."""
        return any(resource.owner is not call.boundary.callee for resource in self._borrowed(call))

    @staticmethod
    def _borrowed(call: Call) -> list[Resource]:
        """The resources of the program that a call borrows."""
        borrows = [t.resource for t in function_types(call.boundary.type) if isinstance(t, c.Borrow)]
        return [resource for resource in borrows if isinstance(resource, Resource) and resource.is_inside]
