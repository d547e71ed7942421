"""What the compiler says when something is wrong, and where.

One error type carries a message, a place and a way out. A place in text is a `Span`; a place in a binary or in the
program is a short phrase (`where`), such as ``producer.wasm: offset 0x1f2`` or ``component $a, function "f"``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from itertools import islice
from typing import Any

from meld.support.records import record


def did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """A hint that offers what resembles a word, or `otherwise`."""
    found = nearest(word, known)
    return f"did you mean {' or '.join(f'`{one}`' for one in found)}?" if found else otherwise


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """What resembles a word most, without regard to case: one thing, or two that do so about equally."""
    from difflib import SequenceMatcher, get_close_matches

    folded: dict[str, str] = {}
    for one in islice(known, 5000):
        folded.setdefault(one.lower(), one)
    word = word.lower()
    found = get_close_matches(word, folded, 2, 0.6)
    best, *others = [SequenceMatcher(None, one, word).ratio() for one in found] or [0.0]
    return [folded[one] for one in (found if others and others[0] > best - 0.05 else found[:1])]


@record(frozen=True)
class Source:
    """A piece of text that spans point into: a file, or the text of an option.

    `located` asks readers to keep the place of every instruction, which compiling does without.
    """

    name: str
    text: str = field(repr=False)
    located: bool = False


@record(frozen=True)
class Span:
    """Characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        """Line of the first character, from 1."""
        return self.source.text.count("\n", 0, self.start) + 1

    @property
    def column(self) -> int:
        """Column of the first character, from 1."""
        return self.start - (self.source.text.rfind("\n", 0, self.start) + 1) + 1

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

    def excerpt(self) -> str:
        """The line of the first character with a caret under it; long lines are cut around the caret."""
        text = self.source.text
        begin = text.rfind("\n", 0, self.start) + 1
        end = text.find("\n", self.start)
        line = text[begin : end if end >= 0 else len(text)]
        column = self.start - begin
        width = max(1, min(self.end, begin + len(line)) - self.start)
        if len(line) > 160:
            cut = max(0, column - 60)
            head = "…" if cut else ""
            line = head + line[cut : cut + 120] + ("…" if cut + 120 < len(line) else "")
            column = column - cut + len(head)
        line = "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)
        pad = "".join("\t" if c == "\t" else " " for c in line[:column])
        return f"{line}\n{pad}{'^' * min(width, 80)}"


LONGEST = 4_000
"""Letters of a place, or of a message, that are shown: an input may have names of any length."""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 200]}…{text[-200:]}"


class Interruption(BaseException):
    """Ends what the compiler does, whatever it does then; neither a pass nor a plugin is to be blamed for it."""


class MeldError(Exception):
    """Something the user can mend: bad input, a wrong option, a program that cannot be fused.

    The command line prints it and exits with code 2.

    Args:
        message: what is wrong, one sentence without a full stop.
        span: where in the text, if it came from text.
        where: where otherwise: ``file: offset 0x10`` or ``component $a, function "f"``.
        hint: what to do about it.
    """

    def __init__(
        self, message: str, *, span: Span | None = None, where: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = str(message)  # passes of plugins raise it too, with whatever they have
        self.span = span
        self.where = where if where is None else str(where)
        self.hint = hint if hint is None else str(hint)

    def __str__(self) -> str:
        place = str(self.span) if self.span else self.where
        text = f"{_cut(place)}: {_cut(self.message)}" if place else _cut(self.message)
        if self.span:
            text += "\n" + self.span.excerpt()
        return f"{text}\nhint: {self.hint}" if self.hint else text

    def within(self, where: str) -> MeldError:
        """Adds an outer place (a file's name) in front of `where`, once; returns self."""
        if self.span is None and not (self.where or "").startswith(where):
            self.where = f"{where}: {self.where}" if self.where else where
        return self


class PassFailure(MeldError):
    """A pass broke: it crashed, or what it left is not valid. Not the user's input, but the pass is to be mended.

    Args:
        number: of the step, from 1.
        label: of the step: ``finish``, ``finish#2``.
        own: whether it is a pass of the compiler; the exit code is 70 then, for a plugin 2.
        rewrites: those of the pass (`meld.passes.base.Rewrite`).
    """

    def __init__(
        self,
        message: str,
        *,
        number: int,
        label: str,
        own: bool,
        hint: str | None = None,
        rewrites: Sequence[Any] = (),
    ) -> None:
        super().__init__(message, where=f"pass {label}", hint=hint)
        self.number = number
        self.label = label
        self.own = own
        self.rewrites = rewrites


@record(frozen=True)
class Remark:
    """What a pass wants the reader to know: something decided, with its reason."""

    origin: str
    message: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}"
