"""Component types in resolved form: no indices, no aliases, compared by structure.

The classes are those of `meld.ir.component` (`Record`, `Variant`, `Stream`, …), except that a child is again a resolved
type where the IR has a definition, and that `Own` and `Borrow` hold a `Resource`, which is compared by identity.

The text form is that of WAT, written out in place: ``(record (field "x" u32))``, ``(own $r)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any, TypeAlias, TypeGuard

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.notes import Instance, NameOf, Note, Quoted, Resolve, Sexp, Symbol, note, ref, symbol, text
from meld.support.records import record

MAX_TYPE_DEPTH = 100
MAX_TYPE_PARTS = 100_000

Type: TypeAlias = Any
"""A resolved value type: `Prim`, `Record`, `Variant`, `ListType`, … whose children are resolved."""


@note("resource", declares=True)
class Resource(Note):
    """A resource type of the fused program: one per evaluation of a resource definition or per resource import.

    ``(@meld.resource $r (label "conn") (owner $producer) (dtor $f))``; no owner: the host defines it.

    Attributes:
        dtor: what is called when an own handle is dropped: ``[rep: i32] → []``. For a resource of the host, the import
            that has the host drop its handle, from `merge` on.
        module: the core import module of its built-ins, if the outside has handles of it. For a resource of the host,
            where it is imported from (``wasi:io/error@0.2.0``, ``$root``). For one that the program exports,
            ``[export]`` and where it is exported, once `expose-resources` has run.
    """

    label: str = text()
    owner: Instance | None = ref("note", default=None)
    rep: str = symbol(default="i32")
    dtor: Any = ref("functions", default=None)
    module: str | None = text(default=None)

    @property
    def is_outer(self) -> bool:
        """Whether the outside has handles of it too: those of the host, and those that `expose-resources` exposed.

        Inside the module handles are entries of the instances' tables in any case. What is in an entry for a resource
        of the host is the host's handle; for others it is the representation.
        """
        return self.owner is None or self.module is not None


def write_type(t: Type, name_of: NameOf) -> Sexp:
    """A resolved value type as an s-expression."""

    def sub(x: Type) -> Sexp:
        return write_type(x, name_of)

    def opt(x: Type | None) -> list[Sexp]:
        return [] if x is None else [sub(x)]

    match t:
        case c.Prim():
            return Symbol(t.value)
        case c.Record(fields):
            return [Symbol("record"), *([Symbol("field"), Quoted(n), sub(x)] for n, x in fields)]
        case c.Variant(cases):
            return [Symbol("variant"), *([Symbol("case"), Quoted(n), *opt(x)] for n, x in cases)]
        case c.ListType(element, length):
            return [Symbol("list"), sub(element), *([] if length is None else [Symbol(str(length))])]
        case c.MapType(key, value):
            return [Symbol("map"), sub(key), sub(value)]
        case c.Tuple(elements):
            return [Symbol("tuple"), *map(sub, elements)]
        case c.Flags(names):
            return [Symbol("flags"), *map(Quoted, names)]
        case c.EnumType(names):
            return [Symbol("enum"), *map(Quoted, names)]
        case c.Option(element):
            return [Symbol("option"), sub(element)]
        case c.Result(ok, error):
            return [Symbol("result"), *opt(ok), *([] if error is None else [[Symbol("error"), sub(error)]])]
        case c.Own(resource):
            return [Symbol("own"), name_of("note", resource)]
        case c.Borrow(resource):
            return [Symbol("borrow"), name_of("note", resource)]
        case c.Stream(element):
            return [Symbol("stream"), *opt(element)]
        case c.Future(element):
            return [Symbol("future"), *opt(element)]
    raise TypeError(f"not a resolved type: {t!r}")


def read_type(s: Sexp, resolve: Resolve, depth: int = 0) -> Type:
    """The reverse of `write_type`; `depth` says how deep in a type it stands. Raises MeldError."""
    if depth >= MAX_TYPE_DEPTH:
        raise MeldError(f"a type is nested more than {MAX_TYPE_DEPTH} deep")
    if isinstance(s, Symbol):
        try:
            return c.Prim(s.text)
        except ValueError:
            raise MeldError(f"unknown type `{s.text}`") from None
    if not isinstance(s, list) or not s or not isinstance(s[0], Symbol):
        raise MeldError("expected a component type")
    rest = s[1:]

    def sub(x: Sexp) -> Type:
        return read_type(x, resolve, depth + 1)

    def opt(parts: list[Sexp]) -> Type | None:
        return sub(parts[0]) if parts else None

    def names() -> tuple[str, ...]:
        return tuple(_quoted(x) for x in rest)

    def labelled(keyword: str) -> list[tuple[str, list[Sexp]]]:
        out = []
        for part in rest:
            if not isinstance(part, list) or len(part) < 2 or part[0] != Symbol(keyword):
                raise MeldError(f"expected `({keyword} …)`")
            out.append((_quoted(part[1]), part[2:]))
        return out

    try:
        match s[0].text:
            case "record":
                return c.Record(tuple((n, sub(x[0])) for n, x in labelled("field")))
            case "variant":
                return c.Variant(tuple((n, opt(x)) for n, x in labelled("case")))
            case "list":
                return c.ListType(sub(rest[0]), int(_word(rest[1])) if len(rest) > 1 else None)
            case "map":
                return c.MapType(sub(rest[0]), sub(rest[1]))
            case "tuple":
                return c.Tuple(tuple(map(sub, rest)))
            case "flags":
                return c.Flags(names())
            case "enum":
                return c.EnumType(names())
            case "option":
                return c.Option(sub(rest[0]))
            case "result":
                error = [x for x in rest if isinstance(x, list) and x and x[0] == Symbol("error")]
                return c.Result(opt([x for x in rest if x not in error]), sub(error[0][1]) if error else None)
            case "own":
                return c.Own(_resource(resolve("note", rest[0])))
            case "borrow":
                return c.Borrow(_resource(resolve("note", rest[0])))
            case "stream":
                return c.Stream(opt(rest))
            case "future":
                return c.Future(opt(rest))
    except IndexError:
        raise MeldError(f"type `({s[0].text} …)` is incomplete") from None
    raise MeldError(f"unknown type `({s[0].text} …)`")


def _resource(found: Note) -> Any:
    if not isinstance(found, Resource):
        raise MeldError(f"a handle is of a resource; `{found.name}` is `@meld.{found.tag}`")
    return found


def _quoted(s: Sexp) -> str:
    if not isinstance(s, Quoted):
        raise MeldError("expected a string")
    return s.text


def _word(s: Sexp) -> str:
    if not isinstance(s, Symbol):
        raise MeldError("expected a word")
    return s.text


def write_func_type(t: c.CompFuncType, name_of: NameOf) -> list[Sexp]:
    """``(param "a" u32) … (result u32)``, with ``async`` in front where it applies: the inside of ``(type …)``."""
    out: list[Sexp] = [Symbol("async")] if t.is_async else []
    out += [[Symbol("param"), Quoted(n), write_type(x, name_of)] for n, x in t.params]
    return out if t.result is None else [*out, [Symbol("result"), write_type(t.result, name_of)]]


def read_func_type(parts: list[Sexp], resolve: Resolve) -> c.CompFuncType:
    """The reverse of `write_func_type`. Raises MeldError."""
    is_async = bool(parts) and parts[0] == Symbol("async")
    params: list[tuple[str, Type]] = []
    result = None
    for part in parts[is_async:]:
        match part:
            case [Symbol("param"), Quoted(name), type_]:
                params.append((name, read_type(type_, resolve)))
            case [Symbol("result"), type_]:
                result = read_type(type_, resolve)
            case _:
                raise MeldError("expected `(param …)` or `(result …)` in a component function type")
    return c.CompFuncType(tuple(params), result, is_async)


SHOWN = 2_000
"""Letters of a type in a message."""


def show(t: Type | c.CompFuncType) -> str:
    """A resolved type as WAT text, for messages; cut where it gets longer than `SHOWN`."""
    text = _shown(t)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _shown(t: Type | c.CompFuncType) -> str:
    def name_of(_space: str, item: Any) -> Sexp:
        return Symbol("$" + (item.name or item.label))

    if isinstance(t, c.CompFuncType):
        return " ".join(["(func", *map(_show, write_func_type(t, name_of))]) + ")"
    return _show(write_type(t, name_of))


def show_bare(t: Type) -> str:
    """A resolved type for the middle of a sentence, without the parentheses around it: ``stream u8``."""
    return show(t).removeprefix("(").removesuffix(")")


def _show(s: Sexp) -> str:
    match s:
        case Symbol(word):
            return word
        case Quoted(string):
            return f'"{string}"'
        case list():
            return "(" + " ".join(map(_show, s)) + ")"
    raise TypeError(repr(s))


def inner_types(t: Type) -> tuple[Type, ...]:
    """The types directly inside a resolved value type."""
    match t:
        case c.Prim() | c.Flags() | c.EnumType() | c.Own() | c.Borrow():
            return ()
        case c.Record(fields):
            return tuple(x for _, x in fields)
        case c.Variant(cases):
            return tuple(x for _, x in cases if x is not None)
        case c.ListType(element) | c.Option(element):
            return (element,)
        case c.MapType(key, value):
            return (key, value)
        case c.Tuple(elements):
            return elements
        case c.Result(ok, error):
            return tuple(x for x in (ok, error) if x is not None)
        case c.Stream(element) | c.Future(element):
            return () if element is None else (element,)
    raise TypeError(f"unknown type {t!r}")


def parts_of(t: Type) -> Iterator[Type]:
    """A resolved type and everything inside it; what stands in it several times as the same object comes once."""
    pending = [] if t is None else [t]
    seen: set[int] = set()
    while pending:
        part = pending.pop()
        if type(part) is c.Prim:
            yield part
        elif id(part) not in seen:
            seen.add(id(part))
            yield part
            pending += inner_types(part)


def _shape(t: Type, of: Callable[[Any], Any] = id) -> Any:
    """What a type has in common with those that equal it; `of` says what each child has."""
    match t:
        case c.Record(fields):
            return (c.Record, *((name, of(x)) for name, x in fields))
        case c.Variant(cases):
            return (c.Variant, *((name, of(x)) for name, x in cases))
        case c.ListType(element, length):
            return c.ListType, of(element), length
        case c.Flags(names) | c.EnumType(names):
            return type(t), names
        case c.Result(ok, error):
            return c.Result, of(ok), of(error)
        case c.Own(resource) | c.Borrow(resource):
            return type(t), id(resource)
        case c.Stream(element) | c.Future(element):
            return type(t), of(element)
        case c.Prim():
            return t
    return (type(t), *map(of, inner_types(t)))


@record()
class Extents:
    """How large types are when written out: a few definitions that use each other twice make a type of any size.

    Types are measured as they are defined, those inside before those around.
    """

    _known: dict[int, tuple[Type, int, int]] = field(default_factory=dict)  # by id; the type is kept alive
    _same: dict[Any, Type] = field(default_factory=dict)

    def interned(self, t: Type) -> Type:
        """The first type that equals this one, whose children are such types: equal types are one object."""
        return self._same.setdefault(_shape(t), t)

    def check(self, t: Type, where: str) -> None:
        """Measures a type. Raises MeldError if it has more parts, or nests deeper, than anything here has to handle."""
        parts = depth = 0
        for inner in inner_types(t):
            _, inner_parts, inner_depth = self._known.get(id(inner), (inner, 1, 1))
            parts += inner_parts
            depth = max(depth, inner_depth)
        if parts >= MAX_TYPE_PARTS:
            raise MeldError(f"a type has more than {MAX_TYPE_PARTS} parts", where=where)
        if depth >= MAX_TYPE_DEPTH:
            raise MeldError(f"a type is nested more than {MAX_TYPE_DEPTH} deep", where=where)
        self._known[id(t)] = (t, parts + 1, depth + 1)

    def parts_of_function(self, t: c.CompFuncType) -> int:
        """How many parts the types of a function have, each measured before."""
        types = [x for _, x in t.params]
        if t.result is not None:
            types.append(t.result)
        return 1 + sum(self._known[id(x)][1] if id(x) in self._known else 1 for x in types)


def is_end(t: Type) -> TypeGuard[c.Stream | c.Future]:
    """Whether values of a type are readable ends: of streams or futures."""
    return isinstance(t, c.Stream | c.Future)


def is_end_or_error(t: Type) -> bool:
    """Whether values of a type are handles that no resource stands for: readable ends and error contexts."""
    return is_end(t) or t is c.Prim.ERROR_CONTEXT


def function_types(function: c.CompFuncType) -> Iterator[Type]:
    """All types inside the parameters and the result of a function, themselves included."""
    results = [] if function.result is None else [function.result]
    for t in (*(t for _, t in function.params), *results):
        yield from parts_of(t)
