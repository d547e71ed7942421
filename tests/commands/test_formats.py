"""`--format=json` of the commands that show something, and tables that are whole where there is no terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meld.cli import main

ROOT = Path(__file__).parents[2]
INPUTS = [str(ROOT / f"examples/stream/{name}.wat") for name in ("producer", "consumer")]


@pytest.fixture
def journal(tmp_path: Path) -> str:
    path = str(tmp_path / "run.json")
    assert main([*INPUTS, "-o", str(tmp_path / "o.wasm"), f"--journal={path}"]) == 0
    return path


def said(capsys: pytest.CaptureFixture[str], *args: str, error: bool = False) -> Any:
    capsys.readouterr()
    assert main(list(args)) == 0
    captured = capsys.readouterr()
    return json.loads(captured.err if error else captured.out)


@pytest.mark.parametrize("word", ["--format=json", "--json"])
def test_json(word: str, journal: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan = said(capsys, "plan", *INPUTS, word)
    names = [step["label"] for step in plan["steps"]]
    assert plan["steps"][0]["number"] == 1 and "merge" in names and plan["passes"].count(",") == len(names) - 1
    assert {"before", "after", "reason"} == set(plan["constraints"][0])
    assert said(capsys, "inspect", *INPUTS, word)["instances"]
    assert said(capsys, "diff", journal, "merge", word)
    assert said(capsys, "trace", journal, word)["steps"]
    assert any(row["name"] == "merge" for row in said(capsys, "passes", word))


def test_explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "o.wasm")
    found = said(capsys, *INPUTS, "-o", out, "--explain", "--format=json", "--quiet", error=True)
    assert found["decisions"] and set(found["decisions"][0]) == {"kind", "subject", "parties", "decision", "reason"}
    assert all(row["line"] > 0 for row in found["generated"])


def test_explain_is_not_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Types are those of WIT, and no name ends in `…` only because of the width."""
    (tmp_path / "a.wat").write_text("""(component $a-component-whose-name-is-longer-than-most-that-one-meets
      (import "an-instance-with-a-long-name" (instance $i (export "f" (func (param "first" u32) (param "second" u32)
        (param "third" u32) (param "fourth" u32)))))
      (alias export $i "f" (func $f)) (core func $l (canon lower (func $f)))
      (core module $m (import "" "f" (func (param i32 i32 i32 i32))) (func (export "g")))
      (core instance $c (instantiate $m (with "" (instance (export "f" (func $l))))))
      (func (export "g") (canon lift (core func $c "g"))))""")
    (tmp_path / "b.wat").write_text("""(component $b (core module $m (func (export "f") (param i32 i32 i32 i32)))
      (core instance $c (instantiate $m))
      (func $f (param "first" u32) (param "second" u32) (param "third" u32) (param "fourth" u32)
        (canon lift (core func $c "f")))
      (instance (export "an-instance-with-a-long-name") (export "f" (func $f))))""")
    monkeypatch.delenv("COLUMNS", raising=False)
    args = [str(tmp_path / "a.wat"), str(tmp_path / "b.wat"), "-o", str(tmp_path / "o.wasm"), "--explain"]
    assert main(args) == 0
    err = capsys.readouterr().err
    assert "func(first: u32, second: u32, third: u32, fourth: u32)" in err, err


def test_a_file_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = b"\x00asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\xff\x0b"
    (tmp_path / "a.wasm").write_bytes(body)
    assert main(["check", str(tmp_path / "a.wasm")]) == 2
    assert capsys.readouterr().out.count("a.wasm") == 1
