"""A symbolic executor for the instructions that shims are made of. Any other instruction stops it: it fails closed.

Memory is not an array. Of the bridge memory only *header words* exist: those of the slot that the handle names, the
slot being a symbol, or those of a slot whose number is known. Each access of 32 bits has to show that it is one of
these; if it cannot, that is a violation, and the value read is anything. A load of 64 bits may show that it is two of
them. `memory.copy` is recorded, not performed, and so is any other load of another width (`DATA_LOADS`): it gives a
symbol, and a store of that symbol is a copy. So a shim touches what its paths list and nothing else, and no formula is
about more than a few words.

All values are z3 bit-vectors of 32 or 64 bits. Traps of WebAssembly (`unreachable`, a copy out of bounds, division by
zero) end a path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import z3

from meld.ir.instructions import Instruction, MemArg
from meld.ir.module import Function, Memory
from meld.ir.types import I32, I64, V128
from proofs.division import without_division
from proofs.subject import FOCUS, HEADER, WORDS, Word
from proofs.syntax import Block, Node, nest

MAX_TURNS = 4096


class Unmodelled(Exception):
    """The executor does not know what an instruction does."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A `memory.copy` that happened. Addresses and length: 64 bits, so that sums do not wrap."""

    to: Memory
    source: Memory
    to_at: z3.BitVecRef
    source_at: z3.BitVecRef
    length: z3.BitVecRef


@dataclass(frozen=True, slots=True)
class Load:
    """Bytes that were loaded from where they are streamed or from the caller's memory; `value` stands for them.

    They are those that stood there before the call: nothing may be stored in the memory that bytes come from.
    """

    source: Memory
    at: z3.BitVecRef  # 64 bits
    width: int
    value: z3.BitVecRef


@dataclass(frozen=True, slots=True)
class HostCall:
    """A call of an import, and the symbol that stands for its result (None if it has none)."""

    name: str
    arguments: tuple[z3.BitVecRef, ...]
    result: z3.BitVecRef | None


@dataclass(frozen=True, slots=True)
class Violation:
    """An access that is not to a header word under `when`; `value` is what a load got, and stands at `address`."""

    what: str
    address: z3.BitVecRef
    when: z3.BoolRef
    value: z3.BitVecRef | None = None


@dataclass(frozen=True, slots=True)
class State:
    """One symbolic state: a path condition, values, and what has happened so far.

    `witness` is a model of the path condition, if one is at hand: what holds in it needs no solver.
    """

    condition: tuple[z3.BoolRef, ...] = ()
    locals: tuple[z3.BitVecRef, ...] = ()
    stack: tuple[z3.BitVecRef, ...] = ()
    words: tuple[tuple[Word, z3.BitVecRef], ...] = ()
    copies: tuple[Copy, ...] = ()
    loads: tuple[Load, ...] = ()
    calls: tuple[HostCall, ...] = ()
    violations: tuple[Violation, ...] = ()
    witness: z3.ModelRef | None = None

    def push(self, *values: z3.BitVecRef) -> State:
        return replace(self, stack=self.stack + values)

    def under(self, *condition: z3.BoolRef) -> State:
        return replace(self, condition=self.condition + condition)

    def same_but_condition(self, other: State) -> bool:
        """Whether both are in the same place with the same values, compared as terms."""

        def key(state: State) -> Any:
            def term(v: z3.AstRef | None) -> int:
                return -1 if v is None else v.get_id()

            return (
                tuple(map(term, state.locals)),
                tuple(map(term, state.stack)),
                tuple((word, term(value)) for word, value in state.words),
                state.copies,
                state.loads,
                state.calls,
                state.violations,
            )

        return bool(key(self) == key(other))


@dataclass(frozen=True, slots=True)
class Path:
    """One way through a function. `words` holds the header words as they are at the end, if they were touched."""

    condition: tuple[z3.BoolRef, ...]
    trapped: bool
    result: z3.BitVecRef | None
    words: dict[Word, z3.BitVecRef]
    copies: tuple[Copy, ...]
    loads: tuple[Load, ...]
    calls: tuple[HostCall, ...]
    violations: tuple[Violation, ...]

    @property
    def when(self) -> z3.BoolRef:
        return z3.And(*self.condition)


