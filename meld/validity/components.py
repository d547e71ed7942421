"""Goes through the definitions of a component and says what makes it invalid: names, types, visibility, instantiation.

Each definition gets its meaning, as `meld.validity.entities` has them; what refers to it looks that up. The
first thing that is wrong ends it, since what follows would be judged by a guess.

Source: Component Model, Explainer.md and Binary.md; for the resources of component types, Subtyping.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from meld.diagnostics import MeldError, did_you_mean
from meld.ir import component as c
from meld.ir.component import EXTERN_SORTS, Component, Definition, Prim, Sort
from meld.ir.types import I32, I64, FuncType
from meld.validity.canonical import Canonical
from meld.validity.core_items import (
    KINDS,
    Mismatch,
    core_functype,
    core_kind,
    show_core,
)
from meld.validity.core_modules import CoreModules
from meld.validity.entities import (
    MAX_DEPTH,
    Comp,
    CoreModuleType,
    Defined,
    Entity,
    Func,
    Inst,
    Renaming,
    Res,
    check_extent,
    describe,
    exported_names,
    free_resources,
    new_resource,
)
from meld.validity.meanings import COMPONENT, COMPONENT_TYPE, INSTANCE_TYPE, ComponentState, Meanings
from meld.validity.names import NameContext, check_name
from meld.validity.places import located
from meld.validity.subtyping import Fitting, satisfy
from meld.validity.value_types import labels, parts_of

NAMED = (c.Record, c.Variant, c.Flags, c.EnumType)
"""Types that need a name to be seen from outside."""

MAX_WORK = 2_000_000
"""Parts of the types of components, each as often as it is instantiated: what comparing them all costs."""

RENAMING = 8
"""What it costs to give a part of a type other resources, in comparisons."""


class Validator(Meanings):
    """Gives each definition its meaning. `meaning` is by definition: a type, the type of an item, or a core item."""

    def __init__(self) -> None:
        super().__init__()
        self.canonical = Canonical(self)
        self.core = CoreModules(self)
        self.place: list[Definition] = []
        self.work = 0

    def component(self, component: Component) -> Comp:
        """The type of a component. Raises `MeldError`; `place` then leads to the definition, outermost first."""
        self._definitions(component.definitions)
        for value, used in self.scope.values.items():
            if not used:
                self.place.append(value)
                raise MeldError(
                    "the value is never used", hint="each value is used once: passed, exported or started with"
                )
        return self._finished()

    def _definitions(self, items: Iterable[Definition]) -> None:
        meaning, place = self.meaning, self.place
        level = len(place)
        for item in items:
            place[level:] = (item,)
            meaning[item] = RULES[type(item)](self, item)
        del place[level:]

    # --- scopes ---

    def _inside(self, kind: str) -> None:
        if self.scope.depth > MAX_DEPTH:
            raise MeldError(f"components and types nest more than {MAX_DEPTH} deep")
        self.scope = ComponentState(kind, self.scope)

    def _outside(self) -> None:
        assert self.scope.parent is not None
        self.scope = self.scope.parent

    def _nested_component(self, item: c.NestedComponent) -> Comp:
        component = item.component
        if component.validated is not None:
            known: Comp = component.validated
            return known
        self._inside(COMPONENT)
        found = self.component(component)
        if self.scope.is_closed and self.core.is_plain:
            component.validated = found
        self._outside()
        return found

    def _finished(self) -> Comp:
        """The type of what the scope holds: resources of its own that it exports stay variables."""
        scope = self.scope
        if scope.defined:
            for resource in free_resources(scope.imports.values()):
                if resource in scope.defined:
                    raise MeldError("an import refers to a resource type that the component itself defines")
        defined: dict[int, tuple[str, ...]] = {}
        if scope.defined:
            free = free_resources(scope.exports.values())
            for resource in scope.defined:
                if resource in free:
                    if resource not in scope.explicit:
                        raise MeldError("an export refers to a resource type that is not exported itself")
                    defined[resource] = scope.explicit[resource]
        return Comp(scope.imports, scope.exports, scope.imported, defined, scope.explicit)

    # --- types ---

    def _type(self, item: c.TypeDefinition) -> Any:
        shape = item.type
        match shape:
            case c.CompFuncType():
                return self._func_type(shape)
            case c.InstanceType():
                self._inside(INSTANCE_TYPE)
                self._definitions(shape.decls)
                scope = self.scope
                self._outside()
                return Inst(scope.exports, tuple(scope.defined), scope.explicit)
            case c.ComponentType():
                self._inside(COMPONENT_TYPE)
                self._definitions(shape.decls)
                type_ = self._finished()
                self._outside()
                return type_
            case c.ResourceType():
                return self._resource(shape)
        found = Defined(shape, parts_of(self, shape))
        if found.fixed:
            self.canonical.size(found)
        return found

    def _func_type(self, shape: c.CompFuncType) -> Func:
        names = tuple([name for name, _ in shape.params])
        labels(names, "parameter")
        parts = [t if type(t) is Prim else self.values(t) for _, t in shape.params]
        if shape.result is None:
            return Func(names, tuple(parts), None, shape.is_async)
        result = self.values(shape.result)
        if type(result) is Defined and result.borrows:
            raise MeldError("a result holds a borrowed handle", hint="return an owned one, or pass it as a parameter")
        return Func(names, (*parts, result), result, shape.is_async)

    def _resource(self, shape: c.ResourceType) -> Res:
        if self.scope.kind != COMPONENT:
            raise MeldError(
                "a resource type is defined in a type", hint='declare it: `(export "r" (type (sub resource)))`'
            )
        if shape.rep not in (I32, I64):
            raise MeldError("a resource is represented by an i32, or an i64", hint="write `(rep i32)`")
        if shape.dtor is not None:
            t = core_functype(self.meaning[shape.dtor])
            if t is not None and t != FuncType((shape.rep,)):
                raise MeldError(f"the destructor has to be {show_core(FuncType((shape.rep,)))}, and is {show_core(t)}")
        found = new_resource()
        self.scope.defined[found.resource] = shape.rep
        return found

    # --- imports and exports ---

    def _extern(self, t: c.ExternType) -> Entity:
        """What an import or export is declared to be."""
        if t.sort is Sort.VALUE:
            if t.eq_value is not None:
                return Entity(t.sort, self.meaning[t.eq_value])
            return Entity(t.sort, self.values(t.type))
        if t.type is None:
            new = new_resource()
            return Entity(Sort.TYPE, new, new)
        found = self.meaning[t.type]  # type: ignore[index]
        if t.sort is Sort.TYPE:
            return Entity(Sort.TYPE, found, _under_new_name(found))
        kind, what = KIND_OF[t.sort]
        if type(found) is not kind:
            raise MeldError(f"{what} is wanted here, not {describe(found)}")
        return Entity(t.sort, found)

    def _import(self, item: c.Import) -> Any:
        return self._add(item, self._extern(item.type), "import")

    def _export_decl(self, item: c.ExportDecl) -> Any:
        return self._add(item, self._extern(item.type), "export")

    def _export(self, item: c.Export) -> Any:
        found = self.meaning[item.target]
        sort = _extern_sort(item.target)
        entity = Entity(sort, found, _under_new_name(found) if sort is Sort.TYPE else None)
        if sort is Sort.VALUE:
            self._use(item.target)
        if item.type is not None:
            declared = self._extern(item.type)
            try:
                Fitting(self.known).entity(entity, declared)
            except Mismatch as e:
                raise MeldError(f"what is exported is not of the type that is given for it: {e}") from None
            entity = declared
        return self._add(item, entity, "export")

    def _add(self, item: c.Import | c.Export | c.ExportDecl, entity: Entity, way: str) -> Any:
        """Puts an import or export into the scope; what its definition means."""
        scope = self.scope
        name = item.extern.name
        sort, t, created = entity
        if sort is Sort.INSTANCE:
            t = self._open(t, name) if way == "import" else self._exported_instance(t, name)
            entity = Entity(sort, t)
        elif type(created) is Res:
            if way == "import":
                if created == t:
                    scope.imported[created.resource] = (name,)
            else:
                if created == t:
                    scope.defined[created.resource] = None
                scope.explicit[created.resource] = (name,)
            scope.resources[way][created] = name
        elif sort is Sort.VALUE:
            scope.values[item] = way == "export"
        scope.size += 1 if type(t) in (Res, CoreModuleType, Prim) else t.size
        check_extent(scope.depth, scope.size)
        if scope.kind is not INSTANCE_TYPE:
            self._register(entity, way)
        known = scope.imports if way == "import" else scope.exports
        check_name(item.extern, entity, NameContext(way, scope.keys[way], scope.resources[way], known))
        known[name] = entity
        return t if created is None else created

    def _open(self, t: Inst, name: str) -> Inst:
        """The type of an imported instance: the resources of the type become new ones, which it imports."""
        if not t.defined:
            return t
        new = self._variables(t)
        for old, resource in new.items():
            self.scope.imported[resource] = (name, *t.explicit[old])
        return self._opened(t, new)

    def _variables(self, t: Inst) -> dict[int, int]:
        """Resources for an instance of a type: those of the type itself for the first, so that nothing is made anew."""
        first, t.is_used = not t.is_used, True
        return {old: old if first else new_resource().resource for old in t.defined}

    def _spend(self, amount: int) -> None:
        self.work += amount
        if self.work > MAX_WORK:
            raise MeldError(
                f"its imports and instances take more than {MAX_WORK} comparisons of types",
                hint="a few types of instances inside each other make one of any size; use flatter ones",
            )

    def _opened(self, t: Inst, new: dict[int, int]) -> Inst:
        if all(old == resource for old, resource in new.items()):
            return Inst(t.exports, (), t.explicit)
        self._spend(RENAMING * t.size)
        renaming = Renaming(new)
        return Inst({n: renaming.entity(e) for n, e in t.exports.items()}, (), renaming.paths(t.explicit))

    def _exported_instance(self, t: Inst, name: str) -> Inst:
        """The type of an exported instance: its resources are those of what exports it."""
        if t.defined:
            new = self._variables(t)
            self.scope.defined.update(dict.fromkeys(new.values()))
            t = self._opened(t, new)
        for resource, path in t.explicit.items():
            self.scope.explicit[resource] = (name, *path)
        return t

    def _register(self, entity: Entity, way: str) -> None:
        """Checks that types inside something imported or exported have names; gives it one if it is a type."""
        named = self.scope.named[way]
        pending = [entity]
        seen: set[int] = set()
        while pending:
            sort, t, created = pending.pop()
            if sort is Sort.FUNC:
                self._need_names(t.parts, named, way)
            elif sort is Sort.TYPE:
                self._need_names_inside(t, named, way)
                self.scope.named["export"].add(created)
                if way == "import":
                    named.add(created)
            elif sort is Sort.INSTANCE and id(t) not in seen:
                seen.add(id(t))
                pending += reversed(t.exports.values())
            elif sort is Sort.VALUE:
                self._need_names((t,), named, way)

    def _need_names_inside(self, t: Any, named: set[Any], way: str) -> None:
        """The same for what is inside a type."""
        pending = [t]
        seen: set[int] = set()
        while pending:
            t = pending.pop()
            if type(t) is Defined or type(t) is Func:
                self._need_names(t.parts, named, way)
            elif type(t) is Inst and id(t) not in seen:
                seen.add(id(t))
                pending += [e.type if e.created is None else e.created for e in t.exports.values()]

    def _need_names(self, types: Iterable[Any], named: set[Any], way: str) -> None:
        pending = [t for t in types if type(t) is not Prim]
        if not pending:
            return
        seen: set[int] = set()
        while pending:
            t = pending.pop()
            if type(t) is Prim or t in named or id(t) in seen:
                continue
            if type(t) is Res or type(t.shape) in NAMED:
                raise MeldError(
                    f"it refers to {describe(t)} type that is not {way}ed itself",
                    hint=f"{way} the type in front of it, and refer to what that defines",
                )
            seen.add(id(t))
            pending += t.parts

    # --- aliases ---

    def _export_alias(self, item: c.ExportAlias) -> Any:
        instance = self.a(Inst, item.instance, "an instance")
        entity = instance.exports.get(item.export)
        if entity is None:
            hint = did_you_mean(item.export, instance.exports, exported_names(instance.exports))
            raise MeldError(f"the instance has no export `{item.export}`", hint=hint)
        if entity.sort is not item.of:
            raise MeldError(f"the export `{item.export}` is a {entity.sort.value}, not a {item.of.value}")
        if self.scope.kind is not COMPONENT and item.of not in (Sort.TYPE, Sort.INSTANCE):
            raise MeldError("an alias in a type can only be one of a type or an instance")
        if item.of is Sort.VALUE:
            self.scope.values[item] = False
        return entity.type if entity.created is None else entity.created

    def _core_export_alias(self, item: c.CoreExportAlias) -> Any:
        exports = self.meaning[item.instance]
        found = exports.get(item.export)
        if found is None:
            hint = did_you_mean(item.export, exports, exported_names(exports))
            raise MeldError(f"the core instance has no export `{item.export}`", hint=hint)
        if SORTS.get(type(found)) is item.of:
            return found
        kind = item.of.value.removeprefix("core ")
        if core_kind(found) != kind:
            raise MeldError(f"the export `{item.export}` is a {core_kind(found)}, not a {kind}")
        return found

    def _outer_alias(self, item: c.OuterAlias) -> Any:
        found = self.meaning[item.target]
        scope: ComponentState | None = self.scope
        if scope is not None and scope.kind is not COMPONENT and item.of not in (Sort.TYPE, Sort.CORE_TYPE):
            raise MeldError("an alias in a type can only be one of a type or an instance")
        for _ in range(item.depth - 1):
            if scope is not None:
                scope.is_closed = False
                scope = scope.parent
        crosses = item.depth > 0 and scope is not None and scope.kind is COMPONENT
        if item.depth and scope is not None:
            scope.is_closed = False
        if item.of is Sort.TYPE and crosses and free_resources((found,)):
            raise MeldError(
                "an alias brings a resource type of another component in", hint="import it, and hand it in with `with`"
            )
        return found

    # --- instances ---

    def _entity(self, item: Definition) -> Entity:
        """What a definition is, as an argument or as an export of an instance."""
        found = self.meaning[item]
        sort = _extern_sort(item)
        if sort is Sort.VALUE:
            self._use(item)
        return Entity(sort, found, found if sort is Sort.TYPE else None)

    def _instance(self, item: c.ComponentInstance) -> Inst:
        component = self.a(Comp, item.component, "a component")
        args: dict[str, Entity] = {}
        for name, given in item.args:
            if name in args:
                raise MeldError(f"the argument `{name}` is given twice")
            args[name] = self._entity(given)
        for name in component.imports:
            if name not in args:
                hint = did_you_mean(name, args, "hand it in with `(with …)`")
                raise MeldError(f"the import `{name}` of the component is missing", hint=hint)
        self._spend(component.size)
        try:
            renaming = satisfy(self.known, args, component.imports, component.imported, "import")
        except Mismatch as e:
            raise MeldError(f"an argument does not fit what the component imports: {e}{_giver(item, e)}") from None
        for resource in component.defined:
            new = renaming.resources[resource] = new_resource().resource
            self.scope.defined[new] = None
        exports = {n: renaming.entity(e) for n, e in component.exports.items()}
        return Inst(exports, (), renaming.paths(component.explicit))

    def _inline_instance(self, item: c.InlineInstance) -> Inst:
        exports: dict[str, Entity] = {}
        explicit: dict[int, tuple[str, ...]] = {}
        context = NameContext("export", {}, {}, exports)
        for extern, given in item.exports:
            entity = self._entity(given)
            if type(entity.type) is Res:
                explicit[entity.type.resource] = (extern.name,)
            elif entity.sort is Sort.INSTANCE:
                explicit.update((r, (extern.name, *path)) for r, path in entity.type.explicit.items())
            check_name(extern, entity, context)
            exports[extern.name] = entity
        return Inst(exports, (), explicit)

    # --- values ---

    def _use(self, value: Definition) -> None:
        if self.scope.values.get(value, False):
            raise MeldError("a value is used a second time", hint="each value is used once")
        self.scope.values[value] = True

    def _start(self, item: c.StartDefinition) -> None:
        if self.scope.started:
            raise MeldError("there is a second start function", hint="a component has one at most")
        self.scope.started = True
        t = self.a(Func, item.function, "a function")
        if len(t.params) != len(item.args):
            raise MeldError(f"the start function takes {len(t.params)} arguments and is given {len(item.args)}")
        if len(item.results) != (t.result is not None):
            raise MeldError(f"the start function does not return {len(item.results)} values")
        for name, wanted, given in zip(t.names, t.params, item.args, strict=True):
            self._use(given)
            try:
                Fitting(self.known).type(self.meaning[given], wanted)
            except Mismatch as e:
                raise MeldError(f"the argument for `{name}` does not fit: {e}") from None
        for value in item.results:
            self.meaning[value] = t.result
            self.scope.values[value] = False


RULES: dict[type, Callable[[Validator, Any], Any]] = {
    c.CoreModule: lambda self, item: self.core.module(item),
    c.CoreInstance: lambda self, item: self.core.instance(item),
    c.CoreInlineInstance: lambda self, item: self.core.inline_instance(item),
    c.CoreType: lambda self, item: self.core.type(item),
    c.NestedComponent: Validator._nested_component,
    c.ComponentInstance: Validator._instance,
    c.InlineInstance: Validator._inline_instance,
    c.ExportAlias: Validator._export_alias,
    c.CoreExportAlias: Validator._core_export_alias,
    c.OuterAlias: Validator._outer_alias,
    c.TypeDefinition: Validator._type,
    c.CanonLift: lambda self, item: self.canonical.lift(item),
    c.CanonLower: lambda self, item: self.canonical.lower(item),
    c.CanonBuiltin: lambda self, item: self.canonical.builtin(item),
    c.StartDefinition: Validator._start,
    c.Import: Validator._import,
    c.Export: Validator._export,
    c.ExportDecl: Validator._export_decl,
    c.Custom: lambda self, item: None,
}

SORTS: dict[type[Any], Sort] = {item: Sort(f"core {kind}") for item, kind in KINDS.items()}

KIND_OF: dict[Sort, tuple[type[Any], str]] = {
    Sort.FUNC: (Func, "a function type"),
    Sort.INSTANCE: (Inst, "an instance type"),
    Sort.COMPONENT: (Comp, "a component type"),
    Sort.CORE_MODULE: (CoreModuleType, "a type of core modules"),
}


def _extern_sort(item: Definition) -> Sort:
    """The sort of an argument or an export. Raises MeldError if a component has none of that sort."""
    sort = item.sort
    assert sort is not None
    if sort not in EXTERN_SORTS:
        raise MeldError(f"a definition of sort {sort.value} cannot be an argument or export of a component")
    return sort


def _under_new_name(t: Any) -> Any:
    """A type that equals another and can have a name where that has none."""
    if type(t) is Res:
        return t.renamed()
    if type(t) is Defined:
        return Defined(t.shape, t.parts)
    return t


def _giver(item: c.ComponentInstance, mismatch: Mismatch) -> str:
    """Which instance an argument that does not fit comes from, if it is the export of one with a name."""
    for name, given in item.args:
        if mismatch.path and mismatch.path[-1] == f"import `{name}`":
            match given:
                case c.ExportAlias(instance=instance) if instance.name:
                    return f"; it comes from `{instance.name}`"
    return ""


def validate(component: Component) -> tuple[MeldError, list[Definition]] | None:
    """The first thing that makes a component invalid, with the definitions that lead there, outermost first."""
    validator = Validator()
    try:
        component.validated = validator.component(component)
    except MeldError as e:
        return e, validator.place
    except RecursionError:
        return MeldError("components and types nest too deep", hint="split them"), validator.place
    return None


def check(component: Component) -> None:
    """Refuses a component that is not valid. Raises MeldError: the first thing that is wrong, and where.

    What was validated before, and did not change since, is skipped.
    """
    if component.validated is not None:
        return
    invalid = validate(component)
    if invalid is not None:
        error, path = invalid
        raise located(error, path, component)
