"""Tokens and parentheses of a text that may be cut off or malformed anywhere, as it is while somebody types.

Nothing here raises: what is open at the end of the text ends there, a string ends at the end of its line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from meld.support.records import record

NAME = r"\$(?:\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"|[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+)"
_STRING = r"\"[^\"\\\n]*(?:\\[^\n][^\"\\\n]*)*\"?"
_TOKEN = re.compile(
    rf"(?P<comment>;;[^\n\r]*)|(?P<block>\(;)|(?P<open>\()|(?P<close>\))|(?P<name>{NAME})|(?P<string>{_STRING})"
    r"|(?P<word>[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+)|(?P<other>[^ \t\n\r])"
)
_MARK = re.compile(rf"(?P<comment>;;[^\n\r]*)|(?P<block>\(;)|(?P<open>\()|(?P<close>\))|(?P<string>{_STRING})")
_BLOCK_PART = re.compile(r"\(;|;\)")
_KEYWORD = re.compile(r"\(\s*(core\s+[a-z]+(?![\w.-])|@?[^\s()\";]+)")

Token = tuple[str, int, int]
"""Kind (``comment``, ``open``, ``close``, ``name``, ``string``, ``word``, ``other``), start, end."""


@record(eq=False)
class Group:
    """A pair of parentheses, from the opening one to behind the closing one, or to the end of the text.

    `number` is its place among all; `parent` that of the one around it, -1 if there is none.
    """

    start: int
    end: int
    keyword: str
    number: int
    parent: int
    closed: bool = False


def tokens(text: str, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """The tokens of a stretch, comments included."""
    pos, end = start, len(text) if end is None else end
    while (match := _TOKEN.search(text, pos, end)) is not None:
        kind, pos = match.lastgroup or "", match.end()
        if kind == "block":
            kind, pos = "comment", _comment_end(text, match.start())
        yield kind, match.start(), pos


def word_at(text: str, offset: int) -> str | None:
    """The word at a place, or that ends there; None in a comment or a string, and where there is none."""
    begin = text.rfind("\n", 0, offset) + 1
    for kind, start, end in tokens(text, begin):
        if start > offset:
            return None
        if offset <= end and kind == "word":
            return text[start:end]
    return None


def groups(text: str) -> list[Group]:
    """All parentheses, annotations included, in the order in which they open."""
    found: list[Group] = []
    stack: list[Group] = []
    pos = 0
    while (match := _MARK.search(text, pos)) is not None:
        pos = match.end()
        match match.lastgroup:
            case "block":
                pos = _comment_end(text, match.start())
            case "open":
                keyword = _KEYWORD.match(text, match.start())
                parent = stack[-1].number if stack else -1
                word = " ".join(keyword[1].split()) if keyword else ""
                stack.append(Group(match.start(), len(text), word, len(found), parent))
                found.append(stack[-1])
            case "close" if stack:
                closed = stack.pop()
                closed.end, closed.closed = pos, True
    return found


def _comment_end(text: str, start: int) -> int:
    depth = 0
    for part in _BLOCK_PART.finditer(text, start):
        depth += 1 if part[0] == "(;" else -1
        if not depth:
            return part.end()
    return len(text)


@record(eq=False)
class Tree:
    """The parentheses of a text, with what is around a place."""

    text: str
    groups: list[Group]

    @classmethod
    def of(cls, text: str) -> Tree:
        """That of a text."""
        return cls(text, groups(text))

    def around(self, place: int) -> list[Group]:
        """The parentheses around a place, the innermost first; a place in front of one, or behind it, is outside."""
        at = bisect_right(self.groups, place - 1, key=lambda group: group.start) - 1
        found: list[Group] = []
        while at >= 0:
            group = self.groups[at]
            if place < group.end or not group.closed:
                found.append(group)
            at = group.parent
        return found

    def whole(self, start: int, end: int) -> Group | None:
        """The parentheses around a stretch, which may be those themselves."""
        at = bisect_right(self.groups, start, key=lambda group: group.start) - 1
        while at >= 0 and self.groups[at].end < end:
            at = self.groups[at].parent
        return self.groups[at] if at >= 0 else None

    def parent(self, group: Group) -> Group | None:
        """The parentheses around others."""
        return self.groups[group.parent] if group.parent >= 0 else None

    def last_child(self, group: Group, place: int) -> Group | None:
        """The last parentheses directly inside others that end in front of a place, or at it."""
        at = bisect_right(self.groups, place - 1, key=lambda one: one.start) - 1
        found: Group | None = None
        while at > group.number:
            found = self.groups[at]
            if found.parent == group.number:
                return found if found.end <= place else None
            at = found.parent
        return None

    def children(self, group: Group) -> list[Group]:
        """The parentheses directly inside others."""
        found: list[Group] = []
        at = group.number + 1
        while at < len(self.groups) and self.groups[at].start < group.end:
            if self.groups[at].parent == group.number:
                found.append(self.groups[at])
            at += 1
        return found
