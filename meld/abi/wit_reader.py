"""Component types read from the text that `meld.abi.wit_text` writes, in which all types stand in place."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from meld.abi.types import Type
from meld.diagnostics import MeldError
from meld.ir import component as c

_TOKEN = re.compile(r"\s*([%\w-]+|[{}()<>,:]|\S)")
_PRIMITIVES: dict[str, Type] = {prim.value: prim for prim in c.Prim}
MAX_DEPTH = 100


def read_wit(text: str) -> Type:
    """The type that a text names. Raises MeldError; also for handles, which the text gives no resource for."""
    reader = _Reader(text)
    found = reader.type(0)
    if reader.at != len(reader.tokens):
        raise reader.error()
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = _TOKEN.findall(text)
        self.at = 0

    def error(self) -> MeldError:
        where = " ".join(self.tokens[self.at : self.at + 3]) or "the end"
        return MeldError(f"the type `{self.text[:80]}` cannot be read at `{where}`")

    def next(self) -> str:
        if self.at == len(self.tokens):
            raise self.error()
        self.at += 1
        return self.tokens[self.at - 1]

    def take(self, token: str) -> bool:
        if self.tokens[self.at : self.at + 1] != [token]:
            return False
        self.at += 1
        return True

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise self.error()

    def type(self, depth: int) -> Type:
        if depth > MAX_DEPTH:
            raise MeldError(f"types are nested more than {MAX_DEPTH} deep")
        word = self.next()
        if word in _PRIMITIVES:
            return _PRIMITIVES[word]
        match word:
            case "record":
                return c.Record(tuple(self.braces(lambda: self.field(depth))))
            case "variant":
                return c.Variant(tuple(self.braces(lambda: self.case(depth))))
            case "flags":
                return c.Flags(tuple(self.braces(self.next)))
            case "enum":
                return c.EnumType(tuple(self.braces(self.next)))
            case "list":
                self.expect("<")
                element = self.type(depth + 1)
                length = int(self.next()) if self.take(",") else None
                self.expect(">")
                return c.ListType(element, length)
            case "tuple" | "option" | "map" | "result":
                return self.of(word, depth)
        self.at -= 1
        raise self.error()

    def of(self, word: str, depth: int) -> Type:
        """A type with parameters: ``option<…>``."""
        inner: list[Type | None] = []
        if self.take("<"):
            while not self.take(">"):
                inner.append(None if self.take("_") else self.type(depth + 1))
                if not self.take(","):
                    self.expect(">")
                    break
        match word, inner:
            case "tuple", _ if None not in inner:
                return c.Tuple(tuple(t for t in inner if t is not None))
            case "option", [t] if t is not None:
                return c.Option(t)
            case "map", [key, value] if key is not None and value is not None:
                return c.MapType(key, value)
            case "result", [] | [_] | [_, _]:
                return c.Result(*[*inner, None, None][:2])
        raise self.error()

    def braces(self, item: Callable[[], Any]) -> list[Any]:
        self.expect("{")
        found = []
        while not self.take("}"):
            found.append(item())
            if not self.take(","):
                self.expect("}")
                break
        return found

    def field(self, depth: int) -> tuple[str, Type]:
        name = self.next()
        self.expect(":")
        return name, self.type(depth + 1)

    def case(self, depth: int) -> tuple[str, Type | None]:
        name = self.next()
        if not self.take("("):
            return name, None
        t = self.type(depth + 1)
        self.expect(")")
        return name, t
