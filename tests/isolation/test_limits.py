"""A module that engines refuse for its size is not written: the error has the number, the limit and a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from sides import CASES, fused


def many(kind: str, count: int) -> str:
    """A core module inside a component, instantiated so often that there are so many memories or tables."""
    item = {"memories": "(memory 1)", "tables": "(table 1 funcref)"}[kind]
    body = f'(core module $m {item} (func (export "f") {"(drop (memory.size))" if kind == "memories" else ""}))'
    made = "\n".join(f"(core instance $i{n} (instantiate $m))" for n in range(count))
    calls = "\n".join(f'(func (export "f{n}") (canon lift (core func $i{n} "f")))' for n in range(count))
    return f"(component {body}\n{made}\n{calls})"


def test_memories(tmp_path: Path) -> None:
    path = tmp_path / "many.wat"
    path.write_text(many("memories", 101))
    done = fused([path], tmp_path / "o.wasm")
    assert (
        done.returncode == 2 and "101 memories; engines take 100" in done.stderr and "lower-multi-memory" in done.stderr
    )
    path.write_text(many("memories", 100))
    assert fused([path], tmp_path / "o.wasm").returncode == 0


@pytest.mark.skipif(not CASES.exists(), reason="the cases are not here")
def test_the_reported_case(tmp_path: Path) -> None:
    done = fused([CASES.parent / "F5-101-memories.wasm"], tmp_path / "o.wasm")
    assert done.returncode == 2 and "engines take 100" in done.stderr
