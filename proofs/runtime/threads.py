"""Threads that instances make, in bit-vectors (CanonicalABI.md, "Threads"; canon thread.*): who runs next, who waits.

A thread that is suspended is in no queue; the record of its frames, or its own if it has not started, goes to the end
of those that have yielded (`resume-later`), or is what the thread that leaves switches to. A thread that leaves says
how, has a frame, and `$frames.state` is 1: how its frames leave the stack, and come back, is not said here. In a call
of a function of synchronous type only threads of its instance run: the first one of a queue that can, `MOST` being
looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3

from meld.abi.traps import Trap
from proofs.runtime.blocking import BLOCKS, Pushed
from proofs.runtime.cells import Cell, bits, symbol
from proofs.runtime.check import YES, Scenario
from proofs.runtime.handles import HANDLE, WRONG_TYPE, Table
from proofs.runtime.program import build_tasks
from proofs.runtime.tasks import HOOKS, LATER, MOST_TASKS, READY, After, Line, variable
from proofs.runtime.waitables import UNKNOWN

REGIONS = build_tasks(MOST_TASKS, threaded=True)[1]
PART = 224
"""Where a record says what is said of threads, 32 bytes."""
STATE, ROOM, OF_TASK = 4, 16, 20
"""Behind that: whether it is suspended or yields; the record of its frames; its task."""
SUSPENDED, YIELDING = 1, 2
MOST = 2
RUNNING, INSTANCE = variable("thread"), symbol("instance")


def part_of(name: str, record: z3.BitVecRef, when: z3.BoolRef = YES, *, doubtful: bool = False) -> Cell:
    """What the record of a thread says of it as such."""
    return Cell(name, record + PART, 32, when, doubtful=doubtful)


class Named:
    """The thread of an index, which may be the one that runs, and the table of its instance."""

    def __init__(self, limit: int, running: z3.BitVecRef | None = None) -> None:
        self.table = t = Table(limit)
        t.record = Cell("record", bits(REGIONS.record + 32), 16, static=True)
        self.at, self.valid = t.entry.first(4), z3.And(z3.ULT(HANDLE, t.length), t.entry.first(0) == 1)
        self.runs = z3.And(self.valid, self.at == running) if running is not None else z3.BoolVal(False)
        self.other = z3.And(self.valid, z3.Not(self.runs))
        self.part = part_of("thread", self.at, self.other, doubtful=True)
        self.room, self.state = self.part.first(ROOM), self.part.first(STATE)
        self.traps = [
            (UNKNOWN, z3.Or(z3.UGE(HANDLE, t.length), t.entry.first(0) == 0)),
            (WRONG_TYPE, t.entry.first(0) != 1),
        ]
        self.cells = [t.record, t.entry, self.part]
        self.given = [
            t.invariant(),
            t.placed,
            t.loans == 0,
            z3.Implies(HANDLE == 0, t.entry.first(0) == 0),
            z3.Implies(self.valid, z3.UGE(self.at, 16)),
            z3.Implies(self.valid, z3.ULE(self.at, 1 << 31)),
        ]
        self.low = [(t.at, t.capacity != 0)]

    @property
    def next(self) -> z3.BitVecRef:
        """What runs: its frames, or its record."""
        return z3.If(self.room != 0, self.room, self.at)

    def wake(self, after: After) -> None:
        """It is suspended no more."""
        suspended = z3.And(self.other, self.state == SUSPENDED)
        after.traps += [*self.traps, (Trap.NOT_SUSPENDED.value, z3.Not(suspended))]
        after.put(self.part, STATE, 0)
        after.put(self.part, ROOM, 0)

    def beyond(self, *cells: Cell) -> list[z3.BoolRef]:
        """Cells are no part of the table."""
        return [z3.Implies(c.when, self.table.beyond(c)) for c in (self.table.record, self.part, *cells)]


def scenarios(limit: int) -> Iterator[Scenario]:
    """The built-ins by which threads change places, and the choice of the next one in a synchronous call."""
    yield _later(limit)
    for how, state in (("suspend", SUSPENDED), ("yield", YIELDING)):
        for then in ("", "-then-resume", "-then-promote"):
            yield _leaves(limit, f"thread.{how}{then}", state)
    yield _first()


def _of(
    name: str,
    arguments: tuple[z3.BitVecRef, ...],
    cells: list[Cell],
    facts: list[z3.BoolRef],
    after: After,
    *results: z3.BitVecRef,
) -> Scenario:
    for word in ("thread", "next"):
        after.set(word, variable(word), z3.BoolVal(False))
    given = z3.And(*facts, variable("frames.state") == 0)
    want = after.want(*results)
    return Scenario(f"threads: {name}", name, arguments, cells, given, want, summaries=HOOKS, program="threads")


def _queues() -> Cell:
    return Cell("queues", bits(REGIONS.queues), 24, static=True)


def _later(limit: int) -> Scenario:
    """`thread.resume-later`: a suspended thread is behind all that have yielded."""
    named, after, queues = Named(limit), After(), _queues()
    named.wake(after)
    first = Cell("first", named.next, 16, named.valid)
    tail = Cell("tail", queues.first(LATER + 4), 16, z3.And(named.valid, queues.first(LATER) != 0))
    after.put(first, 0, 0)
    after.put(tail, 0, named.next)
    after.put(queues, LATER, named.next, queues.first(LATER) == 0)
    after.put(queues, LATER + 4, named.next)
    facts = [*named.given, *named.beyond(queues, first, tail)]
    made = _of("thread.resume-later", (HANDLE,), [*named.cells, queues, first, tail], facts, after)
    made.low = named.low
    return made


def _leaves(limit: int, name: str, state: int) -> Scenario:
    """The running thread leaves, suspended or yielding; `then` says which one runs instead, if it can.

    That the running thread may suspend itself is asked of its task, which has threads. What only yields is in a task
    that may block, and can leave.
    """
    resumes, promotes = name.endswith("resume"), name.endswith("promote")
    named, after, queues, pushed = Named(limit, RUNNING), After(), _queues(), Pushed()
    running = part_of("running", RUNNING)
    task = variable("task")
    own = part_of("task", task, task != RUNNING, doubtful=True)
    flags = Cell("flags", task + 32, 16)
    facts = [
        z3.UGE(RUNNING, 16),
        z3.ULE(RUNNING, 1 << 31),
        z3.UGE(task, 16),
        z3.ULE(task, 1 << 31),
        z3.Or(variable("movable") == 0, variable("movable") == -1),
        z3.ULE(variable("driven"), 1),
        running.first(STATE) == 0,
        running.first(OF_TASK) == task,
        z3.Implies(own.when, own.first(OF_TASK) == task),
    ]
    cells = [running, own, flags]
    may_leave = variable("movable") & variable("driven") != 0
    if resumes:
        named.wake(after)
        after.set("next", named.next)
    if promotes:
        promoted = z3.And(named.other, named.state == YIELDING)
        room = Cell("room", named.room, 16, promoted)
        line = Line(room, queues, LATER, YES, most=MOST)
        after.traps += [*named.traps, (Trap.NOT_SUSPENDED.value, named.runs)]
        line.there = promoted
        line.remove(after)
        after.put(named.part, STATE, 0, promoted)
        after.set("next", named.room, promoted)
        cells += [queues, room, *line.before]
        facts += [z3.Implies(promoted, line.facts), *named.beyond(queues, room, *line.before)]
    if resumes or promotes:
        cells += named.cells
        facts += [*named.given, *named.beyond(*cells[:3], pushed.reused, pushed.new)]
    if name == "thread.yield" or (promotes and state == YIELDING):
        facts += [flags.first(0) & BLOCKS != 0, may_leave]
    after.traps += [(Trap.OUT_OF_ORDER.value, z3.Not(may_leave)), pushed.trap]
    after.events.append(pushed.event)
    after.put(running, STATE, state)
    after.set("frames.state", 1)
    pushed.stays(after, None)
    made = _of(name, (HANDLE,) if resumes or promotes else (), [*cells, pushed.reused], facts, after, bits(0))
    made.fresh, made.atomic = [pushed.new], False
    made.low = [*(named.low if resumes or promotes else []), (RUNNING, YES), (task, YES)]
    return made


def _first() -> Scenario:
    """`first_of`: of the first ones of a queue, that which can run; frames can if nothing is waited for any more.

    Frames that have the instance for themselves cannot, and of what has not started only threads that were made can.
    """
    after, queues, record = After(), _queues(), Cell("record", INSTANCE, 32)
    at, there, found = queues.first(READY), YES, bits(0)
    cells, facts, low = [queues, record], [], []
    none = YES
    for n in range(MOST):
        item = Cell(f"item{n}", at, 16, z3.And(there, at != 0))
        frames = z3.And(item.when, item.first(4) == 0)
        starts = z3.And(item.when, item.first(4) != 0)
        thread = z3.If(frames, item.first(8), at)
        owner = Cell(f"owner{n}", thread, 16, frames)
        part = part_of(f"part{n}", at, starts)
        instance = z3.If(frames, owner.first(12), item.first(12))
        frame = Cell(f"frame{n}", item.first(12), 16, z3.And(frames, instance == INSTANCE))
        word = frame.first(8)
        own = word == frame.base + 8
        other = Cell(f"word{n}", word, 4, z3.And(frame.when, z3.Not(own)), doubtful=True, static=True)
        waits = z3.If(own, word, other.first(0)) == 0
        can = z3.If(frames, z3.And(record.first(20) != thread, z3.Not(waits)), part.first(OF_TASK) != at)
        can = z3.And(item.when, instance == INSTANCE, can)
        found = z3.If(z3.And(none, can), at, found)
        none = z3.And(none, z3.Not(can))
        cells += [item, owner, part, frame, other]
        low += [(other.base, other.when)]
        facts.append(z3.Implies(item.when, z3.ULE(at, 1 << 31)))
        there, at = z3.And(item.when, z3.Not(can)), item.first(0)
    facts.append(z3.Implies(there, at == 0))
    made = _of("first_of", (bits(REGIONS.queues + READY), INSTANCE), cells, facts, after, found)
    made.low = low
    return made
