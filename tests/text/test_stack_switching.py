"""Stack switching: types, instructions and tags of the proposal, in text, in binaries, and through the compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from smith import WASM_TOOLS

from meld.cli import main
from meld.diagnostics import MeldError
from meld.files import decode, encode, print_text
from meld.ir.features import of_item, of_type
from meld.ir.module import Module
from meld.passes.finish.merge_types import merge_types
from meld.text.reading.program import parse
from meld.validity.core_types import CoreTypes
from meld.verify.program import verify

ALL = """(module
  (rec (type $f (func (param i32) (result i64))) (type $k (cont $f)))
  (type $g (func (result i64)))
  (type $less (cont $g))
  (type $swap (func (param (ref null $k))))
  (type $next (sub (cont $swap)))
  (tag $ask (param i64) (result i32))
  (tag $stop)
  (tag $over (result i64))
  (type $fs (func (param (ref null $less)) (result i64)))
  (type $ks (cont $fs))
  (table $kept 2 (ref null $k))
  (global $none contref (ref.null nocont))
  (func $body (type $f)
    (suspend $ask (i64.extend_i32_u (local.get 0)))
    i64.extend_i32_u)
  (elem declare func $body)
  (func $make (result (ref $k))
    (cont.new $k (ref.func $body)))
  (func $bind (param $k (ref null $k)) (result (ref $less))
    (cont.bind $k $less (i32.const 7) (local.get $k)))
  (func $run (param $k (ref null $k)) (param (ref null cont)) (param nullcontref) (result i64)
    (local $rest (ref null $k))
    block $stopped (result (ref $less))
      block $asked (result i64 (ref $k))
        (resume $k (on $ask $asked) (on $stop $stopped) (i32.const 1) (local.get $k))
        return
      end
      local.set $rest
      drop
      (table.set $kept (i32.const 1) (local.get $rest))
      local.get $rest
      resume_throw $k $stop (on $stop $stopped)
      return
    end
    unreachable)
  (func $throw (param $e exnref) (param $k (ref null $k)) (result i64)
    local.get $e
    local.get $k
    resume_throw_ref $k)
  (func $switches (param $to (ref null $ks)) (result i64)
    (switch $ks $over (local.get $to))
    i64.const 3)
  (func $takes (param $to (ref null $k)) (result i64)
    (resume $k (on $over switch) (i32.const 1) (local.get $to))))
"""


def module(text: str) -> Module:
    found = parse(text, "a.wat")
    assert isinstance(found, Module)
    for function in found.functions:
        function.view()
    return found


def by_tools(text: str, folder: Path) -> bytes:
    """The binary that wasm-tools makes of a text, which it finds valid."""
    (folder / "a.wat").write_text(text)
    made, source = folder / "a.wasm", folder / "a.wat"
    subprocess.run([WASM_TOOLS, "parse", source, "-o", made], check=True)
    subprocess.run([WASM_TOOLS, "validate", "--features=all", made], check=True)
    return made.read_bytes()


def test_as_wasm_tools_encodes(tmp_path: Path) -> None:
    expected = by_tools(ALL, tmp_path)
    found = module(ALL)
    assert encode(found) == expected
    assert not verify(found)
    read = decode(expected, "a.wasm")
    assert isinstance(read, Module)
    assert encode(read) == expected  # bodies as they came
    for function in read.functions:
        function.code  # noqa: B018  # decoded
    assert encode(read) == expected
    printed = print_text(read)
    assert encode(parse(printed, "b.wat")) == expected
    assert print_text(parse(printed, "b.wat")) == printed


def test_through_the_compiler(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other numbers for types and tags; an engine that may not run such code is not taken for a judge of it."""
    go = """(func (export "go") (result i32)
      (drop (call $run (call $make) (ref.null cont) (ref.null nocont)))
      (drop (call $takes (call $make)))
      i32.const 1))"""
    text = f"""(component (core module $m {ALL.strip()[len("(module") : -1]} {go}
      (core instance $i (instantiate $m))
      (func (export "go") (result u32) (canon lift (core func $i "go"))))"""
    (tmp_path / "a.wasm").write_bytes(encode(parse(text, "a.wat")))
    product = tmp_path / "p.wasm"
    assert main(["check", str(tmp_path / "a.wasm")]) == 0
    assert main([str(tmp_path / "a.wasm"), "-o", str(product), "--verify=each"]) == 0
    subprocess.run([WASM_TOOLS, "validate", "--features=all", product], check=True)
    capsys.readouterr()
    assert main([str(tmp_path / "a.wasm"), "-o", str(product), "--target=wasm2"]) == 0
    assert "`stack-switching` by" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("(type $k (cont 3))", "unknown type"),
        ("(type $f (func)) (type $k (cont $f)) (func (resume $k (on $t 0)))", "tag"),
        ("(type $f (func)) (type $k (cont $f)) (tag $t) (func (resume $k (on $t $l)))", "label"),
        ("(func (suspend))", "expected"),
    ],
)
def test_refused(fields: str, message: str) -> None:
    with pytest.raises(MeldError, match=message):
        module(f"(module {fields})")


@pytest.mark.parametrize("clause", [b"\x02\x00\x00", b"\x00\x05\x00"])
def test_malformed(clause: bytes) -> None:
    text = """(module (type $f (func)) (type $k (cont $f)) (tag $t (type $f))
      (func (param (ref null $k)) (resume $k (on $t 0) (local.get 0))))"""
    good = encode(module(text))
    assert good.count(b"\xe3\x01\x01\x00\x00\x00") == 1
    read = decode(good.replace(b"\xe3\x01\x01\x00\x00\x00", b"\xe3\x01\x01" + clause), "a.wasm")
    assert isinstance(read, Module)
    with pytest.raises(MeldError, match=r"clause of resume|out of range"):
        encode(read)
    with pytest.raises(MeldError, match=r"clause of resume|out of range"):
        read.functions[0].view()


def test_features() -> None:
    found = module(ALL)
    needs = {name for t in found.typedefs() for name in of_type(t)} | {n for i in found.items() for n in of_item(i)}
    assert "stack-switching" in needs
    plain, asks = module("(module (tag (param i32)) (tag (result i32)))").tags
    assert "stack-switching" not in of_item(plain)
    assert "stack-switching" in of_item(asks)


TYPES = """(module (type $f (func)) (type $a (cont $f)) (type $b (cont $f)) (type $g (func (param i32)))
  (type $c (cont $g)) (type $s (sub (cont $f))) (type $t (sub $s (cont $f))))"""


def test_types() -> None:
    """Continuation types are equal by what they continue, and stand below `cont`."""
    found = module(TYPES)
    known = CoreTypes()
    known.add(found.types)
    t = {typedef.name: typedef for typedef in found.typedefs()}
    assert known.same(t["a"], t["b"])
    assert not known.same(t["a"], t["c"])
    assert known.fits(t["t"], t["s"])
    assert not known.fits(t["s"], t["t"])
    known.check_supers(t["t"])
    with pytest.raises(MeldError, match="does not match its supertype"):
        known.check_supers(module(TYPES.replace("$s (cont $f))))", "$s (cont $g))))")).types[-1].types[0])
    merged = module(TYPES)
    assert merge_types(merged) == 1
