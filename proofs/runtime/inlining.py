"""Functions whose calls were inlined do what they did before: translation validation, for all inputs.

Both forms of a function run side by side. Values are terms; what can be seen from outside is an *effect*: a load, a
store, a global, a call that was not inlined, a trap. Both have to come to the same effects, with the same arguments,
in the same order, to decide on the same terms, and to return the same ones. Where the form with calls comes to one that
the other has not, it goes into the function that is called. At each decision terms are forgotten, but for which of
them are equal; so there are finitely many pairs of states, and a loop is done when a pair comes again. Nothing is said
of what an effect does: it does the same to both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from meld.ir.instructions import Instruction, MemArg
from meld.ir.module import Function, Module
from meld.ir.types import TypeDef
from meld.passes.emit_tasks import inlined as passes
from meld.passes.emit_tasks.inlined import inline_runtime
from meld.rewriting import inline
from meld.rewriting import text as texts
from meld.text.reading.program import parse_module
from proofs.executor import Unmodelled
from proofs.runtime.program import build, build_tasks

Term = tuple[Any, ...]
"""``const c``, ``op … terms``, or something that is not known."""
ZERO: Term = ("const", 0)
MOST_CALLS = 64
"""Calls in one another that the form with calls may be in."""
MOST_STEPS = 100_000
"""Instructions between two decisions."""
UNARY = ("eqz", "clz", "ctz", "popcnt", "extend", "wrap", "reinterpret", "trunc", "convert", "demote", "promote")
OPENING = ("block", "loop", "if")


@dataclass(frozen=True, slots=True)
class Event:
    """What a run comes to: an effect with so many results, a decision between so many, its end, or a trap."""

    kind: str
    what: Term = ()
    terms: tuple[Term, ...] = ()
    count: int = 0


@dataclass(slots=True)
class Code:
    """A body, with the `else` (or `end`) and the `end` of each block."""

    function: Function
    instructions: list[Instruction]
    ends: dict[int, tuple[int, int]]
    locals: int

    @classmethod
    def of(cls, function: Function) -> Code:
        view = function.view()
        open_: list[list[int]] = []
        ends: dict[int, tuple[int, int]] = {}
        for n, instruction in enumerate(view.instructions):
            match instruction.op:
                case "block" | "loop" | "if":
                    open_.append([n])
                case "else":
                    open_[-1].append(n)
                case "end":
                    start, *other = open_.pop()
                    ends[start] = (other[0] if other else n, n)
                case "try" | "try_table" | "delegate":
                    raise Unmodelled(instruction.op)
        return cls(function, view.instructions, ends, len(view.locals))


@dataclass(frozen=True, slots=True)
class Label:
    """A block that is open: where a jump to it goes, the height of the stack below it, and the values that it takes."""

    loop: bool
    target: int
    height: int
    values: int


@dataclass(slots=True)
class Frame:
    """A call."""

    code: Code
    locals: list[Term]
    base: int
    at: int = 0
    labels: list[Label] = field(default_factory=list)

    def copy(self) -> Frame:
        return replace(self, locals=list(self.locals), labels=list(self.labels))


@dataclass(slots=True)
class Machine:
    """A run of one of the forms."""

    codes: Callable[[Function], Code]
    frames: list[Frame] = field(default_factory=list)
    stack: list[Term] = field(default_factory=list)

    def copy(self) -> Machine:
        return Machine(self.codes, [frame.copy() for frame in self.frames], list(self.stack))

    def enter(self, function: Function, arguments: tuple[Term, ...]) -> None:
        """Goes into a function."""
        if len(self.frames) > MOST_CALLS:
            raise Unmodelled(f"calls of {function.name} in one another")
        code = self.codes(function)
        self.frames.append(Frame(code, [*arguments, *[ZERO] * code.locals], len(self.stack)))

    def take(self, count: int) -> tuple[Term, ...]:
        """The values on top of the stack, which go."""
        values = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return values

    def jump(self, depth: int) -> Event | None:
        """Jumps out of so many blocks."""
        frame = self.frames[-1]
        if depth == len(frame.labels):
            return self.leave()
        label = frame.labels[-1 - depth]
        values = self.take(label.values)
        del self.stack[label.height :]
        self.stack += values
        del frame.labels[len(frame.labels) - depth - (not label.loop) :]
        frame.at = label.target
        return None

    def leave(self) -> Event | None:
        """Returns from the innermost call; the end if it is the outermost."""
        frame = self.frames.pop()
        values = self.take(len(frame.code.function.signature.results))
        del self.stack[frame.base :]
        if not self.frames:
            return Event("end", terms=values)
        self.stack += values
        return None

    def decide(self, way: int) -> Event | None:
        """Goes on behind a decision."""
        frame = self.frames[-1]
        instruction = frame.code.instructions[frame.at]
        match instruction.op:
            case "if":
                other, end = frame.code.ends[frame.at]
                self.open(instruction, end)
                frame.at = frame.at if way else other if other != end else end - 1
            case "br_if":
                if way:
                    return self.jump(instruction.args[0])
            case "br_table":
                return self.jump(instruction.args[0][way])
        frame.at += 1
        return None

    def open(self, instruction: Instruction, end: int) -> None:
        frame, values = self.frames[-1], _values(instruction.args[0])
        loop = instruction.op == "loop"
        frame.labels.append(Label(loop, frame.at + 1 if loop else end + 1, len(self.stack), 0 if loop else values))

    def run(self) -> Event:
        """Runs up to the next event."""
        for _ in range(MOST_STEPS):
            frame = self.frames[-1]
            if frame.at >= len(frame.code.instructions):
                event = self.leave()
            else:
                event = self.step(frame, frame.code.instructions[frame.at])
            if event is not None:
                return event
        raise Unmodelled("a loop without a decision")

    def step(self, frame: Frame, i: Instruction) -> Event | None:
        match i.op:
            case "if" | "br_if" | "br_table":
                (term,) = self.take(1)
                ways = len(i.args[0]) if i.op == "br_table" else 2
                if term[0] != "const":
                    return Event("decision", terms=(term,), count=ways)
                return self.decide(min(term[1], ways - 1) if i.op == "br_table" else int(term[1] != 0))
            case "br":
                return self.jump(i.args[0])
            case "return":
                return self.leave()
            case "unreachable":
                return Event("trap")
        frame.at += 1
        match i.op:
            case "block" | "loop":
                frame.at -= 1
                self.open(i, frame.code.ends[frame.at][1])
                frame.at += 1
            case "else":
                start = next(n for n, (other, _) in frame.code.ends.items() if other == frame.at - 1)
                frame.at = frame.code.ends[start][1]
            case "end":
                frame.labels.pop()
            case "drop":
                self.stack.pop()
            case "local.get":
                self.stack.append(frame.locals[i.args[0]])
            case "local.set":
                frame.locals[i.args[0]] = self.stack.pop()
            case "local.tee":
                frame.locals[i.args[0]] = self.stack[-1]
            case "i32.const" | "i64.const" | "f32.const" | "f64.const":
                self.stack.append(("const", *i.args))
            case "select":
                self.stack.append(("select", *self.take(3)))
            case "call":
                (callee,) = i.args
                given = self.take(len(callee.signature.params))
                return Event("call", (callee,), given, len(callee.signature.results))
            case _:
                return self.other(i)
        return None

    def other(self, i: Instruction) -> Event | None:
        """Arithmetic; or an effect on memories and globals."""
        takes, gives = _shape(i.op)
        terms = self.take(takes)
        if i.args:
            return Event("effect", (i.op, *map(_named, i.args)), terms, gives)
        if "div" in i.op or "rem" in i.op or "trunc" in i.op:
            return Event("effect", (i.op,), terms, gives)
        self.stack.append((i.op, *terms))
        return None


def _values(result: object) -> int:
    """How many values a block gives."""
    if isinstance(result, TypeDef):
        shape: Any = result.shape
        if shape.params:
            raise Unmodelled("a block with parameters")
        return len(shape.results)
    return 0 if result is None else 1


def _shape(op: str) -> tuple[int, int]:
    """How many operands and results an instruction has."""
    kind, _, name = op.partition(".")
    match kind, name:
        case "global", "get":
            return 0, 1
        case "global", "set":
            return 1, 0
        case "memory", "size":
            return 0, 1
        case "memory", "grow":
            return 1, 1
        case "memory", "copy" | "fill":
            return 3, 0
        case "i32" | "i64" | "f32" | "f64" | "v128", _ if name.startswith("load"):
            return 1, 1
        case "i32" | "i64" | "f32" | "f64" | "v128", _ if name.startswith("store"):
            return 2, 0
        case "i32" | "i64", _ if name.startswith(UNARY):
            return 1, 1
        case "i32" | "i64", _:
            return 2, 1
    raise Unmodelled(op)


def _named(item: Any) -> object:
    """An operand of an instruction, so that those of both forms compare: items by their names."""
    if isinstance(item, MemArg):
        return item.align, item.offset, item.memory.name
    return item if isinstance(item, int | str) else item.name


def _same(a: Event, b: Event) -> bool:
    """Whether both forms have come to the same."""
    if a.kind == b.kind == "call":
        return a.what[0].name == b.what[0].name and a.terms == b.terms
    return (a.kind, a.what, a.terms, a.count) == (b.kind, b.what, b.terms, b.count)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the forms of a function part, and what was decided up to there."""

    function: str
    ways: tuple[int, ...]
    called: str
    inlined: str


