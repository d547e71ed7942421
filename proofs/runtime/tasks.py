"""Tasks and their scheduler in bit-vectors (CanonicalABI.md, "Task State", "Subtask State").

A task that does not run is in one queue at most, by its first word: among the ready ones, those that yielded, those
that wait for its instance, or those that wait for its set, which a flag says. Each function here is given a task that
runs, and so is in none, or one that is where it takes it from; that it is in one queue afterwards, at its end, or in
none follows from the words. Of a queue exist its first and its last task; of those that wait for a set, `BEFORE` at
most before the one that a function is about; of those that wait for an instance, two.

Guests do nothing but answer: functions that go on behind them are proved for all states where they are functions of
their own (`left`, `answered`, `exit`, `let_go`). No frame is off the stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import z3

from meld.abi.traps import Trap
from meld.notes.tasks import task_bytes
from proofs.runtime.cells import FREE, GLOBAL, NEW, Cell, bits, full, symbol
from proofs.runtime.check import YES, Event, Scenario, Want, taken
from proofs.runtime.handles import HANDLE, RECORD, Table
from proofs.runtime.program import SHARES, build_tasks
from proofs.runtime.waitables import NOT_SET, UNKNOWN
from proofs.subject import Word

MOST_TASKS = 8
"""Tasks of a share, in the program that is proved."""
BEFORE = 2
"""Those that wait before the task that a function is about."""
EXITED, TOLD, HELD, WAITS = 2, 4, 8, 16
"""Flags of a task."""
STARTING, STARTED, RETURNED, CANCELLED_BEFORE, CANCELLED_AFTER = range(5)
"""States of a subtask."""
TASK = symbol("the.task")
GLOBALS = ("task", "frame", "free", "yields", "frames.state", "driven")
READY, LATER, FRAMES, PENDING = 0, 8, 16, 24
"""Where queues have their first task; the last one is behind. The last queue is one of a record."""
REGIONS = build_tasks(MOST_TASKS)[1]
HOOKS = frozenset({"start", "callback"})


def is_flag(word: z3.BitVecRef, flag: int) -> z3.BoolRef:
    return word & flag != 0


def variable(name: str) -> z3.BitVecRef:
    """A global before the call."""
    return symbol(name)


@dataclass(slots=True)
class After:
    """What a function does to words, said one after another: `put` what is there under a condition."""

    words: dict[Word, z3.BitVecRef] = field(default_factory=dict)
    traps: list[tuple[str, z3.BoolRef]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def get(self, cell: Cell, at: int) -> z3.BitVecRef:
        return self.words.get(cell.word(at), cell.first(at))

    def put(self, cell: Cell, at: int, value: z3.BitVecRef | int, when: z3.BoolRef = YES) -> None:
        there = z3.And(when, cell.when)
        self.words[cell.word(at)] = z3.simplify(z3.If(there, _word(value), self.get(cell, at)))

    def set(self, name: str, value: z3.BitVecRef | int, when: z3.BoolRef = YES) -> None:
        """Sets a global."""
        word = (GLOBAL, name)
        self.words[word] = z3.simplify(z3.If(when, _word(value), self.words.get(word, variable(name))))

    def want(self, *results: z3.BitVecRef) -> Want:
        for name in GLOBALS:
            self.words.setdefault((GLOBAL, name), variable(name))
        return Want(self.traps, results, self.words, self.events)


def _word(value: z3.BitVecRef | int) -> z3.BitVecRef:
    return bits(value) if isinstance(value, int) else value


class Task:
    """A task, its instance with a table, its share, and the queues of those that are ready, or have yielded."""

    def __init__(self, limit: int, record: Cell | None = None) -> None:
        self.table = Table(limit)
        self.cell = Cell("task", TASK, task_bytes(0))
        self.record = record or self.table.record
        self.queues = Cell("queues", bits(REGIONS.queues), 24, static=True)
        self.flags, self.state = self.cell.first(32), self.cell.first(8)
        number = z3.LShR(self.flags, 16)
        self.share = Cell("share", bits(REGIONS.shares) + (number << 2), 4, static=True)
        self.known_but_share = z3.And(
            self.cell.first(12) == self.record.base,
            self.cell.first(4) != 0,
            z3.ULE(self.state, CANCELLED_AFTER),
            variable("frames.state") == 0,
        )
        self.known = z3.And(self.known_but_share, z3.ULT(number, SHARES), z3.ULE(self.share.first(0), MOST_TASKS))
        self.cells = [self.cell, self.record, self.queues]

    @property
    def free_to_run(self) -> z3.BoolRef:
        """No task has the instance for itself, and a call that starts meets no backpressure."""
        return z3.And(self.record.first(20) == 0, z3.Or(self.state != STARTING, self.record.first(16) == 0))

    def tail(self, queue: int, when: z3.BoolRef) -> Cell:
        """The last task of a queue that is not empty."""
        cell = self.record if queue == PENDING else self.queues
        return Cell(f"tail.{queue}", cell.first(queue + 4), 16, z3.And(when, cell.first(queue) != 0))

    def append(self, after: After, queue: int, tail: Cell, when: z3.BoolRef, task: Cell | None = None) -> None:
        """A task becomes the last one of a queue."""
        cell, own = (self.record if queue == PENDING else self.queues), task or self.cell
        empty = cell.first(queue) == 0
        after.put(own, 0, 0, when)
        after.put(tail, 0, own.base, when)
        after.put(cell, queue, own.base, z3.And(when, empty))
        after.put(cell, queue + 4, own.base, when)

    def over(self, after: After, when: z3.BoolRef) -> None:
        """The task has exited: its share has one less."""
        after.put(self.cell, 32, after.get(self.cell, 32) | EXITED, when)
        after.put(self.share, 0, self.share.first(0) - 1, when)

    def exit(self, after: After, when: z3.BoolRef) -> None:
        """The task has exited; its block goes unless the caller has a handle."""
        after.traps.append((Trap.NO_RESULT.value, z3.And(when, z3.ULT(self.state, RETURNED))))
        self.over(after, when)
        gone = z3.And(when, z3.Not(is_flag(self.flags, HELD)))
        after.events.append(Event(FREE, (self.cell.base, self.cell.first(84)), gone))

    @property
    def sized(self) -> z3.BoolRef:
        size = self.cell.first(84)
        return z3.And(z3.UGE(size, task_bytes(0)), z3.ULE(size, 256))

    def of(
        self,
        name: str,
        arguments: tuple[z3.BitVecRef, ...],
        cells: list[Cell],
        given: z3.BoolRef,
        want: Want,
        **more: object,
    ) -> Scenario:
        """A function of this task."""
        every = [*self.cells, *(c for c in cells if c.name not in {own.name for own in self.cells})]
        scenario = Scenario(
            f"task: {name}", name, arguments, every, z3.And(self.known, given), want, summaries=HOOKS, program="tasks"
        )
        for key, value in more.items():
            setattr(scenario, key, value)
        return scenario


class Line:
    """A queue in which the task is behind others, `most` of them at most, and before any number; or one of these."""

    def __init__(
        self, task: Cell, queues: Cell, queue: int, there: z3.BoolRef, name: str = "before", most: int = BEFORE
    ) -> None:
        self.task, self.queues, self.queue, self.there = task, queues, queue, there
        self.number, self.following = symbol(f"{name}.number"), task.first(0)
        self.before: list[Cell] = []
        self.last = bits(0)
        addresses = [queues.first(queue)]
        facts = [z3.ULE(self.number, most)]
        for n in range(most):
            cell = Cell(f"{name}{n}", addresses[-1], 16, z3.UGT(self.number, n))
            self.before.append(cell)
            self.last = z3.If(self.number == n + 1, cell.base, self.last)
            facts.append(z3.Implies(cell.when, addresses[-1] != 0))
            addresses.append(cell.first(0))
        for n, address in enumerate(addresses):
            facts.append(z3.Implies(self.number == n, address == z3.If(there, self.task.base, bits(0))))
        self.goes_on = z3.And(there, self.following != 0)
        self.tail = Cell(f"{name}.tail", queues.first(queue + 4), 16, self.goes_on)
        self.facts = z3.And(*facts)
        self.ends = z3.Or(
            self.goes_on,
            z3.And(self.number == 0, z3.Not(there)),
            queues.first(queue + 4) == z3.If(there, self.task.base, self.last),
        )
        """Its last one is known as such."""

    def remove(self, after: After) -> None:
        """The task is there no more."""
        after.put(self.queues, self.queue, self.following, z3.And(self.there, self.number == 0))
        for n, cell in enumerate(self.before):
            after.put(cell, 0, self.following, z3.And(self.there, self.number == n + 1))
        after.put(self.queues, self.queue + 4, self.last, z3.And(self.there, self.following == 0))

    def append(self, after: After, when: z3.BoolRef) -> None:
        """The task, which is not or no more there, becomes the last one."""
        after.put(self.task, 0, 0, when)
        after.put(self.tail, 0, self.task.base, when)
        for n, cell in enumerate(self.before):
            after.put(cell, 0, self.task.base, z3.And(when, self.number == n + 1, z3.Not(self.goes_on)))
        after.put(self.queues, self.queue, self.task.base, z3.And(when, self.number == 0, z3.Not(self.goes_on)))
        after.put(self.queues, self.queue + 4, self.task.base, when)


class Waiters:
    """Those that wait for a set: frames, whose second word is 0, and one more, `BEFORE` of them at most before it."""

    def __init__(self, base: z3.BitVecRef, when: z3.BoolRef = YES, most: int = BEFORE) -> None:
        self.set = Cell("set", base, 16, when)
        self.number = symbol("waiters")
        self.before: list[Cell] = []
        self.at = self.set.first(12)
        facts, addresses = [z3.ULE(self.number, most)], [self.set.first(12)]
        for n in range(most):
            cell = Cell(f"waiter{n}", addresses[-1], 16, z3.And(when, z3.UGT(self.number, n)), doubtful=True)
            self.before.append(cell)
            facts += [z3.Implies(cell.when, addresses[-1] != 0)]
            addresses.append(cell.first(0))
        for n, address in enumerate(addresses):
            self.at = z3.If(self.number == n, address, self.at)
        self.facts = z3.And(*facts)

    def link(self, after: After, value: z3.BitVecRef | int, when: z3.BoolRef) -> None:
        """What follows those before is another one."""
        after.put(self.set, 12, value, z3.And(when, self.number == 0))
        for n, cell in enumerate(self.before):
            after.put(cell, 0, value, z3.And(when, self.number == n + 1))

    @property
    def cells(self) -> list[Cell]:
        return [self.set, *self.before]


def scenarios(limit: int) -> Iterator[Scenario]:
    """Every function over tasks that is proved."""
    yield from _queues(limit)
    yield from _life(limit)
    yield from _waiting(limit)
    yield from _backpressure(limit)
    yield from _scheduler(limit)


def _queues(limit: int) -> Iterator[Scenario]:
    t = Task(limit)
    after, tail = After(), t.tail(READY, YES)
    t.append(after, READY, tail, YES)
    yield t.of("append", (t.queues.base, TASK), [tail], YES, after.want())
    first = Cell("first", t.queues.first(READY), 16, t.queues.first(READY) != 0)
    after = After()
    after.put(t.queues, READY, first.first(0), first.when)
    yield t.of("first", (t.queues.base,), [first], YES, after.want(t.queues.first(READY)))
    yield _taken_out(t)


def _taken_out(t: Task) -> Scenario:
    """`take_out`: the task is at a place up to `BEFORE`, or the queue has up to so many others and ends."""
    line, after = Line(t.cell, t.queues, READY, z3.Bool("there")), After()
    line.remove(after)
    return t.of("take_out", (t.queues.base, TASK), line.before, line.facts, after.want())


def _life(limit: int) -> Iterator[Scenario]:
    t = Task(limit)
    yield _new(limit)
    for name, state in (("started", bits(STARTED)), ("resolve", symbol("resolved"))):
        t = Task(limit)
        subtask, event = t.cell.first(16) != 0, t.cell.first(28)
        joined = z3.And(subtask, z3.UGT(t.cell.first(20), 1))
        waiters = Waiters(t.cell.first(20), joined, 0)
        ready = Cell("ready", waiters.set.first(4), 16, z3.And(joined, waiters.set.first(0) != 0, event == 0))
        after = After()
        if name == "resolve":
            after.traps.append((Trap.BORROWS.value, t.cell.first(48) != 0))
        after.put(t.cell, 8, state)
        after.put(t.cell, 28, state + 1, subtask if name == "started" else YES)
        listed = z3.And(joined, event == 0)
        after.put(t.cell, 24, 0, listed)
        after.put(ready, 8, TASK + 16, listed)
        after.put(waiters.set, 0, TASK + 16, z3.And(listed, waiters.set.first(0) == 0))
        after.put(waiters.set, 4, TASK + 16, listed)
        nobody = z3.And(z3.Implies(joined, waiters.set.first(12) == 0), t.cell.first(56) == 0)
        arguments = (TASK,) if name == "started" else (TASK, state)
        yield t.of(name, arguments, [waiters.set, ready], nobody, after.want(), atomic=True)
    for name in ("exit", "let_go"):
        t, after = Task(limit), After()
        if name == "exit":
            t.exit(after, YES)
        else:
            after.put(t.cell, 32, t.flags & ~HELD & 0xFFFFFFFF)
            after.events.append(Event(FREE, (TASK, t.cell.first(84)), is_flag(t.flags, EXITED)))
        yield t.of(name, (TASK,), [t.share] if name == "exit" else [], t.sized, after.want())


def _new(limit: int) -> Scenario:
    """`task_new`: one more of its share, which is bounded."""
    t = Task(limit)
    call, size, record, caller, flags = map(symbol, ("call", "size", "of", "caller", "flags"))
    number = z3.LShR(flags, 16)
    share = Cell("share", bits(REGIONS.shares) + (number << 2), 4, static=True)
    made = Cell("made", symbol("made"), task_bytes(0), z3.Not(full(0)), zero=True)
    after = After(
        traps=[(Trap.TASKS.value, z3.UGE(share.first(0), MOST_TASKS)), taken(0, YES)], events=[Event(NEW, (size,))]
    )
    after.put(share, 0, share.first(0) + 1)
    for at, value in ((4, call), (12, record), (32, flags), (44, caller), (84, size)):
        after.put(made, at, value)
    given = z3.And(z3.ULT(number, SHARES), z3.UGE(size, task_bytes(0)), z3.ULE(size, 256))
    scenario = t.of("task_new", (call, size, record, caller, flags), [share], given, after.want(made.base))
    scenario.cells, scenario.fresh, scenario.assumption, scenario.atomic = [share], [made], given, False
    return scenario


def _waiting(limit: int) -> Iterator[Scenario]:
    """What a callback answers; a task that waits; one that is woken."""
    for name in ("wait", "answered"):
        t, after = Task(limit), After()
        answer = symbol("answer")
        code = answer & 15 if name == "answered" else bits(2)
        waits, yields, exits = code == 2, code == 1, code == 0
        number = z3.LShR(answer, 4) if name == "answered" else t.cell.first(40)
        is_set = z3.And(waits, z3.ULT(HANDLE, t.table.length), t.table.entry.first(0) == 1)
        waiters = Waiters(t.table.entry.first(4), is_set)
        pending = t.cell.first(36) != 0
        due = z3.And(is_set, z3.Or(pending, waiters.set.first(0) != 0))
        blocks = z3.And(is_set, z3.Not(due))
        ready, later = t.tail(READY, due), t.tail(LATER, yields)
        if name == "answered":
            after.put(t.cell, 40, number, waits)
        after.traps += [
            (UNKNOWN, z3.And(waits, z3.Or(z3.UGE(HANDLE, t.table.length), t.table.entry.first(0) == 0))),
            (NOT_SET, z3.And(waits, z3.Not(is_set))),
        ]
        t.append(after, READY, ready, due)
        after.put(t.cell, 32, t.flags | WAITS, blocks)
        after.put(t.cell, 0, 0, blocks)
        waiters.link(after, TASK, blocks)
        cells = [t.table.entry, *waiters.cells, ready]
        if name == "answered":
            after.traps.append((Trap.CALLBACK_CODE.value, z3.UGT(code, 2)))
            after.put(t.cell, 36, 1, z3.And(yields, z3.Not(pending)))
            t.append(after, LATER, later, yields)
            t.exit(after, exits)
            cells += [later, t.share]
        ended = z3.Implies(blocks, waiters.at == 0)
        table = z3.And(t.table.invariant(), t.table.placed, z3.Implies(HANDLE == 0, t.table.entry.first(0) == 0))
        away = z3.And(*(z3.Implies(c.when, t.table.beyond(c)) for c in (*t.cells, *waiters.cells, ready, later)))
        given = z3.And(number == HANDLE, waiters.facts, ended, table, away, t.sized, z3.Not(is_flag(t.flags, WAITS)))
        arguments = (TASK, answer) if name == "answered" else (TASK,)
        low = [(t.table.at, t.table.capacity != 0)]
        yield t.of(name, arguments, cells, given, after.want(), atomic=False, low=low)
    yield _woken(limit)


def _woken(limit: int) -> Scenario:
    """`set_wake`: the first task that waits is ready; frames that wait look by themselves."""
    t, after = Task(limit), After()
    waiters = Waiters(symbol("set"))
    some = waiters.at != 0
    t.cell = Cell("task", waiters.at, task_bytes(0), some)
    t.cells[0] = t.cell
    tail = t.tail(READY, some)
    waiters.link(after, t.cell.first(0), some)
    after.put(t.cell, 32, t.cell.first(32) & ~WAITS & 0xFFFFFFFF, some)
    t.append(after, READY, tail, some)
    frames = [z3.Implies(c.when, c.first(4) == 0) for c in waiters.before]
    given = z3.And(waiters.facts, *frames, z3.Implies(some, t.cell.first(4) != 0))
    scenario = t.of("set_wake", (waiters.set.base,), [*waiters.cells, tail], given, after.want())
    scenario.cells, scenario.assumption = [t.cell, t.queues, *waiters.cells, tail], given
    return scenario


def _backpressure(limit: int) -> Iterator[Scenario]:
    for up in (True, False):
        t, after = Task(limit), After()
        count = t.record.first(16)
        after.traps.append((Trap.BACKPRESSURE.value, count == (0xFFFF if up else 0)))
        after.put(t.record, 16, count + 1 if up else count - 1)
        cells = [] if up else _released(t, after, z3.UGT(count, 0), count == 1)
        name = "backpressure_inc" if up else "backpressure_dec"
        scenario = t.of(name, (RECORD,), cells, z3.BoolVal(True), after.want(), atomic=True)
        scenario.cells = [t.record] if up else [t.record, t.queues, *cells]
        scenario.assumption = z3.ULE(count, 0xFFFF) if up else z3.And(z3.ULE(count, 0xFFFF), _pending(cells))
        yield scenario
    t, after = Task(limit), After()
    after.put(t.record, 20, 0)
    after.set("task", t.cell.first(80))
    cells = _released(t, after, YES, YES)
    yield t.of("left", (TASK,), cells, _pending(cells), after.want())


def _released(t: Task, after: After, given: z3.BoolRef, when: z3.BoolRef) -> list[Cell]:
    """Two tasks at most that wait for an instance get ready, or wait on, each as far as it may run; their cells."""
    first, last = t.record.first(PENDING), t.record.first(PENDING + 4)
    one = Cell("one", first, task_bytes(0), z3.And(when, first != 0))
    two = Cell("two", one.first(0), task_bytes(0), z3.And(one.when, one.first(0) != 0))
    tail = t.tail(READY, z3.And(when, first != 0))
    busy, held = after.get(t.record, 20) != 0, after.get(t.record, 16) != 0
    runs = [z3.And(c.when, z3.Not(busy), z3.Or(c.first(8) != STARTING, z3.Not(held))) for c in (one, two)]
    stays = [z3.And(c.when, z3.Not(r)) for c, r in zip((one, two), runs, strict=True)]
    after.put(one, 0, z3.If(z3.Or(z3.And(runs[0], runs[1]), z3.And(stays[0], stays[1])), two.base, bits(0)))
    after.put(two, 0, 0)
    to_ready = z3.If(runs[0], one.base, two.base)
    after.put(tail, 0, to_ready, z3.Or(*runs))
    after.put(t.queues, READY, to_ready, z3.And(z3.Or(*runs), t.queues.first(READY) == 0))
    after.put(t.queues, READY + 4, z3.If(runs[1], two.base, one.base), z3.Or(*runs))
    after.put(t.record, PENDING, z3.If(stays[0], one.base, z3.If(stays[1], two.base, bits(0))), one.when)
    after.put(t.record, PENDING + 4, z3.If(stays[1], two.base, z3.If(stays[0], one.base, last)), one.when)
    return [one, two, tail]


def _pending(cells: list[Cell]) -> z3.BoolRef:
    """No more than two tasks wait for the instance, and the last one is the last."""
    one, two = cells[0], cells[1]
    each = [z3.Implies(c.when, z3.And(c.first(12) == RECORD, z3.ULE(c.first(8), CANCELLED_AFTER))) for c in (one, two)]
    return z3.And(*each, z3.Implies(two.when, two.first(0) == 0))


def _scheduler(limit: int) -> Iterator[Scenario]:
    t, after = Task(limit), After()
    waits = z3.Not(t.free_to_run)
    tail = t.tail(PENDING, waits)
    t.append(after, PENDING, tail, waits)
    after.events.append(Event("start", (TASK,), z3.Not(waits)))
    yield t.of("begin", (TASK,), [tail], YES, after.want())
    yield _step(limit)
    yield _goes_on(limit)
    yield _delivered(limit, waits=False)
    yield _delivered(limit, waits=True)
    t, after = Task(limit), After()
    due = z3.ULT(t.state, RETURNED)
    after.traps.append((Trap.RETURN_TWICE.value, z3.Not(due)))
    yield t.of("check_return", (), [], variable("task") == TASK, after.want(t.cell.first(4)))
    t, after = Task(limit), After()
    after.traps = [
        (Trap.CANCEL_NOT_SENT.value, z3.Not(is_flag(t.flags, TOLD))),
        (Trap.RETURN_TWICE.value, z3.UGE(t.state, RETURNED)),
        (Trap.BORROWS.value, t.cell.first(48) != 0),
    ]
    after.put(t.cell, 8, CANCELLED_AFTER)
    after.put(t.cell, 28, CANCELLED_AFTER + 1)
    alone = z3.And(z3.ULE(t.cell.first(20), 1), t.cell.first(56) == 0, variable("task") == TASK)
    yield t.of("task_cancel", (), [], alone, after.want())


def _step(limit: int) -> Scenario:
    """`step`: what is ready first runs, or else what has yielded first, if it may; here, a call that starts."""
    t, after = Task(limit), After()
    ready, later = t.queues.first(READY), t.queues.first(LATER)
    none = z3.And(ready == 0, later == 0)
    t.cell = Cell("task", z3.If(ready != 0, ready, later), task_bytes(0), z3.Not(none))
    t.cells[0] = t.cell
    frame = Cell("frame", variable("frame"), 16)
    some = z3.Not(none)
    runs, waits = z3.And(some, t.free_to_run), z3.And(some, z3.Not(t.free_to_run))
    tail = t.tail(PENDING, waits)
    after.put(t.queues, READY, t.cell.first(0), ready != 0)
    after.put(t.queues, LATER, t.cell.first(0), z3.And(ready == 0, some))
    t.append(after, PENDING, tail, waits)
    after.events.append(Event("start", (t.cell.base,), runs))
    given = z3.And(
        z3.Implies(some, z3.And(t.cell.first(12) == RECORD, t.cell.first(4) != 0)),
        z3.Implies(runs, t.cell.first(8) == STARTING),
        t.queues.first(FRAMES) == 0,
        frame.first(8) == frame.base + 8,
        variable("frames.state") == 0,
    )
    scenario = t.of("step", (), [tail, frame], YES, after.want(z3.If(none, bits(0), bits(1))))
    scenario.assumption = given
    return scenario


def _goes_on(limit: int) -> Scenario:
    """`step` of a task that has an event of its own: its callback is called with it, and here yields or exits."""
    t, after = Task(limit), After()
    ready, later = t.queues.first(READY), t.queues.first(LATER)
    t.cell = Cell("task", z3.If(ready != 0, ready, later), task_bytes(0))
    t.cells[0] = t.cell
    own, following, base = t.cell.first(36), t.cell.first(0), t.cell.base
    frame = Cell("frame", variable("frame"), 16)
    answer = symbol("callback.answer")
    yields, exits = answer == 1, answer == 0
    rest = z3.If(ready != 0, later, following)
    tail = Cell("tail", t.queues.first(LATER + 4), 16, z3.And(yields, rest != 0))
    after.put(t.queues, READY, following, ready != 0)
    after.put(t.queues, LATER, z3.If(z3.And(yields, rest == 0), base, rest))
    after.put(t.queues, LATER + 4, base, yields)
    after.put(t.cell, 0, 0, yields)
    after.put(tail, 0, base)
    after.events.append(Event("callback", (base, own - 1, bits(0), bits(0))))
    after.put(t.cell, 36, z3.If(yields, bits(1), bits(0)))
    after.put(t.cell, 32, t.flags | TOLD, z3.UGT(own, 1))
    after.put(t.cell, 80, variable("task"))
    after.put(t.record, 20, 0)
    t.exit(after, exits)
    after.set("callback.answer", answer)
    given = z3.And(
        z3.ULE(answer, 1),
        own != 0,
        t.sized,
        z3.Not(is_flag(t.flags, WAITS)),
        t.state != STARTING,
        t.free_to_run,
        t.queues.first(FRAMES) == 0,
        t.record.first(PENDING) == 0,
        frame.first(8) == frame.base + 8,
        z3.Or(ready != 0, later != 0),
    )
    scenario = t.of("step", (), [tail, frame, t.share], given, after.want(bits(1)), atomic=False)
    scenario.name += ", a task goes on"
    return scenario


def _delivered(limit: int, *, waits: bool) -> Scenario:
    """`drive` with an event: one that comes before those of the set, else the first of the set, here of a subtask.

    The callback is called with it, the instance being busy meanwhile, and yields or exits, or waits for the same set.
    If another one took the event, the task waits again.
    """
    t, after = Task(limit), After()
    entry, own = t.table.entry, t.cell.first(36)
    answer = symbol("callback.answer")
    waiters = Waiters(entry.first(4), YES if waits else own == 0)
    events = waiters.set
    first = Cell("event", events.first(0), 16, z3.And(own == 0, events.first(0) != 0))
    again, runs = z3.And(own == 0, events.first(0) == 0), z3.Or(own != 0, events.first(0) != 0)
    yields, exits = z3.And(runs, answer == 1), z3.And(runs, answer == 0)
    code, handle, payload = first.first(0) >> 28, first.first(0) & 0xFFFFFFF, first.first(12) - 1
    told = [z3.If(own != 0, own - 1, code), *(z3.If(own != 0, bits(0), v) for v in (handle, payload))]
    after.events.append(Event("callback", (TASK, *told), runs))
    after.put(events, 0, first.first(8), first.when)
    after.put(first, 12, 0)
    after.put(t.cell, 36, z3.If(yields, bits(1), bits(0)), runs)
    after.put(t.cell, 80, variable("task"), runs)
    after.put(t.record, 20, 0, runs)
    after.put(t.cell, 32, t.flags | TOLD, z3.UGT(own, 1))
    blocks = z3.Or(again, z3.And(z3.BoolVal(waits), after.get(events, 0) == 0))
    due = z3.And(z3.BoolVal(waits), z3.Not(blocks))
    tail = t.tail(READY, due) if waits else t.tail(LATER, yields)
    t.append(after, READY if waits else LATER, tail, due if waits else yields)
    after.put(t.cell, 40, HANDLE)
    after.put(t.cell, 32, after.get(t.cell, 32) | WAITS, blocks)
    after.put(t.cell, 0, 0, blocks)
    waiters.link(after, TASK, blocks)
    if not waits:
        t.exit(after, exits)
    after.set("callback.answer", answer)
    table = t.table
    is_set = z3.And(z3.ULT(HANDLE, table.length), entry.first(0) == 1, t.cell.first(40) == HANDLE, HANDLE != 0)
    cells = [entry, *waiters.cells, first, tail, *([] if waits else [t.share])]
    away = [z3.Implies(c.when, table.beyond(c)) for c in (*t.cells, *waiters.cells, first, tail)]
    given = z3.And(
        z3.And(answer == HANDLE << 4 | 2, z3.ULT(HANDLE, 1 << 28)) if waits else z3.ULE(answer, 1),
        z3.Implies(first.when, z3.And(first.first(0) >> 28 == 1, first.first(12) != 0)),
        z3.Implies(blocks, waiters.at == 0),
        z3.Not(is_flag(t.flags, WAITS)),
        t.record.first(PENDING) == 0,
        *(table.invariant(), table.placed, is_set, waiters.facts, t.sized),
        *away,
    )
    low = [(table.at, table.capacity != 0)]
    scenario = t.of("drive", (TASK, bits(1)), cells, given, after.want(), atomic=False, low=low)
    scenario.name += ", waits" if waits else ""
    return scenario
