"""A program as a file that a shell command is run on, and the tests that a program brings itself."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from meld.diagnostics import MeldError
from meld.ir.module import Module

CHECK_LIMIT = 300
"""Seconds that a command given with ``--check`` may take."""


def run_command(command: str, data: bytes) -> MeldError | None:
    """Runs a command on a file with a text; returns its output if it fails. MeldError if it cannot be run."""
    done = run_on_file(command, data, option="--check", suffix="wat")
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

    A command with operators of the shell (``|``, ``&&``, ``>``…) is run by ``sh``, any other directly. Whatever it has
    started ends with it.

    Raises:
        MeldError: there is no such command.
    """
    try:
        words = shlex.split(command)
    except ValueError as e:
        raise MeldError(f"{option}={command}: {e}") from None
    if not words:
        raise MeldError(f"{option}: the command is empty")
    hint = f"{option}=CMD; `{{}}` stands for the file"
    with tempfile.TemporaryDirectory(prefix="meldc-") as directory:
        path = Path(directory) / f"program.{suffix}"
        path.write_bytes(data)
        if needs_shell(command):
            whole = command if "{}" in command else f"{command} {{}}"
            args = ["sh", "-c", whole.replace("{}", shlex.quote(str(path)))]
        else:
            args = [word.replace("{}", str(path)) for word in words] if "{}" in command else [*words, str(path)]
        try:
            done = run_group(args, limit)
        except OSError as e:
            raise MeldError(f"cannot run `{words[0]}`: {e.strerror}", hint=hint) from e
    if done is not None and done.returncode in (126, 127):
        said = (done.stderr.strip() or "no such command").splitlines()[-1]
        raise MeldError(f"cannot run `{command}`: exit code {done.returncode}: {said}", hint=hint)
    return done


def needs_shell(command: str) -> bool:
    """Whether a command has operators, variables or patterns of the shell outside of quotes."""
    return _SHELL.search(_QUOTED.sub("", command)) is not None


_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\$`]|\\.)*\"|\\.", re.DOTALL)
_SHELL = re.compile(r"[|&;<>()$`*?\n]|^\s*(?:!|\w+=)")


def run_group(args: list[str], limit: float) -> subprocess.CompletedProcess[str] | None:
    """Runs a command in a process group of its own, of which nothing is left when this returns or raises.

    Its output goes to files: a pipe would stay open for as long as any process holds it.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return subprocess.CompletedProcess(args, code, *texts)


def run_tests(module: Module) -> MeldError | None:
    """Calls the exports whose names begin with ``test`` and that take nothing."""
    from meld.ir.module import Function
    from meld.runtime.instantiate import Trapped, instantiate
    from meld.runtime.interrupt import stoppable

    names = [
        export.name
        for export in module.exports
        if export.name.startswith("test") and isinstance(export.item, Function) and not export.item.signature.params
    ]
    if not names:
        return None
    with stoppable(CHECK_LIMIT) as watch:
        running = instantiate(module, interruptible=True)
        for name in names:
            try:
                running.call(name)
            except Trapped as e:
                said = f"takes more than {CHECK_LIMIT} s" if watch.over else str(e)
                return MeldError(said, where=f"export `{name}`")
    return None
