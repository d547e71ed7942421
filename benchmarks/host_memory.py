"""What `host-memory` costs: calls of the host, and of exports, whose values are checked in the module, and copied."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import wasmtime
from measure import Row, Sample, show_rows
from running import interleaved

import meld

CALLS = 100_000

PROGRAM = """(component
  (import "send" (func $send (param "bytes" (list u8))))
  (import "words" (func $words (param "words" (list string))))
  (import "letter" (func $letter (param "c" char)))
  (core module $mem
    (memory (export "memory") 2)
    (data (i32.const 8) "\\40\\00\\00\\00\\05\\00\\00\\00\\40\\00\\00\\00\\05\\00\\00\\00")
    (data (i32.const 64) "hello"))
  (core instance $mem (instantiate $mem))
  (core func $send' (canon lower (func $send) (memory $mem "memory")))
  (core func $words' (canon lower (func $words) (memory $mem "memory")))
  (core func $letter' (canon lower (func $letter)))
  (core module $m
    (import "" "send" (func $send (param i32 i32)))
    (import "" "words" (func $words (param i32 i32)))
    (import "" "letter" (func $letter (param i32)))
    (func (export "letter") (call $letter (i32.const 65)))
    (func (export "short") (call $send (i32.const 64) (i32.const 16)))
    (func (export "long") (call $send (i32.const 64) (i32.const 4096)))
    (func (export "words") (call $words (i32.const 8) (i32.const 2)))
    (func (export "give") (result i32) (i32.const 8)))
  (core instance $i (instantiate $m (with "" (instance
    (export "send" (func $send')) (export "words" (func $words')) (export "letter" (func $letter'))))))
  (func (export "letter") (canon lift (core func $i "letter")))
  (func (export "short") (canon lift (core func $i "short")))
  (func (export "long") (canon lift (core func $i "long")))
  (func (export "words") (canon lift (core func $i "words")))
  (func (export "give") (result string) (canon lift (core func $i "give") (memory $mem "memory"))))"""

HOST = """(module
  (func (export "send") (param i32 i32))
  (func (export "words") (param i32 i32))
  (func (export "letter") (param i32)))"""

WHAT = {
    "letter": "a char for the host",
    "short": "16 B for the host",
    "long": "4096 B for the host",
    "words": "two strings for the host",
    "give": "a string returned, and its post-return",
}


def driver(checked: bool) -> str:
    """A module with a loop around each export."""
    post = '(import "program" "cabi_post_give" (func $post (param i32)))' if checked else "(func $post (param i32))"
    lines = [f'  (import "program" "{name}" (func ${name}))' for name in WHAT if name != "give"]
    lines += ['  (import "program" "give" (func $give (result i32)))', f"  {post}"]
    for name in WHAT:
        call = "(call $post (call $give))" if name == "give" else f"(call ${name})"
        lines.append(
            f'  (func (export "{name}") (param $n i32) (loop $again {call}'
            " (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"
        )
    return "\n".join(["(module", *lines]) + ")"


def loops(checked: bool) -> tuple[dict[str, Callable[[int], object]], int]:
    """So many calls of each kind, and the size of the fused module in bytes."""
    passes = "merge,host-memory{always=true},adapter-wiring,finish" if checked else "merge,adapter-wiring,finish"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "program.wat")
        path.write_text(PROGRAM)
        fused = meld.encode(meld.compile(path, passes=passes))
    config = wasmtime.Config()
    config.wasm_multi_memory = True
    store = wasmtime.Store(wasmtime.Engine(config))
    linker = wasmtime.Linker(store.engine)
    linker.define_instance(store, "$root", linker.instantiate(store, wasmtime.Module(store.engine, HOST)))
    linker.define_instance(store, "program", linker.instantiate(store, wasmtime.Module(store.engine, fused)))
    exports = linker.instantiate(store, wasmtime.Module(store.engine, driver(checked))).exports(store)
    return {name: partial(exports[name], store) for name in WHAT}, len(fused)


def rows() -> list[Row]:
    """The floor: the host is given pointers into the memory of the instance, and has to check them itself."""
    (plain, small), (checked, large) = loops(False), loops(True)
    found = []
    for name, what in WHAT.items():
        runs = {"plain": plain[name], "checked": checked[name]}
        taken = interleaved(runs, dict.fromkeys(runs, CALLS))
        more = (taken["checked"].median - taken["plain"].median) * 1e9
        row = Row(f"host-memory: {what}", taken["checked"], floor=taken["plain"], reached=f"{more:+.1f} ns")
        found.append(row)
    sizes = (Sample((size / 1e3,), unit="KB") for size in (large, small))
    found.append(Row("host-memory: size of the program", next(sizes), floor=next(sizes)))
    return found


if __name__ == "__main__":
    show_rows("Values for the host, checked and copied in the module; floor: the host checks", rows())
