"""`meldc debug` as somebody at a terminal sees it, and as a script."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import Terminal

from meld.cli import main
from meld.debugger.session import Session
from meld.debugger.shell import Shell, all_commands
from meld.driver import Options
from meld.files import encode
from meld.ir.component import Component
from meld.passes import Registry
from meld.passmanager import plan_default

ROOT = Path(__file__).parents[2]
GREET = [str(ROOT / "examples/greet" / f"{name}.wat") for name in ("crowd", "greeter")]
STEPS = len(plan_default(Component(), Registry()).steps)
STREAM = [str(ROOT / "examples/stream" / f"{name}.wat") for name in ("producer", "consumer")]


def editor(directory: Path, code: str) -> str:
    """A command for $EDITOR: Python code that has the text as `text` and its number as `turn`, and sets `text`."""
    script = directory / "editor.py"
    script.write_text(f"""\
import sys, pathlib
file = pathlib.Path(sys.argv[1])
turns = pathlib.Path({str(directory / "turns")!r})
turn = int(turns.read_text()) + 1 if turns.exists() else 1
turns.write_text(str(turn))
text = file.read_text()
{code}
file.write_text(text)
""")
    return f"{sys.executable} {script}"


def debug(*args: str | Path, stdin: str = "", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "meld", "debug", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, input=stdin, cwd=cwd)


def said(inputs: list[str], commands: str) -> tuple[int, str, str]:
    """What a script makes of it: exit code, answers, errors."""
    shell = Shell(Session.open(inputs, Options()), io.StringIO(), io.StringIO())
    shell.perform_all(commands)
    assert isinstance(shell.out, io.StringIO) and isinstance(shell.err, io.StringIO)
    return shell.status, shell.out.getvalue(), shell.err.getvalue()


def session(*args: str, cwd: Path, **env: str) -> Terminal:
    return Terminal("debug", *args, cwd=cwd, env={"XDG_STATE_HOME": str(cwd / "state"), **env})


def test_a_session(tmp_path: Path) -> None:
    """Break, step, back, edit, run, save, and go on from what was saved."""
    changes = editor(tmp_path, 'text = text.replace("i32.const 7", "i32.const 6")')
    with session(*GREET, cwd=tmp_path, EDITOR=changes, VISUAL="") as terminal:
        assert f"{STEPS} steps" in terminal.text
        assert terminal.command("break adapter-wiring") == "breakpoint 1  before adapter-wiring"
        assert terminal.command("continue").endswith("stopped before adapter-wiring (breakpoint 1)")
        assert terminal.text.endswith("(8 emit-tasks)")
        assert terminal.command('run welcome(["Ann"])') == '["hello, Ann"]'
        assert "inside adapter-wiring, before rewrite 1: wire crowd/greeter/greet" in terminal.command("into")
        assert terminal.text.endswith("(9 adapter-wiring:1)")
        assert "called directly: 0" in terminal.command("step")
        shown = terminal.command("diff *welcome")
        assert "-        call $crowd/greeter/greet\n" in shown
        assert "+        call $crowd/greeter/greet.adapter\n" in shown
        plus = next(y for y, line in enumerate(terminal.screen.display) if line.startswith("+        call"))
        assert terminal.screen.buffer[plus][0].fg == "green"
        assert terminal.command("back") == "after 8. emit-tasks; next is adapter-wiring"
        assert terminal.command("edit greeter/greet") == "9. edit greeter/greet  edited"
        assert "+    i32.const 6" in terminal.command("diff")
        assert terminal.command('run welcome(["Ann"])') == '["hello,Ann"]'
        assert "→  9. edit greeter/greet" in terminal.command("where")
        assert terminal.command("save here.wat") == "to go on: meldc replay here.wat -o out.wasm"
        assert "all steps have run" in terminal.command("continue")
        assert terminal.command('run welcome(["Ann", "Bo"])') == '["hello,Ann", "hello,Bo"]'
        assert terminal.command("goto merge") == "after 2. merge; next is detect-pairs"
        assert terminal.command('run welcome(["Ann"])') == '["hello, Ann"]'
        assert terminal.command("undo").startswith("undone: edit greeter/greet")
        terminal.type("quit\r")
        assert terminal.end() == 0
    command = (tmp_path / "here.wat").read_text().splitlines()[0].partition("meldc ")[2]
    assert main_in(tmp_path, command.replace("out.wasm", "out.wat")) == 0
    with session("out.wat", "--passes=", cwd=tmp_path) as terminal:
        assert terminal.command('run welcome(["Ann"])') == '["hello,Ann"]'


def main_in(directory: Path, command: str) -> int:
    """Runs `meldc` there, and returns its exit code."""
    return subprocess.run([sys.executable, "-m", "meld", *shlex.split(command)], cwd=directory).returncode


def test_a_wrong_edit_is_shown_and_edited_again(tmp_path: Path) -> None:
    code = """
