"""Documents as a client has opened them, and its positions as places in their text.

Lines end at a line feed, a carriage return, or both, and at nothing else; columns count the units of the encoding that
the client and the server agreed on (Language Server Protocol 3.17, section "Text Documents").
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import field
from urllib.parse import unquote, urlsplit

from lsprotocol import types as lsp

from meld.support.records import record

_LINE_END = re.compile(r"\r\n|\n|\r")
_UNITS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


@record(eq=False)
class Document:
    """One version of a document. `uri` is spelt as the client spells it."""

    uri: str
    version: int | None
    text: str
    encoding: str = "utf-16"
    lines: list[int] = field(init=False)
    plain: bool = field(init=False)

    def __post_init__(self) -> None:
        self.lines = [0, *(match.end() for match in _LINE_END.finditer(self.text))]
        self.plain = self.text.isascii()

    @property
    def name(self) -> str:
        """What the document is called in messages."""
        return unquote(urlsplit(self.uri).path).rpartition("/")[2] or "document"

    def offset(self, position: lsp.Position) -> int:
        """A position as a place in the text; what lies behind the end of a line or of the text is there."""
        if position.line >= len(self.lines):
            return len(self.text)
        start = self.lines[position.line]
        end = self.lines[position.line + 1] if position.line + 1 < len(self.lines) else len(self.text)
        line = self.text[start:end].rstrip("\r\n")
        if self.plain:
            return start + min(position.character, len(line))
        codec, size = _UNITS[self.encoding]
        units = line.encode(codec, "surrogatepass")[: position.character * size]
        return start + len(units.decode(codec, "ignore"))

    def position(self, offset: int) -> lsp.Position:
        """A place in the text as the client counts it."""
        line = bisect_right(self.lines, offset) - 1
        before = self.text[self.lines[line] : offset]
        if self.plain:
            return lsp.Position(line, len(before))
        codec, size = _UNITS[self.encoding]
        return lsp.Position(line, len(before.encode(codec, "surrogatepass")) // size)

    def range(self, start: int, end: int) -> lsp.Range:
        """A stretch of the text as the client counts it."""
        return lsp.Range(self.position(start), self.position(end))

    def changed(self, version: int | None, changes: Sequence[lsp.TextDocumentContentChangeEvent]) -> Document:
        """The document after changes, which follow each other."""
        document = self
        for change in changes:
            text = change.text
            if isinstance(change, lsp.TextDocumentContentChangePartial):
                start, end = document.offset(change.range.start), document.offset(change.range.end)
                text = document.text[:start] + change.text + document.text[max(start, end) :]
            document = Document(self.uri, version, text, self.encoding)
        return document


def key_of(uri: str) -> str:
    """What different spellings of a URI have in common: a client may escape more than the other one, or less."""
    return unquote(uri)
