"""What the README says can be done, done."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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


def test_the_first_hour(tmp_path: Path) -> None:
    """Every command of the README, in a directory with the examples of the checkout."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    commands = [shlex.split(line.partition(" #")[0]) for block in blocks("sh") for line in block.splitlines()]
    done = {" ".join(words): run(words, tmp_path) for words in commands if words and words[0] == "meldc"}
    assert len(done) == 11
    assert {words: one.returncode for words, one in done.items()} == dict.fromkeys(done, 0), list(done.values())
    said = {words: one.stdout for words, one in done.items()}
    assert re.fullmatch(r"-?\d+\n", said["meldc run fused.wasm --invoke p_new"]), "the ends of a stream"
    assert [text for words, text in said.items() if "welcome" in words] == ['["hello, Ann"]\n'] * 2
    (explain,) = (one for words, one in done.items() if "--explain" in words)
    assert "rendezvous" in explain.stdout + explain.stderr
    assert (tmp_path / "run.html").read_text().startswith("<!")


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


@pytest.mark.parametrize(("example", "said"), [("stream", "1,048,576"), ("async", "4,400,000")])
def test_the_demonstration(example: str, said: str) -> None:
    done = run([str(sys.executable), str(ROOT / "examples" / example / "demo.py")], ROOT)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout and "producer" in done.stdout
