"""Reduction of programs that run: `meldc run` in this process, copies by way of bytes, one call for a whole run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import meld
from meld.diagnostics import MeldError
from meld.driver import Options
from meld.faults.inprocess import run_calls
from meld.faults.judge import CommandTest, Judge, Verdict
from meld.faults.reduction import Reducer
from meld.faults.reduction.cuts import functions
from meld.faults.reduction.fault import Change, Fault
from meld.faults.reduction.frozen import Frozen
from meld.faults.reduction.pool import Pool
from meld.files import encode, load, print_text
from meld.ir.instructions import Instruction
from meld.text.reading.program import parse_module
from meld.verify.engine import fault_of

ROOT = Path(__file__).parents[2]
SHOP = [ROOT / f"../shared/fixtures/shop/{name}.wasm" for name in ("consumer", "provider")]


@pytest.fixture(autouse=True)
def _ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """`meldc` is that of this installation."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("command", "invoked"),
    [
        ("meldc run {} --invoke 'run(10)'", ["run(10)"]),
        ("meldc run {} --invoke 'run(10)' | grep -q hello", ["run(10)"]),
        ('test "$(meldc run {} --invoke \'f("a")\' 2>/dev/null)" = x', ['f("a")']),
        ("meldc run {} --invoke f 1 2>&1 | grep x", ["f", "1"]),
        ("! meldc run {} --invoke f -1 -2.5", ["f", "-1", "-2.5"]),
        ("meldc run {}", []),
        ("if meldc run {} --invoke f; then exit 1; fi", ["f"]),
    ],
)
def test_what_runs_in_this_process(command: str, invoked: list[str]) -> None:
    found = run_calls(command)
    assert found is not None
    assert [list(call.invoke) for call in found] == [invoked]


@pytest.mark.parametrize(
    "command",
    [
        "cp {} elsewhere",
        "meldc run {} --invoke f && cp {} elsewhere",
        "timeout 5 meldc run {} --invoke f",
        "meldc run {} --trace-async --invoke f",
        "meldc run {} --invoke $X",
        "/opt/other/meldc run {} --invoke f",
        "echo meldc run {}",
    ],
)
def test_what_does_not(command: str) -> None:
    assert run_calls(command) is None


ECHO = """(module (func (export "f") (result i32) (i32.const 42))
  (func (export "trap") unreachable) (func (export "loop") (loop (br 0))))"""


@pytest.mark.parametrize("call", ["f", "trap", "nothing"])
@pytest.mark.parametrize("around", ["{}", "{} | grep 42", "test $({}) = 42", "! {}", "{} 2>&1 | tail -n 1; exit 3"])
def test_same_answers(call: str, around: str, tmp_path: Path) -> None:
    """In this process the answer is that of the command, to the letter."""
    (tmp_path / "a.wat").write_text(ECHO)
    command = around.format(f"meldc run {{}} --invoke {call}")
    module = load(tmp_path / "a.wat")
    assert isinstance(module, meld.Module)
    ours = CommandTest(command, "wat").of_module(module)
    if around in ("{}", "! {}") or call == "f":  # the rest costs a process each
        real = CommandTest(command, "wat")((tmp_path / "a.wat").read_bytes())
        assert (ours.verdict, ours.ended, ours.printed) == (real.verdict, real.ended, real.printed)
    assert ours.verdict is not Verdict.UNCLEAR


def test_a_loop_ends() -> None:
    module = parse_module(ECHO, "loop")
    answer = CommandTest("meldc run {} --invoke loop", "wat", limit=0.5).of_module(module)
    assert answer.verdict is Verdict.BAD and "more than 0.5 s" in answer.ended


@pytest.mark.parametrize("stop_after", ["link", "merge", None])
def test_frozen(stop_after: str | None) -> None:
    """A copy says and encodes the same, decoded or not, and is another program."""
    inputs = [ROOT / f"examples/stream/{name}.wat" for name in ("producer", "consumer")]
    program = meld.compile(inputs, stop_after=stop_after)
    frozen = Frozen()
    copy = frozen.thaw(frozen.freeze(program))
    assert encode(copy) == encode(program)
    assert print_text(copy) == print_text(program)
    for function in functions(program):
        function.instructions.insert(0, Instruction("nop"))
    assert print_text(copy) != print_text(program)
    assert print_text(frozen.thaw(frozen.freeze(program))) == print_text(program)


