"""The pass `wrap`: the fused module as a component again, with the world that the composition had.

Source: Component Model, Explainer.md (Canonical Definitions; Instance Definitions).
"""

from __future__ import annotations

from dataclasses import field, replace

from meld.abi.options import Options
from meld.binary.reader import read_module
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import Component, Definition, ExternType, Sort
from meld.ir.module import SPACE_OF, CoreItem, Export, ImportName, Module
from meld.ir.types import I32
from meld.notes.boundaries import ROOT_MODULE, HostExport, HostReexport, ResourceExport
from meld.notes.world import ModuleExport, NoWorld
from meld.passes.base import Pass, PassContext
from meld.passes.wrap.agreement import Agreement
from meld.passes.wrap.helpers import CORE_SORTS, Helper, arguments, move_out
from meld.passes.wrap.host_modules import HostModules
from meld.passes.wrap.imports import HostItems, Imports
from meld.passes.wrap.interface import shim_component
from meld.rewriting.copying import Copier
from meld.rewriting.edge import edge_problem, fresh_name
from meld.rewriting.type_parts import with_referred
from meld.rewriting.world import drop_section, read_world, world_note
from meld.support.records import record


class Wrap(Pass):
    """Wrap the fused module as a component with the same imports and exports as the composition.

    Imports of the host are lowered, each with the options of the instance that calls it; exports are lifted. Imports
    that need the module's memory reach it through a shim. The module itself becomes part of the component; both have
    its section `producers`. It keeps one memory and one table, those that most functions use; helper modules of one
    each define the others, since pooling allocators take one of each in a module.

        (module $main
          (import "$root" "log" (func $log (@meld.host …) (param i32)))
          (export "run" (func $run)) …)
    becomes
        (component
          (import "log" (func $log (param "x" u32)))
          (core func $log' (canon lower (func $log)))
          (core module $main …)
          (core instance $main (instantiate $main
            (with "$root" (instance (export "log" (func $log'))))))
          (func $run (canon lift (core func $main "run")))
          (export "run" (func $run)))
    """

    name = "wrap"
    reads = Module
    writes = Component
    requires = frozenset({"finished"})
    after = ("lower-multi-memory",)

    def run(self, module: Module, cx: PassContext) -> Component:
        world = world_note(module)
        if world is None:
            raise _no_world(module)
        wrapper = _Wrapper(module, read_world(world).decls)
        drop_section(module)
        module.notes = [n for n in module.notes if n is not world and not isinstance(n, ModuleExport)]
        component = wrapper.wrap()
        cx.stats["functions by way of the shim"] = len(wrapper.imports.late)
        cx.stats["helper modules"] = len(wrapper.helpers)
        for name in wrapper.kept:
            cx.remark(f"the table `{name}` stays in the module beside another one; a pooling allocator may refuse that")
        return component


def _no_world(module: Module) -> MeldError:
    for n in module.notes_of(NoWorld):
        return MeldError(f"cannot be wrapped: {n.why}", hint="fuse to a core module, with --emit=wasm")
    return MeldError("the module does not say what its world is", hint="what `merge` makes says it, or why not")


