"""Memories that are empty for good: each access traps, or does nothing, as it does unfused."""

from __future__ import annotations

import re

import pytest
import wasmtime
from both import shared_engine, unfused

from meld.files import decode, encode
from meld.ir.module import Module
from meld.ir.opcodes import BY_CODE
from meld.passes import Registry
from meld.passes.finish.empty_memories import ACCESS
from meld.passmanager import plan_default, run

CONST = {"i32": "(i32.const 1)", "i64": "(i64.const 1)", "f32": "(f32.const 1)", "f64": "(f64.const 1)"}
CONST["v128"] = "(v128.const i64x2 1 1)"

FIRST = "(local.get 0)"
ZERO = "(i32.const 0)"
BULKS = {
    "size": "(drop (memory.size $e))",
    "fill": f"(memory.fill $e {ZERO} (i32.const 3) {FIRST})",
    "fill at": f"(memory.fill $e {FIRST} (i32.const 3) {ZERO})",
    "copy": f"(memory.copy $e $e {ZERO} {ZERO} {FIRST})",
    "copy to at": f"(memory.copy $e $e {FIRST} {ZERO} {ZERO})",
    "copy from at": f"(memory.copy $e $e {ZERO} {FIRST} {ZERO})",
    "put": f"(memory.copy $e $m {ZERO} {ZERO} {FIRST})",
    "put from": f"(memory.copy $e $m {ZERO} (i32.add {FIRST} (i32.const 65536)) {ZERO})",
    "put at": f"(memory.copy $e $m {FIRST} {ZERO} {ZERO})",
    "take": f"(memory.copy $m $e {ZERO} {ZERO} {FIRST})",
    "take to": f"(memory.copy $m $e (i32.add {FIRST} (i32.const 65536)) {ZERO} {ZERO})",
    "take at": f"(memory.copy $m $e {ZERO} {FIRST} {ZERO})",
}


def access(op: str) -> str:
    found = re.match(ACCESS, op)
    assert found is not None
    return f"(drop ({op} $e {FIRST}))" if found[2] == "load" else f"({op} $e {FIRST} {CONST[found[1]]})"


ACCESSES = {op.name: access(op.name) for op in BY_CODE.values() if re.match(ACCESS, op.name)}

PROGRAM = """(component
  (core module $m (memory $m 1) (memory $e {pages})
    (func $f (param i32) {body})
    (func (export "f0") (result i32) (call $f (i32.const 0)) (i32.load $m (i32.const 0)))
    (func (export "f1") (result i32) (call $f (i32.const 1)) (i32.load $m (i32.const 0))))
  (core instance $i (instantiate $m))
  (func (export "f0") (result u32) (canon lift (core func $i "f0")))
  (func (export "f1") (result u32) (canon lift (core func $i "f1"))))"""


def fused(wasm: bytes) -> tuple[Module, list[str]]:
    """The product, and what both calls answer; a trap is its reason."""
    program = decode(wasm, "program")
    product, _ = run(plan_default(program, Registry.standard()), program)
    module = wasmtime.Module(shared_engine(), encode(product))
    return product, [called(module, name) for name in ("f0", "f1")]


def called(module: wasmtime.Module, name: str) -> str:
    store = wasmtime.Store(shared_engine())
    try:
        return str(wasmtime.Instance(store, module, []).exports(store)[name](store))
    except wasmtime.Trap as e:
        return str(e)


def test_there_are_all_of_them() -> None:
    assert len(ACCESSES) == 23 + 14


@pytest.mark.parametrize("body", [*BULKS.values(), *ACCESSES.values()], ids=[*BULKS, *ACCESSES])
def test_each_access(body: str) -> None:
    wasm = bytes(wasmtime.wat2wasm(PROGRAM.format(pages=0, body=body)))
    product, answers = fused(wasm)
    assert len(product.memories) == 1
    for name, answer in zip(("f0", "f1"), answers, strict=True):
        (want,) = unfused(wasm, ((name,),))
        if want == 0:
            assert answer == "0"
        else:
            assert "out of bounds memory access" in want and "out of bounds memory access" in answer


SEVERAL = """(component
  (core module $m {memories} (memory $e 0) (memory $d 0)
    (func (export "f") (param $n i32) (result i32)
      (memory.copy $d $e (i32.const 0) (i32.const 0) (local.get $n))
      (memory.fill $d (i32.const 0) (i32.const 0) (local.get $n))
      (i32.add (memory.size $e) (memory.size $d)))
    (func (export "f0") (result i32) (call 0 (i32.const 0)))
    (func (export "f1") (result i32) (call 0 (i32.const 1))))
  (core instance $i (instantiate $m))
  (func (export "f0") (result u32) (canon lift (core func $i "f0")))
  (func (export "f1") (result u32) (canon lift (core func $i "f1"))))"""


@pytest.mark.parametrize("memories", ["", "(memory 1)"])
def test_several(memories: str) -> None:
    """One takes the accesses, if nothing else does."""
    product, answers = fused(bytes(wasmtime.wat2wasm(SEVERAL.format(memories=memories))))
    assert len(product.memories) == 1
    assert answers[0] == "0" and "out of bounds memory access" in answers[1]


@pytest.mark.parametrize(
    ("pages", "body"),
    [
        ("0", "(drop (memory.grow $e (local.get 0)))"),
        ("0 0", "(drop (memory.grow $e (local.get 0)))"),
        ("1", "(drop (i32.load $e (local.get 0)))"),
    ],
)
def test_what_may_have_pages_stays(pages: str, body: str) -> None:
    wasm = bytes(wasmtime.wat2wasm(PROGRAM.format(pages=pages, body=body)))
    product, answers = fused(wasm)
    assert (len(product.memories), answers) == (2, ["0", "0"])
