"""Inputs whose core modules engines refuse make no product: the engine validates them while passes run."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime
from wrapped import meldc

import meld
from meld.binary.validation import core_modules, refusals
from meld.diagnostics import MeldError
from meld.driver import Options, build
from meld.files import encode, load
from meld.inputs import LARGEST_TEXT
from meld.text.reading.program import parse

DEAD = "(func $dead (result i32) (f32.const 1))"
F = '(func $f (export "f") (result i32)'
ONE = f"{F} (i32.const 1))"
INVALID = {
    "result": f"{F} (f32.const 1))",
    "underflow": f"{F} (i32.add (i32.const 1)))",
    "left over": f"{F} (i32.const 1) (i32.const 2))",
    "dead code": f"{F} (unreachable) (i64.const 2) (i32.eqz) (drop))",
    "a branch's value": f"{F} (block (result i32) (br 0 (i64.const 1))))",
    "an if without else": f"{F} (if (result i32) (i32.const 1) (then (i32.const 1))))",
    "an argument": f"{F} (call $g (i64.const 1))) (func $g (param i32) (result i32) (local.get 0))",
    "a local": f"{F} (local f64) (local.get 0))",
    "an uninitialised local": f"{F} (local $x (ref func)) (drop (local.get $x)) (i32.const 1))",
    "alignment": f"(memory 1) {F} (i32.load align=8 (i32.const 0)))",
    "no memory": f"{F} (i32.load (i32.const 0)))",
    "an undeclared reference": f"{F} (drop (ref.func $f2)) (i32.const 1)) (func $f2)",
    "an immutable global": f"(global i32 (i32.const 0)) {F} (global.set 0 (i32.const 1)) (i32.const 1))",
    "an initial value": f"(global i32 (f32.const 0)) {ONE}",
    "an offset": f'(memory 1) (data (i64.const 0) "a") {ONE}',
    "elements": f"(table 1 externref) (elem (i32.const 0) func $f) {ONE}",
    "a start function": f"(func $s (param i32)) (start $s) {ONE}",
    "a function that nobody calls": f"{ONE} {DEAD}",
}


def component(module: str, *, uses: bool = True) -> str:
    used = """(core instance $i (instantiate $m))
      (func (export "f") (result u32) (canon lift (core func $i "f")))"""
    return f"(component (core module $m {module}) {used if uses else ''})"


PLACES = {
    "a module": lambda module: f"(module {module})",
    "a component": component,
    "a nested component": lambda module: (
        f"""(component (component $c {component(module)[10:]}
      (instance $i (instantiate $c)) (export "f" (func $i "f")))"""
    ),
    "a module that nobody instantiates": lambda module: component(module, uses=False),
    "a module of a component that nobody instantiates": lambda module: (
        f"(component (component $c (component $d {component(module)[10:]}))"
    ),
}


def invalid(text: str) -> bool:
    """What the compiler's own checks refuse in a text is no case for the engine; both refuse."""
    return bool(refusals(wasmtime.wat2wasm(text)))


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("what", INVALID)
def test_invalid_modules_are_refused(what: str, binary: bool, tmp_path: Path) -> None:
    text = component(INVALID[what])
    assert invalid(text)
    path = tmp_path / "a.wasm"
    path.write_bytes(wasmtime.wat2wasm(text) if binary else text.encode())
    with pytest.raises(MeldError):
        meld.compile(path)


@pytest.mark.parametrize("place", PLACES)
def test_wherever_they_are(place: str, tmp_path: Path) -> None:
    path, out = tmp_path / "a.wat", tmp_path / "o.wasm"
    path.write_text(PLACES[place](INVALID["a function that nobody calls"]))
    with pytest.raises(MeldError, match=r"input is not valid: type mismatch: expected i32, found f32") as caught:
        meld.compile(path)
    assert "a.wat:1:" in str(caught.value) and "function $dead: the input is" in str(caught.value)
    path.write_text(PLACES[place](INVALID["a function that nobody calls"].replace(DEAD, "")))
    meld.compile(path)
    assert not out.exists()


@pytest.mark.parametrize("emit", ["wasm", "wat", "component"])
def test_nothing_is_written(emit: str, tmp_path: Path) -> None:
    """The second of two inputs; --verify=off writes what comes of it."""
    good, bad, out = tmp_path / "good.wat", tmp_path / "bad.wat", tmp_path / "out"
    good.write_text(
        component('(func $f (export "f") (result i32) (i32.const 1))').replace(
            '(func (export "f")', '(func (export "g")'
        )
    )
    bad.write_text(component(INVALID["result"]))
    done = meldc(good, bad, f"--emit={emit}", "-o", out)
    assert done.returncode == 2 and "bad.wat:1:34: core module $m, function $f" in done.stderr
    assert "Traceback" not in done.stderr and not out.exists()
    assert meldc(good, bad, f"--emit={emit}", "--verify=off", "-o", out).returncode == 0 and out.exists()


def test_a_pass_that_fails_on_what_is_invalid_is_not_blamed(tmp_path: Path) -> None:
    plugin, path = tmp_path / "plugin.py", tmp_path / "a.wat"
    plugin.write_text(
        "from meld.passes.base import Pass\n"
        "class Falls(Pass):\n"
        '    """Divides by zero."""\n'
        '    name = "falls"\n'
        "    def run(self, module, cx):\n"
        "        1 / 0\n"
    )
    path.write_text(f"(module {INVALID['result']})")
    with pytest.raises(MeldError, match="the input is not valid"):
        build([path], Options(passes="falls", plugins=[str(plugin)]))
    with pytest.raises(MeldError, match="failed: ZeroDivisionError"):
        build([path], Options(passes="falls", plugins=[str(plugin)], validate=False))


def test_a_long_text(tmp_path: Path) -> None:
    """The engine's reader is not given it: our writer makes the binary that is validated."""
    path = tmp_path / "a.wat"
    path.write_text(component(INVALID["result"]) + " " * LARGEST_TEXT)
    with pytest.raises(MeldError, match="the input is not valid: type mismatch"):
        meld.compile(path)


def test_what_the_engine_lacks_is_a_remark(tmp_path: Path) -> None:
    """`try` of the first proposal for exceptions; the second body is looked at as little as the first."""
    path = tmp_path / "a.wasm"
    path.write_bytes(encode(parse("(module (func (try (do) (catch_all))))", "a")))
    (found,) = refusals(path.read_bytes())
    assert found.lacks
    outcome = build([path], Options())
    assert any("the engine lacks a feature" in str(remark) for remark in outcome.remarks)


def test_core_modules_come_in_the_order_of_the_program(tmp_path: Path) -> None:
    text = """(component
      (core module $a (func (export "1")))
      (component (core module $b (func (export "2"))) (component (core module $c (func (export "3")))))
      (core module $d (func (export "4"))))"""
    path = tmp_path / "a.wat"
    path.write_text(text)
    exports = [wasmtime.Module(wasmtime.Engine(), bytes(m)).exports[0].name for m in core_modules(encode(load(path)))]
    assert exports == ["1", "2", "3", "4"]


def test_form_where_the_engine_lacks_a_feature(tmp_path: Path) -> None:
    """Of `catch_all` it says no more than that it does not know it; where it stands is seen by our verifier."""
    wrong = bytes.fromhex("0061736d01000000010401600000030201000a09010700024019010b0b")
    (found,) = refusals(wrong)
    assert found.lacks
    file, out = tmp_path / "wrong.wasm", tmp_path / "o.wasm"
    file.write_bytes(wrong)
    result = meldc(file, "-o", out)
    assert result.returncode == 2, result.stderr
    assert "function 0, instruction 1: the input is not valid: `catch_all` stands in no block" in result.stderr
    assert not out.exists()
