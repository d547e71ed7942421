"""The grammars as parsers, and syntax errors as people want them: what was found, where, and what was expected."""

from __future__ import annotations

import functools
import marshal
import sys
from typing import Any

from meld.diagnostics import MeldError, Source, Span
from meld.support import cache
from meld.support.packaged import packaged
from meld.text.grammar.lalr import END, Parser, Tables, Token, Tree, Unexpected, compiled
from meld.text.grammar.lexer import STRETCHES, Scanner, WatLexer

_PHRASES = {
    "NAME": "a name (`$x`)",
    "STRING": "a string",
    "NUMBER": "a number",
    "BODY": "instructions",
    "EXPR": "an instruction in parentheses",
    "NUMTYPE": "a type",
    "REFTYPE": "a reference type",
    "HEAPTYPE": "a heap type",
    "PRIM": "a primitive type",
    "BUILTIN": "a built-in",
    "ENCODING": "`string-encoding=…`",
    "VERSION_SUFFIX": "`(version-suffix`",
    "$END": "the end of the text",
}
_SILENT = frozenset({"ANNOTATION", "CANCELLABLE", "ALWAYS_TASK_RETURN"})
FORMAT = 1
"""Of what is kept of the tables."""
_SHOWN = 10
"""How many of the expected tokens a message lists."""


@functools.cache
def syntax(start: str, *grammars: str) -> Syntax:
    """The parser of a start rule over one or more grammar files of this package."""
    return Syntax(start, grammars)


class Syntax:
    """A grammar, ready to parse texts."""

    def __init__(self, start: str, grammars: tuple[str, ...]) -> None:
        self.tables = _tables("\n".join(packaged(__package__, name) for name in grammars), start)
        self.lexer = WatLexer(self.tables.terminals)

    def parse(self, source: Source) -> Tree:
        """The tree of a text.

        Raises:
            MeldError: the text is not in the language; it says where, what was found and what was expected.
        """
        try:
            return Parser(self.tables).parse(source.text, self.lexer)
        except Unexpected as e:
            raise self._unexpected(source, e.token, e.parser) from None
        except MeldError as e:
            if e.span is not None:
                e.span = Span(source, e.span.start, e.span.end)
            raise

    def _unexpected(self, source: Source, token: Token, parser: Parser) -> MeldError:
        from difflib import get_close_matches

        opener = _innermost(parser.values)
        accepted = [name for name in parser.accepts() if name.isupper() and parser.takes(name)]
        phrases = {t.name: f"`{(t.word or t.pattern).replace('|', '`, `')}`" for t in self.tables.terminals} | _PHRASES
        expected = sorted({phrases[name] for name in accepted if name not in _SILENT}, key=_order)
        if token.type == END:
            if opener is not None:
                return Scanner(source.text, source).unclosed(opener.start_pos)
            return MeldError(
                f"the text ends where {_listed(expected)} should follow",
                span=Span(source, max(len(source.text) - 1, 0), len(source.text)),
            )
        start, end = token.start_pos, token.end_pos or token.start_pos + 1
        found = f"`{source.text[start : min(end, start + 40)]}`"
        if token.type in STRETCHES:
            found, end = "instruction", start + 1
        from meld.ir.proposals import HINT, of_word, unsupported

        proposal = of_word(str(token))
        if proposal is not None:
            message, span = unsupported(proposal, f"`{token.lstrip('(')}`"), Span(source, start, end)
            return MeldError(message, span=span, hint=HINT)
        inside = f" in `{opener}`" if opener is not None else ""
        close = get_close_matches(f"`{token}`", expected, 1, 0.7) if token else []
        return MeldError(
            f"unexpected {found}{inside}: expected {_listed(expected)}",
            span=Span(source, start, end),
            hint=f"did you mean {close[0]}?" if close else None,
        )


def _innermost(values: list[Any]) -> Token | None:
    """The innermost parenthesis that is still open, among the values of the parser's stack."""
    closed = 0
    for value in reversed(values):
        if isinstance(value, Token):
            if value == ")":
                closed += 1
            elif value.startswith("("):
                if not closed:
                    return value
                closed -= 1
    return None


def _order(phrase: str) -> tuple[bool, bool, str]:
    """Words in front, tokens behind, the closing parenthesis last."""
    return phrase == "`)`", phrase.startswith("`"), phrase


def _listed(expected: list[str]) -> str:
    if not expected:
        return "nothing more"
    if len(expected) > _SHOWN:
        return ", ".join(expected[:_SHOWN]) + ", …"
    return " or ".join([", ".join(expected[:-1]), expected[-1]] if len(expected) > 1 else expected)


def _tables(grammar: str, start: str) -> Tables:
    """The tables of a grammar, made now or by an earlier run."""
    key = f"{FORMAT}\n{sys.version}\n{start}\n{grammar}".encode()
    kept = cache.load(f"grammar-{start}", key)
    if kept is not None:
        return Tables.of(marshal.loads(kept))
    tables = compiled(grammar, start)
    cache.save(f"grammar-{start}", key, marshal.dumps(tables.plain()))
    return tables
