"""What blocks on the stack, in bit-vectors: frames, the synchronous calls below, yields, the work that runs meanwhile.

A frame says which word has to be not 0 before it goes on. Of the stack exist the running task, `MOST` frames at most,
and the tasks that called one another synchronously there. In the program `blocking` all that goes on above a frame is
one hook in place of `run_until`: whatever happens there, the word that the frame waits for has a value afterwards. The
function itself is proved in the other program, and so is `thread.yield`, where calls that start are what can run.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3

from meld.abi.traps import Trap
from meld.notes.tasks import task_bytes
from meld.passes.emit_tasks.bodies import MOST_YIELDS
from proofs.runtime.cells import GLOBAL, NEW, Cell, bits, full, symbol
from proofs.runtime.check import YES, Event, Scenario, taken
from proofs.runtime.handles import HANDLE, RECORD
from proofs.runtime.subtasks import of_handle
from proofs.runtime.tasks import (
    FRAMES,
    HOOKS,
    LATER,
    PENDING,
    READY,
    STARTED,
    STARTING,
    TASK,
    WAITS,
    After,
    Task,
    Waiters,
    is_flag,
    variable,
)

MOST = 2
"""Frames on the stack."""
BLOCKS = 1
"""The flag of a task that may block."""
RESULT, CALLER, BEFORE = 28, 44, 80
"""Of a task: its result, the record of its caller's instance, the task that ran before."""
RUN_UNTIL = "run_until"
WORD = symbol("word")


class Stack:
    """The running task, the frames, and the tasks that wait for one another in them."""

    def __init__(self, most: int = MOST) -> None:
        self.running = variable("task")
        self.frames: list[Cell] = []
        self.words: list[Cell] = []
        self.tasks = [Cell("running", self.running, task_bytes(0))]
        self.ready: list[z3.BoolRef] = []
        """Of each frame, whether it can go on."""
        base, there, waits = variable("frame"), YES, YES
        refused = []
        for n in range(most):
            frame, task = Cell(f"frame{n}", base, 16, z3.And(there, base != 0)), self.tasks[n]
            word = frame.first(8)
            own, result = word == base + 8, z3.And(task.when, word == task.base + RESULT)
            other = Cell(
                f"word{n}", word, 4, z3.And(frame.when, z3.Not(z3.Or(own, result))), doubtful=True, static=True
            )
            can = z3.If(own, word, z3.If(result, task.first(RESULT), other.first(0))) != 0
            waits = z3.And(waits, frame.when, result, task.first(RESULT) == 0, task.first(CALLER) != 0)
            below = Cell(f"caller{n}", task.first(BEFORE), task_bytes(0), waits)
            may = below.first(32) & BLOCKS != 0
            refused.append(z3.And(waits, z3.Not(may)))
            waits = z3.And(waits, may)
            self.frames.append(frame)
            self.words.append(other)
            self.tasks.append(below)
            self.ready.append(z3.And(frame.when, can))
            base, there = frame.first(12), frame.when
        self.callers_refuse = z3.Or(*refused)
        """A caller that waits for the running task, or for one that does, must not block."""
        self.refused = z3.Or(self.tasks[0].first(32) & BLOCKS == 0, self.callers_refuse)
        self.given = z3.And(z3.Implies(there, base == 0), variable("frames.state") == 0)

    @property
    def cells(self) -> list[Cell]:
        return [*self.tasks, *self.frames]

    @property
    def deep(self) -> list[Cell]:
        """With the words that frames wait for."""
        return [*self.cells, *self.words]

    @property
    def low(self) -> list[tuple[z3.BitVecRef, z3.BoolRef]]:
        """Where these words are."""
        return [(word.base, word.when) for word in self.words]


