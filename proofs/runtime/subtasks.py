"""Calls that are lowered asynchronously, and their subtasks, in bit-vectors (CanonicalABI.md, "Subtask State").

A subtask is the task itself, by the handle of its caller: starting, started, then returned or cancelled; its event
says each of these once. `call_async` is proved for a call that may begin at once; `subtask.cancel` for one that has not
started and waits alone, for one that is resolved, and for one that runs on and is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import z3

from meld.abi.traps import Trap
from meld.notes.channels import FIRST_STREAM
from meld.notes.tasks import task_bytes
from proofs.runtime.cells import FREE, Cell, bits, symbol
from proofs.runtime.check import YES, Event, Scenario, Want
from proofs.runtime.handles import HANDLE, RECORD, Add, added, new_block, room
from proofs.runtime.tasks import (
    BEFORE,
    CANCELLED_BEFORE,
    EXITED,
    HELD,
    LATER,
    PENDING,
    READY,
    RETURNED,
    STARTED,
    STARTING,
    TASK,
    TOLD,
    WAITS,
    After,
    Line,
    Task,
    Waiters,
    is_flag,
    variable,
)
from proofs.runtime.waitables import UNKNOWN, List, first_of


def scenarios(limit: int) -> Iterator[Scenario]:
    """Every function over subtasks that is proved."""
    yield _called(limit)
    yield _dropped(limit)
    yield _cancelled(limit)
    yield from (_asked(limit, where) for where in PLACES)


def _called(limit: int) -> Scenario:
    """`call_async`: the call begins, and its caller gets a handle unless it has returned."""
    t, after = Task(limit, Cell("callee", symbol("callee"), 128)), After()
    table = t.table
    returned, frame = t.state == RETURNED, Cell("frame", variable("free"), 16)
    after.events.append(Event("start", (TASK,)))
    after.put(frame, 8, frame.base + 8)
    after.set("yields", 0)
    add = Add(table.add.before, limit, when=z3.Not(returned))
    more = added(table, bits(2), TASK, bits(0), bits(0))
    handle = more.results[0]
    after.put(t.cell, 32, z3.If(returned, t.flags & ~HELD & 0xFFFFFFFF, t.flags))
    after.put(t.cell, 16, z3.If(returned, t.cell.first(16), handle | 1 << 28))
    gone = z3.And(returned, is_flag(t.flags, EXITED))
    cells = [table.record, *add.cells, frame]
    for word, value in more.words.items():
        after.words[word] = z3.If(returned, first_of([*cells, *t.cells], word), value)
    after.traps = [(name, z3.And(z3.Not(returned), when)) for name, when in more.traps]
    after.events += [Event(e.name, e.arguments, z3.And(z3.Not(returned), e.when)) for e in more.events]
    after.events.append(Event(FREE, (TASK, t.cell.first(84)), gone))
    want = after.want(z3.If(returned, bits(RETURNED), t.state | handle << 4))
    want.moved = [replace(m, when=z3.And(z3.Not(returned), m.when)) for m in more.moved]
    others = (*t.cells, frame, table.record)
    given = z3.And(
        t.free_to_run,
        t.cell.first(44) == RECORD,
        variable("free") != 0,
        table.invariant(),
        table.placed,
        *(z3.Implies(c.when, table.beyond(c)) for c in others),
        z3.Implies(z3.And(add.grow, z3.Not(returned)), room(add, *others)),
        t.sized,
    )
    low = [(table.at, table.capacity != 0)]
    return t.of("call_async", (TASK,), cells, given, want, atomic=False, fresh=[new_block()], low=low)


def of_handle(t: Task) -> tuple[z3.BoolRef, z3.BoolRef, list[tuple[str, z3.BoolRef]]]:
    """What is known of a handle, whether it is a subtask's, and the trap if there is none. The task is its object."""
    entry, table = t.table.entry, t.table
    subtask = z3.And(z3.ULT(HANDLE, table.length), entry.first(0) == 2)
    t.cell = Cell("task", entry.first(4), task_bytes(0), subtask)
    t.cells[0] = t.cell
    known = z3.And(table.invariant(), table.placed, z3.Implies(HANDLE == 0, entry.first(0) == 0))
    away = [z3.Implies(c.when, table.beyond(c)) for c in t.cells]
    unknown = (UNKNOWN, z3.Or(z3.UGE(HANDLE, table.length), entry.first(0) == 0))
    return z3.And(known, *away), subtask, [unknown]


