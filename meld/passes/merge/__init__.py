"""The pass `merge`: the instance graph of a composition, flattened into one core module.

Instantiation as abstract interpretation: the component is evaluated as the engine does it at instantiation, but with
symbolic values. Each core instance is spliced into the fused module once; every core import is bound to the very item
it would get. What is left as an import is a call into another component (`Boundary`), a canonical built-in
(`CanonCall`) or the host.

Source: Component Model, Explainer.md (instantiation); the idea from how engines compile components.
"""

from __future__ import annotations

from dataclasses import field

from meld.abi.types import Resource
from meld.diagnostics import MeldError
from meld.ir.component import Component, ComponentInstance
from meld.ir.module import CoreItem, Export, Function, Global, ImportName, Memory, Module, Table, Tag
from meld.notes.boundaries import ROOT_MODULE, HostExport, HostReexport, ResourceExport
from meld.notes.linking import Link, Partner
from meld.notes.world import ModuleExport, NoWorld, World
from meld.passes.base import Pass, PassContext
from meld.passes.merge.bare_modules import is_reserved
from meld.passes.merge.budget import Budget, Kind
from meld.passes.merge.customs import carry_customs
from meld.passes.merge.evaluate import Evaluator
from meld.passes.merge.host_modules import check_late
from meld.passes.merge.kept import left_out
from meld.passes.merge.start import Instantiation, order_start
from meld.passes.merge.values import (
    HostComponent,
    HostFunction,
    InstanceValue,
    LiftedFunction,
    ModuleValue,
    TypeValue,
)
from meld.passes.merge.world import MAX_DEPTH, world_of
from meld.rewriting.constants import fold
from meld.rewriting.outer import close_edges
from meld.rewriting.references import declare
from meld.rewriting.world import write_world
from meld.support.records import record
from meld.validity.components import check


class Merge(Pass):
    """Flatten the instance graph into one core module.

    Wiring comes from the graph: instances, `with` arguments, aliases and canonical definitions, never from names. The
    items of a core module become those of its first instance, and are copied for others. A core module that imports
    `pulseengine:async` and that nothing instantiates is instantiated once, if its component declares built-ins of
    streams or futures. It gets the functions of `pulseengine:async` and nothing else; its exports are the host's.

        (component $app
          (core func $f (canon lower (func $lib "f")))
          (core module $m (import "" "f" (func $f)) (func $run (call $f)))
          (core instance (instantiate $m (with "" (instance (export "f" …))))))
    becomes
        (import "meld:boundary" "app->lib/f" (func $app/lib/f
          (@meld.boundary (caller $app) (callee $lib) (target $lib/f) …)))
        (func $app/run (call $app/lib/f))
    """

    name = "merge"
    reads = Component
    writes = Module
    requires = frozenset({"linked"})
    establishes = frozenset({"merged"})

    def run(self, program: Component, cx: PassContext) -> Module:
        check(program)
        module = Module(name=program.name or None, where=program.where)
        evaluator = Evaluator(module, cx)
        exports = evaluator.evaluate_root(program)
        evaluator.instantiate_bare_modules()
        evaluator.drop_unbound()
        check_late(module, evaluator.events)
        module.notes += evaluator.instances
        module.notes += evaluator.resources
        module.notes += evaluator.stream_uses
        _carry_links(program, evaluator, module)
        exporter = _Exporter(module, cx, evaluator.budget)
        hidden = left_out(program)
        exporter.export(exports, "", hidden=hidden)
        for bare, owner in evaluator.bare_exports:
            for name, item in bare.items():
                exporter.add_bare(name, item, owner.name or "")
        exporter.export_modules()
        world = _world(program, evaluator, hidden, cx)
        evaluator.settle()
        close_edges(module)
        fold(module)
        order_start(module, evaluator.events)
        declare(module, _exported(evaluator))
        carry_customs(evaluator.modules_used, evaluator.customs, module, cx)
        module.notes.append(world)
        cx.stats["core instances"] = sum(isinstance(event, Instantiation) for event in evaluator.events)
        return module


def _world(program: Component, evaluator: Evaluator, hidden: frozenset[str], cx: PassContext) -> World | NoWorld:
    """What the program imports and exports; modules are still as they were."""
    try:
        return write_world(world_of(program, evaluator.root, hidden))
    except MeldError as e:
        cx.remark(f"the program cannot be wrapped as a component again: {e.message}")
        return NoWorld(e.message)


