"""Asynchronous functions of the host, however they are lowered, beside the engine."""

from __future__ import annotations

import struct

import pytest
import wasmtime
from hosted import TARGETS, both
from open_guests import LIBC

from meld.files import decode
from meld.ir.module import Module
from meld.passes import Registry
from meld.passmanager import parse_pipeline, plan_default, plan_named, run
from meld.runtime.instantiate import Running, instantiate

GREET = """(func async (param "name" string) (param "a" u32) (param "b" u64) (param "c" f32) (param "d" u8)
    (result (tuple string u64)))"""

HOST = f"""(component {LIBC}
  (core func $return (canon task.return (result (tuple string u64)) (memory (core memory $libc "m"))))
  (core module $m
    (import "" "m" (memory 1))
    (import "" "return" (func $return (param i32 i32 i64)))
    (func (export "greet") (param i32 i32 i32 i64 f32 i32) (result i32)
      (i32.store8 (local.get 0) (i32.const 0x48))
      (call $return (local.get 0) (local.get 1)
        (i64.add (local.get 3) (i64.add (i64.trunc_f32_s (local.get 4)) (i64.extend_i32_u
          (i32.add (local.get 2) (local.get 5))))))
      (i32.const 0))
    (func (export "tick") (result i32) (i32.const 5))
    (func (export "back") (param i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $m (with "" (instance
    (export "m" (memory $libc "m")) (export "return" (func $return))))))
  (func (export "greet") async (param "name" string) (param "a" u32) (param "b" u64) (param "c" f32) (param "d" u8)
    (result (tuple string u64))
    (canon lift (core func $i "greet") async (callback (core func $i "back")) (memory (core memory $libc "m"))
      (realloc (core func $libc "realloc"))))
  (func (export "tick") async (result u32) (canon lift (core func $i "tick"))))
"""

ASYNC_CALL = """
      (i32.store (i32.const 256) (i32.const 16)) (i32.store (i32.const 260) (i32.const 5))
      (i32.store (i32.const 264) (i32.const 1)) (i64.store (i32.const 272) (i64.const 20))
      (f32.store (i32.const 280) (f32.const 300)) (i32.store8 (i32.const 284) (i32.const 7))
      (if (i32.ne (call $greet (i32.const 256) (i32.const 512)) (i32.const 2)) (then unreachable))
"""
SYNC_CALL = """
      (call $greet (i32.const 16) (i32.const 5) (i32.const 1) (i64.const 20) (f32.const 300) (i32.const 7)
        (i32.const 512))
"""
FORMS = {
    "async": ("async", "(param i32 i32) (result i32)", ASYNC_CALL, "(param i32) (result i32)"),
    "sync": ("", "(param i32 i32 i32 i64 f32 i32 i32)", SYNC_CALL, "(result i32)"),
}
HOSTS = ("func greet", "func tick")


def program(form: str) -> str:
    """`run` calls `greet` and `tick`, and answers with a sum of all that it gets."""
    option, greet, call, tick = FORMS[form]
    ticked = "(drop (call $tick (i32.const 600))) (i32.load (i32.const 600))" if option else "(call $tick)"
    return f"""(component
  (import "greet" (func $greet async (param "name" string) (param "a" u32) (param "b" u64) (param "c" f32)
    (param "d" u8) (result (tuple string u64))))
  (import "tick" (func $tick async (result u32)))
  {LIBC}
  (core func $greet' (canon lower (func $greet) {option} (memory (core memory $libc "m"))
    (realloc (core func $libc "realloc"))))
  (core func $tick' (canon lower (func $tick) {option} (memory (core memory $libc "m"))))
  (core func $return (canon task.return (result u64)))
  (core module $m
    (import "" "m" (memory 1))
    (import "" "greet" (func $greet {greet}))
    (import "" "tick" (func $tick {tick}))
    (import "" "return" (func $return (param i64)))
    (data (i32.const 16) "hello")
    (func (export "run") (result i32) (local $ticked i32)
      {call}
      (local.set $ticked {ticked})
      (call $return
        (i64.add (i64.mul (i64.load (i32.const 520)) (i64.const 1000000))
          (i64.extend_i32_u (i32.add
            (i32.add (local.get $ticked) (i32.mul (i32.load (i32.const 516)) (i32.const 1000)))
            (i32.load8_u (i32.load (i32.const 512)))))))
      (i32.const 0))
    (func (export "back") (param i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $m (with "" (instance
    (export "m" (memory $libc "m")) (export "greet" (func $greet')) (export "tick" (func $tick'))
    (export "return" (func $return))))))
  (func (export "run") async (result u64)
    (canon lift (core func $i "run") async (callback (core func $i "back")))))
"""


@pytest.mark.parametrize("form", FORMS)
def test_values(form: str) -> None:
    assert both(HOST, program(form), HOSTS, ("run",), ("run",), targets=TARGETS) == [328 * 10**6 + 5077] * 2


@pytest.mark.parametrize("form", FORMS)
def test_core_module(form: str) -> None:
    """The host's functions have their synchronous signatures."""
    given: dict[str, Running] = {}

    def greet(name: int, length: int, a: int, b: int, c: float, d: int, out: int) -> None:
        running = given["running"]
        exports = running.instance.exports(running.store)
        memory, realloc = exports["memory"], exports["cabi_realloc"]
        assert isinstance(memory, wasmtime.Memory) and isinstance(realloc, wasmtime.Func)
        assert memory.read(running.store, name, name + length) == b"hello"
        at = realloc(running.store, 0, 0, 1, 5)
        memory.write(running.store, b"Hello", at)
        memory.write(running.store, struct.pack("<IIQ", at, 5, int(a + b + c + d)), out)

    module = merged(program(form), None)
    given["running"] = instantiate(module, given={("$root", "greet"): greet, ("$root", "tick"): lambda: 5})
    assert given["running"].call("run") == 328 * 10**6 + 5077


def merged(text: str, stop: str | None) -> Module:
    """What is made of a program, or stands after a pass."""
    source = decode(bytes(wasmtime.wat2wasm(text)), "program")
    registry = Registry.standard()
    plan = plan_default(source, registry)
    if stop is not None:
        plan = plan_named(parse_pipeline(f"link,{stop}", registry), source, registry)
    product, _ = run(plan, source)
    assert isinstance(product, Module)
    return product


TICKS = """(component
  (import "tick" (func $tick async (param "a" u32) (param "b" u32) (param "c" u32) (param "d" u32) (param "e" u32)
    (result u32)))
  (core module $libc (memory (export "m") 1))
  (core instance $libc (instantiate $libc))
  (core func $tick' (canon lower (func $tick) async (memory (core memory $libc "m"))))
  (core module $m
    (import "" "m" (memory 1))
    (import "" "tick" (func $tick (param i32 i32) (result i32)))
    (data (i32.const 16) "\\01\\00\\00\\00\\02\\00\\00\\00\\03\\00\\00\\00\\04\\00\\00\\00\\05")
    (func (export "run") (result i32)
      (i32.add (i32.shl (call $tick (i32.const 16) (i32.const 64)) (i32.const 8)) (i32.load (i32.const 64)))))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m")) (export "tick" (func $tick'))))))
  (func (export "run") async (result u32) (canon lift (core func $i "run"))))
"""


@pytest.mark.parametrize("stop", [None, "merge"])
def test_interpreted(stop: str | None) -> None:
    """Parameters that lie in memory, and the result, where the edge is an adapter and where it is interpreted."""
    module = merged(TICKS, stop)
    running = instantiate(module, given={("$root", "tick"): lambda *values: sum(values)})
    assert running.call("run") == 2 << 8 | 15
