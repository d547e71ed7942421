"""Sections with offsets into other sections stay while those are unchanged, and are dropped with a remark."""

from __future__ import annotations

from pathlib import Path

import pytest

from meld.cli import main
from meld.files import load
from meld.ir.module import Module

PLUGIN = """
import meld
class Longer(meld.Pass):
    '''Put an instruction in front.'''
    name = "longer"
    def run(self, module, cx):
        module.functions[0].instructions.insert(0, meld.Instruction("nop"))
"""
KEPT = '(@custom "note" "x")'
SPEAKING = [".debug_info", "reloc.CODE", "metadata.code.branch_hint", "linking"]


@pytest.mark.parametrize("name", SPEAKING)
def test_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("longer.py").write_text(PLUGIN)
    Path("m.wat").write_text(f'(module (func (export "f")) {KEPT} (@custom "{name}" "\\00"))')
    assert main(["m.wat", "--passes=", "-o", "m.wasm"]) == 0
    assert main(["m.wasm", "--passes=", "-o", "same.wasm"]) == 0
    assert Path("same.wasm").read_bytes() == Path("m.wasm").read_bytes()
    assert "dropped" not in capsys.readouterr().err
    assert main(["m.wasm", "--plugin=longer.py", "--passes=longer", "-o", "other.wasm"]) == 0
    assert f"dropped, since they contain offsets that have changed: `{name}`" in capsys.readouterr().err
    other = load("other.wasm")
    assert isinstance(other, Module)
    assert [custom.name for custom in other.customs] == ["note"]
