"""The table of features: each of our cells names tests, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEATURES = (ROOT / "docs/features.md").read_text()


def rows() -> list[list[str]]:
    """The rows of all tables, heads and rulers left out."""
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in FEATURES.splitlines() if line.startswith("|")]
    return [row for row in cells if row[0].strip() and not row[0].startswith("---")]


def names_in(path: Path) -> set[str]:
    """The tests in a file, those of classes as ``Class::test``."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{f.name}" for f in node.body if isinstance(f, ast.FunctionDef)}
    return {name for name in found if name.rpartition("::")[2].startswith("test")}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0].strip()[:40])
def test_each_of_our_cells_names_tests(row: list[str]) -> None:
    assert len(row) == 6
    ours = row[1].strip()
    named = re.findall(r"`([\w/]+\.py)(?:::([\w:]+))?`", ours)
    assert ours.startswith("✓") and named
    for file, test in named:
        known = names_in(ROOT / "tests" / file)
        assert test in known if test else known


def test_there_are_rows() -> None:
    assert len(rows()) > 20
