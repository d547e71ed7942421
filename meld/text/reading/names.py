"""What names and numbers in text refer to, with a helpful error where they refer to nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from itertools import islice
from typing import Any

from meld.diagnostics import MeldError, Source, Span
from meld.ir.instructions import IndexSpaces
from meld.ir.notes import Note, Sexp
from meld.ir.numbering import SINGULAR
from meld.ir.types import AbstractHeap, FuncType, NumType, RefType, TypeDef, ValType
from meld.support.records import record
from meld.text.literals import identifier, identifier_name, unsigned
from meld.text.sexp import annotation_text, index_of

Fail = Callable[[str, str | None], MeldError]
"""(message, hint) → the error at the place that the caller knows."""

NUMTYPES: dict[str, NumType] = {t.value: t for t in NumType}
HEAPTYPES: dict[str, AbstractHeap] = {t.value: t for t in AbstractHeap}
REFTYPES: dict[str, RefType] = {
    **{f"{name}ref": RefType(True, heap) for name, heap in HEAPTYPES.items() if not name.startswith("no")},
    "nullref": RefType(True, AbstractHeap.NONE),
    "nullfuncref": RefType(True, AbstractHeap.NOFUNC),
    "nullexternref": RefType(True, AbstractHeap.NOEXTERN),
    "nullexnref": RefType(True, AbstractHeap.NOEXN),
    "nullcontref": RefType(True, AbstractHeap.NOCONT),
}
VALTYPES: dict[str, ValType] = {**NUMTYPES, **REFTYPES}


@record(eq=False)
class TextContext:
    """What the parts of one text share: the text itself, and its named notes."""

    source: Source
    notes: dict[str, Note] = field(default_factory=dict)

    def error(self, message: str, start: int, end: int, hint: str | None = None) -> MeldError:
        """An error at a place of the text."""
        return MeldError(message, span=Span(self.source, start, end), hint=hint)

    def resolver(self, scope: IndexSpaces, span: Span) -> Callable[[str, Sexp], Any]:
        """The `Resolve` of the notes that stand at a place."""

        def fail(message: str, hint: str | None) -> MeldError:
            return MeldError(message, span=span, hint=hint)

        def resolve(space: str, part: Sexp) -> Any:
            key = index_of(part)
            if key is None:
                raise fail(f"expected a reference, found `{annotation_text('', [part])[3:-1]}`", None)
            if space == "note":
                if key not in self.notes:
                    raise fail(f"unknown note `{key}`", similar(str(key), self.notes))
                if is_recording():
                    record_use(_within(span, str(key)), self.notes[str(key)])
                return self.notes[str(key)]
            found = getattr(scope, space)[_find_index(scope, space, key, fail)]
            if is_recording():
                record_use(_within(span, key), found)
            return found

        return resolve


def _within(span: Span, key: str | int) -> Span | None:
    """Where an annotation refers to something by a name: each time the next place where the name stands in it."""
    if isinstance(key, int):
        return None
    name = re.compile(re.escape(identifier(key)) + r"(?![0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~])")
    matches = list(name.finditer(span.source.text, span.start, span.end))
    if not matches:
        return None
    times = _times.get()
    times[span.start, key] += 1
    match = matches[(times[span.start, key] - 1) % len(matches)]
    return Span(span.source, match.start(), match.end())


def similar(name: str, names: Iterable[str]) -> str | None:
    """A hint that offers the names that resemble one, or None."""
    from difflib import get_close_matches

    found = get_close_matches(name, list(islice(names, 5000)), 3, 0.7)
    return f"did you mean {' or '.join(f'`{identifier(n)}`' for n in found)}?" if found else None


@record(eq=False)
class ReadBody:
    """A function body.

    Attributes:
        end: the place behind it.
        function: whose it is.
        defines: whether it writes out function types that the module does not have, which become types of the module.
        sound: whether it was read to its end, and defines no types.
    """

    end: int
    function: Any
    defines: bool = False
    sound: bool = False


@record(eq=False)
class Recording:
    """What is recorded while texts are read, for editors.

    Attributes:
        known: bodies, by where they start, with their ends, that are known to be in order and to define no types; they
            stay text without being looked at.
        uses: what names and numbers refer to, and where they stand.
        bodies: the bodies of functions, by where they start. If the text was read several times, the last time counts.
    """

    known: Mapping[int, int] = field(default_factory=dict)
    uses: list[tuple[Span, Any]] = field(default_factory=list)
    bodies: dict[int, ReadBody] = field(default_factory=dict)


_recording: ContextVar[Recording | None] = ContextVar("recording", default=None)
_times: ContextVar[Counter[tuple[int, str]]] = ContextVar("times")
"""How often the annotation that begins at a place has referred to something by a name."""


@contextmanager
def recording(known: Mapping[int, int] | None = None) -> Iterator[Recording]:
    """Records what is read; `known` as in `Recording`."""
    found = Recording(known or {})
    token, counts = _recording.set(found), _times.set(Counter())
    try:
        yield found
    finally:
        _recording.reset(token)
        _times.reset(counts)


def recorded() -> Recording | None:
    """What is recorded; None if nothing is."""
    return _recording.get()


def record_use(span: Span | None, target: Any) -> None:
    """Records a reference to `target` at a place, if references are recorded."""
    found = _recording.get()
    if found is not None and span is not None:
        found.uses.append((span, target))


def is_recording() -> bool:
    """Whether references are recorded: finding their places takes time."""
    return _recording.get() is not None


def find_index(scope: IndexSpaces, space: str, key: str | int, fail: Fail) -> int:
    """The index that a name or a number means."""
    index = _find_index(scope, space, key, fail)
    if is_recording():
        record_use(fail("", None).span, getattr(scope, space)[index])
    return index


def _find_index(scope: IndexSpaces, space: str, key: str | int, fail: Fail) -> int:
    names = scope.names.get(space, {})
    if isinstance(key, str):
        index = names.get(key)
        if index is None:
            raise fail(f"unknown {SINGULAR[space]} `{identifier(key)}`", similar(key, names))
        return index
    size = len(getattr(scope, space))
    if key >= size:
        raise fail(f"unknown {SINGULAR[space]} {key}: there are {size}", None)
    return key


def find(scope: IndexSpaces, space: str, key: str | int, fail: Fail) -> Any:
    """The object that a name or a number means."""
    return getattr(scope, space)[find_index(scope, space, key, fail)]


def key_of(token: str, fail: Fail) -> str | int:
    """The name or the number that a token is."""
    key = identifier_name(token) if token[0] == "$" else unsigned(token)
    if key is None:
        raise fail(f"malformed reference `{token[:40]}`", None)
    return key


def plain_type(types: Iterable[TypeDef], shape: FuncType) -> TypeDef | None:
    """The first definition of a function type, without supertypes and not open to subtypes."""
    return next((t for t in types if t.shape == shape and t.final and not t.supers), None)


def checked_use(typedef: TypeDef, shape: FuncType, fail: Fail) -> TypeDef:
    """A type use that names its type and writes it out; an error if the two differ."""
    if not isinstance(typedef.shape, FuncType):
        raise fail("this type is not a function type", None)
    if (shape.params or shape.results) and shape != typedef.shape:
        raise fail("the parameters and results written here are not those of the type named", None)
    return typedef