def _dropped(limit: int) -> Scenario:
    """`subtask.drop`: traps unless it is resolved and its event was delivered."""
    t, after = Task(limit), After()
    given, subtask, after.traps = of_handle(t)
    found = t.table.entry.first(0)
    after.traps += [
        (Trap.NOT_WAITABLE.value, z3.And(found != 2, found < FIRST_STREAM)),
        (Trap.NOT_SUBTASK.value, found != 2),
        (Trap.SUBTASK_DROP.value, z3.Or(z3.ULT(t.state, RETURNED), t.cell.first(28) != 0)),
    ]
    joined = z3.And(subtask, t.cell.first(20) != 0)
    its_set = Cell("set", t.cell.first(20), 16, joined)
    after.words |= t.table.released()
    after.put(its_set, 8, its_set.first(8) - 1)
    after.put(t.cell, 20, 0)
    after.put(t.cell, 16, 0)
    after.put(t.cell, 32, t.flags & ~HELD & 0xFFFFFFFF)
    after.events.append(Event(FREE, (t.cell.base, t.cell.first(84)), is_flag(t.flags, EXITED)))
    return _subtask_scenario(t, "subtask_drop", (RECORD, HANDLE), [its_set], given, subtask, after.want())


def _subtask_scenario(
    t: Task,
    name: str,
    arguments: tuple[z3.BitVecRef, ...],
    cells: list[Cell],
    given: z3.BoolRef,
    subtask: z3.BoolRef,
    want: Want,
) -> Scenario:
    scenario = t.of(name, arguments, [t.table.entry, *cells], z3.BoolVal(True), want)
    away = [z3.Implies(c.when, t.table.beyond(c)) for c in cells]
    scenario.assumption = z3.And(
        given, *away, z3.Implies(subtask, z3.And(t.known, t.sized)), variable("frames.state") == 0
    )
    scenario.atomic, scenario.low = False, [(t.table.at, t.table.capacity != 0)]
    return scenario


def _cancelled(limit: int) -> Scenario:
    """`subtask.cancel`: of a call that has not started; of one that is resolved; of one that runs on, which is told."""
    t, after = Task(limit), After()
    sync = symbol("sync")
    given, subtask, after.traps = of_handle(t)
    joined = t.cell.first(20) != 0
    starting, running = z3.And(subtask, t.state == STARTING), z3.And(subtask, t.state == STARTED)
    event = t.cell.first(28)
    after.traps += [
        (Trap.NOT_SUBTASK.value, t.table.entry.first(0) != 2),
        (Trap.SYNC_AND_ASYNC.value, z3.And(sync != 0, joined)),
        (Trap.CANCEL_TERMINAL.value, z3.And(z3.UGE(t.state, RETURNED), z3.ULT(event, 3))),
    ]
    ends = z3.And(subtask, z3.UGE(t.state, RETURNED), z3.UGE(event, 3))
    listed = List(t.cell.first(20), t.cell, 16, "set", z3.And(ends, joined), 1)
    after.words |= {
        w: z3.If(listed.set.when, v, first_of([listed.set, *listed.before], w)) for w, v in listed.removed().items()
    }
    after.put(t.cell, 28, 0, ends)
    after.put(t.cell, 8, CANCELLED_BEFORE, starting)
    t.over(after, starting)
    # it waits for its instance, and alone; what is ready is not empty, or it is
    out = z3.And(starting, t.record.first(PENDING) == t.cell.base)
    after.put(t.record, PENDING, 0, out)
    after.put(t.record, PENDING + 4, 0, out)
    after.put(t.cell, 36, 7, running)
    frame = Cell("frame", variable("free"), 16, z3.And(running, variable("free") != 0))
    after.put(frame, 8, frame.base + 8)
    after.set("yields", 0, running)
    waits_alone = z3.And(
        t.queues.first(READY) == 0,
        z3.Implies(subtask, z3.Or(t.record.first(PENDING) == 0, z3.And(out, t.cell.first(0) == 0))),
    )
    result = z3.If(starting, bits(CANCELLED_BEFORE), z3.If(running, bits(-1), event - 1))
    told = z3.And(
        z3.Implies(running, z3.And(sync == 0, z3.Not(is_flag(t.flags, WAITS)), t.cell.first(36) != 1)),
        z3.Implies(running, variable("free") != 0),
        z3.Implies(subtask, z3.Implies(t.cell.first(16) != 0, z3.LShR(t.cell.first(16), 28) == 1)),
        z3.Implies(subtask, t.cell.first(16) != 0),
        z3.Implies(listed.set.when, listed.facts),
    )
    cells = [t.share, listed.set, *listed.before, frame]
    return _subtask_scenario(
        t,
        "subtask_cancel",
        (RECORD, HANDLE, sync),
        cells,
        z3.And(given, waits_alone, told),
        subtask,
        after.want(result),
    )


