"""After a trap nothing of a program can be entered again: sequences of calls, unfused under the engine and fused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from wasmtime import component

import meld
from meld.ir.module import Module
from tests.observers.test_attribution import STREAM
from tests.oracles.test_downstream import compiled

TRAP = "trap"

PAIR = """(component
  (import "back" (func $back (param "n" u32) (result u32)))
  (component $x
    (import "back" (func $back (param "n" u32) (result u32)))
    (core func $back (canon lower (func $back)))
    (core module $m
      (import "" "back" (func $back (param i32) (result i32)))
      (memory (export "memory") 1)
      (global $freed (mut i32) (i32.const 0))
      (func (export "div") (param i32) (result i32) (i32.div_u (i32.const 12) (local.get 0)))
      (func (export "ask") (param i32) (result i32) (i32.add (call $back (local.get 0)) (i32.const 100)))
      (func (export "text") (param i32) (result i32)
        (i32.store (i32.const 8) (i32.const 16))
        (i32.store (i32.const 12) (local.get 0))
        (i32.const 8))
      (func (export "free") (param i32)
        (if (i32.eq (i32.load (i32.const 12)) (i32.const 13)) (then unreachable))
        (global.set $freed (i32.add (global.get $freed) (i32.const 1))))
      (func (export "freed") (result i32) (global.get $freed)))
    (core instance $i (instantiate $m (with "" (instance (export "back" (func $back))))))
    (func (export "div") (param "n" u32) (result u32) (canon lift (core func $i "div")))
    (func (export "ask") (param "n" u32) (result u32) (canon lift (core func $i "ask")))
    (func (export "text") (param "n" u32) (result string)
      (canon lift (core func $i "text") (memory (core memory $i "memory")) (post-return (core func $i "free"))))
    (func (export "freed") (result u32) (canon lift (core func $i "freed"))))
  (component $y
    (import "div" (func $div (param "n" u32) (result u32)))
    (core func $div (canon lower (func $div)))
    (core module $m
      (import "" "div" (func $div (param i32) (result i32)))
      (func (export "div") (param i32) (result i32) (i32.add (call $div (local.get 0)) (i32.const 1)))
      (func (export "ok") (result i32) (i32.const 7)))
    (core instance $i (instantiate $m (with "" (instance (export "div" (func $div))))))
    (func (export "div") (param "n" u32) (result u32) (canon lift (core func $i "div")))
    (func (export "ok") (result u32) (canon lift (core func $i "ok"))))
  (instance $x (instantiate $x (with "back" (func $back))))
  (instance $z (instantiate $x (with "back" (func $back))))
  (instance $y (instantiate $y (with "div" (func $x "div"))))
  (export "x-div" (func $x "div")) (export "x-ask" (func $x "ask"))
  (export "x-text" (func $x "text")) (export "x-freed" (func $x "freed"))
  (export "z-div" (func $z "div")) (export "y-div" (func $y "div")) (export "y-ok" (func $y "ok")))"""

Call = tuple[Any, ...]
Back = Callable[[Callable[..., Any], int], int]


class Unfused:
    """The program as the engine runs it. `back` is what the host does when it is called."""

    def __init__(self, back: Back) -> None:
        self.store = wasmtime.Store()
        linker = component.Linker(self.store.engine)
        with linker.root() as root:
            root.add_func("back", lambda _, n: back(self.call, n))
        self.instance = linker.instantiate(self.store, component.Component(self.store.engine, wasmtime.wat2wasm(PAIR)))

    def call(self, name: str, *args: int) -> Any:
        function = self.instance.get_func(self.store, name)
        assert function is not None
        try:
            return function(self.store, *args)
        except (wasmtime.WasmtimeError, wasmtime.Trap):
            return TRAP


class Fused:
    """The fused module, by its core functions."""

    def __init__(self, module: Module, back: Back) -> None:
        self.store = wasmtime.Store()
        code = wasmtime.Module(self.store.engine, meld.encode(module))
        linker = wasmtime.Linker(self.store.engine)
        i32 = wasmtime.ValType.i32()
        linker.define_func("$root", "back", wasmtime.FuncType([i32], [i32]), lambda n: back(self.call, n))
        self.exports = linker.instantiate(self.store, code).exports(self.store)

    def call(self, name: str, *args: int) -> Any:
        try:
            found = self.core(name, *args)
            if name != "x-text":
                return found
            memory = self.exports["memory"]
            assert isinstance(memory, wasmtime.Memory)
            at, size = (int.from_bytes(memory.read(self.store, i, i + 4), "little") for i in (found, found + 4))
            text = memory.read(self.store, at, at + size).decode()
            self.core("cabi_post_x-text", found)
            return text
        except (wasmtime.WasmtimeError, wasmtime.Trap):
            return TRAP

    def core(self, name: str, *args: int) -> Any:
        function = self.exports[name]
        assert isinstance(function, wasmtime.Func)
        return function(self.store, *args)


def plain(call: Callable[..., Any], n: int) -> int:
    return n + 1


def again(log: list[Any]) -> Back:
    """A host that calls back, into the instance that called it and into others, and goes on whatever happens."""

    def back(call: Callable[..., Any], n: int) -> int:
        if n > 0:
            log.extend([call("y-ok"), call("x-ask", n - 1), call("z-div", n - 1)])
        return n

    return back


SEQUENCES: dict[str, Sequence[Call]] = {
    "no trap": [("x-div", 3), ("x-div", 4), ("y-div", 4), ("z-div", 2), ("x-ask", 5), ("x-text", 4), ("x-freed",)],
    "its own": [("x-div", 0), ("x-div", 1)],
    "of its neighbours": [("y-ok",), ("x-div", 0), ("y-ok",), ("z-div", 1), ("x-freed",)],
    "while called": [("y-div", 2), ("y-div", 0), ("y-ok",), ("x-div", 1), ("z-div", 1)],
    "calls of the host in between": [("x-ask", 5), ("x-ask", 6), ("x-div", 0), ("x-ask", 7)],
    "post-return": [("x-text", 3), ("x-text", 4), ("x-freed",), ("x-text", 13), ("x-freed",)],
}


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Module:
    return compiled(PAIR, tmp_path_factory.mktemp("pair"))


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name: str, fused: Module) -> None:
    one, other = Unfused(plain), Fused(fused, plain)
    for number, call in enumerate(SEQUENCES[name]):
        assert (number, other.call(*call)) == (number, one.call(*call))


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_a_host_that_calls_back(n: int, fused: Module) -> None:
    """It may, until one of the calls traps (the innermost `z-div`); then nothing that is running returns either."""
    calls: Sequence[Call] = [("x-ask", n), ("y-ok",), ("x-ask", 0), ("x-div", 1)]
    logs: tuple[list[Any], list[Any]] = [], []
    one, other = Unfused(again(logs[0])), Fused(fused, again(logs[1]))
    assert [other.call(*call) for call in calls] == [one.call(*call) for call in calls]
    assert logs[0] == logs[1] and len(logs[0]) == 3 * n


def test_without_it_a_program_goes_on(tmp_path: Path) -> None:
    module = compiled(PAIR, tmp_path, passes="merge,adapter-wiring,finish")
    program = Fused(module, plain)
    assert [program.call("x-div", n) for n in (0, 3)] == [TRAP, 4]


def test_realloc_may_be_called_while_the_program_runs(tmp_path: Path) -> None:
    text = """(component
      (import "words" (func $words (result string)))
      (core module $libc (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
      (core instance $libc (instantiate $libc))
      (core func $words (canon lower (func $words)
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
      (core module $m (import "" "words" (func $words (param i32))) (import "" "memory" (memory 1))
        (func (export "run") (result i32) (call $words (i32.const 8)) (i32.load8_u (i32.load (i32.const 8)))))
      (core instance $m (instantiate $m (with "" (instance
        (export "words" (func $words)) (export "memory" (memory $libc "memory"))))))
      (func (export "run") (result u8) (canon lift (core func $m "run"))))"""
    store = wasmtime.Store()
    code = wasmtime.Module(store.engine, meld.encode(compiled(text, tmp_path)))
    linker = wasmtime.Linker(store.engine)

    def words(out: int) -> None:
        realloc, memory = exports["cabi_realloc"], exports["memory"]
        assert isinstance(realloc, wasmtime.Func) and isinstance(memory, wasmtime.Memory)
        at = realloc(store, 0, 0, 1, 1)
        memory.write(store, b"A", at)
        memory.write(store, at.to_bytes(4, "little") + b"\1\0\0\0", out)

    linker.define_func("$root", "words", wasmtime.FuncType([wasmtime.ValType.i32()], []), words)
    exports = linker.instantiate(store, code).exports(store)
    run = exports["run"]
    assert isinstance(run, wasmtime.Func) and [run(store), run(store)] == [65, 65]


def test_stream_partners_stay_what_they_are() -> None:
    with_, without = (
        meld.compile(STREAM, passes=f"merge,detect-pairs,emit-bridge,rewire-calls,adapter-wiring{more},finish")
        for more in ("", ",guard-entries")
    )
    assert [f.name for f in with_.functions] == [f.name for f in without.functions]


def test_of_a_component_the_engine_takes_care(tmp_path: Path) -> None:
    path, out = tmp_path / "pair.wat", tmp_path / "out.wasm"
    path.write_text(PAIR)
    from meld.cli import main

    assert main([str(path), "--emit=component", "-q", "-o", str(out)]) == 0
    assert b".entry" not in out.read_bytes()
