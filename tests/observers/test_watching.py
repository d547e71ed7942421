"""What shows a run while it happens: dumps of changes, checks after each step, times, statistics, plans, fuel."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from meld.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
STREAM = [str(EXAMPLES / "stream" / f"{name}.wat") for name in ("producer", "consumer")]
GREET = [str(EXAMPLES / "greet" / f"{name}.wat") for name in ("crowd", "greeter")]

PLUGIN = '''
from meld import Module, Pass, PassContext, option

class Bump(Pass):
    """Add one to each `i32.const 7`; break a function if told to."""
    name = "bump"
    broken: str = option("", "the function to break")
    crash: bool = option(False, "crash")

    def run(self, module: Module, cx: PassContext) -> None:
        if self.crash:
            raise IndexError("no such thing")
        for function in module.functions:
            if function.name == self.broken:
                function.instructions.append(function.instructions[0])
            for instruction in function.instructions:
                if instruction.op == "i32.const" and instruction.args == (7,):
                    with cx.rewrite("bump", function) as go:
                        if go:
                            instruction.args = (8,)
                            cx.stats["bumped"] += 1
'''

MODULE = """(module $m
  (func $a (export "test-a") (result i32) i32.const 7)
  (func $b (export "b") (result i32) i32.const 7)
  (func $c (export "test-c") call $b i32.const 8 i32.eq if unreachable end))
