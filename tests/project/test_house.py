"""The layout of the compiler keeps its rules; and each rule is seen to fail where it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from house import LINES, RULES, SPINE, House, circles, few, long, loose, named, no_passes, passes_apart, upward

import meld

PACKAGE = Path(meld.__file__).parent


@pytest.fixture(scope="module")
def ours() -> House:
    return House(PACKAGE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_compiler_keeps_the_rule(rule: object, ours: House) -> None:
    assert callable(rule)
    assert rule(ours) == []


def test_the_spine_has_each_room_once() -> None:
    rooms = [name for names in SPINE for name in names]
    assert len(rooms) == len(set(rooms))


def test_every_module_of_notes_is_registered() -> None:
    """A note that no module imports is read as an annotation that nobody knows."""
    from meld.ir.notes import NOTES
    from meld.text.reading.notes import load_notes

    load_notes()
    modules = {f"meld.notes.{path.stem}" for path in (PACKAGE / "notes").glob("*.py") if "@note(" in path.read_text()}
    assert modules <= {cls.__module__ for cls in NOTES.values()}


def house(folder: Path, files: dict[str, str]) -> House:
    """A package of the given files."""
    package = folder / "meld"
    for name, text in {"__init__.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for parent in path.relative_to(package).parents:
            (package / parent / "__init__.py").touch()
    return House(package)


SOUND = {
    "ir/module.py": "from meld.diagnostics import MeldError",
    "diagnostics/__init__.py": "class MeldError(Exception): ...",
    "text/printing.py": "from meld.ir import module",
    "passes/base.py": "from meld.ir.module import MeldError",
    "passes/merge/__init__.py": "from meld.passes.base import MeldError\nfrom meld.passes.merge import values",
    "passes/merge/values.py": "def late():\n    from meld.text.printing import module",
}


def test_a_sound_house_keeps_all_rules(tmp_path: Path) -> None:
    assert [found for rule in RULES for found in rule(house(tmp_path, SOUND))] == []


BROKEN = [
    (upward, {"binary/cursor.py": "from meld.text import printing"}, "binary.cursor:1 imports text.printing"),
    (upward, {"ir/late.py": "def f():\n    from meld.text import printing"}, "ir.late:2 imports text.printing"),
    (upward, {"support/typed.py": "if TYPE_CHECKING:\n    import meld.ir.module"}, "support.typed:2 imports ir.module"),
    (upward, {"faults/judge.py": "from meld import cli", "cli.py": ""}, "faults.judge:1 imports cli"),
    (upward, {"text/api.py": "import meld"}, "text.api:1 imports __init__"),
    (upward, {"binary/abi.py": "import meld.abi", "abi/__init__.py": ""}, "binary.abi:1 imports abi"),
    (upward, {"cellar/wine.py": ""}, "the spine lacks `cellar`"),
    (
        passes_apart,
        {"passes/wrap.py": "from meld.passes.merge import values"},
        "passes.wrap:1 imports passes.merge.values",
    ),
    (passes_apart, {"passes/link.py": "import meld.passes.merge"}, "passes.link:1 imports passes.merge"),
    (few, {"ir/leb.py": "import meld.binary", "binary/__init__.py": ""}, "ir.leb:1 imports binary"),
    (few, {"notes/links.py": "from meld.text import printing"}, "notes.links:1 imports text.printing"),
    (no_passes, {"text/notes.py": "def f():\n    import meld.passes.merge"}, "text.notes:2 imports passes.merge"),
    (no_passes, {"binary/notes.py": "from meld.passes import base"}, "binary.notes:1 imports passes.base"),
    (circles, {"ir/a.py": "from meld.ir import b", "ir/b.py": "def f():\n    import meld.ir.a"}, "ir.a ↔ ir.b"),
    (named, {"driver.py": 'PASS = "meld.passes.merge"'}, "driver:1 names 'meld.passes.merge'"),
    (named, {"driver.py": 'PASS = "meld.passes.merge:Merge"'}, "driver:1 names 'meld.passes.merge:Merge'"),
    (long, {"ir/long.py": "x = 1\n" * (LINES + 1)}, f"ir.long has {LINES + 1} lines"),
    (
        loose,
        {f"{name}.py": "" for name in ("driver", "files", "cli", "version", "passmanager", "a", "b")},
        "8 loose files: __init__, a, b, cli, driver, files, passmanager, version",
    ),
]


@pytest.mark.parametrize(("rule", "files", "found"), BROKEN, ids=[f"{r.__name__}: {f}" for r, _, f in BROKEN])
def test_a_broken_rule_is_seen(rule: object, files: dict[str, str], found: str, tmp_path: Path) -> None:
    assert callable(rule)
    assert found in rule(house(tmp_path, SOUND | files))


def test_the_circles_that_are_in_the_data_are_allowed(tmp_path: Path) -> None:
    made = house(
        tmp_path,
        {"journal/__init__.py": "def f():\n    import meld.journal.file", "journal/file.py": "import meld.journal"},
    )
    assert circles(made) == []


def test_registries_may_name_modules(tmp_path: Path) -> None:
    made = house(tmp_path, SOUND | {"passes/__init__.py": 'PASSES = {"merge": "meld.passes.merge:Merge"}'})
    assert named(made) == []
