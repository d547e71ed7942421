"""A record is what a dataclass with slots is: asked the same, both answer the same."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from meld.support.records import record


def classes(make: Any) -> list[type]:
    """Several classes, made by `make` with the options of a record."""

    @make()
    class Base:
        a: int
        b: str = "b"
        hidden: list[int] = field(default_factory=list, repr=False, compare=False)

    @make()
    class Derived(Base):
        c: tuple[int, ...] = ()
        derived: int = field(init=False, default=7)

        def __post_init__(self) -> None:
            self.derived = self.a + 1

    @make(frozen=True)
    class Frozen:
        x: int
        y: str = "y"

    @make(frozen=True)
    class More(Frozen):
        z: tuple[int, ...] = field(default_factory=tuple)

    @make(eq=False)
    class Identity:
        one: int

    @make(kw_only=True)
    class Named:
        first: int = 1
        second: int

    @make()
    class Mixed(Named):
        third: int

    @make(frozen=True)
    class Empty:
        pass

    @make()
    class Own:
        value: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 1

        def __repr__(self) -> str:
            return "own"

    return [Base, Derived, Frozen, More, Identity, Named, Mixed, Empty, Own]


def as_dataclass(**options: Any) -> Any:
    return dataclass(slots=True, **options)


ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((1,), {}),
    ((1, "q"), {}),
    ((2,), {"b": "r"}),
    ((1, "q", [3]), {}),
    ((1, "q", [3], (4,)), {}),
    ((1, "q", (3,)), {}),
    ((), {"first": 3, "second": 4}),
    ((), {"second": 4}),
    ((5,), {"second": 4}),
    ((1,), {"no-such": 2}),
]


def attempt(run: Any) -> Any:
    try:
        return run()
    except (TypeError, FrozenInstanceError, AttributeError) as error:
        return type(error), str(error)


def objects(kind: type) -> list[Any]:
    return [attempt(lambda a=a, n=n: kind(*a, **n)) for a, n in ARGUMENTS]


@pytest.mark.parametrize("number", range(9))
def test_as_a_dataclass(number: int) -> None:
    ours, theirs = classes(record)[number], classes(as_dataclass)[number]
    assert [f.name for f in fields(ours)] == [f.name for f in fields(theirs)]
    assert ours.__match_args__ == theirs.__match_args__
    made, expected = objects(ours), objects(theirs)
    assert [repr(o) for o in made] == [repr(o) for o in expected]
    assert [[a == b for a in made] for b in made] == [[a == b for a in expected] for b in expected]
    for a, b in zip(made, expected, strict=True):
        assert hasattr(a, "__dict__") == hasattr(b, "__dict__")
        if isinstance(a, tuple):
            continue
        same_hash = [attempt(lambda o=o: (hash(o), hash(replace(o)))) for o in (a, b)]
        assert isinstance(same_hash[0][0], int) == isinstance(same_hash[1][0], int)
        for name in [f.name for f in fields(ours)]:
            changed = [attempt(lambda o=o, name=name: setattr(copy.copy(o), name, 9)) for o in (a, b)]
            removed = [attempt(lambda o=o, name=name: delattr(copy.copy(o), name)) for o in (a, b)]
            assert (changed[0], removed[0]) == (changed[1], removed[1])
        assert repr(copy.deepcopy(a)) == repr(a)


@pytest.mark.parametrize("number", range(9))
def test_the_first_objects(number: int) -> None:
    """They are made without a compiled ``__init__``."""
    expected = objects(classes(as_dataclass)[number])
    for (a, n), object_ in zip(ARGUMENTS, expected, strict=True):
        kind = classes(record)[number]
        first = attempt(lambda a=a, n=n, kind=kind: kind(*a, **n))
        assert repr(first) == repr(object_)
        if not isinstance(first, tuple):
            assert [repr(kind(*a, **n)) for _ in range(2)] == 2 * [repr(object_)]
            assert kind(*a, **n) == first or number == 4


def test_a_class_may_have_an_init_of_its_own() -> None:
    @record()
    class Base:
        a: int

    @record()
    class Derived(Base):
        b: int

        def __init__(self, b: int) -> None:
            Base.__init__(self, b + 1)
            self.b = b

    assert repr(Derived(2)).endswith("Derived(a=3, b=2)")


def test_a_dataclass_may_derive_from_a_record() -> None:
    @record()
    class Base:
        a: int

    @dataclass
    class Derived(Base):
        b: int = 3

    assert repr(Derived(1)).endswith("Derived(a=1, b=3)")


def test_no_default_is_shared() -> None:
    with pytest.raises(ValueError, match="mutable default"):

        @record()
        class Shared:
            a: list[int] = []  # noqa: RUF012


@record(frozen=True)
class Kept:
    """At the top of the module, where pickle finds it."""

    a: int
    b: tuple[str, ...] = ()


def test_frozen_ones_are_pickled() -> None:
    assert pickle.loads(pickle.dumps(Kept(1, ("x",)))) == Kept(1, ("x",))


def test_equal_ones_hash_alike_and_a_circle_is_shown() -> None:
    assert len({Kept(1), Kept(1), Kept(2)}) == 2

    @record()
    class Circle:
        inner: Any = None

    circle = Circle()
    circle.inner = circle
    assert repr(circle).endswith("Circle(inner=...)")


def test_an_error_names_the_class() -> None:
    with pytest.raises(TypeError, match=r"Kept.__init__\(\) missing 1 required positional argument: 'a'"):
        Kept()  # type: ignore[call-arg]


def test_help_shows_the_parameters() -> None:
    @record(kw_only=True)
    class Named:
        name: str = "x"

    @record()
    class Part(Named):
        first: int
        rest: list[int] = field(default_factory=list)

    @record()
    class Own:
        first: int

        def __init__(self, other: str) -> None:
            self.first = len(other)

    assert str(inspect.signature(Part)) == "(first: 'int', rest: 'list[int]' = list(), *, name: 'str' = 'x')"
    assert str(inspect.signature(Own)) == "(other: 'str') -> 'None'"
    assert Part(1, name="y") == Part(1, [], name="y")
