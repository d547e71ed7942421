"""What `save` writes: the program where the session stands, as text that can be resumed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from meld.debugger.session import Session
from meld.faults.reproducer import Reproducer, digest_of
from meld.files import print_text
from meld.passmanager import Plan
from meld.version import __version__


def saved_text(session: Session, name: str) -> str:
    """The program with what is left to run; `name` is that of the file."""
    saved = _saved(session)
    saved.head = f";; {how_to_go_on(session, name)}"
    return saved.text(print_text(session.program))


def how_to_go_on(session: Session, name: str) -> str:
    """Resumes from a saved file."""
    allowed = " --allow-commands" if _saved(session).runs_code else ""
    return f"to go on: meldc replay {shlex.quote(name)} -o out.wasm{allowed}"


def _saved(session: Session) -> Reproducer:
    return Reproducer(
        "",
        Plan(session.history.rest(session.number)).spec(),
        [(path, digest_of(path)) for path in session.options.plugins],
        version=__version__,
        command=f"meldc debug {shlex.join(path for path, _ in session.files)}: {'; '.join(_place(session))}",
    )


def _place(session: Session) -> Iterator[str]:
    if session.rewrite is not None:
        yield f"in step {session.number}, {session.label(session.number)}, before its rewrite {session.rewrite}"
    else:
        yield f"after step {session.done} of {len(session.entries)}, {session.label(session.done)}"
    for entry in session.entries[: session.number]:
        if entry.edit is not None:
            yield f"edited {entry.edit.function or 'as a whole'}"
    skipped = [entry.step.label for entry in session.entries if entry.skipped]
    if skipped:
        yield f"skipped {', '.join(skipped)}"
