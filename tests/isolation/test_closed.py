"""What the host calls besides exports (`realloc`, `post-return`) is guarded, and closes the program when it traps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wasmtime
from sides import CASES, Core, component, fused, manifest, written

import meld

LEAVE, ENTER = "cannot leave component instance", "cannot enter component instance"

POST_RETURN = """(component
  (component $honest
    (core module $m (func (export "bump")))
    (core instance $i (instantiate $m))
    (func (export "bump") (canon lift (core func $i "bump"))))
  (component $hostile
    (import "bump" (func $bump))
    (core func $bump' (canon lower (func $bump)))
    (core module $m
      (import "" "bump" (func $bump))
      (memory (export "memory") 1)
      (table (export "t") 1 funcref) (elem (i32.const 0) func $bump)
      (func (export "f") (result i32) (i32.const 16))
      (func (export "free") (param i32) (call_indirect (i32.const 0))))
    (core instance $i (instantiate $m (with "" (instance (export "bump" (func $bump'))))))
    (func (export "f") (result string)
      (canon lift (core func $i "f") (memory $i "memory") (post-return (func $i "free")))))
  (instance $h (instantiate $honest))
  (instance $b (instantiate $hostile (with "bump" (func $h "bump"))))
  (export "f" (func $b "f")) (export "bump" (func $h "bump")))"""

TWO_STEPS = """(component
  (import "h" (func $h (param "n" u32)))
  (core func $h' (canon lower (func $h)))
  (core module $m (import "" "h" (func $h (param i32)))
    (func (export "run") (param i32) (call $h (local.get 0)))
    (func (export "ok") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m (with "" (instance (export "h" (func $h'))))))
  (func (export "run") (param "n" u32) (canon lift (core func $i "run")))
  (func (export "ok") (result u32) (canon lift (core func $i "ok"))))"""


def outcome(call: Any, *args: Any) -> Any:
    """What a call returns, or why it traps: the names of the functions that ran, in the engine's words."""
    try:
        return call(*args)
    except (wasmtime.Trap, wasmtime.WasmtimeError) as e:
        return str(e)


def unfused(path: Path, name: str, *args: Any) -> str:
    running = component(path)
    function = running.instance.get_func(running.store, name)
    assert function is not None
    return str(outcome(function, running.store, *args))


@pytest.mark.parametrize(
    ("case", "name", "args", "core"),
    [
        ("isolation/realloc-calls-out.wat", "f", ["x"], ("cabi_realloc", 0, 0, 1, 1)),
        ("F4-realloc-leaves.wat", "len", ["abc"], ("cabi_realloc", 0, 0, 1, 3)),
        (None, "f", [], ("cabi_post_f", 16)),
    ],
)
def test_what_the_host_calls_may_not_call_out(
    case: str | None, name: str, args: list[Any], core: tuple[Any, ...], tmp_path: Path
) -> None:
    path = CASES.parent / case if case else written(tmp_path, post=POST_RETURN)[0]
    source = tmp_path / "source.wasm"
    source.write_bytes(meld.encode(meld.load(path)))
    assert LEAVE in unfused(source, name, *args)

    assert fused([path], tmp_path / "wrapped.wasm", "-q", "--emit=component").returncode == 0
    assert LEAVE in unfused(tmp_path / "wrapped.wasm", name, *args)

    assert fused([path], tmp_path / "out.wasm", "-q").returncode == 0
    program = Core(tmp_path / "out.wasm", {})
    if core[0].startswith("cabi_post"):
        assert program.call(name, *args) == 16
    assert LEAVE in outcome(program.call, *core)
    assert ENTER in outcome(program.call, *core)
    other = {"f": "count", "len": "len"}[name] if case else "bump"
    assert ENTER in outcome(program.call, other, *([0, 0] if other == "len" else []))


def steps(path: Path, does: list[Any], *more: str) -> Core:
    """A program whose host does something else each time that it is called."""
    out = path.with_suffix(".wasm")
    assert fused([path], out, "-q", *more).returncode == 0

    def h(core: Core, n: int) -> None:
        does[n](core)

    return Core(out, {("$root", "h"): h})


def trapping(core: Core) -> None:
    raise RuntimeError("the host traps")


def saying(core: Core) -> None:
    core.call("meld:trapped")
    raise RuntimeError("the host traps")


def calling_back(core: Core) -> None:
    assert core.call("ok") == 7


def test_a_host_says_that_it_trapped(tmp_path: Path) -> None:
    (path,) = written(tmp_path, steps=TWO_STEPS)
    program = steps(path, [calling_back, saying])
    program.call("run", 0)
    with pytest.raises(RuntimeError):
        program.call("run", 1)
    assert ENTER in outcome(program.call, "ok")
    assert manifest([path], tmp_path)["trapped"] == "meld:trapped"


def test_a_host_that_never_calls_back_need_not(tmp_path: Path) -> None:
    (path,) = written(tmp_path, steps=TWO_STEPS)
    passes = "--passes=link,merge,handle-tables,adapter-wiring,guard-entries{callbacks=false},finish"
    back: list[Any] = []
    does = [lambda core: None, trapping, lambda core: back.append(outcome(core.call, "ok"))]
    program = steps(path, does, passes)
    program.call("run", 0)
    assert program.call("ok") == 7
    program.call("run", 2)
    assert ENTER in back[0] and program.call("ok") == 7
    with pytest.raises(RuntimeError):
        program.call("run", 1)
    assert ENTER in outcome(program.call, "ok")
