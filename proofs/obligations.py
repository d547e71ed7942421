"""What has to be shown of a shim: for each path that its code can take, that it does what the contract says.

An obligation is a formula that has to hold whenever its conditions do. Each is given to a solver of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import z3

from meld.ir.module import Memory
from proofs.contract import Fields, Outcome, Words, outcome, wide
from proofs.division import without_division
from proofs.executor import Copy, Executor, Path, Violation, World, initial
from proofs.subject import FOCUS, WORDS, Subject

PAGES = z3.BitVec("pages", 32)
"""Pages of the caller's memory."""
PARAMETERS = {0: (), 1: ("handle",), 3: ("handle", "ptr", "mem"), 4: ("handle", "ptr", "len", "mem")}
"""Of shims, by how many they have."""


class GaveUp(Exception):
    """The solver did not decide an obligation."""


@dataclass(frozen=True, slots=True)
class Obligation:
    """`goal` has to follow from `given`."""

    name: str
    given: tuple[z3.BoolRef, ...]
    goal: z3.BoolRef

    def refute(self) -> z3.ModelRef | None:
        """A counter-example, or None if there is none. GaveUp if the solver cannot tell."""
        solver = z3.SolverFor("QF_BV")
        solver.add(*without_division((*self.given, z3.Not(self.goal))))
        match solver.check():
            case z3.unsat:
                return None
            case z3.sat:
                return solver.model()
        raise GaveUp(f"{self.name}: {solver.reason_unknown()}")


@dataclass(frozen=True, slots=True)
class Case:
    """A shim with its paths, and what the contract says of it."""

    operation: str
    subject: Subject
    arguments: tuple[z3.BitVecRef, ...]
    before: dict[int | str, Words]
    assumption: z3.BoolRef
    paths: list[Path]
    wanted: Outcome


def study(subject: Subject, operation: str) -> Case:
    """Runs a shim symbolically, for all arguments, all sizes of the caller's memory and all headers that may be."""
    shape, layout = subject.shape, subject.shape.layout
    function = subject.functions[operation]
    arguments = tuple(z3.BitVec(name, 32) for name in PARAMETERS[len(function.signature.params)])
    scan = operation == f"{shape.kind}_new"
    slots: list[int | str] = list(range(shape.headers)) if scan else [FOCUS]
    before: dict[int | str, Words] = {slot: {word: initial((slot, word)) for word in WORDS} for slot in slots}
    number: z3.BitVecRef | None = None if scan else arguments[0] & (shape.headers - 1)
    assumption = z3.And(
        z3.BoolVal(True) if shape.page_bits < 16 else z3.ULE(PAGES, 65536),
        *(fields.invariant() for fields in _fields(subject, before, number)),
    )
    bridge_pages = z3.BitVecVal(layout.pages, 32)
    size = z3.ZeroExt(32, PAGES) << shape.page_bits
    world = World(
        sizes={subject.bridge: z3.ZeroExt(32, bridge_pages) << 16, subject.memory: size},
        pages={subject.bridge: bridge_pages, subject.memory: PAGES},
        bridge=subject.bridge,
        first_header=shape.first_header,
        headers=shape.headers,
        slot=number,
        assumption=assumption,
    )
    paths = Executor(world).run(function, arguments)
    return Case(
        operation, subject, arguments, before, assumption, paths, outcome(operation, shape, before, arguments, size)
    )


def _fields(subject: Subject, words: dict[int | str, Words], number: z3.BitVecRef | None) -> Iterator[Fields]:
    bits = subject.shape.layout.slot_bits
    for slot, header in words.items():
        field = z3.BitVecVal(slot, bits) if isinstance(slot, int) else z3.Extract(bits - 1, 0, number)
        yield Fields(subject.shape, field, header)


def obligations(case: Case) -> Iterator[Obligation]:
    """All obligations of a shim."""
    for number, path in enumerate(case.paths):
        for name, goal, *more in _of_path(case, path):
            given = (case.assumption, *path.condition, *more)
            yield Obligation(f"{case.operation}, path {number}: {name}", given, goal)
    for number, (given, goal) in enumerate(_forks([path.condition for path in case.paths])):
        yield Obligation(f"{case.operation}: every input takes a path, fork {number}", (case.assumption, *given), goal)


Conditions = tuple[z3.BoolRef, ...]


def _forks(paths: list[Conditions]) -> Iterator[tuple[Conditions, z3.BoolRef]]:
    """What has to hold so that some path is taken always: of conditions in common, one of those that come next follows.

    Where one of the paths has no further condition, it is taken. Paths that were merged may be taken elsewhere, too.
    """
    pending: list[tuple[int, list[Conditions], list[Conditions]]] = [(0, paths, [])]
    while pending:
        depth, those, elsewhere = pending.pop()
        if any(len(path) == depth for path in those):
            continue
        groups: dict[int, list[Conditions]] = {}
        for path in those:
            groups.setdefault(path[depth].get_id(), []).append(path)
        nexts = [group[0][depth] for group in groups.values()]
        yield those[0][:depth], z3.Or(*nexts, *(z3.And(*path) for path in elsewhere))
        for taken, group in zip(nexts, groups.values(), strict=True):
            others = [
                p for other in groups.values() if other is not group for p in other if not _excludes(p[depth], taken)
            ]
            pending.append((depth + 1, group, elsewhere + others))


