"""docs/deploy.md: every command runs; those of tools that are not installed are skipped."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import answer, free_port

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
    wasm_tools = shutil.which("wasm-tools") or ROOT / ".venv/bin/wasm-tools"
    source, embedded = ROOT / "examples/serve", tmp_path / "embedded.wasm"
    for command in (
        ["embed", source / "server.wit", "--world", "server", source / "server.wat", "-o", embedded],
        ["new", embedded, "-o", tmp_path / "server.wasm"],
    ):
        subprocess.run([wasm_tools, "component", *command], check=True)
    return tmp_path


@pytest.mark.parametrize("block", BLOCKS, ids=[block.split("\n")[0] for block in BLOCKS])
def test_commands(block: str, place: Path) -> None:
    environment = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    missing = [tool for tool in needed(block) if shutil.which(tool) is None]
    if missing == ["wasm-opt"]:
        pytest.skip("needs wasm-opt")
    for command in block.strip().splitlines():
        if command.split()[0] in missing:
            break  # what follows needs what it would have written
        if "{port}" in command:
            serve(command, place, environment)
            continue
        done = subprocess.run(
            command, shell=True, cwd=place, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, (command, done.stderr)
        if "--invoke" in command or command.startswith("node"):
            assert json.loads(done.stdout) == ["hello, Ann", "hello, Bo"]
    if missing:
        pytest.skip(f"without {', '.join(missing)}, which is not on the path")


def serve(command: str, folder: Path, environment: dict[str, str]) -> None:
    """Starts a server, asks it, and ends it."""
    port = free_port()
    line = shlex.split(command.format(port=port))
    process = subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert [answer(port, who) for who in ("Ann", "Bo")] == ["hello, Ann", "hello, Bo"]
    finally:
        process.terminate()
        process.wait(20)


def needed(block: str) -> list[str]:
    """The tools that a block needs besides the compiler."""
    tools = {line.split()[0] for line in block.strip().splitlines()} - {"meldc"}
    return sorted(tools | ({"wasm-opt"} if "--optimize" in block else set()))


def test_there_are_commands() -> None:
    assert len(BLOCKS) > 3
