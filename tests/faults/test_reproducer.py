"""A failure of a pass leaves one file, and `meldc replay` sees it fail again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from meld.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
STREAM = [str(EXAMPLES / "stream" / f"{name}.wat") for name in ("producer", "consumer")]

PLUGIN = '''
from meld import Component, MeldError, Module, Pass, PassContext, option

class Bad(Pass):
    """Break a program in the way that is asked for."""
    name = "bad"
    repeatable = True
    how: str = option("", "crash, result, invalid, wrong or input")
    at: int = option(0, "the rewrite in which it happens")

    def run(self, module: Module, cx: PassContext):
        for number, function in enumerate(module.functions, 1):
            if cx.allows("break", function) and number == self.at:
                match self.how:
                    case "crash":
                        [][number]
                    case "invalid":
                        function.instructions.pop()
                    case "wrong":
                        function.instructions[-1].args = (99,)
                    case "input":
                        raise MeldError("your program is not to my taste")
        return 42 if self.how == "result" else None

class Early(Pass):
    """Crash on compositions."""
    name = "early"
    reads = writes = Component

    def run(self, component: Component, cx: PassContext) -> None:
        raise KeyError(len(component.definitions))
'''

MODULE = """(module
  (func $one (export "one") (result i32) (i32.const 1))
  (func $two (export "two") (result i32) (i32.const 2))
  (func (export "test") (if (i32.ne (call $one) (i32.const 1)) (then unreachable))))
"""

Meldc = Callable[..., tuple[int, str]]


@pytest.fixture
def meldc(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Meldc:
    """Runs the command line beside `m.wat` and `bad.py`; exit code, and what it printed."""
    (tmp_path / "m.wat").write_text(MODULE)
    (tmp_path / "bad.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str]:
        code = main(args)
        return code, "".join(capsys.readouterr())

    return run


FILE = "meldc-reproducer.wat"


@pytest.mark.parametrize(
    ("passes", "more", "message"),
    [
        ("bad,bad{how=crash,at=2}", [], "IndexError: list index out of range; bad.py, line 16; the last rewrite"),
        ("bad,bad{how=crash,at=2}", [], "number 2, break two"),
        ("bad{how=result}", [], "but left a int"),
        ("bad{how=invalid,at=1}", ["--verify=each"], "function $one"),
        ("bad{how=invalid,at=1}", ["--verify=each", "--limit=1"], "-    i32.const 1"),
        ("bad,bad{how=wrong,at=1}", ["--verify-run=each", "--limit=5"], "export `test`"),
        ("bad{how=wrong,at=1}", ["--verify-run=each", "--check=false"], "`false` ended with exit code 1"),
    ],
)
def test_failures_are_reproduced(passes: str, more: list[str], message: str, meldc: Meldc, tmp_path: Path) -> None:
    command = ["m.wat", "--plugin=bad.py", f"--passes={passes}", *more]
    code, said = meldc(*command)
    assert code == 2
    assert "pass bad" in said and message in said
    assert f"hint: `meldc replay {FILE}` runs the pass again" in said
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["bad.py", "m.wat", FILE]
    code, said = meldc("replay", FILE, "--allow-commands")
    assert (code, said.startswith("reproduced: ")) == (0, True), said
    assert message in said
    # it is the failure of one pass on one program: neither the inputs nor the rest of the pipeline matter
    (tmp_path / "m.wat").unlink()
    assert meldc("replay", FILE, "--allow-commands")[0] == 0


def test_a_composition(meldc: Meldc, tmp_path: Path) -> None:
    code, said = meldc(*STREAM, "--plugin=bad.py", "--passes=link,early,merge", "--reproducer=r.wat")
    assert code == 2 and "KeyError" in said
    assert (tmp_path / "r.wat").read_text().count("(component") >= 3
    assert meldc("replay", "r.wat", "--allow-commands")[0] == 0


def test_without_fault_nothing_is_left(meldc: Meldc, tmp_path: Path) -> None:
    for args in (
        ["m.wat", "--plugin=bad.py", "--passes=bad{how=input,at=1}"],
        ["absent.wat"],
        ["m.wat", "--passes=mege"],
        ["m.wat", "--plugin=bad.py", "--passes=bad", "--verify-run=each", "--check=meldc-no-such-thing"],
        ["m.wat", "--plugin=bad.py", "--passes=bad{how=crash,at=1}", "--fuel=bad:0"],
    ):
        meldc(*args)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["bad.py", "m.wat"]


def test_what_is_not_as_it_was(meldc: Meldc, tmp_path: Path) -> None:
    meldc("m.wat", "--plugin=bad.py", "--passes=bad{how=crash,at=2}")
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text.replace("@version 0", "@version 9"))
    (tmp_path / "bad.py").write_text(PLUGIN.replace("[][number]", "{}[number]"))
    code, said = meldc("replay", FILE, "--allow-commands")
    assert (code, "the plugin bad.py has changed since" in said) == (2, True)
    code, said = meldc("replay", FILE, "--plugin=bad.py")
    assert code == 1
    assert "written by meldc 9.1.0" in said
    assert "the plugins are not those with which it failed" in said
    assert "fails in another way" in said and "KeyError" in said
    (tmp_path / "bad.py").write_text(PLUGIN.replace("[][number]", "pass"))
    code, said = meldc("replay", FILE, "--plugin=bad.py")
    assert (code, "does not fail" in said) == (1, True)
    (tmp_path / "other.py").write_text(PLUGIN)
    (tmp_path / "bad.py").unlink()
    assert meldc("replay", FILE, "--allow-commands")[0] == 2
    assert meldc("replay", FILE, "--plugin=other.py")[0] == 1  # another place, so another message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(module)", "is not a reproducer"),
        (";; @message x\n;; @pass y\n(module)", "is not a reproducer"),
        (";; @message x\n;; @pass y\n;; @version 1\n;; @fuel z\n(module)", "its comments are damaged"),
        (";; @message x\n;; @pass y\n;; @version 1\n;; @plugin 'a\n(module)", "its comments are damaged"),
        (";; @message x\n;; @pass nowhere\n;; @version 1\n(module)", "unknown pass `nowhere`"),
        (";; @message x\n;; @pass finish\n;; @version 1\n(module", "is closed"),
    ],
)
def test_damaged_files(text: str, message: str, meldc: Meldc, tmp_path: Path) -> None:
    (tmp_path / "r.wat").write_text(text)
    code, said = meldc("replay", "r.wat", "--allow-commands")
    assert code == 2
    assert message in said
    assert meldc("replay", "absent.wat")[0] == 2
    assert meldc("replay", str(tmp_path))[0] == 2
