"""A symbolic executor for the functions of the runtime, whose memory is a set of disjoint cells.

A *cell* is a block of the state memory: the record of an instance, an entry of its table, a channel, a set. Its address
is a symbol, and cells do not overlap. Each access of 32 bits has to show which word of which cell it is: where it may
be one of several, the path splits; where it may be none, that is a violation, and the path ends there. So a function
touches what its paths list and nothing else, without a theory of arrays.

`block_new` and `block_free` are calls that are recorded, as is what wakes a task, the growth of the memory, and what is
filled; a function that only traps ends the path under its own name, which is the message of the trap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import z3

from meld.ir.instructions import Instruction, MemArg
from meld.ir.module import Function, Global, Memory
from proofs.executor import (
    FALL,
    TRAP,
    Copy,
    Executor,
    HostCall,
    Signal,
    State,
    Unmodelled,
    Violation,
    World,
)
from proofs.solving import Solving
from proofs.subject import Word

GLOBAL = "global"
WAKE = "set_wake"
NEW, FREE = "state.block_new", "state.block_free"
FILL, GROW = "memory.fill", "memory.grow"
OUT_OF_MEMORY = "out of memory for handles and tasks"


def bits(value: int) -> z3.BitVecRef:
    return z3.BitVecVal(value, 32)


def symbol(name: str) -> z3.BitVecRef:
    return z3.BitVec(name, 32)


@dataclass(frozen=True, slots=True)
class Cell:
    """A block of the state memory. It is there only under `when`; `zero`: all its words are 0 at first.

    `static`: it is part of a region that is there from the start, and not a block of the heap.
    `doubtful`: where it is not there, its address may be that of another one.
    `memory`: the memory of an instance in which it lies, anywhere; else it is in the state memory.
    """

    name: str
    base: z3.BitVecRef
    size: int
    when: z3.BoolRef = field(default_factory=lambda: z3.BoolVal(True))
    zero: bool = False
    static: bool = False
    doubtful: bool = False
    memory: str = ""

    def word(self, offset: int) -> Word:
        """The name of a word."""
        return self.name, str(offset)

    def first(self, offset: int) -> z3.BitVecRef:
        """The value of a word before the call."""
        return bits(0) if self.zero else symbol(f"{self.name}+{offset}")

    @property
    def words(self) -> list[int]:
        return list(range(0, self.size, 4))


def apart(cells: list[Cell]) -> z3.BoolRef:
    """Cells that are there are aligned, lie inside the memory, which does not end at 4 GiB, and do not overlap."""
    facts = []
    cells = [cell for cell in cells if not cell.memory]
    for n, a in enumerate(cells):
        inside = z3.And(z3.UGE(a.base, 16), z3.ULE(a.base, bits(-(a.size + 16))))
        aligned = z3.Extract(1, 0, a.base) == 0 if a.static else z3.Extract(3, 0, a.base) == 0
        facts.append(z3.Implies(a.when, z3.And(aligned, inside)))
        for b in cells[:n]:
            either = z3.Or(z3.ULE(a.base + a.size, b.base), z3.ULE(b.base + b.size, a.base))
            facts.append(z3.Implies(z3.And(a.when, b.when), either))
    return z3.And(*facts)


@dataclass(frozen=True, slots=True)
class Way:
    """One way through a function; `trap` is its message, None if it returns."""

    condition: tuple[z3.BoolRef, ...]
    trap: str | None
    results: tuple[z3.BitVecRef, ...]
    words: dict[Word, z3.BitVecRef]
    calls: tuple[HostCall, ...]
    copies: tuple[Copy, ...]
    violations: tuple[Violation, ...]


REFUSED = z3.Bool("refused")
"""Whether the memory does not grow."""


def full(n: int) -> z3.BoolRef:
    """Whether the n-th block of a call cannot be had."""
    return z3.Bool(f"full.{n}")


class CellExecutor(Executor):
    """Runs functions over cells. `fresh` are the cells that `block_new` gives, in order."""

    def __init__(
        self,
        world: World,
        cells: list[Cell],
        fresh: list[Cell],
        summaries: frozenset[str],
        stores: frozenset[str] = frozenset(),
        solving: Solving | None = None,
    ) -> None:
        super().__init__(world)
        self.solving = solving or Solving(world.assumption)
        self.cells = [*cells, *fresh]
        self.blocks = fresh
        self.doubtful = [cell for cell in self.cells if cell.doubtful]
        self.summaries, self.stores = summaries, stores

    def witness(self, *condition: z3.BoolRef) -> z3.ModelRef | None:
        return self.solving.model(*condition)

    def ways(self, function: Function, arguments: tuple[z3.BitVecRef, ...]) -> list[Way]:
        """All ways through a function that are possible under the assumption."""
        found = []
        count = len(function.signature.results)
        for signal, state in self.call(function, State((), arguments)):
            calls, trap = state.calls, None
            if signal == TRAP:
                named = calls[-1:] and calls[-1].name.startswith("trap ")
                trap = calls[-1].name.removeprefix("trap ") if named else "without a name"
                calls = calls[:-1] if named else calls
            results = state.stack[len(state.stack) - count :] if trap is None and count else ()
            found.append(Way(state.condition, trap, results, dict(state.words), calls, state.copies, state.violations))
        return found

    def instruction(self, i: Instruction, state: State) -> Iterator[tuple[Signal, State]]:
        match i.op, i.args:
            case "i32.load", (MemArg() as at,):
                below, pointer = _pop(state)
                for on, word in self.places(pointer, at, below, "load"):
                    yield (TRAP, on) if word is None else (FALL, on.push(self.value(on, word)))
            case "i32.store", (MemArg() as at,):
                below, value = _pop(state)
                below, pointer = _pop(below)
                for on, word in self.places(pointer, at, below, "store"):
                    yield (TRAP, on) if word is None else (FALL, _set(on, word, value))
            case "i64.load", (MemArg() as at,):
                below, pointer = _pop(state)
                for on, word in self.places(pointer, at, below, "load"):
                    yield (TRAP, on) if word is None else (FALL, on.push(self.double(on, word)))
            case "i64.store", (MemArg() as at,):
                below, value = _pop(state)
                below, pointer = _pop(below)
                for on, word in self.places(pointer, at, below, "store"):
                    yield (TRAP, on) if word is None else (FALL, self.set_double(on, word, value))
            case "memory.fill", (Memory() as memory,):
                yield from self.fill(memory, state)
            case "memory.grow", (Memory() as memory,):
                below, pages = _pop(state)
                grown = _called(below, HostCall(GROW, (pages,), None))
                yield from ((FALL, on.push(bits(-1))) for on in self.assume(grown, REFUSED))
                size = self.world.pages[memory]
                yield from ((FALL, on.push(size)) for on in self.assume(grown, z3.Not(REFUSED)))
            case "global.get", (Global() as item,):
                yield FALL, state.push(self.value(state, (GLOBAL, str(item.name))))
            case "global.set", (Global() as item,):
                below, value = _pop(state)
                yield FALL, _set(below, (GLOBAL, str(item.name)), value)
            case "br_table", ((*labels, default),):
                below, index = _pop(state)
                for n, depth in enumerate(labels):
                    yield from ((depth, taken) for taken in self.assume(below, index == n))
                yield from ((default, taken) for taken in self.assume(below, z3.UGE(index, len(labels))))
            case _:
                yield from super().instruction(i, state)

    def double(self, state: State, word: Word) -> z3.BitVecRef:
        """What two words hold."""
        return z3.Concat(self.value(state, self.beside(word)), self.value(state, word))

    def set_double(self, state: State, word: Word, value: z3.BitVecRef) -> State:
        """Stores in two words."""
        return _set(_set(state, word, z3.Extract(31, 0, value)), self.beside(word), z3.Extract(63, 32, value))

    def beside(self, word: Word) -> Word:
        """The word that follows, which has to be one of the same cell."""
        cell = next(c for c in self.cells if c.name == word[0])
        if int(word[1]) + 4 not in cell.words:
            raise Unmodelled(f"two words at {word}")
        return cell.word(int(word[1]) + 4)

    def fill(self, memory: Memory, state: State) -> Iterator[tuple[Signal, State]]:
        """A block becomes zero, from its first word on, so that its cell does."""
        below, length = _pop(state)
        below, value = _pop(below)
        below, start = _pop(below)
        at = MemArg(0, 0, memory)
        for on, word in self.places(start, at, below, "fill"):
            cell = next((c for c in self.cells if word is not None and c.name == word[0]), None)
            if cell is None or word != cell.word(0):
                raise Unmodelled("memory.fill that is not of a block")
            on = _violated(on, "fill", start, z3.ULT(length, cell.size))
            for offset in cell.words:
                byte = z3.Extract(7, 0, value)
                on = _set(on, cell.word(offset), z3.Concat(byte, byte, byte, byte))
            yield FALL, _called(on, HostCall(FILL, (start, value, length), None))

    def value(self, state: State, word: Word) -> z3.BitVecRef:
        """What a word holds."""
        known = dict(state.words).get(word)
        if known is not None:
            return known
        if word[0] == GLOBAL:
            return symbol(word[1])
        cell = next(c for c in self.cells if c.name == word[0])
        return cell.first(int(word[1]))

    def places(self, pointer: z3.BitVecRef, at: MemArg, state: State, what: str) -> Iterator[tuple[State, Word | None]]:
        """The words that an access may be to, each with the state under that condition; None for no word."""
        address = z3.simplify(pointer + at.offset)
        memory = "" if at.memory is self.world.bridge else str(at.memory.name)
        rest = state
        if memory:
            assert isinstance(at.memory, Memory)
            inside = self.inside(at.memory, z3.ZeroExt(32, pointer) + at.offset, 4)
            yield from ((outside, None) for outside in self.assume(state, z3.Not(inside)))
            within = list(self.assume(state, inside))
            if not within:
                return
            (rest,) = within
        rest = replace(rest, witness=rest.witness or self.witness(*rest.condition))
        assert rest.witness is not None
        for cell in self.there(rest.witness, memory):
            known = z3.simplify(address - cell.base)
            if z3.is_bv_value(known) and known.as_long() in cell.words:
                # another cell may be there in its place
                others = list(self.assume(rest, z3.Not(cell.when))) if cell in self.doubtful else []
                for on in self.assume(rest, cell.when) if others else [rest]:
                    yield self.found(cell, known.as_long(), at, on, what, address)
                if not others:
                    return
                (rest,) = others
                break
        while True:
            assert rest.witness is not None
            model = rest.witness
            for cell in self.there(model, memory):
                distance = model.eval(address - cell.base, model_completion=True).as_long()
                if distance in cell.words:
                    break
            else:
                yield _violated(rest, what, address, z3.BoolVal(True)), None
                return
            same = address == cell.base + distance
            here = z3.And(cell.when, same)
            for on in self.assume(rest, here):
                yield self.found(cell, distance, at, on, what, address)
            others = list(self.assume(rest, z3.Not(here)))
            if not others:
                return
            (rest,) = others

    def there(self, model: z3.ModelRef, memory: str) -> list[Cell]:
        """The cells of a memory that are there in a model."""
        cells = [cell for cell in self.cells if cell.memory == memory]
        return [cell for cell in cells if z3.is_true(model.eval(cell.when, model_completion=True))]

    def found(
        self, cell: Cell, distance: int, at: MemArg, state: State, what: str, address: z3.BitVecRef
    ) -> tuple[State, Word]:
        """A word of a cell: it has to be there, and the sum of pointer and offset may not wrap."""
        bad = z3.Not(cell.when)
        if distance < at.offset:
            bad = z3.Or(bad, z3.ULT(cell.base, at.offset - distance))
        bad = z3.simplify(bad)
        if not z3.is_false(bad):
            state = _violated(state, what, address, bad)
        return state, cell.word(distance)

    def invoke(self, callee: Function, state: State) -> Iterator[tuple[Signal, State]]:
        name = str(callee.name)
        split = len(state.stack) - len(callee.signature.params)
        below, arguments = replace(state, stack=state.stack[:split]), state.stack[split:]
        if is_trap(callee):
            yield TRAP, _called(below, HostCall(f"trap {name}", (), None))
        elif name == NEW:
            yield from self.block_new(below, arguments)
        elif name in self.stores:
            after = _called(below, HostCall(name, arguments, None))
            for on, word in self.places(arguments[0], MemArg(0, 0, self.world.bridge), after, name):
                if word is None:
                    yield TRAP, on
                    continue
                value = self.value(on, word)
                yield FALL, _set(on, word, z3.If(value != 0, value, symbol(f"{name}.answer")))
        elif name in self.summaries:
            after = _called(below, HostCall(name, arguments, None))
            if callee.signature.results and any(call.name == name for call in below.calls):
                raise Unmodelled(f"a second result of {name}")
            yield FALL, after.push(symbol(f"{name}.answer")) if callee.signature.results else after
        else:
            yield from super().invoke(callee, state)

    def block_new(self, state: State, arguments: tuple[z3.BitVecRef, ...]) -> Iterator[tuple[Signal, State]]:
        """The next fresh block, or a trap."""
        n = sum(call.name == NEW for call in state.calls)
        if n >= len(self.blocks):
            raise Unmodelled(f"block {n} of a call")
        for none in self.assume(state, full(n)):
            yield TRAP, _called(none, HostCall(f"trap {OUT_OF_MEMORY}", (), None))
        block = self.blocks[n].base
        for on in self.assume(state, z3.Not(full(n))):
            yield FALL, _called(on, HostCall(NEW, arguments, block)).push(block)


TRAP_OF_INDEX = ("unknown handle index", "handle index used with the wrong type", "index is not a resource")
"""Traps that name a small index: the functions call those of the indices."""


def is_trap(function: Function) -> bool:
    """Whether a function does nothing but trap."""
    if function.name in TRAP_OF_INDEX:
        return True
    return function.imported is None and [i.op for i in function.view().instructions] == ["unreachable"]


def _pop(state: State) -> tuple[State, z3.BitVecRef]:
    return replace(state, stack=state.stack[:-1]), state.stack[-1]


def _set(state: State, word: Word, value: z3.BitVecRef) -> State:
    words = dict(state.words) | {word: z3.simplify(value)}
    return replace(state, words=tuple(sorted(words.items(), key=lambda entry: str(entry[0]))))


def _called(state: State, call: HostCall) -> State:
    return replace(state, calls=(*state.calls, call))


def _violated(state: State, what: str, address: z3.BitVecRef, when: z3.BoolRef) -> State:
    return replace(state, violations=(*state.violations, Violation(what, address, when)))


Read = Callable[[Cell, int], Any]
"""The value of a word of a cell, before or after a call."""
