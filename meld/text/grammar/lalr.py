"""LALR parsing: tables, the machine that runs them, and the trees that come out.

lark compiles a grammar to tables. What is kept of them is plain data that loads in no time, and running them takes less
than lark itself takes to be imported. The trees are lark's: a rule whose name begins with ``_`` lends its children to
the rule around it, a rule marked ``?`` gives way to an only child, an alias names the tree, and tokens that the grammar
writes out are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from meld.diagnostics import MeldError

END = "$END"
"""The type of the token behind the last."""


class Token(str):
    """A piece of the text, of a terminal of the grammar. Positions are offsets of characters."""

    __slots__ = ("end_pos", "start_pos", "type")
    type: str
    start_pos: int
    end_pos: int

    def __new__(cls, type_: str, value: str, start_pos: int, end_pos: int) -> Token:
        made = super().__new__(cls, value)
        made.type = type_
        made.start_pos = start_pos
        made.end_pos = end_pos
        return made


class Tree:
    """What a rule made of its part of the text: its children are tokens and trees."""

    __slots__ = ("children", "data")

    def __init__(self, data: str, children: list[Any]) -> None:
        self.data = data
        self.children = children

    def walk(self) -> Iterator[Token | Tree]:
        """The tree and all that is in it, in the order of the text."""
        pending: list[Token | Tree] = [self]
        while pending:
            node = pending.pop()
            yield node
            if isinstance(node, Tree):
                pending.extend(reversed(node.children))


class Rule(NamedTuple):
    """One alternative of a rule.

    Attributes:
        origin: the rule's name.
        size: how many symbols it consists of.
        tree: the name of its tree; empty where it lends its children to the rule around it.
        gives_way: whether an only child takes the place of the tree.
        kept: for each symbol that is kept, its place, and whether it is one that lends its children; None if all are
            kept as they are.
    """

    origin: str
    size: int
    tree: str
    gives_way: bool
    kept: tuple[tuple[int, bool], ...] | None


class Terminal(NamedTuple):
    """A terminal of the grammar: its name, what it is if it is one word, and a regular expression if it is not."""

    name: str
    word: str | None
    pattern: str


class Tables(NamedTuple):
    """The tables of a grammar.

    Attributes:
        states: by the name of a terminal or a rule, the state to go to, or ``~n`` to reduce by rule `n`.
        start, end: the first state, and the one in which the text may end.
    """

    states: list[dict[str, int]]
    rules: list[Rule]
    terminals: list[Terminal]
    start: int
    end: int

    @classmethod
    def of(cls, plain: Any) -> Tables:
        """The tables that `plain` was made of."""
        states, rules, terminals, start, end = plain
        return cls(states, [Rule(*r) for r in rules], [Terminal(*t) for t in terminals], start, end)

    def plain(self) -> Any:
        """The tables as tuples, lists and dicts of strings and numbers."""
        return self.states, [tuple(r) for r in self.rules], [tuple(t) for t in self.terminals], self.start, self.end


class Unexpected(Exception):
    """A token that does not fit. `parser` has not taken it, but may have reduced in front of it."""

    def __init__(self, token: Token, parser: Parser) -> None:
        super().__init__(token)
        self.token = token
        self.parser = parser


class Lexer(Protocol):
    """Makes tokens; it may ask the parser what it can take next."""

    def lex(self, text: str, parser: Parser) -> Iterator[Token]: ...


class Parser:
    """The machine, for one text."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.stack = [tables.start]
        self.values: list[Any] = []

    def parse(self, text: str, lexer: Lexer) -> Tree:
        """The tree of a text. Raises Unexpected."""
        for token in lexer.lex(text, self):
            self.feed(token)
        end = Token(END, "", len(text), len(text))
        while self.stack[-1] != self.tables.end:
            action = self.accepts().get(END)
            if action is None:
                raise Unexpected(end, self)
            self._reduce(~action)
        tree: Tree = self.values[-1]
        return tree

    def accepts(self) -> dict[str, int]:
        """What may come next. Look-aheads are merged, so not all of it really may: see `takes`."""
        return self.tables.states[self.stack[-1]]

    def takes(self, terminal: str) -> bool:
        """Whether a terminal can really come next."""
        states, rules = self.tables.states, self.tables.rules
        stack = list(self.stack)
        while True:
            action = states[stack[-1]].get(terminal)
            if action is None or action >= 0:
                return action is not None
            rule = rules[~action]
            if rule.size:
                del stack[-rule.size :]
            stack.append(states[stack[-1]][rule.origin])

    def feed(self, token: Token) -> None:
        """Takes one token. Raises Unexpected."""
        while True:
            action = self.tables.states[self.stack[-1]].get(token.type)
            if action is None:
                raise Unexpected(token, self)
            if action >= 0:
                self.stack.append(action)
                self.values.append(token)
                return
            self._reduce(~action)

    def _reduce(self, number: int) -> None:
        origin, size, tree, gives_way, kept = self.tables.rules[number]
        stack, values = self.stack, self.values
        parts: list[Any] = []
        if size:
            parts = values[-size:]
            del values[-size:]
            del stack[-size:]
        if kept is not None:
            parts = _kept(parts, kept)
        if not tree:
            values.append(parts)
        elif gives_way and len(parts) == 1:
            values.append(parts[0])
        else:
            values.append(Tree(tree, parts))
        stack.append(self.tables.states[stack[-1]][origin])


