"""Annotations as text: ``(@label part…)`` to s-expressions and back (WebAssembly 3.0, section 6.3.7)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from meld.diagnostics import MeldError, Source, Span
from meld.ir.notes import Quoted, Ref, Sexp, Symbol
from meld.text.grammar.lexer import Scanner
from meld.text.literals import identifier, identifier_name, integer, quoted, string_bytes

MAX_DEPTH = 300
"""How deep the parentheses of an annotation may nest."""

_LABEL = re.compile(r"\(@([0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+|\"[^\"\\]*(?:\\.[^\"\\]*)*\")", re.DOTALL)
_PART = re.compile(
    r"""(?P<string>\$?"[^"\\]*(?:\\.[^"\\]*)*")|(?P<mark>[()])|(?P<word>[0-9A-Za-z!\#$%&'*+\-./:<=>?@\\^_`|~,;\[\]{}]+)""",
    re.VERBOSE | re.DOTALL,
)


def read_annotation(source: Source, start: int, end: int) -> tuple[str, list[Sexp]]:
    """The label and the parts of the annotation between two places of a text.

    Strings that are not UTF-8 are kept by surrogate escapes, as `raw_bytes` undoes.

    Raises:
        MeldError: it has no label, or a malformed part, or nests too deep.
    """
    text = source.text
    scanner = Scanner(text, source)
    label = _LABEL.match(text, start)
    if label is None:
        raise scanner.error("expected the name of an annotation behind `(@`", start, start + 2)
    pos, parts = label.end(), list[Sexp]()
    open_lists = [parts]
    while True:
        pos = scanner.skip(pos)
        match = _PART.match(text, pos, end)
        if match is None:
            raise scanner.no_token(pos) if pos < end else scanner.unclosed(start)
        token, at, pos = match[0], pos, match.end()
        if token == "(":
            inner: list[Sexp] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
            if len(open_lists) > MAX_DEPTH:
                raise scanner.error(f"an annotation nests deeper than {MAX_DEPTH}", at)
        elif token == ")":
            open_lists.pop()
            if not open_lists:
                return label[1], parts
        else:
            open_lists[-1].append(_atom(token, Span(source, at, pos)))


def _atom(token: str, span: Span) -> Sexp:
    if token[0] == '"':
        data = string_bytes(token)
        if data is None:
            raise MeldError("malformed string", span=span)
        return Quoted(data.decode("utf-8", "surrogateescape"))
    if token[0] == "$":
        name = identifier_name(token)
        if name is None:
            raise MeldError("malformed name", span=span)
        return Ref(name)
    return Symbol(token)


def raw_bytes(part: Quoted) -> bytes:
    """The bytes of a string in an annotation."""
    return part.text.encode("utf-8", "surrogateescape")


def annotation_text(label: str, parts: Iterable[Sexp]) -> str:
    """The text of an annotation, in one line."""
    out = [f"(@{label}"]
    pending: list[list[Sexp]] = [list(parts)[::-1]]
    space = " "
    while pending:
        if not pending[-1]:
            pending.pop()
            out.append(")")
            space = " "
            continue
        match pending[-1].pop():
            case Symbol(text):
                out.append(space + text)
            case Quoted(text):
                out.append(space + quoted(text))
            case Ref(name):
                out.append(space + identifier(name))
            case list() as inner:
                out.append(space + "(")
                pending.append(inner[::-1])
                space = ""
                continue
        space = " "
    return "".join(out)


def index_of(part: Sexp) -> str | int | None:
    """The name or the number by which a part refers to something; None if it does not."""
    match part:
        case Ref(name):
            return name
        case Symbol(text) if text[:1].isdigit():
            return integer(text)
        case _:
            return None


def debug_name(span: Span) -> str:
    """The name in the annotation ``(@name "…")`` that stands at a place."""
    label, parts = read_annotation(span.source, span.start, span.end)
    if label == "name" and len(parts) == 1 and isinstance(parts[0], Quoted):
        try:
            return raw_bytes(parts[0]).decode()
        except UnicodeDecodeError:
            pass
    raise MeldError('expected `(@name "…")` with a name in UTF-8', span=span)
