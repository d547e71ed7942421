"""Checks that are left out, merged or made in place: random bodies of blocks, loops and branches, beside the original.

Addresses are in locals and lie near the ends of regions. State is compared after each call, also after traps: a check
that serves several accesses may not make a trap come before what can be seen.
"""

from __future__ import annotations

import os
import random

import pytest
from lowering import PAGE, Beside, lower, text

from meld.text.reading.program import parse_module

CASES = int(os.environ.get("MELD_CASES", "25"))
LOADS = ("i32.load8_u", "i32.load16_u", "i32.load")
STORES = ("i32.store8", "i32.store16", "i32.store")
LOCALS = 4


class Body:
    """A random body; its locals 0 to 3 are addresses, 4 counts down so that loops end, 5 is a sum."""

    TICK = """(if (i32.eqz (local.get 4)) (then (return (local.get 5))))
      (local.set 4 (i32.sub (local.get 4) (i32.const 1)))"""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(f"checks/{seed}")
        self.depth = 0

    def base(self) -> str:
        return f"(local.get {self.r.randrange(LOCALS)})"

    def near(self, most: int) -> str:
        """An address near another one."""
        return f"(i32.add {self.base()} (i32.const {self.r.randint(-most, most)}))"

    def access(self, ops: tuple[str, ...]) -> str:
        """An instruction and its address, without the value."""
        r = self.r
        op, memory = r.choice(ops), r.choice((0, 0, 1, 1, 2, 3))
        offset = r.choice((0, 0, 0, 1, 2, 4, 8, 12, 60, 252, 65530, 65536))
        address = r.choices(
            (
                self.base(),
                f"(local.tee {r.randrange(LOCALS)} {self.near(9)})",
                f"(i32.const {r.choice((0, 8, PAGE - 4, PAGE - 3, PAGE, -1))})",
                self.near(4),
            ),
            (7, 1, 1, 1),
        )[0]
        return f"{op} $m{memory} offset={offset} {address}"

    def value(self, depth: int = 0) -> str:
        r = self.r
        pick = r.random()
        if depth > 2 or pick < 0.2:
            return f"(local.get {r.randrange(LOCALS + 2)})"
        if pick < 0.6:
            return f"({self.access(LOADS)})"
        if pick < 0.88:
            one, other = self.value(depth + 1), self.value(depth + 1)
            if pick < 0.8:
                return f"(i32.add {one} {other})"
            if pick < 0.84:
                return f"(i32.div_u {one} (i32.and {self.base()} (i32.const 7)))"
            return f"(if (result i32) {self.base()} (then {one}) (else {other}))"
        if pick < 0.92:
            return f"(memory.grow $m{r.choice((0, 1, 3))} (i32.const {r.randint(0, 1)}))"
        return f"(local.tee {r.randrange(LOCALS)} {self.near(5)})"

    def statement(self) -> str:
        r = self.r
        pick = r.random()
        if pick < 0.35:
            return f"({self.access(STORES)} {self.value()})"
        if pick < 0.6:
            return f"(local.set 5 (i32.xor (i32.mul (local.get 5) (i32.const 31)) {self.value()}))"
        if pick < 0.68:
            return f"(local.set {r.randrange(LOCALS)} {self.near(70)})"
        if pick < 0.8 and self.depth:
            return f"{self.TICK} {self.branch(pick)}"
        if pick < 0.81:
            return f"(return {self.value()})"
        return self.block()

    def branch(self, pick: float) -> str:
        to = [self.r.randrange(self.depth) for _ in range(3)]
        if pick < 0.75:
            return f"(br_if {to[0]} (i32.and (local.get {self.r.randrange(6)}) (i32.const 1)))"
        if pick < 0.78:
            return f"(br {to[0]})"
        return f"(br_table {to[0]} {to[1]} {to[2]} (i32.and (local.get 5) (i32.const 3)))"

    def statements(self) -> str:
        return " ".join(self.statement() for _ in range(self.r.randint(1, 4)))

    def block(self) -> str:
        if self.depth > 3:
            return "(nop)"
        self.depth += 1
        kind = self.r.choice(("block", "loop", "if", "else"))
        found = f"({kind} {self.TICK} {self.statements()})"
        if kind in ("if", "else"):
            other = f"(else {self.statements()})" if kind == "else" else ""
            found = f"(if (i32.and (local.get 5) (i32.const 1)) (then {self.statements()}) {other})"
        self.depth -= 1
        return found


