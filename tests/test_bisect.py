"""`meldc bisect`: seeded miscompiles found without a hand, and what it says where there is nothing clean to find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import miscompiles
import pytest
import wasmtime

from meld.bisection import Bisection
from meld.driver import Options, encode, load
from meld.judging import Judge, Verdict
from meld.runtime.instantiate import engine

ROOT = Path(__file__).parent.parent
PLUGIN = str(Path(miscompiles.__file__))
GOOD, BAD, UNCLEAR = Verdict.GOOD, Verdict.BAD, Verdict.UNCLEAR


def runs(data: bytes) -> Verdict:
    """Whether the export `test` of a module runs to its end."""
    store = wasmtime.Store(engine())
    try:
        exports = wasmtime.Instance(store, wasmtime.Module(engine(), data), []).exports(store)
        exports["test"](store)  # type: ignore[operator]
    except (wasmtime.Trap, wasmtime.WasmtimeError, KeyError):
        return BAD
    return GOOD


@pytest.fixture(scope="session")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of a thousand functions, as a binary."""
    directory = tmp_path_factory.mktemp("thousand")
    (directory / "thousand.wat").write_text(miscompiles.program())
    path = directory / "thousand.wasm"
    path.write_bytes(encode(load(directory / "thousand.wat")))
    return path


def bisection(path: Path, passes: str, test: Callable[[bytes], Verdict] = runs) -> Bisection:
    return Bisection([path], Options(passes=passes, plugins=[PLUGIN]), Judge(test, "wasm"))


@pytest.mark.parametrize("seeded", miscompiles.SEEDED, ids=lambda cls: cls.name)
def test_seeded_miscompiles(seeded: type[miscompiles.Seeded], thousand: Path) -> None:
    found = bisection(thousand, f"tidy,{seeded.name},tidy").find()
    assert (found.label, found.number, found.steps) == (seeded.name, 2, 3)
    assert str(found.rewrite) == f"simplify f{seeded.victim}"
    assert not found.doubts and not found.candidates
    assert [str(d.symbol) for d in found.differences] == [f"func f{seeded.victim}"]
    assert found.runs <= 24
    lines = found.differences[0].lines(0)[2:]
    assert 2 <= len(lines) <= 8
