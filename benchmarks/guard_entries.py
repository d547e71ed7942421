"""What `guard-entries` costs: calls of a fused module from another core module, with guards and without.

A host in native code or WebAssembly pays this for each call of an export, and the program for each call of the host.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import wasmtime
from measure import Row, show_rows
from running import interleaved

import meld

CALLS = 200_000
"""Calls of an export; each of `ask` calls the host once."""

PROGRAM = """(component
  (import "next" (func $next (param "n" u32) (result u32)))
  (core func $next (canon lower (func $next)))
  (core module $m
    (import "" "next" (func $next (param i32) (result i32)))
    (func (export "add") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "ask") (param i32) (result i32) (call $next (local.get 0))))
  (core instance $i (instantiate $m (with "" (instance (export "next" (func $next))))))
  (func (export "add") (param "n" u32) (result u32) (canon lift (core func $i "add")))
  (func (export "ask") (param "n" u32) (result u32) (canon lift (core func $i "ask"))))"""

HOST = '(module (func (export "next") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))'

DRIVER = """(module
  (import "program" "add" (func $add (param i32) (result i32)))
  (import "program" "ask" (func $ask (param i32) (result i32)))
  (func (export "add") (param $n i32) (local $x i32)
    (loop $again
      (local.set $x (call $add (local.get $x)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "ask") (param $n i32) (local $x i32)
    (loop $again
      (local.set $x (call $ask (local.get $x)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"""


def loops(passes: str) -> dict[str, Callable[[int], object]]:
    """So many calls of each export."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "program.wat")
        path.write_text(PROGRAM)
        fused = meld.encode(meld.compile(path, passes=passes))
    store = wasmtime.Store()
    linker = wasmtime.Linker(store.engine)
    linker.define_instance(store, "$root", linker.instantiate(store, wasmtime.Module(store.engine, HOST)))
    linker.define_instance(store, "program", linker.instantiate(store, wasmtime.Module(store.engine, fused)))
    exports = linker.instantiate(store, wasmtime.Module(store.engine, DRIVER)).exports(store)
    functions = {name: exports[name] for name in ("add", "ask")}
    return {name: partial(f, store) for name, f in functions.items()}


def rows() -> list[Row]:
    """Calls without guards are the floor."""
    plain = loops("merge,adapter-wiring,finish")
    guarded = loops("merge,adapter-wiring,guard-entries,finish")
    found = []
    for name, what in (("add", "an export"), ("ask", "an export that calls the host")):
        runs = {"plain": plain[name], "guarded": guarded[name]}
        taken = interleaved(runs, dict.fromkeys(runs, CALLS))
        more = (taken["guarded"].median - taken["plain"].median) * 1e9
        found.append(Row(f"guarded: call of {what}", taken["guarded"], floor=taken["plain"], reached=f"{more:+.1f} ns"))
    return found


if __name__ == "__main__":
    show_rows("Calls of a fused module from another core module; floor: without guards", rows())
