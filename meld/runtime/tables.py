"""Handle tables of component instances, for the interpreter of boundaries.

One table has the handles of all kinds: resources (`Entry`), and what `meld.runtime.tasks` adds. Before the pass
`handle-tables` those of resources live here, in Python; after it they live in the module, and what is here calls the
functions that it made. Both give out the same indices.

Source: Component Model, CanonicalABI.md: Table State, Resource State, `canon resource.new`, `.drop`, `.rep`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any, TypeVar

from meld.abi.types import Resource
from meld.ir.notes import Instance
from meld.notes.handles import Exposed, HandleFunctions
from meld.runtime.canonical import MASK32, trap_if
from meld.support.records import record

MAX_ENTRIES = (1 << 28) - 1

T = TypeVar("T")

KINDS = {
    "Entry": "a resource",
    "ErrorContext": "an error-context",
    "WaitableSet": "a waitable-set",
    "Subtask": "a subtask",
    "Waitable": "a waitable",
}
"""Kinds of handles, by the class of what is in the table; others by the words of their class."""

Call = Callable[..., Any]
"""Calls a core function of the module: (function, arguments…) → result."""


@record(eq=False)
class Entry:
    """A handle in a table. `scope` is that of the call which was given a borrow handle; None if the handle owns."""

    resource: Resource
    rep: int
    scope: Scope | None = None
    lends: int = 0


@record(eq=False)
class Scope:
    """One call: what was lent for its time, and what the callee still borrows.

    Attributes:
        outside: whether the caller is outside the module.
        mark: its address in the state memory, where both are kept inside the module.
    """

    lent: list[Entry] = field(default_factory=list)
    borrows: int = 0
    outside: bool = False
    mark: int = 0


@record(eq=False)
class Table:
    """The handle table of one instance; entry 0 is never used."""

    entries: list[Any] = field(default_factory=lambda: [None])
    free: list[int] = field(default_factory=list)

    @property
    def next(self) -> int:
        """The handle that comes next."""
        return self.free[-1] if self.free else len(self.entries)

    def add(self, entry: Any) -> int:
        """A new handle."""
        if self.free:
            index = self.free.pop()
            self.entries[index] = entry
            return index
        trap_if(len(self.entries) > MAX_ENTRIES, "a handle table is full")
        self.entries.append(entry)
        return len(self.entries) - 1

    def get(self, kind: type[T], handle: int) -> T:
        """What a handle stands for. Raises HostTrap unless it is of that class."""
        handle &= MASK32
        found: Any = self.entries[handle] if handle < len(self.entries) else None
        trap_if(found is None, f"unknown handle index {handle}")
        if not isinstance(found, kind):
            what = KINDS.get(kind.__name__) or f"an {kind.__name__.lower()}"
            trap_if(True, f"handle {handle} is not {what}")
        return found  # type: ignore[no-any-return]

    def take(self, handle: int) -> None:
        """Takes a handle out of the table, which is in it."""
        self.entries[handle & MASK32] = None
        self.free.append(handle & MASK32)

    def resource(self, resource: Resource, handle: int) -> Entry:
        """The entry of a resource handle. Raises HostTrap unless it is one of that type."""
        found = self.get(Entry, handle)
        trap_if(
            found.resource is not resource,
            f"handle {handle & MASK32} is one of `{found.resource.label}`, not `{resource.label}`",
        )
        return found

    def remove(self, resource: Resource, handle: int) -> Entry:
        """Takes a resource handle out of the table. Raises HostTrap also if it is lent."""
        entry = self.resource(resource, handle)
        trap_if(entry.lends > 0, f"handle {handle} is lent to a call that has not ended")
        self.take(handle)
        return entry

    # --- built-ins ---

    def new(self, resource: Resource, rep: int) -> int:
        """`resource.new`."""
        return self.add(Entry(resource, rep & MASK32))

    def rep(self, resource: Resource, handle: int) -> int:
        """`resource.rep`."""
        return self.resource(resource, handle).rep

    def drop(self, resource: Resource, handle: int) -> int | None:
        """`resource.drop` without the destructor: the object that it is to be called with, or None.

        The destructor of a resource of the host is also called for what the host has lent.
        """
        entry = self.remove(resource, handle)
        if entry.scope is None:
            return entry.rep
        entry.scope.borrows -= 1
        return entry.rep if entry.scope.outside and resource.owner is None else None


@record(eq=False)
class Held:
    """One side of a call, with its table in Python."""

    table: Table
    instance: Instance
    scope: Scope

    def lift_own(self, resource: Resource, handle: int) -> int:
        borrowed = self.table.resource(resource, handle).scope is not None
        trap_if(borrowed, f"handle {handle} does not own what it stands for")
        return self.table.remove(resource, handle).rep

    def lift_borrow(self, resource: Resource, handle: int) -> int:
        entry = self.table.resource(resource, handle)
        entry.lends += 1
        self.scope.lent.append(entry)
        return entry.rep

    def lower_own(self, resource: Resource, rep: int) -> int:
        return self.table.new(resource, rep)

    def lower_borrow(self, resource: Resource, rep: int) -> int:
        if resource.owner is self.instance:
            return rep
        self.scope.borrows += 1
        return self.table.add(Entry(resource, rep, self.scope))

    def begin(self) -> None:
        """A call begins."""

    def end_loans(self) -> None:
        """Ends the loans of this side."""
        for entry in self.scope.lent:
            entry.lends -= 1

    def end_borrows(self) -> None:
        """Traps if this side still has handles that it borrowed for the call."""
        trap_if(self.scope.borrows > 0, "borrow handles still remain at the end of the call")


@record(eq=False)
class Inside:
    """One side of a call, with its table inside the module.

    Attributes:
        record: the address of the instance's record.
        numbers: the type numbers of resources.
    """

    functions: HandleFunctions
    instance: Instance
    record: int
    numbers: dict[Resource, int]
    call: Call
    scope: Scope

    def _do(self, function: Any, resource: Resource, value: int, *more: int) -> int:
        return int(self.call(function, self.record, self.numbers[resource], value, *more))

    def lift_own(self, resource: Resource, handle: int) -> int:
        return self._do(self.functions.lift_own, resource, handle)

    def lift_borrow(self, resource: Resource, handle: int) -> int:
        return self._do(self.functions.lift_borrow, resource, handle, self.scope.mark)

    def lower_own(self, resource: Resource, rep: int) -> int:
        return self._do(self.functions.handle_add, resource, rep, 1)

    def lower_borrow(self, resource: Resource, rep: int) -> int:
        if resource.owner is self.instance:
            return rep
        return self._do(self.functions.lower_borrow, resource, rep, self.scope.mark)

    def begin(self) -> None:
        """A call begins."""
        self.scope.mark = self.call(self.functions.scope_new, int(self.scope.outside))

    def end_loans(self) -> None:
        """Ends the loans of this side; the call is over."""
        self.call(self.functions.end_loans, self.record, self.scope.mark)
        self.call(self.functions.scope_free, self.scope.mark)

    def end_borrows(self) -> None:
        """Traps if this side still has handles that it borrowed for the call.

        A caller that has no table lends nothing, and does not begin a scope.
        """
        if self.scope.mark:
            self.call(self.functions.end_borrows, self.scope.mark)


@record(eq=False)
class Outside:
    """The other side of a call over the edge of the module. Handles that mean something in one table only pass through.

    Attributes:
        exposed: for exposed resources, how own handles cross.
    """

    exposed: dict[Resource, Exposed]
    call: Call

    def lift_own(self, resource: Resource, handle: int) -> int:
        """An own handle comes into the module: what it stands for there."""
        return self.call(self.exposed[resource].take, handle) if resource in self.exposed else handle

    def lower_own(self, resource: Resource, rep: int) -> int:
        """An own handle leaves the module: what it is outside."""
        return self.call(self.exposed[resource].give, rep) if resource in self.exposed else rep

    def lift_borrow(self, resource: Resource, handle: int) -> int:
        """A handle of the host, or a representation."""
        return handle

    def lower_borrow(self, resource: Resource, rep: int) -> int:
        """As `lift_borrow`."""
        return rep

    def begin(self) -> None:
        """A call begins."""

    def end_loans(self) -> None:
        """A call is over."""

    def end_borrows(self) -> None:
        """What is lent to the host is its business."""


@record(eq=False)
class AtExport:
    """The side of the host in a call of what the module exports, where the interpreter is the host.

    Attributes:
        inside: the table of the instance that exports the function, for handles that mean something only there.
        outer: the table outside the module, for exposed resources. Handles of the host's resources are its numbers.
    """

    inside: Held | Inside
    outer: Table

    def lift_own(self, resource: Resource, handle: int) -> int:
        if resource.owner is None:
            return handle
        return self.outer.remove(resource, handle).rep if resource.is_outer else self.inside.lift_own(resource, handle)

    def lift_borrow(self, resource: Resource, handle: int) -> int:
        return self.inside.lift_borrow(resource, handle)

    def lower_own(self, resource: Resource, rep: int) -> int:
        if resource.owner is None:
            return rep
        return self.outer.new(resource, rep) if resource.is_outer else self.inside.lower_own(resource, rep)

    def lower_borrow(self, resource: Resource, rep: int) -> int:
        return rep if resource.is_outer else self.inside.lower_borrow(resource, rep)

    def begin(self) -> None:
        """A call begins."""
        self.inside.begin()

    def end_loans(self) -> None:
        """The call is over."""
        self.inside.end_loans()

    def end_borrows(self) -> None:
        """Traps if the callee still has handles that it borrowed for the call."""
        self.inside.end_borrows()
