"""`meldc inspect`: what a program is made of, before and after fusion, as data and as tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import wasmtime

import meld
from meld.cli import main
from meld.views.inspection import CANON, HOST, inspect
from tests.runtime.test_interpreter import RESOURCES, TWO

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "../shared/fixtures"
STREAM = [str(ROOT / "examples/stream/producer.wat"), str(ROOT / "examples/stream/consumer.wat")]

HOSTED = """(component
  (import "lab:h/log@1.0.0" (instance $log (export "write" (func (param "s" string)))))
  (component $p
    (core module $m (memory (export "memory") 1 7)
      (func (export "f") (param i32 i32) (result i32) local.get 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64))
    (core instance $i (instantiate $m))
    (func (export "len") (param "s" string) (result u8) (canon lift (core func $i "f")
      (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (instance $p (instantiate $p))
  (component $c
    (import "len" (func $len (param "s" string) (result u8)))
    (import "write" (func $write (param "s" string)))
    (core module $mem (memory (export "memory") 2))
    (core instance $mem (instantiate $mem))
    (core func $len (canon lower (func $len) (memory (core memory $mem "memory"))))
    (core func $write (canon lower (func $write) (memory (core memory $mem "memory"))))
    (core module $m (import "" "len" (func $len (param i32 i32) (result i32)))
      (import "" "write" (func $write (param i32 i32)))
      (func (export "run") (result i32)
        (call $write (i32.const 0) (i32.const 3)) (call $len (i32.const 0) (i32.const 3))))
    (core instance $i (instantiate $m (with "" (instance (export "len" (func $len)) (export "write" (func $write))))))
    (func (export "run") (result u8) (canon lift (core func $i "run"))))
  (instance $c (instantiate $c (with "len" (func $p "len")) (with "write" (func $log "write"))))
  (export "run" (func $c "run")))"""


def program(text: str, tmp_path: Path) -> str:
    path = tmp_path / "program.wasm"
    path.write_bytes(wasmtime.wat2wasm(text))
    return str(path)


def found(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    assert main(["inspect", *args, "--json"]) == 0
    read: dict[str, Any] = json.loads(capsys.readouterr().out)
    return read


def calls(data: dict[str, Any]) -> set[tuple[str, ...]]:
    return {(row["caller"], row["callee"], row["function"], row["type"], row["how"]) for row in data["calls"]}


def test_components(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = program(HOSTED, tmp_path)
    data = found(capsys, path)
    assert data["inputs"] == [path] and "merged" in data["facts"]
    assert calls(data) == {
        ("c", "p", "len", "func(s: string) -> u8", "pending"),
        ("c", HOST, "lab:h/log@1.0.0#write", "func(s: string)", "host"),
    }
    assert [(m["instance"], m["minimum"], m["maximum"]) for m in data["memories"]] == [("p", 1, 7), ("c", 2, None)]
    names = {row["name"]: row for row in data["instances"]}
    assert (names["p"]["core-instances"], names["p"]["functions"], names["c"]["core-instances"]) == (1, 2, 2)
    (run_,) = [row for row in data["exports"] if row["name"] == "run"]
    assert (run_["type"], run_["component-type"], run_["instance"]) == ("() -> (i32)", "func() -> u8", "c")
    kinds = {(row["module"], row["name"]): row["stands-for"] for row in data["imports"]}
    assert kinds["lab:h/log@1.0.0", "write"] == "host" and "call" in kinds.values()


def test_a_fused_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The calls are the same ones, and how they were wired is known; the text of the module says it too."""
    path = program(HOSTED, tmp_path)
    fused = tmp_path / "fused.wat"
    assert main([path, "-q", "-o", str(fused)]) == 0
    data = found(capsys, str(fused))
    assert ("c", "p", "len", "func(s: string) -> u8", "adapter") in calls(data)
    assert ("c", HOST, "lab:h/log@1.0.0#write", "func(s: string)", "host") in calls(data)
    assert [row["name"] for row in data["imports"]] == ["write"]
    assert len(data["memories"]) == 2


def test_a_binary_has_no_instances(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.wasm"
    path.write_bytes(wasmtime.wat2wasm('(module (import "a" "b" (func (param i32))) (memory (export "m") 1 2))'))
    data = found(capsys, str(path))
    assert data["instances"] == [] == data["calls"]
    assert [(row["module"], row["name"], row["type"]) for row in data["imports"]] == [("a", "b", "(i32) -> ()")]
    assert [(row["name"], row["kind"], row["type"]) for row in data["exports"]] == [("m", "memory", "1..2")]


def test_resources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = RESOURCES.replace("{run}", f"{TWO} (call $live)").replace("{keep}", "")
    data = found(capsys, program(text, tmp_path))
    assert data["resources"] == [{"name": "r", "instance": "maker", "destructor": True}]
    assert ("user", "maker", "take", "func(r: r) -> u32", "pending") in calls(data)
    assert ("user", "middle", "twice", "func(r: borrow<r>) -> u32", "pending") in calls(data)
    assert ("maker", CANON, "resource.new r", "(i32) -> (i32)", "built-in") in calls(data)


def test_streams(capsys: pytest.CaptureFixture[str]) -> None:
    data = found(capsys, *STREAM)
    (row,) = data["streams"]
    assert (row["kind"], row["producer"], row["consumer"], row["where"]) == ("stream", "producer", "consumer", "module")


def test_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the data is in the tables; names are shown as they are, and no terminal is told anything."""
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["inspect", program(HOSTED, tmp_path)]) == 0
    out = capsys.readouterr().out
    for part in ("Who calls whom (2)", "lab:h/log@1.0.0#write", "func(s: string) -> u8", "Memories (2)", "Exports"):
        assert part in out
    path = tmp_path / "m.wat"
    path.write_text('(module (import "[red]" "\\1b[2J" (func)))')
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "[red]" in out and "\x1b" not in out


def test_every_stage_can_be_inspected(tmp_path: Path) -> None:
    """Who calls whom does not depend on how far a program has come."""
    path = program(HOSTED, tmp_path)
    for stage in ("merge", "detect-pairs", "adapter-wiring", "finish"):
        data = inspect(meld.compile(path, stop_after=stage))
        assert {row[:3] for row in calls(data)} == {("c", "p", "len"), ("c", HOST, "lab:h/log@1.0.0#write")}, stage


BROKEN = {
    "a constant": bytes([0x41, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x1A]),
    "an opcode": bytes([0x41, 0x00, 0x1A, 0x27]),
    "an index": bytes([0x10, 0x05, 0x01, 0x01, 0x01]),
}


@pytest.mark.parametrize("command", ["inspect", "plan", "check"])
@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN)
def test_bodies_that_nothing_reads(
    command: str, code: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is malformed is an error with its offset, also in a module that is not instantiated."""
    right = bytes([0x41, 0x80, 0x80, 0x04, 0x1A, 0x01, 0x01, 0x01, 0x01])[: len(code)]
    module = "module (func) (func i32.const 65536 drop nop nop nop nop)"
    for text in (f"(component (core {module}) (type u8))", *[f"({module})"] * (command != "plan")):
        data = wasmtime.wat2wasm(text)
        assert data.count(right) == 1
        path = tmp_path / "broken.wasm"
        path.write_bytes(data.replace(right, code))
        assert main([command, str(path)]) == 2
        said = capsys.readouterr()
        assert any(f"offset {data.index(right) + at:#x}" in said.err + said.out for at in range(6))


@pytest.mark.parametrize("args", [[], ["nowhere.wasm"]])
def test_bad_usage(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["inspect", *args])
    except SystemExit as e:
        code = int(str(e.code))
    assert code == 2 and "Traceback" not in capsys.readouterr().err


@pytest.mark.skipif(not FIXTURES.exists(), reason="the fixtures are not here")
def test_real_components(capsys: pytest.CaptureFixture[str]) -> None:
    data = found(capsys, str(FIXTURES / "shop/consumer.wasm"), str(FIXTURES / "shop/provider.wasm"))
    assert ("consumer", "provider", "[method]cart.total", "func(self: borrow<cart>) -> f64", "pending") in calls(data)
    assert {row["instance"] for row in data["memories"]} == {"consumer", "provider"}
    data = found(capsys, str(FIXTURES / "cli/comp.wasm"))
    assert any(row["callee"] == HOST and row["function"].startswith("wasi:cli/") for row in data["calls"])
