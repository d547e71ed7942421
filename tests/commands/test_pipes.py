"""`-` is standard input and standard output, in every command that reads or writes programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WAT = '(module (func (export "f") (result i32) (i32.const 7)))'


def meldc(*args: str, data: bytes, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "meld", *args], input=data, capture_output=True, cwd=cwd)


def test_compile(tmp_path: Path) -> None:
    done = meldc("-", "--passes=", "-o", "-", data=WAT.encode(), cwd=tmp_path)
    assert (done.returncode, done.stdout[:4]) == (0, b"\0asm"), done.stderr
    text = meldc("-", "--passes=", "-o", "-", "--emit=wat", data=done.stdout, cwd=tmp_path)
    assert text.stdout.startswith(b"(module\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "-", "--invoke", "f"], b"7\n"),
        (["check", "-"], b""),
        (["fmt", "-"], b"(module\n"),
        (["inspect", "-", "--json"], b"{\n"),
        (["bisect", "-", "--passes="], b""),
    ],
)
def test_commands(tmp_path: Path, args: list[str], said: bytes) -> None:
    done = meldc(*args, data=WAT.encode(), cwd=tmp_path)
    assert done.stdout.startswith(said)
    assert b"no such file" not in done.stderr and b"internal error" not in done.stderr


def test_nothing_comes(tmp_path: Path) -> None:
    done = meldc("-", data=b"", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, b"meldc: error: the standard input is empty\n")


def test_tables_are_not_cut_where_nobody_looks(tmp_path: Path) -> None:
    """Without a terminal a table is as wide as it takes; JSON says the same."""
    clean = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    command = [sys.executable, "-m", "meld", "passes"]
    text = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=clean).stdout
    rows = json.loads(subprocess.run([*command, "--format=json"], capture_output=True, text=True, cwd=tmp_path).stdout)
    assert {"link", "merge", "finish"} <= {row["name"] for row in rows}
    for row in rows:
        assert row["summary"] in text


@pytest.mark.parametrize("command", ["inspect", "run", "check"])
def test_a_pipe_is_read_once(tmp_path: Path, command: str) -> None:
    """As the shell has it for `<(COMMAND)`."""
    pipe, writes = os.pipe()
    os.write(writes, WAT.encode())
    os.close(writes)
    args = [sys.executable, "-m", "meld", command, f"/dev/fd/{pipe}"]
    done = subprocess.run(args, capture_output=True, cwd=tmp_path, pass_fds=[pipe], timeout=60)
    os.close(pipe)
    assert (done.returncode, done.stderr) == (0, b"")


CLOSED = [
    ("inspect -", "<&-", 2, "standard input: cannot read"),
    ("fmt -", "<&-", 2, "standard input: cannot read"),
    ("inspect m.wat", ">&-", 2, "standard output: "),
    ("check m.wat", ">&-", 0, ""),
    ("check m.wat", "<&- >&- 2>&-", 0, ""),
]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes descriptors")
@pytest.mark.parametrize(("command", "closing", "code", "said"), CLOSED)
def test_streams_that_the_caller_has_closed(tmp_path: Path, command: str, closing: str, code: int, said: str) -> None:
    """They fail where they are used, as in other programs."""
    (tmp_path / "m.wat").write_text(WAT)
    line = f'"{sys.executable}" -m meld {command} {closing}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert done.returncode == code
    assert said in done.stderr and "internal error" not in done.stderr


def test_no_regular_file_is_formatted_in_place(tmp_path: Path) -> None:
    done = meldc("fmt", os.devnull, data=b"", cwd=tmp_path)
    assert done.returncode == 2
    assert b"changed in place" in done.stderr and b"meldc fmt - <" in done.stderr


ODD = [
    (b"(module\x0b(func))", b"1:8: unexpected character"),
    ("(module (func nop\u2713))".encode(), b"1:18: unexpected character"),
    ("(module)".encode("utf-16"), b"it looks like UTF-16"),
    (b'(module (func (export "\xff")))', b"hint: save it as UTF-8"),
    (bytes(range(256)), b"neither a WebAssembly binary nor UTF-8 text\n"),
]


@pytest.mark.parametrize(("data", "said"), ODD)
def test_what_is_no_text(tmp_path: Path, data: bytes, said: bytes) -> None:
    done = meldc("fmt", "-", data=data, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr


def test_a_journal_comes_through_a_pipe(tmp_path: Path) -> None:
    text = f"(component (core module $m {WAT[8:-1]}) (core instance $i (instantiate $m)))"
    assert meldc("-", "--journal=run.json", "-o", "m.wasm", data=text.encode(), cwd=tmp_path).returncode == 0
    journal = (tmp_path / "run.json").read_bytes()
    done = meldc("diff", "-", "merge", data=journal, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == meldc("diff", "run.json", "merge", data=b"", cwd=tmp_path).stdout
    cut = meldc("diff", "-", "merge", data=journal[:99], cwd=tmp_path)
    assert (cut.returncode, cut.stderr.split(b"\n")[0]) == (2, b"meldc: error: -: is not a journal")