def program(seed: int) -> str:
    """Four memories, one of which never grows, and a function of four addresses."""
    body = Body(seed)
    statements = " ".join(body.statement() for _ in range(14))
    return f"""(module
      (memory $m0 1) (memory $m1 1 3) (memory $m2 1 1) (memory $m3 2)
      (func (export "f") (param i32 i32 i32 i32) (result i32) (local i32 i32)
        (local.set 4 (i32.const 40))
        {statements}
        (local.get 5))
      (func (export "grow") (drop (memory.grow $m0 (i32.const 1))) (drop (memory.grow $m1 (i32.const 1)))
        (drop (memory.grow $m3 (i32.const 1)))))"""


@pytest.mark.parametrize("reserve", [256, 0])
def test_random_bodies(reserve: int) -> None:
    returned = 0
    for seed in range(CASES):
        both = Beside(text(program(seed)), reserve=reserve)
        chosen = random.Random(f"addresses/{seed}")
        for step in range(12):
            near = [chosen.choice((0, 100, PAGE, 2 * PAGE, 3 * PAGE, 1 << 32)) for _ in range(LOCALS)]
            args = [(at - chosen.choice((0, 1, 2, 4, 8, 13, 64, 300))) & 0xFFFF_FFFF for at in near]
            returned += not str(both("f", *(args if step else [100] * LOCALS))).startswith("trap")
            both.same_state()
            if step == 6:
                both("grow")
    assert returned > CASES


LOAD = "(drop (i32.load (local.get 0)))"
STORE = "(i32.store (local.get 0) (i32.const 1))"
STORE_8 = "(i32.store offset=8 (local.get 0) (i32.const 1))"


@pytest.mark.parametrize(
    ("what", "code", "checks"),
    [
        ("neighbours", "(i32.add (i32.load (local.get 0)) (i32.load offset=8 (local.get 0))) drop", 1),
        ("the second reaches no further", f"{STORE_8} {STORE}", 1),
        ("a store between", f"{STORE} {STORE_8}", 2),
        ("the base is set", f"{LOAD} (local.set 0 (i32.const 1)) {LOAD}", 2),
        ("a constant", "(drop (i32.load offset=8 (i32.const 65524)))", 0),
        ("a constant out of bounds", "(drop (i32.load offset=8 (i32.const 65525)))", 1),
        ("on both arms", f"(if (local.get 1) (then {LOAD}) (else {LOAD})) {LOAD}", 2),
        ("on one arm", f"(if (local.get 1) (then {LOAD})) {LOAD}", 2),
        ("in front of a loop", f"{LOAD} (loop {LOAD} (br_if 0 (local.get 1)))", 1),
        ("a loop that sets it", f"{LOAD} (loop {LOAD} (local.set 0 (i32.const 0)) (br_if 0 (local.get 1)))", 2),
        ("a call between", f"{LOAD} (call $f) {LOAD}", 1),
        ("a branch around", f"(block (br_if 0 (local.get 1)) {LOAD}) {LOAD}", 2),
        ("what is never reached", f"(return) {LOAD}", 0),
        ("a handler", f"(block (try_table (catch_all 0) {LOAD})) {LOAD}", 2),
    ],
)
def test_how_often(what: str, code: str, checks: int) -> None:
    last = "(drop (i32.load $last (i32.const 0)))" * 4
    source = f"""(module (memory $first 1) (memory $last 1)
      (func $f)
      (func (export "f") (param i32 i32) {code})
      (func (export "g") (drop (memory.grow $first (i32.const 1))) (drop (memory.grow $last (i32.const 1))) {last}))"""
    remark = lower(parse_module(source, "test.wat"))[0]
    assert f"; {checks} of " in remark, (what, remark)
