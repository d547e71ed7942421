"""The lexer of the text formats: tokens for the grammar, and stretches of instructions as one token each.

The grammar (wat.lark, with component.lark behind it) says which tokens there are; the parser says which it can take
next, and the lexer chooses among what fits. So a keyword is a keyword only where it means something, and where the
parser takes instructions and the text has no other token, a stretch of instructions begins.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from itertools import islice

from meld.diagnostics import MeldError, Source, Span
from meld.text.grammar.lalr import Parser, Terminal, Token

_SPACE = re.compile(r"(?:[ \t\n\r]+|;;[^\n\r]*|\(;[^;()]*;\))+")
_COMMENT_PART = re.compile(r"\(;|;\)")
_LEXEME = re.compile(
    r"""(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")
      | (?P<name>\$(?:"[^"\\]*(?:\\.[^"\\]*)*"|[0-9A-Za-z!\#$%&'*+\-./:<=>?@\\^_`|~]+))
      | (?P<annotation>\(@)
      | (?P<open>\()
      | (?P<close>\))
      | (?P<word>[0-9A-Za-z!\#$%&'*+\-./:<=>?@\\^_`|~]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"[a-z][0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]*")
_LABEL = re.compile(r'\(@([0-9A-Za-z!#$%&\'*+\-./:<=>?@\\^_`|~]+|"[^"\\]*(?:\\.[^"\\]*)*")', re.DOTALL)
_PLACED = re.compile(r'\(@(?:name|custom|meld\.[^\s"();]*)[\s"();]')
"""Annotations that mean something in certain places only (WebAssembly 3.0, appendix, custom annotations; our notes)."""
HINT = "(@metadata.code.branch_hint"
"""The annotation that belongs to the first instruction of a body where it stands in front of it."""
_ENDS = frozenset(("", *" \t\n\r();"))
"""What may follow a token; two that touch are one, which is reserved."""
_TOKEN_START = re.compile(r"[()]|[^\s()]+")
_LINE_END = re.compile(r"[\n\r]")
_MARK = re.compile(r'[()";]')
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)

STRETCHES = ("BODY", "EXPR")

MAX_TOKENS = 1_000_000
"""Tokens of a text outside of bodies: trees and items of more would take more than a gigabyte."""
MAX_BODY_TOKENS = 3_000_000
"""Tokens of one body, for the same reason."""
SMALLER = "make a binary of it, as `wasm-tools parse` does: its bodies are kept as bytes"


def check_stretch(scanner: Scanner, start: int, end: int) -> None:
    """Raises MeldError if a stretch of instructions has too many tokens."""
    if end - start <= MAX_BODY_TOKENS:
        return
    tokens = _TOKEN_START.finditer(scanner.text, start, end)
    if next(islice(tokens, MAX_BODY_TOKENS, None), None) is not None:
        raise scanner.error(f"more than {MAX_BODY_TOKENS} words and parentheses in one body", start, hint=SMALLER)


class WatLexer:
    """The lexer over the terminals of a grammar. Errors are given their source by the caller."""

    def __init__(self, terminals: Sequence[Terminal]) -> None:
        self.words: dict[str, list[str]] = {}
        self.patterns = []
        for name, word, pattern in terminals:
            if word is None:
                self.patterns.append((name, re.compile(pattern)))
            else:
                self.words.setdefault(word, []).append(name)
        self.order = {terminal.name: number for number, terminal in enumerate(terminals)}
        self.known: dict[str, list[str]] = {}
        # all names and all strings are alike
        self.alike = {"string": self.candidates('""'), "name": self.candidates("$x")}

    def lex(self, text: str, parser: Parser) -> Iterator[Token]:
        """The tokens, each chosen when the parser is ready for it."""
        scanner = Scanner(text)
        pos, count = scanner.skip(0), 0
        while pos < len(text):
            count += 1
            if count > MAX_TOKENS:
                raise scanner.error(
                    f"more than {MAX_TOKENS} words and parentheses outside of bodies", pos, hint=SMALLER
                )
            accepts = parser.accepts()
            start = pos
            match = _LEXEME.match(text, pos)
            if match is None:
                raise scanner.no_token(pos)
            pos, value = match.end(), match[0]
            match match.lastgroup:
                case "annotation" if "BODY" in accepts and text.startswith(HINT, start):
                    pos = scanner.stretch(start)
                    check_stretch(scanner, start, pos)
                    yield Token("BODY", "", start, pos)
                    pos = scanner.skip(pos)
                    continue
                case "annotation":
                    pos = scanner.skip((yield from self._annotations(scanner, start, parser)))
                    continue
                case "open":
                    at = scanner.skip(pos)
                    word = _WORD.match(text, at)
                    if word is not None:
                        value, pos = "(" + word[0], word.end()
            if value[-1] not in "()" and text[pos : pos + 1] not in _ENDS:
                raise scanner.touching(pos)
            candidates = self.alike.get(match.lastgroup or "") or self.known.get(value)
            if candidates is None:
                candidates = self.candidates(value)
            fitting = [kind for kind in candidates if kind in accepts]
            if len(fitting) > 1:
                fitting = [kind for kind in fitting if parser.takes(kind)]
            if fitting:
                kind = fitting[0]
            else:
                if value[0] == "(" and "EXPR" in accepts and parser.takes("EXPR"):
                    kind, pos = "EXPR", scanner.close(start)
                elif value != ")" and "BODY" in accepts:
                    kind, pos = "BODY", scanner.stretch(start)
                elif value[0] == "(" and "LPAR" in accepts:
                    kind, value, pos = "LPAR", "(", start + 1
                else:
                    kind = candidates[0] if candidates else "UNKNOWN"
                if kind in STRETCHES:
                    value = ""
                    check_stretch(scanner, start, pos)
            yield Token(kind, value, start, pos)
            pos = scanner.skip(pos)

    def _annotations(self, scanner: Scanner, start: int, parser: Parser) -> Generator[Token, None, int]:
        """The annotations from a place on, as far as the parser can take them, behind the name if one follows.

        Returns:
            The end of what was read.
        """
        text, end = scanner.text, scanner.annotations_end(start)
        follows = scanner.skip(end)
        name = _LEXEME.match(text, follows)
        found = scanner.annotations(start)
        if name is not None and name.lastgroup == "name" and parser.takes("NAME"):
            end = name.end()
            if text[end : end + 1] not in _ENDS:
                raise scanner.touching(end)
            yield Token("NAME", name[0], follows, end)
        for at, close in found:
            if "ANNOTATION" in parser.accepts() and parser.takes("ANNOTATION"):
                yield Token("ANNOTATION", text[at:close], at, close)
            elif _PLACED.match(text, at):
                hint = "annotations of a function, memory or the like stand behind its name, in front of its exports"
                raise scanner.error("this annotation is misplaced: it would mean nothing here", at, close, hint)
        return end

    def candidates(self, value: str) -> list[str]:
        """The terminals that a piece of text can be; remembered unless it is one of many."""
        found = [*self.words.get(value, ()), *(name for name, pattern in self.patterns if pattern.fullmatch(value))]
        found.sort(key=self.order.__getitem__)
        if value[0] not in '"$0123456789' and len(value) < 40:
            self.known[value] = found
        return found


class Scanner:
    """Finds ends: of space, of a parenthesis, of a stretch of instructions. Raises MeldError where the text is cut."""

    def __init__(self, text: str, source: Source | None = None) -> None:
        self.text = text
        self.source = source or Source("text", text)

    def error(self, message: str, start: int, end: int | None = None, hint: str | None = None) -> MeldError:
        """An error at a place in the text."""
        return MeldError(message, span=Span(self.source, start, start + 1 if end is None else end), hint=hint)

    def skip(self, pos: int) -> int:
        """The end of the space and the comments at a place."""
        text = self.text
        while True:
            match = _SPACE.match(text, pos)
            if match is not None:
                pos = match.end()
            if not text.startswith("(;", pos):
                return pos
            pos = self.block_comment_end(pos)

    def line_end(self, pos: int) -> int:
        """The end of the line at a place, where a line comment ends too: at a line feed or a carriage return."""
        match = _LINE_END.search(self.text, pos)
        return match.start() if match is not None else len(self.text)

    def block_comment_end(self, start: int) -> int:
        """The end of a block comment, which may hold others."""
        depth = 0
        for part in _COMMENT_PART.finditer(self.text, start):
            depth += 1 if part[0] == "(;" else -1
            if not depth:
                return part.end()
        raise self.error("this comment is never closed", start, start + 2)

    def annotation_end(self, start: int) -> int:
        """The place behind the annotation at `start`, whose label has to be one."""
        label = _LABEL.match(self.text, start)
        if label is None:
            raise self.error("expected the name of an annotation behind `(@`", start, start + 2)
        if label[1][0] == '"':
            from meld.text.literals import string_text

            if not string_text(label[1]):
                raise self.error("malformed name of an annotation", start + 2, label.end())
        return self.close(start)

    def annotations(self, start: int) -> Iterator[tuple[int, int]]:
        """The places of the annotations from a place on, up to the next token that is none."""
        while self.text.startswith("(@", start):
            end = self.annotation_end(start)
            yield start, end
            start = self.skip(end)

    def annotations_end(self, start: int) -> int:
        """The place behind the last of the annotations from a place on."""
        return max((end for _, end in self.annotations(start)), default=start)

    def touching(self, pos: int) -> MeldError:
        """The error of a token that ends where the next one begins, or what is none."""
        if not "!" <= self.text[pos] <= "~":
            return self.no_token(pos)
        return self.error("a blank is missing between two tokens", pos)

    def close(self, start: int) -> int:
        """The place behind the parenthesis that closes the one at `start`."""
        end = self.stretch(start + 1)
        if end == len(self.text):
            raise self.unclosed(start)
        return end + 1

    def stretch(self, start: int) -> int:
        """The place of the parenthesis that closes what is open at `start`; the end of the text if there is none."""
        text, pos, depth = self.text, start, 0
        search = _MARK.search
        while match := search(text, pos):
            pos = match.end()
            match match[0]:
                case "(":
                    if text.startswith(";", pos):
                        pos = self.block_comment_end(pos - 1)
                    else:
                        depth += 1
                case ")":
                    if not depth:
                        return pos - 1
                    depth -= 1
                case ";":
                    if text.startswith(";", pos):
                        pos = self.line_end(pos)
                case _:
                    pos = self.string_end(pos - 1)
        return len(text)

    def string_end(self, start: int) -> int:
        """The place behind the string at `start`."""
        match = _STRING.match(self.text, start)
        if match is None:
            raise self.error("this string is never closed", start)
        return match.end()

    def unclosed(self, start: int) -> MeldError:
        """The error of a parenthesis that nothing closes."""
        word = re.compile(r"\([^\s()\"]*").match(self.text, start)
        return self.error(f"the text ends before `{word[0] if word else '('}` is closed", start, word and word.end())

    def no_token(self, pos: int) -> MeldError:
        """The error of a character that begins nothing."""
        if self.text[pos] == '"' or self.text.startswith('$"', pos):
            return self.error("this string is never closed", pos)
        return self.error(f"unexpected character {self.text[pos]!r}", pos)
