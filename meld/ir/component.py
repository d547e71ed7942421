"""The first language: a component, as a sequence of definitions.

Each definition is an object of one sort; others refer to the object. Order matters (a definition refers only to earlier
ones, and instantiation happens in that order), so a component is one list. An import, an export, an alias each define
something too: they stand in the index space of their sort like the rest.

Source: Component Model, Explainer.md and Binary.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from enum import Enum
from typing import Any, ClassVar, TypeAlias

from meld.diagnostics import Span
from meld.ir.module import CustomSection, Module
from meld.ir.named import Named
from meld.ir.notes import Note
from meld.ir.types import Limits, RecGroup, RefType, TypeDef, ValType
from meld.support.records import record


class Sort(Enum):
    """Index spaces of a component; the value is the keyword in text."""

    CORE_FUNC = "core func"
    CORE_TABLE = "core table"
    CORE_MEMORY = "core memory"
    CORE_GLOBAL = "core global"
    CORE_TAG = "core tag"
    CORE_TYPE = "core type"
    CORE_MODULE = "core module"
    CORE_INSTANCE = "core instance"
    FUNC = "func"
    VALUE = "value"
    TYPE = "type"
    COMPONENT = "component"
    INSTANCE = "instance"

    __hash__ = object.__hash__  # members are compared by identity, and that of Enum is a function in Python


EXTERN_SORTS = frozenset((Sort.CORE_MODULE, Sort.FUNC, Sort.VALUE, Sort.TYPE, Sort.COMPONENT, Sort.INSTANCE))
"""What a component imports and exports."""


class Part:
    """Base of what definitions are made of that is no definition itself: types in place, options, names."""

    __slots__ = ()


# --- types ---------------------------------------------------------------------------------------------------------


class Prim(Enum):
    """Primitive value types; the value is the name in text."""

    BOOL = "bool"
    S8 = "s8"
    U8 = "u8"
    S16 = "s16"
    U16 = "u16"
    S32 = "s32"
    U32 = "u32"
    S64 = "s64"
    U64 = "u64"
    F32 = "f32"
    F64 = "f64"
    CHAR = "char"
    STRING = "string"
    ERROR_CONTEXT = "error-context"

    __hash__ = object.__hash__


CompValType: TypeAlias = "Prim | Definition"
"""A value type in place: a primitive, or the definition (sort TYPE) that it names."""


@record(frozen=True)
class Record(Part):
    """`(record (field "a" t)…)`."""

    fields: tuple[tuple[str, CompValType], ...]


@record(frozen=True)
class Variant(Part):
    """`(variant (case "a" t?)…)`."""

    cases: tuple[tuple[str, CompValType | None], ...]


@record(frozen=True)
class ListType(Part):
    """`(list t)`, or `(list t n)` of fixed length."""

    element: CompValType
    length: int | None = None


@record(frozen=True)
class MapType(Part):
    """`(map k v)`."""

    key: CompValType
    value: CompValType


@record(frozen=True)
class Tuple(Part):
    """`(tuple t…)`."""

    elements: tuple[CompValType, ...]


@record(frozen=True)
class Flags(Part):
    """`(flags "a"…)`."""

    names: tuple[str, ...]


@record(frozen=True)
class EnumType(Part):
    """`(enum "a"…)`."""

    names: tuple[str, ...]


@record(frozen=True)
class Option(Part):
    """`(option t)`."""

    element: CompValType


@record(frozen=True)
class Result(Part):
    """`(result t? (error t)?)`."""

    ok: CompValType | None
    error: CompValType | None


@record(frozen=True)
class Own(Part):
    """`(own r)`."""

    resource: Definition


@record(frozen=True)
class Borrow(Part):
    """`(borrow r)`."""

    resource: Definition


@record(frozen=True)
class Stream(Part):
    """`(stream t?)`."""

    element: CompValType | None


@record(frozen=True)
class Future(Part):
    """`(future t?)`."""

    element: CompValType | None


DefValType: TypeAlias = (
    Prim
    | Record
    | Variant
    | ListType
    | MapType
    | Tuple
    | Flags
    | EnumType
    | Option
    | Result
    | Own
    | Borrow
    | Stream
    | Future
)


@record(frozen=True)
class CompFuncType(Part):
    """`(func async? (param "a" t)… (result t)?)`."""

    params: tuple[tuple[str, CompValType], ...]
    result: CompValType | None
    is_async: bool = False


@record(frozen=True)
class ResourceType(Part):
    """`(resource (rep i32) (dtor f)?)`. `rep` is i32 or i64."""

    rep: ValType
    dtor: Definition | None = None
    dtor_async: bool = False
    dtor_callback: Definition | None = None


@record(eq=False)
class ComponentType(Part):
    """`(component decl…)`: declarations are `TypeDefinition`, `CoreType`, aliases, `Import` and `ExportDecl`."""

    decls: list[Definition] = field(default_factory=list)


@record(eq=False)
class InstanceType(Part):
    """`(instance decl…)`: as `ComponentType`, without imports."""

    decls: list[Definition] = field(default_factory=list)


@record(frozen=True)
class CoreExternType(Part):
    """Type of a core import or export inside a module type: `kind` is ``func``, ``table``, ``memory``, …."""

    kind: str
    type: TypeDef | Limits | RefType | ValType
    limits: Limits | None = None  # of a table
    mutable: bool = False  # of a global


@record(eq=False)
class ModuleType(Part):
    """`(module decl…)`; `types` are the function types that it declares itself, `aliases` outer core types by position.

    `decls` keeps the order: a `RecGroup`, an `OuterAlias` of sort CORE_TYPE, ``(module, field, type)`` for an import,
    ``(name, type)`` for an export.
    """

    decls: list[RecGroup | OuterAlias | tuple[str, str, CoreExternType] | tuple[str, CoreExternType]] = field(
        default_factory=list
    )


# --- extern types --------------------------------------------------------------------------------------------------


@record(frozen=True)
class ExternType(Part):
    """What an import or export is declared to be.

    Attributes:
        sort: FUNC, VALUE, TYPE, COMPONENT, INSTANCE or CORE_MODULE.
        type: the type definition: of the func, component, instance, module; for TYPE the bound of ``(eq t)``, None for
            ``(sub resource)``; for VALUE a value type.
        eq_value: for VALUE with ``(eq v)``: the definition it equals.
    """

    sort: Sort
    type: CompValType | None = None
    eq_value: Definition | None = None


# --- definitions ---------------------------------------------------------------------------------------------------


@record(eq=False, kw_only=True)
class Definition(Named):
    """Base of all definitions. Compared by identity. `sort` names the index space it stands in, None for none."""

    name: str | None = None
    notes: list[Note] = field(default_factory=list)
    span: Span | None = None

    @property
    def sort(self) -> Sort | None:
        return None


@record(eq=False)
class CoreModule(Definition):
    """`(core module …)` given in place."""

    module: Module

    sort: ClassVar[Sort] = Sort.CORE_MODULE


@record(eq=False)
class CoreInstance(Definition):
    """`(core instance (instantiate m (with "a" (instance i))…))`."""

    module: Definition
    args: list[tuple[str, Definition]] = field(default_factory=list)

    sort: ClassVar[Sort] = Sort.CORE_INSTANCE


@record(eq=False)
class CoreInlineInstance(Definition):
    """`(core instance (export "a" (func f))…)`: core definitions bundled under names."""

    exports: list[tuple[str, Definition]] = field(default_factory=list)

    sort: ClassVar[Sort] = Sort.CORE_INSTANCE


@record(eq=False)
class CoreType(Definition):
    """`(core type …)`: one of the types of a recursion group, or a module type.

    A group of several types is several consecutive definitions that share `group`.
    """

    type: TypeDef | ModuleType
    group: RecGroup | None = None

    sort: ClassVar[Sort] = Sort.CORE_TYPE


@record(eq=False)
class NestedComponent(Definition):
    """`(component …)` given in place."""

    component: Component

    sort: ClassVar[Sort] = Sort.COMPONENT


@record(eq=False)
class ComponentInstance(Definition):
    """`(instance (instantiate c (with "a" (func f))…))`."""

    component: Definition
    args: list[tuple[str, Definition]] = field(default_factory=list)

    sort: ClassVar[Sort] = Sort.INSTANCE


@record(eq=False)
class InlineInstance(Definition):
    """`(instance (export "a" (func f))…)`. Names may carry attributes, as those of exports."""

    exports: list[tuple[ExternName, Definition]] = field(default_factory=list)

    sort: ClassVar[Sort] = Sort.INSTANCE


@record(eq=False)
class ExportAlias(Definition):
    """`(alias export i "name" (func …))`: an export of a component instance."""

    instance: Definition
    export: str
    of: Sort

    @property
    def sort(self) -> Sort:
        return self.of


@record(eq=False)
class CoreExportAlias(Definition):
    """`(alias core export i "name" (core func …))`: an export of a core instance."""

    instance: Definition
    export: str
    of: Sort

    @property
    def sort(self) -> Sort:
        return self.of


@record(eq=False)
class OuterAlias(Definition):
    """`(alias outer n i (type …))`: a definition of an enclosing component. `depth` is n."""

    target: Definition
    depth: int
    of: Sort

    @property
    def sort(self) -> Sort:
        return self.of


@record(eq=False)
class TypeDefinition(Definition):
    """`(type …)`."""

    type: DefValType | CompFuncType | ComponentType | InstanceType | ResourceType

    sort: ClassVar[Sort] = Sort.TYPE


@record(frozen=True)
class CanonOptions(Part):
    """Options of a canonical definition.

    Attributes:
        encoding: ``utf8``, ``utf16``, ``latin1+utf16`` or None (utf8 is the default).
        core_type, gc: the GC options, kept for round trips.
        order: the attributes that were given, in their order in the source, kept for people.
    """

    encoding: str | None = None
    memory: Definition | None = None
    realloc: Definition | None = None
    post_return: Definition | None = None
    is_async: bool = False
    callback: Definition | None = None
    always_task_return: bool = False
    core_type: Definition | None = None
    gc: bool = False
    order: tuple[str, ...] = field(default=(), compare=False, repr=False)


@record(eq=False)
class CanonLift(Definition):
    """`(canon lift f options (func (type t)))`."""

    function: Definition
    type: Definition
    options: CanonOptions = CanonOptions()

    sort: ClassVar[Sort] = Sort.FUNC


@record(eq=False)
class CanonLower(Definition):
    """`(canon lower f options (core func …))`."""

    function: Definition
    options: CanonOptions = CanonOptions()

    sort: ClassVar[Sort] = Sort.CORE_FUNC


@record(eq=False)
class CanonBuiltin(Definition):
    """Any other canonical definition: ``resource.new``, ``stream.write``, ``task.return``, ``waitable-set.wait``, ….

    Attributes:
        builtin: the name in text.
        type: the type it is about (resource, stream, future; for ``thread.new-indirect`` a core type).
        options: memory, realloc, encoding, async.
        result: the result type of ``task.return``.
        slot: the slot of ``context.get`` and ``context.set``, and its type.
        table: the table of ``thread.new-indirect``.
        cancellable: as on ``waitable-set.wait``.
    """

    builtin: str
    type: Definition | None = None
    options: CanonOptions = CanonOptions()
    result: CompValType | None = None
    slot: tuple[ValType, int] | None = None
    table: Definition | None = None
    cancellable: bool = False

    sort: ClassVar[Sort] = Sort.CORE_FUNC


@record(eq=False)
class StartDefinition(Definition):
    """`(start f (value v)… (result (value v))…)`. Each result defines a value; `results` holds those."""

    function: Definition
    args: list[Definition] = field(default_factory=list)
    results: list[ValueResult] = field(default_factory=list)


@record(eq=False)
class ValueResult(Definition):
    """A value that a start definition, or a value definition, brings into the value space."""

    sort: ClassVar[Sort] = Sort.VALUE


@record(frozen=True)
class ExternName(Part):
    """An import or export name with its attributes (Binary.md, importname' / exportname').

    Attributes:
        name: ``run``, ``ns:pkg/iface@1.2.3``, ``[method]r.m``, ….
        version_suffix, implements, external_id: the attributes of the newer name forms, or None.
    """

    name: str
    version_suffix: str | None = None
    implements: str | None = None
    external_id: str | None = None

    def __str__(self) -> str:
        return self.name


@record(eq=False)
class Import(Definition):
    """`(import "name" (func …))`: in a component, and as a declaration in a component type."""

    extern: ExternName
    type: ExternType

    @property
    def sort(self) -> Sort:
        return self.type.sort


@record(eq=False)
class Export(Definition):
    """`(export "name" (func f) (func (type t))?)`. Defines a new index of the sort of `target`."""

    extern: ExternName
    target: Definition
    type: ExternType | None = None
    _sort: Sort | None = field(default=None, repr=False, kw_only=True)  # found once

    @property
    def sort(self) -> Sort | None:
        if self._sort is None:
            target = self.target
            while isinstance(target, Export) and target._sort is None:  # a chain may be as long as the component
                target = target.target
            self._sort = target.sort
        return self._sort


@record(eq=False)
class ExportDecl(Definition):
    """`(export "name" (func …))` as a declaration in a component or instance type."""

    extern: ExternName
    type: ExternType

    @property
    def sort(self) -> Sort:
        return self.type.sort


@record(eq=False)
class Custom(Definition):
    """A custom section at its place in the sequence. `component-name` is understood; others are carried."""

    section: CustomSection


@record(eq=False)
class Component(Named):
    """A component: its definitions in order, with the notes of the composition.

    `validated` is its type (`meld.validity`), if it was validated in this run and did not change since.
    """

    definitions: list[Definition] = field(default_factory=list)
    name: str | None = None
    facts: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    where: str = ""  # where it came from, for messages
    span: Span | None = None
    validated: Any = field(default=None, repr=False, compare=False)

    def changed(self) -> None:
        """Forgets that it, and what is nested in it, was validated."""
        pending = [self]
        while pending:
            component = pending.pop()
            component.validated = None
            pending += [nested.component for nested in component.of(NestedComponent)]

    def of(self, kind: type[Any]) -> Iterator[Any]:
        """The definitions of a class, in order."""
        return (item for item in self.definitions if isinstance(item, kind))

    def space(self, sort: Sort) -> list[Definition]:
        """The index space of a sort."""
        found: list[Definition] = []
        for item in self.definitions:
            if item.sort is sort:
                found.append(item)
            elif isinstance(item, StartDefinition) and sort is Sort.VALUE:
                found.extend(item.results)
        return found

    def notes_of(self, kind: type[Any]) -> list[Any]:
        """The component's own notes of a class, in order."""
        return [item for item in self.notes if isinstance(item, kind)]
