"""The machine that runs the tables of the grammars, against lark: the same trees, and the same errors.

Both get their tokens from the lexer of the text formats, which asks the parser what it can take; lark answers with what
it has of its own, a copy of its parser that is fed the token.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any

import component_samples
import lark
import pytest
from lark.lexer import Lexer
from text_samples import EVERYTHING, MALFORMED

from meld.diagnostics import MeldError
from meld.support.packaged import packaged
from meld.text.grammar.lalr import Parser, Token, Unexpected, compiled
from meld.text.grammar.lexer import Scanner, WatLexer
from meld.text.grammar.syntax import Syntax, syntax

ROOT = Path(__file__).parents[2]
GRAMMARS = {"module": ("wat.lark",), "component": ("wat.lark", "component.lark")}
SAMPLES = [sample for name, sample in vars(component_samples).items() if name.isupper()]
PLACES = ("examples", "meld", "tests", "../shared")
FILES = sorted(p for place in PLACES for p in (ROOT / place).rglob("*.wa[st]*") if p.suffix in (".wat", ".wast"))
MUTANTS = 3000


class Lark:
    """lark with the lexer of the text formats."""

    def __init__(self, start: str) -> None:
        ours = syntax(start, *GRAMMARS[start]).tables

        class Tokens(Lexer):
            __future_interface__ = 2

            def __init__(self, _: object) -> None:
                self.lexer = WatLexer(ours.terminals)

            def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[lark.Token]:
                text = getattr(lexer_state.text, "text", lexer_state.text)
                for token in self.lexer.lex(text, Asked(parser_state)):  # type: ignore[arg-type]  # lark is the parser
                    yield lark.Token(token.type, str(token), token.start_pos, end_pos=token.end_pos)
                lexer_state.last_token = None

        grammar = "\n".join(packaged("meld.text.grammar", name) for name in GRAMMARS[start])
        self.parser = lark.Lark(grammar, start=start, parser="lalr", lexer=Tokens, maybe_placeholders=False)

    def said(self, text: str) -> Any:
        try:
            return shape(self.parser.parse(text))
        except lark.UnexpectedToken as e:
            return refusal(e.token, Asked(e.interactive_parser.parser_state), len(text))


class Asked:
    """What the lexer asks its parser, answered by lark."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def accepts(self) -> dict[str, Any]:
        found: dict[str, Any] = self.state.parse_conf.states[self.state.position]
        return found

    def takes(self, terminal: str) -> bool:
        probe = self.state.copy(deepcopy_values=False)
        probe.parse_conf = copy(probe.parse_conf)
        probe.parse_conf.callbacks = {}  # they would change the children of trees that the parser has
        try:
            probe.feed_token(lark.Token(terminal, ""))
        except lark.UnexpectedToken:
            return False
        return True


def said(grammar: Syntax, text: str) -> Any:
    parser = Parser(grammar.tables)
    try:
        return shape(parser.parse(text, grammar.lexer))
    except Unexpected as e:
        return refusal(e.token, e.parser, len(text))


def shape(tree: Any) -> list[tuple[Any, ...]]:
    """All nodes of a tree, each behind the one around it."""
    found, pending = [], [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            found.append((str(node), node.type, node.start_pos, node.end_pos))  # type: ignore[attr-defined]
        else:
            found.append((str(node.data), len(node.children)))
            pending += reversed(node.children)
    return found


def refusal(token: Any, parser: Any, end: int) -> tuple[Any, ...]:
    """Which token is refused, and which would not be."""
    wanted = {name for name in parser.accepts() if name.isupper() and name != "$END" and parser.takes(name)}
    place = end if token.type == "$END" else token.start_pos
    return "refused", token.type, str(token), place, wanted


@cache
def oracle(start: str) -> Lark:
    return Lark(start)


def agree(text: str) -> bool:
    """Whether the text is in the language; both say so, or both say the same of why not."""
    start = "component" if re.match(r"\(\s*component", text[Scanner(text).skip(0) :]) else "module"
    answers = []
    for parse in (oracle(start).said, lambda text: said(syntax(start, *GRAMMARS[start]), text)):
        try:
            answers.append(parse(text))
        except MeldError as e:  # of the lexer
            answers.append((e.message, e.span and (e.span.start, e.span.end)))
    assert answers[0] == answers[1], text
    return isinstance(answers[0], list)


def programs(path: Path) -> Iterator[str]:
    """The modules and components that a text or a script has, the outermost ones."""
    text, end = re.sub(r"\{\w+( [\w.]+)?\}", "1", path.read_text(encoding="utf-8")), 0  # templates have parameters
    for match in re.finditer(r"\((module|component)\b", text):
        if match.start() >= end:
            try:
                end = Scanner(text).close(match.start())
            except MeldError:
                continue
            yield text[match.start() : end]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_texts_of_others(path: Path) -> None:
    for text in programs(path):
        agree(text)


def test_samples() -> None:
    for text in (EVERYTHING, *SAMPLES):
        assert agree(text)
    for sample in MALFORMED:
        agree(sample if isinstance(sample, str) else sample[0])


def test_no_program() -> None:
    for text in ("", " ", ")", "(", "(module", "(module) (module)", "(module))", '(module "', "(component) x", "(fun)"):
        assert not agree(text)


@pytest.mark.parametrize("start", GRAMMARS)
def test_changed_texts(start: str) -> None:
    """Tokens left out, doubled or exchanged, and texts cut short."""
    texts = [text for path in FILES for text in programs(path) if text.startswith(f"({start}") and len(text) < 4000]
    texts += [EVERYTHING] if start == "module" else SAMPLES
    r, right = random.Random(start), 0
    for _ in range(MUTANTS):
        tokens = re.findall(r'"(?:[^"\\]|\\.)*"|[()]|[^\s()"]+', r.choice(texts))
        for _ in range(r.randrange(1, 4)):
            at, other = r.randrange(len(tokens)), r.randrange(len(tokens))
            match r.randrange(4):
                case 0 if len(tokens) > 1:
                    del tokens[at]
                case 1:
                    tokens.insert(at, tokens[other])
                case 2:
                    tokens[at], tokens[other] = tokens[other], tokens[at]
                case 3 if r.random() < 0.3:
                    del tokens[at + 1 :]
        right += agree(" ".join(tokens))
    assert 0 < right < MUTANTS


def test_positions_are_those_of_the_text() -> None:
    text = '(module $m (; x ;) (func (export "f") (result i32) i32.const 1))'
    used = syntax("module", "wat.lark")
    tokens = [t for t in Parser(used.tables).parse(text, used.lexer).walk() if isinstance(t, Token)]
    assert [text[t.start_pos : t.end_pos] for t in tokens if t] == [str(t) for t in tokens if t]


def test_another_lark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("lark.parsers.lalr_analysis.Shift")
    with pytest.raises(MeldError, match=r"lark does not give its tables.*Shift") as e:
        compiled('module: "x"', "module")
    assert e.value.hint == "install `lark>=1.2,<2`"
