"""`python -m meld` imports the package, the library and what is installed: no module of the current folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import meld

LIBRARY = ("__future__", "typing", "os", "re", "json", "argparse", "dataclasses", "mmap", "hashlib")
INSTALLED = ("rich", "wasmtime", "networkx", "lark")
MODULE = '(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))\
 (func (export "f") (canon lift (core func $i "f"))))'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with files that have the names of modules, and leave a mark when they are imported."""
    for name in (*LIBRARY, *INSTALLED, "meld_plugin_x"):
        (tmp_path / f"{name}.py").write_text(f"open('imported-{name}', 'w').close()\nraise SystemExit(77)\n")
    (tmp_path / "m.wat").write_text(MODULE)
    return tmp_path


@pytest.mark.parametrize("start", [["-m", "meld"], ["-mmeld"], ["-X", "utf8", "-m", "meld"]], ids=" ".join)
@pytest.mark.parametrize(
    "command",
    [["m.wat", "-o", "o.wasm", "--explain"], ["run", "m.wat", "--invoke", "f"], ["inspect", "m.wat"], ["--help"]],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("safe", ["", "1"], ids=["plain", "PYTHONSAFEPATH"])
def test_nothing_of_the_folder_is_imported(start: list[str], command: list[str], safe: str, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(meld.__file__).parents[1])}
    environment |= {"PYTHONSAFEPATH": safe} if safe else {}
    done = subprocess.run(
        [sys.executable, *start, *command], capture_output=True, text=True, cwd=folder, timeout=60, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert not list(folder.glob("imported-*"))


def test_others_keep_their_folder(folder: Path) -> None:
    """A program of somebody else that imports the package finds its own modules beside it."""
    (folder / "theirs.py").write_text("import meld\nimport beside\n")
    (folder / "beside.py").write_text("print('beside')\n")
    for name in (*LIBRARY, *INSTALLED):
        (folder / f"{name}.py").unlink()
    environment = {**os.environ, "PYTHONPATH": str(Path(meld.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "theirs"], capture_output=True, text=True, cwd=folder, timeout=60, env=environment
    )
    assert (done.returncode, done.stdout) == (0, "beside\n"), done.stderr
