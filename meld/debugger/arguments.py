"""The arguments of commands."""

from __future__ import annotations

import shlex
from pathlib import Path

from meld.diagnostics import MeldError


def words_of(rest: str) -> list[str]:
    """The words of a line, as a shell would take them apart. Raises MeldError."""
    try:
        return shlex.split(rest)
    except ValueError as e:
        raise MeldError(f"`{rest}`: {str(e).lower()}") from None


def take(words: list[str], flag: str) -> bool:
    """Takes a flag out of the words; whether it was there."""
    there = flag in words
    words[:] = [word for word in words if word != flag]
    return there


def take_value(words: list[str], option: str) -> str | None:
    """Takes ``--option=value`` or ``--option value`` out of the words."""
    for i, word in enumerate(words):
        if word == option and i + 1 < len(words):
            value = words[i + 1]
            del words[i : i + 2]
            return value
        if word.startswith(f"{option}="):
            del words[i]
            return word.partition("=")[2]
    return None


def refuse(words: list[str], usage: str) -> None:
    """MeldError if there are words left."""
    if words:
        raise MeldError(f"what is `{words[0]}`?", hint=f"usage: {usage}")


def number_of(text: str, usage: str) -> int:
    """A number. Raises MeldError."""
    if not text.isdigit():
        raise MeldError(f"expected a number, not `{text}`", hint=f"usage: {usage}")
    return int(text)


def at_most_one(rest: str, usage: str) -> str | None:
    """The only word, if there is one. Raises MeldError."""
    words = words_of(rest)
    refuse(words[1:], usage)
    return words[0] if words else None


def text_of_file(file: str) -> str:
    """What is in a file. Raises MeldError."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as e:
        raise MeldError(f"cannot read: {e.strerror}", where=file) from e
    except UnicodeDecodeError as e:
        raise MeldError("is not UTF-8 text", where=file) from e
