"""Commands as tests: they end, nothing of them stays behind, what they print is shown, mistakes in them are found."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from meld.cli import main
from meld.faults.judge import Answer, CommandTest, Verdict
from meld.runtime.command import needs_shell, run_on_file
from tests.faults.test_bisect import BUMP, SMALL
from tests.faults.test_reduce import FRAGILE

ROOT = Path(__file__).parents[2]
STREAM = [str(ROOT / f"examples/stream/{name}.wat") for name in ("producer", "consumer")]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "m.wat").write_text(SMALL)
    (tmp_path / "bump.py").write_text(BUMP)
    (tmp_path / "fragile.py").write_text(FRAGILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits for its parent to notice its end does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("ends", [False, True])
def test_children_end_with_the_test(tmp_path: Path, ends: bool) -> None:
    """Also those in the background that hold the standard output, whether or not the test itself ends in time."""
    script = tmp_path / "test.sh"
    script.write_text(f"sleep 300 & echo $! > {tmp_path}/pid\n" + ("exit 0\n" if ends else "sleep 300\n"))
    done = run_on_file(f"sh {script}", b"", option="--test", limit=1.0 if not ends else 60.0)
    assert (done is not None) == ends
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not is_alive(pid):
            return
        time.sleep(0.02)
    os.kill(pid, 9)
    pytest.fail("the child of the test goes on")


def test_the_limit_comes_from_the_good_run() -> None:
    test = CommandTest("sh -c 'case $(cat \"$0\") in bad) sleep 100;; esac'", "wat")
    assert test.seconds() == 60
    assert test(b"good").verdict is Verdict.GOOD
    assert test.seconds() < 30
    assert test(b"bad") == Answer(Verdict.BAD, f"the test took more than {test.seconds():.3g} s", late=True)
    assert CommandTest("true", "wat", 7.0).seconds() == 7


@pytest.mark.parametrize(
    ("command", "shell"),
    [
        ("cmp {} x", False),
        ("a {} | b", True),
        ("a {} && b", True),
        ("! grep -q x {}", True),
        ("X=1 a {}", True),
        ("sh -c 'a | b' {}", False),
        (r"grep a\|b {}", False),
        ('grep "a|b" {}', False),
        ('grep "$HOME" {}', True),
        ("a; b", True),
    ],
)
def test_what_the_shell_runs(command: str, shell: bool) -> None:
    assert needs_shell(command) is shell


def test_operators_of_the_shell(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what the test printed is shown beside its verdict."""
    test = "cat {} | grep -c 'i32.const 9' > count; test $(cat count) = 0 || { echo nine is wrong; exit 3; }"
    assert main(["bisect", "m.wat", "--plugin=bump.py", "--passes=bump{to=7.9}", f"--test={test}"]) == 0
    out, err = capsys.readouterr()
    assert "rewrite 2 of 2: bump two" in out
    assert "the product: bad\n  | nine is wrong\n  | exit code 3\n" in err


@pytest.mark.parametrize("test", ["no-such-command {}", "no-such-command {} && true", "sh -c no-such-command {}"])
def test_a_command_that_is_not_there(here: Path, capsys: pytest.CaptureFixture[str], test: str) -> None:
    assert main(["bisect", "m.wat", "--plugin=bump.py", "--passes=bump{to=7}", f"--test={test}"]) == 2
    assert "cannot run `" in capsys.readouterr().err


def test_a_test_with_a_mistake_reduces_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It fails on everything, an empty module included."""
    command = f"{shlex.quote(sys.executable)} -c 'raise SystemExit(\"usage: no option --invok\")' {{}}"
    args = ["reduce", *STREAM, "--plugin=fragile.py", "--passes=link,merge", f"--test={command}", "-o", "out.wat"]
    assert main(args) == 2
    err = capsys.readouterr().err
    assert "the test fails on an empty module just as on the product: usage: no option --invok / exit code 1" in err
    assert not (here / "out.wat").exists()


def test_another_failure_is_not_the_one_looked_for(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the test cannot be asked before the passes, the failure stays the one that it was."""
    test = "grep -q c_read {} && echo reads && exit 1; echo too small; exit 1"
    args = ["reduce", *STREAM, "--passes=link,merge", f"--test={test}", "-q", "-o", "out.wat"]
    assert main(args) == 0
    assert "c_read" in (here / "out.wat").read_text()


def test_a_flaky_test_is_doubted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its second answer on the same program is another: exit code 1, since what was found may be wrong."""
    test = "n=$(cat n 2> /dev/null || echo 0); echo $((n + 1)) > n; grep -q 'const 9' {} && test $n -gt 0 && exit 0; "
    test += "grep -q 'const 9' {} && exit 1; exit 0"
    args = ["bisect", "m.wat", "--plugin=bump.py", "--passes=bump{to=1},bump{to=9,ask=false}", f"--test={test}", "-q"]
    assert main(args) == 1
    assert "doubt: the test does not always say the same of the same program" in capsys.readouterr().out


def test_the_time_is_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A test that is running when the time is over is ended too: this one would run for an hour."""
    test = "n=$(cat n 2> /dev/null || echo 0); echo $((n + 1)) > n; test $n -gt 8 && sleep 3600; ! grep -q 'const 9' {}"
    args = ["reduce", "m.wat", "--plugin=bump.py", "--passes=bump{to=9.8.7.6}", f"--test={test}", "--timeout=7200"]
    assert main([*args, "--seconds=2", "-o", "out.wat"]) == 0
    assert "this is the best so far" in capsys.readouterr().err
