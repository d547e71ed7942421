"""Golden tests themselves: each directive can fail, blessing mends what can be mended, pytest runs them if asked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from meld.cli import main
from meld.commands import COMMANDS
from meld.golden.running import CommandLine, run_golden
from meld.passes import BUILTIN
from tests.commands.test_cli import meldc, refused

ROOT = Path(__file__).parents[2]

MODULE = """\
(module
  (@meld.facts linked merged)
  (func $div (export "div") (param i32 i32) (result i32)
    (i32.div_s (local.get 0) (local.get 1))))
"""


def failures(tmp_path: Path, directives: str, module: str = MODULE) -> list[str]:
    path = tmp_path / "t.wat"
    path.write_text(f"{directives}\n{module}")
    return [failure.message.splitlines()[0] for failure in run_golden(path, CommandLine(main, COMMANDS)).failures]


PASSING = {
    "run": ";; meldc:\n;; run: div(7, 2) == 3",
    "trap": ";; meldc:\n;; run: div(7, 0) traps: integer divide by zero",
    "check": ";; meldc:\n;; check: (func $div (\n;; next: local.get 0\n;; check: i32.{{div|mul}}_s",
    "not": ";; meldc:\n;; check: (func $div\n;; not: call\n;; check: i32.div_s\n;; not: call",
    "error": ";; meldc: --passes=finsh\n;; error: unknown pass `finsh`",
    "hint": ";; meldc: --passes=finsh\n;; error: unknown pass `finsh`\n;; hint: did you mean `finish`",
    "two commands": ";; meldc:\n;; check: i32\n;; meldc: --passes=\n;; check: i32",
    "usage": ";; meldc: --emit=wad\n;; error: invalid choice",
}
FAILING = {
    ";; meldc:\n;; run: div(7, 2) == 4": "`div(7, 2)` == 3, expected `== 4`",
    ";; meldc:\n;; run: div(7, 0) == 4": "traps: integer divide by zero, expected `== 4`",
    ";; meldc:\n;; run: div(7, 2) traps": "== 3, expected `traps`",
    ";; meldc:\n;; run: div(7, 2)": "== 3, nothing is expected",
    ";; meldc:\n;; run: div(7) == 1": "takes 2 arguments, not 1",
    ";; meldc:\n;; run: dif(7, 2) == 1": "cannot be called",
    ";; meldc:\n;; check: i64": "`i64` is not from here on",
    ";; meldc:\n;; check: local.get 1\n;; check: local.get 0": "`local.get 0` is not from here on; there is: i32.div_s",
    ";; meldc:\n;; check: (func $div (\n;; next: local.get 1": "is not in the next line; there is: local.get 0",
    ";; meldc:\n;; check: func $div\n;; not: get {{[1-9]}}\n;; check: div_s": "`get {{[1-9]}}` is in the output",
    ";; meldc:\n;; not: div_s": "`div_s` is in the output",
    ";; meldc:\n;; remark: nobody says this": "there is no remark",
    ";; meldc:\n;; error: something": "there is no error `something` without a place",
    ";; meldc: --passes=finsh": "unexpected error: unknown pass `finsh`",
    ";; meldc: --passes=finsh\n;; error: unknown pass `finsh`\n;; hint: stop": "no error has the hint `stop`; there",
    ";; meldc:\n;; check: func\n;; hint: give up": "no error has the hint `give up`",
    ";; meldc: --passes=finsh\n;; error: unknown pass `finsh`\n;; check: x": "the command failed, and a product is",
    ";; meldc:\n;; output:\n;;   (module)": "another output",
    ";; meldc:": "the test expects nothing",
}


@pytest.mark.parametrize("name", PASSING)
def test_directives_that_hold(name: str, tmp_path: Path) -> None:
    assert failures(tmp_path, PASSING[name]) == []


@pytest.mark.parametrize("directives", FAILING)
def test_directives_that_do_not_hold(directives: str, tmp_path: Path) -> None:
    assert FAILING[directives] in "\n".join(failures(tmp_path, directives))


def test_errors_belong_to_lines(tmp_path: Path) -> None:
    wrong = "(module\n  (func (call $f)) ;; error: unknown function\n  (func (call $g)))"
    assert failures(tmp_path, ";; meldc: check", wrong) == ["unexpected error: unknown function `$g`"]
    both = wrong + " ;; error: `$g`"
    assert failures(tmp_path, ";; meldc: check", both) == []
    none = both.replace("(call $f)", "")
    assert failures(tmp_path, ";; meldc: check", none) == ["there is no error `unknown function` at this line"]


def test_blessing_mends(tmp_path: Path) -> None:
    """What is wrong becomes what is; what is right is not touched; a second time nothing changes."""
    path = tmp_path / "t.wat"
    path.write_text(f"""\
;; meldc:
;; run: div(7, 2) == 4
;; run: div(8, 2) == 4
  ;; run: div(8, 0) == 4
