"""Which functions of the runtime stand in place of their calls: a call costs as much as a short function does.

One that is called in a single place is inlined, which makes the code smaller. A few that every read, write, switch and
event goes through are inlined in each place, as long as these are few.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

from meld.ir.module import Function, Module
from meld.ir.types import TypeDef, ValType
from meld.rewriting.inline import inline_calls
from meld.rewriting.template import Prepared

FEW, SEVERAL, MANY = 2, 6, 1000
HOT = {
    "append": SEVERAL,
    "await": FEW,
    "awaited": SEVERAL,
    "below_ready": SEVERAL,
    "check_blocking": SEVERAL,
    "enter": SEVERAL,
    "enterable": SEVERAL,
    "first": SEVERAL,
    "frame_open": SEVERAL,
    "frame_pop": SEVERAL,
    "frame_push": SEVERAL,
    "landed": SEVERAL,
    "leave": SEVERAL,
    "leaving": MANY,
    "left": FEW,
    "may_block": SEVERAL,
    "may_leave": SEVERAL,
    "must_leave": SEVERAL,
    "outer_ready": SEVERAL,
    "ready_from": FEW,
    "room_next": FEW,
    "run_until": SEVERAL,
    "set_append": FEW,
    "set_get": FEW,
    "set_taken": SEVERAL,
    "step": FEW,
    "waitable_delivered": SEVERAL,
    "wakes": SEVERAL,
    "yielded": SEVERAL,
}
"""Functions that are inlined in so many places at most."""
OFFERED = frozenset({"off"})
"""Exported for a pass that may want them; nothing else calls them from outside."""

SELDOM = ("again_",)
"""How the names begin of functions that never are inlined: what they need kept would be kept wherever they stand."""

PATHS = {
    "answered": ("wait",),
    "back": ("enter",),
    "deliver": ("answered", "left", "set_get"),
    "off": ("append", "leave"),
    "set_append": ("append", "set_wake", "waiter_remove"),
    "set_wake": ("append", "waiter_remove"),
    "stream_read": ("set_append",),
    "stream_write": ("set_append",),
    "wait": ("set_get", "waiter_add"),
}
"""What else is inlined into a function that is on the way of each event of a task, however many places call it."""


def inline_runtime(module: Module) -> int:
    """Inlines calls in the module of the runtime; returns their number."""
    kept = {export.item for export in module.exports}
    places = Counter(
        callee
        for function in module.functions
        if not _kind(function).startswith(SELDOM)
        for callee in _called(function)
    )

    @cache
    def results(*types: ValType) -> TypeDef:
        return module.func_type((), types)

    done: set[Function] = set()
    here: tuple[str, ...] = ()

    def wanted(callee: Function) -> bool:
        if (callee in kept and callee.name not in OFFERED) or callee not in done:
            return False
        if _kind(callee).startswith(SELDOM):
            return False
        return places[callee] == 1 or callee.name in here or places[callee] <= HOT.get(_kind(callee), 0)

    inlined = 0
    for function in _callees_first(module):
        here = PATHS.get(_kind(function), ())
        inlined += inline_calls(function, wanted, results, tight=True)
        done.add(function)
    called = {callee for function in module.functions for callee in _called(function)}
    module.functions = [f for f in module.functions if f in kept or f in called]
    return inlined


def _kind(function: Function) -> str:
    """The name of a function, without its number."""
    return (function.name or "").split(".")[0]


def _called(function: Function) -> list[Function]:
    return [i.args[0] for i in function.view().instructions if i.op == "call"]


def _callees_first(module: Module) -> list[Function]:
    """The functions, each behind those that it calls, but for calls that lead back."""
    order: dict[Function, None] = {}
    open_: dict[Function, list[Function]] = {}
    for root in module.functions:
        if root in order or root in open_:
            continue
        path = [root]
        open_[root] = [f for f in _called(root) if f.body is not None]
        while path:
            pending = open_[path[-1]]
            if not pending:
                order[path.pop()] = None
                continue
            callee = pending.pop()
            if callee not in open_:
                open_[callee] = [f for f in _called(callee) if f.body is not None]
                path.append(callee)
    return list(order)


INLINED = Prepared("inlined", repr((8, HOT, PATHS, SELDOM, sorted(OFFERED))).encode(), inline_runtime)
"""For `Text.place`."""
