"""Text to programs: `(module …)` and `(component …)`, annotations included.

The grammar and the lexer find the fields (`meld.text.grammar`), module.py makes the module, body.py the instructions,
component/component.py the component.
"""

from __future__ import annotations

import re

from meld.diagnostics import MeldError, Source, Span
from meld.ir.component import Component
from meld.ir.module import Module
from meld.text.grammar.lalr import Token
from meld.text.grammar.lexer import Scanner
from meld.text.grammar.syntax import syntax
from meld.text.literals import string_bytes
from meld.text.reading.module import read_module_tree

_KEYWORD = re.compile(r"\(\s*([a-z][\w.-]*)")


_WIT = re.compile(r"\s*(?:(?://[^\n]*\n|/\*.*?\*/|@\w+(?:\([^)]*\))?)\s*)*(?:package|interface|world)\s", re.DOTALL)


def _is_wit(text: str) -> bool:
    return _WIT.match(text) is not None


def parse(text: str, name: str, *, located: bool = False) -> Module | Component:
    """The program that a text describes.

    Args:
        name: what the text is called in messages, a file's name for instance.
        located: keep the place of every instruction.

    Raises:
        MeldError: the text is malformed, or a name in it means nothing; the error shows the line.
    """
    source = Source(name, text, located)
    scanner = Scanner(text, source)
    start = scanner.skip(0)
    start = scanner.skip(scanner.annotations_end(start))
    keyword = _KEYWORD.match(text, start)
    if keyword is not None and keyword[1] == "component":
        from meld.text.reading.component.component import parse_component

        return parse_component(source)
    if keyword is None or keyword[1] != "module":
        end = keyword.end() if keyword else min(start + 1, len(text))
        hint = "a WIT file describes a world; an input is a component that implements one" if _is_wit(text) else None
        raise MeldError("expected `(module` or `(component`", span=Span(source, min(start, len(text)), end), hint=hint)
    return _module(source)


def parse_module(text: str, name: str) -> Module:
    """The core module that a text describes. Raises MeldError as `parse` does."""
    return _module(Source(name, text))


def _module(source: Source) -> Module:
    tree = syntax("module", "wat.lark").parse(source)
    match tree.data:
        case "module":
            return read_module_tree(tree, source, source.name)
        case "module_binary":
            return _binary([t for t in tree.children if t.type == "STRING"], source)
        case _:
            raise MeldError(
                "`(module quote …)` is not read: write the module itself", span=_span(tree.children[0], source)
            )


def _binary(strings: list[Token], source: Source) -> Module:
    """``(module binary "…")``: the bytes of a module."""
    from meld.binary.reader import read_module

    pieces: list[bytes] = []
    for token in strings:
        data = string_bytes(token)
        if data is None:
            raise MeldError("malformed string", span=_span(token, source))
        pieces.append(data)
    return read_module(b"".join(pieces), source.name)


def _span(token: Token, source: Source) -> Span:
    start = token.start_pos or 0
    return Span(source, start, token.end_pos or start + 1)