def _asked(limit: int, where: str) -> Scenario:
    """`cancel` of a task that waits in a callback, has yielded, or runs; `where` is one of `PLACES`.

    If its instance is busy, one that waited is ready, one that has yielded keeps its place, and neither has been told.
    Else it leaves those that wait for its set, or its queue, and its callback is called, and here yields or exits.
    """
    t, after = Task(limit), After()
    busy, waits, rests = where == "its instance is busy", is_flag(t.flags, WAITS), t.cell.first(36) == 1
    waiters = Waiters(t.table.entry.first(4), waits)
    answer = symbol("callback.answer")
    yields, exits = answer == 1, answer == 0
    table = z3.And(t.table.invariant(), t.table.placed)
    entry = t.table.entry
    is_set = z3.And(z3.ULT(HANDLE, t.table.length), entry.first(0) == 1, t.cell.first(40) == HANDLE, HANDLE != 0)
    handle = [table, is_set, waiters.facts, z3.Implies(waits, waiters.at == TASK)]
    facts, cells = [], [entry, *waiters.cells]
    low = [(t.table.at, t.table.capacity != 0)]
    after.put(t.cell, 36, 7)
    if busy:
        tail = t.tail(READY, waits)
        waiters.link(after, t.cell.first(0), waits)
        after.put(t.cell, 32, t.flags & ~WAITS & 0xFFFFFFFF, waits)
        t.append(after, READY, tail, waits)
        cells.append(tail)
        facts.append(t.record.first(20) != 0)
    elif where == "it runs":
        cells, low, facts = [], [], [z3.Not(waits), z3.Not(rests)]
    else:
        facts += [t.free_to_run, z3.ULE(answer, 1), t.record.first(PENDING) == 0, t.sized]
        if where == "it waits":
            tail = t.tail(LATER, yields)
            waiters.link(after, t.cell.first(0), YES)
            t.append(after, LATER, tail, yields)
            facts.append(waits)
            cells += [tail, t.share]
        else:
            ready = where == "it has yielded, and is ready"
            lines = [
                Line(t.cell, t.queues, LATER, z3.BoolVal(not ready), "later", BEFORE - ready),
                Line(t.cell, t.queues, READY, z3.BoolVal(ready), "ready", BEFORE - (not ready)),
            ]
            for line in lines:
                line.remove(after)
            lines[0].append(after, yields)
            facts += [z3.Not(waits), rests, *(f for line in lines for f in (line.facts, line.ends))]
            cells, low = [c for line in lines for c in (*line.before, line.tail)] + [t.share], []
        after.events.append(Event("callback", (TASK, bits(6), bits(0), bits(0))))
        after.put(t.cell, 36, z3.If(yields, bits(1), bits(0)))
        after.put(t.cell, 32, t.flags & ~WAITS & 0xFFFFFFFF | TOLD)
        after.put(t.cell, 80, variable("task"))
        after.put(t.record, 20, 0)
        t.exit(after, exits)
        after.set("callback.answer", answer)
    if low:
        facts += handle
        facts += [z3.Implies(c.when, t.table.beyond(c)) for c in (*t.cells, *cells[1:]) if c is not t.share]
    atomic = busy or where == "it runs"
    scenario = t.of("cancel", (TASK,), cells, z3.And(*facts), after.want(), low=low, atomic=atomic)
    scenario.name += f", {where}"
    return scenario


PLACES = ("its instance is busy", "it runs", "it waits", "it has yielded", "it has yielded, and is ready")
"""Where a task is that is cancelled."""