def _carry_links(program: Component, evaluator: Evaluator, module: Module) -> None:
    for definition in program.of(ComponentInstance):
        for partner in definition.notes:
            if isinstance(partner, Partner):
                importer, exporter = evaluator.instance_of[definition], evaluator.instance_of[partner.to]
                module.notes.append(Link(importer, exporter, partner.label))


def _exported(evaluator: Evaluator) -> list[Function]:
    """What core instances export: an export is lost with its instance, and it may be what declares the function."""
    made = [event.spliced for event in evaluator.events if isinstance(event, Instantiation)]
    exported = dict.fromkeys(item for spliced in made for item in spliced.exports.values())
    return [item for item in exported if isinstance(item, Function)]


@record()
class _Exporter:
    """Gives the root's exports their names in the core module: ``run``, ``iface#func``."""

    module: Module
    cx: PassContext
    budget: Budget
    resources: set[Resource] = field(default_factory=set)
    taken: dict[str, CoreItem] = field(default_factory=dict)
    without_form: set[str] = field(default_factory=set)  # names of exports that have no core form
    modules: dict[int, tuple[Module, list[str]]] = field(default_factory=dict)  # by id: exported ones, and their names

    def export(self, value: InstanceValue, prefix: str, depth: int = 0, hidden: frozenset[str] = frozenset()) -> None:
        """Exports what an instance exports, but for `hidden` names."""
        self.budget.spend(Kind.HOST, len(value.exports))
        if depth > MAX_DEPTH:
            raise MeldError(f"the program exports instances nested more than {MAX_DEPTH} deep")
        for name, item in value.exports.items():
            if name in hidden:
                continue
            full = f"{prefix}{name}"
            self.budget.spend(Kind.BYTES, len(full))
            match item:
                case LiftedFunction():
                    self.add(full, item.target, item.instance.name or "")
                    self.module.notes.append(HostExport(full, item.instance, item.target, item.type, item.options))
                    if item.options.post_return:
                        self.add(f"cabi_post_{full}", item.options.post_return, item.instance.name or "")
                case HostFunction():
                    self._reexport(full, ImportName(item.module, item.field))
                case ModuleValue(module=None, place=ImportName() as found) | HostComponent(place=found):
                    self._reexport(full, found)
                case ModuleValue(module=Module() as module):
                    self.modules.setdefault(id(module), (module, []))[1].append(full)
                    self.cx.remark(f"export `{full}` is a core module: only a component (--emit=component) keeps it")
                case InstanceValue():
                    self.export(item, f"{full}#", depth + 1)
                case TypeValue(type=Resource() as resource) if resource.owner is not None:
                    if resource not in self.resources:
                        self.resources.add(resource)
                        place = prefix.removesuffix("#") or ROOT_MODULE
                        self.module.notes.append(ResourceExport(resource, place, name))
                case _:
                    pass  # types and components have no core form

    def _reexport(self, label: str, place: ImportName) -> None:
        self.module.notes.append(HostReexport(label, place.module, place.field))
        self.without_form.add(label)
        origin = f"an import of the host ({place.module} {place.field})"
        self.cx.remark(f"export `{label}` is {origin}: only a component (--emit=component) keeps it")

    def export_modules(self) -> None:
        """Notes the core modules that are exported, as they are before they become part of this one."""
        from meld.binary.writer import write_module

        for module, labels in self.modules.values():
            self.module.notes.append(ModuleExport(tuple(labels), write_module(module)))

    def add_bare(self, name: str, item: CoreItem, owner: str) -> None:
        """Exports an item of a bare core module, under no name that stands for something of the program."""
        if is_reserved(name) or name in self.without_form:
            self.cx.remark(
                f"export `{name}` of `{owner}`, of a core module that is not instantiated, is `{owner}/{name}`"
            )
            name = f"{owner}/{name}"
        self.add(name, item, owner)

    def add(self, name: str, item: Function | Table | Memory | Global | Tag, owner: str) -> None:
        """Exports an item under its name, or qualified by its instance where that is taken by another item."""
        taken = self.taken
        if taken.get(name) is item:
            return
        final = name
        if name in taken:
            final = f"{owner}/{name}"
            n = 1
            while final in taken:
                n += 1
                final = f"{owner}/{name}#{n}"
            self.cx.remark(f"export `{name}` of `{owner}` collides with an earlier one; it is `{final}`")
        taken[final] = item
        self.module.exports.append(Export(final, item))
