"""The world of a program: what its root imports and exports, with the types and the names that they were given.

A core module cannot say it, so `merge` writes it down in a note (`meld.notes.world`).

Source: Component Model, Explainer.md (Type Definitions).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from meld.abi.types import Resource
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import Definition, ExternName, ExternType, Sort
from meld.ir.types import TypeDef
from meld.passes.merge.module_types import declared_type, module_type
from meld.passes.merge.values import (
    ComponentValue,
    Env,
    HostComponent,
    HostFunction,
    InstanceValue,
    LiftedFunction,
    ModuleValue,
    TypeValue,
    Value,
)
from meld.rewriting.copying import Copier
from meld.rewriting.type_parts import outside, referred, with_referred
from meld.support.records import record

MAX_EXPORTS = 100_000
MAX_DEPTH = 50
"""Of what a program shows to the host, instances counted by what they hold: few definitions can make many exports."""

MAX_NAMES = 64
"""Names of names of a type that are followed: a chain of exports may be as long as a component."""


def world_of(program: c.Component, env: Env, hidden: frozenset[str] = frozenset()) -> c.ComponentType:
    """The type of the root component, instantiated in `env`: its imports and exports in order, and their types.

    Exports with `hidden` names are left out. A component of the program that is exported, which fusion cannot keep, is
    declared with an empty type, and `wrap` refuses it by name.

    Raises:
        MeldError: a function mentions a resource that is neither imported nor exported.
    """
    world = _Scope()
    for item in program.definitions:
        if isinstance(item, c.Import | c.Export) and (isinstance(item, c.Import) or str(item.extern) not in hidden):
            world.declare(type(item) is c.Import, item.extern, env.get(item))
    return c.ComponentType(world.decls)


@record()
class _Budget:
    """The part of the budget for describing a world that is left."""

    left: int = MAX_EXPORTS


@record()
class _Scope:
    """The declarations of a component or instance type so far.

    Attributes:
        known: what stands for a type here. Types are told apart by name; a resource also stands for itself.
        places: types that an instance exports, or one inside it: the instance and the names that lead to them.
        budget: how much more may be declared, in all scopes together.
    """

    parent: _Scope | None = None
    depth: int = 0
    decls: list[Definition] = field(default_factory=list)
    known: dict[TypeValue | Resource, Definition] = field(default_factory=dict)
    places: dict[TypeValue | Resource, tuple[Definition, tuple[str, ...]]] = field(default_factory=dict)
    aliases: dict[tuple[Definition, str], Definition] = field(default_factory=dict)
    budget: _Budget = field(default_factory=lambda: _Budget())

    def declare(self, imported: bool, extern: ExternName, value: Value) -> None:
        """Adds an import or export of a value."""
        kind = c.Import if imported else c.ExportDecl
        declared = self._extern_type(value)
        made: Definition = kind(extern, declared)
        self.decls.append(made)
        match value:
            case TypeValue():
                for key in _names(value):
                    if key is value or isinstance(self.known.get(key), c.TypeDefinition | None):  # named is better
                        self.known[key] = made
            case InstanceValue():
                self._place(made, (), value)

    def _place(self, instance: Definition, path: tuple[str, ...], value: InstanceValue) -> None:
        for name, item in value.exports.items():
            match item:
                case TypeValue():
                    for key in _names(item):
                        self.places.setdefault(key, (instance, (*path, name)))
                case InstanceValue():
                    self._place(instance, (*path, name), item)

    def _extern_type(self, value: Value) -> ExternType:
        match value:
            case LiftedFunction() | HostFunction():
                return ExternType(Sort.FUNC, self.type(value.declared))
            case InstanceValue(exports, externs):
                inner = _Scope(self, self.depth + 1, budget=self.budget)
                self.budget.left -= len(exports)
                if self.budget.left < 0 or inner.depth > MAX_DEPTH:
                    raise MeldError("it shows too many things, or instances that nest too deep")
                for name, item in exports.items():
                    inner.declare(False, externs[name], item)
                return ExternType(Sort.INSTANCE, self._add(c.TypeDefinition(c.InstanceType(inner.decls))))
            case TypeValue(type=Resource()):
                return ExternType(Sort.TYPE, self.find(value))
            case TypeValue():
                return ExternType(Sort.TYPE, self.find(value) or self.type(value.of or value))
            case ModuleValue():
                return ExternType(Sort.CORE_MODULE, self._add(c.CoreType(module_type(value))))
            case HostComponent(declared=declared):
                return ExternType(Sort.COMPONENT, self.type(declared))
            case ComponentValue():
                return ExternType(Sort.COMPONENT, self._add(c.TypeDefinition(c.ComponentType())))
            case _:
                raise TypeError(f"a component cannot show {value!r}")

    def _add(self, item: Definition) -> Definition:
        self.decls.append(item)
        return item

    def find(self, value: TypeValue) -> Definition | None:
        """The named definition of a type here, with aliases added as needed; None if the type has no name."""
        return next((found for key in _names(value) if (found := self._find(key)) is not None), None)

    def _find(self, key: TypeValue | Resource) -> Definition | None:
        if key in self.known:
            return self.known[key]
        if key in self.places:
            instance, path = self.places[key]
            for name in path[:-1]:
                instance = self._alias(instance, name, Sort.INSTANCE)
            self.known[key] = self._alias(instance, path[-1], Sort.TYPE)
        elif self.parent is not None and (outer := self.parent._find(key)) is not None:
            self.known[key] = self._add(c.OuterAlias(outer, 1, Sort.TYPE))
        return self.known.get(key)

    def _alias(self, instance: Definition, name: str, sort: Sort) -> Definition:
        if (instance, name) not in self.aliases:
            self.aliases[instance, name] = self._add(c.ExportAlias(instance, name, sort))
        return self.aliases[instance, name]

    def type(self, value: TypeValue) -> Definition:
        """The definition of a type here; made, with what it refers to, if it has no name."""
        made: dict[TypeValue, Definition] = {}
        pending = [value]
        while pending:  # no recursion: types refer to each other as deep as a component is long
            one = pending[-1]
            if one in made:
                pending.pop()
                continue
            found = self.find(one)
            if found is None:
                if isinstance(one.type, Resource) or one.definition is None or one.env is None:
                    label = one.type.label if isinstance(one.type, Resource) else "?"
                    raise MeldError(f"the resource `{label}` is used by an export, but is not exported itself")
                env = one.env
                parts = _parts(one.definition, env)
                missing = [part for part in parts.values() if part not in made]
                if missing:
                    pending += missing
                    continue
                found = self._define(one.definition, env, {d: made[part] for d, part in parts.items()})
                self.known[one] = found
            made[one] = found
            pending.pop()
        return made[value]

    def _define(
        self, definition: c.TypeDefinition | c.CoreType, env: Env, new: dict[Definition, Definition]
    ) -> Definition:
        match definition:
            case c.CoreType(type=c.ModuleType() as module):
                return self._add(c.CoreType(declared_type(module, env)))
            case c.CoreType(type=TypeDef() as typedef, group=group):
                types = [typedef] if group is None else group.types
                return {one: self._add(c.CoreType(one, group)) for one in types}[typedef]
            case c.TypeDefinition(type=c.ComponentType() | c.InstanceType()):
                return Copier(self.decls, new).copy(definition)
            case c.TypeDefinition(type=t):
                return self._add(c.TypeDefinition(with_referred(t, new.__getitem__)))
        raise TypeError(f"unknown type {definition!r}")


def _parts(definition: c.TypeDefinition | c.CoreType, env: Env) -> dict[Definition, TypeValue]:
    """What a type refers to in the component that defines it, and around it."""
    if isinstance(definition, c.CoreType):
        return {}
    if not isinstance(definition.type, c.ComponentType | c.InstanceType):
        return {d: _type_value(env, d) for d in referred(definition.type)}
    found = {d: env.find(d) for d in outside(definition)}  # aliases inside it may mean what it declares itself
    return {d: value for d, value in found.items() if isinstance(value, TypeValue)}


def _names(value: TypeValue) -> Iterator[TypeValue | Resource]:
    """The names of a type: its own, the type that it renames, and so on up to `MAX_NAMES`; the resource is last."""
    one: TypeValue | None = value
    for _ in range(MAX_NAMES):
        if one is None:
            break
        yield one
        one = one.of
    if isinstance(value.type, Resource):
        yield value.type


def _type_value(env: Env, definition: Definition) -> TypeValue:
    value = env.get(definition)
    assert isinstance(value, TypeValue)
    return value