@dataclass(frozen=True, slots=True)
class World:
    """What a function runs in.

    Attributes:
        sizes: the size of each memory in bytes, 64 bits.
        pages: the size of each memory in pages, as `memory.size` gives it.
        bridge: the memory whose headers are modelled.
        first_header, headers: where the first header is, in bytes, and how many there are.
        slot: the slot that the handle names, 32 bits; None if only slots with known numbers may be touched.
        assumption: what holds before the call.
    """

    sizes: dict[Memory, z3.BitVecRef]
    pages: dict[Memory, z3.BitVecRef]
    bridge: Memory
    first_header: int
    headers: int
    slot: z3.BitVecRef | None
    assumption: z3.BoolRef = field(default_factory=lambda: z3.BoolVal(True))


def initial(word: Word) -> z3.BitVecRef:
    """The symbol of a header word before the call."""
    slot, name = word
    return z3.BitVec(name if slot == FOCUS else f"{name}.{slot}", 32)


def possible(*condition: z3.BoolRef) -> bool:
    """Whether a condition can hold; `unknown` raises."""
    return witness(*condition) is not None


def witness(*condition: z3.BoolRef) -> z3.ModelRef | None:
    """A model of a condition, or None if it cannot hold; `unknown` raises."""
    solver = z3.SolverFor("QF_BV")
    solver.add(*without_division(condition))
    match solver.check():
        case z3.sat:
            return solver.model()
        case z3.unsat:
            return None
    raise Unmodelled(f"z3 gave up: {solver.reason_unknown()}")


FALL, RETURN, TRAP = "fall", "return", "trap"
Signal = str | int
"""How a sequence was left: at its end, by a return, by a trap, or by a branch out of so many blocks."""


