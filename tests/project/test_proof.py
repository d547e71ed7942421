"""The shims are proved, the mutants refuted, and prover, model and engine agree. See proofs/prove.py.

Proofs take minutes: by default small shapes and every third mutant are tried, all of them with MELD_CASES.
`make prove` proves all shapes and refutes all mutants.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
import z3

from proofs.counterexample import trace_of
from proofs.division import without_division
from proofs.executor import Executor, Path, Unmodelled, World, initial, possible
from proofs.lemmas import lemmas
from proofs.mutants import EQUIVALENT, WRONG, Mutant
from proofs.obligations import PAGES, Case, obligations, study
from proofs.prove import SHAPES, prove
from proofs.refute import failing, refute
from proofs.replay import Engine, Observation, Trace, differences
from proofs.subject import WORDS, Shape, build
from specs.stream_model import Futures, Streams

DEFAULT = Shape()
SMALL = Shape(slots=2, ring=4)
MIXED = Shape(slots=5, ring=64, whole=4, unit=12)
FUTURES = Shape(kind="future", slots=5, ring=4, size=20, value=24)
QUICK = (SMALL, FUTURES, Shape(kind="future", slots=2, ring=4, size=0, value=8))
ALL = "MELD_CASES" in os.environ
EACH = slice(None, None, 1 if ALL else 3)


@pytest.mark.parametrize("shape", [*QUICK, *([DEFAULT] if ALL else [])], ids=str)
def test_every_path_of_every_shim_is_proved(shape: Shape) -> None:
    """The other shapes are left to `make prove`."""
    assert shape in SHAPES
    report = prove(build(shape))
    assert report.failed == []
    assert report.paths > 25


@pytest.mark.parametrize("mutant", [m for m in WRONG[EACH] if ALL or m.shape.ring < 512], ids=lambda m: m.name)
def test_a_mutant_is_refuted_by_a_call_that_shows_it(mutant: Mutant) -> None:
    found = refute(mutant)
    assert found is not None, mutant.why
    assert Trace.from_json(found.trace.json()) == found.trace


@pytest.mark.parametrize("mutant", EQUIVALENT[EACH], ids=lambda m: m.name)
def test_a_mutant_that_changes_nothing_is_proved(mutant: Mutant) -> None:
    assert [obligation.name for _, obligation in failing(mutant)] == [], mutant.why


@pytest.mark.parametrize("shape", [SMALL, FUTURES], ids=str)
def test_no_obligation_is_empty(shape: Shape) -> None:
    """What an obligation assumes can be the case."""
    cases = [study(build(shape), operation) for operation in shape.operations]
    counted = {"moves", "byte", "elements"}  # about bytes, on paths that may move none
    for obligation in (*lemmas(shape), *(o for case in cases for o in obligations(case))):
        if not counted & set(obligation.name.split()):
            assert possible(*obligation.given), obligation.name


def test_what_is_not_modelled_stops_the_proof() -> None:
    text = SMALL.text().replace("(i32.eqz (local.get $n))", "(i32.popcnt (local.get $n))")
    with pytest.raises(Unmodelled, match="popcnt"):
        study(build(SMALL, text), "stream_read")


PATHS = {"stream": 40, "future": 30}
"""Paths there are at least."""

# Agreement. Each path is run from states that take it: what the executor says of the path, what the contract in
# bit-vectors wants, what the model wants and what the engine does have to be one thing.


def _states(case: Case, path: Path, rng: random.Random, count: int) -> Iterator[Trace]:
    """Calls that take a path, spread out by fixing random bits of random inputs as far as that is possible."""
    solver = z3.SolverFor("QF_BV")
    solver.add(*without_division((case.assumption, *path.condition)))
    words = [initial((slot, word)) for slot in case.before for word in WORDS]
    if case.subject.shape.page_bits == 16:
        solver.add(z3.Or(z3.ULE(PAGES, 3), z3.UGE(PAGES, 65535)) if rng.random() < 0.9 else z3.BoolVal(True))
    assert solver.check() == z3.sat, "a path that nothing takes"
    for _ in range(count):
        solver.push()
        for term in rng.sample([*case.arguments, PAGES, *words], k=3):
            for n in rng.sample(range(32), k=2):
                if solver.check(wish := z3.Extract(n, n, term) == rng.getrandbits(1)) == z3.sat:
                    solver.add(wish)
        assert solver.check() == z3.sat
        trace = trace_of(case, solver.model())
        for n in range(case.subject.shape.slots):
            trace.headers.setdefault(n, _header(case.subject.shape, n, rng))
        yield trace
        solver.pop()


def _header(shape: Shape, slot: int, rng: random.Random) -> dict[str, int]:
    """The words of a slot that is not in play, which nothing may change."""
    model = Streams(shape.slots, shape.ring) if shape.kind == "stream" else Futures(shape.slots)
    generation = rng.randrange(model.generations)
    live = rng.random() < 0.7
    rd = rng.getrandbits(32)
    wr = (rd + rng.randint(0, shape.ring)) % (1 << 32) if shape.kind == "stream" else rng.randrange(2)
    state = generation << 2 | (rng.randrange(3) if live else 0)
    return {"wr": wr, "rd": rd, "key": model.handle(slot, generation) if live else 0, "state": state}


def _valuation(case: Case, trace: Trace) -> list[tuple[z3.BitVecRef, z3.BitVecRef]]:
    """The inputs of a trace as values of the symbols."""
    pairs = [(symbol, z3.BitVecVal(n, 32)) for symbol, n in zip(case.arguments, trace.arguments, strict=True)]
    pairs.append((PAGES, z3.BitVecVal(trace.pages, 32)))
    for slot in case.before:
        n = slot if isinstance(slot, int) else trace.arguments[0] % case.subject.shape.headers
        pairs += [(initial((slot, word)), z3.BitVecVal(trace.headers[n][word], 32)) for word in WORDS]
    return pairs


def _check_path(case: Case, trace: Trace, seen: Observation) -> int:
    """Compares executor and contract with what the engine did; the number of the path that was taken."""
    pairs = _valuation(case, trace)

    def value(term: z3.ExprRef) -> int | bool:
        found = z3.simplify(z3.substitute(term, *pairs))
        return z3.is_true(found) if z3.is_bool(found) else int(found.as_signed_long())

    taken = [n for n, path in enumerate(case.paths) if value(path.when)]
    assert len(taken) == 1, trace.json()
    path, wanted = case.paths[taken[0]], case.wanted
    assert (path.trapped, value(wanted.trap)) == (seen.trapped, seen.trapped), trace.json()
    assert [c.name for c in path.calls] == [name for name, _ in seen.calls]
    assert value(wanted.host) == bool(seen.calls)
    if seen.result is not None and not seen.calls:
        assert path.result is not None and wanted.result is not None
        assert value(path.result) == value(wanted.result) == seen.result, trace.json()
    for slot, header in case.before.items():
        n = slot if isinstance(slot, int) else trace.arguments[0] % case.subject.shape.headers
        for word in WORDS:
            after = value(path.words.get((slot, word), header[word])) & 0xFFFFFFFF
            assert after == seen.headers[n][word], f"{word}: {trace.json()}"
            if not seen.trapped and not seen.calls:
                assert value(wanted.words[slot][word]) & 0xFFFFFFFF == after, f"{word}: {trace.json()}"
    return taken[0]


@pytest.mark.parametrize("shape", [SMALL, FUTURES, *([DEFAULT, MIXED] if ALL else [])], ids=str)
def test_executor_contract_model_and_engine_agree(shape: Shape) -> None:
    """At least 250 calls of each kind, each path of each shim among them."""
    subject = build(shape)
    engine = Engine(subject)
    rng = random.Random(str(shape))
    runs = 0
    for operation in shape.operations:
        case = study(subject, operation)
        hit = set()
        for path in case.paths:
            for trace in _states(case, path, rng, 250 // PATHS[shape.kind] + 1):
                seen = engine.run(trace)
                assert differences(trace, shape, seen) == [], trace.json()
                hit.add(_check_path(case, trace, seen))
                runs += 1
        assert hit == set(range(len(case.paths)))
    assert runs >= 250, runs


# The parts of the prover


def _run(wat: str, assumption: z3.BoolRef | None = None) -> list[Path]:
    """All paths of the exported function of a module with a memory; its parameters are `p0`, `p1`, …."""
    from meld.text.reading.program import parse_module

    module = parse_module(wat, "test.wat")
    (memory,), (function,) = module.memories, module.functions
    pages = z3.BitVecVal(1, 32)
    size = z3.BitVecVal(65536, 64)
    world = World(
        {memory: size}, {memory: pages}, memory, 0, 4, None, z3.BoolVal(True) if assumption is None else assumption
    )
    parameters = tuple(z3.BitVec(f"p{n}", 32) for n in range(len(function.signature.params)))
    return Executor(world).run(function, parameters)


def test_a_loop_is_unrolled_as_far_as_it_can_go() -> None:
    paths = _run(
        """(module (memory 1) (func (param i32) (result i32) (local i32)
             (loop $again
               (local.set 1 (i32.add (local.get 1) (i32.const 2)))
               (br_if $again (i32.lt_u (local.get 1) (local.get 0))))
             (local.get 1)))""",
        z3.ULE(z3.BitVec("p0", 32), 7),
    )
    assert sorted(p.result.as_long() for p in paths if p.result is not None) == [2, 4, 6, 8]


def test_a_division_by_zero_is_a_path_that_traps() -> None:
    paths = _run("(module (memory 1) (func (param i32 i32) (result i32) (i32.rem_u (local.get 0) (local.get 1))))")
    assert [p.trapped for p in paths] == [True, False]


def test_blocks_keep_their_results_and_branches_leave_as_many_as_they_say() -> None:
    paths = _run(
        """(module (memory 1) (func (param i32) (result i32)
             (i32.add (i32.const 100)
               (block $out (result i32)
                 (drop (if (result i32) (local.get 0) (then (br $out (i32.const 1))) (else (i32.const 2))))
                 (i32.const 3)))))"""
    )
    assert sorted(z3.simplify(p.result).as_long() for p in paths) == [101, 103]


def test_an_access_that_is_no_header_word_is_a_violation() -> None:
    load = "(module (memory 1) (func (param i32) (result i32) (i32.load offset={} {})))"
    for offset, address, allowed in (
        (0, "(i32.const 48)", True),
        (4, "(i32.const 60)", False),
        (2, "(i32.const 0)", False),
    ):
        (path,) = _run(load.format(offset, address))
        assert (not path.violations) is allowed, (offset, address)
    (path,) = _run(load.format(0, "(local.get 0)"))
    assert path.violations


@pytest.mark.parametrize("size", [3, 12, 20, 4095])
def test_division_by_a_constant_is_replaced_by_what_defines_it(size: int) -> None:
    x, rng = z3.BitVec("x", 32), random.Random(size)
    for value in [0, size - 1, size, 2**32 - 1, *(rng.getrandbits(32) for _ in range(20))]:
        right = z3.And(z3.URem(x, size) == value % size, z3.UDiv(x, size) == value // size)
        for claim, verdict in ((right, z3.sat), (z3.Not(right), z3.unsat)):
            solver = z3.SolverFor("QF_BV")
            solver.add(*without_division([x == value, claim]))
            assert solver.check() == verdict