;; output:
;;   (module)

{MODULE}""")
    done = meldc("test", path)
    assert done.returncode == 1
    assert f"{path}:2: `div(7, 2)` == 3, expected `== 4`" in done.stderr
    done = meldc("test", path, "--bless")
    assert (done.returncode, done.stdout) == (0, "1 golden test, 0 failed, 1 rewritten\n"), done.stderr
    lines = path.read_text().split("\n")
    assert lines[1:4] == [
        ";; run: div(7, 2) == 3",
        ";; run: div(8, 2) == 4",
        "  ;; run: div(8, 0) traps: integer divide by zero",
    ]
    assert lines[5] == ";;   (module"
    assert path.read_text().endswith(f"\n\n{MODULE}")
    assert meldc("test", path, "--bless").stdout == "1 golden test, 0 failed, 0 rewritten\n"


def test_blessing_errors(tmp_path: Path) -> None:
    path = tmp_path / "t.wat"
    path.write_text(";; meldc: check\n(module\n  (func (call $f)) ;; error: what?\n  (func i32.cons))\n")
    assert meldc("test", path, "--bless").returncode == 0
    assert path.read_text() == (
        ";; meldc: check\n(module\n  (func (call $f)) ;; error: unknown function `$f`\n"
        "  (func i32.cons)) ;; error: unknown instruction `i32.cons`\n"
    )


def test_what_cannot_be_blessed_still_fails(tmp_path: Path) -> None:
    path = tmp_path / "t.wat"
    path.write_text(f";; meldc:\n;; check: i64\n{MODULE}")
    assert meldc("test", path, "--bless").returncode == 1


def test_no_tests(tmp_path: Path) -> None:
    (tmp_path / "plain.wat").write_text("(module)")
    assert "there are no golden tests in here" in refused("test", tmp_path)
    assert "is no golden test" in refused("test", tmp_path / "plain.wat")
    (tmp_path / "odd.wat").write_text(";; meldc: 'unclosed\n(module)")
    assert "odd.wat:1:1: malformed command" in refused("test", tmp_path / "odd.wat")


def test_the_tests_in_the_guide(tmp_path: Path) -> None:
    blocks = re.findall(r"```wat\n(.*?)```", (ROOT / "docs/golden.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        (tmp_path / "t.wat").write_text(block)
        assert run_golden(tmp_path / "t.wat", CommandLine(main, COMMANDS)).failures == []


class TestPytest:
    def run(self, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *args]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)

    def test_nothing_unless_asked(self, tmp_path: Path) -> None:
        """Neither collected nor imported."""
        (tmp_path / "t.wat").write_text(f";; meldc:\n;; check: i64\n{MODULE}")
        (tmp_path / "test_it.py").write_text(
            "import sys\ndef test_it(): assert not {'lark', 'wasmtime', 'meld.driver', 'meld.cli'} & set(sys.modules)\n"
        )
        done = self.run(tmp_path)
        assert "1 passed" in done.stdout, done.stdout

    def test_asked(self, tmp_path: Path) -> None:
        (tmp_path / "good.wat").write_text(f";; meldc:\n;; check: div\n{MODULE}")
        (tmp_path / "bad.wat").write_text(f";; meldc:\n;; run: div(1, 1) == 2\n{MODULE}")
        (tmp_path / "none.wat").write_text(MODULE)
        done = self.run(tmp_path, "--meldc")
        assert "1 failed, 1 passed" in done.stdout, done.stdout
        assert "bad.wat:2: `div(1, 1)` == 1, expected `== 2`" in done.stdout
        assert "Traceback" not in done.stdout
        assert "2 passed" in self.run(tmp_path, "--meldc", "--meldc-bless").stdout
        assert "== 1\n" in (tmp_path / "bad.wat").read_text()

    def test_by_a_setting(self, tmp_path: Path) -> None:
        (tmp_path / "pytest.ini").write_text("[pytest]\nmeldc_golden = golden\n")
        for name in ("golden", "other"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "t.wat").write_text(f";; meldc:\n;; check: div\n{MODULE}")
        assert "1 passed" in self.run(tmp_path).stdout


@pytest.mark.parametrize("name", BUILTIN)
def test_a_pass_can_be_learned(name: str) -> None:
    """Its description shows WAT before and after, and a folder has six golden tests, each with a title."""
    shown = meldc("passes", name).stdout
    before, word, after = re.split(r"^(becomes|gets)$", shown, maxsplit=1, flags=re.MULTILINE)
    assert word and re.search(r"^    \(", before, re.MULTILINE) and re.search(r"^    \(", after, re.MULTILINE)
    files = sorted((ROOT / "tests/golden" / name).glob("*.wat"))
    assert len(files) >= 6
    for path in files:
        title = path.read_text().partition("\n")[0]
        assert re.match(r";; (?!meldc:)\S", title), path
