"""What definitions of a component are, with all indices and aliases resolved; and when one can stand for another.

Value types are `Defined`, compared by identity where it matters which of two equal types has a name. A resource type is
a `Res`: of two with the same number, which are the same resource, one may be named and the other not.

Source: Component Model, Explainer.md (Type Checking) and Subtyping.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import Prim, Sort

MAX_DEPTH = 100
"""Levels of a value type, and of instances and components inside each other."""

MAX_PARTS = 1_000_000
"""Parts of a type that is written out, primitives aside: a few definitions can make one of any size."""

_fresh = count()


class Res(NamedTuple):
    """A resource type: the resource, and which of its names this is."""

    resource: int
    name: int

    def renamed(self) -> Res:
        """The same resource under another name."""
        return Res(self.resource, next(_fresh))


def new_resource() -> Res:
    """A resource type that equals no other."""
    return Res(next(_fresh), next(_fresh))


class Defined:
    """A value type that a definition stands for. Compared by identity.

    Attributes:
        shape: a class of `meld.ir.component`; children are `Prim`, `Defined`, or the definition that is looked up.
        parts: the value types directly inside, resolved.
        depth, size: its levels, and its parts if it is written out.
        resources, borrows: whether it holds handles at all, and borrowed ones, at any depth.
        fixed: whether it holds a list of fixed length.
    """

    __slots__ = ("borrows", "depth", "fixed", "parts", "resources", "shape", "size")

    def __init__(self, shape: Any, parts: tuple[Any, ...]) -> None:
        self.shape = shape
        self.parts = parts
        kind = type(shape)
        self.resources = kind is c.Own or kind is c.Borrow
        self.borrows = kind is c.Borrow
        self.fixed = kind is c.ListType and shape.length is not None
        self.depth = 1 if kind is Prim else 2
        self.size = 1
        for part in parts:
            if type(part) is Defined:
                self.resources |= part.resources
                self.borrows |= part.borrows
                self.fixed |= part.fixed
                self.size += part.size
                if part.depth >= self.depth:
                    self.depth = part.depth + 1
        check_extent(self.depth, self.size)


Value: TypeAlias = "Prim | Defined"


class Func:
    """A function type, resolved.

    Attributes:
        names: of the parameters.
        parts: the types of the parameters, then that of the result, if there is one.
    """

    __slots__ = ("is_async", "names", "parts", "resources", "result", "size")

    def __init__(self, names: tuple[str, ...], parts: tuple[Value, ...], result: Value | None, is_async: bool) -> None:
        self.names = names
        self.parts = parts
        self.result = result
        self.is_async = is_async
        self.resources = False
        self.size = 1
        for t in parts:
            if type(t) is Defined:
                self.resources |= t.resources
                self.size += t.size

    @property
    def params(self) -> tuple[Value, ...]:
        """The types of the parameters."""
        return self.parts if self.result is None else self.parts[:-1]


class Entity(NamedTuple):
    """What an import or export is.

    Attributes:
        sort: as of the definition.
        type: `Func`, `Inst`, `Comp`, `CoreModuleType`, a value type; of a type, the type that it equals.
        created: of a type, the type under its new name.
    """

    sort: Sort
    type: Any
    created: Any = None


class Inst:
    """An instance type. In that of an actual instance nothing is in `defined`.

    Attributes:
        defined: resources that each instance of the type has its own of, with the names that lead to them.
        explicit: resources that are exported, with the names that lead to them.
        is_used: whether an instance has taken these resources for its own.
    """

    __slots__ = ("defined", "depth", "explicit", "exports", "is_used", "resources", "size")

    def __init__(
        self,
        exports: dict[str, Entity],
        defined: tuple[int, ...],
        explicit: dict[int, tuple[str, ...]],
    ) -> None:
        self.exports = exports
        self.defined = defined
        self.explicit = explicit
        self.is_used = False
        self.depth, self.size, self.resources = _extent(exports.values())


class Comp:
    """A component type; `imported`, `defined` and `explicit` are resources with the names that lead to them."""

    __slots__ = ("defined", "depth", "explicit", "exports", "imported", "imports", "resources", "size")

    def __init__(
        self,
        imports: dict[str, Entity],
        exports: dict[str, Entity],
        imported: dict[int, tuple[str, ...]],
        defined: dict[int, tuple[str, ...]],
        explicit: dict[int, tuple[str, ...]],
    ) -> None:
        self.imports = imports
        self.exports = exports
        self.imported = imported
        self.defined = defined
        self.explicit = explicit
        self.depth, self.size, self.resources = _extent([*imports.values(), *exports.values()])


class CoreModuleType:
    """The type of a core module: what it imports and exports, as items or as `c.CoreExternType`."""

    __slots__ = ("exports", "imports")
    resources = False

    def __init__(self, imports: dict[tuple[str, str], Any], exports: dict[str, Any]) -> None:
        self.imports = imports
        self.exports = exports


def _extent(entities: Iterable[Entity]) -> tuple[int, int, bool]:
    """Levels and parts of what holds entities, and whether there are resources in it."""
    depth, size, resources = 1, 1, False
    for _, t, _ in entities:
        kind = type(t)
        if kind is Res:
            resources = True
        elif kind is not Prim and kind is not CoreModuleType:
            resources |= t.resources
            size += t.size
            if kind is not Func and t.depth >= depth:
                depth = t.depth + 1
    check_extent(depth, size)
    return depth, size, resources


def check_extent(depth: int, size: int) -> None:
    """Raises MeldError if a type, or what imports and exports such types, has more levels or parts than it may."""
    if depth > MAX_DEPTH:
        raise MeldError(f"a type is nested more than {MAX_DEPTH} deep", hint="split it, or pass a resource")
    if size > MAX_PARTS:
        raise MeldError(f"a type has more than {MAX_PARTS} parts if it is written out", hint="pass a resource")


def describe(t: Any) -> str:
    """A type in a word or two, for messages."""
    match t:
        case Prim():
            return t.value
        case Defined(shape=Prim() as prim):
            return prim.value
        case Defined(shape=shape):
            name = type(shape).__name__.lower().removesuffix("type")
            return f"{'an' if name[0] in 'aeo' else 'a'} {name}"
        case Res():
            return "a resource"
        case Func():
            return "a function"
        case Inst():
            return "an instance"
        case Comp():
            return "a component"
        case CoreModuleType():
            return "a core module"
    return "nothing" if t is None else "another thing"


def exported_names(names: Iterable[str]) -> str:
    """What an instance exports, as a hint."""
    known = ", ".join(f"`{name}`" for name in sorted(names)[:8])
    return f"it exports {known}" if known else "it exports nothing"


SHOWN = 60
"""Letters of a type that a message shows at most."""


def shown(t: Any) -> str:
    """A value type as text, cut where it gets long; anything else in a word or two."""
    if type(t) is not Defined or type(t.shape) is Prim:
        return describe(t)
    text = _shown(t, 4)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _shown(t: Any, depth: int) -> str:
    if type(t) is Prim or type(t) is not Defined:
        return describe(t)
    shape = t.shape
    if type(shape) is Prim:
        return str(shape.value)
    word = type(shape).__name__.lower().removesuffix("type")
    parts = [_shown(x, depth - 1) if depth else "…" for x in t.parts[:8]]
    match shape:
        case c.Own() | c.Borrow():
            return f"({word} …)"
        case c.Record(fields=fields):
            parts = [f'(field "{n}" {part})' for (n, _), part in zip(fields, parts, strict=False)]
        case c.Variant(cases=cases):
            parts = [f'(case "{n}")' for n, _ in cases[:8]]
        case c.Flags(names=names) | c.EnumType(names=names):
            parts = [f'"{n}"' for n in names[:8]]
        case c.ListType(length=int(length)):
            parts.append(str(length))
    return f"({' '.join([word, *parts])})"


# --- substitution ---------------------------------------------------------------------------------------------------


class Renaming:
    """Replaces resources by others in types, and named types by others; what holds none of them stays the same object.

    Attributes:
        types: named types, by `Entity.created`.
    """

    def __init__(self, resources: dict[int, int], types: dict[Any, Any] | None = None) -> None:
        self.resources = resources
        self.types = types or {}
        self._done: dict[int, tuple[Any, Any]] = {}  # by id; what it was is kept alive

    def entity(self, e: Entity) -> Entity:
        """An entity with all of that replaced."""
        t = self.type(e.type)
        created = t if e.created is e.type else None if e.created is None else self.type(e.created)
        return e if t is e.type and created is e.created else Entity(e.sort, t, created)

    def type(self, t: Any) -> Any:
        """A type with all of that replaced."""
        kind = type(t)
        if kind is Res:
            if t in self.types:
                return self.types[t]
            new = self.resources.get(t.resource)
            return t if new is None else Res(new, t.name)
        if kind is Prim or kind is CoreModuleType or not (self.types or (t.resources and self.resources)):
            return t
        known = self._done.get(id(t))
        if known is None:
            known = self._done[id(t)] = t, self._made(t)
        return known[1]

    def _made(self, t: Any) -> Any:
        match t:
            case Defined():
                if t in self.types:
                    return self.types[t]
                parts = tuple(map(self.type, t.parts))
                return t if _same(parts, t.parts) else Defined(t.shape, parts)
            case Func():
                parts = tuple(map(self.type, t.parts))
                if _same(parts, t.parts):
                    return t
                return Func(t.names, parts, None if t.result is None else parts[-1], t.is_async)
            case Inst() if any(r in self.resources for r in t.defined):  # variables of its own are no others
                others = {old: new for old, new in self.resources.items() if old not in t.defined}
                return Renaming(others, self.types).type(t)
            case Inst():
                exports = {n: self.entity(e) for n, e in t.exports.items()}
                if _same(exports.values(), t.exports.values()) and self.resources.keys().isdisjoint(t.explicit):
                    return t
                return Inst(exports, t.defined, self.paths(t.explicit))
            case Comp():
                return Comp(
                    {n: self.entity(e) for n, e in t.imports.items()},
                    {n: self.entity(e) for n, e in t.exports.items()},
                    self.paths(t.imported),
                    self.paths(t.defined),
                    self.paths(t.explicit),
                )
        raise AssertionError(t)

    def _one(self, resource: int) -> int:
        return self.resources.get(resource, resource)

    def paths(self, paths: dict[int, tuple[str, ...]]) -> dict[int, tuple[str, ...]]:
        """Paths to resources, with the resources replaced."""
        return {self._one(r): path for r, path in paths.items()}


def _same(new: Iterable[Any], old: Iterable[Any]) -> bool:
    return all(a is b for a, b in zip(new, old, strict=True))


def free_resources(entities: Iterable[Any]) -> set[int]:
    """The resources that types or entities hold and do not bring with them."""
    found: set[int] = set()
    seen: set[int] = set()
    pending: list[Any] = list(entities)
    while pending:
        t = pending.pop()
        if type(t) is Entity:
            pending.append(t.type)
            if t.created is not None and t.created is not t.type:
                pending.append(t.created)
            continue
        if type(t) is Res:
            found.add(t.resource)
            continue
        if type(t) is Prim or type(t) is CoreModuleType or id(t) in seen or not t.resources:
            continue
        seen.add(id(t))
        match t:
            case Defined() | Func():
                pending += t.parts
            case Inst(defined=()):
                pending += t.exports.values()
            case Inst(defined=own):
                found |= free_resources(t.exports.values()).difference(own)
            case Comp():
                inside = free_resources([*t.imports.values(), *t.exports.values()])
                found |= inside.difference(t.imported, t.defined)
    return found
