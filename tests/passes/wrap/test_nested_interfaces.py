"""`--emit=component` where exported interfaces hold interfaces: no WIT says that, but components can."""

from __future__ import annotations

import pytest
import wasmtime
from both import unfused
from hosted import product
from open_guests import LIBC

from meld.diagnostics import MeldError

NESTED = """(component
  (type $r (record (field "a" u32) (field "b" string)))
  (export $re "r" (type $r))
  (component $C
    (type $t (resource (rep i32)))
    (core module $m (memory (export "m") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 256))
      (func (export "d") (result i32) (i32.const 7))
      (func (export "v") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
      (func (export "len") (param i32 i32 i32) (result i32) (i32.add (local.get 0) (local.get 2))))
    (core instance $i (instantiate $m))
    (export $thing "thing" (type $t))
    (core func $new (canon resource.new $t))
    (func $d (export "d") (result u32) (canon lift (core func $i "d")))
    (func $make (export "make") (param "x" u32) (result (own $thing)) (canon lift (core func $new)))
    (func $value (export "value") (param "x" (borrow $thing)) (result u32) (canon lift (core func $i "v")))
    (component $I (import "thing" (type $thing (sub resource))) (import "d" (func $d (result u32)))
      (import "value" (func $value (param "x" (borrow $thing)) (result u32)))
      (export $t "thing" (type $thing))
      (export "d" (func $d)) (export "value" (func $value) (func (param "x" (borrow $t)) (result u32))))
    (instance $x (instantiate $I (with "thing" (type $thing)) (with "d" (func $d)) (with "value" (func $value))))
    (export "x" (instance $x)))
  (instance $y (instantiate $C))
  (export "y" (instance $y))
  (component $D (import "r" (type $r' (eq $r))) (import "d" (func $d (result u32)))
    (core module $m (memory (export "m") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 256))
      (func (export "len") (param i32 i32 i32) (result i32) (i32.add (local.get 0) (local.get 2))))
    (core instance $i (instantiate $m))
    (func $len (param "r" $r') (result u32) 
      (canon lift (core func $i "len") (memory (core memory $i "m")) (realloc (core func $i "realloc"))))
    (component $E (import "r" (type $r' (eq $r))) 
      (import "len" (func $len (param "r" $r') (result u32))) (export "len" (func $len)))
    (instance $e (instantiate $E (with "r" (type $r')) (with "len" (func $len))))
    (export "inner" (instance $e))
    (export "d" (func $d)))
  (instance $z (instantiate $D (with "r" (type $re)) (with "d" (func $y "d"))))
  (export "z" (instance $z)))
"""
DRIVER = f"""
  (alias export $p "r" (type $r)) (alias export $p "y" (instance $y)) (alias export $p "z" (instance $z))
  (alias export $y "x" (instance $x)) (alias export $z "inner" (instance $inner))
  (alias export $y "thing" (type $thing))
  {LIBC}
  (core func $make (canon lower (func $y "make"))) (core func $value (canon lower (func $x "value")))
  (core func $d (canon lower (func $x "d"))) (core func $drop (canon resource.drop $thing))
  (core func $len (canon lower (func $inner "len") (memory (core memory $libc "m"))))
  (core module $m
    (import "" "make" (func $make (param i32) (result i32))) (import "" "value" (func $value (param i32) (result i32)))
    (import "" "d" (func $d (result i32))) (import "" "drop" (func $drop (param i32)))
    (import "" "len" (func $len (param i32 i32 i32) (result i32)))
    (func (export "run") (param i32) (result i32) (local $thing i32)
      (local.set $thing (call $make (local.get 0)))
      (i32.add
        (i32.add (call $value (local.get $thing)) (call $d))
        (call $len (i32.const 100) (i32.const 0) (i32.const 3)))
      (call $drop (local.get $thing))))
  (core instance $i (instantiate $m (with "" (instance (export "make" (func $make)) (export "value" (func $value))
    (export "d" (func $d)) (export "drop" (func $drop)) (export "len" (func $len))))))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run")))
"""


def driven(program: str) -> bytes:
    """A component that uses what is two levels down in another one."""
    _, _, rest = program.partition("(component")
    name = rest.split(maxsplit=1)[0]
    inner = rest.replace(name, "", 1) if name.startswith("$") else rest
    return bytes(wasmtime.wat2wasm(f"(component (component $P {inner} (instance $p (instantiate $P)) {DRIVER})"))


def test_interfaces_in_interfaces() -> None:
    """Types of the outer interface and of the world, resources, and functions that stand in several places."""
    assert unfused(driven(NESTED), (("run", 5),)) == [6 + 7 + 103]
    assert unfused(driven(product(NESTED)), (("run", 5),)) == [6 + 7 + 103]


def test_what_an_interface_cannot_hold() -> None:
    program = """(component (component $c) (core module $m (func (export "d")))
      (core instance $i (instantiate $m)) (func $d (canon lift (core func $i "d")))
      (instance $x (export "e" (func $d)) (export "f" (component $c)))
      (instance $y (export "x" (instance $x)))
      (export "y" (instance $y)))"""
    with pytest.raises(MeldError, match="`f` of the interface is a component, which fusion cannot keep"):
        product(program)
