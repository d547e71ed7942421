"""The pass `expose-resources`: handles of resources that the program exports are those of whoever instantiates it.

Without it they live in tables inside the module, and mean nothing outside. With it the built-ins of such a resource are
imports, in the names that wit-component has for them: ``[export]iface`` ``[resource-new]r``, and the destructor is the
export ``iface#[dtor]r``. `--emit=component` runs it; `wasm-tools component new` takes the core module that it leaves.
"""

from __future__ import annotations

from meld.abi.types import Resource, function_types
from meld.ir import component as c
from meld.ir.module import Export, Function, ImportName, Module
from meld.ir.types import I32
from meld.notes.boundaries import Boundary, CanonCall, HostExport, ResourceExport, resource_of
from meld.passes.base import Pass, PassContext
from meld.rewriting.edge import fresh_name


class ExposeResources(Pass):
    """Let who instantiates the module keep the handles of the resources that it exports.

    Only of those that an exported function takes or returns; the others stay inside.
    """

    name = "expose-resources"
    requires = frozenset({"merged"})
    establishes = frozenset({"exposed-resources"})
    before = ("handle-tables", "adapter-wiring")

    def run(self, module: Module, cx: PassContext) -> None:
        if "handle-tables" in module.facts:
            cx.remark("handle-tables has run: the handles of all resources are inside the module already")
            return
        mentioned = {
            t.resource
            for export in module.notes_of(HostExport)
            for t in function_types(export.type)
            if isinstance(t, c.Own | c.Borrow)
        }
        for export in module.notes_of(ResourceExport):
            if export.resource in mentioned and cx.asks("expose", export.resource):
                self._expose(module, export)
                cx.stats["exposed resources"] += 1

    def _expose(self, module: Module, export: ResourceExport) -> None:
        resource: Resource = export.resource
        resource.module, resource.label = f"[export]{export.module}", export.label
        builtins = {}
        for item in module.imports:
            for n in item.notes:
                if isinstance(n, CanonCall) and resource_of(n) is resource:
                    item.imported = _name(resource, n.builtin)
                    builtins[n.builtin] = item
        if "resource.rep" not in builtins and _lent_to_owner(module, resource):
            module.add(_rep(module, resource))
        if resource.dtor is not None:
            name = fresh_name(module, resource.dtor, f"{export.module}#[dtor]{export.label}")
            module.exports.append(Export(name, resource.dtor))


def _name(resource: Resource, builtin: str) -> ImportName:
    return ImportName(resource.module or "", f"[{builtin.replace('.', '-')}]{resource.label}")


def _lent_to_owner(module: Module, resource: Resource) -> bool:
    """Whether an instance lends the resource to the one that defines it, which gets the representation."""
    return any(
        isinstance(n, Boundary) and n.callee is resource.owner and c.Borrow(resource) in function_types(n.type)  # type: ignore[arg-type]
        for item in module.imports
        for n in item.notes
    )


def _rep(module: Module, resource: Resource) -> Function:
    """An import that gives the representation for a handle; the owner itself has none."""
    return Function(
        module.func_type((I32,), (I32,)),
        name=f"{resource.owner.name}/[resource-rep]{resource.label}",
        imported=_name(resource, "resource.rep"),
        owner=resource.owner,
        notes=[CanonCall("resource.rep", resource.owner, c.Own(resource))],  # type: ignore[arg-type]
    )