@dataclass(slots=True)
class Compared:
    """How many functions, and pairs of states at decisions."""

    functions: int = 0
    decisions: int = 0
    calls: int = 0
    differences: list[Difference] = field(default_factory=list)


def compare(called: Module, inlined: Module) -> Compared:
    """Compares every function of a module whose calls were inlined with the one of the same name in the other."""
    codes: dict[Function, Code] = {}

    def code(function: Function) -> Code:
        if function not in codes:
            codes[function] = Code.of(function)
        return codes[function]

    before = dict(_labelled(called))
    found = Compared()
    for name, function in _labelled(inlined):
        machines = Machine(code), Machine(code)
        for machine, form in zip(machines, (before[name], function), strict=True):
            machine.enter(form, tuple(("param", n) for n in range(len(form.signature.params))))
        difference = _compared(name, *machines, found)
        found.differences += [] if difference is None else [difference]
        found.functions += 1
    return found


def _labelled(module: Module) -> Iterator[tuple[str, Function]]:
    """The functions by their names, those without one by that of their export."""
    exported = {export.item: str(export.name) for export in module.exports}
    for function in module.functions:
        yield function.name or exported[function], function


def _compared(name: str, called: Machine, inlined: Machine, found: Compared) -> Difference | None:
    pending: list[tuple[Machine, Machine, tuple[int, ...]]] = [(called, inlined, ())]
    seen: set[object] = set()
    while pending:
        a, b, ways = pending.pop()
        event, other, results = Event(""), Event(""), 0
        while True:
            event, other = a.run(), b.run()
            while event.kind == "call" and not _same(event, other):
                callee = event.what[0]
                if callee.imported is not None:
                    break
                a.enter(callee, event.terms)
                found.calls += 1
                event = a.run()
            if not _same(event, other):
                return Difference(name, ways, _shown(event), _shown(other))
            if event.kind not in ("effect", "call"):
                break
            made = [("result", results + n) for n in range(event.count)]
            results += event.count
            a.stack += made
            b.stack += made
        if event.kind != "decision":
            continue
        key = _forget(a, b)
        if key in seen:
            continue
        seen.add(key)
        found.decisions += 1
        for way in range(event.count):
            pair = a.copy(), b.copy()
            ended = [machine.decide(way) or Event("goes on") for machine in pair]
            if not _same(*ended):
                return Difference(name, (*ways, way), *map(_shown, ended))
            if ended[0].kind != "end":
                pending.append((*pair, (*ways, way)))
    return None


