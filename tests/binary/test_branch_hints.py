"""Branch hints go where the instructions go that they hint at: `wasm-tools print` says where that is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from wrapped import meldc, tool

import meld
from meld.binary.leb import name, section, unsigned
from meld.text.reading.program import parse

LIKELY, UNLIKELY = '(@metadata.code.branch_hint "\\01")', '(@metadata.code.branch_hint "\\00")'
FUNCTION = f"""
  (func $f (export "f") (param i32) (result i32)
    (block
      {LIKELY} (br_if 0 (i32.eqz (local.get 0)))
      (call $log (i32.const 1))
      {UNLIKELY}
      (if (i32.gt_s (local.get 0) (i32.const 3)) (then (call $log (i32.load offset=8 (i32.const 0))))))
    (br_if 0 (local.get 0) (local.get 0))
    drop
    local.get 0
    {UNLIKELY}
    if (result i32) i32.const 1 else i32.const 2 end)
"""
MODULE = f"""(module
  (func $log (param i32))
  (memory 1)
  (func (export "g") (param i32) (local i64) {LIKELY} (br_if 0 (local.get 0)) (call $log (i32.const 2)))
  {FUNCTION})"""
HINTS = {"f": [("01", "br_if"), ("00", "if"), ("00", "if")], "g": [("01", "br_if")]}


def program(instances: int = 2, before: int = 0) -> str:
    """A composition with instances of a module with hints, behind so many functions that are used as well."""
    module = MODULE.removeprefix("(module")
    body = "".join(f'(func (export "x{n}") (result i32) (i32.const {n}))' for n in range(before))
    first = f"(core module $first {body}) (core instance $first (instantiate $first))" if before else ""
    firsts = "".join(
        f'(func (export "x{n}") (result u32) (canon lift (core func $first "x{n}")))' for n in range(before)
    )
    made = "\n".join(
        f"""(core instance $i{n} (instantiate $m))
      (func (export "f{n}") (param "x" s32) (result s32) (canon lift (core func $i{n} "f")))
      (func (export "g{n}") (param "x" s32) (canon lift (core func $i{n} "g")))"""
        for n in range(instances)
    )
    return f"(component {first} {firsts} (core module $m {module} {made})"


def hints(wasm: Path) -> list[tuple[str, str]]:
    """The hints and the instruction behind each, in the order of the code."""
    text = tool("print", wasm)
    return re.findall(r'\(@metadata\.code\.branch_hint "\\([0-9a-f]+)"\)\s*(\w+)', text)


def test_written_as_others_write_them(tmp_path: Path) -> None:
    source, theirs, ours = (tmp_path / name for name in ("m.wat", "theirs.wasm", "ours.wasm"))
    source.write_text(MODULE)
    tool("parse", source, "-o", theirs)
    for given in (source, theirs):
        assert meldc(given, "--passes=", "-o", ours).returncode == 0
        assert ours.read_bytes() == theirs.read_bytes()
    text = meld.print_text(meld.load(theirs))
    assert meld.encode(parse(text, "dump.wat")) == theirs.read_bytes()
    assert text.count("branch_hint") == 4


@pytest.mark.parametrize("kernel", ["on", "off"])
@pytest.mark.parametrize("before", [0, 200])
def test_fused(kernel: str, before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind many functions, whose indices take more bytes, and for each instance."""
    monkeypatch.setenv("MELDC_KERNEL", kernel)
    source, out = tmp_path / "p.wat", tmp_path / "o.wasm"
    source.write_text(program(2, before))
    component = tmp_path / "p.wasm"
    tool("parse", source, "-o", component)
    want = sorted([*HINTS["f"], *HINTS["g"]] * 2)
    for given in (source, component):
        for options in ([], ["--target=wasm2"], ["--emit=component"]):
            done = meldc(given, *options, "-o", out)
            assert done.returncode == 0, done.stderr
            assert sorted(hints(out)) == want, options
            assert "branch_hint" not in done.stderr


def test_what_a_pass_rewrites_keeps_them(tmp_path: Path) -> None:
    """An instruction that is put in front moves the others."""
    source, out = tmp_path / "m.wat", tmp_path / "o.wasm"
    source.write_text(MODULE)
    module = meld.load(source)
    for function in module.functions:
        function.instructions.insert(0, meld.Instruction("nop"))
    out.write_bytes(meld.encode(module))
    assert hints(out) == [*HINTS["g"], *HINTS["f"]]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\1\0\1\3\1\1", id="inside of an instruction"),
        pytest.param(b"\1\1\1\2\1\1", id="no such function"),
        pytest.param(b"\1\0\1\2\1\2", id="neither likely nor unlikely"),
        pytest.param(b"\1\0\1\2\1\1\0", id="bytes behind"),
        pytest.param(b"\1", id="cut off"),
    ],
)
def test_malformed(data: bytes, tmp_path: Path) -> None:
    """Such a section stays while nothing changes, and is dropped by name."""
    plain, path, out = tmp_path / "plain.wasm", tmp_path / "m.wasm", tmp_path / "o.wasm"
    source = tmp_path / "m.wat"
    source.write_text('(module (func (export "f") i32.const 300 drop))')
    tool("parse", source, "-o", plain)
    whole = plain.read_bytes()
    at = whole.index(b"\x0a", whole.index(b"\x07"))
    made = section(0, name("metadata.code.branch_hint") + data)
    path.write_bytes(whole[:at] + made + whole[at:])
    assert meldc(path, "--passes=", "-o", out).returncode == 0
    assert out.read_bytes() == path.read_bytes()
    inner = path.read_bytes()
    composed = tmp_path / "c.wasm"
    composed.write_bytes(b"\0asm\x0d\0\1\0\1" + unsigned(len(inner)) + inner + b"\2\4\1\0\0\0")
    done = meldc(composed, "-o", out)
    assert done.returncode == 0 and "`metadata.code.branch_hint`" in done.stderr
