"""The component suites of bytecodealliance/wasm-tools (tests/cli), text and binary, if there is a checkout of them.

MELD_WASM_TOOLS names its folder. What we know to do otherwise is listed with the reason, and nothing else may differ.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import wast
from wast import Command, program_of

from meld.diagnostics import MeldError
from meld.files import decode, encode, print_text
from meld.text.reading.program import parse
from meld.verify.engine import fault_of
from meld.verify.program import verify

FOLDER = os.environ.get("MELD_WASM_TOOLS", "")
ROOT = Path(FOLDER) / "tests/cli"
SCRIPTS = sorted(path for path in ROOT.rglob("*.wast") if "component-model" in str(path)) if FOLDER else []

CANCELLABLE = "the option `cancellable` has been removed (WebAssembly/component-model#716)"
OLD = "a spelling that the text format had before its first release"
SHARED = "the proposal shared-everything-threads is not supported"
TYPE_USE = "a type use that says something else than the type it names: an error in the core specification"
KNOWN = {
    "component-model/async/stackful.wast": CANCELLABLE,
    "component-model/async/task-builtins.wast": CANCELLABLE,
    "component-model/async/threading.wast": CANCELLABLE,
    "component-model/memory64/waitable-set.wast": CANCELLABLE,
    "missing-features/component-model/async-stackful.wast": CANCELLABLE,
    "component-model/definedtypes.wast": OLD,
    "component-model/export.wast": OLD,
    "component-model/legacy-indices.wast": OLD,
    "component-model/type-export-restrictions.wast": OLD,
    "component-model/values/values.wast": OLD,
    "component-model/instance-type.wast": TYPE_USE,
    "component-model/shared-everything-threads/not-accepted.wast": SHARED,
}
"""Scripts of which a valid component is refused; and why."""

ACCEPTED = {
    ("component-model/values/start.wast", "component cannot have more than one start function"): (
        "Explainer.md: components can call start functions at several points"
    ),
    ("component-model/gc/gc.wast", "unknown core type: failed to find name `$t1`"): (
        "a name of the component around a module type stands for an outer alias, as elsewhere"
    ),
}
"""What is asserted to be malformed or invalid and accepted: by script and message; and why."""

SWITCHED_OFF = re.compile(r"requires? the .*(feature|proposal)|is not enabled|feature is not active")
"""What is said to be invalid only because the script switches a feature off."""

GC = "component-model/gc/"
"""Scripts about core types of the garbage collector in `canon`: no pass takes these, and nothing compares the types."""


def verdict(command: Command) -> str | None:
    """What is wrong with a component; None if nothing is. A valid one goes round, as a binary and as text."""
    try:
        program = program_of(command)
    except (MeldError, UnicodeDecodeError) as e:
        return str(e).splitlines()[0]
    if command.what == "assert_invalid":
        fault = fault_of(program)
        return None if fault is None else fault.message
    if command.what == "component":  # by our rules alone: the engine lacks some features of the suite
        problems = verify(program)
        if problems:
            return problems[0].message
        data = encode(program)
        assert encode(decode(data, "again")) == data
        assert encode(parse(print_text(decode(data, "again")), "printed")) == data
    return None


@pytest.mark.skipif(not SCRIPTS, reason="MELD_WASM_TOOLS names no checkout of bytecodealliance/wasm-tools")
@pytest.mark.parametrize("script", SCRIPTS or [ROOT / "none"], ids=lambda path: str(path.relative_to(ROOT)))
def test_script(script: Path) -> None:
    name = str(script.relative_to(ROOT)) if FOLDER else ""
    wrong, refused = [], False
    for command in wast.commands(script.read_text()):
        if not command.component:
            continue
        found = verdict(command)
        if (found is None) == (command.what == "component"):
            continue
        if command.what == "component" and name in KNOWN:
            refused = True
        elif not SWITCHED_OFF.search(message := command.message.strip('"')) and (name, message) not in ACCEPTED:
            if command.what == "assert_invalid" and name.startswith(GC):
                continue
            wrong.append(f"line {command.line}: {command.what} {command.message}: {found or 'accepted'}")
    assert not wrong, "\n".join(wrong)
    assert refused == (name in KNOWN)
