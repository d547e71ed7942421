"""The commands of docs/transcript.md do what it says.

What takes long, up to where the program is small, runs with MELD_REDUCE; otherwise that program is taken from the page.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/transcript.md"
SHOP = ROOT / "../shared/fixtures/shop"
SMALL = "cat small.wat"
LEFT_OUT = "[…]"


def steps() -> list[tuple[str, list[str]]]:
    """The commands of the page, with the lines of their outputs."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def agree(shown: list[str], said: list[str]) -> bool:
    """Whether an output is what is shown: lines between two that are left out stand together."""
    pattern = "".join("(?:.*\n)*?" if line == LEFT_OUT else f"{re.escape(line)}\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in said)) is not None


@pytest.mark.skipif(not SHOP.is_dir(), reason="needs ../shared/fixtures")
def test_the_session(tmp_path: Path) -> None:
    for name in ("consumer", "provider"):
        shutil.copy(SHOP / f"{name}.wasm", tmp_path)
    plugin = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert plugin is not None
    (tmp_path / "constants_last.py").write_text(plugin[1])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "120"}
    todo = steps()
    small = next(number for number, (command, _) in enumerate(todo) if command == SMALL)
    if "MELD_REDUCE" not in os.environ:
        (tmp_path / "small.wat").write_text("\n".join(todo[small][1]) + "\n")
        todo = todo[small:]
    for command, shown in todo:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert agree(timeless(shown), timeless(done.stdout.splitlines())), (command, done.stdout)


def timeless(lines: list[str]) -> list[str]:
    """Without what depends on how fast the machine is: how far `reduce` is by then, long checks."""
    kept = [line for line in lines if not line.startswith("remark: verify:")]
    return [LEFT_OUT if re.match(r" *\d+\.\d s  ", line) else line for line in kept]


def test_what_agrees() -> None:
    assert agree(["a", LEFT_OUT, "c"], ["a", "b", "b", "c"]) and agree([LEFT_OUT, "c"], ["c"])
    assert not agree(["a", "c"], ["a", "b", "c"]) and not agree(["a", LEFT_OUT], ["b", "a"])
