"""Texts in the user's editor."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from meld.debugger.history import EDITED
from meld.diagnostics import MeldError


def edited(text: str) -> str:
    """A text as it is after the user has edited it. MeldError if there is no editor, or it fails."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or shutil.which("vi") or ""
    words = shlex.split(command)
    if not words:
        raise MeldError("there is no editor", hint="set $EDITOR, or take the text from a file: edit … --from FILE")
    with tempfile.TemporaryDirectory(prefix="meldc-") as directory:
        path = Path(directory) / EDITED
        path.write_text(text, encoding="utf-8")
        try:
            done = subprocess.run([*words, str(path)], check=False)
        except OSError as e:
            raise MeldError(f"cannot run the editor `{words[0]}`: {e.strerror}", hint="$EDITOR names it") from e
        if done.returncode:
            raise MeldError(f"the editor ended with exit code {done.returncode}; nothing was changed")
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise MeldError("what the editor left is not UTF-8 text") from e
