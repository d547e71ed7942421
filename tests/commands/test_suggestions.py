"""What the command line offers: what was probably meant, and what can come next."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meld.commands import COMMANDS
from meld.commands.compile import configure
from meld.commands.parser import COMPILE, Parser, parser_of
from meld.commands.shells import SCRIPTS, complete
from tests.commands.test_cli import STREAM, meldc, refused

ROOT = Path(__file__).parents[2]
GREET = [str(ROOT / "examples/greet/crowd.wat"), str(ROOT / "examples/greet/greeter.wat")]


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        (["pases"], "passes"),
        (["inspekt", *STREAM], "inspect"),
        ([*STREAM, "--emit=waat"], "wat"),
        ([*STREAM, "--explane"], "--explain"),
        ([*STREAM, "--emot=wat"], "--emit"),
        (["check", *STREAM, "--diagnostics=jsn"], "json"),
        (["completion", "bsh"], "bash"),
        ([STREAM[0], STREAM[1].replace("consumer", "consummer")], "consumer.wat"),
        ([*STREAM, "--link=consumr:link=producer"], "consumer"),
        ([*STREAM, "--link=consumer:lnk=producer"], "link"),
        ([*STREAM, "--passes=merge,finnish"], "finish"),
        ([*STREAM, "--passes=emit-bridge{slot=2}"], "slots"),
        ([*STREAM, "--stop-after=merg"], "merge"),
        (["passes", "detectpairs"], "detect-pairs"),
        (["run", *STREAM, "--invoke", "c_gte", "1"], "c_get"),
        (["run", *GREET, "--invoke", 'welcom(["a"])'], "welcome"),
    ],
)
def test_did_you_mean(args: list[str], meant: str) -> None:
    assert f"hint: did you mean `{meant}`?" in refused(*args)


def test_a_fact_that_nobody_establishes(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(
        "from meld import Module, Pass, PassContext\nclass P(Pass):\n    '''P.'''\n    name = 'p'\n"
        "    requires = frozenset({'stream-pair'})\n    def run(self, module: Module, cx: PassContext) -> None: ...\n"
    )
    said = refused(*STREAM, f"--plugin={tmp_path / 'p.py'}", "--passes=p")
    assert "which no pass establishes" in said
    assert "did you mean `stream-pairs`?" in said


def test_what_resembles_a_fact_or_a_note(tmp_path: Path) -> None:
    """`check` warns; others may be those of a plugin."""
    text = tmp_path / "t.wat"
    text.write_text("(module (@meld.facts merged own-fact finishd) (@meld.instanc $a) (@meld.zebra 1))")
    done = meldc("check", text)
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if line.startswith("hint")] == [
        "hint: did you mean `finished`?",
        "hint: did you mean `instance`?",
    ]


def test_no_command_and_no_file() -> None:
    assert "`zzz` is neither a command nor a file\nhint: `meldc --help` lists the commands" in refused("zzz")
    assert "hint: `meldc run --help` says what there is" in refused("run")


@pytest.mark.parametrize("name", [COMPILE, *COMMANDS])
def test_every_command_has_help(name: str) -> None:
    parser = parser_of(name)
    assert "--help" in parser.options()
    assert all(action.help for action in parser._actions if action.option_strings)
    assert name == COMPILE or f"meldc {name}" in parser.format_help()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["insp"], ["inspect"]),
        (["--expl"], ["--explain"]),
        (["x.wat", "--emit=wa"], ["--emit=wasm", "--emit=wat"]),
        (["x.wat", "--emit", "wa"], ["wasm", "wat"]),
        (["x.wat", "--passes=merge,fin"], ["--passes=merge,finish"]),
        (["x.wat", "--passes", "merge,emit-bridge{slots=3,r"], ["merge,emit-bridge{slots=3,ring="]),
        (["x.wat", "--passes=emit-bridge{slots=3},fin"], ["--passes=emit-bridge{slots=3},finish"]),
        (["run", "x.wat", "--stop-after", "detect"], ["detect-pairs"]),
        (["passes", "wr"], ["wrap"]),
        (["x.wat", "--dump-after", "ch"], ["changed"]),
        (["x.wat", "--dump-before", "ch"], []),
        (["x.wat", "--stop-after", "ch"], []),
        (["trace", "run.json", "--symbol", "me"], []),
        (["new-pass", "me"], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["x.wat", "--dump-dir", ""], []),
        (["x.wa"], []),
        (["x.wat", "--nonsense="], []),
        (["x.wat", "--passes=nonsense{"], []),
    ],
)
def test_completion(typed: list[str], offered: list[str]) -> None:
    assert complete(typed) == offered


def test_completion_offers_all_commands_and_options() -> None:
    assert complete([""]) == list(COMMANDS)
    parser = Parser()
    configure(parser)
    assert complete(["-"]) == parser.options()
    for command in COMMANDS:
        assert complete([command, "--"]) == [o for o in parser_of(command).options() if o.startswith("--")]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("meldc pas", ["passes"]),
        ("meldc ", list(COMMANDS)),
        ("meldc x.wat --emit=wa", ["wasm", "wat"]),
        ("meldc x.wat --emit=", ["wasm", "wat", "component"]),
        ("meldc fmt --", ["--help", "--check"]),
        ("meldc x.wat --passes=merge,fin", ["merge,finish"]),
    ],
)
def test_bash(line: str, offered: list[str]) -> None:
    """The script, sourced; the line is split as bash splits it for completion."""
    words = line.replace("=", " = ").split(" ") if not line.endswith("=") else [*line[:-1].split(" "), "="]
    quoted = " ".join(f"'{word}'" for word in words)
    ask = f'COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _meldc; printf "%s\\n" "${{COMPREPLY[@]}}"'
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path}
    done = subprocess.run(["bash", "-c", SCRIPTS["bash"] + ask], capture_output=True, text=True, env=env)
    assert done.stdout.split() == offered, done.stderr
