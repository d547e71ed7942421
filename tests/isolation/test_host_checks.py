"""What an instance gives the host is checked in the module, also in one of one memory: a bad value closes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wasmtime
from adapter_pairs import reason
from sides import CASES, Core, component, fused, written

import meld
from meld.views.explain import rows

ENTER = "cannot enter component instance"
STRING, AREA = "string content out-of-bounds", "out of bounds memory access"
CLOSING = "guard-entries{callbacks=false}"
CHECKED = f"link,merge,handle-tables,host-memory{{always=true}},adapter-wiring,{CLOSING},finish"

CHAR = """(component
  (import "h" (func $h (param "c" char)))
  (core func $h' (canon lower (func $h)))
  (core module $m (import "" "h" (func $h (param i32)))
    (func (export "run") (param i32) (call $h (local.get 0)))
    (func (export "give") (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m (with "" (instance (export "h" (func $h'))))))
  (func (export "run") (param "c" u32) (canon lift (core func $i "run")))
  (func (export "give") (param "c" u32) (result char) (canon lift (core func $i "give"))))"""
"""A program without a memory."""


def why(call: Any, *args: Any) -> str:
    """Why a call traps."""
    with pytest.raises((wasmtime.Trap, wasmtime.WasmtimeError)) as caught:
        call(*args)
    return reason(caught.value)


def checked(path: Path, folder: Path) -> tuple[Core, list[Any]]:
    """The program with all checks inside, and what its host sees, which never reads memory: it notices nothing."""
    done = fused([path], folder / "checked.wasm", f"--passes={CHECKED}")
    assert done.returncode == 0, done.stderr
    seen: list[Any] = []
    return Core(folder / "checked.wasm", {("$root", "h"): lambda _, *args: seen.append(args)}), seen


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
@pytest.mark.parametrize(("name", "trap"), [("run", STRING), ("give", AREA)])
def test_a_bad_pointer_closes_a_program_of_one_memory(name: str, trap: str, tmp_path: Path) -> None:
    """The reported case: `run` has the hostile instance give the host a bad string, `give` returns one."""
    path = CASES / "host-trap-leaves-open.wat"
    (tmp_path / "unfused.wasm").write_bytes(meld.encode(meld.load(path)))
    running = component(tmp_path / "unfused.wasm", {"h": lambda s: None})
    for one in (name, "locked"):
        function = running.instance.get_func(running.store, one)
        assert function is not None
        why(function, running.store)

    program, seen = checked(path, tmp_path)
    assert why(program.call, name) == trap and not seen
    assert why(program.call, "locked") == ENTER


@pytest.mark.parametrize("name", ["run", "give"])
@pytest.mark.parametrize("bad", [0xD800, 0xDFFF, 0x110000, 0xFFFFFFFF])
def test_a_bad_character_closes_a_program_without_memory(name: str, bad: int, tmp_path: Path) -> None:
    (path,) = written(tmp_path, char=CHAR)
    program, seen = checked(path, tmp_path)
    for good in (0, 0xD7FF, 0xE000, 0x10FFFF):
        assert program.call(name, good) == (None if name == "run" else good)
    assert why(program.call, name, bad - (bad >> 31 << 32)) == "invalid `char` bit pattern"
    assert len(seen) == (4 if name == "run" else 0)
    assert why(program.call, "run", 65) == ENTER


WIDE = """(component
  (import "h" (func $h (param "s" string)))
  (core module $mem (memory (export "memory") i64 1) (data (i64.const 8) "hello"))
  (core instance $mem (instantiate $mem))
  (core func $h' (canon lower (func $h) (memory $mem "memory")))
  (core module $m
    (import "" "h" (func $h (param i64 i64)))
    (func (export "run") (param i64 i64) (call $h (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m (with "" (instance (export "h" (func $h'))))))
  (func (export "run") (param "at" u64) (param "length" u64) (canon lift (core func $i "run"))))"""
"""A memory with 64-bit addresses; the host is given 32-bit ones."""


@pytest.mark.parametrize(
    ("at", "length", "sees"),
    [
        (8, 5, 5),
        (65536, 0, 0),
        (65537, 0, None),
        (1 << 32, 1, None),
        ((1 << 32) + 8, 5, None),
        (8, (1 << 32) + 5, None),
        (-8, 16, None),
    ],
)
def test_addresses_of_64_bits_are_checked_whole(at: int, length: int, sees: int | None, tmp_path: Path) -> None:
    (path,) = written(tmp_path, wide=WIDE)
    program, seen = checked(path, tmp_path)
    if sees is None:
        assert why(program.call, "run", at, length) == STRING and not seen
    else:
        program.call("run", at, length)
        assert [size for _, size in seen] == [sees]


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
def test_a_program_of_one_memory_is_left_alone_unless_asked(tmp_path: Path) -> None:
    done = fused(
        [CASES / "host-trap-leaves-open.wat"], tmp_path / "o.wasm", f"--passes=host-memory,adapter-wiring,{CLOSING}"
    )
    assert done.returncode == 0
    assert "there is one memory at most; nothing to separate (always=true checks values all the same)" in done.stderr


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
@pytest.mark.parametrize(("always", "who"), [("", "by the host"), ("{always=true}", "here")])
def test_explain_says_who_checks(always: str, who: str, tmp_path: Path) -> None:
    """`take` is given its string by the host, which needs memory too; `h` and `give` give the host one."""
    done = meld.compile(
        CASES / "host-trap-leaves-open.wat", passes=f"link,merge,handle-tables,host-memory{always},adapter-wiring"
    )
    (row,) = (row for row in rows(done) if row.kind == "host functions")
    assert (row.subject, row.decision) == ("3 with pointers, characters or cases", f"checked {who}")
