"""`meldc test`: it ends, misspelt directives are no directives that pass, one bad file is one failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from meld.cli import main
from meld.runtime.interrupt import stoppable

PASSES = ";; meldc: --passes=\n;; check: func\n(module (func))\n"
LOOPS = """;; meldc: --passes=
;; run: forever() == ()
(module (func (export "forever") (loop (br 0))))
"""


def test_one_is_not_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.wat").write_text(PASSES)
    assert main(["test", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "1 golden test, 0 failed\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (";; chek: func", "unknown directive `chek`"),
        (";; CHECK: func", "unknown directive `CHECK`"),
        (";; outptu:", "unknown directive `outptu`"),
        (";; check:func", "expected a blank behind `check:`"),
        ("(global i32 (i32.const 0)) ;; eror: what", "unknown directive `eror`"),
    ],
)
def test_a_misspelt_directive(tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str) -> None:
    (tmp_path / "a.wat").write_text(f";; meldc: --passes=\n;; check: module\n{line}\n(module)\n")
    assert main(["test", str(tmp_path / "a.wat")]) == 2
    out, err = capsys.readouterr()
    assert message in err and out == ""


def test_prose_is_no_directive(tmp_path: Path) -> None:
    (tmp_path / "a.wat").write_text(f";; note: this is prose\n;; Example: too\n{PASSES}")
    assert main(["test", str(tmp_path)]) == 0


def test_a_file_that_is_no_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others run nevertheless, and the summary comes."""
    (tmp_path / "a.wat").write_text("(module)")
    (tmp_path / "b.wat").write_text(PASSES)
    assert main(["test", *(str(tmp_path / f"{name}.wat") for name in ("a", "b", "c"))]) == 1
    out, err = capsys.readouterr()
    assert "a.wat: is no golden test" in err and "c.wat: no such file" in err
    assert out == "3 golden tests, 2 failed\n"


@pytest.mark.parametrize("command", ["run", "meldc"])
def test_the_time_is_limited(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    text = LOOPS
    if command == "meldc":
        text = LOOPS.replace("--passes=\n;; run: forever() == ()", "run {} --invoke forever\n;; output:")
    (tmp_path / "a.wat").write_text(text)
    (tmp_path / "b.wat").write_text(PASSES)
    assert main(["test", "--timeout=0.2", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "for more than 0.2 s" in err or "takes more than 0.2 s" in err
    assert out == "2 golden tests, 1 failed\n"


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("args", [["test", "a.wat"], ["b.wat", "--passes=merge-nothing", "--verify-run=each"]])
def test_an_interrupt_ends_a_loop(tmp_path: Path, args: list[str]) -> None:
    (tmp_path / "a.wat").write_text(LOOPS.replace("--passes=", "--plugin=n.py --passes=merge-nothing"))
    (tmp_path / "b.wat").write_text('(module (func (export "test") (loop (br 0))))')
    plugin = (
        "import meld\nclass N(meld.Pass):\n    name = 'merge-nothing'\n    def run(self, module, cx):\n"
        "        open('begun', 'w').close()\n"
    )
    (tmp_path / "n.py").write_text(plugin)
    more = ["--plugin=n.py", "-o", "out.wasm"] if args[0] == "b.wat" else []
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "meld", *args, *more], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        while not (tmp_path / "begun").exists() and process.poll() is None:  # the interpreter may not have begun
            time.sleep(0.01)
        for _ in range(40):  # as a user would: again, until it ends
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGINT)
            time.sleep(0.25)
        assert process.wait(30) == 130
        assert process.stderr is not None and b"interrupted" in process.stderr.read()
    finally:
        process.kill()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.mark.parametrize(
    "body",
    ["raise KeyboardInterrupt", "type('C', (), {'c': type('D', (), {'__set_name__': lambda *_: stop()})()})"],
)
def test_an_interrupt_is_no_failure_of_a_command(tmp_path: Path, body: str) -> None:
    (tmp_path / "n.py").write_text(
        "import meld\ndef stop(): raise KeyboardInterrupt\nclass N(meld.Pass):\n    name = 'stops'\n"
        f"    def run(self, module, cx):\n        {body}\n"
    )
    (tmp_path / "a.wat").write_text(LOOPS.replace("--passes=", "--plugin=n.py --passes=stops"))
    with pytest.raises(KeyboardInterrupt):
        main(["test", str(tmp_path / "a.wat")])


def test_an_interrupt_that_python_loses(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), stoppable(5.0) as watch:
        with suppress(KeyboardInterrupt):  # as a finalizer does
            signal.raise_signal(signal.SIGINT)
        while not watch.interrupted:
            time.sleep(0.001)