def _excludes(one: z3.BoolRef, other: z3.BoolRef) -> bool:
    """Whether one condition is the opposite of another, as it is written."""
    return any(z3.simplify(z3.Not(a)).eq(b) for a, b in ((one, other), (other, one)))


NEVER = z3.BoolVal(False)
K = z3.BitVec("k", 32)
ANYWHERE = z3.BitVec("anywhere", 64)


def _of_path(case: Case, path: Path) -> Iterator[tuple[z3.BoolRef, ...]]:
    """Name, goal and further conditions of each obligation of one path."""
    wanted = case.wanted
    yield "touches the header of its slot only", z3.And(*(z3.Not(v.when) for v in path.violations))
    yield "asks the host if and only if it has to", wanted.host if path.calls else z3.Not(wanted.host)
    yield "traps if and only if it has to", wanted.trap if path.trapped else z3.Not(wanted.trap)
    if path.calls:
        yield "passes the call on as it came", _passed_on(case, path)
    elif path.trapped:
        untouched = not path.copies
        yield "moves nothing before it traps", z3.BoolVal(untouched)
    elif path.result is not None:
        yield "result", path.result == wanted.result
    yield from _headers(case, path)
    yield from _bytes(case, path)


def _passed_on(case: Case, path: Path) -> z3.BoolRef:
    if len(path.calls) != 1:
        return NEVER
    (call,) = path.calls
    if call.name != case.operation or len(call.arguments) != len(case.arguments) or path.trapped:
        return NEVER
    forwarded = z3.BoolVal(True) if path.result is None else path.result == call.result
    return z3.And(forwarded, *(a == b for a, b in zip(call.arguments, case.arguments, strict=True)))


def _headers(case: Case, path: Path) -> Iterator[tuple[z3.BoolRef, ...]]:
    unchanged = path.trapped or bool(path.calls)
    after = {slot: {w: path.words.get((slot, w), header[w]) for w in WORDS} for slot, header in case.before.items()}
    for word in WORDS:
        goals = [
            after[slot][word] == (header if unchanged else case.wanted.words[slot])[word]
            for slot, header in case.before.items()
        ]
        yield f"word {word}", z3.And(*goals)
    number = case.arguments[0] if case.arguments else None
    yield "the invariant holds afterwards", z3.And(*(f.invariant() for f in _fields(case.subject, after, number)))


def _bytes(case: Case, path: Path) -> Iterator[tuple[z3.BoolRef, ...]]:
    """Which bytes arrive where, and that no others do."""
    subject, shape, moved = case.subject, case.subject.shape, case.wanted.moved
    first, end = shape.first_room, shape.first_room + shape.slots * shape.room
    for copy in path.copies:
        ends = ((copy.to, copy.to_at), (copy.source, copy.source_at))
        goals = [
            z3.And(z3.UGE(at, first), z3.ULE(at + copy.length, end)) for memory, at in ends if memory is subject.bridge
        ]
        yield "copies what is streamed, never headers", z3.Or(copy.length == 0, z3.And(*goals))
    for load in path.loads:
        if load.source is subject.bridge:
            inside = z3.And(z3.UGE(load.at, first), z3.ULE(load.at + load.width, end))
            yield "loads what is streamed, never headers", inside
    if moved is None:
        yield "moves no bytes", z3.And(*(c.length == 0 for c in path.copies))
        return
    pointer = wide(moved.pointer)
    to, to_at, source_at = subject.memory, pointer + wide(K), moved.place(K)
    number = ANYWHERE - pointer
    if moved.inwards:
        to, to_at, source_at = subject.bridge, source_at, to_at
        number = moved.number(ANYWHERE)
    other = subject.memory if to is subject.bridge else subject.bridge
    counts, beyond = z3.ULT(K, moved.count), z3.UGE(number, wide(moved.count))
    yield "each byte arrives", _covered(path.copies, to, to_at), counts
    for n, copy in enumerate(c for c in path.copies if c.to is to):
        # one by one: where copies overlap, each of them brings the right bytes, whichever comes last
        origin = z3.And(z3.BoolVal(copy.source is other), copy.source_at + (to_at - copy.to_at) == source_at)
        yield f"copy {n} brings the right bytes", origin, counts, _covers(copy, to_at)
        yield f"copy {n} changes no other byte of the receiving memory", z3.Not(_covers(copy, ANYWHERE)), beyond
    yield "no byte of the giving memory changes", z3.Not(_covered(path.copies, other, ANYWHERE))
    if shape.kind == "stream" and shape.whole > 1:
        words = case.before[FOCUS]
        elements = z3.URem(words["wr"] - words["rd"], shape.whole) == 0
        yield "whole elements", z3.URem(moved.count, shape.whole) == 0, elements


def _covered(copies: tuple[Copy, ...], to: Memory, at: z3.BitVecRef) -> z3.BoolRef:
    """Whether a byte is written by any of the copies."""
    return z3.Or(*(_covers(c, at) for c in copies if c.to is to))


def _covers(copy: Copy, at: z3.BitVecRef) -> z3.BoolRef:
    """Whether a copy writes a byte, if it is in the memory that the copy writes."""
    return z3.ULT(at - copy.to_at, copy.length)


def violations(case: Case) -> list[Violation]:
    """Accesses on any path that are not bound to be to the header of the slot."""
    return [v for path in case.paths for v in path.violations]
