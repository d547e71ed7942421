"""A terminal gets text: whatever names a program has, no command writes what a terminal would act on."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from measured import server

EVIL = "\x1b]0;owned\x07\x1b[8m\x9b31m\x7f\u202egnp\u2066\r"
NAME = "".join(f"\\u{{{ord(c):x}}}" for c in EVIL)
"""The same as the text format escapes it."""

COMPONENT = f"""(component $root
  (core module $m (@name "m{NAME}")
    (import "" "n" (func $n (@name "imp{NAME}") (result i32)))
    (global $g (@name "glob{NAME}") i32 (i32.const 0))
    (memory (export "mem{NAME}") 1)
    (func $trap (@name "trap{NAME}") (result i32) (unreachable))
    (func (export "f{NAME}") (result i32) (call $trap)))
  (component $lib (@name "lib{NAME}")
    (core module $l (func (@name "leaf{NAME}") (export "n") (result i32) (i32.const 1)))
    (core instance $l (instantiate $l))
    (func (export "n") (result u32) (canon lift (core func $l "n"))))
  (instance $lib (@name "inst{NAME}") (instantiate $lib))
  (core func $n (canon lower (func $lib "n")))
  (core instance $i (instantiate $m (with "" (instance (export "n" (func $n))))))
  (func (export "run") (result u32) (canon lift (core func $i "f{NAME}"))))"""

BAD = [
    f'(module (func $f (@name "bad{NAME}") (result i32)))',
    f'(module (func (export "x") (call ${EVIL})))',
    f'(module (import "{NAME}" "{NAME}" (func)) (memory 1) (export "{NAME}" (memory 0)) (export "{NAME}" (memory 0)))',
    f'(component (import "bad{NAME}" (func)))',
    f'(component (core module $m (import "a{NAME}" "b" (func))) (core instance (instantiate $m)))',
    f"(module (func {EVIL}))",
    f'(module (@meld.nothing "{NAME}") (@meld.facts {NAME}))',
]

FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def on_a_terminal(*args: str | Path, cwd: Path) -> str:
    """What a command writes to a terminal, without the colours and ends of lines that are ours."""
    master, slave = pty.openpty()
    screen, ended, found = os.ttyname(slave), False, b""
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(server().run, args, screen, screen, cwd, env={"TERM": "xterm", "COLUMNS": "100"})
        while not ended:  # what was written before the end can be read after it
            ended = run.done()
            while select.select([master], [], [], 0.01)[0]:
                found += os.read(master, 1 << 16)
    os.close(slave)
    os.close(master)
    text = found.decode().replace("\r\n", "\n")
    return re.sub("\x1b\\[(?:[0-9;]*m|K)|\r(?=\x1b\\[K)", "", text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("evil")
    (made / "c.wat").write_text(COMPONENT)
    for number, text in enumerate(BAD):
        (made / f"bad{number}.wat").write_text(text)
    command = [sys.executable, "-m", "meld", "c.wat", "-o", "m.wat", "--journal=run.json", "-q"]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made


COMMANDS = [
    ["c.wat", "--explain", "--stats", "--time"],
    ["c.wat", "--explain", "-o", "x.wasm", "--dump-after=all", "--dump=diff"],
    ["c.wat", "-o", "x.wasm", "--dump-after=all", "--dump=stat"],
    ["c.wat", "-o", "x.wasm", "--dump-after=merge", "--stats=json", "--diagnostics=json"],
    ["c.wat", "--emit=component"],
    ["run", "m.wat", "--invoke", "run"],
    ["run", "m.wat", "--invoke", EVIL],
    ["run", "m.wat"],
    ["inspect", "c.wat"],
    ["inspect", "c.wat", "--json"],
    ["plan", "c.wat"],
    ["trace", "run.json"],
    ["trace", "run.json", "--symbol=*"],
    ["trace", "run.json", "--symbol=*", "--json"],
    ["diff", "run.json", "merge", "finish"],
    ["diff", "run.json", "merge", "finish", "--stat"],
    ["diff", "run.json", "merge", "finish", "--json"],
    ["report", "run.json"],
    ["debug", "c.wat", "-c", "goto finish; info; graph; stats; rewrites; trace *; explain; run run()"],
    ["bisect", "c.wat", "--test=false"],
    [f"no{EVIL}such.wat"],
    ["c.wat", f"--passes=me{EVIL}rge"],
    ["c.wat", "--unknown" + EVIL],
    ["fmt", "--check", "c.wat"],
]


@pytest.mark.parametrize(
    "command", COMMANDS, ids=lambda words: " ".join(words).encode("ascii", "replace").decode()[:40]
)
def test_no_command_writes_what_a_terminal_acts_on(command: list[str], folder: Path) -> None:
    found = on_a_terminal(*command, cwd=folder)
    assert not FORBIDDEN.search(found), repr(FORBIDDEN.search(found)) + repr(found[:3000])
    assert "internal error" not in found


@pytest.mark.parametrize("number", range(len(BAD)))
@pytest.mark.parametrize("words", [[], ["check"], ["check", "--diagnostics=json"], ["inspect"], ["run"]], ids=" ".join)
def test_nor_an_error(words: list[str], number: int, folder: Path) -> None:
    more = ["-o", "x.wasm"] if not words else []
    found = on_a_terminal(*words, f"bad{number}.wat", *more, cwd=folder)
    assert not FORBIDDEN.search(found), repr(found)
    assert "internal error" not in found and "Traceback" not in found


def test_a_backtrace_names_functions_as_text(folder: Path) -> None:
    found = on_a_terminal("run", "m.wat", "--invoke", "run", cwd=folder)
    assert "trapped" in found and "trap\N{REPLACEMENT CHARACTER}]0;owned" in found


def test_json_keeps_the_names(folder: Path) -> None:
    """They are escaped there, not replaced."""
    command = [sys.executable, "-m", "meld", "inspect", "c.wat", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not FORBIDDEN.search(done.stdout)
    assert any(EVIL in (row["name"] or "") for row in json.loads(done.stdout)["memories"])


def test_what_is_printed_goes_through_one_place() -> None:
    """Who prints by himself forgets it: `print` stands where colours are added and the progress is shown."""
    import meld

    allowed = {"support/terminal.py", "observers/progress.py", "observers/dumps.py", "commands/bisect.py"}
    package = Path(meld.__file__).parent
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"^\s+(print\(|sys\.std(out|err)\.write\()", path.read_text(), re.M)
    }
    examples = {"__init__.py", "journal/__init__.py"}
    own_words = {"cli.py", *(f"commands/{name}.py" for name in ("compile", "completion", "fmt", "new_pass"))}
    assert found <= allowed | examples | own_words
