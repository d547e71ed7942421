"""Resumable frames: functions whose frames can be taken off the stack and put back, on any engine.

`must_be_resumable` finds the functions that may be on the stack when something blocks; `make_resumable` rewrites them.

The protocol. Words: a *leaf* is a function that may suspend its caller, an import or one that the compiler makes; an
*entry* is a resumable function that a driver (a scheduler, or a host) calls from outside. `Carrier` has the globals.

1. Running (`state` 0). Everything is as without the transform. A driver that starts a task has `top` point at the
   bottom of the room for its frames, `limit` behind the room, and calls the entry.
2. To suspend, a leaf sets `state` to 1 and returns; its results are ignored. Each frame below is saved at `top`, the
   innermost first, `top` moves behind it, and the function returns zeros and nulls. When the entry has returned to the
   driver with `state` 1, all is saved: the driver ignores the results, remembers `top` (and `limit`) for the task, and
   sets `state` to 0. Then it may call what it likes, and start or resume other tasks with other room for frames.
3. To resume, the driver sets `top` (and `limit`) to those of the task, `state` to 2, and calls the same entry. Its
   arguments are ignored, so zeros will do; only a reference that must not be null has to be one. The frames go back in
   order, the outermost first, `top` moves down, and at last *the leaf is called again*, with the frames below it as
   they were. Its arguments have no meaning then, so a leaf has to save those of its first call.
4. A leaf that is called with `state` 2 sets it to 0 and returns the result, or throws, and execution continues. Or it
   sets it to 1 and returns, and everything is suspended again.

No function of the module may be called while `state` is 1 or 2, except as said. A leaf must only suspend if all frames
between it and the driver are resumable; a caller with other frames in between makes sure that no leaf suspends then.
If the task is abandoned while it is suspended, its frames are discarded with its room, but the references in them stay
in the tables of the carrier.

What changes for a program: a tail call that may suspend is a call followed by a return, so it takes room on the stack;
a call through a table whose elements change while it is suspended continues in the function that was called.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import field

from meld.ir.instructions import Instruction
from meld.ir.module import Function, Module
from meld.rewriting.resumable.callgraph import CallGraph, CallPath, must_be_resumable
from meld.rewriting.resumable.carrier import Carrier
from meld.rewriting.resumable.placeholders import Placeholders
from meld.rewriting.resumable.rewrite import FrameInfo, Rewriting, refused
from meld.support.records import record


@record()
class Resumable:
    """The result of `make_resumable`.

    Attributes:
        carrier: the globals, the memory and the tables.
        frames: the functions that were rewritten; one that never makes a call that may suspend is not among them.
    """

    carrier: Carrier
    frames: dict[Function, FrameInfo] = field(default_factory=dict)


def make_resumable(
    module: Module,
    suspending: Collection[Function],
    resumable: Collection[Function],
    *,
    carrier: Carrier | None = None,
    graph: CallGraph | None = None,
) -> Resumable:
    """Rewrites exactly the functions in `resumable`, in the module.

    Args:
        suspending: the leaves. Resumable functions are rewritten at calls of a leaf or of one another.
        resumable: defined functions; see `must_be_resumable`.
        carrier: where frames go; a new one if None.
        graph: the calls of the module as it is, if they are known.

    Raises:
        MeldError: a function cannot be rewritten; it is named. The module is to be thrown away then.
    """
    imported = [f for f in resumable if f.body is None]
    if imported:
        raise refused(imported[0], "it is an import")
    graph = graph or CallGraph(module)
    done = Resumable(carrier or Carrier.new(module))
    wanted = frozenset(resumable)
    suspends = {*suspending, *wanted}
    kinds: dict[object, bool] = {}

    def is_point(call: Instruction) -> bool:
        if call.op in ("call", "return_call"):
            return call.args[0] in suspends
        key = graph.key(call)
        if key not in kinds:
            kinds[key] = not suspends.isdisjoint(graph.targets(key))
        return kinds[key]

    rewriting = Rewriting(module, done.carrier, is_point, graph.steady, Placeholders(module))
    for function in [f for f in module.functions if f in wanted]:
        info = rewriting.rewrite(function)
        if info is not None:
            done.frames[function] = info
    return done


__all__ = [
    "CallGraph",
    "CallPath",
    "Carrier",
    "FrameInfo",
    "Resumable",
    "make_resumable",
    "must_be_resumable",
]
