"""Value types: what each form has inside, and what it must have.

Source: Component Model, Explainer.md (Type Definitions).
"""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Any

from meld.binary.limits import check_length
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import Prim
from meld.validity.entities import Defined, Res, Value, describe
from meld.validity.extern_names import label_problem
from meld.validity.meanings import Meanings

KEYS: frozenset[Any] = frozenset(Prim) - {Prim.F32, Prim.F64, Prim.ERROR_CONTEXT}
"""What the keys of a map may be."""


def parts_of(known: Meanings, shape: Any) -> tuple[Any, ...]:
    """The value types directly inside a type, which has what it must."""
    value = known.values
    match shape:
        case Prim():
            return ()
        case c.Record(fields=fields):
            labels([n for n, _ in fields], "field", "a record has no fields")
            return tuple([value(t) for _, t in fields])
        case c.Variant(cases=cases):
            labels([n for n, _ in cases], "case", "a variant has no cases")
            return tuple([value(t) for _, t in cases if t is not None])
        case c.ListType(element=element, length=length):
            if length == 0:
                raise MeldError("a list of fixed length has no elements", hint="leave it out")
            return (value(element),)
        case c.Option(element=element):
            return (value(element),)
        case c.Result(ok=ok, error=error):
            return tuple([value(t) for t in (ok, error) if t is not None])
        case c.Own(resource=resource) | c.Borrow(resource=resource):
            return (known.a(Res, resource, "a resource type"),)
        case c.Tuple(elements=elements):
            if not elements:
                raise MeldError("a tuple has no elements", hint="leave it out")
            check_count(elements, "elements")
            return tuple([value(t) for t in elements])
        case c.Flags(names=names):
            labels(names, "flag", "a flags type has no flags")
            if len(names) > 32:
                raise MeldError(f"a flags type has {len(names)} flags; 32 are allowed", hint="split it into several")
            return ()
        case c.EnumType(names=names):
            labels(names, "case", "an enum has no cases")
            return ()
        case c.MapType(key=key, value=inner):
            found = value(key)
            if _primitive(found) not in KEYS:
                raise MeldError(f"the key of a map is a number, a char, a bool or a string, not {describe(found)}")
            return found, value(inner)
        case c.Stream(element=element) | c.Future(element=element):
            kind = type(shape).__name__.lower()
            if element is None:
                return ()
            found = value(element)
            if kind == "stream" and _primitive(found) is Prim.CHAR:
                raise MeldError("a stream of char is not allowed yet", hint="use `(stream u8)`, in an encoding")
            if type(found) is Defined and found.borrows:
                raise MeldError(f"a {kind} carries borrowed handles", hint="pass owned ones")
            return (found,)
    raise AssertionError(shape)


def _primitive(t: Value) -> Prim | None:
    """The primitive that a type is, if it is one."""
    shape = t.shape if type(t) is Defined else t
    return shape if type(shape) is Prim else None


MAX_LABELS = 10_000
"""Fields, cases, elements or parameters of one type."""


def check_count(found: Sized, what: str) -> None:
    """Raises MeldError if a type has more of something than validators take."""
    if len(found) > MAX_LABELS:
        raise MeldError(f"a type has {len(found)} {what}; {MAX_LABELS} are allowed", hint="split it into several")


def labels(found: Iterable[str], what: str, if_none: str | None = None) -> None:
    """Checks labels. Raises MeldError."""
    found = list(found)
    for label in found:
        check_length(label)
    check_count(found, f"{what}s")
    if not found and if_none is not None:
        raise MeldError(if_none, hint="leave the type out, or give it one")
    problem = label_problem(found, what)
    if problem is not None:
        raise problem
