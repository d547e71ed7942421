"""The command line of wasmtime, which has features that its Python package cannot turn on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

CLI = shutil.which("wasmtime") or str(Path(sysconfig.get_path("purelib")) / "wasmtime_cli" / "wasmtime")
needs_cli = pytest.mark.skipif(not os.access(CLI, os.X_OK), reason="needs the command line of wasmtime")

needs_stack_switching = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64") or not os.access(CLI, os.X_OK),
    reason="needs the command line of wasmtime on x64 Linux, which has stack switching",
)
STACKS = "stack-switching=y,function-references=y,gc=y,exceptions=y,memory64=y,multi-memory=y"

FEATURES = (
    "component-model-async=y,component-model-async-stackful=y,component-model-more-async-builtins=y,"
    "component-model-error-context=y,component-model-threading=y,multi-memory=y"
)


def invoked(component: Path, calls: Sequence[str]) -> list[str]:
    """What calls print, each in a new instance, or the last line of why they trap."""
    found = []
    for call in calls:
        command = [CLI, "run", "-O", "opt-level=0", "-W", FEATURES, "--invoke", call, str(component)]
        plain = {**os.environ, "RUST_BACKTRACE": "0"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=plain)
        found.append(done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1])
    return found


def on_stacks(module: Path, expected: Sequence[tuple[tuple[Any, ...], Any]]) -> str | None:
    """Calls of what needs stack switching, in one instance: what is not as expected.

    Args:
        module: a core module, or a component.
        expected: the export and its arguments, i32 or u32, with the answer, or ``trap: reason``.
    """
    is_component = module.read_bytes()[6] == 1
    number, word = ("u32", "component") if is_component else ("i32", "module")
    start = f'({word} binary "{"".join(f"{chr(92)}{byte:02x}" for byte in module.read_bytes())}")'
    calls = [(_invoked(name, arguments, number), answer) for (name, *arguments), answer in expected]
    lines = [
        f'(assert_trap {call} "")' if isinstance(answer, str) else f"(assert_return {call} ({number}.const {answer}))"
        for call, answer in calls
    ]
    wrong = _script(module, [start, *lines])
    trap = next((at for at, (_, answer) in enumerate(calls) if isinstance(answer, str)), None)
    if wrong is not None or trap is None:
        return wrong
    call, answer = calls[trap]
    said = _script(module, [start, *lines[:trap], f"(assert_return {call})"]) or "it did not trap"
    return None if answer.removeprefix("trap: ") in said else said


def _invoked(name: str, arguments: Sequence[int], number: str) -> str:
    given = " ".join(f"({number}.const {argument})" for argument in arguments)
    return f'(invoke "{name}" {given})'


def _script(module: Path, lines: list[str]) -> str | None:
    script = module.with_suffix(".wast")
    script.write_text("\n".join(lines))
    command = [CLI, "wast", "-O", "opt-level=0", "-W", f"{STACKS},{FEATURES}", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return None if done.returncode == 0 else done.stderr
