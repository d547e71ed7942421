"""Several results and operands of blocks: generated functions, as they are and with one value at most."""

from __future__ import annotations

import pytest
from targets import valid

from meld.driver import Options, build
from meld.files import encode
from meld.runtime.instantiate import Trapped, instantiate

FUNCTIONS = """
  (func $two (@meld.synthetic adapter) (param i32) (result i32 i64)
    (if (local.get 0) (then (return (local.get 0) (i64.const 7))))
    (i32.const 5) (i64.const 9))
  (func $three (@meld.synthetic adapter) (param i32) (result i32 i32 f64)
    (block (br 1 (local.get 0) (i32.const 2) (f64.const 3)))
    unreachable)
  (func $table (@meld.synthetic adapter) (param i32) (result i32 i32)
    (block (result i32 i32)
      (block (result i32 i32)
        (i32.const 1) (i32.const 2)
        (local.get 0)
        (br_table 0 1 2))
      (drop) (i32.const 10))
    (i32.add (i32.const 100)))
  (func $conditional (@meld.synthetic adapter) (param i32) (result i32 i32)
    (i32.const 4) (i32.const 6)
    (br_if 0 (local.get 0))
    (drop) (i32.const 60))
  (func $loop (@meld.synthetic adapter) (param i32) (result i32) (local i32)
    (i32.const 0) (i32.const 1)
    (loop (param i32 i32) (result i32)
      (local.set 1)
      (i32.add (local.get 1))
      (i32.add (local.get 1) (i32.const 1))
      (br_if 0 (i32.lt_u (local.get 1) (local.get 0)))
      (i32.add)))
  (func $if (@meld.synthetic adapter) (param i32) (result i32)
    (i32.const 3) (i32.const 4)
    (local.get 0)
    (if (param i32 i32) (result i32 i32) (then (drop) (i32.const 40)))
    (i32.mul))
  (func $else (@meld.synthetic adapter) (param i32) (result i32)
    (i32.const 3)
    (local.get 0)
    (if (param i32) (result i32) (then (i32.add (i32.const 1))) (else (i32.mul (i32.const 9)))))
  (func (export "two") (param i32) (result i64)
    (call $two (local.get 0)) (i64.shl (i64.const 8)) (drop) (i64.extend_i32_u))
  (func (export "two_b") (param i32) (result i64) (local i64)
    (call $two (local.get 0)) (local.set 1) (i64.extend_i32_u) (i64.add (i64.mul (local.get 1) (i64.const 1000))))
  (func (export "three") (param i32) (result f64) (local f64 i32)
    (call $three (local.get 0)) (local.set 1) (local.set 2)
    (f64.convert_i32_u) (f64.add (local.get 1)) (f64.add (f64.convert_i32_u (local.get 2))))
  (func (export "table") (param i32) (result i32)
    (call $table (local.get 0)) (i32.mul (i32.const 1000)) (i32.add))
  (func (export "conditional") (param i32) (result i32)
    (call $conditional (local.get 0)) (i32.mul (i32.const 1000)) (i32.add))
  (func (export "loop") (param i32) (result i32) (call $loop (local.get 0)))
  (func (export "if") (param i32) (result i32) (call $if (local.get 0)))
  (func (export "else") (param i32) (result i32) (call $else (local.get 0)))
"""
NAMES = ("two", "two_b", "three", "table", "conditional", "loop", "if", "else")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_answers(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("operands") / "m.wat"
    path.write_text(f"(module (@meld.facts linked merged) {FUNCTIONS})")
    before = build([path], Options(passes="")).program
    after = build([path], Options(passes="fit-target")).program
    assert valid(encode(before), "wasm1") and not valid(encode(after), "wasm1")
    one, other = instantiate(encode(before)), instantiate(encode(after))
    for n in range(4):
        assert other.call(name, n) == one.call(name, n), n


TABLES = """
  (type $f (func (result i32)))
  (table $a 3 funcref) (table $b 2 funcref)
  (elem (table $a) (i32.const 0) func $one $two) (elem (table $b) (i32.const 1) func $three)
  (func $one (result i32) i32.const 1) (func $two (result i32) i32.const 2) (func $three (result i32) i32.const 3)
  (func (export "a") (param i32) (result i32) (call_indirect $a (type $f) (local.get 0)))
  (func (export "b") (param i32) (result i32) (call_indirect $b (type $f) (local.get 0)))
"""


def test_tables(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No index reaches the table of somebody else; one that reaches none traps as it did."""
    path = tmp_path_factory.mktemp("tables") / "m.wat"
    path.write_text(f"(module (@meld.facts linked merged) {TABLES})")
    before = build([path], Options(passes="")).program
    after = build([path], Options(passes="fit-target")).program
    assert not valid(encode(after), "wasm1")
    one, other = instantiate(encode(before)), instantiate(encode(after))
    for name in "ab":
        for index in (0, 1, 2, 3, 4, 5, -1, -2, -3, 1 << 31, -(1 << 31)):
            answers = []
            for side in (one, other):
                try:
                    answers.append(str(side.call(name, index & 0xFFFF_FFFF)))
                except Trapped as e:
                    answers.append(str(e).splitlines()[-1])
            assert answers[0] == answers[1], (name, index)


@pytest.mark.parametrize(
    "segment", ["(elem (table $b) (i32.const 2) func $one)", "(elem (table $a) (i32.const 4) func)"]
)
def test_elements_out_of_bounds(segment: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tables") / "m.wat"
    path.write_text(f"(module (@meld.facts linked merged) {TABLES} {segment})")
    wasm = encode(build([path], Options(passes="fit-target")).program)
    assert not valid(wasm, "wasm1")
    with pytest.raises(Trapped):
        instantiate(wasm)
