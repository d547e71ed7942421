"""An interface that a wrapped module exports: a nested component that gives lifted functions their types and names.

A component may export only types that have names, and an instance made of bare functions gives none. So a component
stands between: it imports the functions, and the types they need, and exports them as the interface declares them.
wit-component does the same.
"""

from __future__ import annotations

from dataclasses import field

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
                case c.TypeDefinition():
                    self._define(decl, self.here)
                case c.ExportDecl(type=ExternType(sort, of)):
                    like = None if of is None else self.here[_definition(of)]
                    self._import(f"{sort.value}-{len(self.args)}", decl, ExternType(sort, like))

    def export_interface(self, interface: c.InstanceType) -> None:
        """Exports them again, in terms of what is exported: a name on the import side is none outside."""
        shown = dict(self.here)
        for decl in interface.decls:
            match decl:
                case c.TypeDefinition():
                    self._define(decl, shown)
                case c.ExportDecl(type=ExternType(Sort.FUNC | Sort.INSTANCE as sort, of)):
                    ascribed = ExternType(sort, shown[_definition(of)])
                    shown[decl] = c.Export(decl.extern, self.here[decl], ascribed)
                    self.definitions.append(shown[decl])
                case c.ExportDecl(type=ExternType(Sort.TYPE, of)):
                    target = self.here[decl] if of is None else shown[_definition(of)]
                    shown[decl] = c.Export(decl.extern, target)
                    self.definitions.append(shown[decl])

    def _define(self, decl: c.TypeDefinition, names: dict[Definition, Definition]) -> None:
        if isinstance(decl.type, c.InstanceType):
            names[decl] = c.TypeDefinition(Copier(self.definitions, names).copy_type(decl.type))
        else:
            names[decl] = c.TypeDefinition(with_referred(decl.type, names.__getitem__))
        self.definitions.append(names[decl])

    def _import(self, name: str, decl: Definition, declared: ExternType) -> None:
        self.here[decl] = c.Import(ExternName(name), declared)
        self.definitions.append(self.here[decl])
        self.args.append((name, self.given[decl]))


def _definition(of: c.CompValType | None) -> Definition:
    assert isinstance(of, Definition)
    return of
