"""A replay asks: nothing that only the file names is run unless the user allows it, and a wrong digest is an error."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from measured import forked

MODULE = '(module (@meld.facts linked merged) (func (export "test")))'
PLUGIN = """
from pathlib import Path
from meld import Module, Pass, PassContext
Path("plugin-ran").touch()

class Quiet(Pass):
    name = "quiet"
    def run(self, module: Module, cx: PassContext) -> None: ...
"""


def replay(folder: Path, *rows: str, options: tuple[str, ...] = ()) -> tuple[int, str]:
    """Replays a file whose comments are `rows`; the exit code and what is said."""
    head = [";; anything", *(f";; @{row}" for row in rows), ";; @version 0.1.0"]
    (folder / "r.wat").write_text("\n".join([*head, MODULE]))
    done = forked("replay", "r.wat", *options, cwd=folder)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def digest(tmp_path: Path) -> str:
    """That of the plugin `quiet.py` in the folder."""
    (tmp_path / "quiet.py").write_text(PLUGIN)
    return hashlib.sha256(PLUGIN.encode()).hexdigest()


@pytest.mark.parametrize("message", [["message it fails"], []], ids=["reproducer", "saved"])
def test_a_command_is_run_only_where_it_is_allowed(message: list[str], tmp_path: Path) -> None:
    rows = [*message, "pass finish", "verify-run touch command-ran"]
    code, said = replay(tmp_path, *rows)
    assert (code, (tmp_path / "command-ran").exists()) == (2, False)
    assert "touch command-ran" in said and "--allow-commands" in said
    replay(tmp_path, *rows, options=("--allow-commands",))
    assert (tmp_path / "command-ran").exists()


def test_exports_of_the_program_are_no_commands(tmp_path: Path) -> None:
    code, said = replay(tmp_path, "message it fails", "pass merge", "verify-run ")
    assert "--allow-commands" not in said, said
    assert code in (1, 2)


def test_a_plugin_is_loaded_only_where_it_is_allowed(digest: str, tmp_path: Path) -> None:
    rows = ["message it fails", "pass quiet", f"plugin quiet.py {digest}"]
    code, said = replay(tmp_path, *rows)
    assert (code, (tmp_path / "plugin-ran").exists()) == (2, False)
    assert "quiet.py" in said and "--allow-commands" in said
    code, said = replay(tmp_path, *rows, options=("--allow-commands",))
    assert (code, (tmp_path / "plugin-ran").exists()) == (1, True), said
    assert "does not fail" in said


@pytest.mark.parametrize("wrong", ["0" * 64, "''"], ids=["another", "none"])
def test_a_wrong_digest_is_an_error(wrong: str, digest: str, tmp_path: Path) -> None:
    code, said = replay(tmp_path, "pass quiet", f"plugin quiet.py {wrong}", options=("--allow-commands",))
    assert (code, (tmp_path / "plugin-ran").exists()) == (2, False)
    assert "has changed since" in said and digest not in said


def test_what_the_user_names_needs_no_leave(digest: str, tmp_path: Path) -> None:
    """`--plugin` replaces the plugins of the file; the command of the file is still the file's."""
    (tmp_path / "mine.py").write_text(PLUGIN.replace("plugin-ran", "mine-ran"))
    rows = ["message it fails", "pass quiet", f"plugin quiet.py {digest}"]
    code, said = replay(tmp_path, *rows, options=("--plugin=mine.py",))
    assert (code, (tmp_path / "mine-ran").exists(), (tmp_path / "plugin-ran").exists()) == (1, True, False), said
    assert "not those with which it failed" in said
    code, said = replay(tmp_path, *rows, "verify-run touch command-ran", options=("--plugin=mine.py",))
    assert (code, (tmp_path / "command-ran").exists()) == (2, False)


def test_what_it_would_run_is_shown_as_text(tmp_path: Path) -> None:
    code, said = replay(tmp_path, "pass finish", "verify-run touch \x1b[8mhidden\x1b[0m")
    assert code == 2 and "\x1b" not in said and "hidden" in said
