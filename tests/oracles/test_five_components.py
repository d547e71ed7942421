"""A program of five components, as tools make them: one that all others use, and a resource that goes through four.

`wasm-tools component new` makes the components of core modules and one WIT package, `wasm-tools compose` composes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from wrapped import Running, fuse, tool, wit

WIT = """package lab:five@1.2.0;
interface log {
  note: func(s: string);
  text: func() -> string;
}
interface things {
  resource thing {
    constructor(name: string);
    name: func() -> string;
    join: static func(a: thing, b: thing) -> thing;
  }
  live: func() -> u32;
}
interface shelf {
  use things.{thing};
  put: func(t: thing) -> u32;
  take: func(i: u32) -> option<thing>;
}
interface mill {
  use things.{thing};
  polish: func(t: thing) -> thing;
  judge: func(t: borrow<thing>, words: list<string>) -> result<u32, string>;
}
world logger { export log; }
world maker { import log; export things; }
world keeper { import log; import things; export shelf; }
world miller { import log; import things; import shelf; export mill; }
world app { import log; import things; import shelf; import mill; export run: func(n: u32) -> string; }
"""

COMMON = """
  (memory (export "memory") 1)
  (data (i32.const 64) "ab*few words")
  (global $free (mut i32) (i32.const 0x1000))
  (func $alloc (export "cabi_realloc")
    (param $old i32) (param $was i32) (param $align i32) (param $size i32) (result i32) (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (i32.gt_u (global.get $free) (i32.const 0x10000)) if unreachable end
    (memory.copy (local.get $at) (local.get $old) (local.get $was))
    (local.get $at))
  (func $pair (param $at i32) (param $size i32) (result i32)
    (i32.store (i32.const 16) (local.get $at)) (i32.store (i32.const 20) (local.get $size)) (i32.const 16))
"""
"""Address 16: results. 64: words. From 4096: the heap."""

NOTE = '(import "lab:five/log@1.2.0" "note" (func $note (param i32 i32)))'
THINGS = """
  (import "lab:five/things@1.2.0" "[constructor]thing" (func $new (param i32 i32) (result i32)))
  (import "lab:five/things@1.2.0" "[method]thing.name" (func $name (param i32 i32)))
  (import "lab:five/things@1.2.0" "[static]thing.join" (func $join (param i32 i32) (result i32)))
  (import "lab:five/things@1.2.0" "[resource-drop]thing" (func $drop (param i32)))"""

CORES = {
    "logger": f"""(module {COMMON}
  (global $end (mut i32) (i32.const 0x8000))
  (func (export "lab:five/log@1.2.0#note") (param i32 i32)
    (memory.copy (global.get $end) (local.get 0) (local.get 1))
    (global.set $end (i32.add (global.get $end) (local.get 1)))
    (i32.store8 (global.get $end) (i32.const 46))
    (global.set $end (i32.add (global.get $end) (i32.const 1))))
  (func (export "lab:five/log@1.2.0#text") (result i32)
    (call $pair (i32.const 0x8000) (i32.sub (global.get $end) (i32.const 0x8000)))))""",
    "maker": f"""(module {NOTE}
  (import "[export]lab:five/things@1.2.0" "[resource-new]thing" (func $new (param i32) (result i32)))
  (import "[export]lab:five/things@1.2.0" "[resource-rep]thing" (func $rep (param i32) (result i32)))
  (import "[export]lab:five/things@1.2.0" "[resource-drop]thing" (func $drop (param i32))) {COMMON}
  (global $live (mut i32) (i32.const 0))
  (func $make (param i32 i32) (result i32) (local $rep i32)
    (local.set $rep (call $alloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 8)))
    (i32.store (local.get $rep) (local.get 0)) (i32.store offset=4 (local.get $rep) (local.get 1))
    (global.set $live (i32.add (global.get $live) (i32.const 1)))
    (call $note (local.get 0) (local.get 1))
    (call $new (local.get $rep)))
  (export "lab:five/things@1.2.0#[constructor]thing" (func $make))
  (func $name (export "lab:five/things@1.2.0#[method]thing.name") (param i32) (result i32)
    (call $pair (i32.load (local.get 0)) (i32.load offset=4 (local.get 0))))
  (func (export "lab:five/things@1.2.0#[static]thing.join") (param $a i32) (param $b i32) (result i32)
    (local $x i32) (local $y i32) (local $to i32) (local $n i32)
    (local.set $x (call $rep (local.get $a))) (local.set $y (call $rep (local.get $b)))
    (local.set $n (i32.load offset=4 (local.get $x)))
    (local.set $to (call $alloc (i32.load (local.get $x)) (local.get $n) (i32.const 1)
      (i32.add (local.get $n) (i32.load offset=4 (local.get $y)))))
    (memory.copy (i32.add (local.get $to) (local.get $n)) (i32.load (local.get $y)) (i32.load offset=4 (local.get $y)))
    (local.set $n (i32.add (local.get $n) (i32.load offset=4 (local.get $y))))
    (call $drop (local.get $a)) (call $drop (local.get $b))
    (call $make (local.get $to) (local.get $n)))
  (func (export "lab:five/things@1.2.0#[dtor]thing") (param i32)
    (global.set $live (i32.sub (global.get $live) (i32.const 1))))
  (func (export "lab:five/things@1.2.0#live") (result i32) (global.get $live)))""",
    "keeper": f"""(module {NOTE} {THINGS} {COMMON}
  (global $count (mut i32) (i32.const 0))
  (func (export "lab:five/shelf@1.2.0#put") (param i32) (result i32)
    (call $name (local.get 0) (i32.const 24))
    (call $note (i32.load (i32.const 24)) (i32.load (i32.const 28)))
    (i32.store (i32.add (i32.const 256) (i32.mul (i32.const 4) (global.get $count))) (local.get 0))
    (global.get $count)
    (global.set $count (i32.add (global.get $count) (i32.const 1))))
  (func (export "lab:five/shelf@1.2.0#take") (param i32) (result i32) (local $at i32)
    (local.set $at (i32.add (i32.const 256) (i32.mul (i32.const 4) (local.get 0))))
    (drop (call $pair (i32.ne (i32.load (local.get $at)) (i32.const 0)) (i32.load (local.get $at))))
    (i32.store (local.get $at) (i32.const 0))
    (i32.const 16)))""",
    "miller": f"""(module {NOTE} {THINGS}
  (import "lab:five/shelf@1.2.0" "put" (func $put (param i32) (result i32)))
  (import "lab:five/shelf@1.2.0" "take" (func $take (param i32 i32))) {COMMON}
  (func (export "lab:five/mill@1.2.0#polish") (param i32) (result i32)
    (call $take (call $put (local.get 0)) (i32.const 24)) ;; by way of the shelf
    (call $join (i32.load (i32.const 28)) (call $new (i32.const 66) (i32.const 1))))
  (func (export "lab:five/mill@1.2.0#judge") (param $t i32) (param $words i32) (param $count i32) (result i32)
    (local $sum i32)
    (call $name (local.get $t) (i32.const 24))
    (call $drop (local.get $t))
    (i32.eqz (local.get $count))
    if ;; an error: the name
      (i32.store8 (i32.const 32) (i32.const 1))
      (i64.store align=4 (i32.const 36) (i64.load (i32.const 24)))
      (return (i32.const 32))
    end
    (local.set $sum (i32.load (i32.const 28)))
    loop $next
      (call $note (i32.load (local.get $words)) (i32.load offset=4 (local.get $words)))
      (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $words))))
      (local.set $words (i32.add (local.get $words) (i32.const 8)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1))))
    end
    (i32.store8 (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (local.get $sum))
    (i32.const 32)))""",
    "app": f"""(module {NOTE} {THINGS}
  (import "lab:five/log@1.2.0" "text" (func $text (param i32)))
  (import "lab:five/things@1.2.0" "live" (func $live (result i32)))
  (import "lab:five/shelf@1.2.0" "put" (func $put (param i32) (result i32)))
  (import "lab:five/shelf@1.2.0" "take" (func $take (param i32 i32)))
  (import "lab:five/mill@1.2.0" "polish" (func $polish (param i32) (result i32)))
  (import "lab:five/mill@1.2.0" "judge" (func $judge (param i32 i32 i32 i32))) {COMMON}
  (data (i32.const 128) "\\43\\00\\00\\00\\03\\00\\00\\00\\47\\00\\00\\00\\05\\00\\00\\00") ;; few, words
  (func $digit (param i32)
    (i32.store8 (i32.const 80) (i32.add (i32.const 48) (local.get 0)))
    (call $note (i32.const 80) (i32.const 1)))
  (func (export "run") (param $n i32) (result i32) (local $t i32)
    (i32.eq (local.get $n) (i32.const 9)) if (call $drop (call $polish (i32.const 5))) end ;; no handle
    loop $next
      (local.set $t (call $polish (call $new (i32.const 64) (i32.const 2))))
      (call $judge (local.get $t) (i32.const 128) (local.get $n) (i32.const 40))
      (i32.load8_u (i32.const 40))
      if (call $note (i32.load (i32.const 44)) (i32.load (i32.const 48)))
      else (call $digit (i32.load (i32.const 44))) end
      (call $take (call $put (local.get $t)) (i32.const 24))
      (call $digit (i32.load (i32.const 24)))
      (call $digit (call $live))
      (call $drop (i32.load (i32.const 28)))
      (call $digit (call $live))
      (i32.ge_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))
      br_if $next
    end
    (call $text (i32.const 16))
    (i32.const 16)))""",
}


USES = {
    "logger": ("log", ()),
    "maker": ("things", ("log",)),
    "keeper": ("shelf", ("log", "things")),
    "miller": ("mill", ("log", "things", "shelf")),
    "app": ("", ("log", "things", "shelf", "mill")),
}
"""What each exports and imports."""


@dataclass(frozen=True)
class Five:
    """The components in an order in which they can be linked, and all in one."""

    parts: list[Path]
    composed: Path


def component(directory: Path, package: str, world: str, core: str) -> Path:
    """The component that the tools make of a core module."""
    (directory / "package.wit").write_text(package)
    (directory / "core.wat").write_text(core)
    embedded, made = directory / "embedded.wasm", directory / f"{world}.wasm"
    tool("component", "embed", directory / "package.wit", "-w", world, directory / "core.wat", "-o", embedded)
    tool("component", "new", embedded, "-o", made)
    return made


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Five:
    directory = tmp_path_factory.mktemp("five")
    parts = [component(directory, WIT, name, core) for name, core in CORES.items()]
    fields = []
    owner = {f"lab:five/{interface}@1.2.0": name for name, (interface, _) in USES.items()}
    for part, (name, (_, used)) in zip(parts, USES.items(), strict=True):
        imports = [f"lab:five/{interface}@1.2.0" for interface in used]
        withs = (f'(with "{i}" (instance ${owner[i]} "{i}"))' for i in imports)
        fields.append(tool("print", part).replace("(component", f"(component ${name}", 1))
        fields.append(f"(instance ${name} (instantiate ${name} {' '.join(withs)}))")
    (directory / "composed.wat").write_text(f'(component {" ".join(fields)} (export "run" (func $app "run")))')
    tool("parse", directory / "composed.wat", "-o", directory / "composed.wasm")
    return Five(parts, directory / "composed.wasm")


def answers(path: Path) -> list[Any]:
    """Calls one after the other in one store, and one that traps, after which none may answer."""
    running = Running(path)
    return [running.call("run", n) for n in (2, 0, 1, 9, 0)]


def test_answers(five: Five, tmp_path: Path) -> None:
    want = answers(five.composed)
    assert want[0].startswith("ab.ab.*.ab*.few.words.;.ab*.1.1.0.")
    assert want[3:] == ["trap", "trap"]
    for inputs in (five.parts, five.parts[::-1], [five.composed]):
        assert answers(fuse(inputs, tmp_path / "fused.wasm")) == want
        assert "import" not in wit(tmp_path / "fused.wasm")