match turn:
    case 1: text = text.replace("i32.const 7", "i32.cnst 7", 1)
    case 2: text = text.replace("i32.cnst 7", "i64.const 7", 1)
    case 3: text = text.replace("i64.const 7", "i32.const 0", 1)
"""
    with session(*GREET, cwd=tmp_path, VISUAL=editor(tmp_path, code)) as terminal:
        terminal.command("goto merge")
        terminal.screen.reset()
        terminal.type("edit greeter/greet\r")
        shown = terminal.showing("edit again or discard it? [ed]")
        assert "unknown instruction `i32.cnst`" in shown
        assert "\n" + " " * 2 + "^^^^^^^^" in shown.replace("    ^", "  ^"), shown
        assert "did you mean `i32.const`" in shown
        terminal.type("e\r")
        assert "type mismatch" in terminal.showing("edit again, keep it, or discard it? [ekd]")
        terminal.type("e\r")
        terminal.wait(Terminal.is_ready)
        assert "3. edit greeter/greet  edited" in terminal.text
        assert terminal.command("edit greeter/greet") == "nothing was changed"


def test_interrupts(tmp_path: Path) -> None:
    """Ctrl-C stops what runs, be it the program or a pass, and takes back a line; the session goes on."""
    source = tmp_path / "m.wat"
    source.write_text('(module (func (export "spin") (loop (br 0))) (func (export "f") (result i32) i32.const 7))')
    plugin = tmp_path / "slow.py"
    plugin.write_text(
        "from meld import Module, Pass\nclass Slow(Pass):\n    name = 'slow'\n"
        "    def run(self, module, cx):\n        module.functions.clear()\n        print('begun')\n"
        "        while True: pass\n"
    )
    with session(str(source), f"--plugin={plugin}", "--passes=slow", cwd=tmp_path) as terminal:
        for command, sign in (("run spin", ""), ("step", "begun")):
            terminal.screen.reset()
            terminal.type(command + "\r")
            terminal.showing(sign or command)
            terminal.type("\x03")
            assert "interrupted" in terminal.wait(Terminal.is_ready)
            assert terminal.command("run f") == "7"
        terminal.type("nonsense\x03")
        terminal.wait(Terminal.is_ready)
        assert terminal.command("run f()") == "7"
        terminal.type("\x04")
        assert terminal.end() == 0


def test_completion_and_history(tmp_path: Path) -> None:
    (tmp_path / "status.wat").touch()
    with session(*STREAM, cwd=tmp_path) as terminal:
        terminal.command("goto 3")
        for keys, line in (
            ("tbr\t", "tbreak "),
            ("emit-b\t", "tbreak emit-bridge"),
            ("print *x\x15print $producer/stream_wri\t", "print $producer/stream_write"),
            ("\x15run c_g\t", "run c_get"),
            ("\x15set emit-bridge sl\t", "set emit-bridge slots="),
            ("\x15list fu\t", "list func"),
            ("\x15help wh\t", "help where"),
            ("\x15save stat\t", "save status.wat"),
        ):
            terminal.type(keys)
            terminal.wait(lambda t, line=line: t.screen.display[t.screen.cursor.y].rstrip().endswith(line.rstrip()))
        terminal.type("\x15")
        terminal.command("where")
        terminal.type("\x04")
        assert terminal.end() == 0
    assert (tmp_path / "state/meldc/debug_history").read_text().splitlines()[-1] == "where"
    with session(*STREAM, cwd=tmp_path) as terminal:
        terminal.type("\x1b[A")
        terminal.showing("(0 input) where")
        terminal.type("\x1b[A")
        terminal.showing("(0 input) goto 3")


def test_a_history_that_cannot_be_kept_hurts_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with session(*STREAM, cwd=tmp_path, XDG_STATE_HOME=str(tmp_path / "file")) as terminal:
        assert terminal.command("s").startswith("1. link")
        terminal.command("")
        assert terminal.text.startswith("2. merge") or "(2 merge)" in terminal.text, "an empty line steps again"
        terminal.type("q\r")
        assert terminal.end() == 0


# --- scripts -------------------------------------------------------------------------------------------------------


def test_a_script_from_a_pipe_a_file_and_the_command_line(tmp_path: Path) -> None:
    commands = ["# a comment", "tbreak finish; c", "run c_get 7", "list export c_get"]
    (tmp_path / "script").write_text("\n".join(commands))
    piped = debug(*STREAM, stdin="\n".join(commands))
    assert piped.returncode == 0 and not piped.stderr
    assert piped.stdout.splitlines()[-2:] == ["0", "export c_get  = func consumer/c_get"]
    assert debug(*STREAM, "--script", tmp_path / "script").stdout == piped.stdout
    both = debug(*STREAM, "-c", "goto 2", "-i", stdin="where")
    assert "→  2. merge" in both.stdout


@pytest.mark.parametrize(
    ("commands", "code", "message"),
    [
        ("goto 2; run c_get 1 2; run c_get 1", 2, "takes (i32), not 2 arguments"),
        ("stpe; goto 1", 2, "did you mean `step`"),
        ("s s", 2, "expected a number, not `s`"),
        ("print nothing", 2, "no symbol `nothing`"),
        (f"goto {STEPS + 2}", 2, f"numbered from 1 to {STEPS}"),
        ("goto mege", 2, "did you mean `merge`"),
        ('print "x', 2, "no closing quotation"),
        ("s; ste; st", 2, "`st` may be `step` or `stats`"),
        ("goto 2; edit consumer/c_get --from absent", 2, "cannot read"),
        ("save absent/file", 2, "cannot write"),
        ("where away; into; delete 3; undo; call x; back", 2, "what is `away`"),
        ("quit; nonsense", 0, ""),
        (
            "verify; explain; remarks; stats; info; graph; trace merge*; help; help step; rewrites",
            2,
            "input` has not run",
        ),
    ],
)
def test_errors_end_nothing_and_make_the_exit_code(commands: str, code: int, message: str) -> None:
    status, _, errors = said(STREAM, commands)
    assert status == code, errors
    assert message in errors


def test_who_calls_whom() -> None:
    call = "crowd → greeter  {}: greet: func(name: string) -> string"
    for place, shown in (
        ("input", ["component crowd", "component greeter"]),
        ("merge", ["instance greeter", "instance crowd", call.format("pending")]),
        ("finish", ["instance greeter", "instance crowd", call.format("adapter")]),
    ):
        assert said(GREET, f"goto {place}; graph calls")[1].splitlines()[1:] == shown
    answer = said(GREET, "goto finish; graph func:crowd/greeter/greet.adapter")[1]
    assert "is called by:\n  crowd/welcome\n" in answer
    assert "  greeter/greet\n" in answer.partition("is called by")[0]
    assert "because `merge` needs `linked`" in said(GREET, "graph plan")[1]


def test_what_is_said_of_the_steps() -> None:
    _, answer, _ = said(GREET, "goto finish; stats; remarks; rewrites adapter-wiring; explain; trace crowd/welcome")
    assert "9. adapter-wiring: adapted: 1\n" in answer
    assert "1. link: `greeter` feeds `greet` of `crowd` in place of the host" in answer
    assert "\n   1. wire crowd/greeter/greet\n" in answer
    assert "│ boundary " in answer
    assert "     +        call $crowd/greeter/greet.adapter\n" in answer


def test_a_trap_is_shown_with_its_backtrace(tmp_path: Path) -> None:
    (tmp_path / "m.wat").write_text('(module (func $in unreachable) (func $out (export "f") call $in))')
    status, answers, _ = said([str(tmp_path / "m.wat")], "run f; verify")
    assert answers.endswith("\n  in in\n  in out\nvalid\n")
    assert answers.startswith("trapped: ") and "unreachable" in answers
    assert status == 1


def test_long_answers_are_cut(tmp_path: Path) -> None:
    functions = "".join(f'(func (export "f{i}") nop)' for i in range(400))
    (tmp_path / "m.wat").write_text(f"(module {functions})")
    for command, lines, more in (
        ("print", 101, "print --all"),
        ("list func", 101, "list func --all"),
        ("print func:*", 101, "print func:* --all"),
        ("run", 101, "list export"),
        ("list func --all", 400, ""),
        ("print --all", 1603, ""),
    ):
        shown = said([str(tmp_path / "m.wat")], command)[1].splitlines()
        assert len(shown) == lines, command
        assert not more or shown[-1].endswith(f"more lines: {more}")


# --- the specification ---------------------------------------------------------------------------------------------

SPEC = (ROOT / "specs/debugging.md").read_text()


def uncounted(transcript: str) -> str:
    """A transcript without how much the passes counted, which changes whenever one of them does something better."""
    return re.sub(r"  \w+ \d+ → \d+|^   [a-z -]+: \d+\n|^   \d+ rewrites?\n", "", transcript, flags=re.M)


def test_the_session_of_the_specification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command is typed where the specification says, answers what it says, and what is saved goes on."""
    transcript, text = re.findall(r"```(?:wat)?\n(.*?)```", SPEC, re.S)
    (tmp_path / "short.wat").write_text(text)
    for path in GREET:
        (tmp_path / Path(path).name).write_bytes(Path(path).read_bytes())
    monkeypatch.chdir(tmp_path)
    shell = Shell(Session.open(["crowd.wat", "greeter.wat"], Options()), io.StringIO())
    shell.err = shell.out
    shown = io.StringIO()
    for line in re.findall(r"^\(\d+ \S+\) (.*)$", transcript, re.M):
        shown.write(f"{shell.prompt()}{line}\n")
        shell.out = shell.err = io.StringIO()
        shell.perform(line)
        shown.write(shell.out.getvalue())
    assert uncounted(shown.getvalue()) == uncounted(transcript)
    (command,) = re.findall(r"^    meldc (replay .*)$", SPEC, re.M)
    assert (tmp_path / "here.wat").read_text().startswith(f";; to go on: meldc {command}\n")
    assert main(shlex.split(command)) == 0
    shell.session.goto(STEPS + 1)
    straight = shell.session.program
    assert (tmp_path / "out.wasm").read_bytes() == encode(straight)


def test_the_specification_lists_the_commands() -> None:
    rows = re.findall(r"^\| `(\w+)((?: [^`]*)?)` \| (.*?) \|", SPEC, re.M)
    listed = {
        name: (usage.strip().replace("\\|", "|"), tuple(re.findall("`(.*?)`", short))) for name, usage, short in rows
    }
    assert listed == {one.name: (one.usage, one.aliases) for one in all_commands().values()}
