"""A body by its levels of nesting, as far as points lie in them.

A *point* is a call at which the function may be suspended. A level is the sequence of instructions in a block, or the
whole body. Blocks without a point stay flat; one with a point is an item of its level, as is each point, and both know
what lies on the operand stack below what they take. Code that cannot be reached is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, TypeAlias

from meld.ir.instructions import Instruction
from meld.ir.module import LABELLED, Function
from meld.ir.types import I32, FuncType, RefType, ValType
from meld.rewriting.labels import Flat, Label, Opening, with_labels
from meld.rewriting.resumable.operands import block_type, callee_operand, effect, signature_of
from meld.support.records import record

Slot: TypeAlias = tuple[int, ValType]
"""An operand: how many lie below it in the function, and its type. No two that are there together share one.

What has to be there until a block ends, such as the condition of an `if`, has a negative number, by how deep it lies.
"""


@record(eq=False)
class Point:
    """A call at which the function may be suspended; `number` counts from 1.

    Attributes:
        below: the operands of the level that the call leaves alone.
        args: those that it passes.
        callee: the one that says what is called, if one does.
        results: what it leaves.
    """

    number: int
    call: Instruction
    below: list[Slot]
    args: list[Slot]
    callee: Slot | None
    results: list[Slot]


@record(eq=False)
class Arm:
    """A level inside a block.

    Attributes:
        head: what introduces it (``else``, ``catch``, ``catch_all``); None for the first.
        numbers: those of the points inside.
        exception: for a `catch` the values that are caught, with negative numbers: they are there until the arm ends.
        rethrows: whether what was caught may be thrown again.
    """

    head: Instruction | None
    items: list[Item] = field(default_factory=list)
    numbers: range = range(0)
    exception: list[Slot] = field(default_factory=list)
    rethrows: bool = False


@record(eq=False)
class Nest:
    """A block with points inside; `numbers` are theirs."""

    opening: Opening
    closing: Instruction
    arms: list[Arm]
    numbers: range
    below: list[Slot]
    condition: Slot | None
    params: list[Slot]
    results: list[Slot]


Item: TypeAlias = "Flat | Point | Nest"


@record(eq=False)
class _Open:
    """A block that is being read. `stack` are the operands inside, of which the first lies at `height`."""

    opening: Opening
    height: int
    arms: list[Arm]
    first: int
    stack: list[ValType]
    below: list[Slot]
    condition: Slot | None
    params: list[Slot]
    results: tuple[ValType, ...]
    live: bool = True

    def slots(self, count: int) -> list[Slot]:
        """Takes operands from the stack, the topmost last."""
        at = len(self.stack) - count
        taken = [(self.height + at + n, t) for n, t in enumerate(self.stack[at:])]
        del self.stack[at:]
        return taken

    def all(self) -> list[Slot]:
        """The operands, which stay."""
        return [(self.height + n, t) for n, t in enumerate(self.stack)]

    def push(self, types: Sequence[ValType]) -> list[Slot]:
        """Adds operands."""
        start = self.height + len(self.stack)
        self.stack += types
        return [(start + n, t) for n, t in enumerate(types)]


_BRANCHES = ("unreachable", "return", "br", "br_table", "throw", "rethrow", "throw_ref")
STOPS = frozenset({*_BRANCHES, "return_call", "return_call_indirect", "return_call_ref"})
"""Nothing runs behind these."""


def read_levels(function: Function, is_point: Callable[[Instruction], bool], body: Label) -> Arm:
    """The outermost level of a function; `body` is the label for what branches out of it."""
    reader = _Reader(function, is_point, body)
    for instruction in function.code.instructions:
        reader.read(instruction)
    (whole,) = reader.open
    arm = whole.arms[0]
    arm.numbers = range(1, reader.next)
    return arm


class _Reader:
    def __init__(self, function: Function, is_point: Callable[[Instruction], bool], body: Label) -> None:
        self.variables = [*function.signature.params, *function.code.locals]
        self.is_point = is_point
        self.next = 1
        self.skipped = 0  # blocks that are open in code that cannot be reached
        results = function.signature.results
        outermost = Opening(Instruction("block", (None,)), body)
        self.open = [_Open(outermost, 0, [Arm(None)], 1, [], [], None, [], results)]
        self.labels = [body]

    def read(self, i: Instruction) -> None:
        op, current = i.op, self.open[-1]
        if self.skipped:
            self.skipped += op in LABELLED
            self.skipped -= op in ("end", "delegate")
        elif op in LABELLED:
            if current.live:
                self.enter(i, current)
            else:
                self.skipped = 1
        elif op in ("else", "catch", "catch_all"):
            self.turn(i, current)
        elif op in ("end", "delegate"):
            self.leave(i)
        elif current.live:
            if op == "rethrow":
                self.open[-1 - i.args[0]].arms[-1].rethrows = True
            self.one(with_labels(i, self.labels), current)

    def enter(self, i: Instruction, current: _Open) -> None:
        params, results = block_type(i.args[0] if i.args else None)
        condition: Slot | None = None
        if i.op == "if":
            current.slots(1)
            condition = (self.lasting(), I32)
        taken = current.slots(len(params))
        slots = [(height, t) for (height, _), t in zip(taken, params, strict=True)]
        opening = Opening(with_labels(i, self.labels), Label())
        height = current.height + len(current.stack)
        arm = Arm(None, numbers=range(self.next, self.next))
        self.labels.append(opening.label)
        self.open.append(
            _Open(opening, height, [arm], self.next, list(params), current.all(), condition, slots, results)
        )

    def turn(self, i: Instruction, current: _Open) -> None:
        """The next arm of a block."""
        arm = Arm(i)
        self.finish(current.arms[-1])
        current.stack = []
        if i.op == "else":
            current.stack += [t for _, t in current.params]
        elif i.op == "catch":
            tag: Any = i.args[0]
            shape: FuncType = tag.type.shape
            current.push(shape.params)
            arm.exception = [(self.lasting() - n, t) for n, t in enumerate(shape.params)]
        arm.numbers = range(self.next, self.next)
        current.arms.append(arm)
        current.live = True

    def lasting(self) -> int:
        """The number of an operand that is kept until the block ends in which the reader is."""
        return -1000 * len(self.open)

    def finish(self, arm: Arm) -> None:
        arm.numbers = range(arm.numbers.start, self.next)

    def leave(self, i: Instruction) -> None:
        done = self.open.pop()
        self.labels.pop()
        self.finish(done.arms[-1])
        outer = self.open[-1]
        results = outer.push(done.results)
        closing = with_labels(i, self.labels)
        items = outer.arms[-1].items
        if done.first < self.next:
            numbers = range(done.first, self.next)
            items.append(
                Nest(done.opening, closing, done.arms, numbers, done.below, done.condition, done.params, results)
            )
            return
        items.append(done.opening)
        for arm in done.arms:
            if arm.head is not None:
                items.append(arm.head)
            items += arm.items
        items.append(closing)

    def one(self, i: Instruction, current: _Open) -> None:
        if i.op.endswith(("call", "call_indirect", "call_ref")) and self.is_point(i):
            self.point(i, current)
            return
        current.arms[-1].items.append(i)
        if i.op in STOPS:
            current.live = False
            return
        taken, left = self.effect(i, current)
        if taken:
            del current.stack[len(current.stack) - taken :]
        current.stack += left

    def effect(self, i: Instruction, current: _Open) -> tuple[int, tuple[ValType, ...]]:
        args: Any = i.args
        match i.op:
            case "br_if" | "br_on_non_null":
                return 1, ()
            case "br_on_null":
                t = current.stack[-1]
                assert isinstance(t, RefType)
                return 1, (RefType(False, t.heap),)
            case "br_on_cast":
                return 1, (RefType(args[1].nullable and not args[2].nullable, args[1].heap),)
            case "br_on_cast_fail":
                return 1, (args[2],)
        return effect(i, current.stack, self.variables)

    def point(self, i: Instruction, current: _Open) -> None:
        signature, how = signature_of(i), callee_operand(i)
        callee = None if how is None else (current.slots(1)[0][0], how)
        args = [(h, t) for (h, _), t in zip(current.slots(len(signature.params)), signature.params, strict=True)]
        below = current.all()
        results = current.push(signature.results)
        current.arms[-1].items.append(Point(self.next, i, below, args, callee, results))
        self.next += 1
        if i.op.startswith("return"):
            current.live = False
