"""Names of files are bytes: whatever they are, what is written is UTF-8, and what is said is text."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import meld
from meld.binary.reader import read_module
from meld.cli import main

CALLEE = """(component (core module $m (func (export "f") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m)) (func (export "f") (result u32) (canon lift (core func $i "f"))))"""
CALLER = """(component (import "f" (func $f (result u32))) (core func $g (canon lower (func $f)))
  (core module $m (import "" "f" (func (result i32))) (func (export "g") (result i32) (call 0)))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $g))))))
  (func (export "g") (result u32) (canon lift (core func $i "g"))))"""

Meldc = Callable[..., tuple[int, bytes]]

A, B = (os.fsdecode(name) for name in (b"a\xff\x1b[8m.wat", b"b\xfe\n.wat"))
STRANGE = os.fsdecode(b"\xff\x1b[8m")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("names")
    (made / A).write_text(CALLEE)
    (made / B).write_text(CALLER)
    return made


@pytest.fixture
def meldc(folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Meldc:
    """Runs a command in the folder: its exit code, and what it said."""
    monkeypatch.chdir(folder)

    def run(*args: str) -> tuple[int, bytes]:
        code = main(args)
        return code, b"".join(capfdbinary.readouterr())

    return run


@pytest.mark.parametrize(
    "args",
    [
        [A, "--explain"],
        [A, B, "-o", "o.wasm", "--journal=j.json", "--explain", "--diagnostics=json", "--time", "--stats"],
        [A, B, "-q", "--emit=component", "--dump-after=all"],
        ["run", A, B, "--invoke", "g()"],
        ["run", A, B, "--invoke", STRANGE],
        ["inspect", A, "--json"],
        ["plan", A, B],
        ["check", A, B, "--diagnostics=sarif"],
        ["debug", A, B, "-c", "where; goto finish; save s.wat; info; run g()"],
        ["bisect", A, "--test=false"],
        ["reduce", A, B, "--test=false", "-o", "r.wat"],
        [A, B, f"--link=b{STRANGE}:f=a", "-q"],
        [A, B, f"--host-only={STRANGE}", "-q"],
        [A, f"--keep-exports={STRANGE}", "-q"],
        [A, f"--passes={STRANGE}"],
        [f"no{STRANGE}.wat"],
    ],
    ids=lambda args: " ".join(args).encode("ascii", "replace").decode()[:40],
)
def test_any_command(args: list[str], meldc: Meldc) -> None:
    code, said = meldc(*args)
    assert code in (0, 1, 2), said
    assert b"\x1b" not in said and b"internal error" not in said and b"Traceback" not in said
    said.decode()


def test_the_product_and_the_records_of_its_run(meldc: Meldc, folder: Path) -> None:
    code, said = meldc(A, B, "-o", "p.wasm", "-q", "--journal=p.json", "--manifest=p.manifest")
    assert code == 0, said
    assert read_module((folder / "p.wasm").read_bytes()).exports[0].name == "g"
    for command in (["report", "p.json", "-o", "p.html"], ["trace", "p.json"], ["trace", "p.json", "--json"]):
        assert meldc(*command)[0] == 0
    for name in ("p.json", "p.manifest", "p.html"):
        assert "\N{REPLACEMENT CHARACTER}" in (folder / name).read_bytes().decode()


def test_what_a_debugger_saved(meldc: Meldc, folder: Path) -> None:
    assert meldc("debug", A, B, "-c", "goto merge; save again.wat")[0] == 0
    code, said = meldc("replay", "again.wat", "-o", "again.wasm")
    assert code == 0, said
    assert (folder / "again.wasm").exists()


def test_notes_hold_utf8(tmp_path: Path) -> None:
    """What a dump says is written to sections and files later."""
    dump = tmp_path / "d.wat"
    dump.write_text('(module (@meld.facts linked merged) (@meld.instance $a (path "\\ff")) (func (@meld.owner $a)))')
    with pytest.raises(meld.MeldError, match="not UTF-8"):
        meld.compile(dump)
