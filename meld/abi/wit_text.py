"""Component types in the style of WIT, for people: ``func(s: string) -> option<list<u8>>``.

WIT gives names to records and the like; here they are written out in place: ``record { x: u32 }``.
"""

from __future__ import annotations

from collections.abc import Iterable

from meld.abi.types import Type
from meld.ir import component as c


def wit(t: Type) -> str:
    """A resolved value type."""
    match t:
        case c.Prim():
            return t.value
        case c.ListType(element, None):
            return _of("list", element)
        case c.ListType(element, length):
            return f"list<{wit(element)}, {length}>"
        case c.MapType(key, value):
            return _of("map", key, value)
        case c.Tuple(elements):
            return _of("tuple", *elements)
        case c.Option(element):
            return _of("option", element)
        case c.Result(None, None):
            return "result"
        case c.Result(ok, None):
            return _of("result", ok)
        case c.Result(ok, error):
            return f"result<{'_' if ok is None else wit(ok)}, {wit(error)}>"
        case c.Record(fields):
            return _braces("record", (f"{name}: {wit(x)}" for name, x in fields))
        case c.Variant(cases):
            return _braces("variant", (name if x is None else f"{name}({wit(x)})" for name, x in cases))
        case c.Flags(names):
            return _braces("flags", names)
        case c.EnumType(names):
            return _braces("enum", names)
        case c.Own(resource):
            return _label(resource)
        case c.Borrow(resource):
            return f"borrow<{_label(resource)}>"
        case c.Stream(None):
            return "stream"
        case c.Stream(element):
            return _of("stream", element)
        case c.Future(None):
            return "future"
        case c.Future(element):
            return _of("future", element)
    raise TypeError(f"not a resolved type: {t!r}")


def wit_function(t: c.CompFuncType) -> str:
    """A resolved function type."""
    params = ", ".join(f"{name}: {wit(x)}" for name, x in t.params)
    return f"{'async ' * t.is_async}func({params}){'' if t.result is None else f' -> {wit(t.result)}'}"


def _of(name: str, *inner: Type) -> str:
    return f"{name}<{', '.join(map(wit, inner))}>"


def _braces(name: str, parts: Iterable[str]) -> str:
    return f"{name} {{ {', '.join(parts)} }}"


def _label(resource: object) -> str:
    return str(getattr(resource, "label", None) or getattr(resource, "name", None) or "resource")
