"""Threads that instances make themselves: `canon thread.*`, over `threads.wat`.

Source: Component Model, CanonicalABI.md: Threads, canon thread.{index,new-indirect,resume-later,suspend,…}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.builtins import THREAD_START
from meld.ir.module import Function, Module, Table
from meld.ir.notes import Instance
from meld.ir.types import I64
from meld.notes.boundaries import CanonCall, threaded_instances
from meld.notes.tasks import HELD, VALUES, SynchronousCall, task_bytes
from meld.rewriting.template import filled, template_text
from meld.rewriting.text import Text
from meld.support.records import record

WAKE = "(call $thread_wake (i32.const {record}) (local.get 0))"
RESUME = f"(global.set $next {WAKE})"
PROMOTE = "(if (i32.eqz (call $thread_promote (i32.const {record}) (local.get 0))) (then {else}))"
BLOCKS = "(call $check_blocking (global.get $frame))"
YIELD = "(return (call $thread_yield (i32.const {record})))"
SUSPENDED, YIELDING = 1, 2


def _switch(first: str, how: int) -> str:
    """The body of a built-in after which the running thread leaves; it is called again when that is back."""
    return f"(if (i32.eqz (call $leaving)) (then {first})) (call $thread_leave (i32.const {how}))"


BODIES = {
    "thread.index": "(call $thread_index (i32.const {record}))",
    "thread.new-indirect": "(call $thread_new (i32.const {record}) (table.get {table} (local.get 0)) (local.get 1))",
    "thread.resume-later": f"(call $append (i32.const {{later}}) {WAKE})",
    "thread.yield": "(call $thread_yield (i32.const {record}))",
    "thread.suspend": _switch(BLOCKS, SUSPENDED),
    "thread.suspend-then-resume": _switch(RESUME, SUSPENDED),
    "thread.yield-then-resume": _switch(RESUME, YIELDING),
    "thread.suspend-then-promote": _switch(PROMOTE.replace("{else}", BLOCKS), SUSPENDED),
    "thread.yield-then-promote": _switch(PROMOTE.replace("{else}", YIELD), YIELDING),
}
"""Bodies of built-ins over `threads.wat`."""

CALL = """(local $task i32)
    (local.set $task (call $task_new {new})){keep}
    (call $call_plain (local.get $task))
    (call $let_go (local.get $task))"""
"""The body in place of a destructor, or a start function: a call of synchronous type."""
KEEP = f"(i32.store $state offset={VALUES} (local.get $task) (local.get 0))"
CALLED = """  (func {name} (param $task i32)
    (if (i32.eqz (call $leaving))
      (then
        (call $enter (local.get $task))
        (call $thread_number (local.get $task))
        (call $started (local.get $task))))
    (call {target}{given})
    (if (call $leaving) (then (return)))
    (call $resolve (local.get $task) (i32.const 2))
    (call $leave (local.get $task))
    (call $exit (local.get $task)))"""
"""The code of its task."""
GIVEN = f" (i32.load $state offset={VALUES} (local.get $task))"

RUN = "(call_indirect $starts (type $thread.start) {argument} {slot})"


@record(frozen=True)
class Threads:
    """The threads of a program.

    Attributes:
        instances: those that may make threads, or refer to them.
        call: the number that the records of threads have in place of that of a call.
        tested: whether a function that is no start function may be in one of their tables.
        catches: whether there can be exceptions.
        synchronous: the destructors and start functions that run in these instances, each with the import that stands
            for it.
    """

    instances: frozenset[Instance]
    call: int
    tested: bool
    catches: bool
    synchronous: tuple[tuple[Function, SynchronousCall], ...] = ()

    @classmethod
    def of(cls, module: Module, builtins: Mapping[Function, CanonCall], call: int) -> Threads | None:
        """The threads of a program; None if it makes and refers to none."""
        instances = threaded_instances(builtins.values())
        if not instances:
            return None
        tested = any(f.signature != THREAD_START for f in _referred(module))
        return cls(instances, call, tested, bool(module.space("tags")), synchronous(module, instances))

    def starts(self) -> dict[int, str]:
        """What runs a thread of its own, and the tasks of synchronous calls, by the numbers of these."""
        made = {self.call: "(call $thread_start (local.get $task)) (return)"}
        for number in range(1, len(self.synchronous) + 1):
            made[self.call + number] = f"(call $start.{self.call + number} (local.get $task)) (return)"
        return made

    def called(self, text: Text, number: int, n: SynchronousCall, record: int, share: int) -> str:
        """The body in place of a synchronous call: its task has the number of a call, and counts for a share.

        Args:
            record: of its instance, which is its caller, too.
        """
        has_parameter = bool(n.target.signature.params)
        given = GIVEN if has_parameter else ""
        text.add(CALLED.format(name=f"$start.{number}", target=text.use(n.target), given=given), "threads")
        new = (number, task_bytes(1), record, record, HELD | share)
        return CALL.format(new=" ".join(f"(i32.const {x})" for x in new), keep=f"\n    {KEEP}" if has_parameter else "")

    def template(self, text: Text, params: Mapping[str, Any]) -> None:
        """Adds the functions of threads."""
        run = RUN.format(
            argument="(i32.load $state offset=252 (local.get $thread))",
            slot="(i32.load $state offset=248 (local.get $thread))",
        )
        if self.catches:
            run = f"""(block $done
      (block $thrown
        (try_table (catch_all $thrown) {run})
        (br $done))
      (call {{trap THROWN_BY_TASK}}) (unreachable))"""
        given = {**params, "thread_call": self.call, "tested": self.tested, "run": run}
        text.add(template_text(__package__, "threads.wat", given), "threads")

    def body(self, text: Text, item: Function, n: CanonCall, params: Mapping[str, Any]) -> str:
        """The body of a built-in.

        Raises:
            MeldError: it has a table with 64-bit indices, or a thread an argument of 64 bits.
        """
        if I64 in item.signature.params:
            raise MeldError(
                f"`{n.builtin}` of `{n.instance.name}` has a 64-bit table, or starts functions of an i64, "
                "which engines do not support either",
                hint="compile the component for 32-bit addresses",
            )
        table = text.use(n.table) if isinstance(n.table, Table) else ""
        return filled(BODIES[n.builtin], {**params, "table": table})


def synchronous(module: Module, instances: frozenset[Instance]) -> tuple[tuple[Function, SynchronousCall], ...]:
    """The synchronous calls of destructors and start functions in some instances, each with its import."""
    noted = module.noted(SynchronousCall)
    return tuple((item, n) for item, n in noted if isinstance(item, Function) and n.instance in instances)


def thread_hooks(threads: Threads | None) -> dict[str, Any]:
    """The parameters of the templates for threads."""
    if threads is None:
        return {"threads": False, "task_of": "(local.get $task)", "alone": "(i32.const 1)", "switches": ""}
    return {
        "threads": True,
        "task_of": "(i32.load $state offset=244 (local.get $task))",
        "alone": "(local.get $task)",  # the record of an instance says which thread has it for itself
        "switches": " (call $switches)",
    }


def _referred(module: Module) -> Iterator[Function]:
    """The functions that tables may hold: those of segments, and those that code refers to."""
    for segment in module.elements:
        yield from segment.functions or ()
    for code in (*module.constants(), *(f.view().instructions for f in module.functions)):
        yield from (i.args[0] for i in code if i.op == "ref.func")
