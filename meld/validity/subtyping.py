"""When what a definition is can stand for another: types that fit, and choices of resources that make them fit.

Source: Component Model, Explainer.md (Type Checking) and Subtyping.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meld.ir import component as c
from meld.ir.component import Prim
from meld.validity.core_items import Mismatch, fit_core
from meld.validity.core_types import CoreTypes
from meld.validity.entities import Comp, CoreModuleType, Defined, Entity, Func, Inst, Renaming, Res, shown


def expect(given: Any, wanted: Any) -> Mismatch:
    """The mismatch of two kinds of thing."""
    return Mismatch(f"{shown(wanted)} is wanted, {shown(given)} is given")


class Known:
    """What is known of all types of a program: core types across modules, and pairs without resources that fit."""

    __slots__ = ("core", "fit")

    def __init__(self) -> None:
        self.core = CoreTypes()
        self.fit: dict[tuple[int, int], tuple[Any, Any]] = {}  # by id; both are kept alive


class Fitting:
    """Checks that types can stand for others. Pairs that fit are remembered, so that shared types cost once.

    Attributes:
        known: what holds for any choice of resources.
        chosen: which resources stand for those of what is wanted.
    """

    def __init__(self, known: Known, chosen: dict[int, int] | None = None) -> None:
        self.known = known
        self.chosen = chosen or {}
        self._fit: dict[tuple[int, int], tuple[Any, Any]] = {}  # by id; both are kept alive

    def entity(self, given: Entity, wanted: Entity) -> None:
        """Raises Mismatch if what is given cannot stand where something else is wanted."""
        if given.sort is not wanted.sort:
            raise Mismatch(f"a {wanted.sort.value} is wanted, a {given.sort.value} is given")
        self.type(given.type, wanted.type)

    def type(self, given: Any, wanted: Any) -> None:
        """The same for types."""
        kind = type(wanted)
        if kind is Res and type(given) is Res:
            if given.resource != self.chosen.get(wanted.resource, wanted.resource):
                raise Mismatch("the two are different resource types")
            return
        if kind is Res:
            raise expect(given, wanted)
        if given is wanted and (kind is Prim or not (self.chosen and wanted.resources)):
            return
        if given is wanted and kind is Inst and wanted.defined:  # its own variables may be among those that are chosen
            return
        pair = id(given), id(wanted)
        fit = self._fit if kind is not Prim and wanted.resources else self.known.fit
        if pair in fit:
            return
        if kind is Prim or kind is Defined:
            self._values(given, wanted)
        elif kind is not type(given):
            raise expect(given, wanted)
        elif kind is Func:
            self._functions(given, wanted)
        elif kind is Inst:
            self._instances(given, wanted)
        elif kind is Comp:
            self._components(given, Renaming(self.chosen).type(wanted))
        else:
            self._modules(given, wanted)
        fit[pair] = given, wanted

    def _inside(self, where: str, given: Any, wanted: Any) -> None:
        try:
            self.type(given, wanted)
        except Mismatch as e:
            e.path.append(where)
            raise

    def _values(self, given: Any, wanted: Any) -> None:
        if type(given) not in (Prim, Defined):
            raise expect(given, wanted)
        a: Any = given if type(given) is Prim else given.shape
        b: Any = wanted if type(wanted) is Prim else wanted.shape
        if type(a) is not type(b) or (type(a) is Prim and a is not b):
            raise expect(given, wanted)
        match a:
            case Prim():
                return
            case c.Record(fields=fields):
                _same_labels([n for n, _ in fields], [n for n, _ in b.fields], "field")
                places = [f"field `{n}`" for n, _ in fields]
            case c.Variant(cases=cases):
                _same_labels([n for n, _ in cases], [n for n, _ in b.cases], "case")
                for (name, has), (_, wants) in zip(cases, b.cases, strict=True):
                    if (has is None) != (wants is None):
                        raise Mismatch(f"case `{name}` has {'no' if has is None else 'a'} payload")
                places = [f"case `{n}`" for n, t in cases if t is not None]
            case c.Flags(names=names):
                _same_labels(names, b.names, "flag")
                return
            case c.EnumType(names=names):
                _same_labels(names, b.names, "case")
                return
            case c.Result():
                for has, wants, what in ((a.ok, b.ok, "value"), (a.error, b.error, "error")):
                    if (has is None) != (wants is None):
                        raise Mismatch(f"the result has {'no' if has is None else 'a'} type for its {what}")
                places = [what for what, t in (("value", a.ok), ("error", a.error)) if t is not None]
            case c.ListType() if a.length != b.length:
                raise Mismatch("the lists differ in length")
            case c.Own() | c.Borrow():
                places = ["handle"]
            case _:
                places = [f"element {i}" for i in range(len(given.parts))]
        if len(given.parts) != len(wanted.parts):
            raise Mismatch(f"{len(wanted.parts)} types inside are wanted, {len(given.parts)} are given")
        for place, x, y in zip(places, given.parts, wanted.parts, strict=True):
            self._inside(place, x, y)

    def _functions(self, given: Func, wanted: Func) -> None:
        if given.is_async != wanted.is_async:
            words = ["an async function" if x.is_async else "a synchronous function" for x in (wanted, given)]
            raise Mismatch(f"{words[0]} is wanted, {words[1]} is given")
        _same_labels(given.names, wanted.names, "parameter")
        if (given.result is None) != (wanted.result is None):
            raise Mismatch(f"the function returns {'nothing' if given.result is None else 'something'}")
        for i, (a, b) in enumerate(zip(given.parts, wanted.parts, strict=True)):
            if a is not b or type(a) is not Prim:
                self._inside(f"parameter `{given.names[i]}`" if i < len(given.names) else "result", a, b)

    def _instances(self, given: Inst, wanted: Inst) -> None:
        for name, b in wanted.exports.items():
            a = given.exports.get(name)
            if a is None:
                raise Mismatch(f"the instance does not export `{name}`")
            self._entity_inside(f"export `{name}`", a, b)

    def _entity_inside(self, where: str, given: Entity, wanted: Entity) -> None:
        try:
            self.entity(given, wanted)
        except Mismatch as e:
            e.path.append(where)
            raise

    def _components(self, given: Comp, wanted: Comp) -> None:
        """One component can stand for another if it makes do with its imports and gives at least its exports."""
        mapping = satisfy(self.known, wanted.imports, given.imports, given.imported, "import")
        exports = {name: mapping.entity(e) for name, e in given.exports.items()}
        satisfy(self.known, exports, wanted.exports, wanted.defined, "export")

    def _modules(self, given: CoreModuleType, wanted: CoreModuleType) -> None:
        for names, item in given.imports.items():
            label = f"import `{names[0]}` `{names[1]}`"
            if names not in wanted.imports:
                raise Mismatch(f"the module needs the {label}, which is not among those of the wanted type")
            fit_core(wanted.imports[names], item, label, self.known.core)
        for name, item in wanted.exports.items():
            if name not in given.exports:
                raise Mismatch(f"the module does not export `{name}`")
            fit_core(given.exports[name], item, f"export `{name}`", self.known.core)


def satisfy(
    known: Known, given: dict[str, Entity], wanted: dict[str, Entity], variables: dict[int, tuple[str, ...]], what: str
) -> Renaming:
    """Whether things of given names can be what is wanted, for some choice of the resources that are variables.

    Returns:
        That choice.
    """
    chosen: dict[int, int] = {}
    for resource, path in variables.items():
        found: Entity | None = None
        exports = given
        for name in path:
            found = exports.get(name)
            if found is None:
                break
            exports = found.type.exports if type(found.type) is Inst else {}
        if found is not None and type(found.created) is Res:
            chosen[resource] = found.created.resource
    fitting = Fitting(known, chosen)
    types: dict[Any, Any] = {}
    seen: set[tuple[int, int]] = set()
    for name, entity in wanted.items():
        a = given.get(name)
        if a is None:
            raise Mismatch(f"the {what} `{name}` is missing")
        fitting._entity_inside(f"{what} `{name}`", a, entity)
        _collect_named(a, entity, types, seen)
    return Renaming(chosen, types)


def _collect_named(given: Entity, wanted: Entity, types: dict[Any, Any], seen: set[tuple[int, int]]) -> None:
    """Notes which types of what is given stand for the named ones of what is wanted. `seen`: pairs of instances."""
    if wanted.created is not None:
        types[wanted.created] = given.created
    elif type(wanted.type) is Inst and (pair := (id(given.type), id(wanted.type))) not in seen:
        seen.add(pair)
        for name, entity in wanted.type.exports.items():
            _collect_named(given.type.exports[name], entity, types, seen)


def _same_labels(given: Sequence[str], wanted: Sequence[str], what: str) -> None:
    if given == wanted:
        return
    if len(given) != len(wanted):
        raise Mismatch(f"{len(wanted)} {what}s are wanted, {len(given)} are given")
    for a, b in zip(given, wanted, strict=True):
        if a.lower() != b.lower():
            raise Mismatch(f"the {what} `{b}` is wanted, `{a}` is given")