def _forget(a: Machine, b: Machine) -> object:
    """Puts a name in place of each term, the same for equal ones; returns what tells a pair of states from others."""
    names: dict[Term, Term] = {}

    def known(term: Term) -> Term:
        return term if term[0] == "const" else names.setdefault(term, ("value", len(names)))

    def kept(term: Term) -> Term:
        return term if term[0] == "const" else names.get(term, ("none of them",))

    for frame in a.frames:
        frame.locals = list(map(known, frame.locals))
    a.stack = list(map(known, a.stack))
    for frame in b.frames:
        frame.locals = list(map(kept, frame.locals))
    b.stack = list(map(kept, b.stack))
    return tuple((tuple((f.code.function, f.at, tuple(f.locals)) for f in m.frames), tuple(m.stack)) for m in (a, b))


def _shown(event: Event) -> str:
    what = [str(getattr(w, "name", w)) for w in event.what]
    return " ".join([event.kind, *what, *map(str, event.terms)])


@contextmanager
def recorded() -> Iterator[list[str]]:
    """The texts of the runtime that are made meanwhile, as they are before calls are inlined."""
    found: list[str] = []
    original = vars(texts)["generated"]

    def generated(text: str, *rest: Any) -> Module:
        found.append(text)
        module: Module = original(text, *rest)
        return module

    vars(texts)["generated"] = generated
    try:
        yield found
    finally:
        vars(texts)["generated"] = original


