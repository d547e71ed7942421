"""The guide to passes, followed to the letter: its commands run, its files work, and the example is what it yields."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.commands.test_cli import STREAM

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/passes.md").read_text()
EXAMPLE = ROOT / "examples/mul-to-shift"
BLOCK = re.compile(
    r"(?:[Ii]n\s`(?P<path>[^`]+)`(?P<more>[^`]*?):\n\n)?```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL
)


def shell(code: str, folder: Path, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the lines of a block with `meldc` and `pytest` of this environment."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    env["PYTHONPATH"] = os.pathsep.join(map(str, [*([site] if site else []), ROOT]))
    env["PYTEST_ADDOPTS"] = "-p no:xdist -p no:cacheprovider"
    code = f"exec 2>&1; cd '{folder}'\n{code}\ncode=$?; pwd > '{folder}/.pwd'; exit $code"
    return subprocess.run(["sh", "-c", code], capture_output=True, text=True, timeout=300, env=env)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that the guide yields. What the guide says is printed was compared."""
    start = folder = tmp_path_factory.mktemp("guide")
    said = ""
    for match in BLOCK.finditer(GUIDE):
        code, path = match["code"], match["path"]
        match match["language"]:
            case "sh":
                done = shell(code, folder)
                said, code_of = done.stdout, done.returncode
                assert code_of in (0, 1), said
                place = folder / ".pwd"
                folder = Path(place.read_text().strip())
                place.unlink()
            case "text":
                assert sorted(said.splitlines()) == sorted(code.splitlines())
            case "python" if code.startswith(" "):
                pass_file = folder / "meld_mul_to_shift/__init__.py"
                text = pass_file.read_text()
                anchor = '    requires = frozenset({"merged"})\n'
                assert anchor in text
                pass_file.write_text(text.replace(anchor, anchor + code))
            case "python" | "wat":
                assert path is not None
                (folder / path).write_text(code)
            case "console" | "toml":
                pass
            case other:
                raise AssertionError(other)
    assert folder.parent == start
    return folder


def test_the_example_is_what_the_guide_yields(followed: Path) -> None:
    def files(folder: Path) -> dict[str, str]:
        found = (p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        return {str(p.relative_to(folder)): p.read_text() for p in found}

    assert files(EXAMPLE) == files(followed)


def installed(site: Path, folder: Path, more: str = "") -> Path:
    """Puts a package where it is found, as an installer would, with further entry points."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    (package,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    shutil.copytree(folder / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    info = site / f"{package}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['project']['name']}\nVersion: 0.1.0\n")
    entries = project["project"]["entry-points"]["meld.passes"]
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[meld.passes]\n{lines}{more}")
    return site


def test_the_example_installed(tmp_path: Path) -> None:
    """It is listed, described, and part of the default pipeline; the program still does what it did."""
    site = installed(tmp_path, EXAMPLE)
    assert "mul-to-shift (plugin)" in shell("COLUMNS=200 meldc passes", tmp_path, site).stdout
    assert "the largest shift that is used" in shell("meldc passes mul-to-shift", tmp_path, site).stdout
    plan = shell(f"meldc plan {' '.join(STREAM)}", tmp_path, site).stdout
    assert "mul-to-shift" in plan
    assert "finish" in plan[plan.index("mul-to-shift") :]
    done = shell(f"meldc {' '.join(STREAM)} -o fused.wasm && meldc run fused.wasm --invoke c_get 7", tmp_path, site)
    assert done.stdout.splitlines()[-1] == "0", done.stdout


BROKEN = {
    "raises": "raise RuntimeError('broken')",
    "imports": "import no_such_module",
    "malformed": "def",
    "other": "Pass = 3",
    "exits": "import sys; sys.exit(3)",
}


def test_broken_packages_beside_it_harm_nothing(tmp_path: Path) -> None:
    """Whoever does not use them gets remarks; whoever names one gets an error; the other plugin works."""
    site = installed(tmp_path, EXAMPLE, "".join(f"{name} = broken_{name}:Pass\n" for name in BROKEN))
    for name, code in BROKEN.items():
        (site / f"broken_{name}.py").write_text(code + "\n")
    done = shell(f"meldc {' '.join(STREAM)} -o fused.wasm && meldc run fused.wasm --invoke c_get 7", tmp_path, site)
    assert done.returncode == 0, done.stdout
    for name in BROKEN:
        assert f"remark: plugins: plugin pass `{name}` (broken_{name}:Pass)" in done.stdout
        named = shell(f"meldc passes {name}", tmp_path, site)
        assert named.returncode == 2, named.stdout
        assert named.stdout.startswith(f"meldc: error: plugin pass `{name}`")
    listed = shell("COLUMNS=200 meldc passes", tmp_path, site)
    assert (listed.returncode, "mul-to-shift (plugin)" in listed.stdout) == (0, True)
    assert "1 golden test, 0 failed" in shell(f"meldc test {EXAMPLE}/tests/mul-to-shift.wat", tmp_path, site).stdout
