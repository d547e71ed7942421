"""Synchronous calls of the host: only their own task waits, and the host may need what others do, beside the engine."""

from __future__ import annotations

import pytest
from hosted import both
from open_guests import HELPERS, LIBC, SINK, SOURCES, builtins, imports

RETURNS = {"sum": "u32", "text": "string", "nothing": ""}
"""What the host's functions return: the sum of a stream, or so many letters, or nothing."""


def _result(name: str) -> str:
    return f"(result {RETURNS[name]})" if RETURNS[name] else ""


HOST = f"""(component {LIBC}
  {builtins("async", reads="s", writes="s")}
  (core func $return-sum (canon task.return (result u32)))
  (core func $return-text (canon task.return (result string) (memory (core memory $libc "m"))))
  (core func $return-nothing (canon task.return))
  (core module $m
    {imports(reads="s", writes="s")}
    (import "c2" "sum" (func $return-sum (param i32)))
    (import "c2" "text" (func $return-text (param i32 i32)))
    (import "c2" "nothing" (func $return-nothing))
    {HELPERS} {SINK}
    (func (export "sum") (param i32) (call $return-sum (call $drain (local.get 0))))
    (func (export "text") (param i32) (local $n i32)
      (local.set $n (call $drain (local.get 0)))
      (memory.fill (i32.const 512) (i32.const 97) (local.get $n))
      (call $return-text (i32.const 512) (local.get $n)))
    (func (export "nothing") (param i32) (drop (call $drain (local.get 0))) (call $return-nothing)))
  (core instance $c2 (export "sum" (func $return-sum)) (export "text" (func $return-text))
    (export "nothing" (func $return-nothing)))
  (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance $c2))))
  {
    "".join(
        f'(func (export "{name}") async (param "data" $s) {_result(name)} (canon lift (core func $i "{name}") async'
        ' (memory (core memory $libc "m"))))'
        for name in RETURNS
    )
}
)"""

PROGRAM = f"""(component
  {"".join(f'(import "{name}" (func ${name} async (param "data" (stream u8)) {_result(name)}))' for name in RETURNS)}
  {SOURCES}
  (component $App
    {"".join(f'(import "{name}" (func ${name} async (param "data" (stream u8)) {_result(name)}))' for name in RETURNS)}
    (import "source" (func $source async (param "n" u32) (result (stream u8))))
    {LIBC}
    (core func $sum' (canon lower (func $sum)))
    (core func $text' (canon lower (func $text) (memory (core memory $libc "m")) (realloc (core func $libc "realloc"))))
    (core func $nothing' (canon lower (func $nothing)))
    (core func $source' (canon lower (func $source)))
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "m" (memory 1))
      (import "" "sum" (func $sum (param i32) (result i32)))
      (import "" "text" (func $text (param i32 i32)))
      (import "" "nothing" (func $nothing (param i32)))
      (import "" "source" (func $source (param i32) (result i32)))
      (import "" "return" (func $return (param i32)))
      (func $run (param $n i32) (result i32) (local $sum i32)
        (local.set $sum (call $sum (call $source (local.get $n))))
        (call $text (call $source (local.get $n)) (i32.const 64))
        (if (i32.ne (i32.load (i32.const 68)) (local.get $sum)) (then unreachable))
        (if (local.get $sum)
          (then (if (i32.ne (i32.load8_u (i32.load (i32.const 64))) (i32.const 97)) (then unreachable))))
        (call $nothing (call $source (local.get $n)))
        (local.get $sum))
      (func (export "sync") (param i32) (result i32) (call $run (local.get 0)))
      (func (export "stackful") (param i32) (call $return (call $run (local.get 0))))
      (func (export "calls-back") (param i32) (result i32) (call $return (call $run (local.get 0))) (i32.const 0))
      (func (export "back") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m")) (export "sum" (func $sum'))
      (export "text" (func $text')) (export "nothing" (func $nothing')) (export "source" (func $source'))
      (export "return" (func $return))))))
    (func (export "sync") async (param "n" u32) (result u32) (canon lift (core func $i "sync")))
    (func (export "stackful") async (param "n" u32) (result u32) (canon lift (core func $i "stackful") async))
    (func (export "calls-back") async (param "n" u32) (result u32)
      (canon lift (core func $i "calls-back") async (callback (core func $i "back"))))
    (func (export "plain") (param "n" u32) (result u32) (canon lift (core func $i "sync"))))
  (instance $sources (instantiate $Sources))
  (instance $app (instantiate $App (with "source" (func $sources "source"))
    {"".join(f'(with "{name}" (func ${name}))' for name in RETURNS)}))
  (export "sync" (func $app "sync")) (export "stackful" (func $app "stackful"))
  (export "calls-back" (func $app "calls-back")) (export "plain" (func $app "plain")))
"""
HOSTS = tuple(f"func {name}" for name in RETURNS)


@pytest.mark.parametrize("name", ["sync", "stackful", "calls-back"])
def test_the_host_needs_what_others_write(name: str) -> None:
    assert both(HOST, PROGRAM, HOSTS, (name, 25), (name, 0), (name, 14)) == [75, 0, 42]


def test_a_synchronous_task_must_not_wait() -> None:
    (answer,) = both(HOST, PROGRAM, HOSTS, ("plain", 25))
    assert "cannot block a synchronous task" in answer
