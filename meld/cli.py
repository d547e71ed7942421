"""The command line: which command, its arguments, exit codes; no logic.

Exit codes: 0 done; 1 a run program trapped or failed, or the answer is a no or is doubted (`fmt --check`, `test`,
`diff`, `bisect`); 2 bad input or usage, a plugin that breaks; 70 a defect of meldc; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from meld.commands import COMMANDS, module_of
from meld.commands.parser import COMPILE, parser_of

if TYPE_CHECKING:
    from meld.diagnostics import PassFailure


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the script `meldc`; returns the exit code. Without arguments of its own it ends the process.

    Raises:
        KeyboardInterrupt: only with arguments: who runs a command inside a process is interrupted with it.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _replace_closed_streams()
    try:
        code = _command(args, last=argv is None)
        if argv is None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = 1
    except KeyboardInterrupt:
        if argv is not None:
            raise
        print("meldc: interrupted", file=sys.stderr)
        code = 130
    except Exception as e:
        code = _failed(e, args)
    if argv is None:
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)  # the engine's destructors must not run while the interpreter is torn down
    return code


def _replace_closed_streams() -> None:
    """Makes standard streams that the caller has closed fail when they are used, as they do in other programs."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_WRONLY), "r")
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:  # nobody can be told
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _command(args: list[str], *, last: bool) -> int:
    """Runs a command. `last`: the process ends with it."""
    whole, name = args, COMPILE
    if args and args[0] in COMMANDS:
        name, args = args[0], args[1:]
    elif args:
        _refuse_no_command(args[0])
    behind: list[str] = []
    if name == "run" and "--" in args:  # what stands behind is the program's
        args, behind = args[: args.index("--")], args[args.index("--") + 1 :]
    given = parser_of(name).parse_args(args)
    given.behind = behind
    given.argv, given.last, given.main = args, last, main
    try:
        code: int = module_of(name).main(given)
    except BrokenPipeError:
        raise
    except Exception as e:
        if _comes_of_an_interrupt(e):
            raise KeyboardInterrupt from e
        return _failed(e, whole, getattr(given, "diagnostics", "text"))
    return code


def _refuse_no_command(word: str) -> None:
    """Refuses a word that is neither a file nor an option, if it looks like a command rather than a file."""
    if word[0:1] in ("-", "") or any(mark in word for mark in "./\\") or os.path.lexists(word):
        return
    from meld.diagnostics import MeldError, did_you_mean

    hint = did_you_mean(word, COMMANDS, "`meldc --help` lists the commands")
    raise MeldError(f"`{word}` is neither a command nor a file", hint=hint)


def _comes_of_an_interrupt(e: BaseException | None) -> bool:
    """Whether an interrupt became another exception on its way: `__set_name__` and generators make one of it."""
    from meld.diagnostics import MeldError, PassFailure

    while e is not None and (not isinstance(e, MeldError) or isinstance(e, PassFailure)):
        e = e.__cause__ or e.__context__
        if isinstance(e, KeyboardInterrupt):
            return True
    return False


def _failed(e: Exception, args: Sequence[str], form: str = "text") -> int:
    from meld.diagnostics import MeldError, PassFailure

    defect = isinstance(e, PassFailure) and e.own
    if (defect or not isinstance(e, MeldError)) and os.environ.get("MELDC_TRACEBACK"):
        raise e
    if isinstance(e, MeldError):
        from meld.diagnostics.forms import Diagnostic, render
        from meld.support.terminal import say

        if isinstance(e, PassFailure):
            _leave_reproducer(e, args)
        say(render([Diagnostic.of_error(e)], form), end="", error=True)
        return 70 if defect else 2
    if isinstance(e, MemoryError):
        print("meldc: error: out of memory", file=sys.stderr)
        return 2
    if isinstance(e, OSError):
        from meld.support.terminal import say

        say(f"meldc: error: {e.filename or 'standard output'}: {e.strerror}", error=True)
        return 2
    from meld.support.terminal import say

    say(
        f"meldc: internal error: {type(e).__name__}: {e}\n"
        "hint: this is a defect of meldc; MELDC_TRACEBACK=1 shows where it happened",
        error=True,
    )
    return 70


def _leave_reproducer(failure: PassFailure, args: Sequence[str]) -> None:
    from meld.diagnostics import MeldError
    from meld.driver import FailedRun
    from meld.faults.reproducer import leave

    try:
        said = leave(failure, args) if isinstance(failure, FailedRun) else None
    except MeldError as e:
        said = f"there is no reproducer: {e}"
    failure.hint = "; ".join(filter(None, (failure.hint, said))) or None
