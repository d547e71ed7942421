"""What a golden test says: the comments of a `.wat` file that are directives.

On lines of their own::

    ;; meldc: --passes=merge,finish      a command; the file is its first input, or stands where `{}` does
    ;; run: add(1, 2) == 3               an export of the product, called
    ;; run: crash() traps: unreachable
    ;; check: call $f                    the product has such a line; after that
    ;; next: drop                        the next line is this; and until the next `check`
    ;; not: i32.const {{[0-9]+}}         no line is like this; in {{…}} stand regular expressions
    ;; remark: bridged                   a pass says so
    ;; error: unknown pass               an error that is not about a place in the file
    ;; hint: run plan-tasks before       an error proposes this as the way out
    ;; output:                           the product is exactly what follows in comments
    ;;   (module …

Behind code, ``;; error: TEXT`` expects an error at that line. All belong to the command above; `error` and `hint`
belong to all commands.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import field
from difflib import get_close_matches
from enum import Enum
from pathlib import Path

from meld.diagnostics import MeldError, Source, Span
from meld.support.records import record
from meld.text.grammar.lexer import Scanner


class Kind(Enum):
    """The directives; the value is the word in the file."""

    MELDC = "meldc"
    RUN = "run"
    CHECK = "check"
    NEXT = "next"
    NOT = "not"
    REMARK = "remark"
    ERROR = "error"
    HINT = "hint"
    OUTPUT = "output"


_OWN_LINE = re.compile(rf"\s*;;\s*({'|'.join(kind.value for kind in Kind)}):(?:[ \t](.*))?$")
_BEHIND = re.compile(r";;\s*error:[ \t](.*)$")
_LIKE_ONE = re.compile(r"\s*;;\s*([A-Za-z]+):")
_LIKE_ERROR = re.compile(r"\S.*;;\s*([A-Za-z]+):[ \t]")
_PROSE = frozenset({"note", "notes", "hence", "text", "mold"})
"""Words in front of a colon that are no misspelt directives."""
_BLOCK = re.compile(r";;(?:   ?(.*)|\s*)$")


@record(frozen=True)
class Expectation:
    """One directive. `line` counts from 0; `placed` tells an error at that line from one without a place."""

    kind: Kind
    text: str
    line: int
    placed: bool = False


@record()
class Case:
    """A command with what is expected of it. `line` is None for the command that is run if the file names none."""

    args: list[str]
    line: int | None
    expectations: list[Expectation] = field(default_factory=list)
    output: tuple[int, int] | None = None  # the lines of the block, the directive included


@record()
class Golden:
    """A golden test."""

    path: Path
    lines: list[str]
    cases: list[Case] = field(default_factory=list)
    errors: list[Expectation] = field(default_factory=list)
    hints: list[Expectation] = field(default_factory=list)

    def expects_anything(self) -> bool:
        """Whether the test can fail."""
        return bool(self.errors or self.hints) or any(case.expectations or case.output for case in self.cases)

    def has_program(self) -> bool:
        """Whether there is anything but comments."""
        text = "\n".join(self.lines)
        return Scanner(text).skip(0) < len(text)

    def span(self, line: int) -> Span:
        """A line of the file, for messages."""
        text = "\n".join(self.lines)
        start = sum(len(each) + 1 for each in self.lines[:line])
        start += len(self.lines[line]) - len(self.lines[line].lstrip())
        return Span(Source(self.path.name, text), start, start + max(1, len(self.lines[line].strip())))


def is_golden(text: str) -> bool:
    """Whether a text has any directive."""
    return any(_OWN_LINE.match(line) or _BEHIND.search(line) for line in text.split("\n"))


def read_golden(path: Path, text: str) -> Golden:
    """The directives of a file.

    Raises:
        MeldError: there is none, or one is malformed.
    """
    golden = Golden(path, text.split("\n"))
    number = 0
    while number < len(golden.lines):
        line = golden.lines[number]
        match = _OWN_LINE.match(line)
        if match is not None:
            number = _directive(golden, Kind(match[1]), (match[2] or "").strip(), number)
            continue
        behind = _BEHIND.search(line)
        if behind is not None:
            golden.errors.append(Expectation(Kind.ERROR, behind[1].strip(), number, placed=True))
        else:
            _refuse_misspelt(golden, line, number)
        number += 1
    if not golden.cases and (golden.errors or golden.hints):
        golden.cases.append(Case([], None))
    if not golden.cases:
        raise MeldError("is no golden test", where=str(path), hint="it begins with a command: `;; meldc: --passes=…`")
    return golden


def _refuse_misspelt(golden: Golden, line: str, number: int) -> None:
    """Refuses a misspelt directive: a test must not pass because its expectation is not read."""
    own = _LIKE_ONE.match(line)
    match = own or _LIKE_ERROR.match(line)
    if match is None or match[1] in _PROSE:
        return
    word, known = match[1], [kind.value for kind in Kind] if own else [Kind.ERROR.value]
    close = [word.lower()] if word.lower() in known else get_close_matches(word.lower(), known, 1, 0.75)
    if close:
        exact = word in known
        message = f"expected a blank behind `{word}:`" if exact else f"unknown directive `{word}`"
        hint = None if exact else f"did you mean `{close[0]}`?"
        raise MeldError(message, span=golden.span(number), hint=hint)


def _directive(golden: Golden, kind: Kind, text: str, number: int) -> int:
    """Takes up a directive; returns the number of the next line."""
    if kind is Kind.MELDC:
        try:
            golden.cases.append(Case(shlex.split(text), number))
        except ValueError as e:
            raise MeldError(f"malformed command: {e}", span=golden.span(number)) from None
        return number + 1
    if kind is Kind.ERROR:
        golden.errors.append(Expectation(kind, text, number))
        return number + 1
    if kind is Kind.HINT:
        golden.hints.append(Expectation(kind, text, number))
        return number + 1
    if not golden.cases:
        golden.cases.append(Case([], None))
    case = golden.cases[-1]
    if kind is Kind.OUTPUT:
        end = number + 1
        while end < len(golden.lines) and _BLOCK.fullmatch(golden.lines[end]):
            end += 1
        if case.output is not None:
            raise MeldError("the command has an `output` already", span=golden.span(number))
        case.output = (number, end)
        return end
    if kind is Kind.NEXT and not any(e.kind is Kind.CHECK for e in case.expectations):
        raise MeldError("`next` has no `check` that it follows", span=golden.span(number))
    case.expectations.append(Expectation(kind, text, number))
    return number + 1


def block(lines: list[str]) -> str:
    """The text in the comment lines of an `output` block."""
    found = [match[1] or "" for line in lines if (match := _BLOCK.fullmatch(line))]
    return "\n".join(found) + "\n" if found else ""


def as_block(text: str) -> list[str]:
    """A text as the comment lines of an `output` block."""
    return [f";;   {line}".rstrip() for line in text.rstrip("\n").split("\n")] if text.strip() else []


def pattern(text: str) -> re.Pattern[str]:
    """What a line has to have somewhere: text as it is, regular expressions in ``{{…}}``. Raises MeldError."""
    parts = re.split(r"\{\{(.*?)\}\}", text)
    try:
        return re.compile("".join(part if i % 2 else re.escape(part) for i, part in enumerate(parts)))
    except re.error as e:
        raise MeldError(f"malformed pattern `{text}`: {e}") from None
