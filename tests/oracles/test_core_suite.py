"""The core specification's test suite (WebAssembly/testsuite), text and binary, if there is a checkout of it.

MELD_TESTSUITE names its folder. What we know to do otherwise is listed with the reason, and nothing else may differ.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import wast
from wast import Command, Form, program_of

from meld.diagnostics import MeldError
from meld.files import decode, encode
from meld.verify.engine import fault_of

FOLDER = os.environ.get("MELD_TESTSUITE", "")
SCRIPTS = sorted(Path(FOLDER).rglob("*.wast")) if FOLDER else []

NO_LEGACY = "the engine has no legacy exceptions, and validation of bodies is the engine's"
KNOWN = {
    ("legacy/rethrow.wast", "invalid rethrow label"): NO_LEGACY,
    ("legacy/try_catch.wast", "type mismatch"): NO_LEGACY,
    ("legacy/try_delegate.wast", "unknown label"): NO_LEGACY,
    ("tag.wast", "non-empty tag result type"): "stack switching, a proposal, gives tags results",
}
"""What of `assert_invalid` is taken for valid: by script and the beginning of the message; and why."""


def verdict(command: Command) -> str | None:
    """What is wrong with a module; None if nothing is. A valid one goes round: encoded, read and encoded again."""
    try:
        program = program_of(command)
    except (MeldError, UnicodeDecodeError) as e:
        return str(e).splitlines()[0]
    if command.what == "module":
        data = encode(program)
        assert encode(decode(data, "again")) == data
        return None
    if command.what != "assert_invalid":
        return None
    fault = fault_of(program)
    return None if fault is None else fault.message


@pytest.mark.skipif(not SCRIPTS, reason="MELD_TESTSUITE names no checkout of WebAssembly/testsuite")
@pytest.mark.parametrize("script", SCRIPTS or [Path("none")], ids=lambda path: str(path.relative_to(FOLDER or ".")))
def test_script(script: Path) -> None:
    name = str(script.relative_to(FOLDER))
    if name.startswith("proposals/"):
        pytest.skip("proposals are not standard yet")
    wrong = []
    for command in wast.commands(script.read_text()):
        found = verdict(command)
        if (found is None) == (command.what == "module"):
            continue
        message = command.message.strip('"')
        if any(name == script and message.startswith(begin) for script, begin in KNOWN):
            continue
        wrong.append(f"line {command.line}: {command.what} {message}: {found or 'accepted'}")
    assert not wrong, "\n".join(wrong)


def test_scripts_are_read() -> None:
    """The reader of scripts, on a script of our own."""
    text = """(module $a (func))
(module definition binary "\\00asm" "\\01\\00\\00\\00") (module instance $b $a)
(assert_malformed (module quote "(func" " nop") "unexpected end")
(assert_invalid (module (func (result i32))) "type mismatch")
(assert_return (invoke "f"))
"""
    found = list(wast.commands(text))
    assert [(c.what, c.form, c.line) for c in found] == [
        ("module", Form.TEXT, 1),
        ("module", Form.BINARY, 2),
        ("assert_malformed", Form.QUOTE, 3),
        ("assert_invalid", Form.TEXT, 4),
    ]
    assert [verdict(c) is None for c in found] == [True, True, False, False]
    assert found[2].data == b"(func  nop"
