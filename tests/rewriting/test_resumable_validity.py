"""Programs with instructions of every kind stay valid, suspended anywhere.

`wasm-tools smith` writes the modules; calls of a leaf go between their instructions, wherever that may be.
"""

from __future__ import annotations

import os
import random

import pytest
from smith import MIXES, smith, wasm_tools

from meld.binary.reader import read_module
from meld.binary.writer import write_module
from meld.ir.instructions import Instruction
from meld.ir.module import Function, ImportName
from meld.rewriting.resumable import make_resumable
from meld.rewriting.resumable.operands import FIXED

SEEDS = int(os.environ.get("MELD_SEEDS", "8"))


@pytest.mark.parametrize("mix", MIXES)
def test_smith(mix: str) -> None:
    rewritten = 0
    for seed in range(SEEDS):
        data = smith(seed, mix, 6000, "--max-imports=0")
        module = read_module(data) if data else None
        if module is None or not module.functions:
            continue
        chance = random.Random(seed)
        leaf = Function(module.func_type(), imported=ImportName("host", "leaf"))
        module.imports.append(leaf)
        for function in module.functions:
            code = function.code
            code.instructions = [
                part
                for instruction in [*code.instructions, Instruction("nop")]
                for part in ([Instruction("call", (leaf,))] * (chance.random() < 0.2) + [instruction])
            ]
        rewritten += len(make_resumable(module, [leaf], module.functions).frames)
        wasm_tools("validate", "--features=all", data=write_module(module))
    assert rewritten


def test_effects_of_names() -> None:
    """A few that the rules for names could get wrong."""
    assert {name: (FIXED[name][0], len(FIXED[name][1])) for name in EFFECTS} == EFFECTS


EFFECTS = {
    "i32.eqz": (1, 1),
    "i64.extend32_s": (1, 1),
    "f64x2.convert_low_i32x4_u": (1, 1),
    "i16x8.extmul_low_i8x16_s": (2, 1),
    "i16x8.extadd_pairwise_i8x16_s": (1, 1),
    "i8x16.narrow_i16x8_s": (2, 1),
    "v128.andnot": (2, 1),
    "v128.not": (1, 1),
    "v128.bitselect": (3, 1),
    "v128.load8_lane": (2, 1),
    "v128.store64_lane": (2, 0),
    "v128.load32_zero": (1, 1),
    "i32x4.relaxed_trunc_f32x4_s": (1, 1),
    "i16x8.relaxed_dot_i8x16_i7x16_s": (2, 1),
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": (3, 1),
    "f32x4.relaxed_nmadd": (3, 1),
    "i8x16.relaxed_laneselect": (3, 1),
    "i8x16.relaxed_swizzle": (2, 1),
    "f64x2.promote_low_f32x4": (1, 1),
    "f32.copysign": (2, 1),
    "f32.convert_i64_u": (1, 1),
    "i64.trunc_sat_f32_s": (1, 1),
    "i64.atomic.rmw32.cmpxchg_u": (3, 1),
    "i32.atomic.rmw8.xchg_u": (2, 1),
}
