"""Streams and futures of which the host has one end, beside the engine, made by either and waited for in each way."""

from __future__ import annotations

import pytest
from hosted import TARGETS, both, product
from open_guests import HELPERS, LIBC, SINK, SOURCE, builtins, imports

HOST = f"""(component {LIBC}
  {builtins("async", reads="s", writes="sf")}
  (core func $return-future (canon task.return (result $f)))
  (core func $return-stream (canon task.return (result $s)))
  (core module $m
    {imports(reads="s", writes="sf")}
    (import "c2" "return-future" (func $return-future (param i32)))
    (import "c2" "return-stream" (func $return-stream (param i32)))
    {HELPERS} {SINK} {SOURCE}
    (func (export "sink") (param $data i32) (local $ends i64)
      (local.set $ends (call $f-new))
      (call $return-future (i32.wrap_i64 (local.get $ends)))
      (i32.store (i32.const 64) (call $drain (local.get $data)))
      (drop (call $awaited (call $high (local.get $ends))
        (call $f-write (call $high (local.get $ends)) (i32.const 64))))
      (call $f-drop-writable (call $high (local.get $ends))))
    (func (export "source") (param $n i32) (local $ends i64)
      (local.set $ends (call $s-new))
      (call $return-stream (i32.wrap_i64 (local.get $ends)))
      (call $fill (call $high (local.get $ends)) (local.get $n))))
  (core instance $c2 (export "return-future" (func $return-future)) (export "return-stream" (func $return-stream)))
  (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance $c2))))
  (func (export "sink") async (param "data" $s) (result $f) (canon lift (core func $i "sink") async))
  (func (export "source") async (param "n" u32) (result $s) (canon lift (core func $i "source") async)))
"""


def program(option: str, lift: str, body: str, *, inner: str = "") -> str:
    """A component whose `run` does something with what the host has: `sink` and `source`.

    Args:
        option: of reads and writes: ``async`` or nothing.
        lift: how `run` is lifted.
        body: what `run` returns.
    """
    returns = "(call $return {})" if "async" in lift else "{}"
    result = "" if "async" in lift else "(result i32)"
    after = ""
    if "callback" in lift:
        result, after = "(result i32)", "(i32.const 0)"
    return f"""(component
  (import "sink" (func $sink async (param "data" (stream u8)) (result (future u32))))
  (import "source" (func $source async (param "n" u32) (result (stream u8))))
  {LIBC}
  {builtins(option, reads="sf", writes="s")}
  {inner}
  (core func $sink' (canon lower (func $sink)))
  (core func $source' (canon lower (func $source)))
  (core func $return (canon task.return (result u32)))
  (core module $m
    {imports(reads="sf", writes="s")}
    (import "c2" "sink" (func $sink (param i32) (result i32)))
    (import "c2" "source" (func $source (param i32) (result i32)))
    (import "c2" "return" (func $return (param i32)))
    {HELPERS} {SINK} {SOURCE}
    (func $value (param $future i32) (result i32)
      (drop (call $awaited (local.get $future) (call $f-read (local.get $future) (i32.const 96))))
      (call $f-drop-readable (local.get $future))
      (i32.load (i32.const 96)))
    (func (export "run") (param $n i32) {result} (local $ends i64) (local $future i32)
      {returns.format(body)} {after})
    (func (export "back") (param i32 i32 i32) (result i32) unreachable))
  (core instance $c2 (export "sink" (func $sink')) (export "source" (func $source')) (export "return" (func $return)))
  (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance $c2))))
  (func (export "run") async (param "n" u32) (result u32) (canon lift (core func $i "run") {lift})))
"""


LIFTS = {
    "synchronous": "",
    "without a callback": "async",
    "with a callback": 'async (callback (core func $i "back"))',
}
BODIES = {
    "write": """(block (result i32)
        (local.set $ends (call $s-new))
        (local.set $future (call $sink (i32.wrap_i64 (local.get $ends))))
        (call $fill (call $high (local.get $ends)) (local.get $n))
        (call $value (local.get $future)))""",
    "read": "(call $drain (call $source (local.get $n)))",
    "pass on": "(call $value (call $sink (call $source (local.get $n))))",
}
HOSTS = ("func sink", "func source")


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("lift", LIFTS)
@pytest.mark.parametrize("option", ["", "async"])
def test_ends_of_the_host(option: str, lift: str, body: str) -> None:
    text = program(option, LIFTS[lift], BODIES[body])
    targets = TARGETS if option or not lift else TARGETS[:1]
    assert both(HOST, text, HOSTS, ("run", 25), ("run", 0), ("run", 14), targets=targets) == [75, 0, 42]


def test_nothing_is_asked_of_the_host_without_open_ends() -> None:
    closed = """(component (core module $m (func (export "run") (result i32) (i32.const 1)))
      (core instance $i (instantiate $m))
      (func (export "run") async (result u32) (canon lift (core func $i "run"))))"""
    assert "waitable" not in product(closed)