class Pushed:
    """One more frame, for a while: one that is not in use, or a new block."""

    def __init__(self, when: z3.BoolRef = YES) -> None:
        free = variable("free")
        self.used, self.made = z3.And(when, free != 0), z3.And(when, free == 0)
        self.reused = Cell("reused", free, 16, self.used)
        self.new = Cell("new", symbol("new"), 16, z3.And(self.made, z3.Not(full(0))), zero=True)
        self.base = z3.If(free != 0, free, self.new.base)
        self.trap = taken(0, self.made)
        self.event = Event(NEW, (bits(16),), self.made)

    def put(self, after: After, at: int, value: z3.BitVecRef | int, when: z3.BoolRef = YES) -> None:
        after.put(self.reused, at, value, when)
        after.put(self.new, at, value, z3.And(self.made, when))

    def popped(self, after: After, word: z3.BitVecRef | None, when: z3.BoolRef = YES) -> None:
        """It was there, and is the first one that is free; it waited for a word, or for nothing."""
        self.put(after, 8, self.base + 8 if word is None else word, when)
        after.set("free", self.base, z3.And(z3.Or(self.used, self.made), when))

    def stays(self, after: After, word: z3.BitVecRef | None, when: z3.BoolRef = YES) -> None:
        """It is the innermost one."""
        self.put(after, 8, self.base + 8 if word is None else word, when)
        self.put(after, 12, variable("frame"), when)
        there = z3.And(z3.Or(self.used, self.made), when)
        after.set("free", z3.If(self.used, self.reused.first(12), variable("free")), there)
        after.set("frame", self.base, there)


def scenarios(limit: int) -> Iterator[Scenario]:
    """Every function that blocks, or asks whether one may."""
    yield from _checks()
    yield from _awaits()
    yield _block_on_set()
    yield _call_sync(limit)
    yield _cancelled(limit)
    yield _run_until(limit)
    yield _yield(limit, others=False)
    yield _yield(limit, others=True)


def _of(
    name: str,
    arguments: tuple[z3.BitVecRef, ...],
    cells: list[Cell],
    given: z3.BoolRef,
    after: After,
    *results: z3.BitVecRef,
    pushed: Pushed | None = None,
    hooked: bool = False,
) -> Scenario:
    hooks = frozenset({RUN_UNTIL}) if hooked else frozenset()
    if hooked:
        after.words[GLOBAL, f"{RUN_UNTIL}.answer"] = ANSWER
    return Scenario(
        f"blocking: {name}",
        name,
        arguments,
        [*cells, *([] if pushed is None else [pushed.reused])],
        given,
        after.want(*results),
        [] if pushed is None else [pushed.new],
        atomic=pushed is None,
        summaries=HOOKS | hooks,
        stores=hooks,
        program="blocking" if hooked else "tasks",
    )


ANSWER = symbol(f"{RUN_UNTIL}.answer")


def _checks() -> Iterator[Scenario]:
    stack, after = Stack(), After()
    after.traps.append((Trap.BLOCK.value, stack.callers_refuse))
    yield _of("check_callers", (variable("frame"),), stack.cells, stack.given, after)
    stack, after = Stack(), After()
    after.traps.append((Trap.BLOCK.value, stack.refused))
    yield _of("check_blocking", (variable("frame"),), stack.cells, stack.given, after)


def _awaits() -> Iterator[Scenario]:
    """A waitable is waited for, and belongs to whoever waits; it is a readable end where its event is delivered."""
    for name in ("await", "block_on_waitable", "await_end"):
        stack, after, pushed = Stack(), After(), Pushed()
        mine = Cell("waitable", symbol("waitable"), 64)
        word = mine.base + 12
        after.traps = [
            (Trap.SYNC_AND_ASYNC.value, mine.first(4) != 0),
            (Trap.BLOCK.value, stack.refused),
            pushed.trap,
        ]
        after.events += [pushed.event, Event(RUN_UNTIL, (word,))]
        event = z3.If(mine.first(12) != 0, mine.first(12), ANSWER)
        after.put(mine, 12, event)
        if name == "await":
            after.put(mine, 4, 1)
            pushed.stays(after, word)
        else:
            pushed.popped(after, word)
            after.set("yields", 0)
        results = []
        if name == "await_end":
            results.append(event - 1)
            after.put(mine, 12, 0)
            after.put(mine, 32, mine.first(32) & bits(-6) | ((event - 1) & 1) << 1)
        given = z3.And(stack.given, ANSWER != 0, mine.first(0) >> 28 == 2)
        yield _of(name, (mine.base,), [*stack.cells, mine], given, after, *results, pushed=pushed, hooked=True)


