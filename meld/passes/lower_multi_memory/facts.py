"""`lower-multi-memory`: what is known of addresses in locals, so that an access need not be checked again.

A fact is: so many bytes from the address in a local on lie in a region. No region shrinks, so a fact holds until the
local is set. Facts are carried through a body in one walk: where paths meet, what holds on all of them does; where a
loop begins, what holds of locals that it never sets. Code that is never reached has no facts, and needs no checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import TypeAlias

from meld.ir.instructions import Instruction
from meld.ir.module import LABELLED
from meld.passes.lower_multi_memory.regions import Region
from meld.rewriting.labels import RESUMING
from meld.support.records import record

Known: TypeAlias = dict[tuple[int, int], int]
"""Local and number of a region → bytes."""

MOST = 64
"""Facts that are kept at a time; beyond, the oldest go."""

SHORT = 64
"""Instructions of a loop in which checks are made in place."""

LEAVES = frozenset(
    {
        *("unreachable", "return", "return_call", "return_call_indirect", "return_call_ref"),
        *("throw", "throw_ref", "rethrow", "br", "br_table"),
    }
)
"""Instructions after which nothing is reached."""

BRANCHES = frozenset({"br", "br_if", "br_on_null", "br_on_non_null", "br_on_cast", "br_on_cast_fail"})


@record()
class Loops:
    """The loops of a body by their first instruction: the locals that each sets, as bits, and whether it is short."""

    sets: dict[int, int] = field(default_factory=dict)
    short: dict[int, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, instructions: Sequence[Instruction]) -> Loops:
        """Finds them in one walk."""
        found = cls()
        opened: list[tuple[int, int]] = []  # where, and the locals set so far
        for index, i in enumerate(instructions):
            if i.op in LABELLED:
                opened.append((index, 0))
            elif i.op in ("local.set", "local.tee") and opened:
                start, bits = opened[-1]
                opened[-1] = start, bits | 1 << i.args[0]
            elif i.op in ("end", "delegate"):
                start, bits = opened.pop()
                if instructions[start].op == "loop":
                    found.sets[start], found.short[start] = bits, index - start <= SHORT
                if opened:
                    outer, outer_bits = opened[-1]
                    opened[-1] = outer, outer_bits | bits
        return found


@record()
class _Label:
    """An open block: the facts at its start, and what holds on all paths to its end so far (None: there is none)."""

    op: str
    short: bool
    entry: Known | None
    end: Known | None = None


@record()
class Facts:
    """What holds at the place that a walk over a body has come to; None where no path leads."""

    loops: Loops
    known: Known | None = field(default_factory=dict)
    labels: list[_Label] = field(default_factory=list)

    @property
    def in_short_loop(self) -> bool:
        """Whether the innermost loop around is short."""
        return bool(self.labels) and self.labels[-1].short

    def covers(self, local: int, region: Region, reach: int) -> bool:
        """Whether so many bytes from the address in the local on are known to lie in the region."""
        return self.known is None or self.known.get((local, region.number), 0) >= reach

    def learn(self, local: int, region: Region, reach: int) -> None:
        """They have been checked."""
        if self.known is not None:
            self.known.pop((local, region.number), None)
            self.known[local, region.number] = reach
            if len(self.known) > MOST:
                del self.known[next(iter(self.known))]

    def pass_by(self, index: int, i: Instruction) -> None:
        """Goes on behind an instruction."""
        op = i.op
        if op in ("local.set", "local.tee"):
            self._forget(1 << i.args[0])
        elif op in LABELLED:
            self._open(index, i)
        elif op in ("else", "catch", "catch_all"):
            label = self.labels[-1]
            label.end = _both(label.end, self.known)
            if op == "else":
                label.op = "else"
                self.known = label.entry
            else:
                self.known = {}
        elif op in ("end", "delegate"):
            label = self.labels.pop()
            if label.op == "if":
                self.known = _both(self.known, label.entry)
            self.known = _both(self.known, label.end)
            if op == "delegate" or label.op == "try":
                self.known = {}
        else:
            if op in BRANCHES:
                self._branch(i.args[0], self.known)
            elif op in RESUMING:
                for handler in i.args[-1]:
                    if handler.label is not None:
                        self._branch(handler.label, self.known)
            elif op == "br_table":
                for depth in set(i.args[0]):
                    self._branch(depth, self.known)
            if op in LEAVES:
                self.known = None

    def _open(self, index: int, i: Instruction) -> None:
        short = self.in_short_loop
        if i.op == "loop":
            short = self.loops.short[index]
            self._forget(self.loops.sets[index])
        elif i.op == "try_table":
            for catch in i.args[-1]:
                self._branch(catch.label, {})
        self.labels.append(_Label(i.op, short, None if self.known is None else dict(self.known)))

    def _branch(self, depth: int, known: Known | None) -> None:
        if depth < len(self.labels) and self.labels[-1 - depth].op != "loop":
            label = self.labels[-1 - depth]
            label.end = _both(label.end, known)

    def _forget(self, locals_: int) -> None:
        if self.known:
            self.known = {key: reach for key, reach in self.known.items() if not locals_ >> key[0] & 1}


def _both(one: Known | None, other: Known | None) -> Known | None:
    """What holds on both of two paths."""
    if one is None or other is None:
        found = other if one is None else one
        return None if found is None else dict(found)
    return {key: min(reach, other[key]) for key, reach in one.items() if key in other}
