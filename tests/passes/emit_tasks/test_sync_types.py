"""Functions of synchronous type may use every built-in, and trap where they would have to wait, beside the engine."""

from __future__ import annotations

import pytest
import wasmtime
from both import Fused, Unfused

BUILTINS = {
    "new": ("stream.new $s", "(result i64)"),
    "write": ('stream.write $s async (memory (core memory $libc "m"))', "(param i32 i32 i32) (result i32)"),
    "write-sync": ('stream.write $s (memory (core memory $libc "m"))', "(param i32 i32 i32) (result i32)"),
    "cancel": ("stream.cancel-write $s", "(param i32) (result i32)"),
    "set-new": ("waitable-set.new", "(result i32)"),
    "join": ("waitable.join", "(param i32 i32)"),
    "drop": ("stream.drop-readable $s", "(param i32)"),
    "wait": ('waitable-set.wait (memory (core memory $libc "m"))', "(param i32 i32) (result i32)"),
    "subtask-cancel": ("subtask.cancel", "(param i32) (result i32)"),
}
PENDING = "(call $write (local.tee $e (call $high (local.tee $ends (call $new)))) (i32.const 0) (i32.const 4))"
BODIES = {
    "cancels": f"(drop {PENDING}) (call $cancel (local.get $e))",
    "cancels-nothing": "(call $cancel (i32.const 77))",
    "writes-twice": f"(drop {PENDING}) (call $write-sync (local.get $e) (i32.const 0) (i32.const 4))",
    "writes": "(call $write-sync (call $high (call $new)) (i32.const 0) (i32.const 4))",
    "writes-nothing": "(call $write-sync (i32.const 77) (i32.const 0) (i32.const 4))",
    "waits": "(call $wait (call $set-new) (i32.const 0))",
    "has-waited": f"""(drop {PENDING}) (call $join (local.get $e) (local.tee $set (call $set-new)))
      (call $drop (i32.wrap_i64 (local.get $ends))) (call $wait (local.get $set) (i32.const 0))""",
    "waits-for-nothing": "(call $wait (i32.const 77) (i32.const 0))",
    "cancels-no-task": "(call $subtask-cancel (i32.const 77))",
}
INNER = f"""
  (type $s (stream u8))
  (core module $libc (memory (export "m") 1)) (core instance $libc (instantiate $libc))
  {" ".join(f"(core func ${name} (canon {canon}))" for name, (canon, _) in BUILTINS.items())}
  (core module $m
    {" ".join(f'(import "" "{name}" (func ${name} {shape}))' for name, (_, shape) in BUILTINS.items())}
    (func $high (param i64) (result i32) (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 32))))
    {
    " ".join(
        f'(func (export "{name}") (result i32) (local $e i32) (local $set i32) (local $ends i64) {body})'
        for name, body in BODIES.items()
    )
})
  (core instance $i (instantiate $m (with "" (instance
    {" ".join(f'(export "{name}" (func ${name}))' for name in BUILTINS)}))))
  {" ".join(f'(func (export "{name}") (result u32) (canon lift (core func $i "{name}")))' for name in BODIES)}
"""
OUTER = f"""
  {" ".join(f'(import "{name}" (func ${name} (result u32)))' for name in BODIES)}
  {" ".join(f"(core func $lowered-{name} (canon lower (func ${name})))" for name in BODIES)}
  (core func $return (canon task.return (result u32)))
  (core module $m
    {" ".join(f'(import "" "{name}" (func ${name} (result i32)))' for name in BODIES)}
    (import "" "return" (func $return (param i32)))
    {" ".join(f'(func (export "{name}") (call $return (call ${name})))' for name in BODIES)})
  (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))
    {" ".join(f'(export "{name}" (func $lowered-{name}))' for name in BODIES)}))))
  {
    " ".join(
        f'(func (export "{name}") async (result u32) (canon lift (core func $i "{name}") async))' for name in BODIES
    )
}
"""
NESTED = f"""(component $I {INNER}) (component $O {OUTER}) (instance $i (instantiate $I))
  (instance $o (instantiate $O {" ".join(f'(with "{name}" (func $i "{name}"))' for name in BODIES)}))
  {" ".join(f'(export "{name}" (func $o "{name}"))' for name in BODIES)}"""


@pytest.mark.parametrize("program", [INNER, NESTED], ids=["of the host", "of an asynchronous task"])
def test_functions_of_synchronous_type(program: str) -> None:
    wasm = bytes(wasmtime.wat2wasm(f"(component {program})"))
    sides = [Unfused(wasm), Fused(wasm)]
    for name in BODIES:
        want, got = (str(side.answers(((name,),))[0]).replace(" index 77", " index") for side in sides)
        assert got == want, name
