"""Symbolic values of definitions, and the environments that definitions are evaluated in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any, TypeAlias, TypeVar

from meld.abi.options import Options
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import CoreItem, Function, ImportName, Item, Module
from meld.ir.notes import Instance
from meld.support.records import record


@record(eq=False)
class ModuleValue:
    """A core module; None if it is only the name of a link between stream partners, or one of the host.

    Attributes:
        declared: the type under which the host is asked for it, or which an export ascribed to it.
        place: for one of the host, the instance that holds it, or the root, and its name there.
    """

    module: Module | None
    where: str
    declared: TypeValue | None = None
    place: ImportName | None = None


@record(eq=False)
class CoreInstanceValue:
    """A core instance: its exports."""

    exports: dict[str, CoreItem]


@record(eq=False)
class ComponentValue:
    """A component with the environment it stands in."""

    component: c.Component
    env: Env


@record(eq=False)
class HostComponent:
    """A component that the host provides, and the type under which it is asked for it. Nothing can instantiate it."""

    place: ImportName
    declared: TypeValue


@record(eq=False)
class InstanceValue:
    """A component instance: its exports, and their names with attributes."""

    exports: dict[str, Value]
    externs: dict[str, c.ExternName] = field(default_factory=dict)

    def add(self, extern: c.ExternName, value: Value) -> Value:
        """Adds an export; returns its value."""
        self.externs[str(extern)] = extern
        self.exports[str(extern)] = value
        return value


@record(eq=False)
class LiftedFunction:
    """A component function made by `canon lift`.

    `declared` is the type that it shows where it stands: that of `canon lift`, or what an export ascribed to it.
    """

    instance: Instance
    target: Function
    type: c.CompFuncType
    options: Options
    declared: TypeValue


@record(eq=False)
class HostFunction:
    """A component function that the host provides. `module` and `field` are its core import name."""

    module: str
    field: str
    type: c.CompFuncType
    declared: TypeValue


@record(eq=False)
class TypeValue:
    """A type: a resolved value or function type, a `Resource`, or a component, instance or module type as it stands.

    Two names of one type are two values, so that what was written can be told apart: `of` is the value that an export
    gave a name to.

    Attributes:
        env, definition: where it was defined, in whose terms. `definition` is None for a resource of the host.
    """

    type: Any
    env: Env | None = None
    definition: c.TypeDefinition | c.CoreType | None = None
    of: TypeValue | None = None


Value: TypeAlias = (
    ModuleValue
    | CoreInstanceValue
    | ComponentValue
    | HostComponent
    | InstanceValue
    | LiftedFunction
    | HostFunction
    | TypeValue
    | Item
)


@record(eq=False)
class Env:
    """Values of definitions, innermost scope first; `instance` is the component instance being made."""

    instance: Instance
    parent: Env | None
    args: dict[str, Value]
    values: dict[c.Definition, Value] = field(default_factory=dict)
    cores: int = 0  # core instances so far

    def find(self, definition: c.Definition) -> Value | None:
        """The value of a definition of this component or one around it; None if it is of neither."""
        env: Env | None = self
        while env is not None:
            if definition in env.values:
                return env.values[definition]
            env = env.parent
        return None

    def get(self, definition: c.Definition) -> Value:
        """The value of a definition of this component or one around it. Raises MeldError: it is of neither."""
        value = self.find(definition)
        if value is not None:
            return value
        raise MeldError(f"{describe(definition)} is used before it is defined", where=f"component {self.instance.name}")


def describe(definition: c.Definition) -> str:
    """A definition in words."""
    sort = definition.sort.value if definition.sort else "definition"
    return f"{sort} `{definition.name}`" if definition.name else f"a {sort}"


V = TypeVar("V")


def expect(env: Env, definition: object, kind: type[V], what: str) -> V:
    """The value of a definition that must be of a class. Raises MeldError: it is something else."""
    value = env.get(definition) if isinstance(definition, c.Definition) else None
    if not isinstance(value, kind):
        shown = describe(definition) if isinstance(definition, c.Definition) else "nothing"
        raise MeldError(f"{shown} stands where {what} is due", where=f"component instance `{env.instance.name}`")
    return value


def type_of(declared: c.ExternType, env: Env) -> TypeValue:
    """The type that an import or export is declared to have."""
    return expect(env, declared.type, TypeValue, "a type")


def instance_type_of(declared: c.ExternType, env: Env) -> tuple[c.InstanceType, Env]:
    """The instance type that an import or export is declared to have, and where it was defined."""
    value = type_of(declared, env)
    if not isinstance(value.type, c.InstanceType) or value.env is None:
        raise MeldError("an instance is declared to be of a type that is no instance type", where=env.instance.name)
    return value.type, value.env


def named(value: TypeValue) -> TypeValue:
    """A type under a new name."""
    return TypeValue(value.type, value.env, value.definition, value)


def label_of(item: c.CanonLower) -> str:
    """The name of a function that is lowered, for people."""
    match item.function:
        case c.ExportAlias(export=name):
            return name
        case c.Import(extern=extern):
            return str(extern)
        case other:
            return item.name or other.name or "function"


def core_item(value: Value, definition: c.Definition) -> CoreItem:
    """A value that must be a core item. Raises MeldError: it is something else."""
    if not isinstance(value, CoreItem):
        raise MeldError(f"{describe(definition)} is not a core item")
    return value


NOWHERE = Env(Instance(name="host"), None, {})


def namer(source: Module, prefix: str) -> Callable[[Item], str | None]:
    """Names for the copies of a module's items: ``instance/name``, by the first export where an item has no name."""
    by_export: dict[Item, str] = {}
    for export in source.exports:
        by_export.setdefault(export.item, export.name)

    def rename(item: Item) -> str | None:
        name = item.name or by_export.get(item)
        return f"{prefix}/{name}" if name else None

    return rename
