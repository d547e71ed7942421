"""Scripts of test suites (`.wast`): their modules and components, and the assertions about them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from meld.faults.reduction.cuts import functions
from meld.files import decode
from meld.ir.component import Component
from meld.ir.module import Module
from meld.text.grammar.lexer import Scanner
from meld.text.literals import string_bytes
from meld.text.reading.program import parse


class Form(Enum):
    """How a module is written down."""

    TEXT = "text"
    QUOTE = "quote"
    BINARY = "binary"


@dataclass(frozen=True)
class Command:
    """One command about a program: `what` is ``module``, ``component`` or the name of the assertion.

    `line` counts from 1.
    """

    what: str
    form: Form
    data: bytes
    line: int
    message: str = ""
    component: bool = False


def program_of(command: Command) -> Module | Component:
    """The module or component of a command, with all its bodies. Raises MeldError, UnicodeDecodeError."""
    if command.form is Form.BINARY:
        program = decode(command.data, "binary")
    else:
        text, kind = command.data.decode(), "component" if command.component else "module"
        if command.form is Form.QUOTE and not re.match(rf"\(\s*{kind}\b", text[Scanner(text).skip(0) :]):
            text = f"({kind} {text})"
        program = parse(text, "text")
    assert isinstance(program, Component) is command.component
    for function in functions(program):
        if function.body is not None:
            function.view()
    return program


PROGRAMS = ("module", "component")
ABOUT_PROGRAMS = ("assert_malformed", "assert_invalid", "assert_malformed_custom", "assert_invalid_custom")


def commands(text: str) -> Iterator[Command]:
    """The modules and components of a script, and what is asserted to be none."""
    scanner = Scanner(text)
    pos = scanner.skip(0)
    while pos < len(text):
        end = scanner.close(pos)
        word, at = _word(text, scanner, pos + 1)
        line = text.count("\n", 0, pos) + 1
        if word in PROGRAMS and _word(text, scanner, at)[0] != "instance":
            form, data = _program(text, scanner, pos, end, word)
            yield Command(word, form, data, line, component=word == "component")
        elif word in ABOUT_PROGRAMS:
            start = scanner.skip(at)
            close = scanner.close(start)
            kind = _word(text, scanner, start + 1)[0]
            if kind in PROGRAMS:
                form, data = _program(text, scanner, start, close, kind)
                yield Command(word, form, data, line, text[close : end - 1].strip(), kind == "component")
        pos = scanner.skip(end)


def _word(text: str, scanner: Scanner, pos: int) -> tuple[str, int]:
    pos = end = scanner.skip(pos)
    while end < len(text) and (text[end].isalnum() or text[end] in "_$.-"):
        end += 1
    return text[pos:end], end


def _program(text: str, scanner: Scanner, start: int, end: int, kind: str) -> tuple[Form, bytes]:
    _, pos = _word(text, scanner, start + 1)
    next_word, after = _word(text, scanner, pos)
    head = f"({kind}"
    if next_word == "definition":
        pos = after
        next_word, after = _word(text, scanner, pos)
    named = pos
    if next_word.startswith("$"):
        named = after
        next_word, after = _word(text, scanner, named)
    if next_word not in ("quote", "binary"):
        return Form.TEXT, (head + " " + text[pos:end]).encode()
    pieces = []
    pos = scanner.skip(after)
    while text[pos] == '"':
        close = scanner.string_end(pos)
        data = string_bytes(text[pos:close])
        assert data is not None, text[pos:close]
        pieces.append(data)
        pos = scanner.skip(close)
    return Form(next_word), (b" " if next_word == "quote" else b"").join(pieces)