def validate(text: str, mutant: Mutant | None = None) -> Compared:
    """Inlines the calls of the runtime of a program, and compares what comes of it with what was there."""
    inlined = parse_module(text, "inlined")
    with mutated(mutant):
        inline_runtime(inlined)
    return compare(parse_module(text, "called"), inlined)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A deliberate error in meld/rewriting/inline.py; `why` says what is lost."""

    name: str
    old: str
    new: str
    why: str


@contextmanager
def mutated(mutant: Mutant | None) -> Iterator[None]:
    """Calls are inlined with the error."""
    original = vars(passes)["inline_calls"]
    if mutant is not None:
        source = Path(inline.__file__).read_text(encoding="utf-8")
        if source.count(mutant.old) != 1:
            raise ValueError(f"mutant {mutant.name}: stands {source.count(mutant.old)} times: {mutant.old}")
        changed = ModuleType(inline.__name__)
        exec(compile(source.replace(mutant.old, mutant.new), inline.__file__, "exec"), changed.__dict__)
        vars(passes)["inline_calls"] = vars(changed)["inline_calls"]
    try:
        yield
    finally:
        vars(passes)["inline_calls"] = original


SAMPLE = """(module
  (import "" "memory" (memory $memory 1))
  (func (export "loops") (param $n i32) (result i32)
    (local $sum i32)
    (loop $more
      (local.set $sum (i32.add (local.get $sum) (call $counted (local.get $n))))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func $counted (param $n i32) (result i32)
    (local $count i32)
    (if (i32.load $memory (local.get $n)) (then (local.set $count (i32.const 1))))
    (local.get $count))
  (func (export "argument") (param $n i32) (result i32)
    (i32.store $memory (local.get $n) (call $halved (local.get $n)))
    (local.get $n))
  (func $halved (param $n i32) (result i32)
    (local.set $n (i32.shr_u (local.get $n) (i32.const 1)))
    (i32.sub (local.get $n) (i32.load $memory (local.get $n)))))
"""
"""What the runtime has not today: a local in a loop that is read before it is set, a parameter that is set."""


MUTANTS = (
    Mutant(
        "zeros-left-out",
        "for number, core in _zeros(body, len(callee.signature.params)):",
        "for number, core in ():",
        "a local has what an earlier turn of the loop left",
    ),
    Mutant("return-goes-on", 'op, args = "br", (depth,)', 'op, args = "br", (0,)', "what follows a return runs"),
    Mutant("block-left-out", "if tight and not _leaves(body):", "if tight:", "a return leaves the caller"),
    Mutant(
        "arguments-in-order",
        "for n in reversed(range(len(callee.signature.params))) if n in places",
        "for n in range(len(callee.signature.params)) if n in places",
        "arguments change places",
    ),
    Mutant(
        "local-shared",
        "first = len(caller.signature.params) + len(code.locals)",
        "first = len(caller.signature.params) + len(code.locals) - 1",
        "a local of the caller is written over",
    ),
    Mutant(
        "changed-argument",
        "and params - 1 not in changed",
        "",
        "a parameter that is set stands for the local of the caller",
    ),
)


def runtimes() -> list[str]:
    """The texts of both programs, and the sample."""
    with recorded() as sources:
        build(2, ["u8", "none"])
        build_tasks(8)
    return [*sources, SAMPLE]


def main() -> int:
    """Compares the forms of all functions of both programs, and refutes the mutants; what fails is printed."""
    start, status = time.process_time(), 0
    sources = runtimes()
    found = [validate(text) for text in sources]
    for difference in (d for each in found for d in each.differences):
        print(f"  fails: {difference}")
        status = 1
    for mutant in MUTANTS:
        if not is_refuted(mutant, sources):
            print(f"  not refuted: {mutant.name}")
            status = 1
    functions, calls = sum(each.functions for each in found), sum(each.calls for each in found)
    decisions = sum(each.decisions for each in found)
    took = time.process_time() - start
    print(
        f"inlined: {functions} functions, {calls} calls, {decisions} decisions, {len(MUTANTS)} mutants, {took:.1f} s",
        flush=True,
    )
    return status


def is_refuted(mutant: Mutant, sources: list[str]) -> bool:
    """Whether the forms of some function differ, or the inlined one is no code at all."""
    try:
        return any(validate(text, mutant).differences for text in sources)
    except (IndexError, KeyError):
        return True
