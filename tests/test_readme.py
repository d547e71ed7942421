"""What the README says can be done, done."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def run(words: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command of this environment; `meldc` is the package that is being tested."""
    command = [sys.executable, "-m", "meld"] if words[0] == "meldc" else [str(BIN / words[0])]
    return subprocess.run([*command, *words[1:]], cwd=directory, capture_output=True, text=True, check=False)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the two components are, as binaries, and two more under the names that the README uses."""
    for name, other in (
        ("stream/producer", "a"),
        ("stream/consumer", "b"),
        ("greet/crowd", "c"),
        ("greet/greeter", "d"),
    ):
        text = ROOT / "examples" / f"{name}.wat"
        binary = tmp_path / f"{text.stem}.wasm"
        assert run(["wasm-tools", "parse", str(text), "-o", str(binary)], tmp_path).returncode == 0
        (tmp_path / f"{other}.wasm").write_bytes(binary.read_bytes())
    return tmp_path


def test_the_commands(directory: Path) -> None:
    commands = [shlex.split(line.partition(" #")[0]) for block in blocks("sh") for line in block.splitlines()]
    ours = [words for words in commands if words and words[0] == "meldc"]
    assert len(ours) == 3
    fuse, explain, call = (run(words, directory) for words in ours)
    assert (fuse.returncode, explain.returncode, call.returncode) == (0, 0, 0), fuse.stderr + explain.stderr
    ends = run(["meldc", "run", "fused.wasm", "--invoke", "p_new"], directory)
    assert re.fullmatch(r"-?\d+\n", ends.stdout), "the ends of a stream"
    assert explain.stdout.startswith("(module") and "bridged" in explain.stderr
    assert call.stdout == '["hello, Ann"]\n'


def test_the_pass(directory: Path) -> None:
    (code,) = blocks("python")
    (directory / "count_calls.py").write_text(code)
    words = ["meldc", "a.wasm", "b.wasm", "--plugin=count_calls.py", "-o", "fused.wasm"]
    assert " ".join(words) in code
    done = run(words, directory)
    assert done.returncode == 0, done.stderr
    described = run(["meldc", "passes", "count-calls", "--plugin=count_calls.py"], directory)
    assert "Count the calls of each function" in described.stdout


def test_a_dump_can_be_compiled_on(directory: Path) -> None:
    dumping = "meldc producer.wasm consumer.wasm --dump-after=all --dump-dir=dumps -o straight.wasm"
    assert run(dumping.split(), directory).returncode == 0
    (command,) = re.findall(r"`(meldc dumps/.*?)`", README)
    done = run(command.split(), directory)
    assert done.returncode == 0, done.stderr
    assert (directory / "fused.wasm").read_bytes() == (directory / "straight.wasm").read_bytes()


def test_the_demonstration() -> None:
    done = run([str(sys.executable), str(ROOT / "examples" / "stream" / "demo.py")], ROOT)
    assert done.returncode == 0, done.stderr
    assert "1,048,576" in done.stdout and "producer" in done.stdout
