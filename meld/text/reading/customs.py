"""Custom sections in text: ``(@custom …)``, and those whose contents have a form of their own."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from meld.diagnostics import MeldError, Span
from meld.ir.module import CustomSection
from meld.ir.notes import Quoted, Sexp, Symbol
from meld.text.literals import unsigned
from meld.text.sexp import raw_bytes

SECTION_NAMES = (
    "type",
    "import",
    "func",
    "table",
    "memory",
    "tag",
    "global",
    "export",
    "start",
    "elem",
    "code",
    "data",
)
"""The sections of a binary in their order, as the places of custom sections call them."""


def custom_section(label: str, parts: list[Sexp], span: Span) -> CustomSection | None:
    """The custom section that ``(@custom …)`` and the like describe; None if it is another annotation."""
    match label, parts:
        case "custom", [Quoted() as name, [Symbol("before" | "after" as side), Symbol(place)], *data]:
            pass
        case "custom", [Quoted() as name, *data]:
            side, place = "after", "last"
        case "producers", fields:
            return CustomSection("producers", _producers(fields, span))
        case "dylink.0", fields:
            return CustomSection("dylink.0", _dylink(fields, span), "before first")
        case "custom", _:
            raise MeldError('expected `(@custom "name" (after data) "bytes"…)`', span=span)
        case _:
            return None
    pieces = [raw_bytes(part) for part in data if isinstance(part, Quoted)]
    where = _place(side, place)
    if where is None or len(pieces) != len(data) or not _is_utf8(name.text):
        raise MeldError(
            "malformed custom section",
            span=span,
            hint=f"a place is `before first`, `after last`, or `before` or `after` one of {', '.join(SECTION_NAMES)}",
        )
    return CustomSection(name.text, b"".join(pieces), where)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _place(side: str, place: str) -> str | None:
    order = ("first", *SECTION_NAMES)
    if place == "last" and side == "after":
        return f"after {order[-1]}"
    if place not in order or (place == "first" and side == "after"):
        return None
    if (side, place) == ("before", "code"):
        return "after datacount"
    number = order.index(place) - (side == "before" and place != "first")
    return f"after {order[number]}" if number else "before first"


def _producers(fields: list[Sexp], span: Span) -> bytes:
    """The section that names the tools that made a module (tool conventions, ProducersSection.md)."""
    found: dict[str, list[bytes]] = {"language": [], "sdk": [], "processed-by": []}
    for part in fields:
        match part:
            case [Symbol(name), Quoted() as tool, Quoted() as version] if name in found:
                found[name].append(_counted(raw_bytes(tool)) + _counted(raw_bytes(version)))
            case _:
                raise MeldError(
                    'expected `(@producers (processed-by "tool" "version")…)`',
                    span=span,
                    hint=f"the fields are {', '.join(found)}",
                )
    return _vector([_counted(name.encode()) + _vector(tools) for name, tools in found.items() if tools])


_DYLINK_FLAGS = {
    "binding-weak": 1,
    "binding-local": 2,
    "visibility-hidden": 4,
    "undefined": 16,
    "exported": 32,
    "explicit-name": 64,
    "no-strip": 128,
    "tls": 256,
    "absolute": 512,
}
_DYLINK = {"mem-info": 1, "needed": 2, "export-info": 3, "import-info": 4, "runtime-path": 5}
"""The subsections, by the word that begins them; infos that follow each other share one."""


def _dylink(fields: list[Sexp], span: Span) -> bytes:
    """What a dynamic linker wants to know of a module (tool conventions, DynamicLinking.md)."""
    found: list[tuple[int, bytes]] = []
    for part in fields:
        match part:
            case [Symbol(word), *rest] if word in _DYLINK:
                found.append((_DYLINK[word], _dylink_entry(word, rest, span)))
            case _:
                raise _no_dylink(span)
    out = b""
    for number, parts in groupby(found, lambda one: one[0]):
        entries = [entry for _, entry in parts]
        shared = number in (_DYLINK["export-info"], _DYLINK["import-info"])
        for contents in [_vector(entries)] if shared else entries:
            out += bytes([number]) + _counted(contents)
    return out


def _dylink_entry(word: str, rest: list[Sexp], span: Span) -> bytes:
    match word, rest:
        case "mem-info", sizes:
            memory = [_number(one) for one in _sizes(sizes, "memory")]
            table = [_number(one) for one in _sizes(sizes, "table")]
            if len(sizes) == bool(memory) + bool(table) and not {None} & {*memory, *table}:
                return b"".join(_size(one or 0) for one in [*(memory or [0, 0]), *(table or [0, 0])])
        case "needed" | "runtime-path", names if all(isinstance(one, Quoted) for one in names):
            return _vector([_counted(raw_bytes(one)) for one in names if isinstance(one, Quoted)])
        case "export-info", [Quoted() as name, *flags]:
            return _counted(raw_bytes(name)) + _size(_flags(flags, span))
        case "import-info", [Quoted() as module, Quoted() as name, *flags]:
            return _counted(raw_bytes(module)) + _counted(raw_bytes(name)) + _size(_flags(flags, span))
    raise _no_dylink(span)


def _sizes(parts: list[Sexp], word: str) -> list[Any]:
    """The size and the alignment in ``(word size alignment)``; none if it is not there."""
    for part in parts:
        match part:
            case [Symbol(found), size, align] if found == word:
                return [size, align]
    return []


def _flags(flags: list[Sexp], span: Span) -> int:
    found = 0
    for flag in flags:
        value = _DYLINK_FLAGS.get(flag.text) if isinstance(flag, Symbol) else None
        value = _number(flag) if value is None else value
        if value is None:
            raise _no_dylink(span)
        found |= value
    return found


def _number(part: Any) -> int | None:
    return unsigned(part.text, 32) if isinstance(part, Symbol) else None


def _no_dylink(span: Span) -> MeldError:
    return MeldError("malformed `(@dylink.0 …)`", span=span, hint=f"its fields are {', '.join(_DYLINK)}")


def _vector(items: list[bytes]) -> bytes:
    return _size(len(items)) + b"".join(items)


def _counted(data: bytes) -> bytes:
    return _size(len(data)) + data


def _size(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))
