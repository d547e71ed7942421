"""`meldc reduce`: seeded miscompiles brought down to a few lines, faults that stay what they are, the best so far."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import miscompiles
import pytest

from meld.cli import main
from meld.diagnostics import MeldError
from meld.driver import Options, build
from meld.faults.judge import Judge, Verdict
from meld.faults.reduction import Reducer
from meld.files import encode, print_text
from meld.ir.module import Module
from meld.verify.engine import fault_of
from tests.faults.test_bisect import BAD, GOOD, PLUGIN, UNCLEAR, constants, runs, thousand  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "seeded", miscompiles.SEEDED if "MELD_CASES" in os.environ else miscompiles.SEEDED[::3], ids=lambda cls: cls.name
)
def test_seeded_miscompiles(
    seeded: type[miscompiles.Seeded],
    thousand: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """What is left is valid, works, and does not work any more after the pass; and it is short."""
    reducer = Reducer([thousand], Options(passes=f"tidy,{seeded.name},tidy", plugins=[PLUGIN]), Judge(runs, "wasm"))
    assert reducer.run()
    assert reducer.passes == seeded.name
    text = print_text(reducer.best)
    assert text.count("\n") < 36  # with the four lines that the command puts in front still below 40
    assert f"$f{seeded.victim}" in text
    assert fault_of(reducer.best) is None
    assert runs(encode(reducer.best)) is GOOD
    (tmp_path / "small.wat").write_text(text)
    product = build([tmp_path / "small.wat"], Options(passes=reducer.passes, plugins=[PLUGIN])).program
    assert fault_of(product) is None
    assert runs(encode(product)) is BAD


FRAGILE = '''
from meld import Component, Module, Pass, PassContext, option
from meld.ir.component import CoreModule, NestedComponent
from meld.ir.instructions import Instruction

class Fragile(Pass):
    """Break over a multiplication."""
    name = "fragile"
    repeatable = True
    how: str = option("crash", "crash, invalid or wrong")

    def run(self, module: Module, cx: PassContext) -> None:
        for number, function in enumerate(module.functions):
            at = next((i for i, one in enumerate(function.instructions) if one.op == "i32.mul"), None)
            if at is None or not cx.allows("fragile", function):
                continue
            match self.how:
                case "crash":
                    raise ValueError(f"`{function.name}` number {number}")
                case "invalid":
                    del function.instructions[at]
                case "wrong":
                    function.instructions[at] = Instruction("i32.add")

class Early(Pass):
    """Break over a composition that exports `c_read`."""
    name = "early"
    reads = writes = Component

    def run(self, component: Component, cx: PassContext) -> None:
        for nested in component.of(NestedComponent):
            for core in nested.component.of(CoreModule):
                if any(export.name == "c_read" for export in core.module.exports):
                    raise ValueError("c_read")
'''

PROGRAM = """(module
  (memory $m 1)
  (data (i32.const 0) "some data of which nothing but the first four bytes is needed")
  (data $unused "never used")
  (table $t 2 funcref)
  (elem (i32.const 0) $square $other)
  (elem declare func $once)
  (func $once)
  (func (export "ref") (result funcref) (ref.func $once))
  (global $g (mut i32) (i32.const 6))
  (func $start (global.set $g (i32.const 6)))
  (start $start)
  (func $other (param i32) (result i32) (local.get 0))
  (func $square (param $x i32) (result i32) (local $i i32) (local $unused i64)
    (block $out
      (loop $next
        (br_if $out (i32.ge_u (local.get $i) (i32.const 3)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i32.mul (local.get $x) (local.get $x)))
  (func (export "test")
    (if (i32.ne (call_indirect (param i32) (result i32) (global.get $g) (i32.const 0)) (i32.const 36))
      (then unreachable)))
  (func (export "more") (result i32) (i32.load (i32.const 0))))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with `m.wat` and `fragile.py`, in which the test runs."""
    (tmp_path / "m.wat").write_text(PROGRAM)
    (tmp_path / "fragile.py").write_text(FRAGILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def reduced(passes: str, test: Callable[[bytes], Verdict] | None = None, form: str = "wat", **more: Any) -> Reducer:
    options = Options(passes=passes, plugins=["fragile.py"], **more)
    return Reducer(["m.wat"], options, Judge(test, form))


@pytest.mark.usefixtures("here")
class TestFaults:
    def test_a_crash(self) -> None:
        reducer = reduced("fragile{how=wrong},fragile")
        with pytest.raises(MeldError, match="nothing to look for"):
            reducer.run()  # the first pass takes the multiplication away
        reducer = reduced("finish,fragile", fuel={"fragile": 1})
        with pytest.raises(MeldError, match="needs the fact `merged`"):
            reducer.run()
        reducer = reduced("fragile{how=wrong},fragile,fragile", fuel={"fragile": 0})
        assert reducer.run()
        assert (reducer.passes, reducer.fuel) == ("fragile", {})
        text = print_text(reducer.best)
        assert text.count("\n") <= 8
        assert "i32.mul" in text

    def test_what_is_not_valid(self) -> None:
        reducer = reduced("fragile{how=invalid}")
        assert reducer.run()
        assert fault_of(reducer.best) is None
        assert "i32.mul" in print_text(reducer.best)
        assert print_text(reducer.best).count("\n") <= 8

    def test_a_wrong_product_does_not_become_an_invalid_one(self) -> None:
        reducer = reduced("fragile{how=wrong}", runs, "wasm")
        assert reducer.run()
        assert runs(encode(reducer.best)) is GOOD
        text = print_text(reducer.best)
        assert text.count("\n") <= 28, text
        for gone in ("data", "memory", "start", "more", "loop", "(local", "other"):
            assert gone not in text, text

    def test_the_best_so_far(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        count = 0

        def interrupted(data: bytes) -> Verdict:
            nonlocal count
            count += 1
            if count == 25:
                raise KeyboardInterrupt
            return runs(data)

        reducer = reduced("fragile{how=wrong}", interrupted, "wasm")
        assert not reducer.run()
        assert reducer.taken
        assert runs(encode(reducer.best)) is GOOD
        (here / "best.wat").write_text(print_text(reducer.best))
        assert len((here / "best.wat").read_text()) < len(PROGRAM)
        product = build(["best.wat"], Options(passes=reducer.passes, plugins=["fragile.py"])).program
        assert runs(encode(product)) is BAD
        args = ["reduce", "m.wat", "--plugin=fragile.py", "--passes=fragile", "--seconds=0", "-o", "out.wat"]
        assert main(args) == 0
        assert "interrupted; this is the best so far" in capsys.readouterr().err
        assert "i32.mul" in (here / "out.wat").read_text()

    @pytest.mark.parametrize(
        ("test", "message"),
        [
            (lambda data: GOOD, "succeeds on the product"),
            (lambda data: BAD, "fails on the input already"),
            (lambda data: UNCLEAR, "cannot tell"),
        ],
    )
    def test_nothing_to_reduce(self, test: Callable[[bytes], Verdict], message: str) -> None:
        with pytest.raises(MeldError, match=message):
            reduced("fragile{how=wrong}", test).run()
        with pytest.raises(MeldError, match="--limit counts rewrites"):
            reduced("fragile{how=wrong}", test, limit=1).run()


@pytest.mark.usefixtures("here")
def test_compositions() -> None:
    """A fault before `merge`: definitions go, and what stands in core modules."""
    inputs = [ROOT / f"examples/stream/{name}.wat" for name in ("producer", "consumer")]
    reducer = Reducer(inputs, Options(passes="link,early,merge", plugins=["fragile.py"]), Judge(None))
    assert reducer.run()
    assert reducer.passes == "early"
    assert not reducer.differential
    text = print_text(reducer.best)
    assert text.count("\n") < 20
    assert "c_read" in text and "p_new" not in text


def test_the_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file says how to see the fault again, and its own command does that."""
    test = """sh -c '! grep -q "i32.add (; wrong" "$0" && test "$(grep -c i32.mul "$0")" = 1'"""
    args = ["reduce", "m.wat", "--plugin=fragile.py", "--passes=fragile{how=wrong}", f"--test={test}", "-o", "out.wat"]
    assert main(args) == 0
    out, err = capsys.readouterr()
    assert out == "" and "runs of the test" in err
    text = (here / "out.wat").read_text()
    head = [line for line in text.splitlines() if line.startswith(";; ")]
    assert "the test succeeds on this program, and fails on the product of" in head[0]
    command = shlex.split(re.sub(r"^;; +meldc ", "", head[1]))
    assert main(command) == 0
    product = capsys.readouterr().out
    assert "i32.mul" in text and "i32.mul" not in product
    assert constants(text.encode()) == []
    assert main(["reduce", "m.wat", "--passes=", "--test=true"]) == 2
    assert "nothing to look for" in capsys.readouterr().err


def test_notes_go_too(tmp_path: Path) -> None:
    """A fused module has facts and notes, and is kept as text between cuts."""
    (tmp_path / "late.py").write_text(
        FRAGILE.replace('name = "fragile"', 'name = "fragile"\n    requires = frozenset({"merged"})').replace(
            "i32.mul", "memory.copy"
        )
    )
    inputs = [ROOT / f"examples/stream/{name}.wat" for name in ("producer", "consumer")]
    passes = "detect-pairs,emit-bridge,rewire-calls,adapter-wiring,fragile,finish"
    reducer = Reducer(inputs, Options(passes=passes, plugins=[str(tmp_path / "late.py")]), Judge(None))
    assert reducer.run()
    best = reducer.best
    assert isinstance(best, Module)
    assert not best.notes and best.facts == ["merged"]
    assert print_text(best).count("\n") < 20
