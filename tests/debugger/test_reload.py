"""`reload`: the session goes on with inputs and plugins as they are now, and loses nothing that was decided by hand."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from meld.debugger.reloading import reload
from meld.debugger.session import Session
from meld.debugger.shell import Shell
from meld.diagnostics import MeldError
from meld.driver import Options

PLUGIN = '''
from meld import Module, Pass, PassContext, option

class Bump(Pass):
    """Adds to constants."""
    name = "bump"
    by: int = option(OPTION)
    def run(self, module: Module, cx: PassContext) -> None:
        for function in module.functions:
            for i in function.instructions:
                if i.op == "i32.const" and cx.allows("add", function):
                    i.args = (i.args[0] + self.by * FACTOR,)
'''
MODULE = '(module (@meld.facts linked merged) (func $f (export "f") (result i32) (i32.const START)))'


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A module whose `f` gives 10, and a plugin that adds its option `by`, which is 1."""
    module, plugin = tmp_path / "m.wat", tmp_path / "bump.py"
    module.write_text(MODULE.replace("START", "10"))
    write(plugin)
    return module, plugin


def write(plugin: Path, factor: int = 1, option: int = 1, name: str = "bump") -> None:
    text = PLUGIN.replace("FACTOR", str(factor)).replace("OPTION", str(option))
    plugin.write_text(text.replace('"bump"', f'"{name}"'))


def opened(files: tuple[Path, Path], passes: str = "bump,bump,finish") -> Session:
    return Session.open([files[0]], Options(passes=passes, plugins=[str(files[1])]))


def value(session: Session) -> str:
    (found,) = session.execution(fresh=True).call("f")
    return str(found)


def test_a_plugin_that_was_edited(files: tuple[Path, Path]) -> None:
    session = opened(files)
    session.stop_at("finish")
    session.stop_at("$f")
    session.goto(2)
    assert value(session) == "12" and session.stale() == []
    write(files[1], factor=100)
    assert session.stale() == [str(files[1])]
    assert value(session) == "12"  # nothing changes unasked
    assert reload(session) == []
    assert (session.done, value(session), session.stale()) == (2, "210", [])
    assert [(b.number, b.text) for b in session.breakpoints] == [(1, "finish"), (2, "$f")]
    session.back()
    assert value(session) == "110"
    session.goto(3)
    assert value(session) == "210"


def test_an_input_that_was_edited(files: tuple[Path, Path]) -> None:
    session = opened(files)
    session.goto(1)
    files[0].write_text(MODULE.replace("START", "50"))
    assert reload(session) == [] and (session.done, value(session)) == (1, "51")


def test_inside_a_pass(files: tuple[Path, Path]) -> None:
    session = opened(files)
    session.goto(1)
    session.into(1)
    write(files[1], factor=100)
    assert reload(session) == []
    assert (session.done, session.rewrite, value(session)) == (1, 1, "110")
    files[1].write_text(files[1].read_text().replace(' and cx.allows("add", function)', ""))
    assert reload(session) == ["the session stands before the pass: `bump#2` makes no rewrites"]
    assert (session.done, session.rewrite) == (1, None)


def test_what_was_decided_by_hand_stays(files: tuple[Path, Path]) -> None:
    session = opened(files)
    session.set("bump", ["by=5"])  # the second one
    session.skip(["bump#1"])
    session.edit("(func $f (result i32) (i32.const 1000))", "f")
    session.goto(len(session.entries))
    assert value(session) == "1005"
    write(files[1], factor=2)
    files[0].write_text(MODULE.replace("START", "20"))
    assert reload(session) == []
    assert [(e.step.instance.spec(), e.skipped) for e in session.entries] == [
        ("edit f", False),
        ("bump", True),
        ("bump{by=5}", False),
        ("finish", False),
    ]
    assert value(session) == "1010"
    assert session.undo() == "edit f" and value(session) == "30"
    assert session.undo() == "skip bump#1" and value(session) == "32"
    assert session.undo() == "set bump by=5" and value(session) == "24"


