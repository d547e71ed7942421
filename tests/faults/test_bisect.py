"""`meldc bisect`: seeded miscompiles found without a hand, and what it says where there is nothing clean to find."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import miscompiles
import pytest
import wasmtime

from meld.cli import main
from meld.diagnostics import MeldError
from meld.driver import Options
from meld.faults.bisection import Bisection, search
from meld.faults.judge import Judge, Verdict
from meld.files import encode, load

ROOT = Path(__file__).parents[2]
PLUGIN = str(Path(miscompiles.__file__))
GOOD, BAD, UNCLEAR = Verdict.GOOD, Verdict.BAD, Verdict.UNCLEAR


def quick() -> wasmtime.Engine:
    """An engine that compiles without optimizing: most of what it compiles runs for no time at all."""
    config = wasmtime.Config()
    config.wasm_multi_memory = True
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


QUICK = quick()


def runs(data: bytes) -> Verdict:
    """Whether the export `test` of a module runs to its end."""
    store = wasmtime.Store(QUICK)
    try:
        exports = wasmtime.Instance(store, wasmtime.Module(QUICK, data), []).exports(store)
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


@pytest.mark.parametrize(
    "seeded", miscompiles.SEEDED if "MELD_CASES" in os.environ else miscompiles.SEEDED[::2], ids=lambda cls: cls.name
)
def test_seeded_miscompiles(seeded: type[miscompiles.Seeded], thousand: Path) -> None:
    found = bisection(thousand, f"tidy,{seeded.name},tidy").find()
    assert (found.label, found.number, found.steps) == (seeded.name, 2, 3)
    assert str(found.rewrite) == f"simplify f{seeded.victim}"
    assert not found.doubts and not found.candidates
    assert [str(d.symbol) for d in found.differences] == [f"func f{seeded.victim}"]
    assert found.runs <= 24
    lines = found.differences[0].lines(0)[2:]
    assert 2 <= len(lines) <= 8


SMALL = """(module
  (func $one (export "one") (result i32) i32.const 1)
  (func $two (export "two") (result i32) i32.const 2)
  (func $three (export "three") (result i32) i32.const 3)
  (func $four (export "four") (result i32) i32.const 4))
