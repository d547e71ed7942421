"""Proposals that are not supported are named, in text and in binaries; syntax errors of components are ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from smith import WASM_TOOLS

import meld
from meld.cli import main
from meld.diagnostics import MeldError
from meld.faults.reduction.cuts import functions
from meld.files import decode
from meld.ir.component import Component, CoreType
from meld.ir.types import FuncType, RefType, TypeDef
from meld.text.reading.program import parse
from meld.verify.program import verify

DESCRIPTORS, THREADS = "custom-descriptors", "shared-everything-threads"
PROGRAMS = [
    (DESCRIPTORS, "(rec (type $a (descriptor $b) (struct)) (type $b (describes $a) (struct)))"),
    (DESCRIPTORS, '(type $f (func)) (import "a" "b" (func (exact (type $f))))'),
    (THREADS, "(type (shared (struct)))"),
    (THREADS, "(global (shared i32) (i32.const 0))"),
    (THREADS, "(table shared 1 (ref null (shared func)))"),
    (THREADS, "(func (param (ref null (shared any))))"),
    (THREADS, "(global $g i32 (i32.const 0)) (func (drop (global.atomic.get seq_cst $g)))"),
    ("memory-control", "(memory 1) (func (memory.discard (i32.const 0) (i32.const 0)))"),
    ("half-precision", "(func (param v128) (drop (f16x8.abs (local.get 0))))"),
    ("half-precision", "(memory 1) (func (drop (f32.load_f16 (i32.const 0))))"),
    ("stringref", '(func (result stringref) (string.const "a"))'),
]


@pytest.mark.parametrize(("proposal", "fields"), PROGRAMS)
@pytest.mark.parametrize("around", ["(module {})", "(component (core module {}))"], ids=["module", "component"])
def test_named(proposal: str, fields: str, around: str, tmp_path: Path) -> None:
    """In text at its place; in the binary that wasm-tools makes of it, if it knows the proposal."""
    text = around.format(fields)
    with pytest.raises(MeldError, match=rf"unsupported proposal: .*{proposal}") as raised:
        read(parse(text, "a.wat"))
    assert raised.value.span is not None
    (tmp_path / "a.wat").write_text(text)
    done = subprocess.run([WASM_TOOLS, "parse", tmp_path / "a.wat", "-o", tmp_path / "a.wasm"], capture_output=True)
    if done.returncode == 0:
        with pytest.raises(MeldError, match=f"unsupported proposal: {proposal}"):
            read(decode((tmp_path / "a.wasm").read_bytes(), "a.wasm"))


def read(program: object) -> None:
    for function in functions(program):  # type: ignore[arg-type]
        function.view()


@pytest.mark.parametrize(
    "word", ["f32.demote_f61", "nan:f16", "i31.get", "sharedd", "continue", "switches", "suspends", "descriptors"]
)
def test_nothing_else_is(word: str) -> None:
    with pytest.raises(MeldError) as raised:
        parse(f"(module (func ({word})))", "a.wat")
    assert "proposal" not in raised.value.message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('(component\n  (import "f" (funk)))', "2:15"),
        ("(component\n  (core module (func\n    (memory.discard (i32.const 0)))))", "3:6"),
        ("(component\n  (core func (canon lower (func $f) gc)))", "2:33"),
        ("(component\n  (core module (func (i32.const 0) (f16x8.abs))))", "2:37"),
        ('(component\n (import "f" (func $f))\n (export "g" (func $g)))', "3:20"),
    ],
)
def test_the_place_of_an_error(text: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.wat").write_text(text)
    assert main(["check", str(tmp_path / "a.wat")]) == 2
    assert f"a.wat:{place}: " in capsys.readouterr().out


def component(text: str) -> Component:
    program = parse(text, "a.wat")
    assert isinstance(program, Component)
    return program


RECURSIVE = """(component
  (core type $f (func (result (ref $f))))
  (core type (module (type $f (func (result (ref $f)))) (import "x" "x" (func (result (ref $f)))))))"""


def test_component_text() -> None:
    """What wasm-tools' suites have and we refused."""
    core = component(RECURSIVE).definitions[0]
    assert isinstance(core, CoreType) and isinstance(core.type, TypeDef) and isinstance(core.type.shape, FuncType)
    (result,) = core.type.shape.results
    assert isinstance(result, RefType) and result.heap is core.type
    component('(component (component (core module $m (import "b"))))')
    component("(component (type $T (future u32)) (canon future.new (type $T) (core func)))")
    component("""(component (type $C (component (import "x" (type $x (sub resource)))
      (type $y (component (alias outer $C $x (type $z)) (import "x" (type (eq $z))))))))""")
    for word in ("versionsuffix", "version-suffix"):
        component(f'(component (import "a:b/c@1" ({word} ".2.3") (instance)))')
    with pytest.raises(MeldError, match=r"case `\$x` is defined twice"):
        component('(component (type (variant (case $x "x") (case $x "y"))))')
    text = """(component (core type $s (func)) (core module $m (table (export "t") 1 (ref null func)))
      (core instance $i (instantiate $m)) (core func (canon thread.new-indirect $s (core table $i "t"))))"""
    assert "one parameter" in verify(component(text))[0].message
    assert not verify(component(text.replace("(func))", "(func (param i32)))", 1)))


@pytest.mark.parametrize("builtin", ["spawn-ref $s", "spawn-indirect $s (core table $t)", "available_parallelism"])
def test_builtins_of_shared_everything_threads(builtin: str, tmp_path: Path) -> None:
    """They are read and written, as wasm-tools does, and refused by name from then on."""
    text = f"""(component
      (core type $s (func (param i32)))
      (core module $l (table (export "t") 1 funcref)) (core instance $l (instantiate $l))
      (alias core export $l "t" (core table $t))
      (core func $f (canon thread.{builtin}))
      (core module $m (import "" "f" (func)))
      (core instance (instantiate $m (with "" (instance (export "f" (func $f)))))))"""
    name = f"thread.{builtin.partition(' ')[0]}"
    (problem,) = verify(component(text))
    assert f"unsupported proposal: {THREADS} (`{name}`)" in problem.message
    (tmp_path / "a.wat").write_text(text)
    assert main(["check", str(tmp_path / "a.wat")]) == 2
    with pytest.raises(MeldError, match=rf"unsupported proposal: {THREADS} \(`{name}`\)"):
        meld.compile([tmp_path / "a.wat"])
