"""Dataclasses with slots whose methods are compiled on first use.

A dataclass compiles its methods as its module is imported. Most classes of a compiler take no part in most runs, so
that compiling took two fifths of the time in which a small program is fused (`benchmarks/fuse.py`). `record` has
`dataclass` make fields and slots only; ``__init__`` is compiled when the first object is made, the other methods are
shared by all classes.
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
        own = dict(vars(cls))
        new: Any = dataclass(slots=True, init=False, repr=False, eq=False, kw_only=kw_only)(cls)
        methods: dict[str, Any] = {"__init__": _first_init(new, frozen), "__repr__": _repr}
        if eq:
            compared = _compared(new)
            methods |= {"__eq__": _eq(compared), "__hash__": _hash(compared) if frozen else None}
        if frozen:
            methods |= {"__setattr__": _setattr, "__delattr__": _delattr}
            methods |= {"__getstate__": _getstate, "__setstate__": _setstate}
        for name, method in methods.items():
            if own.get(name) is None:  # a class that defines __eq__ has None for its __hash__
                setattr(new, name, method)
        if "__init__" not in own:
            new.__signature__ = _Signature()
        return new  # type: ignore[no-any-return]

    return made


class _Signature:
    """The parameters of a class for `help` and `inspect`, made when somebody asks for them."""

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


def _first_init(cls: type, frozen: bool) -> Callable[..., None]:
    """An ``__init__`` that puts the compiled one into its place."""

    def first(self: object, *args: Any, **named: Any) -> None:
        init = _init(cls, frozen)
        setattr(cls, "__init__", init)  # noqa: B010  # as an attribute it is an error to the type checker
        init(self, *args, **named)

    return first


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
