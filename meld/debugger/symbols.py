"""What a program is made of, by the names that a journal would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.component import Component
from meld.ir.describe import item_type
from meld.ir.module import SPACE_OF, Export, Function, Item, Module
from meld.ir.notes import Note
from meld.journal import Symbol, find
from meld.observers.parts import parts_of, symbol_of, text_of
from meld.observers.texts import DefinitionPrinter, ItemPrinter, StableNames, wish
from meld.passes.base import Program


class Symbols:
    """The symbols of a program as it is now, in its order."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = StableNames()
        self.parts: list[tuple[Any, Any]] = list(parts_of(program, self.names))
        self.symbols = [symbol_of(key, thing, self.names) for key, thing in self.parts]

    @cached_property
    def _definitions(self) -> dict[Any, str]:
        return DefinitionPrinter().texts(self.program) if isinstance(self.program, Component) else {}

    def find(self, pattern: str) -> list[int]:
        """The numbers of the symbols that a name or a pattern means. MeldError if there is none."""
        return find(self.symbols, pattern, f"in the {type(self.program).__name__.lower()} here")

    def one(self, pattern: str) -> Any:
        """The thing that a name means; a function, if things of several kinds have it. MeldError if it is not one."""
        found = self.find(pattern)
        functions = [i for i in found if self.symbols[i].kind == "func"]
        if len(found) > 1 and len(functions) == 1:
            found = functions
        if len(found) > 1:
            some = ", ".join(f"`{self.symbols[i].kind}:{self.symbols[i].name}`" for i in found[:3])
            raise MeldError(f"`{pattern}` means {len(found)} symbols", hint=f"say which: {some}, …")
        return self.parts[found[0]][1]

    def text(self, number: int) -> str:
        """The text of a symbol."""
        key, thing = self.parts[number]
        return self._definitions[thing] if thing in self._definitions else text_of(key, thing, ItemPrinter(self.names))

    def about(self, number: int) -> str:
        """A line about a symbol: its type, whose it is, what it was made for."""
        _, thing = self.parts[number]
        symbol = self.symbols[number]
        words: list[str] = []
        if isinstance(thing, Export):
            words.append(f"= {self.symbol_of(thing.item)}")
        elif symbol.kind in ("func", "table", "memory", "global", "tag"):
            words.append(item_type(thing))
        if symbol.imported:
            words.append(f"import {symbol.imported}")
        if symbol.synthetic:
            words.append(f"made for {symbol.synthetic}")
        elif isinstance(thing, Item) and thing.owner is not None:
            words.append(f"of {thing.owner.name}")
        return f"{symbol}  {', '.join(words)}".rstrip()

    def symbol_of(self, item: Any) -> Symbol:
        """The symbol of an item."""
        return self._by_item[item]

    @cached_property
    def _by_item(self) -> dict[Any, Symbol]:
        pairs = zip(self.parts, self.symbols, strict=True)
        return {thing: symbol for (key, thing), symbol in pairs if isinstance(key, Item)}

    def counts(self) -> Counter[str]:
        """How many symbols of each kind there are."""
        return Counter(symbol.kind for symbol in self.symbols)

    def callers(self, function: Function) -> Iterator[Symbol]:
        """The functions whose code names a function."""
        from meld.rewriting.liveness import body_uses

        assert isinstance(self.program, Module)
        for each in self.program.functions:
            if any(used is function for used in body_uses(each)):
                yield self.symbol_of(each)

    def callees(self, function: Function) -> Iterator[Symbol]:
        """The functions that the code of a function names, each once."""
        from meld.rewriting.liveness import body_uses

        used = dict.fromkeys(each for each in body_uses(function) if isinstance(each, Function))
        return (self.symbol_of(each) for each in used if each in self._by_item)


def called(item: Item | Note | None) -> str | None:
    """What an item is called that may not be in the program any more."""
    match item:
        case None:
            return None
        case Note():
            return item.name or item.tag
        case _:
            return wish(SPACE_OF.get(type(item), "elements" if hasattr(item, "functions") else "datas"), item)


def matcher(pattern: str) -> Callable[[Symbol], bool]:
    """Whether a symbol is meant by a pattern: ``name``, ``$name``, ``*glob*``, ``func:name``."""
    kind, colon, rest = pattern.partition(":")
    if not (colon and kind in KINDS):
        kind, rest = "", pattern
    name = rest.removeprefix("$")
    return lambda symbol: (not kind or symbol.kind == kind) and (symbol.name == name or fnmatchcase(symbol.name, name))


KINDS = frozenset(
    {"func", "table", "memory", "global", "tag", "elem", "data", "export", "start", "note", "custom", "definition"}
)
"""The kinds of symbols."""
