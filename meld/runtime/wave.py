"""Component values as text, in WAVE (WebAssembly Value Encoding): ``f("a", [1, 2], {x: some(3)})``.

Values are those of `meld.runtime.canonical`; they are read by their type, which tells a record from a map and a label
from a flat option. What is printed reads back as the same value, NaNs aside, which are all `nan`.

Source: wasm-wave (README, EBNF), of the Bytecode Alliance's wasm-tools.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from meld.abi.types import Type
from meld.abi.wit_text import wit
from meld.diagnostics import MeldError, Source, Span
from meld.ir import component as c
from meld.runtime.canonical import Value
from meld.runtime.wave_scalars import INTEGERS, float_bits, multiline, unescaped
from meld.support.records import record

_ESCAPE = r"\\(?:['\"tnr\\]|u\{[0-9a-fA-F]{1,6}\})"
_TOKEN = re.compile(
    rf"""(?P<space>(?:[ \t\n\r]|//[^\n]*)+)
    |(?P<punctuation>[(){{}}\[\]:,])
    |(?P<number>-inf|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)
    |(?P<label>%?[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*)
    |(?P<char>'(?:[^\\'\n]|{_ESCAPE})')
    |(?P<multiline>\"\"\"[\s\S]*?\"\"\")
    |(?P<string>"(?:[^\\"\n]|{_ESCAPE})*")""",
    re.VERBOSE,
)

KEYWORDS = frozenset({"true", "false", "some", "none", "ok", "err", "inf", "nan"})
"""Labels that mean something else unless they have a `%` in front."""


@record(frozen=True)
class _Token:
    kind: str  # a group of `_TOKEN`, or "end"
    text: str
    start: int


def _tokens(source: Source, start: int) -> list[_Token]:
    out = []
    while start < len(source.text):
        match = _TOKEN.match(source.text, start)
        if match is None:
            raise MeldError("not a WAVE value", span=Span(source, start, start + 1), hint=_HINT)
        if match.lastgroup != "space":
            out.append(_Token(match.lastgroup or "", match.group(), start))
        start = match.end()
    return [*out, _Token("end", "", start)]


_HINT = (
    'values look like 1, -2.5, "text", \'c\', [1, 2], (1, "a"), {field: 1}, {flag}, some(1), none, ok(1), err, case(1)'
)


@record(frozen=True)
class CallText:
    """A call as text: the function's name, and where its arguments start."""

    name: str
    source: Source
    start: int


def split_call(text: str, source: str = "--invoke") -> CallText | None:
    """``name(…)`` taken apart; None if the text has no parenthesis. A name may be that of an interface's function.

    Args:
        source: what the text is called in messages.
    """
    name, parenthesis, _ = text.partition("(")
    return CallText(name.strip(), Source(source, text), len(name)) if parenthesis else None


def read_arguments(call: CallText, params: Sequence[tuple[str, Type]]) -> list[Value]:
    """The arguments of a call, one for each parameter of its function; an option at the end that is left out is `none`.

    Raises:
        MeldError: with a caret under what is wrong.
    """
    reader = _Reader(call.source, _tokens(call.source, call.start))
    values = reader.parameters(params)
    reader.end()
    return values


def read_value(text: str, t: Type) -> Value:
    """A value of a type from text. Raises MeldError."""
    source = Source("value", text)
    reader = _Reader(source, _tokens(source, 0))
    value = reader.value(t)
    reader.end()
    return value


@record()
class _Reader:
    """Reads by types, whose depth bounds the recursion."""

    source: Source
    tokens: list[_Token]
    at: int = 0

    @property
    def here(self) -> _Token:
        return self.tokens[self.at]

    def error(self, message: str, token: _Token | None = None, hint: str | None = None) -> MeldError:
        where = token or self.here
        return MeldError(message, span=Span(self.source, where.start, where.start + max(1, len(where.text))), hint=hint)

    def wrong(self, t: Type) -> MeldError:
        found = f"`{self.here.text}`" if self.here.text else "the end"
        return self.error(f"expected a value of type {wit(t)}, found {found}", hint=_HINT)

    def take(self, text: str) -> bool:
        """Passes a token if it is there."""
        found = self.here.kind in ("punctuation", "label") and self.here.text == text
        self.at += found
        return found

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise self.error(f"expected `{text}`")

    def end(self) -> None:
        if self.here.kind != "end":
            raise self.error("unexpected text after the value")

    def items(self, close: str, item: Callable[[], None]) -> None:
        """Items with commas between, up to a closing token; a comma may come last."""
        while not self.take(close):
            item()
            if not self.take(","):
                self.expect(close)
                return

    # --- values ---

    def parameters(self, params: Sequence[tuple[str, Type]]) -> list[Value]:
        values: list[Value] = []
        takes = ", ".join(f"{name}: {wit(t)}" for name, t in params)

        def one() -> None:
            if len(values) == len(params):
                raise self.error(f"too many arguments: the function takes ({takes})")
            values.append(self.value(params[len(values)][1]))

        self.expect("(")
        self.items(")", one)
        rest = params[len(values) :]
        if not all(isinstance(t, c.Option) for _, t in rest):
            raise self.error(f"too few arguments: the function takes ({takes})", self.tokens[self.at - 1])
        return [*values, *((0, None) for _ in rest)]

    def value(self, t: Type) -> Value:
        match t:
            case c.Prim():
                return self._scalar(t)
            case c.ListType(element, length):
                return self._list(t, element, length)
            case c.MapType(key, value):
                return self._map(t, key, value)
            case c.Record(fields):
                return self._record(t, fields)
            case c.Tuple(elements):
                return self._tuple(t, elements)
            case c.Flags(names):
                return self._flags(t, names)
            case c.EnumType(names):
                return self._case(t, tuple((name, None) for name in names))
            case c.Variant(cases):
                return self._case(t, cases)
            case c.Option(element):
                if self.here.kind == "label" and self.here.text in ("some", "none"):
                    return self._keyword(t, {"none": (0, None), "some": (1, element)})
                return (1, self._flat(t, element))
            case c.Result(ok, error):
                if self.here.kind == "label" and self.here.text in ("ok", "err"):
                    return self._keyword(t, {"ok": (0, ok), "err": (1, error)})
                return (0, self._flat(t, ok))
        raise self.error(f"a value of type {wit(t)} cannot be written", hint="handles and streams have no text form")

    def _flat(self, t: Type, inner: Type | None) -> Value:
        """The payload of an option or a result without its `some(…)` or `ok(…)`."""
        if inner is None or isinstance(inner, c.Option | c.Result):
            raise self.wrong(t)
        return self.value(inner)

    def _scalar(self, t: c.Prim) -> Value:
        token = self.here
        kind, text = token.kind, token.text
        self.at += 1
        if t in INTEGERS and kind == "number" and text != "-inf":
            low, high = INTEGERS[t]
            if not text.lstrip("-").isdigit() or len(text) > 20 or not low <= int(text) <= high:
                raise self.error(f"`{text}` is no {t.value}", token, hint=f"it goes from {low} to {high}")
            return int(text)
        match t:
            case c.Prim.BOOL if kind == "label" and text in ("true", "false"):
                return text == "true"
            case c.Prim.F32 | c.Prim.F64 if kind == "number" or (kind == "label" and text in ("inf", "nan")):
                return float_bits(float(text), t)
            case c.Prim.CHAR if kind == "char":
                return self._characters(token, text[1:-1])
            case c.Prim.STRING if kind == "string":
                return self._characters(token, text[1:-1])
            case c.Prim.STRING if kind == "multiline":
                try:
                    return self._characters(token, multiline(text[3:-3]))
                except ValueError as e:
                    raise self.error(str(e), token) from None
        self.at -= 1
        raise self.wrong(t)

    def _characters(self, token: _Token, text: str) -> str:
        try:
            return unescaped(text)
        except ValueError as e:
            raise self.error(str(e), token) from None

    def _list(self, t: Type, element: Type, length: int | None) -> list[Value]:
        start = self.here
        if not self.take("["):
            raise self.wrong(t)
        values: list[Value] = []
        self.items("]", lambda: values.append(self.value(element)))
        if length is not None and len(values) != length:
            raise self.error(f"the list has {len(values)} elements, not {length}", start)
        return values

    def _map(self, t: Type, key: Type, value: Type) -> list[Value]:
        pairs: list[Value] = []

        def pair() -> None:
            k = self.value(key)
            self.expect(":")
            pairs.append((k, self.value(value)))

        if not self.take("{"):
            raise self.wrong(t)
        if self.take(":"):
            self.expect("}")
        else:
            self.items("}", pair)
        return pairs

    def _tuple(self, t: Type, elements: Sequence[Type]) -> tuple[Value, ...]:
        start = self.here
        values: list[Value] = []

        def one() -> None:
            if len(values) == len(elements):
                raise self.error(f"the tuple has {len(elements)} elements")
            values.append(self.value(elements[len(values)]))

        if not self.take("("):
            raise self.wrong(t)
        self.items(")", one)
        if len(values) != len(elements):
            raise self.error(f"the tuple has {len(elements)} elements, not {len(values)}", start)
        return tuple(values)

    def _label(self) -> str:
        if self.here.kind != "label":
            raise self.error("expected a name")
        self.at += 1
        return self.tokens[self.at - 1].text.removeprefix("%")

    def _record(self, t: Type, fields: Sequence[tuple[str, Type]]) -> tuple[Value, ...]:
        start, types = self.here, dict(fields)
        found: dict[str, Value] = {}

        def field() -> None:
            token, name = self.here, self._label()
            if name not in types or name in found:
                what = "is given twice" if name in found else f"is not one of: {', '.join(types)}"
                raise self.error(f"the field `{name}` {what}", token)
            self.expect(":")
            found[name] = self.value(types[name])

        if not self.take("{"):
            raise self.wrong(t)
        if self.take(":"):
            self.expect("}")
        else:
            self.items("}", field)
        missing = [name for name, x in fields if name not in found and not isinstance(x, c.Option)]
        if missing:
            raise self.error(f"the record needs the field `{missing[0]}`", start)
        return tuple(found.get(name, (0, None)) for name, _ in fields)

    def _flags(self, t: Type, names: Sequence[str]) -> int:
        bits = 0

        def flag() -> None:
            nonlocal bits
            token, name = self.here, self._label()
            if name not in names or bits & 1 << names.index(name):
                what = "is given twice" if name in names else f"is not one of: {', '.join(names)}"
                raise self.error(f"the flag `{name}` {what}", token)
            bits |= 1 << names.index(name)

        if not self.take("{"):
            raise self.wrong(t)
        self.items("}", flag)
        return bits

    def _case(self, t: Type, cases: Sequence[tuple[str, Type | None]]) -> Value:
        token = self.here
        if token.kind != "label" or token.text in KEYWORDS:
            raise self.wrong(t)
        name = self._label()
        for number, (label, payload) in enumerate(cases):
            if label == name:
                return (number, self._payload(token, payload))
        raise self.error(f"`{name}` is not one of: {', '.join(label for label, _ in cases)}", token)

    def _keyword(self, t: Type, cases: dict[str, tuple[int, Type | None]]) -> Value:
        token, name = self.here, self._label()
        number, payload = cases[name]
        return (number, self._payload(token, payload))

    def _payload(self, token: _Token, payload: Type | None) -> Value:
        if payload is None:
            if self.take("("):
                raise self.error(f"`{token.text}` has no value", token)
            return None
        if not self.take("("):
            raise self.error(f"`{token.text}` needs a value of type {wit(payload)}: {token.text}(…)", token)
        value = self.value(payload)
        self.expect(")")
        return value