def test_an_edit_of_the_whole_stands_for_what_came_before(files: tuple[Path, Path]) -> None:
    session = opened(files)
    session.edit(MODULE.replace("START", "7"))
    session.goto(2)
    write(files[1], factor=10)
    assert reload(session) == [] and value(session) == "17"  # no plugin stands before the edit
    files[0].write_text(MODULE.replace("START", "20"))
    (note,) = reload(session)
    assert "is dropped" in note
    session.goto(1)
    assert value(session) == "30"


def test_what_is_gone_is_said(files: tuple[Path, Path]) -> None:
    session = Session.open([files[0]], Options(plugins=[str(files[1])]))
    write(files[1], name="bump")
    files[1].write_text(files[1].read_text().replace('name = "bump"', 'name = "bump"\n    before = {"finish"}'))
    reload(session)
    labels = [entry.step.label for entry in session.entries]
    assert "bump" in labels
    session.stop_at("bump")
    session.goto(labels.index("bump") + 1)
    files[1].write_text(files[1].read_text().replace('name = "bump"', 'name = "rise"'))
    notes = reload(session)
    assert [note for note in notes if "breakpoint 1 waits: no pass is called `bump` now" in note]
    assert "there is no `bump` any more" in notes[0]
    assert session.label(session.done) == labels[labels.index("bump") - 1]


@pytest.mark.parametrize("text", ["def", "x = 1 / 0", "", "from meld import Pass"])
def test_a_plugin_that_does_not_load_changes_nothing(files: tuple[Path, Path], text: str) -> None:
    session = opened(files)
    session.goto(1)
    good = files[1].read_text()
    files[1].write_text(text)
    with pytest.raises(MeldError):
        reload(session)
    assert (session.done, value(session)) == (1, "11")
    session.goto(2)
    assert value(session) == "12"
    files[1].write_text(good.replace("self.by", "7"))
    reload(session)
    assert value(session) == "24"


def test_a_pass_that_fails_now_stops_there(files: tuple[Path, Path]) -> None:
    session = opened(files, "finish,bump")
    session.goto(2)
    write(files[1])
    files[1].write_text(files[1].read_text().replace("for i in", "1 / 0\n            for i in"))
    with pytest.raises(MeldError, match="ZeroDivisionError"):
        reload(session)
    assert (session.done, value(session)) == (1, "10")


def test_an_installed_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]) -> None:
    site = tmp_path / "site"
    (site / "bump_plugin-1.dist-info").mkdir(parents=True)
    (site / "bump_plugin-1.dist-info/entry_points.txt").write_text("[meld.passes]\nbump = bump_plugin.own:Bump\n")
    (site / "bump_plugin-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: bump-plugin\nVersion: 1\n")
    (site / "bump_plugin").mkdir()
    (site / "bump_plugin/__init__.py").write_text("")
    write(site / "bump_plugin/own.py")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    session = Session.open([files[0]], Options(passes="bump,finish"))
    session.goto(1)
    assert value(session) == "11"
    write(site / "bump_plugin/own.py", factor=1000)
    reload(session)
    assert value(session) == "1010"
    for name in [name for name in sys.modules if name.startswith("bump_plugin")]:
        del sys.modules[name]


def test_the_command(files: tuple[Path, Path]) -> None:
    session = opened(files)
    shell = Shell(session, out=io.StringIO(), err=io.StringIO())
    shell.perform_all("break finish; continue")
    write(files[1], factor=100)
    shell.perform_all("run f(); run f(); reload; run f(); reload; back; info")
    said = shell.out.getvalue()  # type: ignore[attr-defined]
    assert said.count(f"{files[1]} has changed: `reload` takes what is there now") == 1
    assert f"reloaded: {files[1]}\nafter 2. bump#2; next is finish\n210\n" in said
    assert "reloaded; no file has changed\n" in said
    assert "1  before finish, 1 hits" in said and shell.status == 0
    files[0].write_text("(module")
    shell.perform_all("reload; run f()")
    assert "the text ends before" in shell.err.getvalue()  # type: ignore[attr-defined]
    assert said[: said.index("reloaded")] in shell.out.getvalue()  # type: ignore[attr-defined]
    assert shell.status == 2 and session.done == 1
