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
