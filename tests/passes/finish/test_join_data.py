"""More data segments than engines take become as few: with the same memories, and where nothing could tell."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

import meld
from meld.binary import limits
from meld.ir.module import Module
from meld.passes.finish.join_data import join_data
from meld.runtime.instantiate import instantiate
from meld.text.reading.program import parse_module

CASES = int(os.environ.get("MELD_CASES", "20"))
PAGE = 65536


def contents(module: Module) -> list[bytes]:
    """What the memories hold at first."""
    running = instantiate(meld.encode(module))
    return [bytes(running.memory(n)) for n in range(len(module.memories))]


@pytest.mark.parametrize("seed", range(CASES))
def test_the_same_memories(seed: int) -> None:
    r = random.Random(f"join/{seed}")
    lines = []
    at = [0, 0, 0]
    for _ in range(r.randint(2, 12)):
        m = r.randrange(3)
        start = max(at[m] + r.choice((0, 0, 1, 3, 40, -2)), 0)
        size = r.randint(0, 9)
        at[m] = start + size
        data = "".join(f"\\{r.randrange(256):02x}" for _ in range(size))
        kind = r.random()
        where = (
            f"(memory {m}) (i32.const {start})" if kind < 0.9 else "" if kind < 0.95 else f"(memory {m}) (global.get 0)"
        )
        lines.append(f'(data {where} "{data}")')
    source = f"""(module (memory 1) (memory 1) (memory 1) (global i32 (i32.const 65000)) {" ".join(lines)}
      (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0))))"""
    most = r.randint(1, len(lines))
    before, module = parse_module(source, "m.wat"), parse_module(source, "m.wat")
    joined, _ = join_data(module, most)
    assert len(before.datas) - joined == len(module.datas) >= most or joined == 0
    assert contents(module) == contents(before)


def test_fewest_zeros_first() -> None:
    datas = " ".join(f'(data (i32.const {at}) "{what}")' for at, what in ((0, "a"), (9, "b"), (11, "c"), (12, "d")))
    module = parse_module(f"(module (memory 1) {datas})", "m.wat")
    assert join_data(module, 2) == (2, 1)
    assert [bytes(data.data) for data in module.datas] == [b"a", b"b\0cd"]
    assert join_data(module, 2) == (0, 0)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param('(import "" "" (memory 1)) (data (i32.const 0) "a") (data (i32.const 1) "b")', id="imported"),
        pytest.param('(memory 1) (data (i32.const 1) "a") (data (i32.const 0) "b")', id="descending"),
        pytest.param('(memory 1) (data (i32.const 0) "ab") (data (i32.const 1) "b")', id="overlapping"),
        pytest.param('(memory 1) (data (i32.const 0) "a") (data (i32.const 65536) "b")', id="out of bounds"),
        pytest.param('(memory 1) (data "a") (data "b")', id="passive"),
        pytest.param('(memory 1) (data (i32.const 0) "a") (data $d (i32.const 1) "b") (func data.drop $d)', id="named"),
    ],
)
def test_what_stays(source: str) -> None:
    module = parse_module(f"(module {source})", "m.wat")
    assert join_data(module, 1) == (0, 0) and len(module.datas) == 2


def test_copies_of_a_program_with_many_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As 22 copies of QuickJS have 116,732: the limit is 30 here."""
    segments = "".join(f'(data (i32.const {n * 8}) "{n % 10}")' for n in range(10))
    lifted = '(func (export "f{n}") (param "x" u32) (result u32) (canon lift (core func $i{n} "f")))'
    instance = f"(core instance $i{{n}} (instantiate $m)) {lifted}"
    path = tmp_path / "copies.wat"
    path.write_text(
        f"""(component (core module $m (memory 1) {segments}
          (func (export "f") (param i32) (result i32) (i32.load8_u (local.get 0))))
        {" ".join(instance.replace("{n}", str(n)) for n in range(4))})"""
    )
    monkeypatch.setitem(limits.COUNTS, "datas", 30)
    module = meld.compile([path])
    assert len(module.datas) == 30
    running = instantiate(meld.encode(module))
    assert [running.call(f"f{n}", at) for n in range(4) for at in (0, 8, 72, 1)] == [48, 49, 57, 0] * 4
    monkeypatch.setitem(limits.COUNTS, "datas", 3)
    with pytest.raises(meld.MeldError, match="4 data segments; engines take 3 at most") as e:
        limits.check_counts(parse_module(f"(module (memory 1) {'(data (i32.const 0))' * 4})", "m.wat"))
    assert e.value.hint and "drop-exports" not in e.value.hint + limits.WAYS_OUT["datas"]