"""

BUMP = '''
from meld import Component, Module, Pass, PassContext, option
from meld.ir.module import Function

class Bump(Pass):
    """Change constants."""
    name = "bump"
    repeatable = True
    to: str = option("", "what they become, one after the other: numbers with a dot between")
    ask: bool = option(True, "ask leave for each")
    crash: int = option(0, "the rewrite that crashes")

    def run(self, module: Module, cx: PassContext) -> None:
        for number, (function, value) in enumerate(zip(module.functions, filter(None, self.to.split("."))), 1):
            if not self.ask or cx.allows("bump", function):
                if number == self.crash:
                    raise KeyError(function.name)
                next(i for i in function.instructions if i.op == "i32.const").args = (int(value),)
'''


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with `m.wat` and `bump.py`, in which the test runs."""
    (tmp_path / "m.wat").write_text(SMALL)
    (tmp_path / "bump.py").write_text(BUMP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def constants(data: bytes) -> list[int]:
    return [int(word) for word in re.findall(rb"i32.const (\d+)", data)]


def says(verdict: Callable[[list[int]], Verdict], passes: str, **options: Any) -> Bisection:
    """A bisection with a test that sees the constants of the four functions."""
    more = Options(passes=passes, plugins=["bump.py"], **options)
    return Bisection(["m.wat"], more, Judge(lambda data: verdict(constants(data))))


@pytest.mark.usefixtures("small")
class TestAnswers:
    def test_a_pass_that_asks_no_leave(self) -> None:
        found = says(lambda c: BAD if 9 in c else GOOD, "bump{to=5.5},bump{to=5.9,ask=false},bump").find()
        assert (found.label, found.rewrite, found.rewrites) == ("bump#2", None, 0)
        assert found.options(bad=False) == ["--stop-after=bump#1"]
        assert found.options(bad=True) == ["--stop-after=bump#2"]
        assert [d.lines(0)[-1] for d in found.differences] == ["+    i32.const 9"]

    def test_the_first_of_several(self) -> None:
        found = says(lambda c: BAD if 9 in c else GOOD, "bump{to=1.9.3},bump{to=2.9}").find()
        assert found.options(bad=False) == ["--stop-after=bump#1", "--fuel=bump#1:1"]
        assert str(found.rewrite) == "bump two"

    def test_what_cannot_be_told(self) -> None:
        found = says(lambda c: {5: UNCLEAR, 6: BAD}.get(c[2], GOOD), "bump,bump{to=1.2.5},bump{to=1.2.6},bump").find()
        assert (found.label, found.candidates) == ("bump#3", [2])
        found = says(lambda c: BAD if c[3] == 5 else UNCLEAR if c[2] == 5 else GOOD, "bump{to=1.2.5.5}").find()
        assert (str(found.rewrite), found.candidates) == ("bump four", [3])

    def test_rewrites_that_depend_on_each_other(self) -> None:
        found = says(lambda c: BAD if sum(c) in (11, 13) else GOOD, "bump{to=2.3.4.4}").find()
        assert any("depend on each other" in doubt for doubt in found.doubts)
        assert found.rewrite is not None and not found.candidates

    def test_a_test_that_is_not_sure(self) -> None:
        asked: Counter[str] = Counter()

        def moody(data: list[int]) -> Verdict:
            asked[str(data)] += 1
            return BAD if 9 in data and asked[str(data)] == 1 else GOOD

        found = says(moody, "bump{to=1.9}").find()
        assert "the test does not always say the same of the same program" in found.doubts

    def test_a_crash(self) -> None:
        found = says(lambda c: GOOD, "bump{to=5},bump{to=7.8.9,crash=3}").find()
        assert (found.label, str(found.rewrite)) == ("bump#2", "bump three")
        assert found.failure is not None and "KeyError: 'three'" in found.failure

    def test_fuel_of_ones_own(self) -> None:
        found = says(lambda c: BAD if 9 in c else GOOD, "bump{to=5},bump{to=9.9.9}", fuel={"bump#2": 2}).find()
        assert (found.rewrites, str(found.rewrite)) == (3, "bump one")
        with pytest.raises(MeldError, match="succeeds on the product"):
            says(lambda c: BAD if 9 in c else GOOD, "bump{to=1.2.9}", fuel={"bump": 2}).find()

    @pytest.mark.parametrize(
        ("verdict", "message"),
        [
            (GOOD, "the test succeeds on the product of the pipeline"),
            (BAD, "the test fails on the input already"),
            (UNCLEAR, "the test cannot tell .exit code 125. on the product"),
        ],
    )
    def test_nothing_to_find(self, verdict: Verdict, message: str) -> None:
        with pytest.raises(MeldError, match=message):
            says(lambda c: verdict, "bump{to=5}").find()

    def test_no_module(self) -> None:
        with pytest.raises(MeldError, match="does not get to a module"):
            Bisection([ROOT / "examples/greet/crowd.wat"], Options(stop_after="link"), Judge(None)).find()


def test_search_is_for_neighbours() -> None:
    for culprit in range(1, 40):
        asked: list[int] = []

        def verdict(n: int, culprit: int = culprit, asked: list[int] = asked) -> Verdict:
            asked.append(n)
            return UNCLEAR if n % 5 == 0 and n != culprit else BAD if n >= culprit else GOOD

        low, high = search(0, 39, verdict)
        assert low < culprit <= high
        assert all(n % 5 == 0 for n in range(low + 1, high))
        assert len(asked) == len(set(asked)) <= 8


def test_the_command(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Found by a command, said as text and as JSON; the commands that it gives do what it says."""
    test = """sh -c 'case "$(cat "$0")" in *"const 11"*) exit 125;; *"const 9"*) exit 1;; esac'"""
    args = ["m.wat", "--passes=bump{to=5},bump{to=7.8.9.10},bump{to=11.12}", "--plugin=bump.py", "--stop-after=bump#2"]
    assert main(["bisect", *args, f"--test={test}", "--json", "-q"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert (found["pass"], found["step"], found["steps"]) == ("bump#2", 2, 2)
    assert found["rewrite"] == {"number": 3, "what": "bump", "item": "three"}
    assert [d["name"] for d in found["differences"]] == ["three"]
    assert main(["bisect", *args, f"--test={test}"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("pass bump#2 (step 2 of 2), rewrite 3 of 4: bump three\n")
    assert "-    i32.const 3\n+    i32.const 9\n" in out
    assert "the product: bad" in err
    for name, expected in (("good", {7, 8, 3}), ("bad", {7, 8, 9})):
        command = shlex.split(re.search(rf"^{name}: +meldc (.*)$", out, re.MULTILINE)[1])  # type: ignore[index]
        assert main(command) == 0
        assert {*constants(capsys.readouterr().out.encode())} == expected | {4}
    assert main(["bisect", *args, "--test=true"]) == 2
    assert main(["bisect", *args, "--test=no-such-command"]) == 2
    assert main(["bisect", *args, "--test='"]) == 2
    assert "cannot run `no-such-command`" in capsys.readouterr().err


def test_each_stage_can_be_asked(tmp_path: Path) -> None:
    """`meldc run {}` as the test: what is pending is interpreted, so a composition can be judged after any pass."""
    greet = [str(ROOT / f"examples/greet/{name}.wat") for name in ("crowd", "greeter")]
    source = BUMP.replace("zip(module.functions,", "zip([f for f in module.functions if f.name.endswith('.adapter')],")
    (tmp_path / "bump.py").write_text(source)
    script = tmp_path / "check.sh"
    script.write_text(
        f"""said="$({sys.executable} -m meld run "$1" --invoke 'welcome(["Ann"])')"\n"""
        """test "$said" = '["hello, Ann"]'\n"""
    )
    options = [
        "--json",
        f"--plugin={tmp_path}/bump.py",
        "--passes=adapter-wiring,bump{to=77}",
        f"--test=sh {script} {{}}",
    ]
    command = [sys.executable, "-m", "meld", "bisect", *greet, *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "after merge: good" in done.stderr
    found = json.loads(done.stdout)
    assert found["pass"] == "bump"
    assert found["rewrite"]["item"] == "crowd/greeter/greet.adapter"
