"""Random closed asynchronous programs: instances that run scripts over the built-ins of streams, futures and tasks.

Most steps are right where they stand (the generator follows what each register holds); some are not, and trap.
"""

from __future__ import annotations

import random

from async_guests import Program, callees
from async_scripts import ERROR, NUMBER, OPS, REGISTERS, Instance, Script

ELEMENTS = ("", "u8", "u32", "(option u8)", "string", "(list u8)", "(tuple u8 u32)")
LIFTS = ("sync", "stackful", "callback")


class _Writer:
    """Writes one script, with registers of its own, and keeps in mind what they hold."""

    def __init__(
        self,
        r: random.Random,
        script: Script,
        registers: range,
        callees: list[tuple[int, int, Script]],
        *,
        root: bool,
        errors: bool = False,
    ) -> None:
        self.r = r
        self.root = root
        self.script = script
        self.free = list(registers)
        self.callees = callees
        self.readable: list[int] = []
        self.writable: list[int] = []
        self.future_readable: list[int] = []
        self.future_writable: list[int] = []
        self.busy: dict[int, str] = {}  # an end with an operation that blocked, perhaps: which one
        self.sets: list[int] = []
        self.subtasks: list[int] = []
        self.watched: set[int] = set()  # sets with something in them that may happen
        self.buffer = r.randrange(8)
        self.things: list[tuple[int, int, int]] = []  # resources: instance, number and register
        self.errors: list[int] | None = [] if errors else None  # registers with error contexts

    def step(self, name: str, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> None:
        self.script.steps.append((name, a, b, c, d))

    def register(self) -> int | None:
        return self.free.pop() if self.free else None

    def write(self, length: int) -> Script:
        """The whole script. The root returns at the end: how far it runs behind that, nobody has said."""
        if self.script.kind == "g":
            end = self.register()
            assert end is not None
            self.step("take", end)
            self.readable.append(end)
        if self.script.kind == "e":
            error = self.register()
            assert error is not None and self.errors is not None
            self.step("take", error)
            self.errors.append(error)
        if self.script.kind == "x":
            self.step("error.new", ERROR, self.r.randrange(9))
        returned = self.script.lift == "sync" or self.script.kind == "d"
        for i in range(length):
            if not returned and not self.root and self.r.random() < i / length / 2:
                self.give_back()
                returned = True
            else:
                self.one()
        if (returned or self.root) and self.r.random() < 0.7:
            self.clean_up()
        if not returned:
            if self.r.random() < 0.9 or self.root:
                self.give_back()
            else:
                self.step("task.cancel", self.r.randrange(100))
        self.step("end")
        return self.script

    def give_back(self) -> None:
        if self.script.kind == "x":
            self.step("return-error", ERROR)
        else:
            self.step("return", self.r.randrange(100))

    def error(self) -> None:
        """Something with an error context."""
        r, errors = self.r, self.errors
        assert errors is not None
        told = [(j, n) for j, n, s in self.callees if s.kind == "e"]
        asked = [(j, n) for j, n, s in self.callees if s.kind == "x"]
        register = self.register()
        if not errors or (register is not None and r.random() < 0.2):
            if register is None:
                return
            if asked and r.random() < 0.5:
                j, n = r.choice(asked)
                self.step("ask", j, register, n)
            else:
                self.step("error.new", register, r.randrange(12))
            errors.append(register)
            return
        one = r.choice(errors)
        if told and r.random() < 0.6:
            j, n = r.choice(told)
            plain = next(s.plain for k, m, s in self.callees if (k, m) == (j, n))
            if register is None or plain or r.random() < 0.4:
                self.step("tell-sync", j, 0, n, one)
            else:
                self.step("tell", j, register, n, one)
                self.subtasks.append(register)
                return
        elif r.random() < 0.5:
            self.step("error.message", one)
        else:
            self.step("error.drop", one)
            if r.random() < 0.95:
                errors.remove(one)
        if register is not None:
            self.free.append(register)

    def one(self) -> None:
        r = self.r
        if self.errors is not None and r.random() < 0.4:
            return self.error()
        choices = [
            self.new,
            self.operate,
            self.operate,
            self.operate,
            self.wait,
            self.wait,
            self.call,
            self.call,
            self.small,
        ]
        r.choice(choices)()
        if r.random() < 0.02:  # whatever it means
            name = r.choice(OPS[1 : NUMBER["make"]]).name
            if not name.startswith("cb-") and name not in ("return", "task.cancel"):
                self.step(name, *(r.randrange(REGISTERS) for _ in range(2)), r.randrange(3), r.randrange(REGISTERS))

    def new(self) -> None:
        which = self.r.random()
        if which < 0.3:
            if (register := self.register()) is not None:
                self.step("set.new", register)
                self.sets.append(register)
            return
        a, b = self.register(), self.register()
        if a is None or b is None:
            return
        if which < 0.75:
            self.step("stream.new", a, b)
            self.readable.append(a)
            self.writable.append(b)
        else:
            self.step("future.new", a, b)
            self.future_readable.append(a)
            self.future_writable.append(b)

    def operate(self) -> None:
        r = self.r
        ends = [
            *(("stream", "read", x) for x in self.readable),
            *(("stream", "write", x) for x in self.writable),
            *(("future", "read", x) for x in self.future_readable),
            *(("future", "write", x) for x in self.future_writable),
        ]
        if not ends:
            return self.new()
        kind, what, end = r.choice(ends)
        if end in self.busy:
            if r.random() < 0.5:
                self.step(f"{kind}.cancel-{self.busy.pop(end)}", end)
            elif r.random() < 0.5 and self.sets:
                self.join(end)
            else:
                self.wait()
            return None
        if r.random() < 0.15:
            self.drop(kind, what, end)
            return None
        self.buffer = (self.buffer + 1) % 8
        if kind == "stream":
            sync = "-sync" if r.random() < (0.02 if self.script.is_quiet else 0.2) else ""
            self.step(f"stream.{what}{sync}", end, r.choice((0, 0, 1, 2, 3, 7)), self.buffer)
            if sync:
                return None
        else:
            self.step(f"future.{what}", end, 0, self.buffer)
        self.busy[end] = what
        return None

    def join(self, waitable: int) -> None:
        one = self.r.choice(self.sets)
        self.step("join", waitable, one)
        self.watched.add(one)

    def drop(self, kind: str, what: str, end: int) -> None:
        self.step(f"{kind}.drop-{'readable' if what == 'read' else 'writable'}", end)
        for held in (self.readable, self.writable, self.future_readable, self.future_writable):
            if end in held:
                held.remove(end)
        self.busy.pop(end, None)

    def wait(self) -> None:
        r = self.r
        if not self.sets:
            return self.new()
        one = r.choice(self.sets)
        how = r.random()
        if self.script.is_quiet and how < 0.9:
            how = 0
        if how < 0.4 or (one not in self.watched and r.random() < 0.95):
            self.step("poll", one)
        elif self.script.lift == "callback" and how < 0.9:
            self.step("cb-wait", one)
        else:
            self.step("wait", one)
        if r.random() < 0.5:
            self.busy.clear()
        return None

    def call(self) -> None:
        r = self.r
        if self.subtasks and r.random() < 0.4:
            task = r.choice(self.subtasks)
            which = r.random()
            if which < 0.5 and self.sets:
                self.join(task)
            elif which < 0.75:
                self.step("subtask.cancel", task)
            else:
                self.step("subtask.drop", task)
                self.subtasks.remove(task)
            return
        if not self.callees:
            return self.operate()
        j, n, callee = r.choice(self.callees)
        if callee.kind == "d":
            return self.thing(j, n)
        if callee.kind in ("e", "x"):
            return self.error()
        sync = r.random() < 0.25 or callee.plain
        if callee.kind == "g":
            if not self.readable:
                return self.new()
            end = r.choice(self.readable)
            if end not in self.busy:
                self.readable.remove(end)
        else:
            end = 0
        name = {"f": "call", "g": "give"}[callee.kind]
        if sync:
            self.step(f"{name}-sync", j, 0, n, end)
            return None
        register = self.register()
        if register is None:
            return None
        self.step(name, j, register, n, end)
        self.subtasks.append(register)
        return None

    def thing(self, j: int, n: int) -> None:
        if self.things and self.r.random() < 0.6:
            j, n, register = self.things.pop()
            return self.step("destroy", j, 0, n, register)
        if (register_ := self.register()) is not None:
            self.step("make", j, register_, n)
            self.things.append((j, n, register_))
        return None

    def small(self) -> None:
        r = self.r
        which = r.random()
        if which < 0.4:
            self.step("cb-yield" if self.script.lift == "callback" and r.random() < 0.6 else "yield")
        elif which < 0.6:
            self.step("context", r.randrange(256))
        elif which < 0.7:
            self.step("backpressure.inc")
            self.one()
            self.step("backpressure.dec")
        else:
            self.wait()

    def clean_up(self) -> None:
        for end in list(self.busy):
            for kind, held in (
                ("stream", (self.readable, self.writable)),
                ("future", (self.future_readable, self.future_writable)),
            ):
                if any(end in ends for ends in held):
                    self.step(f"{kind}.cancel-{self.busy[end]}", end)
        for end in list(self.readable):
            self.drop("stream", "read", end)
        for end in list(self.writable):
            self.drop("stream", "write", end)


def generate(seed: int, like: Program | None = None, *, more: bool = False, errors: bool = False) -> Program:
    """The program of a seed; of the same shape as another one, if given, so that only the scripts differ.

    `more` shapes have functions of synchronous type, and destructors; others have `errors`, error contexts.
    """
    errors = errors or (like is not None and like.errors)
    r = random.Random(seed)
    instances = (
        _shape(r, more=more, errors=errors)
        if like is None
        else [Instance([Script(s.kind, s.lift, plain=s.plain) for s in each.scripts]) for each in like.instances]
    )
    for k, instance in enumerate(instances):
        called = callees(Program(seed, "", instances), k)
        share = REGISTERS // len(instance.scripts)
        for n, script in enumerate(instance.scripts):
            _Writer(r, script, range(n * share, (n + 1) * share), called, root=k == 0, errors=errors).write(
                r.randint(2, 14)
            )
    element = r.choice((*ELEMENTS, "", "u8", "u8", "u32")) if like is None else like.element
    return Program(seed, element, instances, errors)


def _shape(r: random.Random, *, more: bool = False, errors: bool = False) -> list[Instance]:
    """Instances, each with the kinds and lifts of its scripts."""
    count = r.choice((2, 3, 3, 4)) if more else r.choice((1, 2, 2, 3, 3))
    made = [
        Instance(
            [
                Script("f" if k == 0 or r.random() < 0.5 else "g", r.choice(LIFTS))
                for _ in range(1 if k == 0 else r.randint(1, 2))
            ]
        )
        for k in range(count)
    ]
    for instance in made[1:] if more else ():
        for script in instance.scripts:
            which = r.random()
            if which < 0.2:
                script.kind, script.lift = "d", "sync"
            elif which < 0.35:
                script.lift, script.plain = "sync", True
    for instance in made[1:] if errors else ():
        for script in instance.scripts:
            script.kind = r.choice((script.kind, "e", "e", "x")) if script.kind != "d" else "d"
    return made
