"""The line editor: editing, history and completion by readline, where available."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

HISTORY = 1000
"""Lines that are kept."""


def history_file() -> Path | None:
    """Where the history is kept: in the user's directory for state (XDG base directories); None if there is none."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "meldc" / "debug_history"
    with suppress(RuntimeError):
        return Path.home() / ".local" / "state" / "meldc" / "debug_history"
    return None


class LineEditor:
    """Reads lines from a terminal. Errors in history and completion are ignored."""

    def __init__(self, complete: Callable[[str, str], Sequence[str]]) -> None:
        """`complete` gives what a word may become: (line before the word, word so far) → words."""
        self.complete = complete
        self.found: Sequence[str] = ()
        self.file = history_file()
        try:
            import readline
        except ImportError:
            self.readline = None
            return
        self.readline = readline
        readline.set_completer(self._candidate)
        readline.set_completer_delims(" \t")
        bind = "bind ^I rl_complete" if "libedit" in (readline.__doc__ or "") else "tab: complete"
        readline.parse_and_bind(bind)
        readline.set_history_length(HISTORY)
        if self.file is not None:
            with suppress(OSError):
                readline.read_history_file(self.file)

    def read(self, prompt: str, *, remember: bool = True) -> str:
        """A line, which the history remembers or not. EOFError at the end, KeyboardInterrupt."""
        line = input(prompt)
        if line and not remember and self.readline is not None:
            self.readline.remove_history_item(self.readline.get_current_history_length() - 1)
        return line

    def close(self) -> None:
        """Keeps the history, if that can be."""
        if self.readline is None or self.file is None:
            return
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.readline.write_history_file(self.file)
            self.file.chmod(0o600)

    def _candidate(self, word: str, state: int) -> str | None:
        assert self.readline is not None
        if state == 0:
            line = self.readline.get_line_buffer()[: self.readline.get_begidx()]
            try:
                self.found = self.complete(line, word)
            except Exception:  # whatever is wrong will be said when the line is run
                self.found = ()
        return self.found[state] if state < len(self.found) else None
