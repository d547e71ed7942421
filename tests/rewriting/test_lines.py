"""Lines of the inputs in functions that are resumable: each instruction is from where it was from before."""

from __future__ import annotations

from pathlib import Path

from wrapped import tool

import meld
from meld.binary.reader import read_module
from meld.ir.instructions import Code
from meld.ir.module import Function, Module
from meld.rewriting.resumable import make_resumable, must_be_resumable
from tests.binary.test_source_lines import code_by_function, cores, places

__all__ = ["cores"]


def test_each_instruction(cores: dict[str, Path], tmp_path: Path) -> None:
    program = meld.compile([core.with_name(core.name.replace(".core", "")) for core in cores.values()])
    assert isinstance(program, Module)
    leaf = next(f for f in program.functions if f.name == "provider/twice")
    names = {f.name for f in make_resumable(program, [leaf], must_be_resumable(program, [leaf], None)).frames}
    assert {"app/run", "provider/get"} <= names
    made = [f for f in program.functions if f.name in names and isinstance(f.body, Code) and f.body.source]
    fused = tmp_path / "fused.wasm"
    fused.write_bytes(meld.encode(program))
    tool("validate", "--features=all", fused)
    compare(fused, made, cores)


def compare(fused: Path, made: list[Function], cores: dict[str, Path]) -> None:
    after = code_by_function(fused.read_bytes())
    compared = 0
    for function in made:
        assert isinstance(function.body, Code) and function.name is not None
        instance, _, name = function.name.partition("/")
        before = code_by_function(cores[instance].read_bytes())[name]
        numbers = [i.place for i in function.body.instructions]
        old = [before[n] for n in numbers if n is not None]
        new = [at for at, n in zip(after[function.name], numbers, strict=False) if n is not None]
        assert places(fused, new) == places(cores[instance], old)
        compared += len(new)
        # what was added is from the line before it
        known = set(places(cores[instance], before))
        assert set(places(fused, after[function.name])) <= known
    assert compared > 10


def test_other_rewrites_keep_lines(cores: dict[str, Path]) -> None:
    """Whoever decodes a body and changes it in place keeps its line table."""
    module = read_module(cores["provider"].read_bytes())
    function = module.functions[1]
    assert [i.place for i in function.instructions] == list(range(len(function.instructions)))
    assert function.code.source is not None