class Executor:
    """Runs functions in a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.fresh = 0

    def run(self, function: Function, arguments: tuple[z3.BitVecRef, ...]) -> list[Path]:
        """All paths of a function that are possible under the assumption."""
        paths = []
        results = len(function.signature.results)
        for signal, state in self.call(function, State((), arguments)):
            result = state.stack[-1] if results and signal != TRAP else None
            paths.append(
                Path(
                    state.condition,
                    signal == TRAP,
                    result,
                    dict(state.words),
                    state.copies,
                    state.loads,
                    state.calls,
                    state.violations,
                )
            )
        return paths

    def call(self, function: Function, state: State) -> Iterator[tuple[Signal, State]]:
        """Runs a body; the arguments are the locals of `state`, the results are on the stack of what comes out."""
        code = function.view()
        zeros = tuple(z3.BitVecVal(0, _bits(t)) for t in code.locals)
        results = len(function.signature.results)
        body = Block("block", results, nest(code.instructions), [])
        for signal, end in self.block(body, replace(state, locals=state.locals + zeros, stack=())):
            yield (TRAP if signal == TRAP else RETURN), end

    def sequence(self, nodes: list[Node], start: State) -> Iterator[tuple[Signal, State]]:
        """Runs nodes one after another."""
        states = [start]
        for node in nodes:
            following: list[State] = []
            for state in states:
                for signal, after in self.node(node, state):
                    if signal == FALL:
                        _merge_into(following, after)
                    else:
                        yield signal, after
            states = following
        yield from ((FALL, state) for state in states)

    def node(self, node: Node, state: State) -> Iterator[tuple[Signal, State]]:
        match node:
            case Block("block" | "loop"):
                yield from self.block(node, state)
            case Block("if"):
                state, value = _pop(state)
                for holds, arm in ((True, node.body), (False, node.otherwise)):
                    for branch in self.assume(state, (value != 0) if holds else (value == 0)):
                        yield from self.block(Block("block", node.results, arm, []), branch)
            case Block(kind):
                raise Unmodelled(kind)
            case Instruction():
                yield from self.instruction(node, state)

    def block(self, block: Block, state: State) -> Iterator[tuple[Signal, State]]:
        below = state.stack
        states = [replace(state, stack=())]
        for _turn in range(MAX_TURNS):
            again: list[State] = []
            for start in states:
                for signal, after in self.sequence(block.body, start):
                    match signal, block.kind:
                        case (0, "loop"):
                            _merge_into(again, replace(after, stack=()))
                        case (0 | "fall", _):
                            kept = after.stack[len(after.stack) - block.results :]
                            yield FALL, replace(after, stack=below + kept)
                        case (int(depth), _):
                            yield depth - 1, after
                        case _:
                            yield signal, after
            if not again:
                return
            states = again
        raise Unmodelled(f"a loop with more than {MAX_TURNS} turns")

    def witness(self, *condition: z3.BoolRef) -> z3.ModelRef | None:
        """A model of a condition under the assumption of the world, or None if it cannot hold."""
        return witness(self.world.assumption, *condition)

    def assume(self, state: State, condition: z3.BoolRef) -> Iterator[State]:
        """The state under a condition, if that is possible."""
        condition = z3.simplify(condition)
        if z3.is_true(condition):
            yield state
        elif not z3.is_false(condition):
            known = state.witness
            if known is None or not z3.is_true(known.eval(condition, model_completion=True)):
                known = self.witness(*state.condition, condition)
            if known is not None:
                yield replace(state.under(condition), witness=known)

    def instruction(self, i: Instruction, state: State) -> Iterator[tuple[Signal, State]]:
        match i.op, i.args:
            case "unreachable", ():
                yield TRAP, state
            case "return", ():
                yield RETURN, state
            case "br", (int(depth),):
                yield depth, state
            case "br_if", (int(depth),):
                state, value = _pop(state)
                yield from ((depth, taken) for taken in self.assume(state, value != 0))
                yield from ((FALL, on) for on in self.assume(state, value == 0))
            case "call", (Function() as callee,):
                yield from self.invoke(callee, state)
            case "memory.copy", (Memory() as to, Memory() as source):
                yield from self.copy(to, source, state)
            case "i64.load", (MemArg() as at,) if (words := self.two_words(at, state)) is not None:
                yield FALL, _pop(state)[0].push(words)
            case op, (MemArg() as at,) if op in DATA_LOADS:
                yield from self.load_data(*DATA_LOADS[op], at, state)
            case op, (MemArg() as at,) if op in DATA_STORES and _loaded(state) is not None:
                yield from self.store_data(DATA_STORES[op], at, state)
            case ("i32.rem_u" | "i32.div_u") as op, ():
                state, right = _pop(state)
                state, left = _pop(state)
                yield from ((TRAP, zero) for zero in self.assume(state, right == 0))
                value = z3.URem(left, right) if op == "i32.rem_u" else z3.UDiv(left, right)
                yield from ((FALL, on.push(z3.simplify(value))) for on in self.assume(state, right != 0))
            case _:
                yield FALL, self.plain(i, state)

    def plain(self, i: Instruction, state: State) -> State:
        """Instructions that neither branch nor trap (a load or store that could trap is a violation)."""
        match i.op, i.args:
            case "local.get", (int(n),):
                return state.push(state.locals[n])
            case ("local.set" | "local.tee") as op, (int(n),):
                after, value = _pop(state)
                after = replace(after, locals=(*after.locals[:n], value, *after.locals[n + 1 :]))
                return after.push(value) if op == "local.tee" else after
            case "i32.const", (int(n),):
                return state.push(z3.BitVecVal(n, 32))
            case "i64.const", (int(n),):
                return state.push(z3.BitVecVal(n, 64))
            case "memory.size", (Memory() as memory,):
                return state.push(self.world.pages[memory])
            case "drop", ():
                return _pop(state)[0]
            case "select", ():
                state, condition = _pop(state)
                state, second = _pop(state)
                state, first = _pop(state)
                return state.push(z3.simplify(z3.If(condition != 0, first, second)))
            case "i32.load", (MemArg() as at,):
                state, address = _pop(state)
                return self.load(at, address, state)
            case (("i32.store" | "i64.store"), (MemArg() as at,)):
                state, value = _pop(state)
                state, address = _pop(state)
                return self.store(at, address, value, state)
            case op, () if op in UNARY:
                state, value = _pop(state)
                return state.push(z3.simplify(UNARY[op](value)))
            case op, () if op in BINARY:
                state, right = _pop(state)
                state, left = _pop(state)
                return state.push(z3.simplify(BINARY[op](left, right)))
        raise Unmodelled(f"{i.op} {i.args}")

    def symbol(self, name: str, bits: int) -> z3.BitVecRef:
        self.fresh += 1
        return z3.BitVec(f"{name}!{self.fresh}", bits)

    def invoke(self, callee: Function, state: State) -> Iterator[tuple[Signal, State]]:
        params, results = callee.signature.params, callee.signature.results
        split = len(state.stack) - len(params)
        below, arguments = state.stack[:split], state.stack[split:]
        if callee.imported is None:
            for signal, after in self.call(callee, replace(state, locals=arguments)):
                kept = after.stack[len(after.stack) - len(results) :]
                after = replace(after, locals=state.locals, stack=below + kept)
                yield (TRAP if signal == TRAP else FALL), after
            return
        assert callee.imported.module == "host", callee.imported
        name = callee.imported.field
        result = self.symbol(name, 32 if results[0] is I32 else 64) if results else None
        call = HostCall(name, arguments, result)
        after = replace(state, stack=below, calls=(*state.calls, call))
        yield FALL, after if result is None else after.push(result)

    # Memory

    def header_word(self, address: z3.BitVecRef, state: State) -> tuple[int | str, int] | Violation:
        """The slot and the offset in its header that an address (64 bits) is bound to be."""
        address = z3.simplify(address)
        if z3.is_bv_value(address):
            slot, offset = divmod(address.as_long() - self.world.first_header, HEADER)
            wild = not 0 <= slot < self.world.headers or bool(offset % 4) or self.world.slot is not None
            return (slot, offset) if not wild else Violation("", address, z3.BoolVal(True))
        if self.world.slot is None:
            return Violation("", address, z3.BoolVal(True))
        header = z3.ZeroExt(32, self.world.slot) * HEADER + self.world.first_header
        model = state.witness or witness(self.world.assumption, *state.condition)
        assert model is not None
        offset = model.eval(address - header, model_completion=True).as_long()
        elsewhere = address != header + offset
        if offset in range(0, HEADER, 4) and not possible(self.world.assumption, *state.condition, elsewhere):
            return FOCUS, offset
        here = [address == header + k for k in range(0, HEADER, 4)]
        return Violation("", address, z3.Not(z3.Or(*here)))

    def load(self, at: MemArg, pointer: z3.BitVecRef, state: State) -> State:
        address = z3.ZeroExt(32, pointer) + at.offset
        found = self.header_word(address, state)
        if at.memory is not self.world.bridge or isinstance(found, Violation):
            value = self.symbol("wild", 32)
            when = found.when if isinstance(found, Violation) else z3.BoolVal(True)
            violation = Violation("load", address, when, value)
            return replace(state, violations=(*state.violations, violation)).push(value)
        word = (found[0], WORDS[found[1] // 4])
        return state.push(dict(state.words).get(word, initial(word)))

    def two_words(self, at: MemArg, state: State) -> z3.BitVecRef | None:
        """Two words of a header in one load from the address on the stack; None if it is not one of a header."""
        if at.memory is not self.world.bridge:
            return None
        found = self.header_word(z3.ZeroExt(32, state.stack[-1]) + at.offset, state)
        if isinstance(found, Violation) or found[1] + 8 > HEADER:
            return None
        low, high = ((found[0], WORDS[found[1] // 4 + k]) for k in (0, 1))
        known = dict(state.words)
        return z3.simplify(z3.Concat(known.get(high, initial(high)), known.get(low, initial(low))))

    def store(self, at: MemArg, pointer: z3.BitVecRef, value: z3.BitVecRef, state: State) -> State:
        address = z3.ZeroExt(32, pointer) + at.offset
        found = self.header_word(address, state)
        count = value.size() // 32
        wild = at.memory is not self.world.bridge or isinstance(found, Violation)
        if isinstance(found, Violation) or wild or found[1] + 4 * count > HEADER:
            when = found.when if isinstance(found, Violation) else z3.BoolVal(True)
            return replace(state, violations=(*state.violations, Violation("store", address, when)))
        words = dict(state.words)
        for k in range(count):
            part = z3.simplify(z3.Extract(32 * k + 31, 32 * k, value))
            words[found[0], WORDS[found[1] // 4 + k]] = part
        return replace(state, words=tuple(sorted(words.items(), key=lambda entry: str(entry[0]))))

    def load_data(self, width: int, bits: int, at: MemArg, state: State) -> Iterator[tuple[Signal, State]]:
        assert isinstance(at.memory, Memory)
        state, pointer = _pop(state)
        load = Load(at.memory, z3.simplify(z3.ZeroExt(32, pointer) + at.offset), width, self.symbol("data", bits))
        inside = self.inside(load.source, load.at, width)
        yield from ((TRAP, outside) for outside in self.assume(state, z3.Not(inside)))
        done = replace(state, loads=(*state.loads, load)).push(load.value)
        yield from ((FALL, on) for on in self.assume(done, inside))

    def store_data(self, width: int, at: MemArg, state: State) -> Iterator[tuple[Signal, State]]:
        load = _loaded(state)
        if load is None or load.width != width:
            raise Unmodelled("a store of other bytes than a load gave")
        state, _ = _pop(state)
        state, pointer = _pop(state)
        assert isinstance(at.memory, Memory)
        to_at = z3.simplify(z3.ZeroExt(32, pointer) + at.offset)
        inside = self.inside(at.memory, to_at, width)
        done = Copy(at.memory, load.source, to_at, load.at, z3.BitVecVal(width, 64))
        yield from ((TRAP, outside) for outside in self.assume(state, z3.Not(inside)))
        yield from ((FALL, replace(on, copies=(*on.copies, done))) for on in self.assume(state, inside))

    def inside(self, memory: Memory, at: z3.BitVecRef, length: z3.BitVecRef | int) -> z3.BoolRef:
        """Whether bytes lie in a memory."""
        return z3.ULE(at + length, self.world.sizes[memory])

    def copy(self, to: Memory, source: Memory, state: State) -> Iterator[tuple[Signal, State]]:
        state, length = _pop(state)
        state, source_at = _pop(state)
        state, to_at = _pop(state)
        done = Copy(to, source, *(z3.simplify(z3.ZeroExt(32, v)) for v in (to_at, source_at, length)))
        inside = z3.And(self.inside(to, done.to_at, done.length), self.inside(source, done.source_at, done.length))
        yield from ((TRAP, outside) for outside in self.assume(state, z3.Not(inside)))
        yield from ((FALL, replace(on, copies=(*on.copies, done))) for on in self.assume(state, inside))


DATA_LOADS = {"v128.load": (16, 128), "i64.load": (8, 64), "i64.load32_u": (4, 64)}
"""Loads of what is streamed: how many bytes they load, and how many bits the value has."""
DATA_STORES = {"v128.store": 16, "i64.store": 8, "i64.store32": 4}
"""Stores of what was loaded: how many bytes they store."""


def _bits(t: object) -> int:
    for plain, bits in ((I32, 32), (I64, 64), (V128, 128)):
        if t is plain:
            return bits
    raise Unmodelled(f"a local of type {t}")


def _loaded(state: State) -> Load | None:
    """The load that gave the value on top of the stack."""
    return next((load for load in state.loads if load.value.eq(state.stack[-1])), None)


def _pop(state: State) -> tuple[State, z3.BitVecRef]:
    return replace(state, stack=state.stack[:-1]), state.stack[-1]


def _merge_into(states: list[State], state: State) -> None:
    """Adds a state, or widens one that differs in its condition only: this keeps a scan over slots linear."""
    for n, other in enumerate(states):
        if state.same_but_condition(other):
            common = 0
            while (
                common < min(len(state.condition), len(other.condition))
                and state.condition[common].get_id() == other.condition[common].get_id()
            ):
                common += 1
            either = z3.Or(z3.And(*state.condition[common:]), z3.And(*other.condition[common:]))
            states[n] = replace(other, condition=(*other.condition[:common], z3.simplify(either)))
            return
    states.append(state)


def _flag(condition: z3.BoolRef) -> z3.BitVecRef:
    return z3.If(condition, z3.BitVecVal(1, 32), z3.BitVecVal(0, 32))


def _shift(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Shift counts are taken modulo the width (WebAssembly 3.0, section 4.3.2)."""
    return lambda a, b: operation(a, b & (a.size() - 1))


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": _shift(lambda a, b: a << b),
    "shr_u": _shift(z3.LShR),
    "shr_s": _shift(lambda a, b: a >> b),
    "eq": lambda a, b: _flag(a == b),
    "ne": lambda a, b: _flag(a != b),
    "lt_u": lambda a, b: _flag(z3.ULT(a, b)),
    "le_u": lambda a, b: _flag(z3.ULE(a, b)),
    "gt_u": lambda a, b: _flag(z3.UGT(a, b)),
    "ge_u": lambda a, b: _flag(z3.UGE(a, b)),
    "lt_s": lambda a, b: _flag(a < b),
    "le_s": lambda a, b: _flag(a <= b),
    "gt_s": lambda a, b: _flag(a > b),
    "ge_s": lambda a, b: _flag(a >= b),
}
BINARY = {f"{width}.{name}": make for width in ("i32", "i64") for name, make in _ARITHMETIC.items()}


def leading_zeros(a: Any) -> Any:
    """How many bits are 0 before the first that is 1."""
    width = a.size()
    found = z3.BitVecVal(width, width)
    for n in range(width):
        found = z3.If(z3.Extract(n, n, a) == 1, z3.BitVecVal(width - 1 - n, width), found)
    return found


UNARY: dict[str, Callable[[Any], Any]] = {
    "i32.clz": leading_zeros,
    "i32.eqz": lambda a: _flag(a == 0),
    "i64.eqz": lambda a: _flag(a == 0),
    "i64.extend_i32_u": lambda a: z3.ZeroExt(32, a),
    "i64.extend_i32_s": lambda a: z3.SignExt(32, a),
    "i32.wrap_i64": lambda a: z3.Extract(31, 0, a),
}
