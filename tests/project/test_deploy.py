"""docs/deploy.md: every command runs; those of tools that are not installed are skipped."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/deploy.md").read_text(), re.S)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the example's components, and `meldc` on the path."""
    for name in ("crowd", "greeter"):
        shutil.copy(ROOT / f"examples/greet/{name}.wat", tmp_path)
    tool = tmp_path / "bin/meldc"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m meld "$@"\n')
    tool.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("block", BLOCKS, ids=[block.split("\n")[0] for block in BLOCKS])
def test_commands(block: str, place: Path) -> None:
    environment = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    missing = [tool for tool in needed(block) if shutil.which(tool) is None]
    if missing == ["wasm-opt"]:
        pytest.skip("needs wasm-opt")
    for command in block.strip().splitlines():
        if command.split()[0] in missing:
            continue
        done = subprocess.run(
            command, shell=True, cwd=place, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, (command, done.stderr)
        if "--invoke" in command:
            assert done.stdout.strip() == '["hello, Ann", "hello, Bo"]'
    if missing:
        pytest.skip(f"without {', '.join(missing)}, which is not on the path")


def needed(block: str) -> list[str]:
    """The tools that a block needs besides the compiler."""
    tools = {line.split()[0] for line in block.strip().splitlines()} - {"meldc"}
    return sorted(tools | ({"wasm-opt"} if "--optimize" in block else set()))


def test_there_are_commands() -> None:
    assert len(BLOCKS) > 3
