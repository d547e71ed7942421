"""`--emit=component` keeps what is no function: core modules and types that are exported, components of the host.

The world of the product is that of the program, by our rules, and the engine lets a component use it in its place.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime
from both import unfused
from worlds import inside, same_world
from wrapped import tool

MODULES = """(component
  (core type $word (func (result i32)))
  (import "env" (instance $env
    (export "m" (core module (alias outer 2 $word (type $w)) (export "f" (func (type $w)))))))
  (import "whole" (core module $whole (export "f" (func (result i32)))))
  (core module $m (func (export "f") (result i32) (i32.const 7)) (func (export "hidden")))
  (core module $n (import "" "g" (global i32)) (func (export "f") (result i32) (global.get 0)))
  (core instance $i (instantiate $m))
  (instance $inner (export "n" (core module $n)))
  (instance $x (export "m" (core module $m)) (export "inner" (instance $inner)) (export "whole" (core module $whole)))
  (export "m" (core module $m) (core module (alias outer 1 $word (type $w)) (export "f" (func (type $w)))))
  (export "x" (instance $x))
  (export "env-m" (core module $env "m"))
  (export "again" (instance $env))
  (func (export "run") (result u32) (canon lift (core func $i "f"))))
"""
USE = """(component
  (component $P {program})
  (core module $one (func (export "f") (result i32) (i32.const 1)))
  (instance $env (export "m" (core module $one)))
  (instance $p (instantiate $P (with "env" (instance $env)) (with "whole" (core module $one))))
  (core module $g (global (export "g") i32 (i32.const 3)))
  (core instance $g (instantiate $g))
  (alias export $p "x" (instance $x)) (alias export $x "inner" (instance $inner))
  (core instance $a (instantiate (module $p "m")))
  (core instance $b (instantiate (module $x "m")))
  (core instance $c (instantiate (module $inner "n") (with "" (instance $g))))
  (core instance $d (instantiate (module $p "env-m")))
  (core instance $e (instantiate (module $x "whole")))
  (func (export "a") (result u32) (canon lift (core func $a "f")))
  (func (export "b") (result u32) (canon lift (core func $b "f")))
  (func (export "c") (result u32) (canon lift (core func $c "f")))
  (func (export "d") (result u32) (canon lift (core func $d "f")))
  (func (export "e") (result u32) (canon lift (core func $e "f"))))
"""


def test_core_modules(tmp_path: Path) -> None:
    """Exported by themselves, in instances, under a narrower type; the host's own, and one that is instantiated too."""
    data = same_world(MODULES, tmp_path).read_bytes()
    for text in MODULES.splitlines():
        if text.strip().startswith(("(core module $m", "(core module $n")):
            assert bytes(wasmtime.wat2wasm(text.replace("(core module", "(module"))) in data
    calls = tuple((name,) for name in "abcde")
    for program in (MODULES, tool("print", tmp_path / "made.wasm")):
        assert unfused(bytes(wasmtime.wat2wasm(USE.format(program=inside(program)))), calls) == [7, 7, 3, 1, 1]


TYPES = {
    "values": """(component
      (type $r (record (field "a" u32) (field "b" string))) (export $re "r" (type $r))
      (type $v (variant (case "x" $re) (case "y"))) (export $ve "v" (type $v))
      (type $e (enum "a" "b")) (type $f (flags "a")) (type $l (list $ve))
      (export "e" (type $e)) (export "f" (type $f)) (export "l" (type $l)) (export "u" (type $re))
      (instance $i (export "r" (type $re)) (export "e" (type $e))) (export "i" (instance $i)))""",
    "resources": """(component
      (import "host" (type $h (sub resource)))
      (type $r (resource (rep i32))) (export $re "r" (type $r))
      (type $o (own $re)) (export "o" (type $o)) (export "h2" (type $h))
      (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
      (core instance $i (instantiate $m))
      (core func $new (canon resource.new $r))
      (func (export "make") (param "x" u32) (result (own $re)) (canon lift (core func $new)))
      (func (export "value") (param "x" (borrow $re)) (result u32) (canon lift (core func $i "f"))))""",
    "nested": """(component
      (type $r (resource (rep i32)))
      (instance $i (export "r" (type $r))) (instance $j (export "i" (instance $i))) (export $e "j" (instance $j))
      (alias export $e "i" (instance $k)) (alias export $k "r" (type $re))
      (core func $new (canon resource.new $r)) (core func $drop (canon resource.drop $re))
      (func (export "make") (param "x" u32) (result (own $re)) (canon lift (core func $new)))
      (func (export "end") (param "x" (own $re)) (canon lift (core func $drop))))""",
    "before-import": """(component
      (type $r (resource (rep i32))) (export $re "r" (type $r))
      (core func $drop (canon resource.drop $r))
      (func (export "end") (param "x" (own $re)) (canon lift (core func $drop)))
      (import "s" (type $s (sub resource)))
      (import "f" (func (result (own $s)))))""",
    "of-components": """(component
      (type $r (record (field "a" u32))) (export $re "r" (type $r))
      (core type $ft (func (param i32)))
      (type $c (component
        (import "r" (type $t (eq $re))) (import "f" (func (param "x" $t)))
        (import "m" (core module (alias outer 2 $ft (type $w)) (export "g" (func (type $w)))))
        (export "c" (component (export "f" (func (result u32)))))))
      (export "c" (type $c))
      (type $i (instance (alias outer 1 $re (type $t)) (export "t" (type (eq $t))) (export "f" (func (result $t)))))
      (export "i" (type $i))
      (type $f (func (param "x" $re))) (export "f" (type $f)))""",
    "host-component": """(component
      (import "c" (component $c (import "f" (func)) (export "g" (func (result string)))))
      (export "d" (component $c))
      (instance $i (export "c" (component $c))) (export "i" (instance $i)))""",
}


@pytest.mark.parametrize("name", TYPES)
def test_types(name: str, tmp_path: Path) -> None:
    same_world(TYPES[name], tmp_path)


def test_a_resource_two_instances_down(tmp_path: Path) -> None:
    """The type that an instance inside an exported one shows is that of the functions beside it."""
    same_world(TYPES["nested"], tmp_path)
    driver = """(component (component $P {program}) (instance $p (instantiate $P))
      (alias export $p "j" (instance $j)) (alias export $j "i" (instance $i)) (alias export $i "r" (type $r))
      (core func $make (canon lower (func $p "make"))) (core func $drop (canon resource.drop $r))
      (core module $m (import "" "make" (func $make (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "run") (param i32) (result i32) (local $h i32)
          (local.set $h (call $make (local.get 0))) (call $drop (local.get $h)) (local.get $h)))
      (core instance $m (instantiate $m (with "" (instance (export "make" (func $make)) (export "drop" (func $drop))))))
      (func (export "run") (param "x" u32) (result u32) (canon lift (core func $m "run"))))"""
    for program in (TYPES["nested"], tool("print", tmp_path / "made.wasm")):
        assert unfused(bytes(wasmtime.wat2wasm(driver.format(program=inside(program)))), (("run", 5),)) == [1]