def _kept(parts: list[Any], kept: tuple[tuple[int, bool], ...]) -> list[Any]:
    """The children among the parts. A list that is lent first is extended: that of a repetition may be long."""
    found: list[Any] | None = None
    for at, lent in kept:
        if not lent:
            found = found if found is not None else []
            found.append(parts[at])
        elif found is None:
            found = parts[at]
        else:
            found.extend(parts[at])
    return found if found is not None else []


def compiled(grammar: str, start: str) -> Tables:
    """The tables of a grammar in lark's notation, by lark.

    Raises:
        MeldError: this lark keeps its tables otherwise than those that are known.
    """
    try:
        return _compiled(grammar, start)
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as e:
        raise MeldError(f"lark does not give its tables: {e}", hint="install `lark>=1.2,<2`") from e


def _compiled(grammar: str, start: str) -> Tables:
    """The only place that knows how lark is built inside."""
    from lark import Lark
    from lark.lexer import Lexer as LarkLexer
    from lark.lexer import PatternStr
    from lark.parsers.lalr_analysis import Shift

    class Unused(LarkLexer):  # type: ignore[misc]  # lark has no types
        def __init__(self, _: Any) -> None: ...

        def lex(self, *_: Any) -> Any:
            raise AssertionError("lark makes the tables, and reads nothing")

    lark = Lark(grammar, start=start, parser="lalr", lexer=Unused, maybe_placeholders=False)
    table = lark.parser.parser._parse_table
    numbers: dict[Any, int] = {}
    states: list[dict[str, int]] = []
    for actions in (table.states[n] for n in range(len(table.states))):
        states.append(
            {
                str(name): argument if action is Shift else ~numbers.setdefault(argument, len(numbers))
                for name, (action, argument) in actions.items()
            }
        )
    terminals = [
        Terminal(
            str(t.name), str(t.pattern.value) if isinstance(t.pattern, PatternStr) else None, str(t.pattern.to_regexp())
        )
        for t in lark.terminals
    ]
    return Tables(states, [_rule(r) for r in numbers], terminals, table.start_states[start], table.end_states[start])


def _rule(rule: Any) -> Rule:
    lends = rule.origin.name.startswith("_")
    kept = tuple(
        (n, not symbol.is_term and symbol.name.startswith("_"))
        for n, symbol in enumerate(rule.expansion)
        if rule.options.keep_all_tokens or not (symbol.is_term and symbol.filter_out)
    )
    whole = len(kept) == len(rule.expansion) and not any(lent for _, lent in kept)
    return Rule(
        str(rule.origin.name),
        len(rule.expansion),
        "" if lends else str(rule.alias or rule.origin.name),
        bool(rule.options.expand1 and not rule.alias),
        None if whole else kept,
    )
