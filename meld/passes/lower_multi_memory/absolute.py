"""`lower-multi-memory`: functions that take addresses of the single memory, and so serve all regions.

The functions that adapters call for the bytes of strings (kind `transcode`) get addresses that their callers have
checked, and call nothing else. There is one of each for every pair of memories. Where such a function is *invariant*,
that is, where it does the same when all its addresses are moved by a constant, it need not know its region: its callers
add the base to what they pass, and subtract it from the addresses that it returns. Its accesses need no checks, and
functions for other regions that are otherwise equal become one.

Whether it is invariant is decided by degrees. The *degree* of a value says, for each memory, how often its base is part
of it: 1 in an address, 0 in a number. An operation relates the degrees of its operands: a sum has their sum, what is
compared has equal ones, an access wants 1 in its memory. That gives linear equations over the degrees of the locals;
if they have a solution, the function is invariant.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, TypeAlias

from meld.ir.instructions import Instruction, MemArg, references, substitute
from meld.ir.module import LABELLED, Function, Memory, Module
from meld.ir.opcodes import OPS
from meld.ir.types import I32
from meld.rewriting.resumable.operands import FIXED
from meld.support.records import record

SHARED = "transcode"
"""The kind of functions whose callers check what they pass (`Item.synthetic`)."""

Degree: TypeAlias = dict[int | Memory, int]
"""A linear expression: so often the degree of a local, and so often the base of a memory."""

EQUAL = frozenset({"i32.eq", "i32.ne", "i32.lt_u", "i32.gt_u", "i32.le_u", "i32.ge_u"})
"""Comparisons that stay as they are if both operands are moved alike."""

LEAVE = frozenset({"return", "unreachable", "br"})


@record()
class Absolute:
    """A function that takes addresses of the single memory.

    Attributes:
        function: what is called instead, the same for all that are alike.
        memories: those it was written for, in the order in which it names them.
        params, results: for each whether it is an address, and of which memory.
    """

    function: Function
    memories: list[Memory]
    params: list[Memory | None]
    results: list[Memory | None]


def absolute_functions(module: Module) -> dict[Function, Absolute]:
    """The invariant functions of a module. Their bodies stay as they are; what is like an earlier one names that."""
    found: dict[Function, Absolute] = {}
    candidates = [f for f in module.functions if f.synthetic == SHARED and f.body is not None]
    called_only = set(candidates) - _otherwise_used(module) if candidates else set()
    keys: dict[Any, Function] = {}
    pending = [f for f in candidates if f in called_only]
    while pending:  # callees first
        left = []
        for function in pending:
            made = _invariant(function, found)
            if made is None:
                left.append(function)
                continue
            made.function = keys.setdefault(_key(function, made.memories, found), function)
            found[function] = made
        if len(left) == len(pending):
            break
        pending = left
    return found


def _otherwise_used(module: Module) -> set[Function]:
    """The functions that something does with but call them."""
    found = {item for expression in module.constants() for i in expression for item in references(i)}
    found |= {entry for segment in module.elements for entry in segment.functions or ()}
    found |= {export.item for export in module.exports}
    found |= set() if module.start is None else {module.start}
    for function in module.functions:
        for i in function.instructions:
            if i.op in ("ref.func", "return_call"):
                found.add(i.args[0])
    return {item for item in found if isinstance(item, Function)}


def _key(function: Function, memories: list[Memory], known: dict[Function, Absolute]) -> Any:
    """Equal for functions that are alike in everything but the memories."""
    slots: dict[Any, Any] = {memory: number for number, memory in enumerate(memories)}

    def callee(f: Function) -> Any:
        made = known.get(f)
        return f if made is None else (made.function, *(slots[m] for m in made.memories))

    def part(arg: Any) -> Any:
        match arg:
            case MemArg(align, offset, memory):
                return align, offset, slots[memory]
            case Memory():
                return slots[arg]
            case Function():
                return callee(arg)
        return arg

    body = tuple((i.op, tuple(map(part, i.args))) for i in function.instructions)
    return function.signature, tuple(function.code.locals), body


def made_absolute(function: Function, known: dict[Function, Absolute], single: Memory) -> None:
    """Rewrites the body of an invariant function to the single memory."""
    new: dict[Any, Any] = dict.fromkeys(known[function].memories, single)
    new |= {f: made.function for f, made in known.items()}
    function.code.instructions = [substitute(i, new) for i in function.instructions]


# --- degrees ---------------------------------------------------------------------------------------------------------


class _NotInvariant(Exception):
    """It is not, or cannot be shown to be."""


def _invariant(function: Function, known: dict[Function, Absolute]) -> Absolute | None:
    """The function with what its parameters and results are; None if it is not invariant."""
    walk = _Walk(function, known)
    try:
        walk.run()
        memories = list(walk.memories)
        params = [walk.memory_of(n) for n in range(len(function.signature.params))]
        results = [walk.memory_of(walk.first_result + n) for n in range(len(function.signature.results))]
    except _NotInvariant:
        return None
    return Absolute(function, memories, params, results)


@record()
class _Equations:
    """Linear equations between degrees, solved as they come: unknown → what it is in terms of others."""

    solved: dict[int, Degree] = field(default_factory=dict)

    def reduced(self, degree: Degree) -> Degree:
        """An expression in terms of what is not determined yet."""
        out: Degree = {}
        for term, count in degree.items():
            for inner, times in (self.solved.get(term, {term: 1}) if isinstance(term, int) else {term: 1}).items():
                out[inner] = out.get(inner, 0) + count * times
        return {term: count for term, count in out.items() if count}

    def zero(self, degree: Degree) -> None:
        """Says that an expression is 0."""
        rest = self.reduced(degree)
        unknown = next((t for t, count in rest.items() if isinstance(t, int) and count in (1, -1)), None)
        if unknown is None:
            if rest:
                raise _NotInvariant
            return
        sign = -rest.pop(unknown)
        value = {term: count * sign for term, count in rest.items()}
        self.solved[unknown] = value
        for other, expression in self.solved.items():
            if unknown in expression:
                self.solved[other] = self.reduced(expression)


@record()
class _Walk:
    """One walk over a body: the equations, and whether locals with addresses are set before they are read."""

    function: Function
    known: dict[Function, Absolute]
    equations: _Equations = field(default_factory=_Equations)
    memories: dict[Memory, None] = field(default_factory=dict)
    stack: list[Degree] = field(default_factory=list)
    labels: list[tuple[int, set[int]]] = field(default_factory=list)
    set_before: set[int] = field(default_factory=set)
    early: set[int] = field(default_factory=set)  # read where they may not be set
    first_result: int = 0

    def run(self) -> None:
        """Raises `_NotInvariant` if the equations have no solution."""
        function = self.function
        types = [*function.signature.params, *function.code.locals]
        self.first_result = len(types)
        self.set_before = set(range(len(function.signature.params)))
        for number, t in enumerate([*types, *function.signature.results]):
            if t is not I32:
                self.equations.zero({number: 1})
        dead = 0  # labels that were opened where nothing is reached; 0 if something is
        for i in function.instructions:
            if dead:
                if i.op in LABELLED:
                    dead += 1
                elif i.op == "end" or (i.op == "else" and dead == 1):
                    dead -= 1
                    if dead == 0:
                        self.close(reopen=i.op == "else")
                continue
            self.step(i)
            dead = int(i.op in LEAVE)
        if not dead:
            self.leave()
        for local in self.early:
            if any(self.equations.reduced({local: 1}).values()):
                raise _NotInvariant

    def memory_of(self, unknown: int) -> Memory | None:
        """The memory that the value of an unknown is an address of; None of a number."""
        degree = [(term, n) for term, n in self.equations.reduced({unknown: 1}).items() if isinstance(term, Memory)]
        match degree:
            case []:
                return None
            case [(memory, 1)]:
                return memory
        raise _NotInvariant

    def pop(self, count: int) -> list[Degree]:
        floor = self.labels[-1][0] if self.labels else 0
        if len(self.stack) - count < floor:
            raise _NotInvariant
        popped = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return popped

    def numbers(self, count: int) -> None:
        """Takes numbers from the stack."""
        for degree in self.pop(count):
            self.equations.zero(degree)

    def equal(self, a: Degree, b: Degree) -> None:
        self.equations.zero(_sum(a, b, -1))

    def address(self, degree: Degree, memory: Memory) -> None:
        self.memories[memory] = None
        self.equal(degree, {memory: 1})

    def leave(self) -> None:
        """The results of the function are on the stack."""
        count = len(self.function.signature.results)
        for number, degree in enumerate(self.pop(count)):
            self.equal(degree, {self.first_result + number: 1})

    def close(self, *, reopen: bool) -> None:
        """The innermost block ends, or its other arm begins."""
        if not self.labels:
            raise _NotInvariant
        height, before = self.labels[-1]
        del self.stack[height:]
        self.set_before = set(before)
        if not reopen:
            self.labels.pop()

    def step(self, i: Instruction) -> None:
        """One instruction that is reached."""
        match i:
            case Instruction(op="block" | "loop" | "if", args=(kind, *_)):
                if kind is not None:
                    raise _NotInvariant
                if i.op == "if":
                    self.numbers(1)
                self.labels.append((len(self.stack), set(self.set_before)))
            case Instruction(op="else"):
                self.close(reopen=True)
            case Instruction(op="end"):
                self.close(reopen=False)
            case Instruction(op="br_if" | "br", args=(depth,)):
                if i.op == "br_if":
                    self.numbers(1)
                if depth >= len(self.labels):
                    raise _NotInvariant  # a return in other words
            case Instruction(op="return"):
                self.leave()
            case Instruction(op="unreachable" | "nop"):
                pass
            case Instruction(op="drop"):
                self.pop(1)
            case Instruction(op="local.get", args=(local,)):
                if local not in self.set_before:
                    self.early.add(local)
                self.stack.append({local: 1})
            case Instruction(op="local.set" | "local.tee", args=(local,)):
                (value,) = self.pop(1)
                self.equal(value, {local: 1})
                self.set_before.add(local)
                if i.op == "local.tee":
                    self.stack.append({local: 1})
            case Instruction(op="select", args=()):
                self.numbers(1)
                a, b = self.pop(2)
                self.equal(a, b)
                self.stack.append(a)
            case Instruction(op="call", args=(Function() as callee,)):
                self.call(callee)
            case Instruction(op="memory.copy", args=(to, source)):
                self.numbers(1)
                a, b = self.pop(2)
                self.address(a, to)
                self.address(b, source)
            case Instruction(args=(MemArg(memory=memory), *_)):
                taken, made = FIXED[i.op]
                self.numbers(taken - 1)
                self.address(self.pop(1)[0], memory)
                self.stack += [{} for _ in made]
            case Instruction(op="i32.add" | "i32.sub"):
                a, b = self.pop(2)
                self.stack.append(_sum(a, b, 1 if i.op == "i32.add" else -1))
            case Instruction(op=op) if op in EQUAL:
                a, b = self.pop(2)
                self.equal(a, b)
                self.stack.append({})
            case Instruction(op=op) if op in FIXED and not op.startswith("memory.") and op in OPS:
                taken, made = FIXED[op]
                self.numbers(taken)
                self.stack += [{} for _ in made]
            case _:
                raise _NotInvariant

    def call(self, callee: Function) -> None:
        """A call of an invariant function, or of one that neither takes nor gives anything: it only traps."""
        signature = callee.signature
        made = self.known.get(callee)
        if made is None:
            if signature.params or signature.results or callee.synthetic != "trap":
                raise _NotInvariant
            return
        for memory in made.memories:
            self.memories[memory] = None
        for degree, memory_or_none in zip(self.pop(len(signature.params)), made.params, strict=True):
            self.equal(degree, {} if memory_or_none is None else {memory_or_none: 1})
        self.stack += [{} if memory is None else {memory: 1} for memory in made.results]


def _sum(a: Degree, b: Degree, sign: int) -> Degree:
    out = dict(a)
    for term, count in b.items():
        out[term] = out.get(term, 0) + sign * count
    return out
