"""Dataclasses with slots whose methods are compiled on first use.

A dataclass compiles its methods as its module is imported, and makes a second class for its slots after it has made
the first one whole. Most classes of a compiler take no part in most runs, so that this took two fifths of the time in
which a small program is fused (`benchmarks/fuse.py`). `record` makes the fields and one class with slots; ``__init__``
is compiled when a class turns out to be in use, the other methods are shared by all classes. To the functions of
`dataclasses` a record is a dataclass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from inspect import Signature

C = TypeVar("C", bound=type)


@dataclass_transform(field_specifiers=(field,))
def record(*, frozen: bool = False, eq: bool = True, kw_only: bool = False) -> Callable[[C], C]:
    """Like ``dataclass(slots=True)`` with the same options. Methods that the class defines are kept.

    Variables for ``__init__`` alone (``InitVar``) and the marker ``KW_ONLY`` are not supported: a class that needs them
    is a plain dataclass.
    """

    def made(cls: C) -> C:
        own = vars(cls)
        annotations = {name: kind for name, kind in cls.__annotations__.items() if not _of_class(kind)}
        items = {name: item for base in cls.__mro__[:0:-1] for name, item in getattr(base, FIELDS, {}).items()}
        taken = {slot for base in cls.__mro__[1:-1] for slot in getattr(base, "__slots__", ())}
        items |= {name: _field(name, kind, own.get(name, MISSING), kw_only) for name, kind in annotations.items()}
        namespace = {name: value for name, value in own.items() if name not in annotations and name not in _NOT_COPIED}
        compared = [name for name, item in items.items() if item.compare]
        methods: dict[str, Any] = {"__repr__": _repr}
        if eq:
            methods |= {"__eq__": _eq(compared), "__hash__": _hash(compared) if frozen else None}
        if frozen:
            methods |= {"__setattr__": _setattr, "__delattr__": _delattr}
            methods |= {"__getstate__": _getstate, "__setstate__": _setstate}
        for name, method in methods.items():
            if own.get(name) is None:  # a class that defines __eq__ has None for its __hash__
                namespace[name] = method
        if "__init__" not in own:
            namespace["__signature__"] = _Signature()
        namespace.setdefault("__match_args__", tuple(n for n, item in items.items() if item.init and not item.kw_only))
        namespace |= {FIELDS: items, PARAMETERS: _PARAMETERS}
        namespace["__slots__"] = tuple(name for name in annotations if name not in taken)
        new: Any = type(cls)(cls.__name__, cls.__bases__, namespace)
        new.__qualname__ = cls.__qualname__
        if "__init__" not in own:
            new.__init__ = _first_init(new, frozen)
        return new  # type: ignore[no-any-return]

    return made


FIELDS, PARAMETERS = "__dataclass_fields__", "__dataclass_params__"
_NOT_COPIED = ("__dict__", "__weakref__")


@dataclass(init=False, repr=False, eq=False)
class _Sample:
    """What `dataclass` keeps in a class and in a field."""

    field: int


_INSTANCE: Any = getattr(fields(_Sample)[0], "_field_type")  # noqa: B009  # a type checker does not know it
_PARAMETERS = getattr(_Sample, PARAMETERS)


def _of_class(annotation: object) -> bool:
    """Whether an annotation is that of a variable of the class."""
    return str(annotation).startswith(("ClassVar", "typing.ClassVar"))


def _field(name: str, annotation: Any, value: Any, kw_only: bool) -> Field[Any]:
    made: Any = value if isinstance(value, Field) else field(default=value)
    made.name, made.type = name, annotation
    made._field_type = _INSTANCE
    if made.default.__class__.__hash__ is None:
        raise ValueError(f"mutable default {type(made.default)} for field {name} is not allowed: use default_factory")
    if made.kw_only is MISSING:
        made.kw_only = kw_only
    return made  # type: ignore[no-any-return]


class _Signature:
    """The parameters of a class for `help` and `inspect`, made on demand."""

    def __get__(self, _: object, cls: type) -> Signature:
        from inspect import Parameter, Signature

        found = []
        for f in (f for f in _in_order(cls) if f.init):
            default = f.default if f.default_factory is MISSING else _Made(f.default_factory)
            kind = Parameter.KEYWORD_ONLY if f.kw_only else Parameter.POSITIONAL_OR_KEYWORD
            default = Parameter.empty if default is MISSING else default
            found.append(Parameter(f.name, kind, default=default, annotation=f.type))
        return Signature(found)


class _Made:
    """Shown in place of a default value that is made anew for each object."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory

    def __repr__(self) -> str:
        return f"{getattr(self.factory, '__name__', '…')}()".replace("<lambda>()", "…")


