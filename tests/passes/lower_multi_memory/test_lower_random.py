"""`lower-multi-memory` on random modules with several memories: every export is called, on the original and after."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from dataclasses import replace

import pytest
from lowering import PAGE, Beside, lower, text
from smith import WASM_TOOLS, wasm_tools

from meld.binary.reader import read_module
from meld.binary.writer import write_module
from meld.ir.module import Function, Memory, Module
from meld.ir.types import V128, NumType
from meld.runtime.instantiate import Trapped, instantiate
from tests.passes.lower_multi_memory.test_lower_multi_memory import ACCESSES, BULK, LAYOUTS, THREE, one_access

ON = (*("bulk-memory", "simd", "threads", "reference-types", "extended-const", "multi-value", "tail-call"),)
OFF = (*("memory64", "custom-page-sizes", "exceptions", "gc", "shared-everything-threads", "compact-imports"),)
LIMITS = {
    **{"min-memories": 2, "max-memories": 4, "max-imports": 0, "min-funcs": 4, "min-data-segments": 2},
    **{"max-memory32-bytes": 20 * 65536, "max-table-elements": 1000, "max-instructions": 400},
    **{"memory-offset-choices": "80,15,5"},
}


def random_module(seed: int) -> bytes | None:
    """A module that ends on every path, with memories of its own only."""
    flags = [f"--{name}-enabled=true" for name in ON] + [f"--{name}-enabled=false" for name in OFF]
    flags += [f"--{name}={value}" for name, value in LIMITS.items()]
    flags += ["--ensure-termination", "--fuel=2000", "--canonicalize-nans=true", "--export-everything=true"]
    noise = random.Random(f"regions/{seed}").randbytes(6000)
    done = subprocess.run([WASM_TOOLS, "smith", *flags], input=noise, capture_output=True)
    return done.stdout or None


def with_own_memories(data: bytes) -> Module:
    """As it is, but that memories are neither exported nor shared, which the pass would refuse."""
    module = read_module(data)
    module.exports = [e for e in module.exports if not isinstance(e.item, Memory)]
    for memory in module.memories:
        memory.limits = replace(memory.limits, shared=False)
    return module


def callable_exports(module: Module) -> list[tuple[str, Function]]:
    """The functions that Python can call."""
    found = [(e.name, e.item) for e in module.exports if isinstance(e.item, Function)]
    return [(n, f) for n, f in found if V128 not in (*f.signature.params, *f.signature.results)]


@pytest.mark.parametrize("seed", range(40))
def test_modules_from_smith(seed: int) -> None:
    data = random_module(seed)
    if data is None:
        pytest.skip("the seed gives no module")
    lowered = with_own_memories(data)
    lower(lowered, LAYOUTS[seed % 2])
    wasm_tools("validate", "--features=all", data=write_module(lowered))
    try:
        both = Beside(lambda: with_own_memories(data), reserve=LAYOUTS[seed % 2])
    except Trapped:  # the start function, which then has to trap in both
        for module in (with_own_memories(data), lowered):
            with pytest.raises(Trapped):
                instantiate(module)
        return
    for name, function in callable_exports(both.original.running.module):
        for argument in (0, 1, 65533, 0x7FFF_FFFF, 0xFFFF_FFF0):
            both(name, *(argument if isinstance(t, NumType) else None for t in function.signature.params))
            both.same_state()


@pytest.mark.parametrize("seed", range(6))
def test_sequences_of_accesses_and_growth(seed: int) -> None:
    """Calls of accesses, bulk operations and growth, with addresses around all edges there are."""
    functions = [one_access(op, f"${m}", 0, f"{op.name}.{m}") for op in ACCESSES for m in "abc"]
    both = Beside(text(THREE + "".join(functions) + BULK), reserve=LAYOUTS[seed % 2])
    names = sorted(both.original.running.functions())
    chosen = random.Random(f"sequence/{seed}")
    outcomes: Counter[str] = Counter()
    for step in range(1500):
        edges = [0, *(both.original.call(f"size_{m}", ())[1] * PAGE for m in "abc")]
        bulk = chosen.random() < 0.1
        name = chosen.choice([n for n in names if n in BULK] if bulk else names)
        arity = len(both.original.running.signature(name).params)
        args = [max(0, chosen.choice(edges) + chosen.randint(-40, 16)) for _ in range(arity)]
        if "grow" in name:
            args = [chosen.choice((0, 1, 1, 2)) if edges[-1] < 40 * PAGE else 1 << 20]
        elif arity == 3:
            args[2] = chosen.choice((args[2], chosen.randint(0, 100)))
        outcomes[str(both(name, *args)).partition(" ")[0]] += 1
        if bulk or step % 100 == 0:
            both.same_state()
    both.same_state()
    assert 300 < outcomes["trap:"] < 1200
