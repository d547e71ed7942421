"""Parsing of text: the machine over the tables gives the trees that lark gives, and fails where lark fails."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import component_samples
import lark
import pytest
import text_samples
from lark.lexer import Lexer as LarkLexer

from meld.diagnostics import MeldError
from meld.ir.lalr import Parser, Token, Tree, Unexpected
from meld.ir.syntax import syntax
from meld.ir.wat_lexer import WatLexer
from meld.packaged import packaged

ROOT = Path(__file__).parents[1]
GRAMMARS = {"module": ("wat.lark",), "component": ("wat.lark", "component.lark")}
FILES = sorted(p for place in ("examples", "meld", "tests") for p in (ROOT / place).rglob("*.wat"))
SAMPLES = {"EVERYTHING": text_samples.EVERYTHING} | {
    name: text for name, text in vars(component_samples).items() if isinstance(text, str) and "(component" in text
}
TEXTS = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in FILES} | SAMPLES
MUTANTS = 12
"""Of each text."""
PIECE = re.compile(r'"[^"]*"|;;.*|\s+|[()]|[^\s()";]+|.')


class AsLark:
    """A lexer of ours asks lark's parser what it takes."""

    def __init__(self, state: Any) -> None:
        self.state = state
        self.states = state.parse_conf.states

    def accepts(self) -> Any:
        return self.states[self.state.position]

    def takes(self, terminal: str) -> bool:
        stack = list(self.state.state_stack)
        while (action := self.states[stack[-1]].get(terminal)) is not None:
            kind, rule = action
            if kind.name == "Shift":
                return True
            del stack[len(stack) - len(rule.expansion) :]
            stack.append(self.states[stack[-1]][rule.origin.name][1])
        return False


def lark_lexer(ours: WatLexer) -> type[LarkLexer]:
    class Adapter(LarkLexer):  # type: ignore[misc]
        __future_interface__ = 2

        def __init__(self, _: Any) -> None: ...

        def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[lark.Token]:
            text = lexer_state.text
            for token in ours.lex(getattr(text, "text", text), AsLark(parser_state)):  # type: ignore[arg-type]
                yield lark.Token(token.type, str(token), token.start_pos, end_pos=token.end_pos)

    return Adapter


@cache
def by_lark(start: str) -> lark.Lark:
    grammar = "\n".join(packaged("meld.ir", name) for name in GRAMMARS[start])
    lexer = lark_lexer(syntax(start, *GRAMMARS[start]).lexer)
    return lark.Lark(grammar, start=start, parser="lalr", lexer=lexer, maybe_placeholders=False)


def plain(node: Any) -> Any:
    if isinstance(node, Tree | lark.Tree):
        return (str(node.data), [plain(child) for child in node.children])
    return (node.type, str(node), node.start_pos, node.end_pos)


def theirs(start: str, text: str) -> Any:
    try:
        return plain(by_lark(start).parse(text))
    except lark.UnexpectedToken as e:
        return "unexpected", e.token.type, str(e.token)
    except MeldError as e:
        return str(e)


def ours(start: str, text: str) -> Any:
    used = syntax(start, *GRAMMARS[start])
    try:
        return plain(Parser(used.tables).parse(text, used.lexer))
    except Unexpected as e:
        return "unexpected", e.token.type, str(e.token)
    except MeldError as e:
        return str(e)


def mutants(text: str, seed: str) -> Iterator[str]:
    """The text with pieces left out, doubled or exchanged, or with its end cut off."""
    chosen = random.Random(seed)
    pieces = PIECE.findall(text)
    for _ in range(MUTANTS):
        changed = list(pieces)
        for _ in range(chosen.choice((1, 1, 2, 5))):
            at, other = chosen.randrange(len(changed)), chosen.randrange(len(changed))
            match chosen.randrange(4):
                case 0:
                    del changed[at]
                case 1:
                    changed.insert(at, changed[other])
                case 2:
                    changed[at], changed[other] = changed[other], changed[at]
                case _:
                    del changed[max(at, 2) :]
            if len(changed) < 2:
                break
        yield "".join(changed)


@pytest.mark.parametrize("name", TEXTS)
def test_trees_are_those_of_lark(name: str) -> None:
    text = re.sub(r"\{\w+( [\w.]+)?\}", "1", TEXTS[name])  # templates
    start = "component" if "(component" in text[:2000] else "module"
    outcomes = [(ours(start, each), theirs(start, each)) for each in (text, *mutants(text, name))]
    assert [a for a, _ in outcomes] == [b for _, b in outcomes]
    if name in SAMPLES:
        assert outcomes[0][0][0] == start, "the text itself is read"
        assert any(a[0] == "unexpected" for a, _ in outcomes[1:])


def test_positions_are_those_of_the_text() -> None:
    used = syntax("module", "wat.lark")
    text = '(module $m (; x ;) (func (export "f") (result i32) i32.const 1))'
    tokens = [t for t in Parser(used.tables).parse(text, used.lexer).walk() if isinstance(t, Token)]
    assert [text[t.start_pos : t.end_pos] for t in tokens if t] == [str(t) for t in tokens if t]
