"""The state memory: its regions and its heap, run under the engine; and that many instances share one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st
from wrapped import tool

import meld
from meld.ir.module import Export, Module
from meld.rewriting.handles import FEWEST_ENTRIES, MOST_ENTRIES, TABLE_SPACE, limit_of
from meld.rewriting.state import State


def heap(maximum: int | None = None, reserved: int = 0) -> tuple[Any, wasmtime.Store, wasmtime.Memory]:
    """A module with nothing but the heap: its functions, behind a static region."""
    module = Module()
    state = State.of(module)
    state.reserve(reserved)
    functions = {name: state.function(name) for name in ("block_new", "block_free")}
    module.exports += [Export(name, function) for name, function in functions.items()]
    module.exports.append(Export("memory", state.memory))
    if maximum is not None:
        state.memory.limits = type(state.memory.limits)(state.memory.limits.minimum, maximum)
    store = wasmtime.Store()
    exports = wasmtime.Instance(store, wasmtime.Module(store.engine, meld.encode(module)), []).exports(store)
    memory = exports["memory"]
    assert isinstance(memory, wasmtime.Memory)
    return exports, store, memory


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 70_000)), max_size=60), st.integers(0, 100_000))
def test_blocks(steps: list[tuple[bool, int]], reserved: int) -> None:
    """Blocks are aligned, zero, and overlap neither each other nor regions; what is given back is used again."""
    exports, store, memory = heap(reserved=reserved)
    blocks: list[tuple[int, int]] = []
    for new, size in steps:
        if new or not blocks:
            at = exports["block_new"](store, size)
            assert at % 16 == 0 and at >= 16 + reserved
            assert memory.read(store, at, at + size) == bytearray(size)
            assert all(at + max(size, 16) <= other or other + max(had, 16) <= at for other, had in blocks)
            memory.write(store, b"\xff" * size, at)
            blocks.append((at, size))
        else:
            at, had = blocks.pop(size % len(blocks))
            exports["block_free"](store, at, had)
            again = exports["block_new"](store, had)
            assert again == at
            exports["block_free"](store, again, had)


def test_exhausted() -> None:
    """Where the memory cannot grow, the program traps for a reason of its own, and nothing has changed."""
    exports, store, memory = heap(maximum=2)
    first = exports["block_new"](store, 32_768)
    memory.write(store, b"kept", first)
    with pytest.raises(wasmtime.Trap, match="out of memory for handles and tasks"):
        exports["block_new"](store, 100_000)
    for size in (-1, -(1 << 31) + 1):
        with pytest.raises(wasmtime.Trap, match="out of memory for handles and tasks"):
            exports["block_new"](store, size)
    assert memory.read(store, first, first + 4) == b"kept"
    assert exports["block_new"](store, 16) != first


def test_fixed_region() -> None:
    """The region at address 0 has to come first."""
    state = State.of(Module())
    state.fixed(100)
    assert state.reserve(8) == 112
    assert State.of(state.module).reserve(1, 64) == 128
    with pytest.raises(AssertionError):
        state.fixed(1)


@pytest.mark.parametrize("object_bytes", [0, 64, 256])
@pytest.mark.parametrize("instances", [1, 2, 3, 150, 1000, 20_000, 500_000])
def test_tables_together_fit(instances: int, object_bytes: int) -> None:
    """No instance can use up what the tables of others need, or what the handles in them stand for."""
    limit = limit_of(instances, object_bytes)
    assert FEWEST_ENTRIES <= limit <= MOST_ENTRIES and limit & (limit - 1) == 0
    assert limit == FEWEST_ENTRIES or (2 * 16 + object_bytes) * limit * instances <= TABLE_SPACE


def test_many_instances(tmp_path: Path) -> None:
    """Engines have a limit of 100 memories; 200 instances with handles need one."""
    one = """(component $C
      (type $r (resource (rep i32)))
      (core func $new (canon resource.new $r))
      (core func $drop (canon resource.drop $r))
      (core module $m (import "" "new" (func $new (param i32) (result i32))) (import "" "drop" (func $drop (param i32)))
        (func (export "f") (param i32) (result i32) (local $h i32)
          (drop (call $new (i32.const 1)))
          (local.set $h (call $new (local.get 0))) (call $drop (local.get $h)) (local.get $h)))
      (core instance $i (instantiate $m (with "" (instance (export "new" (func $new)) (export "drop" (func $drop))))))
      (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))"""
    many = "".join(f'(instance $i{n} (instantiate $C)) (export "f{n}" (func $i{n} "f"))' for n in range(200))
    source, out = tmp_path / "many.wat", tmp_path / "many.wasm"
    source.write_text(f"(component {one} {many})")
    module = meld.compile(source)
    out.write_bytes(meld.encode(module))
    tool("validate", "--features=all", out)
    assert len(module.memories) == 1
    store = wasmtime.Store()
    exports = wasmtime.Instance(store, wasmtime.Module(store.engine, out.read_bytes()), []).exports(store)
    for n in (0, 199, 0):
        function = exports[f"f{n}"]
        assert isinstance(function, wasmtime.Func)
        first = function(store, 5)
        assert function(store, 5) == first + 1
