"""More than the first error of a text: what is wrong is taken out, and the rest is read again.

Only what can be taken out without harm to the rest is: the body of a function, and fields that others cannot refer to
(exports, the start function, segments and annotations). So no message is about something that is in order.
"""

from __future__ import annotations

import re
from itertools import pairwise

from meld.diagnostics import MeldError, Source, Span
from meld.ir.component import Component
from meld.ir.module import Module
from meld.support.records import record
from meld.text.grammar.lexer import Scanner
from meld.text.reading.program import parse

MAX_ERRORS = 50
"""How many errors of one text are looked for: reading it again takes time."""

_KEYWORD = re.compile(r"\(\s*(@?[a-z][\w.-]*(?:\s+module\b)?)")
_MARK = re.compile(r'[()";]')
_MODULES = ("module", "core module")
_REMOVABLE = frozenset({"export", "start", "elem", "data"})
_HEAD = re.compile(r"\(\s*(?:export|import|type|param|result|local)(?![\w.])|\(@")
_NAME = re.compile(r'\$(?:"[^"\\]*(?:\\.[^"\\]*)*"|[^\s()";]+)')


@record()
class Group:
    """A pair of parentheses in a text: from the opening one to behind the closing one."""

    start: int
    end: int
    keyword: str


def parse_all(text: str, name: str) -> tuple[Module | Component | None, list[MeldError]]:
    """The program of a text, and its errors in the order of the text.

    If there are errors, the program is what is left when they are taken out, and None if that is nothing. Bodies that
    stay text are not read here: `meld.verify.program.verify(program, decode=True)` has their errors.
    """
    errors: list[MeldError] = []
    program = None
    current, source = text, Source(name, text, located=True)
    while len(errors) < MAX_ERRORS:
        try:
            program = parse(current, name, located=True)
            break
        except MeldError as e:
            e.span = in_source(e.span, source)
            errors.append(e)
            harmless = None if e.span is None else _harmless(current, e.span.start)
            if harmless is None:
                break
            start, end = harmless
            current = current[:start] + re.sub(r"[^\n]", " ", current[start:end]) + current[end:]
    errors.sort(key=lambda e: e.span.start if e.span is not None else -1)
    return program, errors


def in_source(span: Span | None, source: Source) -> Span | None:
    """The same place in the text as it was, since taking out keeps all places."""
    return None if span is None else Span(source, span.start, span.end)


def _harmless(text: str, place: int) -> tuple[int, int] | None:
    """What may be taken out of a text so that the error at a place disappears; None if the rest would suffer."""
    try:
        groups = enclosing(text, place)
    except MeldError:
        return None
    for around, group in pairwise(groups):
        if around.keyword not in _MODULES:
            continue
        if group.keyword in _REMOVABLE or group.keyword.startswith("@"):
            named = _NAME.match(text, Scanner(text).skip(group.start + 1 + len(group.keyword)))
            return None if named else (group.start, group.end)
        if group.keyword == "func":
            body = body_start(text, group)
            return (body, group.end - 1) if body <= place and body < group.end - 1 else None
    return None


def enclosing(text: str, place: int) -> list[Group]:
    """The parentheses around a place, the outermost first. Raises MeldError where the text is cut."""
    return [group for group in groups(text) if group.start <= place < group.end]


def groups(text: str) -> list[Group]:
    """All parentheses of a text, in the order in which they open, annotations included. Raises MeldError: it is cut."""
    scanner = Scanner(text)
    found: list[Group] = []
    open_groups: list[Group] = []
    pos = 0
    while (match := _MARK.search(text, pos)) is not None:
        start = match.start()
        if match[0] == "(" and not text.startswith(";", start + 1):
            keyword = _KEYWORD.match(text, start)
            open_groups.append(Group(start, len(text), " ".join(keyword[1].split()) if keyword else ""))
            found.append(open_groups[-1])
            pos = start + 1
            continue
        pos = _behind(scanner, start)
        if match[0] == ")" and open_groups:
            open_groups.pop().end = pos
    if open_groups:
        raise scanner.unclosed(open_groups[-1].start)
    return found


def _behind(scanner: Scanner, start: int) -> int:
    """The place behind a string, a comment or a closing parenthesis."""
    text = scanner.text
    if text[start] == '"':
        return scanner.string_end(start)
    if text[start] == ")":
        return start + 1
    return max(scanner.skip(start), start + 1)


def body_start(text: str, func: Group) -> int:
    """Where the instructions of a function begin: behind its name, notes, exports, type and locals."""
    scanner = Scanner(text)
    pos = scanner.skip(func.start + 1)
    pos = scanner.skip(pos + len("func"))
    name = _NAME.match(text, pos)
    if name is not None:
        pos = scanner.skip(name.end())
    while pos < func.end and _HEAD.match(text, pos):
        pos = scanner.skip(scanner.close(pos))
    return pos