def _block_on_set() -> Scenario:
    """Unless a set has an event, a frame waits for one behind all that wait; afterwards none does that did not."""
    stack, after = Stack(1), After()
    waiters = Waiters(symbol("set"), YES, 1)
    own = waiters.set
    blocks = own.first(0) == 0
    pushed = Pushed(blocks)
    after.traps = [(Trap.BLOCK.value, z3.And(blocks, stack.refused)), pushed.trap]
    after.events += [pushed.event, Event(RUN_UNTIL, (own.base,), blocks)]
    after.put(own, 0, ANSWER, blocks)
    pushed.put(after, 0, 0)
    pushed.popped(after, own.base)
    after.set("yields", 0, blocks)
    given = z3.And(stack.given, ANSWER != 0, waiters.facts, waiters.at == 0)
    cells = [*stack.cells, *waiters.cells]
    return _of("block_on_set", (own.base,), cells, given, after, pushed=pushed, hooked=True)


def _call_sync(limit: int) -> Scenario:
    """A call begins, and its caller waits for its result, if there is none; a host may always wait."""
    t, stack, after, pushed = Task(limit, Cell("callee", symbol("callee"), 128)), Stack(1), After(), Pushed()
    starts = t.free_to_run
    tail = t.tail(PENDING, z3.Not(starts))
    word = TASK + RESULT
    blocks = t.cell.first(RESULT) == 0
    after.traps = [pushed.trap, (Trap.BLOCK.value, z3.And(blocks, t.cell.first(CALLER) != 0, stack.refused))]
    after.events += [pushed.event, Event("start", (TASK,), starts), Event(RUN_UNTIL, (word,), blocks)]
    t.append(after, PENDING, tail, z3.Not(starts))
    after.put(t.cell, RESULT, ANSWER, blocks)
    pushed.popped(after, word)
    after.set("yields", 0)
    cells = [t.cell, t.record, tail, *stack.cells]
    given = z3.And(t.known_but_share, stack.given, ANSWER != 0)
    return _of("call_sync", (TASK,), cells, given, after, pushed=pushed, hooked=True)


def _cancelled(limit: int) -> Scenario:
    """The synchronous `subtask.cancel` of a call that runs on: it is told, and its end is waited for, and delivered."""
    t, stack, after, pushed = Task(limit), Stack(1), After(), Pushed()
    given, subtask, after.traps = of_handle(t)
    task = t.cell
    after.traps += [
        (Trap.NOT_SUBTASK.value, t.table.entry.first(0) != 2),
        (Trap.SYNC_AND_ASYNC.value, task.first(20) != 0),
        pushed.trap,
        (Trap.BLOCK.value, stack.refused),
    ]
    word = task.base + RESULT
    after.events += [pushed.event, Event(RUN_UNTIL, (word,))]
    after.put(task, 36, 7)
    after.put(task, RESULT, 0)
    after.put(task, 20, 0)
    pushed.popped(after, word)
    after.set("yields", 0)
    runs = z3.And(
        t.known_but_share,
        task.first(8) == STARTED,
        z3.LShR(task.first(16), 28) == 1,
        z3.Not(is_flag(t.flags, WAITS)),
        task.first(36) != 1,
    )
    away = [z3.Implies(c.when, t.table.beyond(c)) for c in (*stack.cells, pushed.reused, pushed.new)]
    ends = z3.Or(ANSWER == 3, ANSWER == 5)
    given = z3.And(given, *away, stack.given, z3.Implies(subtask, runs), ends)
    cells = [task, t.record, t.table.entry, *stack.cells]
    made = _of("subtask_cancel", (RECORD, HANDLE, bits(1)), cells, given, after, ANSWER - 1, pushed=pushed, hooked=True)
    made.name += ", waited for"
    made.low = [(t.table.at, t.table.capacity != 0)]
    return made


