"""Evaluation of a component with symbolic values: the engine's instantiation, without running anything.

A component is a program for its own instantiation. Its definitions are statements: they instantiate modules and
components, take exports of instances, lift and lower functions. An engine executes them when it instantiates the
component, and the result is a graph of core instances whose imports are bound to each other's exports. None of these
statements depends on a number that core code computes, so the same execution can take place at compile time, with
symbols in place of running instances. That is what this file does.

Definitions evaluate to values in an environment (`Env`), one for each component instance. A nested component evaluates
to a closure over the environment that it stands in; to instantiate it, its definitions are evaluated in a new
environment with the arguments. So a component that is instantiated twice is evaluated twice, and an outer alias finds
its target where an engine would find it.

The value of a core instance is a map from names to items of the fused module. The module's items are spliced into the
fused module, with each import bound to the very item that the `with` argument holds (`meld.rewriting.splice`). A chain
of re-exports, aliases and inline instances therefore costs nothing: at the end of it is one item.

Three kinds of functions cannot be bound, because no core code stands behind them yet. They become imports with a note:
`canon lower` of a lifted function is a `Boundary` between two component instances; `canon lower` of an import of the
root is a `HostCall`; every canonical built-in is a `CanonCall`. Later passes replace the first and the last kind.

Evaluation terminates, but a small component can describe a large graph: ten nested components that each instantiate the
next one ten times are ten billion instances. `Budget` bounds the growth relative to the size of the inputs.

Source: Component Model, Explainer.md: Instance Definitions, Alias Definitions, Canonical Definitions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from pathlib import PurePath
from typing import Any

from meld.abi import intrinsics
from meld.abi.options import Options
from meld.abi.signatures import builtin_type, lowered_type, start_types
from meld.abi.types import Extents, Resource, Type
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.instructions import LazyBody
from meld.ir.module import KEYWORD_OF, CoreItem, CustomSection, Function, ImportName, Memory, Module
from meld.ir.notes import Instance
from meld.ir.types import FuncType, TypeDef
from meld.notes.boundaries import BOUNDARY_MODULE, CANON_MODULE, ROOT_MODULE, Boundary, CanonCall, HostCall
from meld.notes.host_modules import HostModuleExport
from meld.notes.streams import StreamUse
from meld.passes.base import PassContext
from meld.passes.merge.bare_modules import BareModule, check_imports
from meld.passes.merge.budget import Budget, Kind, weight_of
from meld.passes.merge.host_modules import instantiate
from meld.passes.merge.start import HostInstantiation, Instantiation
from meld.passes.merge.values import (
    NOWHERE,
    ComponentValue,
    CoreInstanceValue,
    Env,
    HostComponent,
    HostFunction,
    InstanceValue,
    LiftedFunction,
    ModuleValue,
    TypeValue,
    Value,
    core_item,
    describe,
    expect,
    instance_type_of,
    label_of,
    named,
    namer,
    type_of,
)
from meld.rewriting.splice import Spliced, move, splice
from meld.support.records import record

MAX_NAME = 100
"""Letters of the name of an instance: all its items are named after it."""

# --- the evaluator -------------------------------------------------------------------------------------------------


@record()
class Evaluator:
    """Evaluates components into `module`."""

    module: Module
    cx: PassContext
    instances: list[Instance] = field(default_factory=list)
    instance_of: dict[c.Definition, Instance] = field(default_factory=dict)
    resources: list[Resource] = field(default_factory=list)
    stream_uses: list[StreamUse] = field(default_factory=list)
    events: list[Instantiation | HostInstantiation] = field(default_factory=list)
    modules_used: list[Module] = field(default_factory=list)
    customs: dict[CustomSection, None] = field(default_factory=dict)
    bare_exports: list[tuple[dict[str, CoreItem], Instance]] = field(default_factory=list)
    _instantiated: set[int] = field(default_factory=set)
    _moved: list[Callable[[], None]] = field(default_factory=list)
    _bound: set[Any] = field(default_factory=set)
    _made: list[tuple[Env, c.Component]] = field(default_factory=list)
    _names: dict[str, int] = field(default_factory=dict)
    _types: dict[FuncType, TypeDef] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    _extents: Extents = field(default_factory=Extents)
    _uses: dict[tuple[int, int], StreamUse] = field(default_factory=dict)  # by id of the instance and of the type
    _counted: set[int] = field(default_factory=set)
    _weights: dict[int, tuple[int, int]] = field(default_factory=dict)

    def evaluate_root(self, component: c.Component) -> InstanceValue:
        """The root instance; its imports are the host's."""
        stem = PurePath(component.where).stem if component.where else ""
        return self._instantiate_component(ComponentValue(component, NOWHERE), None, component.name or stem or "root")

    @property
    def root(self) -> Env:
        """The environment of the root component."""
        return self._made[0][0]

    def _instantiate_component(
        self, value: ComponentValue, args: dict[str, Value] | None, name: str, definition: c.Definition | None = None
    ) -> InstanceValue:
        self.budget.spend(Kind.INSTANCES)
        self._count(value.component)
        env = Env(Instance(name=self._unique(name)), value.env, args or {})
        self.instances.append(env.instance)
        self._made.append((env, value.component))
        if definition is not None:
            self.instance_of[definition] = env.instance
        made = InstanceValue({})
        for item in value.component.definitions:
            if isinstance(item, c.Import):
                env.values[item] = self._import(item, env, is_root=args is None)
            elif isinstance(item, c.Export):
                env.values[item] = made.add(item.extern, self._shown(env.get(item.target), item.type, env))
            else:
                self.define(item, env)
        return made

    def _count(self, component: c.Component) -> None:
        """Counts the definitions of a component that is instantiated: its own the first time, else more of them."""
        amount = len(component.definitions)
        if id(component) in self._counted:
            self.budget.spend(Kind.DEFINITIONS, amount)
            return
        self._counted.add(id(component))
        self.budget.earn(Kind.DEFINITIONS, amount)
        kinds = c.ComponentInstance, c.CoreInstance
        self.budget.earn(Kind.INSTANCES, sum(isinstance(item, kinds) for item in component.definitions))

    def _unique(self, name: str) -> str:
        name = name[:MAX_NAME]
        n = self._names[name] = self._names.get(name, 0) + 1
        return name if n == 1 else f"{name}.{n}"

    def define(self, item: c.Definition, env: Env) -> None:
        """Evaluates a definition of a component or of an instance type."""
        values = env.values
        match item:
            case c.CoreModule():
                values[item] = ModuleValue(item.module, f"component {env.instance.name}")
            case c.CoreInstance():
                values[item] = self._core_instance(item, env)
            case c.CoreInlineInstance():
                values[item] = CoreInstanceValue({n: core_item(env.get(d), d) for n, d in item.exports})
            case c.CoreType():
                values[item] = TypeValue(item.type, env, item)
            case c.NestedComponent():
                values[item] = ComponentValue(item.component, env)
            case c.ComponentInstance():
                component = env.get(item.component)
                if not isinstance(component, ComponentValue):
                    raise MeldError("instantiates a component that only the host could provide", where=self._where(env))
                args = {name: env.get(d) for name, d in item.args}
                name = item.name or item.component.name or component.component.name or "component"
                values[item] = self._instantiate_component(component, args, name, item)
            case c.InlineInstance():
                values[item] = made = InstanceValue({})
                for extern, d in item.exports:
                    made.add(extern, env.get(d))
            case c.ExportAlias():
                instance = expect(env, item.instance, InstanceValue, "an instance")
                if item.export not in instance.exports:
                    raise MeldError(f"{describe(item.instance)} has no export `{item.export}`", where=self._where(env))
                values[item] = instance.exports[item.export]
            case c.CoreExportAlias():
                core = expect(env, item.instance, CoreInstanceValue, "a core instance")
                if item.export not in core.exports:
                    raise MeldError(f"{describe(item.instance)} has no export `{item.export}`", where=self._where(env))
                values[item] = core.exports[item.export]
            case c.OuterAlias():
                values[item] = env.get(item.target)
            case c.TypeDefinition():
                values[item] = self._type_definition(item, env)
            case c.CanonLift():
                values[item] = self._lift(item, env)
            case c.CanonLower():
                values[item] = self._lower(item, env)
            case c.CanonBuiltin():
                values[item] = self._builtin(item, env)
            case c.Custom(section=section):
                self.customs[section] = None
            case c.StartDefinition() | c.ValueResult():
                raise MeldError("component start functions and values are not supported", where=self._where(env))
            case _:
                raise TypeError(f"unknown definition {item!r}")

    def _where(self, env: Env) -> str:
        return f"component instance `{env.instance.name}`"

    # --- imports ---------------------------------------------------------------------------------------------------

    def _import(self, item: c.Import, env: Env, *, is_root: bool) -> Value:
        name = str(item.extern)
        if not is_root:
            if name not in env.args:
                raise MeldError(f"the import `{name}` is not given", where=self._where(env))
            return env.args[name]
        return self._host_value(item.type, env, ROOT_MODULE, name)

    def _host_value(self, declared: c.ExternType, env: Env, module: str, name: str) -> Value:
        """The symbolic value of something that the host provides."""
        self.budget.spend(Kind.HOST)
        self.budget.spend(Kind.BYTES, len(module) + len(name))
        match declared.sort:
            case c.Sort.FUNC:
                type_ = self._counted_type(self.function_type(declared.type, env))
                return HostFunction(module, name, type_, type_of(declared, env))
            case c.Sort.INSTANCE:
                of, around = instance_type_of(declared, env)
                return self._host_instance(of, around, name if module == ROOT_MODULE else f"{module}/{name}")
            case c.Sort.TYPE:
                if isinstance(declared.type, c.Definition):
                    return named(type_of(declared, env))
                assert declared.type is None
                return TypeValue(self._resource(name, None, None, module))
            case c.Sort.CORE_MODULE:
                return ModuleValue(None, f"import `{name}`", type_of(declared, env), ImportName(module, name))
            case c.Sort.COMPONENT:
                return HostComponent(ImportName(module, name), type_of(declared, env))
            case _:
                what = declared.sort.value
                raise MeldError(
                    f"imports a {what} from the host: `{name}`", hint="a fused module can only import functions"
                )

    def _host_instance(self, declared: c.InstanceType, env: Env, name: str) -> InstanceValue:
        inner = Env(env.instance, env, {})
        made = InstanceValue({})
        for decl in declared.decls:
            self.budget.spend(Kind.DEFINITIONS)
            if isinstance(decl, c.ExportDecl):
                inner.values[decl] = made.add(decl.extern, self._host_value(decl.type, inner, name, str(decl.extern)))
            else:
                self.define(decl, inner)
        return made

    def _shown(self, value: Value, declared: c.ExternType | None, env: Env) -> Value:
        """A value as an export shows it: types get a name, functions the type that is ascribed to them."""
        match value:
            case TypeValue():
                return named(value)
            case LiftedFunction() | HostFunction() | ModuleValue() | HostComponent() if declared is not None:
                return replace(value, declared=type_of(declared, env))
            case InstanceValue() if declared is not None:
                of, around = instance_type_of(declared, env)
                inner = Env(env.instance, around, {})
                made = InstanceValue({})
                for decl in of.decls:
                    if isinstance(decl, c.ExportDecl):
                        name = str(decl.extern)
                        if name not in value.exports:
                            raise MeldError(f"an export shows `{name}`, which is not there", where=self._where(env))
                        shown = self._shown(value.exports[name], decl.type, inner)
                        inner.values[decl] = made.add(decl.extern, shown)
                    else:
                        self.define(decl, inner)
                return made
        return value

    # --- types -----------------------------------------------------------------------------------------------------

    def _resource(
        self, label: str, owner: Instance | None, dtor: Function | None, module: str | None = None
    ) -> Resource:
        resource = Resource(label, owner, "i32", dtor, module, name=label)
        self.resources.append(resource)
        return resource

    def _type_definition(self, item: c.TypeDefinition, env: Env) -> TypeValue:
        match item.type:
            case c.CompFuncType():
                return TypeValue(self.function_type(item, env, item.type), env, item)
            case c.ResourceType(_, dtor, dtor_async):
                if dtor_async:
                    raise MeldError("asynchronous destructors are not supported", where=self._where(env))
                core = None if dtor is None else self._bind(env.get(dtor))
                assert core is None or isinstance(core, Function)
                return TypeValue(self._resource(item.name or "resource", env.instance, core), env, item)
            case c.ComponentType() | c.InstanceType():
                return TypeValue(item.type, env, item)
            case _:
                resolved = self._extents.interned(self._resolve_parts(item.type, env))
                self._extents.check(resolved, self._where(env))
                return TypeValue(resolved, env, item)

    def function_type(
        self, definition: c.CompValType | None, env: Env, given: c.CompFuncType | None = None
    ) -> c.CompFuncType:
        """A function type, resolved: the given one, or what a definition evaluated to."""
        if given is None:
            found = expect(env, definition, TypeValue, "a function type").type
            if not isinstance(found, c.CompFuncType):
                raise MeldError("a type of another kind stands where a function type is due", where=self._where(env))
            return found
        params = tuple((name, self._resolve(t, env)) for name, t in given.params)
        result = None if given.result is None else self._resolve(given.result, env)
        return c.CompFuncType(params, result, given.is_async)

    def _counted_type(self, t: c.CompFuncType) -> c.CompFuncType:
        """A function type that one more function has: what follows goes through its parts for each function."""
        self.budget.spend(Kind.PARTS, self._extents.parts_of_function(t))
        return t

    def _resolve(self, t: c.CompValType, env: Env) -> Type:
        """A value type in place, resolved."""
        if isinstance(t, c.Prim):
            return t
        found = expect(env, t, TypeValue, "a value type").type
        if isinstance(found, Resource | c.CompFuncType | c.ComponentType | c.InstanceType):
            raise MeldError(f"{describe(t)} stands where a value type is due", where=self._where(env))
        return found

    def _resolve_resource(self, definition: c.Definition, env: Env) -> Any:
        """The resource type that a handle is of."""
        found = expect(env, definition, TypeValue, "a resource type").type
        if not isinstance(found, Resource):
            raise MeldError(f"{describe(definition)} stands where a resource type is due", where=self._where(env))
        return found

    def _resolve_parts(self, t: Any, env: Env) -> Type:
        def sub(x: c.CompValType) -> Type:
            return self._resolve(x, env)

        def opt(x: c.CompValType | None) -> Type | None:
            return None if x is None else self._resolve(x, env)

        match t:
            case c.Prim() | c.Flags() | c.EnumType():
                return t
            case c.Record(fields):
                return c.Record(tuple((n, sub(x)) for n, x in fields))
            case c.Variant(cases):
                return c.Variant(tuple((n, opt(x)) for n, x in cases))
            case c.ListType(element, length):
                return c.ListType(sub(element), length)
            case c.MapType(key, value):
                return c.MapType(sub(key), sub(value))
            case c.Tuple(elements):
                return c.Tuple(tuple(map(sub, elements)))
            case c.Option(element):
                return c.Option(sub(element))
            case c.Result(ok, error):
                return c.Result(opt(ok), opt(error))
            case c.Own(resource):
                return c.Own(self._resolve_resource(resource, env))
            case c.Borrow(resource):
                return c.Borrow(self._resolve_resource(resource, env))
            case c.Stream(element):
                return c.Stream(opt(element))
            case c.Future(element):
                return c.Future(opt(element))
        raise TypeError(f"unknown type {t!r}")

    # --- canonical definitions -------------------------------------------------------------------------------------

    def _options(self, options: c.CanonOptions, env: Env) -> Options:
        def item(definition: c.Definition | None, kind: type[Any] = Function) -> Any:
            what = f"a core {KEYWORD_OF[kind]}"
            return None if definition is None else self._bind(expect(env, definition, kind, what))

        if options.gc or options.core_type:
            raise MeldError("GC canonical options are not supported", where=self._where(env))
        return Options(
            options.encoding or "utf8",
            item(options.memory, Memory),
            item(options.realloc),
            item(options.post_return),
            options.is_async,
            item(options.callback),
        )

    def _bind(self, item: Any) -> Any:
        """Remembers that a core item is used by something."""
        self._bound.add(item)
        return item

    def drop_unbound(self) -> None:
        """Drops the imports of canonical definitions that no core module is given and nothing else uses."""
        self.module.imports = [
            item
            for item in self.module.imports
            if item in self._bound
            or not any(isinstance(n, Boundary | CanonCall | HostCall | HostModuleExport) for n in item.notes)
        ]

    def _lift(self, item: c.CanonLift, env: Env) -> LiftedFunction:
        target = self._bind(expect(env, item.function, Function, "a core function"))
        declared = expect(env, item.type, TypeValue, "a function type")
        options = self._options(item.options, env)
        type_ = self._counted_type(self.function_type(item.type, env))
        return LiftedFunction(env.instance, target, type_, options, declared)

    def _lower(self, item: c.CanonLower, env: Env) -> Function:
        callee = env.get(item.function)
        options = self._options(item.options, env)
        label = label_of(item)
        match callee:
            case LiftedFunction():
                label = f"{callee.instance.name}/{label}"
                name = ImportName(BOUNDARY_MODULE, f"{env.instance.name}->{label}")
                notes: Any = Boundary(
                    env.instance, callee.instance, label, callee.target, callee.type, options, callee.options
                )
            case HostFunction():
                name = ImportName(callee.module, callee.field)
                notes = HostCall(env.instance, callee.field, callee.type, options)
            case _:
                raise MeldError(f"lowers {describe(item.function)}, which is not a function", where=self._where(env))
        core = lowered_type(self._counted_type(callee.type), options)
        return self._add_import(name, core.params, core.results, env, label, notes)

    def _add_import(self, name: ImportName, params: Any, results: Any, env: Env, label: str, notes: Any) -> Function:
        shape = FuncType(params, results)
        if shape not in self._types:
            self._types[shape] = self.module.func_type(params, results)
        function = Function(
            self._types[shape],
            name=f"{env.instance.name}/{label}",
            imported=name,
            owner=env.instance,
            notes=[notes],
        )
        self.module.add(function)
        return function

    def _builtin(self, item: c.CanonBuiltin, env: Env) -> Function:
        of: Any = None
        if item.result is not None:
            of = self._resolve(item.result, env)
        elif item.type is not None:
            of = expect(env, item.type, TypeValue, "a type").type
        if (
            item.builtin in ("resource.new", "resource.rep")
            and isinstance(of, Resource)
            and of.owner is not env.instance
        ):
            raise MeldError(
                f"`{item.builtin}` is only for the component that defines `{of.label}`", where=self._where(env)
            )
        if isinstance(of, c.Stream | c.Future) or item.builtin == "waitable.join":
            self._use_stream(env.instance, item.builtin, of)
        options = self._options(item.options, env)
        table = None if item.table is None else env.get(item.table)
        named: Any = of
        shown = c.Own(named) if isinstance(of, Resource) else None if isinstance(of, TypeDef) else of
        call = CanonCall(
            item.builtin,
            env.instance,
            shown,
            options,
            None if item.slot is None else item.slot[1],
            table,
            item.cancellable,
        )
        core = builtin_type(item.builtin, options, of, item.slot[0] if item.slot else None, start_types(of, table))
        name = ImportName(CANON_MODULE, item.builtin)
        return self._add_import(name, core.params, core.results, env, item.builtin, call)

    def _use_stream(self, instance: Instance, builtin: str, of: Type | None) -> None:
        use = self._uses.get((id(instance), id(of)))
        if use is None:
            use = self._uses[id(instance), id(of)] = StreamUse(instance, (), of)
            self.stream_uses.append(use)
        if builtin not in use.builtins:
            use.builtins = (*use.builtins, builtin)

    # --- core instances --------------------------------------------------------------------------------------------

    def _core_instance(self, item: c.CoreInstance, env: Env) -> CoreInstanceValue:
        value = expect(env, item.module, ModuleValue, "a core module")
        args: dict[str, CoreInstanceValue] = {}
        for name, definition in item.args:
            args[name] = expect(env, definition, CoreInstanceValue, "a core instance")
        if value.module is None:
            self.budget.spend(Kind.INSTANCES)
            self.budget.spend(Kind.HOST, 0 if value.declared is None else len(value.declared.type.decls))
            where = self._where(env)
            return instantiate(value, args, self.module, env.instance, self.events, self._bound, where)
        bindings: dict[CoreItem, CoreItem] = {}
        for wanted in value.module.imports:
            assert wanted.imported is not None
            given = args.get(wanted.imported.module)
            if given is None or wanted.imported.field not in given.exports:
                raise MeldError(f"the core import {wanted.imported} is not given", where=self._where(env))
            found = given.exports[wanted.imported.field]
            if type(found) is not type(wanted):
                raise MeldError(
                    f"the core import {wanted.imported} wants a {type(wanted).__name__.lower()}, "
                    f"but gets a {type(found).__name__.lower()}",
                    where=self._where(env),
                )
            bindings[wanted] = found
        return CoreInstanceValue(self._splice(value.module, bindings, env).exports)

    def _splice(self, source: Module, bindings: dict[CoreItem, CoreItem], env: Env) -> Spliced:
        self._bound.update(bindings.values())
        if source not in self.modules_used:
            self.modules_used.append(source)
        self.budget.spend(Kind.INSTANCES)
        self._weigh(source, env.instance.name or "")
        rename = namer(source, env.instance.name or "")
        defined = [*source.memories, *source.tables]
        if id(source) in self._instantiated:
            spliced = splice(
                source, self.module, bindings, owner=env.instance, ordinal=env.cores, rename=rename, again=True
            )
        else:
            spliced, settle = move(source, self.module, bindings, owner=env.instance, ordinal=env.cores, rename=rename)
            self._moved.append(settle)
            if source.functions and isinstance(source.functions[0].body, LazyBody):
                source.functions[0].body.look_ahead()  # `finish` will ask
        self._instantiated.add(id(source))
        env.cores += 1
        self.events.append(Instantiation(spliced, [spliced.new.get(item, item) for item in defined], env.instance))
        return spliced

    def _weigh(self, source: Module, prefix: str) -> None:
        """Counts what an instance of a core module takes: what the module holds the first time, else a copy of it."""
        if id(source) not in self._weights:
            self._weights[id(source)] = weight_of(source)
        items, size = self._weights[id(source)]
        size += items * len(prefix)
        count = self.budget.spend if id(source) in self._instantiated else self.budget.earn
        count(Kind.ITEMS, items)
        count(Kind.BYTES, size)

    def settle(self) -> None:
        """Gives the instances what they instantiate; until then the composition is as it was."""
        for settle in self._moved:
            settle()

    def instantiate_bare_modules(self) -> None:
        """Instantiates what imports `pulseengine:async` and is instantiated by nothing, in components with streams.

        Raises:
            MeldError: such a module imports anything else, or an intrinsic under another type.
        """
        instantiated = set(self._instantiated)  # a component that is instantiated twice has two of its bare modules
        asking = {use.instance for use in self.stream_uses if use.type is not None}
        for env, component in self._made:
            for definition in component.of(c.CoreModule):
                source = definition.module
                imports = {item.imported.module for item in source.imports if item.imported}
                if intrinsics.MODULE not in imports or id(source) in instantiated:
                    continue
                if env.instance in asking:
                    check_imports(definition, self._where(env))
                    self._bare(source, env)
                else:
                    self.cx.remark(
                        f"a core module of `{env.instance.name}` that is not instantiated imports {intrinsics.MODULE}; "
                        "the component declares no built-in of streams or futures, so it is not run"
                    )

    def _bare(self, source: Module, env: Env) -> None:
        bare = BareModule(source, env.instance)
        spliced = self._splice(source, bare.imports(self.module), env)
        bare.settle(spliced)
        self.bare_exports.append((spliced.exports, env.instance))