"""

Meldc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def meldc(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Meldc:
    """Runs the command line beside `m.wat` and `bump.py`; exit code, standard output, standard error."""
    (tmp_path / "m.wat").write_text(MODULE)
    (tmp_path / "bump.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str, str]:
        try:
            code = main(args)
        except SystemExit as e:
            code = int(e.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


BUMP = ("m.wat", "--plugin=bump.py", "-o", "out.wasm")


def call(path: str, name: str) -> Any:
    """The result of an export."""
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    instance = wasmtime.Instance(store, wasmtime.Module.from_file(engine, path), [])
    function = instance.exports(store)[name]
    assert isinstance(function, wasmtime.Func)
    return function(store)


# --- dumps ---------------------------------------------------------------------------------------------------------


def test_a_diff_shows_what_changed_and_nothing_else(meldc: Meldc) -> None:
    code, _, err = meldc(*STREAM, "-o", "o.wasm", "--dump-after=rewire-calls", "--dump=diff", "--dump-only=consumer/*")
    assert code == 0
    changed = [line for line in err.splitlines() if re.match(r"[-+] ", line)]
    assert changed == [
        "-    call $consumer/stream_read.mem",
        "+    call $consumer/stream_read.shim",
        "-    call $consumer/stream_drop_readable",
        "+    call $consumer/stream_drop_readable.shim",
    ]


def test_only_steps_that_change_something_are_dumped(meldc: Meldc) -> None:
    code, _, err = meldc(*STREAM, "-o", "o.wasm", "--dump-after=changed", "--dump=stat", "--dump-dir=d")
    assert code == 0, err
    index = json.loads(Path("d/index.json").read_text())
    assert [row["pass"] for row in index] == [
        "link",
        "merge",
        "detect-pairs",
        "emit-bridge",
        "rewire-calls",
        "direct-calls",
        "finish",
    ]
    assert all((Path("d") / row["file"]).is_file() and row["changes"] > 0 for row in index)
    assert "~ func consumer/c_drop  +1 -1" in (Path("d") / index[4]["file"]).read_text().splitlines()


def test_a_full_dump_of_some_names(meldc: Meldc) -> None:
    code, _, err = meldc(*BUMP, "--passes=bump,bump", "--dump-after=bump#2", "--dump-only=b")
    assert code == 0
    assert err.count("(func") == 1
    assert "(func $b " in err
    assert ";; after bump#2 (pass 2)" in err


def test_an_occurrence_that_is_not_there(meldc: Meldc) -> None:
    code, _, err = meldc(*BUMP, "--passes=bump", "--dump-after=bump#2")
    assert code == 2
    assert "did you mean `bump`?" in err
    assert not Path("out.wasm").exists()


def test_several_passes_in_one_option(meldc: Meldc) -> None:
    code, _, err = meldc(*BUMP, "--passes=bump", "--dump-after=bump,failed")
    assert code == 2
    assert "hint: one at a time: --dump-after=bump --dump-after=failed" in err


def test_the_program_that_a_failing_pass_left(meldc: Meldc) -> None:
    code, _, _ = meldc(*BUMP, "--passes=bump{broken=b}", "--verify=each", "--dump-after=failed", "--dump-dir=d")
    assert code == 2
    left = (Path("d") / "01-failed-bump.wat").read_text()
    assert left.count("i32.const 8") == 4  # of $b twice


# --- checks --------------------------------------------------------------------------------------------------------


def test_a_fault_names_pass_function_and_difference(meldc: Meldc) -> None:
    code, _, err = meldc(*BUMP, "--passes=bump,bump{broken=b}", "--verify=each")
    assert code == 2
    assert "pass bump#2: what it left is not valid: function $b" in err
    assert "+    i32.const 8" in err
    assert not Path("out.wasm").exists()


def test_a_fault_that_no_engine_sees(meldc: Meldc) -> None:
    lost = "from meld import Pass\nclass Lose(Pass):\n  name = 'lose'\n  def run(self, module, cx):\n"
    Path("lose.py").write_text(lost + "    module.functions = [f for f in module.functions if f.name != 'b']\n")
    code, _, err = meldc(*BUMP, "--plugin=lose.py", "--passes=bump,lose", "--verify=each")
    assert code == 2
    assert "pass lose: what it left is not valid: " in err and "$b" in err


def test_ends_are_checked_at_the_end_only(meldc: Meldc) -> None:
    mended = "from meld import Pass\nclass Mend(Pass):\n  name = 'mend'\n  def run(self, module, cx):\n"
    Path("mend.py").write_text(mended + "    [f for f in module.functions if f.name == 'b'][0].instructions.pop()\n")
    args = (*BUMP, "--plugin=mend.py", "--passes=bump{broken=b},mend")
    assert meldc(*args, "--verify=ends")[0] == 0
    assert meldc(*args, "--verify=each")[0] == 2


def test_an_input_that_is_not_valid(meldc: Meldc) -> None:
    Path("bad.wat").write_text('(module (func $f (export "f") (result i32)))')
    code, _, err = meldc("bad.wat", "-o", "out.wasm", "--plugin=bump.py", "--passes=bump", "--verify=ends")
    assert code == 2
    assert "the input is not valid: " in err and "function $f" in err


def test_exports_that_are_tests_run_after_each_pass(meldc: Meldc) -> None:
    code, _, err = meldc(*BUMP, "--passes=bump{broken=none},bump", "--verify-run=each")
    assert code == 2
    assert "pass bump: what it left fails when it is run: export `test-c`" in err
    assert meldc(*BUMP, "--passes=bump", "--fuel=bump:1", "--verify-run=each")[0] == 0


def test_a_command_runs_after_each_pass(meldc: Meldc) -> None:
    Path("check.py").write_text("import sys, wasmtime\nprint(len(open(sys.argv[1], 'rb').read()))\nsys.exit(3)\n")
    code, _, err = meldc(*BUMP, "--passes=bump", "--verify-run=each", f"--check={sys.executable} check.py {{}}")
    assert code == 2
    assert "ended with exit code 3" in err
    assert meldc(*BUMP, "--passes=bump", "--verify-run=each", "--check=true")[0] == 0
    code, _, err = meldc(*BUMP, "--passes=bump", "--verify-run=each", "--check=/no/such/program")
    assert code == 2 and "cannot run" in err


@pytest.mark.parametrize("args", [STREAM, GREET, [*GREET, "--emit=component"]])
def test_every_step_of_the_examples_is_valid(meldc: Meldc, args: list[str]) -> None:
    code, _, err = meldc(*args, "-o", "o.wasm", "--verify=each", "--verify-run=each", "-q")
    assert code == 0, err


# --- fuel ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flags", "want"), [((), (8, 8)), (("--limit=1",), (8, 7)), (("--fuel=bump:0",), (7, 7))])
def test_rewrites_are_held_back(meldc: Meldc, flags: tuple[str, ...], want: tuple[int, int]) -> None:
    code, _, err = meldc(*BUMP, "--passes=bump", "--stats=json", *flags)
    assert code == 0
    assert (call("out.wasm", "test-a"), call("out.wasm", "b")) == want
    assert json.loads(err)["bump"].get("bumped", 0) == sum(n == 8 for n in want)


@pytest.mark.parametrize("flag", ["--fuel=bump", "--fuel=bmup:3", "--fuel=bump#2:1", "--limit=-1"])
def test_fuel_for_nothing(meldc: Meldc, flag: str) -> None:
    code, _, err = meldc(*BUMP, "--passes=bump", flag)
    assert code == 2 and "hint:" in err


# --- time and statistics -------------------------------------------------------------------------------------------


def test_times(meldc: Meldc) -> None:
    _, _, tree = meldc(*BUMP, "--passes=bump,bump", "--time")
    assert [line.split()[-4] for line in tree.splitlines() if "bump" in line]
    _, _, text = meldc(*BUMP, "--passes=bump,bump", "--time=json")
    assert [name for name, _ in json.loads(text)["passes"]] == ["bump", "bump#2"]
    _, _, text = meldc(*BUMP, "--passes=bump,bump", "--time=chrome")
    events = json.loads(text)["traceEvents"]
    assert [e["name"] for e in events] == ["bump", "bump#2"] and events[1]["ts"] >= events[0]["dur"]


def test_watching_changes_nothing(meldc: Meldc) -> None:
    assert meldc(*STREAM, "-o", "plain.wasm")[0] == 0
    flags = ("--journal=j", "--dump-after=all", "--dump=diff", "--verify=each", "--time", "--stats")
    assert meldc(*STREAM, "-o", "watched.wasm", *flags)[0] == 0
    assert Path("plain.wasm").read_bytes() == Path("watched.wasm").read_bytes()


# --- plans ---------------------------------------------------------------------------------------------------------


def test_a_plan_says_why(meldc: Meldc) -> None:
    code, out, _ = meldc("plan", *STREAM)
    assert code == 0
    assert "because `rewire-calls` needs `stream-bridge`, which `emit-bridge` establishes" in out
    passes = out.splitlines()[-1]
    assert meldc(*STREAM, "-o", "a.wasm", passes)[0] == meldc(*STREAM, "-o", "b.wasm")[0] == 0
    assert Path("a.wasm").read_bytes() == Path("b.wasm").read_bytes()


def test_the_constraint_graph(meldc: Meldc) -> None:
    _, dot, _ = meldc("plan", *STREAM, "--graph=dot")
    assert '"emit-bridge" -> "rewire-calls"' in dot
    _, svg, _ = meldc("plan", *STREAM, "--graph=svg")
    titles = {e.text for e in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")}
    _, text, _ = meldc("plan", *STREAM, "--graph=text")
    assert titles == {line.partition("  ")[2] for line in text.splitlines()}


def test_a_crash_names_its_pass(meldc: Meldc) -> None:
    code, _, err = meldc(*BUMP, "--passes=bump,bump{crash}")
    assert code == 2
    assert "pass bump#2: plugin pass `bump` failed: IndexError: no such thing" in err


def test_the_journal_of_a_failed_run(meldc: Meldc) -> None:
    assert meldc(*BUMP, "--passes=bump,bump{crash}", "--journal=j.json")[0] == 2
    journal = json.loads(Path("j.json").read_text())
    assert journal["status"] == "failed" and "IndexError" in journal["message"]
    assert [step["label"] for step in journal["steps"]] == ["input", "bump"]
    assert journal["plan"] == ["bump", "bump#2"]


def test_the_help_names_every_command() -> None:
    from meld.commands import COMMANDS

    done = subprocess.run([sys.executable, "-m", "meld", "--help"], capture_output=True, text=True, check=True)
    assert all(f"meldc {name}" in done.stdout for name in COMMANDS)
