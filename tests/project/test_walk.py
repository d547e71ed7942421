"""The walk through the compiler names functions that exist, in the rooms where it says they are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEPS = re.findall(
    r"^\| .* \| (\w+) \| `([\w/]+\.(?:py|wat)):([$\w.]+)` \|$", (ROOT / "docs/walk.md").read_text(), re.M
)


def defined(path: Path) -> set[str]:
    """The functions and classes of a file, methods as ``Class.method``; of WAT, the functions."""
    text = path.read_text()
    if path.suffix == ".wat":
        return set(re.findall(r"\(func (\$[\w.]+)", text))
    found: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


def test_every_row_is_a_step() -> None:
    rows = [line for line in (ROOT / "docs/walk.md").read_text().splitlines() if line.startswith("| ")]
    headings = sum(row == "| step | room | function |" for row in rows)
    assert len(rows) - headings == len(STEPS) > 50


@pytest.mark.parametrize(("room", "path", "name"), STEPS, ids=lambda part: part)
def test_a_step_exists(room: str, path: str, name: str) -> None:
    assert name in defined(ROOT / path)
    assert Path(path).with_suffix("").parts[1] == room


def test_what_does_not_exist_is_seen() -> None:
    assert "main" in defined(ROOT / "meld/cli.py")
    assert "principal" not in defined(ROOT / "meld/cli.py")
    assert "$end_copied" not in defined(ROOT / "meld/passes/emit_tasks/channels.wat")
