"""What resource handles cost: calls that lend one, between components and to the host, and the bytes of a program.

The loop is in WebAssembly, so that only calls are timed. The floor hands on a number in place of the handle.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import wasmtime
from calls import component, core
from measure import Row, show_rows
from running import interleaved, times

import meld

CALLS = 100_000

LOOP = """(func (export "run") (param $n i32) (result i32) (local $h i32) (local $sum i32)
        (local.set $h (call $make (i32.const 5)))
        (loop $again
          (local.set $sum (i32.add (local.get $sum) (call $look (local.get $h))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum))"""

CALLER = f"""(core func $make' (canon lower (func $make)))
    (core func $look' (canon lower (func $look)))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "look" (func $look (param i32) (result i32)))
      {LOOP})
    (core instance $i (instantiate $m (with "" (instance (export "make" (func $make')) (export "look" (func $look'))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run")))"""

OWNER = """(component $Owner
    (type $r' (resource (rep i32)))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r'))
    (core module $m (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "look") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "make") (param "n" u32) (result (own $r)) (canon lift (core func $i "make")))
    (func (export "look") (param "x" (borrow $r)) (result u32) (canon lift (core func $i "look"))))
  (instance $owner (instantiate $Owner))"""

THIRD = """(component $Third
    (import "r" (type $r (sub resource)))
    (core func $drop (canon resource.drop $r))
    (core module $m (import "" "drop" (func $drop (param i32)))
      (func (export "look") (param i32) (result i32) (call $drop (local.get 0)) (local.get 0)))
    (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
    (func (export "look") (param "x" (borrow $r)) (result u32) (canon lift (core func $i "look"))))
  (instance $third (instantiate $Third (with "r" (type $owner "r"))))"""

TYPES = {
    True: ("(type $r (sub resource))", '(param "n" u32) (result (own $r))', '(param "x" (borrow $r)) (result u32)'),
    False: ("", '(param "n" u32) (result u32)', '(param "x" u32) (result u32)'),
}
"""The functions with a handle, and with a number in its place."""

HOST = """(module
  (func (export "make") (param i32) (result i32) (local.get 0))
  (func (export "look") (param i32) (result i32) (local.get 0))
  (func (export "[resource-drop]r") (param i32)))"""


def between(third: bool) -> str:
    """A component that makes a handle and lends it to its owner, or to a third component that drops the loan."""
    callee = "third" if third else "owner"
    _, make, look = TYPES[True]
    return f"""(component {OWNER} {THIRD if third else ""}
  (component $Caller
    (import "r" (type $r (sub resource)))
    (import "make" (func $make {make}))
    (import "look" (func $look {look}))
    {CALLER})
  (instance $caller (instantiate $Caller (with "r" (type $owner "r"))
    (with "make" (func $owner "make")) (with "look" (func ${callee} "look"))))
  (export "run" (func $caller "run")))"""


def to_host(handles: bool) -> str:
    """A component that lends the host a handle, or hands it a number."""
    resource, make, look = TYPES[handles]
    return f"""(component
  {f'(import "r" {resource})' if handles else ""}
  (import "make" (func $make {make}))
  (import "look" (func $look {look}))
  {CALLER})"""


def fused(text: str, **options: Any) -> Any:
    """A composition, compiled."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "program.wat")
        path.write_text(text)
        return meld.compile(path, **options)


def with_host(text: str) -> tuple[Callable[[int], object], int]:
    """Runs a fused program under a host in WebAssembly; and the program's size in bytes."""
    program = meld.encode(fused(text))
    store = wasmtime.Store()
    linker = wasmtime.Linker(store.engine)
    linker.define_instance(store, "$root", linker.instantiate(store, wasmtime.Module(store.engine, HOST)))
    function = linker.instantiate(store, wasmtime.Module(store.engine, program)).exports(store)["run"]
    assert isinstance(function, wasmtime.Func)
    return partial(function, store), len(program)


def rows() -> list[Row]:
    """Calls between components beside the engine's, calls of the host beside calls without handles."""
    found = []
    for third, what in ((False, "its owner"), (True, "a third component, which drops the loan")):
        text = between(third)
        runs = {
            "ours": core(fused(text)),
            "engine": component(meld.encode(fused(text, stop_after="link"))),
        }
        taken = interleaved(runs, dict.fromkeys(runs, CALLS), turns=30)
        ratio = f"{times(taken['engine'], taken['ours']):.2f} × as fast"
        found.append(Row(f"a handle lent to {what}", taken["ours"], unfused=taken["engine"], reached=ratio))
    (lent, size), (plain, bare) = with_host(to_host(True)), with_host(to_host(False))
    runs = {"ours": lent, "floor": plain}
    taken = interleaved(runs, dict.fromkeys(runs, CALLS), turns=30)
    more = (taken["ours"].median - taken["floor"].median) * 1e9
    cost = f"{more:+.1f} ns; the program has {size} bytes, without handles {bare}"
    found.append(Row("a handle lent to the host", taken["ours"], floor=taken["floor"], reached=cost))
    return found


if __name__ == "__main__":
    show_rows("Calls that lend a handle; unfused: the engine's own adapters; floor: a number in its place", rows())
