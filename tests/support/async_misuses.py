"""Every built-in of asynchronous programs on handles of every kind."""

from __future__ import annotations

from async_guests import Program
from async_scripts import OPS, Instance, Script

HANDLES: dict[str, list[tuple[str, int, int, int, int]]] = {
    "nothing": [],
    "readable": [("stream.new", 1, 2, 0, 0)],
    "writable": [("stream.new", 2, 1, 0, 0)],
    "future-readable": [("future.new", 1, 2, 0, 0)],
    "future-writable": [("future.new", 2, 1, 0, 0)],
    "set": [("set.new", 1, 0, 0, 0)],
    "subtask": [("call", 1, 1, 0, 0)],
    "returned": [("call", 1, 1, 1, 0), ("set.new", 2, 0, 0, 0), ("join", 1, 2, 0, 0), ("wait", 2, 0, 0, 0)],
    "dropped": [("set.new", 1, 0, 0, 0), ("set.drop", 1, 0, 0, 0)],
    "busy": [("stream.new", 1, 2, 0, 0), ("stream.read", 1, 1, 0, 0)],
    "in a set": [("stream.new", 1, 2, 0, 0), ("set.new", 3, 0, 0, 0), ("join", 1, 3, 0, 0)],
}
"""Steps after which register 1 holds a handle of some kind. Registers that nobody sets hold 0."""

NO_HANDLE = ("return", "context", "take", "make", "destroy")
ON_HANDLES = [op.name for op in OPS if "local.get $a" in op.code and op.name not in NO_HANDLE]


def misuses() -> list[tuple[str, Program]]:
    """Every built-in on handles of every kind."""
    found = []
    for kind, made in HANDLES.items():
        for name in ON_HANDLES:
            if name in ("stream.new", "future.new", "set.new", "call", "call-sync", "swap", "cb-wait", "cb-yield"):
                continue
            step = (name, 1, 3, 2, 1)
            root = Script("f", "stackful", [*made, step, ("return", 5, 0, 0, 0), ("end", 0, 0, 0, 0)])
            waits = Script("f", "stackful", [("yield", 0, 0, 0, 0)] * 3 + [("return", 1, 0, 0, 0)])
            soon = Script("f", "stackful", [("yield", 0, 0, 0, 0), ("return", 2, 0, 0, 0)])
            takes = Script("g", "stackful", [("take", 1, 0, 0, 0), ("return", 3, 0, 0, 0)])
            found.append((f"{name} of {kind}", Program(0, "u8", [Instance([root]), Instance([waits, soon, takes])])))
    return found