INTERPRETED = 8
"""Objects of a class that are made before its ``__init__`` is compiled, which costs as much as many of them."""


def _first_init(cls: type, frozen: bool) -> Callable[..., None]:
    """An ``__init__`` that reads the fields for the first objects, and then puts the compiled one into its place."""
    left = INTERPRETED
    items: list[Field[Any]] = []

    def first(self: object, *args: Any, **named: Any) -> None:
        nonlocal left
        left -= 1
        items.extend(() if items else _in_order(cls))
        if left < 0 or not _filled(self, items, args, named):
            init = _init(cls, frozen)
            setattr(cls, "__init__", init)  # noqa: B010  # as an attribute it is an error to the type checker
            init(self, *args, **named)

    return first


def _filled(made: Any, items: list[Field[Any]], args: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Gives the fields of a new object their values; false where the arguments do not fit."""
    given = dict(zip((f.name for f in items if f.init and not f.kw_only), args, strict=False))
    if len(given) < len(args) or not given.keys().isdisjoint(named):
        return False
    given |= named
    for f in items:
        if f.init and f.name in given:
            value = given.pop(f.name)
        elif f.default_factory is not MISSING:
            value = f.default_factory()
        elif f.default is not MISSING:
            value = f.default
        elif f.init:
            return False
        else:
            continue
        object.__setattr__(made, f.name, value)
    if not given and hasattr(made, "__post_init__"):
        made.__post_init__()
    return not given


def _init(cls: type, frozen: bool) -> Callable[..., None]:
    scope: dict[str, Any] = {"MISSING": MISSING, "set": object.__setattr__}
    parameters, body = ["self"], []
    for f in _in_order(cls):
        value = f.name
        if f.default_factory is not MISSING:
            scope[f"make_{f.name}"] = f.default_factory
            value = f"make_{f.name}() if {f.name} is MISSING else {f.name}" if f.init else f"make_{f.name}()"
            parameters += [f"{f.name}=MISSING"] if f.init else []
        elif f.default is not MISSING:
            scope[f"default_{f.name}"] = f.default
            parameters += [f"{f.name}=default_{f.name}"] if f.init else []
            value = f.name if f.init else f"default_{f.name}"
        elif f.init:
            parameters.append(f.name)
        else:
            continue
        body.append(f"set(self, {f.name!r}, {value})" if frozen else f"self.{f.name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    named = [f.name for f in fields(cls) if f.init and f.kw_only]
    if named:
        parameters.insert(len(parameters) - len(named), "*")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(body or ["pass"]), scope)
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__, init.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    return init


def _in_order(cls: type) -> Iterator[Field[Any]]:
    """The fields in the order of the parameters: those that can only be named come last."""
    yield from (f for f in fields(cls) if not f.kw_only)
    yield from (f for f in fields(cls) if f.kw_only)


def _eq(names: list[str]) -> Callable[[Any, Any], Any]:
    compared = attrgetter(*names) if names else _nothing

    def __eq__(self: Any, other: Any) -> Any:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hash(names: list[str]) -> Callable[[Any], int]:
    compared = attrgetter(*names) if names else _nothing

    def __hash__(self: Any) -> int:
        return hash(compared(self))

    return __hash__


def _nothing(_: object) -> tuple[()]:
    return ()


@recursive_repr()
def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"


def _setattr(self: object, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, f.name) for f in fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for f, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, f.name, value)
