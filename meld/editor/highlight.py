"""Highlighting of the IR for Pygments: WebAssembly text, of modules and components, with annotations."""

from __future__ import annotations

from typing import ClassVar

from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text, Whitespace

from meld.ir.component import Prim
from meld.ir.opcodes import OPS

_NAME = r"\$(?:\"[^\"\\]*(?:\\.[^\"\\]*)*\"|[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+)"
_END = r"(?![0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~])"
_TYPES = [
    "i32",
    "i64",
    "v128",
    "i8",
    "i16",
    "funcref",
    "externref",
    "anyref",
    "eqref",
    "i31ref",
    "structref",
    "arrayref",
    "exnref",
    "nullref",
    *(prim.value for prim in Prim),
]


class MeldLexer(RegexLexer):  # type: ignore[misc]  # pygments has no types
    """Modules and compositions of meldc; any WebAssembly text."""

    name = "WebAssembly text of meldc"
    aliases: ClassVar[list[str]] = ["meld", "meldc"]
    filenames: ClassVar[list[str]] = ["*.meld.wat"]
    url = ""

    tokens: ClassVar = {
        "root": [
            (r"\s+", Whitespace),
            (r";;[^\n\r]*", Comment.Single),
            (r"\(;", Comment.Multiline, "comment"),
            (r"(\()(@)([^\s()\";]+)", bygroups(Punctuation, Operator, Name.Decorator), "annotation"),
            (r"(\()(\s*)([a-z][\w.-]*)" + _END, bygroups(Punctuation, Whitespace, Keyword)),
            (r"[()]", Punctuation),
            (_NAME, Name.Variable),
            (r'"[^"\\]*(?:\\.[^"\\]*)*"', String.Double),
            (words(_TYPES, suffix=_END), Keyword.Type),
            (words(sorted(OPS), suffix=_END), Name.Builtin),
            (r"(offset|align)(=)", bygroups(Name.Attribute, Operator)),
            (r"[+-]?(?:0x[0-9A-Fa-f_]+(?:\.[0-9A-Fa-f_]*)?(?:[pP][+-]?[0-9_]+)?|inf|nan(?::\w+)?)" + _END, Number.Hex),
            (r"[+-]?[0-9][0-9_]*\.[0-9_]*(?:[eE][+-]?[0-9_]+)?" + _END, Number.Float),
            (r"[+-]?[0-9][0-9_]*(?:[eE][+-]?[0-9_]+)?" + _END, Number.Integer),
            (r"[^\s()\";]+", Text),
            (r".", Text),
        ],
        "comment": [
            (r"\(;", Comment.Multiline, "#push"),
            (r";\)", Comment.Multiline, "#pop"),
            (r"[^(;)]+|.", Comment.Multiline),
        ],
        "annotation": [
            (r"\s+", Whitespace),
            (r";;[^\n\r]*", Comment.Single),
            (r"\(;", Comment.Multiline, "comment"),
            (r"(\()([a-z][\w.-]*)?", bygroups(Punctuation, Name.Attribute), "#push"),
            (r"\)", Punctuation, "#pop"),
            (_NAME, Name.Variable),
            (r'"[^"\\]*(?:\\.[^"\\]*)*"', String.Double),
            (r"[^\s()\";]+", Name.Constant),
            (r".", Text),
        ],
    }

    def analyse_text(text: str) -> float:
        """How sure it is that a text is ours: annotations say so."""
        return 0.9 if "(@meld." in text else 0.0
