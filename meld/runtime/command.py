"""A program as a file that a shell command is run on, and the tests that a program brings itself."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from pathlib import Path

from meld.diagnostics import MeldError
from meld.ir.module import Module

CHECK_LIMIT = 300
"""Seconds that a command given with ``--check`` may take."""


def run_command(command: str, data: bytes) -> MeldError | None:
    """Runs a command on a file with the data; what it says if it fails. MeldError if it cannot be run."""
    done = run_on_file(command, data, option="--check")
    if done is None:
        return MeldError(f"`{command}` takes more than {CHECK_LIMIT} s")
    if done.returncode == 0:
        return None
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]
    return MeldError("\n".join([f"`{command}` ended with exit code {done.returncode}", *said]))


def run_on_file(
    command: str, data: bytes, *, option: str, suffix: str = "wasm", limit: float = CHECK_LIMIT
) -> subprocess.CompletedProcess[str] | None:
    """Runs a command that `option` gave on a file with the data; None if it takes more than `limit` seconds.

    Raises:
        MeldError: there is no such command.
    """
    try:
        words = shlex.split(command)
    except ValueError as e:
        raise MeldError(f"{option}={command}: {e}") from None
    if not words:
        raise MeldError(f"{option}: the command is empty")
    with tempfile.TemporaryDirectory(prefix="meldc-") as directory:
        path = Path(directory) / f"program.{suffix}"
        path.write_bytes(data)
        args = [word.replace("{}", str(path)) for word in words] if "{}" in command else [*words, str(path)]
        try:
            return subprocess.run(args, capture_output=True, text=True, errors="replace", timeout=limit)
        except OSError as e:
            hint = f"{option}=CMD; `{{}}` stands for the file"
            raise MeldError(f"cannot run `{words[0]}`: {e.strerror}", hint=hint) from e
        except subprocess.TimeoutExpired:
            return None


def run_tests(module: Module) -> MeldError | None:
    """Calls the exports whose names begin with ``test`` and that take nothing."""
    from meld.ir.module import Function
    from meld.runtime.instantiate import Trapped, instantiate

    names = [
        export.name
        for export in module.exports
        if export.name.startswith("test") and isinstance(export.item, Function) and not export.item.signature.params
    ]
    if not names:
        return None
    running = instantiate(module)
    for name in names:
        try:
            running.call(name)
        except Trapped as e:
            return MeldError(str(e), where=f"export `{name}`")
    return None
