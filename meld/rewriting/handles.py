"""Handle tables: one per component instance, for handles of all kinds, in the state memory.

Every instance that has handles gets a *record* at a fixed address; the functions over it (handles.wat) are shared by
all instances and take that address as their first parameter.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from meld.ir.module import Function, Module
from meld.ir.notes import Instance, Note
from meld.notes.boundaries import Boundary, CanonCall, resource_of
from meld.notes.channels import FIRST_STREAM
from meld.notes.handles import FIRST_RESOURCE, FUNCTIONS, RECORD_BYTES, HandleFunctions, HandleTable
from meld.rewriting.state import State
from meld.support.records import record

KIND = "handle-table"

ENTRY_BYTES = 16
FIRST_ENTRIES = 16
"""Entries of a new table."""
MOST_ENTRIES, FEWEST_ENTRIES = 1 << 24, 1 << 12
"""Bounds of `limit_of`."""
TABLE_SPACE = 1 << 31
"""Bytes that all tables together take at most, and what their handles stand for."""
TASK_BYTES, CHANNEL_BYTES = 256, 64
"""Blocks of the runtime of asynchronous code that live as long as a handle does, at most."""
TASK_SPACE = 1 << 29
"""Bytes that the tasks take at most that have not exited; every caller has the same share with every callee."""


@record()
class Tables:
    """The handle tables of a module. Make it with `Tables.of`.

    Attributes:
        functions: those of handles.wat, by name.
        records: the addresses of the instances' records.
    """

    module: Module
    state: State
    functions: dict[str, Function]
    records: dict[Instance, int] = field(default_factory=dict)

    @classmethod
    def of(cls, module: Module) -> Tables:
        """The tables of a module; their functions are linked in if they are not yet."""
        state = State.of(module)
        records = {n.instance: n.record for n in module.notes_of(HandleTable)}
        functions = {} if not module.notes_of(HandleFunctions) else state.linked
        if not functions:
            object_bytes = _object_bytes(module)
            limit = limit_of(len(module.notes_of(Instance)), object_bytes)
            params = {
                "limit": limit,
                "first": FIRST_ENTRIES,
                "first_bytes": FIRST_ENTRIES * ENTRY_BYTES,
                "first_resource": FIRST_RESOURCE,
                "resources": FIRST_STREAM - FIRST_RESOURCE,
                "no_resource": "NOT_RESOURCE" if object_bytes else "HANDLE_TYPE",  # else all are resources
            }
            functions = state.link(__package__, "handles.wat", params, kind=KIND)
            by_name: dict[str, Any] = {name: functions[name] for name in FUNCTIONS}
            module.notes.append(HandleFunctions(**by_name))
        return cls(module, state, functions, records)

    def record(self, instance: Instance) -> int:
        """The address of the record of an instance, which gets one if it has none."""
        if instance not in self.records:
            self.records[instance] = self.state.reserve(RECORD_BYTES)
            self.module.notes.append(HandleTable(instance, self.records[instance]))
        return self.records[instance]


def limit_of(instances: int, object_bytes: int = 0) -> int:
    """The most entries that a table may have in a program of so many instances, a power of two.

    No instance can use up what others need: together all tables, and what the handles in them stand for, fit into
    `TABLE_SPACE`. A table that has grown leaves smaller blocks behind, which together are as large as it is.

    Args:
        object_bytes: the most that the runtime keeps for one handle, besides its entry.
    """
    entries = TABLE_SPACE // ((2 * ENTRY_BYTES + object_bytes) * max(instances, 1))
    return min(max(1 << entries.bit_length() - 1, FEWEST_ENTRIES), MOST_ENTRIES)


def most_tasks(shares: int) -> int:
    """The most tasks that one share has which have not exited, of so many (`meld.passes.emit_tasks.shares`)."""
    return max(TASK_SPACE // (TASK_BYTES * max(shares, 1)), 1)


def _object_bytes(module: Module) -> int:
    """The largest block that a handle of a program can stand for: a task, or a channel."""
    found = 0
    for _, n in module.noted(Note):
        match n:
            case Boundary(lower=lower) if lower.is_async:
                return TASK_BYTES
            case CanonCall() if resource_of(n) is None:
                found = CHANNEL_BYTES
    return found