def _run_until(limit: int) -> Scenario:
    """Other work runs until the word of the innermost frame, 0 at first, is not: one call that starts, no more."""
    t, stack, after = Task(limit), Stack(), After()
    t.cell = Cell("task", t.queues.first(READY), task_bytes(0), t.queues.first(READY) != 0)
    t.cells[0] = t.cell
    can, below = stack.ready
    leaves = z3.And(variable("movable") & variable("driven") != 0, below)
    runs = z3.Not(leaves)
    after.set("frames.state", 1, leaves)
    after.traps = [(Trap.OUT_OF_ORDER.value, z3.And(runs, below)), (Trap.DEADLOCK.value, runs)]
    frame = stack.frames[0]
    given = z3.And(
        stack.given,
        frame.when,
        z3.Not(can),
        t.queues.first(FRAMES) == 0,
        t.queues.first(LATER) == 0,
        z3.Implies(t.cell.when, z3.And(t.cell.first(0) == 0, t.cell.first(4) != 0, t.cell.first(8) == STARTING)),
        z3.Implies(t.cell.when, z3.And(t.cell.first(12) == RECORD, t.free_to_run)),
    )
    made = _of("run_until", (frame.first(8),), [*t.cells, *stack.deep], given, after)
    made.atomic, made.low = False, stack.low
    return made


def _yield(limit: int, *, others: bool) -> Scenario:
    """`thread.yield`: what is ready runs, and what has yielded before; here, calls that start, one and two, or none.

    With others, there is no frame below, which could refuse, or make this one leave.
    """
    stack, after, t = Stack(0 if others else 1), After(), Task(limit)
    may = stack.tasks[0].first(32) & BLOCKS != 0
    pushed = Pushed(may)
    ready = Cell("ready", t.queues.first(READY), task_bytes(0), t.queues.first(READY) != 0)
    one = Cell("one", t.queues.first(LATER), task_bytes(0), t.queues.first(LATER) != 0)
    two = Cell("two", one.first(0), task_bytes(0), z3.And(one.when, one.first(0) != 0))
    waiting = [ready, one, two]
    may_leave = variable("movable") & variable("driven") != 0
    can = z3.Or(*stack.ready)
    leaves, runs = z3.And(may, may_leave, can), z3.And(may, z3.Not(z3.And(may_leave, can)))
    counted = variable("yields") + 1
    after.traps = [
        (Trap.BLOCK.value, z3.And(may, stack.callers_refuse)),
        (Trap.OUT_OF_ORDER.value, z3.And(may, z3.Not(may_leave), z3.UGT(counted, MOST_YIELDS), can)),
        pushed.trap,
    ]
    after.set("yields", counted, z3.And(may, z3.Not(may_leave)))
    after.set("frames.state", 1, leaves)
    after.events.append(pushed.event)
    pushed.stays(after, None, leaves)
    pushed.popped(after, None, runs)
    after.put(t.queues, READY, 0, runs)
    after.put(t.queues, LATER, 0, runs)
    after.events += [Event("start", (c.base,), z3.And(runs, c.when)) for c in waiting]
    starts = [z3.And(c.first(4) != 0, c.first(8) == STARTING, c.first(12) == RECORD) for c in waiting]
    facts = [z3.Implies(c.when, fact) for c, fact in zip(waiting, starts, strict=True)]
    facts += [stack.given, t.record.first(20) == 0, t.record.first(16) == 0, t.queues.first(FRAMES) == 0]
    facts += [z3.Implies(ready.when, ready.first(0) == 0), z3.Implies(two.when, two.first(0) == 0)]
    if others:
        facts += [may, variable("free") != 0]
    else:
        facts += [z3.Not(ready.when), z3.Not(one.when)]
    cells = [t.record, t.queues, *waiting, *stack.deep]
    made = _of("yield", (), cells, z3.And(*facts), after, bits(0), pushed=pushed)
    made.low = stack.low
    made.name += ", others run" if others else ", alone"
    return made