@record()
class _Wrapper:
    """Builds the component; `map` says what stands in it for a declaration of the world."""

    module: Module
    world: list[Definition]
    out: list[Definition] = field(default_factory=list)
    map: dict[Definition, Definition] = field(default_factory=dict)
    copier: Copier = field(init=False)
    imports: Imports = field(init=False)
    main: Definition = field(init=False)
    functions: dict[str, HostExport | HostReexport] = field(init=False)  # by the names they are exported under
    modules: dict[str, ModuleExport] = field(init=False)  # that are exported, by their names
    helpers: list[Helper] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # tables that stay beside the first one
    _core: dict[CoreItem, Definition] = field(default_factory=dict)
    _agreement: Agreement = field(default_factory=Agreement)
    _carried_modules: dict[ModuleExport, Definition] = field(default_factory=dict)
    _shown: set[str] = field(default_factory=set)  # names of functions that the world exports

    def __post_init__(self) -> None:
        self.functions = {n.label: n for n in self.module.notes_of(HostReexport)}
        self.functions |= {n.label: n for n in self.module.notes_of(HostExport)}
        self.modules = {label: n for n in self.module.notes_of(ModuleExport) for label in n.labels}
        self.copier = Copier(self.out, self.map)
        self.imports = Imports(self.module, self.out, HostItems(self.out), self._core_item, self._options)

    def wrap(self) -> Component:
        """The component."""
        self._import_world()
        self._instantiate()
        self._export_world()
        hidden = [label for label in self.functions if label not in self._shown]
        if hidden:
            raise MeldError(f"the program exports `{hidden[0]}`, and the world does not")
        self.out += [c.Custom(section) for section in self.module.customs if section.name == "producers"]
        return Component(self.out, name=self.module.name, where=self.module.where)

    def _import_world(self) -> None:
        """Copies the imports of the world, and the types they need."""
        for decl in self.world:
            if isinstance(decl, c.Import):
                self.copier.copy(decl)
        for item in self.out:
            if isinstance(item, c.ExportDecl):
                raise MeldError(f"an import of the program has a type that its export `{item.extern}` defines")
            if isinstance(item, c.Import):
                self.imports.host.add(item)

    def _instantiate(self) -> None:
        """Instantiates the module; its start function waits until its imports are in place."""
        hosts = HostModules(self.module, self.out, self.imports.host.get, self._core_item)
        of_hosts, args = hosts.before()
        self._core |= of_hosts
        args += self.imports.before(hosts.export)
        self.helpers, self.kept = move_out(self.module, self.out)
        args += arguments(self.helpers, self.out)
        self._core |= {helper.item: helper.given for helper in self.helpers}
        start = self.module.start if any(one.after is None for one in self.imports.late) else None
        if start is not None:
            self.module.start = None
        core = c.CoreModule(self.module, name="main")
        self.main = c.CoreInstance(core, args, name="main")
        self.out += [core, self.main]
        self.imports.after(None, None if start is None else self._core_item(start))
        for n in hosts.late:
            hosts.instantiate(n)
            self.imports.after(n, self._core_item(hosts.item(n.then)) if n.then else None)

    def _core_item(self, item: CoreItem) -> Definition:
        """An item of the module, exported by it."""
        if item not in self._core:
            if item not in self.module.space(SPACE_OF[type(item)]):
                raise MeldError(f"the host needs `{item.name}`, which is not in the module")
            export = next((e for e in self.module.exports if e.item is item), None)
            if export is None:
                export = Export(fresh_name(self.module, item, "meld"), item)
                self.module.exports.append(export)
            self._core[item] = c.CoreExportAlias(self.main, export.name, CORE_SORTS[type(item)])
            self.out.append(self._core[item])
        return self._core[item]

    def _options(self, options: Options) -> c.CanonOptions:
        """Canonical options in terms of the component."""

        def core(item: CoreItem | None) -> Definition | None:
            return None if item is None else self._core_item(item)

        return c.CanonOptions(
            None if options.encoding == "utf8" else options.encoding,
            core(options.memory),
            core(options.realloc),
            core(options.post_return),
            options.is_async,
            core(options.callback),
        )

    # --- exports ---------------------------------------------------------------------------------------------------

    def _export_world(self) -> None:
        """Makes the exports of the world, in order, and the types they need."""
        for decl in self.world:
            if decl in self.map:
                continue
            if isinstance(decl, c.ExportDecl):
                try:
                    self.map[decl] = self._export(decl)
                except MeldError as e:
                    e.where = e.where or f"export `{decl.extern}`"
                    raise
            else:
                self.copier.copy(decl)

    def _export(self, decl: c.ExportDecl) -> Definition:
        match decl.type:
            case ExternType(Sort.FUNC, Definition() as of):
                target = self._function(str(decl.extern), of)
            case ExternType(Sort.TYPE, Definition() as of):
                target = self.map[of]
            case ExternType(Sort.INSTANCE, c.TypeDefinition(type=c.InstanceType() as of)):
                target = self._interface(str(decl.extern), of, self.world)
            case ExternType(Sort.TYPE):
                target = self._resource(ROOT_MODULE, str(decl.extern))
            case ExternType(Sort.CORE_MODULE | Sort.COMPONENT, Definition() as of) if self._has(str(decl.extern)):
                made = c.Export(decl.extern, self._carried(str(decl.extern)), self.copier.copy_type(decl.type))
                self.out.append(made)
                return made
            case _:
                raise MeldError(f"is a {decl.type.sort.value}, which fusion cannot keep")
        made = c.Export(decl.extern, target)
        self.out.append(made)
        return made

    def _function(self, label: str, of: Definition) -> Definition:
        """A function that is exported under a name (``run``, ``iface#func``): lifted, or the host's own."""
        self._shown.add(label)
        match self.functions.get(label):
            case HostReexport(module=module, field=field):
                return self.imports.host.get(ImportName(module, field))
            case HostExport() as export:
                problem = edge_problem(export)
                if problem is not None:
                    raise MeldError(f"cannot be wrapped: {problem}", hint="fuse to a core module, with --emit=wasm")
                self._agreement.require(of, export.type, f"the export `{label}`")
                lifted = c.CanonLift(self._core_item(export.target), self.map[of], self._options(export.lift))
                self.out.append(lifted)
                return lifted
        raise MeldError("the module has no function for it")

    def _has(self, label: str) -> bool:
        return label in self.functions or label in self.modules

    def _carried(self, label: str) -> Definition:
        """The core module that is exported under a name, or the module or component of the host."""
        match self.functions.get(label):
            case HostReexport(module=module, field=field):
                self._shown.add(label)
                return self.imports.host.get(ImportName(module, field))
        note = self.modules[label]
        if note not in self._carried_modules:
            carried = c.CoreModule(read_module(note.data, where=f"the exported core module `{label}`"))
            self._carried_modules[note] = carried
            self.out.append(carried)
        return self._carried_modules[note]

    def _resource(self, module: str, label: str) -> Definition:
        """The resource type that is exported under a name. One that no exported function mentions is a new one."""
        for n in self.module.notes_of(ResourceExport):
            if (n.module, n.label) == (module, label) and n.resource in self.imports.resources:
                return self.imports.resources[n.resource]
        made = c.TypeDefinition(c.ResourceType(I32))
        self.out.append(made)
        return made

    def _interface(self, name: str, interface: c.InstanceType, around: list[Definition]) -> Definition:
        """The instance for an exported interface; `around` are the declarations that it can refer to."""
        for decl in interface.decls:
            match decl:
                case c.OuterAlias(target=target):
                    self.map[decl] = self.map[target]
                case c.ExportAlias(instance=instance):
                    self.map[decl] = replace(decl, instance=self.map[instance])
                    self.out.append(self.map[decl])
                case c.TypeDefinition(type=c.InstanceType()):
                    pass  # of an interface inside
                case c.CoreType():
                    self.copier.copy(decl)
                case c.ExportDecl(type=ExternType(Sort.INSTANCE, c.TypeDefinition(type=c.InstanceType() as inner))):
                    self.map[decl] = self._interface(f"{name}#{decl.extern}", inner, [*around, *interface.decls])
                case c.TypeDefinition():
                    self.map[decl] = c.TypeDefinition(with_referred(decl.type, self.map.__getitem__))
                    self.out.append(self.map[decl])
                case c.ExportDecl(type=ExternType(Sort.TYPE, None)):
                    self.map[decl] = self._resource(name, str(decl.extern))
                case c.ExportDecl(type=ExternType(Sort.TYPE, Definition() as of)):
                    self.map[decl] = self.map[of]
                case c.ExportDecl(type=ExternType(Sort.FUNC, Definition() as of)):
                    self.map[decl] = self._function(f"{name}#{decl.extern}", of)
                case c.ExportDecl(extern=label, type=ExternType(Sort.CORE_MODULE | Sort.COMPONENT)) if self._has(
                    f"{name}#{label}"
                ):
                    self.map[decl] = self._carried(f"{name}#{label}")
                case c.ExportDecl(extern=label, type=ExternType(sort)):
                    raise MeldError(f"`{label}` of the interface is a {sort.value}, which fusion cannot keep")
        component, args = shim_component(around, interface, self.map)
        nested = c.NestedComponent(component)
        instance = c.ComponentInstance(nested, args)
        self.out += [nested, instance]
        return instance
