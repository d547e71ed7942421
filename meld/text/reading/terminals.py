"""The tokens in the trees of the grammar: where they stand and what they say."""

from __future__ import annotations

from typing import overload

from meld.diagnostics import MeldError, Span
from meld.text.grammar.lalr import Token, Tree
from meld.text.literals import string_bytes, string_text, unsigned
from meld.text.reading.names import Fail, TextContext, key_of
from meld.text.reading.notes import only_name


class Terminals:
    """Reads the tokens of one text. Base of the readers of types and of component definitions."""

    def __init__(self, context: TextContext) -> None:
        self.context = context

    def span(self, token: Token) -> Span:
        """Where a token stands."""
        start = token.start_pos or 0
        return Span(self.context.source, start, token.end_pos or start + 1)

    def error(self, token: Token, message: str, hint: str | None = None) -> MeldError:
        """An error at a token."""
        return MeldError(message, span=self.span(token), hint=hint)

    def failing(self, token: Token) -> Fail:
        """What makes errors at a token."""
        return lambda message, hint: self.error(token, message, hint)

    def key(self, token: Token) -> str | int:
        """The name or number by which a token refers to something."""
        return key_of(token, self.failing(token))

    def identifier(self, token: Token) -> str:
        """The name that a token gives to something."""
        return str(self.key(token))

    def text(self, token: Token) -> str:
        """A string that must be UTF-8."""
        found = string_text(token)
        if found is None:
            raise self.error(token, "malformed string: an unknown escape, or not UTF-8")
        return found

    def bytes(self, token: Token) -> bytes:
        """A string of any bytes."""
        found = string_bytes(token)
        if found is None:
            raise self.error(token, "malformed string: an unknown escape, or a control character")
        return found

    def number(self, token: Token, bits: int = 32) -> int:
        """A number without a sign."""
        value = unsigned(token, bits)
        if value is None:
            raise self.error(token, f"expected a number of {bits} bits")
        return value

    @overload
    def shown_name(self, annotations: list[Token | Tree], name: str) -> str: ...
    @overload
    def shown_name(self, annotations: list[Token | Tree], name: None = None) -> str | None: ...
    def shown_name(self, annotations: list[Token | Tree], name: str | None = None) -> str | None:
        """The name for people: that of ``(@name "…")`` if there is one. Raises MeldError if there are two."""
        spans = [self.span(token) for token in annotations if isinstance(token, Token)]
        return only_name(spans, name)
