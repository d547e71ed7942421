"""Items of core modules as they are matched: their kinds, types and limits.

An item is one of a `Module`, a `c.CoreExternType` of a module type, or the `FuncType` of a canonical definition.

Source: WebAssembly 3.0, section 3.3 (Matching).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Function, Global, Memory, Table, Tag
from meld.ir.types import FuncType, Limits, TypeDef
from meld.validity.core_types import CoreTypes


class Mismatch(Exception):
    """One type cannot stand for another; `path` leads to where, innermost first."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.path: list[str] = []

    def __str__(self) -> str:
        return ", ".join([*reversed(self.path), self.message])


UNKNOWN = c.CoreExternType("func", TypeDef(FuncType()))
"""A core function of which it is not known what type it has."""

KINDS: dict[type[Any], str] = {Function: "func", Table: "table", Memory: "memory", Global: "global", Tag: "tag"}


def core_kind(item: Any) -> str:
    """``func``, ``table``, ``memory``, ``global`` or ``tag``."""
    if type(item) is c.CoreExternType:
        return item.kind
    return KINDS.get(type(item), "func")


def core_functype(item: Any) -> FuncType | None:
    """The shape of the type of a core function or tag; None if it is not known."""
    if item is UNKNOWN:
        return None
    t = item if type(item) is FuncType else item.type
    if type(t) is TypeDef:
        t = t.shape
    return t if type(t) is FuncType else None


def core_limits(item: Any) -> Limits:
    """The limits of a memory or table."""
    if isinstance(item, Memory | Table):
        return item.limits
    found = item.limits if item.kind == "table" else item.type
    assert isinstance(found, Limits)
    return found


def check_limits(item: Any) -> None:
    """Raises MeldError if the limits of a memory or table are none that it can have."""
    kind = core_kind(item)
    if kind not in ("memory", "table"):
        return
    limits = core_limits(item)
    if limits.maximum is not None and limits.minimum > limits.maximum:
        raise MeldError(f"a {kind} of at least {limits.minimum} and at most {limits.maximum}", hint="exchange the two")
    page = 16 if limits.page_size_log2 is None else limits.page_size_log2
    most = (1 << (64 if limits.is64 else 32)) >> page
    if kind == "memory" and max(limits.minimum, limits.maximum or 0) > most:
        raise MeldError(f"a memory of {max(limits.minimum, limits.maximum or 0)} pages; it can have {most}")


def fit_core(given: Any, wanted: Any, where: str, types: CoreTypes) -> None:
    """Raises Mismatch if one core item cannot be imported where another is declared."""
    kind = core_kind(wanted)
    if core_kind(given) != kind:
        raise Mismatch(f"{where}: a {kind} is wanted, a {core_kind(given)} is given")
    if kind in ("func", "tag"):
        if given is UNKNOWN or wanted is UNKNOWN:
            return
        a, b = _core_type(given), _core_type(wanted)
        if not (types.fits(a, b) if kind == "func" else types.same(a, b)):
            x, y = (show_core(f) if (f := core_functype(t)) is not None else "another type" for t in (wanted, given))
            more = ", which is another type" if x == y else ""
            raise Mismatch(f"{where}: {x} is wanted, {y} is given{more}")
        return
    if kind == "global":
        if given.mutable != wanted.mutable:
            raise Mismatch(f"{where}: one of the globals is mutable, the other is not")
        if not (types.same if given.mutable else types.fits)(given.type, wanted.type):
            raise Mismatch(f"{where}: a global of another type is wanted")
        return
    if kind == "table" and not types.same(given.type, wanted.type):
        raise Mismatch(f"{where}: a table of other elements is wanted")
    has, wants = core_limits(given), core_limits(wanted)
    what = f"the {'memories' if kind == 'memory' else 'tables'} differ in"
    for attribute, word in (("is64", "the width of addresses"), ("shared", "being shared")):
        if getattr(has, attribute) != getattr(wants, attribute):
            raise Mismatch(f"{where}: {what} {word}")
    pages = [16 if limits.page_size_log2 is None else limits.page_size_log2 for limits in (has, wants)]
    if pages[0] != pages[1]:
        raise Mismatch(f"{where}: {what} the size of pages")
    if has.minimum < wants.minimum:
        raise Mismatch(f"{where}: at least {wants.minimum} are wanted, {has.minimum} are given")
    if wants.maximum is not None and (has.maximum is None or has.maximum > wants.maximum):
        most = "no limit" if has.maximum is None else str(has.maximum)
        raise Mismatch(f"{where}: at most {wants.maximum} are wanted, {most} is given")


def _core_type(item: Any) -> TypeDef | FuncType:
    """The type of a function or tag: a definition, or that of a canonical definition."""
    found: TypeDef | FuncType = item if type(item) is FuncType else item.type
    return found


def show_core(t: FuncType) -> str:
    """A core function type in text, without what it refers to."""

    def words(keyword: str, types: Iterable[Any]) -> str:
        shown = [getattr(x, "value", "ref") for x in types]
        return f" ({keyword} {' '.join(shown)})" if shown else ""

    return f"(func{words('param', t.params)}{words('result', t.results)})"
