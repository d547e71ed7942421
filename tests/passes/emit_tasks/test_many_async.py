"""150 asynchronous components with memories, resources and streams: refused by the limit's name, or one memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from meld.cli import main

COUNT = 150
COMPONENT = """(component $c{k} (type $s (stream u8)) (type $r' (resource (rep i32)))
  {import_}
  (core func $rnew (canon resource.new $r')) (core func $rdrop (canon resource.drop $r'))
  (core module $mem (memory (export "m") 1))
  (core instance $mem (instantiate $mem))
  (core func $new (canon stream.new $s))
  (core func $read (canon stream.read $s async (memory (core memory $mem "m"))))
  (core func $write (canon stream.write $s async (memory (core memory $mem "m"))))
  {lower}
  (core module $m
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "rnew" (func $rnew (param i32) (result i32)))
    (import "" "rdrop" (func $rdrop (param i32)))
    {core}
    (func (export "run") (param i32) (result i32)
      (call $rdrop (call $rnew (i32.const 1)))
      {answer})
    (func (export "root") (param i32) (result i32) (local $ends i64)
      (local.set $ends (call $new))
      (drop (call $write (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))) (i32.const 0) (i32.const 0)))
      {root}))
  (core instance $i (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))
    (export "rnew" (func $rnew)) (export "rdrop" (func $rdrop)) {given}))))
  (func (export "run") async (param "s" (stream u8)) (result u32) (canon lift (core func $i "run")))
  (func (export "root") async (param "x" u32) (result u32) (canon lift (core func $i "root"))))"""
NEXT = {
    "import_": '(import "next" (func $next async (param "s" (stream u8)) (result u32)))',
    "lower": "(core func $next (canon lower (func $next)))",
    "core": '(import "" "next" (func $next (param i32) (result i32)))',
    "answer": "(i32.add (i32.const 1) (call $next (local.get 0)))",
    "root": "(call $next (i32.wrap_i64 (local.get $ends)))",
    "given": '(export "next" (func $next))',
}
LAST = dict.fromkeys(NEXT, "") | {
    "answer": "(i32.and (call $read (local.get 0) (i32.const 64) (i32.const 0)) (i32.const 1))",
    "root": "(i32.const 0)",
}


def chain(count: int) -> bytes:
    """Components that hand a stream on, each to the next."""
    parts = []
    for k in reversed(range(count)):
        last = k == count - 1
        parts.append(COMPONENT.format(k=k, **(LAST if last else NEXT)))
        given = "" if last else f'(with "next" (func $i{k + 1} "run"))'
        parts.append(f"(instance $i{k} (instantiate $c{k} {given}))")
    text = "\n".join(["(component", *parts, '(export "root" (func $i0 "root")))'])
    return bytes(wasmtime.wat2wasm(text))


def test_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "chain.wasm", tmp_path / "out.wasm"
    source.write_bytes(chain(COUNT))
    assert main([str(source), "-o", str(out)]) == 2
    said = capsys.readouterr().err
    assert "151 memories; engines take 100 at most" in said and "--target=wasm2" in said
    assert not out.exists()
    assert main([str(source), "--target=wasm2", "-q", "-o", str(out)]) == 0
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    instance = wasmtime.Instance(store, wasmtime.Module(engine, out.read_bytes()), [])
    assert instance.exports(store)["root"](store, 0) == COUNT - 1
