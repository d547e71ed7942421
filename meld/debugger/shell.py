"""The words of the debugger: lines to commands, their output, and errors that do not end the session."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import field
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from meld.debugger.session import Session
from meld.debugger.stamps import Stamp, stamps
from meld.diagnostics import MeldError, PassFailure
from meld.observers.progress import Progress
from meld.runtime.instantiate import Trapped
from meld.support.records import record
from meld.support.terminal import harmless, painted

if TYPE_CHECKING:
    from meld.debugger.lineedit import LineEditor

CAP = 100
"""Lines that a command shows without ``--all``."""

MANY = 10_000
"""From so many lines on they are not counted."""


@record(frozen=True)
class Command:
    """A command.

    Attributes:
        usage: its arguments, for people.
        help: what it does, the first line a sentence.
        run: does it, with the rest of the line.
        completes: what its arguments are: a key of `meld.debugger.candidates.SOURCES`.
        repeats: whether an empty line does it again.
        talks: whether it asks something, or gives the terminal away.
    """

    name: str
    aliases: tuple[str, ...]
    usage: str
    help: str
    run: Callable[[Shell, str], None]
    completes: str = ""
    repeats: bool = False
    talks: bool = False


COMMANDS: dict[str, Command] = {}
"""The commands by their names; `all_commands` gives them."""

COMMAND_MODULES = ("meld.debugger.commands", "meld.debugger.looking")
"""The modules that declare commands."""


@cache
def all_commands() -> dict[str, Command]:
    """All commands by their names."""
    for name in COMMAND_MODULES:
        import_module(name)
    return COMMANDS


def command(
    name: str, *aliases: str, usage: str = "", completes: str = "", repeats: bool = False, talks: bool = False
) -> Callable[[Callable[[Shell, str], None]], Callable[[Shell, str], None]]:
    """Declares a command; its docstring is its help."""

    def declare(run: Callable[[Shell, str], None]) -> Callable[[Shell, str], None]:
        COMMANDS[name] = Command(name, aliases, usage, (run.__doc__ or "").strip(), run, completes, repeats, talks)
        return run

    return declare


def resolve(word: str) -> Command:
    """The command that a word means: its name, a short name, or the beginning of one name only.

    Raises:
        MeldError: none or several, with what was probably meant.
    """
    commands = all_commands()
    for each in commands.values():
        if word == each.name or word in each.aliases:
            return each
    found = [each for each in commands.values() if each.name.startswith(word)]
    if len(found) == 1:
        return found[0]
    names = [each.name for each in found]
    if names:
        raise MeldError(f"`{word}` may be {' or '.join(f'`{name}`' for name in names)}")
    near = get_close_matches(word, commands, 1, 0.5)
    raise MeldError(
        f"there is no command `{word}`", hint=f"did you mean `{near[0]}`?" if near else "`help` lists the commands"
    )


@record()
class Shell:
    """A session with its user.

    Attributes:
        out, err: where output goes, and where errors go if the input is no terminal.
        editor: the line editor; None if the input is no terminal.
        status: the exit code that the errors so far make: that of the worst.
        over: whether it was told to end.
    """

    session: Session
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    editor: LineEditor | None = None
    status: int = 0
    over: bool = False
    last: str = ""
    told: dict[str, Stamp] = field(default_factory=dict)

    @property
    def interactive(self) -> bool:
        """Whether the input is a terminal."""
        return self.editor is not None

    # --- reading ---

    def converse(self) -> None:
        """Reads commands from the terminal until it ends, or is told to."""
        import decimal  # noqa: F401  # written in C: where Ctrl-C ends its import, the next one complains on the terminal

        assert self.editor is not None
        while not self.over:
            try:
                line = self.editor.read(self.prompt())
            except EOFError:
                self.out.write("\n")
                return
            except KeyboardInterrupt:
                self.out.write("\n")
                continue
            self.perform(line or self.last)

    def prompt(self) -> str:
        """Where the session stands, in front of each line."""
        session = self.session
        inside = "" if session.rewrite is None else f":{session.rewrite}"
        return f"({session.number} {session.label(session.number)}{inside}) "

    def perform_all(self, text: str) -> None:
        """Performs the commands in a text, which stand in lines or between semicolons."""
        for line in text.splitlines():
            for part in split_commands(line):
                if self.over:
                    return
                self.perform(part)

    def perform(self, line: str) -> None:
        """Performs a command; whatever is wrong is said."""
        line = line.strip()
        if not line or line.startswith("#"):
            return
        word, _, rest = line.partition(" ")
        self.last = ""
        try:
            found = resolve(word)
            with nullcontext() if found.talks else self.working(found.name):
                found.run(self, rest.strip())
            self.last = line if found.repeats else ""
        except KeyboardInterrupt:
            self.say("interrupted")
            self.worst(1)
        except Trapped as trap:
            self.say("\n".join([f"trapped: {trap}", *(f"  in {name}" for name in trap.backtrace)]))
            self.worst(1)
        except MeldError as e:
            self.complain(e)
        except BrokenPipeError:
            raise
        except Exception as e:
            self._defect(e)
        self._tell_stale()
        self.out.flush()

    def _tell_stale(self) -> None:
        """Says once of each change of a file that `reload` takes it."""
        stale = {path: stamp for path, stamp in stamps(self.session.stale()).items() if self.told.get(path) != stamp}
        self.told |= stale
        if stale and not self.over:
            verb = "has" if len(stale) == 1 else "have"
            self.say(f"{', '.join(stale)} {verb} changed: `reload` takes what is there now")

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Shows the progress of what takes long. No question may be asked meanwhile."""
        with Progress(quiet=not self.interactive) as progress:
            progress.say(what)
            self.session.observers = [progress]
            try:
                yield
            finally:
                self.session.observers = []

    # --- answering ---

    def say(self, text: str) -> None:
        """A line, or several."""
        self.out.write(f"{harmless(text)}\n")

    def say_all(self, lines: Iterable[str], *, everything: bool, more: str, diff: bool = False) -> None:
        """Lines, at most a screenful unless `everything` is wanted; `more` is the hint how to get the rest."""
        rest = iter(lines)
        for line in rest if everything else islice(rest, CAP):
            if diff and self.interactive:
                self.out.write(f"{painted(line)}\n")
            else:
                self.say(line)
        left = sum(1 for _ in islice(rest, MANY))
        if left:
            self.say(f"… {left if left < MANY else 'many'} more lines: {more}")

    def complain(self, error: MeldError) -> None:
        """Says what is wrong."""
        if self.interactive:
            self.say(f"error: {error}")
        else:
            self.err.write(harmless(f"meldc: error: {error}\n"))
        self.worst(70 if isinstance(error, PassFailure) and error.own else 2)

    def _defect(self, e: Exception) -> None:
        """A defect of the compiler does not end the session either."""
        if os.environ.get("MELDC_TRACEBACK"):
            raise e
        hint = "this is a defect of meldc; MELDC_TRACEBACK=1 shows where it happened"
        self.complain(MeldError(f"internal error: {type(e).__name__}: {str(e)[:200]}", hint=hint))
        self.worst(70)

    def worst(self, status: int) -> None:
        """Keeps the worst exit code."""
        self.status = max(self.status, status)

    def ask(self, question: str, answers: Sequence[str]) -> str | None:
        """The first letter of the answer; None without a terminal or a usable answer."""
        if self.editor is None:
            return None
        with suppress(EOFError, KeyboardInterrupt):
            for _ in range(3):
                answer = self.editor.read(question, remember=False).strip().lower()[:1]
                if answer in answers:
                    return answer
        return None


def split_commands(line: str) -> list[str]:
    """The commands of a line, which stand between semicolons outside of quotation marks."""
    if line.lstrip().startswith("#"):
        return []
    parts, quote, escaped = [io.StringIO()], "", False
    for c in line:
        if escaped or (quote and c == "\\"):
            escaped = not escaped
        elif c == quote:
            quote = ""
        elif not quote and c in "'\"":
            quote = c
        elif not quote and c == ";":
            parts.append(io.StringIO())
            continue
        parts[-1].write(c)
    return [part.getvalue().strip() for part in parts if part.getvalue().strip()]
