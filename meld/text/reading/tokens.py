"""A stretch of instructions in a text, and its tokens.

Most stretches have no comments and no annotations: there the tokens are found by one regular expression, and their
places only when an error has to be shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from meld.ir.types import ValType
from meld.support.records import record
from meld.text.grammar.lexer import Scanner
from meld.text.reading.names import TextContext

LocalType = ValType | tuple[bool, int]
"""The type of a local; a reference to a defined type is (nullable, index in the scope), so that scopes rule it too."""


@record(eq=False)
class BodyText:
    """A stretch of instructions in a text, with the local variables of its function."""

    context: TextContext
    start: int
    end: int
    locals: tuple[LocalType, ...] = ()
    local_names: Mapping[str, int] = field(default_factory=dict)


_TOKEN = re.compile(r"[()]|\$\"[^\"\\]*(?:\\.[^\"\\]*)*\"|[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+|[^ \t\n\r]", re.DOTALL)
_SLOW = re.compile(r"[;@\"]")
_UNDERSTOOD = re.compile(r"\(@(?:meld\.|name[\s\"();]|metadata\.code\.branch_hint)")
"""Annotations that instructions have; others may stand anywhere, and are skipped."""
_CUSTOM = re.compile(r"\(@custom[\s\"();]")


def is_plain(text: BodyText) -> bool:
    """Whether a stretch has no comments, annotations and quoted names."""
    return _SLOW.search(text.context.source.text, text.start, text.end) is None


def plain_tokens(text: BodyText) -> list[str]:
    """The tokens of a plain stretch."""
    return _TOKEN.findall(text.context.source.text, text.start, text.end)


def placed_tokens(text: BodyText) -> list[tuple[str, int]]:
    """The tokens with their places; comments are skipped, an annotation is one token."""
    source, pos, end = text.context.source, text.start, text.end
    scanner = Scanner(source.text, source)
    found: list[tuple[str, int]] = []
    while (pos := scanner.skip(pos)) < end:
        if source.text.startswith("(@", pos):
            stop = scanner.annotation_end(pos)
            if _CUSTOM.match(source.text, pos):
                raise scanner.error("this annotation is misplaced: it would mean nothing here", pos, stop)
            if not _UNDERSTOOD.match(source.text, pos):
                pos = stop
                continue
        else:
            match = _TOKEN.match(source.text, pos)
            assert match is not None
            stop = match.end()
            if stop < end and match[0] not in ("(", ")") and source.text[stop] not in " \t\n\r();":
                raise scanner.touching(stop)
        found.append((source.text[pos:stop], pos))
        pos = stop
    return found
