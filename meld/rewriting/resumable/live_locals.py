"""Live locals: a frame has to keep those that are read after a point before they are written.

A backward pass over the flat body, repeated while what is live at the start of some loop grows. Sets of locals are the
bits of an int. An instruction that may throw keeps alive what the handlers around it need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meld.ir.instructions import Instruction
from meld.ir.module import CLOSING, LABELLED, Function
from meld.ir.opcodes import OPS, Imm
from meld.support.records import record

BRANCHES = {name: op.imms.index(Imm.LABEL) for name, op in OPS.items() if Imm.LABEL in op.imms and name != "delegate"}
LOCAL_OPS = frozenset({"local.get", "local.set", "local.tee"})
ARMS = frozenset({"else", "catch", "catch_all"})
STOPS = frozenset({"unreachable", "return", "throw", "rethrow", "throw_ref"})
THROWS = frozenset({"throw", "rethrow", "throw_ref"})
RELEVANT = LOCAL_OPS | ARMS | STOPS | LABELLED | CLOSING | BRANCHES.keys() | {"br_table"}


@record(eq=False)
class _Block:
    """A block that the backward pass is in.

    Attributes:
        after: what is live behind it.
        arms: what is live where each arm begins that was passed already.
        target: what is live where branches to its label go.
        handlers: what those need that catch what is thrown in the arm.
    """

    op: str
    after: int
    target: int
    handlers: int
    around: int
    arms: int = 0
    other: bool = False


def live_across(function: Function, is_point: Callable[[Instruction], bool]) -> set[int]:
    """The parameters and locals that are live behind some call for which `is_point` holds."""
    steps = [i for i in function.code.instructions if i.op in RELEVANT or "call" in i.op]
    opened: list[int] = []
    opening: dict[int, int] = {}  # of an `end` or `delegate`
    for at, i in enumerate(steps):
        if i.op in LABELLED:
            opened.append(at)
        elif i.op in CLOSING:
            opening[at] = opened.pop()
    calls = {at for at, i in enumerate(steps) if "call" in i.op and is_point(i)}
    loops: dict[int, int] = {}
    while True:
        walk = _Walk(steps, opening, calls, dict(loops))
        walk.run()
        if walk.loops == loops:
            return {n for n in range(walk.found.bit_length()) if walk.found >> n & 1}
        loops = walk.loops


class _Walk:
    """One backward pass; `loops` says what is live at the start of each loop, as far as it is known."""

    def __init__(
        self, steps: list[Instruction], opening: dict[int, int], calls: set[int], loops: dict[int, int]
    ) -> None:
        self.steps, self.opening, self.calls, self.loops = steps, opening, calls, loops
        self.live = 0
        self.found = 0
        self.blocks = [_Block("block", 0, 0, 0, 0)]

    def run(self) -> None:
        for at in reversed(range(len(self.steps))):
            i = self.steps[at]
            args: Any = i.args
            op = i.op
            if op in LOCAL_OPS:
                bit = 1 << args[0]
                self.live = self.live | bit if op == "local.get" else self.live & ~bit
            elif op in CLOSING:
                self.close(at)
            elif op in ARMS:
                self.arm()
            elif op in LABELLED:
                self.open(at, i)
            elif op in STOPS:
                self.live = self.blocks[-1].handlers if op in THROWS else 0
            elif op == "br":
                self.live = self.target(args[0])
            elif op == "br_table":
                self.live = 0
                for label in set(args[0]):
                    self.live |= self.target(label)
            elif op in BRANCHES:
                self.live |= self.target(args[BRANCHES[op]])
            else:
                self.call(at, op)

    def call(self, at: int, op: str) -> None:
        handlers = self.blocks[-1].handlers
        if op.startswith("return"):
            self.live = 0
        self.live |= handlers
        if at in self.calls:
            self.found |= self.live

    def target(self, label: int) -> int:
        return self.blocks[-1 - label].target

    def close(self, at: int) -> None:
        """The end of a block, where the pass enters it."""
        opening = self.opening[at]
        i = self.steps[opening]
        around = self.blocks[-1].handlers
        target = self.loops.get(opening, 0) if i.op == "loop" else self.live
        handlers = around
        if i.op == "try_table":
            args: Any = i.args
            for clause in args[1]:
                handlers |= self.target(clause.label)
        self.blocks.append(_Block(i.op, self.live, target, handlers, around))

    def arm(self) -> None:
        """Where an arm begins that is not the first: the pass continues at the end of the one before."""
        block = self.blocks[-1]
        block.arms |= self.live
        block.other = True
        if block.op == "try":
            block.handlers = block.around | block.arms
        self.live = block.after

    def open(self, at: int, i: Instruction) -> None:
        """Where a block begins."""
        block = self.blocks.pop()
        if i.op == "if":
            self.live |= block.arms if block.other else block.after
        elif i.op == "loop":
            self.loops[at] = self.loops.get(at, 0) | self.live
