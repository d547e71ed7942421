"""What has to be shown of a function of the runtime in a scenario, and whether it holds.

A scenario says which cells there are, what is known of them (the invariant), and what the function has to do: which
trap comes under which condition, what is returned, what each word is afterwards, which blocks are taken and given back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import z3

from meld.binary.reader import read_module
from meld.ir.module import Function, Memory
from proofs.executor import Copy, HostCall, World
from proofs.obligations import Obligation
from proofs.runtime.cells import GLOBAL, OUT_OF_MEMORY, Cell, CellExecutor, Way, apart, full
from proofs.solving import Solving
from proofs.subject import Word

SIZE = z3.BitVec("state.size", 64)
"""Bytes of the state memory."""
Get = Callable[[Cell, int], z3.BitVecRef]
YES, NO = z3.BoolVal(True), z3.BoolVal(False)


@dataclass(slots=True)
class Program:
    """A module with the functions of the runtime, as bytes, and what its bytes say."""

    binary: bytes
    functions: dict[str, Function]
    memories: dict[str, Memory]


def read(binary: bytes) -> Program:
    """The functions of a module by their names, and by those that they are exported under; its memories."""
    module = read_module(binary, "runtime")
    functions = {e.name: e.item for e in module.exports if isinstance(e.item, Function)}
    functions |= {str(f.name): f for f in module.functions if f.name}
    return Program(binary, functions, {str(m.name): m for m in module.memories})


@dataclass(frozen=True, slots=True)
class Event:
    """A call that is recorded, under a condition: a block that is taken or given back, a set whose task is woken."""

    name: str
    arguments: tuple[z3.BitVecRef, ...]
    when: z3.BoolRef = YES


@dataclass(frozen=True, slots=True)
class Moved:
    """Bytes that have to be copied: names of memories, addresses, and length, all of 32 bits."""

    to: str
    source: str
    to_at: z3.BitVecRef
    source_at: z3.BitVecRef
    length: z3.BitVecRef
    when: z3.BoolRef = YES


@dataclass(slots=True)
class Want:
    """What has to happen. Of the traps, the first whose condition holds; `words` that are not named stay as they are.

    `taken` is the condition under which the n-th block is asked for.
    """

    traps: list[tuple[str, z3.BoolRef]] = field(default_factory=list)
    results: tuple[z3.BitVecRef, ...] = ()
    words: dict[Word, z3.BitVecRef] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)

    def trap(self, message: str) -> z3.BoolRef:
        """Whether this trap has to come."""
        earlier, found = NO, NO
        for name, when in self.traps:
            found = z3.Or(found, z3.And(when, z3.Not(earlier))) if name == message else found
            earlier = z3.Or(earlier, when)
        return found


@dataclass(slots=True)
class Scenario:
    """A function, its arguments, and all states that it is proved for.

    Attributes:
        cells: the blocks that it may touch; `fresh` those that `block_new` gives, in order.
        assumption: the invariant before the call, besides that cells do not overlap.
        invariant: what has to hold afterwards, if the function returns.
        atomic: whether a trap has to leave everything as it was.
        low: further blocks, each with the condition that it is there.
        shares: memories of instances that it copies between, with their sizes in bytes (64 bits).
        summaries: functions that do nothing but what is recorded; their results are symbols, `NAME.answer`.
        stores: those of them that store their result in the word that they are called with, if that is 0.
        program: the name of the program that has the function (proofs/runtime/prove.py).
    """

    name: str
    function: str
    arguments: tuple[z3.BitVecRef, ...]
    cells: list[Cell]
    assumption: z3.BoolRef
    want: Want
    fresh: list[Cell] = field(default_factory=list)
    invariant: Callable[[Get], z3.BoolRef] | None = None
    atomic: bool = True
    low: list[tuple[z3.BitVecRef, z3.BoolRef]] = field(default_factory=list)
    shares: dict[str, z3.BitVecRef] = field(default_factory=dict)
    summaries: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    program: str = "channels"

    @property
    def given(self) -> z3.BoolRef:
        return z3.And(apart([*self.cells, *self.fresh]), self.assumption)

    def ways(self, program: Program, solving: Solving) -> list[Way]:
        """All ways through the function of a program; questions about its assumption are put to a solver."""
        state = program.memories["state"]
        sizes = {state: SIZE} | {program.memories[name]: size for name, size in self.shares.items()}
        pages = {memory: z3.Extract(31, 0, z3.LShR(size, 16)) for memory, size in sizes.items()}
        world = World(sizes, pages, state, 0, 0, None, solving.assumption)
        executor = CellExecutor(world, self.cells, self.fresh, self.summaries | {FREE_NAME}, self.stores, solving)
        return executor.ways(program.functions[self.function], self.arguments)

    def obligations(self, program: Program, ways: list[Way], given: z3.BoolRef) -> Iterator[Obligation]:
        """All that has to be shown."""
        for number, way in enumerate(ways):
            for name, goal in self._of(program, way):
                yield Obligation(f"{self.name}, path {number}: {name}", (given, *way.condition), goal)
        every = z3.Or(*(z3.And(*way.condition) for way in ways))
        yield Obligation(f"{self.name}: every input takes a path", (given,), every)

    def _of(self, program: Program, way: Way) -> Iterator[tuple[str, z3.BoolRef]]:
        yield "touches its cells only", z3.And(*(z3.Not(v.when) for v in way.violations))
        if way.trap is not None:
            yield f"traps: {way.trap}", self.want.trap(way.trap)
            if self.atomic:
                unchanged = (value == self.first(word) for word, value in way.words.items())
                yield "changes nothing before it traps", z3.And(*unchanged, z3.BoolVal(not way.copies))
            return
        yield "does not have to trap", z3.Not(z3.Or(*(when for _, when in self.want.traps)))
        yield "results", z3.And(*(a == b for a, b in zip(way.results, self.want.results, strict=True)))
        for word in [*self.words, *(w for w in way.words if w[0] == GLOBAL and w not in self.want.words)]:
            after = way.words.get(word, self.first(word))
            yield f"word {word[0]}+{word[1]}", after == self.want.words.get(word, self.first(word))
        yield "blocks and wakes", _in_order(self.want.events, way.calls)
        yield "bytes", _copied(program, self.want.moved, way.copies)
        if self.invariant is not None:
            yield (
                "the invariant holds afterwards",
                self.invariant(lambda cell, at: way.words.get(cell.word(at), cell.first(at))),
            )

    @property
    def words(self) -> list[Word]:
        """Every word that may be touched."""
        unknown = [w for w in self.want.words if w[0] != GLOBAL and w[0] not in {c.name for c in self._all}]
        assert not unknown, unknown
        globals_ = [w for w in self.want.words if w[0] == GLOBAL]
        return [*globals_, *(cell.word(at) for cell in self._all for at in cell.words)]

    @property
    def _all(self) -> list[Cell]:
        return [*self.cells, *self.fresh]

    def first(self, word: Word) -> z3.BitVecRef:
        """The value of a word before the call."""
        if word[0] == GLOBAL:
            return z3.BitVec(word[1], 32)
        return next(c for c in self._all if c.name == word[0]).first(int(word[1]))


FREE_NAME = "state.block_free"


def _in_order(wanted: list[Event], calls: tuple[HostCall, ...]) -> z3.BoolRef:
    """Whether the calls are those that are wanted under their conditions, in that order."""
    one, zero = z3.BitVecVal(1, 8), z3.BitVecVal(0, 8)
    rank, ranks = zero, []
    for event in wanted:
        ranks.append(rank)
        rank = rank + z3.If(event.when, one, zero)
    goals = [rank == len(calls)]
    for n, call in enumerate(calls):
        fits = [
            z3.And(
                event.when,
                at == n,
                z3.BoolVal(event.name == call.name),
                *(a == b for a, b in zip(event.arguments, call.arguments, strict=False)),
            )
            for event, at in zip(wanted, ranks, strict=True)
        ]
        goals.append(z3.Or(*fits))
    return z3.And(*goals)


def _copied(program: Program, wanted: list[Moved], copies: tuple[Copy, ...]) -> z3.BoolRef:
    """Whether the copies are the wanted one, of which there is at most one at a time; an empty copy is none."""
    nothing = z3.And(*(c.length == 0 for c in copies))
    none = z3.Not(z3.Or(*(m.when for m in wanted)))
    goals = [z3.Implies(none, nothing)]
    for m in wanted:
        length = z3.ZeroExt(32, m.length)
        fits = [
            z3.And(
                z3.BoolVal(c.to is program.memories[m.to] and c.source is program.memories[m.source]),
                c.to_at == z3.ZeroExt(32, m.to_at),
                c.source_at == z3.ZeroExt(32, m.source_at),
                c.length == length,
            )
            for c in copies
        ]
        one = z3.And(z3.Or(*fits), z3.BoolVal(len(copies) == 1))
        goals.append(z3.Implies(m.when, z3.Or(one, z3.And(length == 0, nothing))))
    return z3.And(*goals)


@dataclass(slots=True)
class Figures:
    """What was proved."""

    paths: int = 0
    obligations: int = 0
    failed: list[str] = field(default_factory=list)


def failing(program: Program, scenario: Scenario, figures: Figures | None = None) -> Iterator[Obligation]:
    """The obligations that do not hold. Those of a path are tried at once, and one by one where that fails."""
    figures = figures or Figures()
    solving = Solving(scenario.given)
    ways = scenario.ways(program, solving)
    figures.paths += len(ways)
    groups: dict[tuple[int, ...], list[Obligation]] = {}
    for obligation in scenario.obligations(program, ways, solving.assumption):
        figures.obligations += 1
        groups.setdefault(tuple(g.get_id() for g in obligation.given), []).append(obligation)
    for group in groups.values():
        model = solving.model(*group[0].given[1:], z3.Not(z3.And(*(o.goal for o in group))))
        if model is not None:
            yield from (o for o in group if not z3.is_true(model.eval(o.goal, model_completion=True)))


def prove(program: Program, scenario: Scenario, figures: Figures) -> None:
    """Proves all obligations of a scenario."""
    figures.failed += [o.name for o in failing(program, scenario, figures)]


def taken(n: int, when: z3.BoolRef) -> tuple[str, z3.BoolRef]:
    """The trap that comes where the n-th block, which is asked for under a condition, cannot be had."""
    return OUT_OF_MEMORY, z3.And(when, full(n))