WRONG = '''
from meld import Module, Pass, PassContext
from meld.ir.instructions import Instruction

class Strength(Pass):
    """Simplify arithmetic."""
    name = "strength"

    def run(self, module: Module, cx: PassContext) -> None:
        for function in module.functions:
            for at, one in enumerate(function.view().instructions):
                if one.op == "i64.add" and cx.allows("add", function):
                    function.instructions[at] = Instruction("i64.sub")
'''


PROGRAM = f"""(module
  (memory $m 1)
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 64) "some data that the program begins with and does not need")
  (func $fill (param $n i32)
    (loop $next
      (i32.store (i32.mul (local.get $n) (i32.const 4)) (i32.mul (local.get $n) (i32.const 7)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func $sum (param $at i32) (param $n i32) (result i64) (local $s i64)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (loop $next
      (local.set $s (i64.add (local.get $s) (i64.load32_u (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))
  {"".join(f"(func $other{n} (param i32) (result i32) (i32.add (local.get 0) (i32.const {n})))" for n in range(40))}
  (func (export "run") (param $n i32) (result i32) (local $x i32)
    (local.set $x (local.get $n))
    {"".join(f"(local.set $x (call $other{n} (local.get $x)))" for n in range(40))}
    (call $fill (i32.const 100))
    (i32.store (i32.const 4000) (i32.wrap_i64 (call $sum (i32.const 4) (local.get $n))))
    (i32.add (local.get $x) (i32.load (i32.const 4000)))))"""


def test_one_call_instead_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "m.wat").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(WRONG)
    said: list[str] = []
    options = Options(passes="strength", plugins=[str(tmp_path / "wrong.py")])
    test = CommandTest("meldc run {} --invoke run 5 | grep -qx 890", "wat")
    reducer = Reducer([tmp_path / "m.wat"], options, Judge(test), say=said.append)
    assert reducer.run()
    assert any("one call of sum" in line for line in said)
    best = reducer.best
    assert fault_of(best) is None
    size = sum(len(function.view().instructions) for function in functions(best))
    assert size < 40, print_text(best)
    assert "other" not in print_text(best)


SUMS = """(module (memory 1) (data (i32.const 0) "unused") (func $unused (result i32) (i32.const 1))
  (func (export "run") (param $n i64) (local $more i64)
    (local.set $more (i64.const 2))
    (if (i64.ne (i64.add (local.get $n) (local.get $more)) (i64.const 7)) (then unreachable))))"""


def test_in_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is what one process leaves; a test that would take endlessly is another failure."""
    monkeypatch.setattr("meld.faults.reduction.ALONE", 0.0)
    (tmp_path / "m.wat").write_text(SUMS)
    (tmp_path / "wrong.py").write_text(WRONG)
    options = Options(passes="strength", plugins=[str(tmp_path / "wrong.py")])
    found = []
    for jobs in (1, 2):
        judge = Judge(CommandTest("meldc run {} --invoke run 5", "wat"))
        reducer = Reducer([tmp_path / "m.wat"], options, judge, jobs=jobs)
        assert reducer.run()
        assert (reducer._pool is not None) == (jobs == 2)
        found.append(print_text(reducer.best))
    assert found[0] == found[1]


def test_a_process_that_ends(tmp_path: Path) -> None:
    pool = Pool.start(Fault([], Judge(None), ["no-such-pass"]), 1)
    assert pool is not None
    pool._workers[0].process.kill()
    with pytest.raises(MeldError, match="a process that judged candidates has ended"):
        pool.first(encode(parse_module(ECHO, "m")), [Change("exports", range(1))])
    pool.close()


@pytest.mark.skipif("MELD_REDUCE" not in os.environ, reason="takes some minutes")
def test_shop(tmp_path: Path) -> None:
    """14,600 instructions come down to fewer than 100."""
    (tmp_path / "wrong.py").write_text(WRONG.replace('"strength"', '"strength"\n    requires = frozenset({"merged"})'))
    options = Options(passes="default,strength", plugins=[str(tmp_path / "wrong.py")])
    test = CommandTest("meldc run {} --invoke 'run(3)' | grep -q 'grant=52'", "wat")
    reducer = Reducer(SHOP, options, Judge(test), seconds=300, say=print)
    reducer.run()
    assert sum(len(function.view().instructions) for function in functions(reducer.best)) < 100
