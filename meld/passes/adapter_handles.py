"""Resource handles in adapters: from the table of one instance into that of another.

Source: Component Model, CanonicalABI.md: lift_own, lift_borrow, lower_own, lower_borrow, and the end of a call.
"""

from __future__ import annotations

from dataclasses import dataclass

from meld.abi.adapter import Call, place_of
from meld.abi.adapter_text import Body, Items
from meld.abi.adapter_values import Copy
from meld.abi.boundary import CanonCall, resource_of
from meld.abi.layout import Kind, Layout
from meld.abi.types import Resource, function_types, show
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Function, Module
from meld.ir.notes import Instance
from meld.ir.types import I32
from meld.passes.handle_tables import HandleTable


@dataclass(slots=True)
class Handles:
    """How the adapters of a module carry handles. Each resource type has a number, its place among the notes.

    `reps`: the imports that give the representation for a handle that lives outside.
    """

    items: Items
    tables: dict[Instance, HandleTable]
    numbers: dict[Resource, int]
    reps: dict[Resource, Function]

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
        return cls(items, tables, numbers, reps)

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
            elif boundary.caller not in self.tables or boundary.callee not in self.tables:
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
            lent_home = layout.kind is Kind.BORROW and copy.target.instance is resource.owner
            return f"(call {self.items.function(self.reps[resource])} {expr})" if lent_home else expr
        source, target = self.tables[copy.source.instance], self.tables[copy.target.instance]
        number = f"(i32.const {self.numbers[resource]})"

        def call(function: Function, operand: str) -> str:
            return f"(call {self.items.function(function)} {number} {operand})"

        if layout.kind is Kind.OWN:
            return call(target.lower_own, call(source.lift_own, expr))
        rep = call(source.lift_borrow, expr)
        return rep if copy.target.instance is resource.owner else call(target.lower_borrow, rep)

    def begin(self, body: Body, call: Call) -> str | None:
        """Before the parameters of a call are carried over: remembers which loans are older. Answers their local."""
        if not self._borrowed(call):
            return None
        mark, table = body.local(I32), self.tables[call.boundary.caller]
        begin = f"(call {self.items.function(table.begin_scope)})"
        loans = f"(global.get {self.items.global_(table.loans)})"
        body.emit(f"(local.set {mark} {begin if self._gives_handles(call) else loans})")
        return mark

    def returned(self, body: Body, call: Call, mark: str | None) -> None:
        """After the callee returned: it must have dropped every borrow handle that the call gave it."""
        if self._gives_handles(call):
            end_borrows = self.items.function(self.tables[call.boundary.callee].end_borrows)
            body.emit(f"(call {end_borrows} (local.get {mark}))")

    def end(self, body: Body, call: Call, mark: str | None) -> None:
        """After the result was carried over: what was lent for the call is the caller's again."""
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
