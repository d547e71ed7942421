"""An interface that a wrapped module exports: a nested component that gives lifted functions their types and names.

A component may export only types that have names, and an instance made of bare functions gives none. So a component
stands between: it imports the functions, and the types they need, and exports them as the interface declares them.
wit-component does the same.
"""

from __future__ import annotations

from dataclasses import field, replace

from meld.ir import component as c
from meld.ir.component import Component, Definition, ExternName, ExternType, Sort
from meld.rewriting.copying import Copier
from meld.rewriting.type_parts import outside, with_referred
from meld.support.records import record


def shim_component(
    world: list[Definition], interface: c.InstanceType, given: dict[Definition, Definition]
) -> tuple[Component, list[tuple[str, Definition]]]:
    """The component for one interface, and its arguments.

    Args:
        world: the declarations of the world, in order, and of interfaces around this one.
        interface: the type of the interface, one of its declarations.
        given: what stands for the declarations of the world and of the interface in the component around.
    """
    shim = _Shim(given)
    shim.import_world(world, interface)
    shim.import_interface(interface)
    shim.export_interface(interface)
    return Component(shim.definitions), shim.args


@record()
class _Shim:
    given: dict[Definition, Definition]
    definitions: list[Definition] = field(default_factory=list)
    args: list[tuple[str, Definition]] = field(default_factory=list)
    here: dict[Definition, Definition] = field(default_factory=dict)  # declaration → what stands for it inside

    def import_world(self, world: list[Definition], interface: c.InstanceType) -> None:
        """Imports the types and instances of the world that the interface refers to."""
        needed = set(outside(interface))
        for decl in reversed(world):
            if decl in needed:
                needed.update(outside(decl))
        copier = Copier(self.definitions, self.here)
        for decl in world:
            match decl:
                case c.OuterAlias(target=target) if decl in needed:
                    self.here[decl] = self.here[target]
                case c.Import(type=declared) | c.ExportDecl(type=declared) if decl in needed:
                    like = copier.copy_type(declared)
                    self._import(f"dependency-{len(self.args)}", decl, like)
                case _ if decl in needed:
                    copier.copy(decl)

    def import_interface(self, interface: c.InstanceType) -> None:
        """Imports the interface's own types, functions and interfaces."""
        for decl in interface.decls:
            match decl:
                case c.OuterAlias(target=target):
                    self.here[decl] = self.here[target]
                case c.TypeDefinition() | c.CoreType():
                    self._define(decl, self.here)
                case c.ExportAlias():
                    self._alias(decl, self.here)
                case c.ExportDecl(type=ExternType(sort, of)):
                    like = None if of is None else self.here[_definition(of)]
                    name = f"{sort.value.removeprefix('core ')}-{len(self.args)}"
                    self._import(name, decl, ExternType(sort, like))

    def export_interface(self, interface: c.InstanceType) -> None:
        """Exports them again, in terms of what is exported: a name on the import side is none outside."""
        shown = dict(self.here)
        for decl in interface.decls:
            match decl:
                case c.TypeDefinition():
                    self._define(decl, shown)
                case c.ExportAlias():
                    self._alias(decl, shown)
                case c.ExportDecl(type=ExternType(Sort.CORE_MODULE)):
                    shown[decl] = c.Export(decl.extern, self.here[decl])
                    self.definitions.append(shown[decl])
                case c.ExportDecl(type=ExternType(Sort.INSTANCE, c.TypeDefinition(type=c.InstanceType() as inner))) if (
                    _defines_resources(inner)
                ):
                    ascribed = ExternType(Sort.INSTANCE, self._over_resources(inner, self.here[decl], shown))
                    shown[decl] = c.Export(decl.extern, self.here[decl], ascribed)
                    self.definitions.append(shown[decl])
                case c.ExportDecl(type=ExternType(Sort.FUNC | Sort.INSTANCE | Sort.COMPONENT as sort, of)):
                    ascribed = ExternType(sort, shown[_definition(of)])
                    shown[decl] = c.Export(decl.extern, self.here[decl], ascribed)
                    self.definitions.append(shown[decl])
                case c.ExportDecl(type=ExternType(Sort.TYPE, of)):
                    target = self.here[decl] if of is None else shown[_definition(of)]
                    shown[decl] = c.Export(decl.extern, target)
                    self.definitions.append(shown[decl])

    def _over_resources(
        self, interface: c.InstanceType, instance: Definition, names: dict[Definition, Definition]
    ) -> Definition:
        """An instance type whose resources are those of an instance; declared as they were, they would be new ones."""
        copy = Copier(self.definitions, names).copy_type(interface)
        self._equate(copy, instance)
        self.definitions.append(c.TypeDefinition(copy))
        return self.definitions[-1]

    def _equate(self, interface: c.InstanceType, instance: Definition) -> None:
        for decl in list(interface.decls):
            match decl:
                case c.ExportDecl(extern=extern, type=ExternType(Sort.TYPE, None)):
                    resource = c.ExportAlias(instance, str(extern), Sort.TYPE)
                    self.definitions.append(resource)
                    outer = c.OuterAlias(resource, 1, Sort.TYPE)
                    interface.decls.insert(interface.decls.index(decl), outer)
                    decl.type = ExternType(Sort.TYPE, outer)
                case c.ExportDecl(
                    extern=extern, type=ExternType(Sort.INSTANCE, c.TypeDefinition(type=c.InstanceType() as inner))
                ) if _defines_resources(inner):
                    within = c.ExportAlias(instance, str(extern), Sort.INSTANCE)
                    self.definitions.append(within)
                    self._equate(inner, within)

    def _alias(self, decl: c.ExportAlias, names: dict[Definition, Definition]) -> None:
        names[decl] = replace(decl, instance=names[decl.instance])
        self.definitions.append(names[decl])

    def _define(self, decl: c.TypeDefinition | c.CoreType, names: dict[Definition, Definition]) -> None:
        match decl:
            case c.TypeDefinition(type=c.InstanceType() | c.ComponentType() as nested):
                names[decl] = c.TypeDefinition(Copier(self.definitions, names).copy_type(nested))
            case c.CoreType():
                names[decl] = c.CoreType(Copier(self.definitions, names).copy_type(decl.type), decl.group)
            case c.TypeDefinition():
                names[decl] = c.TypeDefinition(with_referred(decl.type, names.__getitem__))
        self.definitions.append(names[decl])

    def _import(self, name: str, decl: Definition, declared: ExternType) -> None:
        self.here[decl] = c.Import(ExternName(name), declared)
        self.definitions.append(self.here[decl])
        self.args.append((name, self.given[decl]))


def _defines_resources(interface: c.InstanceType) -> bool:
    """Whether an instance type declares a resource, itself or in an instance inside it."""
    pending = [interface]
    while pending:
        for decl in pending.pop().decls:
            match decl:
                case c.ExportDecl(type=ExternType(Sort.TYPE, None)):
                    return True
                case c.ExportDecl(type=ExternType(Sort.INSTANCE, c.TypeDefinition(type=c.InstanceType() as inner))):
                    pending.append(inner)
    return False


def _definition(of: c.CompValType | None) -> Definition:
    assert isinstance(of, Definition)
    return of
