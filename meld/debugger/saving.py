"""What `save` writes: the program where the session stands, as text that goes on by itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from meld.debugger.session import Session
from meld.driver import print_text
from meld.passmanager import Plan


def saved_text(session: Session, name: str) -> str:
    """The program with the command that goes on from it; `name` is that of the file."""
    return "".join(f";; {line}\n" for line in _head(session, name)) + print_text(session.program)


def _head(session: Session, name: str) -> Iterator[str]:
    rest = Plan(session.history.rest(session.number)).spec()
    plugins = "".join(f" --plugin={shlex.quote(file)}" for file in session.options.plugins)
    passes = shlex.quote(f"--passes={rest}") if any(c in rest for c in "{ ") else f"--passes={rest}"
    yield f"to go on: meldc {shlex.quote(name)} {passes}{plugins} -o out.wasm"
    where = f"after step {session.done} of {len(session.entries)}, {session.label(session.done)}"
    if session.rewrite is not None:
        where = (
            f"inside of step {session.number}, {session.label(session.number)}, before its rewrite {session.rewrite}"
        )
    yield f"written by `meldc debug` {where}"
    for entry in session.entries[: session.number]:
        if entry.edit is not None:
            yield f"edited: {entry.edit.function or 'the whole program'}"
    skipped = [entry.step.label for entry in session.entries if entry.skipped]
    if skipped:
        yield f"skipped: {', '.join(skipped)}"
