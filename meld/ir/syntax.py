"""The grammars as parsers, and syntax errors as people want them: what was found, where, and what was expected."""

from __future__ import annotations

import functools
import io
import sys
from difflib import get_close_matches
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Tree, UnexpectedToken
from lark import __version__ as lark_version

from meld import cache
from meld.diagnostics import MeldError, Source, Span
from meld.ir.wat_lexer import STRETCHES, Scanner, WatLexer, takes

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
    "$END": "the end of the text",
}
_SILENT = frozenset({"ANNOTATION", "CANCELLABLE", "ALWAYS_TASK_RETURN"})
_SHOWN = 10
"""How many of the expected tokens a message lists."""


@functools.cache
def syntax(start: str, *grammars: str) -> Syntax:
    """The parser of a start rule over one or more grammar files of this package."""
    return Syntax(start, grammars)


class Syntax:
    """A grammar, ready to parse texts."""

    def __init__(self, start: str, grammars: tuple[str, ...]) -> None:
        here = files("meld.ir")
        text = "\n".join(here.joinpath(name).read_text(encoding="utf-8") for name in grammars)
        self.lark = _built(text, start)
        self.phrases = dict(_PHRASES)
        for terminal in self.lark.terminals:
            if terminal.name not in _PHRASES:
                shown = terminal.pattern.value.replace("|", "`, `")
                self.phrases[terminal.name] = f"`{shown}`"

    def parse(self, source: Source) -> Tree[Token]:
        """The tree of a text.

        Raises:
            MeldError: the text is not in the language; it says where, what was found and what was expected.
        """
        try:
            tree: Tree[Token] = self.lark.parse(source.text)
        except UnexpectedToken as e:
            raise self._unexpected(source, e) from None
        except MeldError as e:
            if e.span is not None:
                e.span = Span(source, e.span.start, e.span.end)
            raise
        return tree

    def _unexpected(self, source: Source, error: Any) -> MeldError:
        token: Token = error.token
        state = error.interactive_parser.parser_state
        opener = _innermost(state.value_stack)
        accepted = [name for name in state.parse_conf.states[state.position] if name.isupper() and takes(state, name)]
        expected = sorted({self.phrases[name] for name in accepted if name not in _SILENT}, key=_order)
        if token.type == "$END":
            if opener is not None and opener.start_pos is not None:
                return Scanner(source.text, source).unclosed(opener.start_pos)
            return MeldError(
                f"the text ends where {_listed(expected)} should follow",
                span=Span(source, max(len(source.text) - 1, 0), len(source.text)),
            )
        start = token.start_pos or 0
        end = token.end_pos or start + 1
        found = f"`{source.text[start : min(end, start + 40)]}`"
        if token.type in STRETCHES:
            found, end = "instruction", start + 1
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


def _built(grammar: str, start: str) -> Lark:
    """The parser of a grammar, its tables made now or by an earlier run."""
    key = f"{lark_version}\n{sys.version}\n{start}\n{grammar}".encode()
    tables = cache.load(f"grammar-{start}", key)
    if tables is not None:
        parser: Lark = Lark.load(io.BytesIO(tables))
        return parser
    parser = Lark(grammar, start=start, parser="lalr", lexer=WatLexer, maybe_placeholders=False)
    made = io.BytesIO()
    parser.save(made)
    cache.save(f"grammar-{start}", key, made.getvalue())
    return parser
