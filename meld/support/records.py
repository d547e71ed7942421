"""Dataclasses with slots that cost little until they are used.

A dataclass compiles its methods as its module is imported. Most classes of a compiler take no part in most runs, and of
most others there are few objects, so that compiling took two fifths of the time in which a small program is fused
(`benchmarks/fuse.py`). What is made here is a dataclass to `dataclasses.fields` and `replace`, to type checkers and to
``match``; only its ``__init__`` is compiled, once there are more than a few objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import (  # type: ignore[attr-defined]
    _FIELD,  # what `fields` and `replace` know a field by
    MISSING,
    Field,
    FrozenInstanceError,
    dataclass,
    field,
    fields,
)
from operator import attrgetter
from reprlib import recursive_repr
from typing import Any, TypeVar, dataclass_transform

C = TypeVar("C", bound=type)

FEW = 10
"""Objects of a class that are made before it pays to compile its ``__init__``."""


@dataclass(init=False, repr=False, eq=False)
class _Plain:
    """What a record is to a dataclass that derives from it."""


@dataclass_transform(field_specifiers=(field,))
def record(*, frozen: bool = False, eq: bool = True, kw_only: bool = False) -> Callable[[C], C]:
    """Like ``dataclass(slots=True)`` with the same options. Methods that the class defines are kept.

    Variables for ``__init__`` alone (``InitVar``) and the marker ``KW_ONLY`` are not supported: a class that needs them
    is a plain dataclass.
    """

    def made(cls: C) -> C:
        new: Any = _slotted(cls, kw_only)
        methods: dict[str, Any] = {"__init__": _first_init(new, frozen), "__repr__": _repr}
        if eq:
            compared = _compared(new)
            methods |= {"__eq__": _eq(compared), "__hash__": _hash(compared) if frozen else None}
        if frozen:
            methods |= {"__setattr__": _setattr, "__delattr__": _delattr}
            methods |= {"__getstate__": _getstate, "__setstate__": _setstate}
        own = vars(cls)
        for name, method in methods.items():
            if own.get(name) is None:  # a class that defines __eq__ has None for its __hash__
                setattr(new, name, method)
        return new  # type: ignore[no-any-return]

    return made


def _slotted(cls: type, kw_only: bool) -> type:
    """The class with slots in place of the defaults of its fields, and with what tells others which fields it has."""
    inherited: dict[str, Field[Any]] = {}
    for base in reversed(cls.__mro__[1:]):
        inherited |= getattr(base, "__dataclass_fields__", {})
    namespace = dict(vars(cls))
    own = {
        name: _field(cls, name, kind, namespace.pop(name, MISSING), kw_only)
        for name, kind in namespace.get("__annotations__", {}).items()
        if not str(kind).startswith(("ClassVar", "typing.ClassVar"))
    }
    every = inherited | own
    taken = {slot for base in cls.__mro__[1:] for slot in vars(base).get("__slots__", ())}
    for name in ("__dict__", "__weakref__"):
        namespace.pop(name, None)
    namespace["__slots__"] = tuple(name for name in every if name not in taken)
    namespace.setdefault("__match_args__", tuple(f.name for f in every.values() if f.init and not f.kw_only))
    namespace["__dataclass_fields__"] = every
    namespace["__dataclass_params__"] = _Plain.__dataclass_params__  # type: ignore[attr-defined]
    new = type(cls)(cls.__name__, cls.__bases__, namespace)
    new.__qualname__ = cls.__qualname__
    return new


def _field(cls: type, name: str, kind: Any, default: Any, kw_only: bool) -> Field[Any]:
    found: Any = default if isinstance(default, Field) else field(default=default)
    found.name, found.type, found._field_type = name, kind, _FIELD
    if found.kw_only is MISSING:
        found.kw_only = kw_only
    if found.default.__class__.__hash__ is None:
        raise ValueError(f"{cls.__qualname__}.{name}: objects would share the default {found.default!r}")
    return found  # type: ignore[no-any-return]


def _first_init(cls: type, frozen: bool) -> Callable[..., None]:
    """An ``__init__`` that goes through the fields, and after a few objects puts a compiled one into its place."""
    left = FEW

    def first(self: object, *args: Any, **named: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0 or not _fill(cls, self, args, named):
            init = _init(cls, frozen)
            setattr(cls, "__init__", init)  # noqa: B010  # as an attribute it is an error to the type checker
            init(self, *args, **named)

    return first


def _fill(cls: type, self: object, args: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Gives an object its fields; False if the arguments do not fit them, of which the compiled ``__init__`` tells."""
    every = fields(cls)
    given = dict(zip([f.name for f in every if f.init and not f.kw_only], args, strict=False))
    if len(given) < len(args) or not given.keys().isdisjoint(named):
        return False
    given |= named
    put = object.__setattr__
    for f in every:
        if f.init and f.name in given:
            put(self, f.name, given.pop(f.name))
        elif f.default_factory is not MISSING:
            put(self, f.name, f.default_factory())
        elif f.default is not MISSING:
            put(self, f.name, f.default)
        elif f.init:
            return False
    if given:
        return False
    if hasattr(self, "__post_init__"):
        self.__post_init__()
    return True


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


def _compared(cls: type) -> Callable[[Any], Any]:
    """What stands for an object of the class when it is compared or hashed."""
    names = [f.name for f in fields(cls) if f.compare]
    return attrgetter(*names) if names else lambda _: ()


def _eq(compared: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def __eq__(self: Any, other: Any) -> Any:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hash(compared: Callable[[Any], Any]) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:
        return hash(compared(self))

    return __hash__


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
