"""Buffers of streams in a 64-bit memory: refused by name, with nothing written. The same program with 32 bits runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from meld.cli import main

READS = """(component
  (core module $mem (memory (export "memory")WIDE 1))
  (core instance $mem (instantiate $mem))
  (type $s (stream u8))
  (core func $new (canon stream.new $s))
  (core func $read (canon stream.read $s async (memory (core memory $mem "memory"))))
  (core module $m
    (import "m" "new" (func $new (result i64)))
    (import "m" "read" (func $read (param i32 ADDR ADDR) (result ADDR)))
    (func (export "run") (result i32)
      (drop (call $read (i32.wrap_i64 (call $new)) (ADDR.const 0) (ADDR.const 4))) (i32.const 1)))
  (core instance $i (instantiate $m (with "m" (instance (export "new" (func $new)) (export "read" (func $read))))))
  (func (export "run") (result u32) (canon lift (core func $i "run"))))"""


def program(tmp_path: Path, address: str) -> Path:
    path = tmp_path / "reader.wat"
    path.write_text(READS.replace("WIDE", " i64" if address == "i64" else "").replace("ADDR", address))
    return path


@pytest.mark.parametrize("interpreted", [False, True])
def test_refused_by_name(interpreted: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the compiler, and by the interpreter of what stands after `merge`."""
    out = tmp_path / "out.wasm"
    path = str(program(tmp_path, "i64"))
    run = ["run", path, "--stop-after=merge", "--invoke", "run()"]
    assert main(run if interpreted else [path, "-o", str(out)]) == 2
    said = capsys.readouterr().err
    assert "`stream.read` of `reader` has its buffers in a 64-bit memory" in said
    assert "compile the component for 32-bit addresses" in said
    assert not out.exists()


def test_the_way_out_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(program(tmp_path, "i32")), "--invoke", "run()"]) == 0
    assert capsys.readouterr().out.strip() == "1"
