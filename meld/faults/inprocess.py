"""Tests that run `meldc run` on the program: that part is done in this process, which spares starting another one."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from meld.diagnostics import MeldError
from meld.ir.module import Module
from meld.runtime.carried import describe_exports
from meld.runtime.run import run_module
from meld.support.records import record

_COMMAND = re.compile(
    r"(?:^|[|&;(`!{\n]|\b(?:if|then|while|until|do|else)\s)\s*"
    r"(?P<call>(?:[^\s(`]*/)?meldc[ \t]+run[ \t]+\{\}(?=[ \t]|$|[|&;)<>\n]))"
)
_WORD = re.compile(r"[ \t]+((?:'[^']*'|\"(?:[^\"\\$`]|\\[\"\\])*\"|[^\s|&;()<>'\"\\$`*?\[#~]|\\.)+)")
_REDIRECTED = re.compile(r"[0-9]+(?=[<>])")
_END = re.compile(r"[ \t]*(?:$|[|&;)\n]|[0-9]*[<>])")


@record(frozen=True)
class RunCall:
    """``meldc run {} --invoke …`` in a command: from where to where it stands, and what it calls."""

    start: int
    end: int
    invoke: tuple[str, ...]


def run_calls(command: str) -> list[RunCall] | None:
    """The calls of `meldc run` in a shell command on the file that is tested.

    Returns:
        None if the file is used for anything else, or a call does more than to invoke an export: then the command has
        to run as it stands.
    """
    found, rest = [], command
    for match in _COMMAND.finditer(command):
        words, end = [], match.end()
        while (word := _WORD.match(command, end)) and not _REDIRECTED.match(command, word.start(1)):
            words.append(word[1])
            end = word.end()
        invoke = shlex.split(" ".join(words))
        if not _END.match(command, end) or not _is_ours(match["call"].split()[0]):
            return None
        if invoke and (invoke[0] != "--invoke" or len(invoke) == 1):
            return None
        start = match.start("call")
        found.append(RunCall(start, end, tuple(invoke[1:])))
        rest = rest.replace(command[start:end], "", 1)
    return found if found and "{}" not in rest else None


def _is_ours(word: str) -> bool:
    """Whether a command is the `meldc` of this installation."""
    path = shutil.which(word)
    return path is not None and Path(path).parent.resolve() == Path(sys.executable).parent.resolve()


@record(frozen=True)
class Ran:
    """How `meldc run` ended and what it printed; `is_over`: whether its time was over."""

    code: int
    out: str
    err: str
    is_over: bool = False


def ran(module: Module, invoke: tuple[str, ...], limit: float) -> Ran:
    """What `meldc run` does with a module."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            describe_exports(module)
            code = run_module(module, list(invoke), limit=limit)
        except MeldError as e:
            code = 2
            err.write(f"meldc: error: {e}\n")
    is_over = code == 2 and f"runs for more than {limit:g} s" in err.getvalue()
    return Ran(code, out.getvalue(), err.getvalue(), is_over)


def substituted(command: str, calls: list[RunCall], results: list[Path]) -> str:
    """The command with each call replaced by what it would do, which stands in files: ``.out``, ``.err``, ``.code``."""
    text, at = [], 0
    for call, path in zip(calls, results, strict=True):
        name = shlex.quote(str(path))
        text += [command[at : call.start], f"{{ cat {name}.out; cat {name}.err >&2; (exit $(cat {name}.code)); }}"]
        at = call.end
    return "".join([*text, command[at:]])
