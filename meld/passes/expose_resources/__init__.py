"""The pass `expose-resources`: the host gets handles of the resources that the module exports.

Without it their handles are indices of one instance's table, and meaningless outside. With it an own handle that
leaves the module becomes one of the outside's, and back, in an edge of each exported function (`meld.rewriting.outer`).
What that needs are imports, in the names that wit-component has for them, and the destructor is an export:

    (import "[export]shop" "[resource-new]item" (func $give (param i32) (result i32)))
    (export "shop#[dtor]item" (func $dtor.exposed))

`--emit=component` runs it; `wasm-tools component new` takes the core module that it leaves.
"""

from __future__ import annotations

from meld.abi.types import Resource, function_types
from meld.ir import component as c
from meld.ir.instructions import Instruction
from meld.ir.module import CoreItem, Export, Global, Module
from meld.ir.types import I32
from meld.notes.boundaries import HostExport, ResourceExport
from meld.notes.handles import Exposed
from meld.passes.base import Pass, PassContext
from meld.rewriting.edge import fresh_name
from meld.rewriting.link import link
from meld.rewriting.outer import close_export, outer_call

KIND = "handle-table"


class ExposeResources(Pass):
    """Give the host handles of the resources that the module exports.

    Only resources that an exported function takes or returns are exposed; the others stay inside.

        (@meld.export "open" (target $open) (type (result (own $file))))
    becomes
        (@meld.export "open" (target $open.lifted) …)
        (import "[export]$root" "[resource-new]file" (func …))
        (import "meld:boundary" "->open" (func $open.lifted
          (@meld.edge $app (way in) (target $open) …) (result i32)))
        (export "$root#[dtor]file" (func …))      ;; if it has a destructor
    """

    name = "expose-resources"
    requires = frozenset({"merged"})
    establishes = frozenset({"exposed-resources"})
    before = ("plan-tasks", "handle-tables", "adapter-wiring")

    def run(self, module: Module, cx: PassContext) -> None:
        if "handle-tables" in module.facts:
            cx.remark("handle-tables has run: the handles of all resources are inside the module already")
            return
        mentioned: set[object] = {
            t.resource
            for export in module.notes_of(HostExport)
            for t in function_types(export.type)
            if isinstance(t, c.Own | c.Borrow)
        }
        for export in module.notes_of(ResourceExport):
            if export.resource in mentioned and cx.allows("expose", export.resource):
                _expose(module, export)
                cx.stats["exposed resources"] += 1
        if cx.stats["exposed resources"]:
            for exported in module.notes_of(HostExport):
                close_export(module, exported)


def _expose(module: Module, export: ResourceExport) -> None:
    resource: Resource = export.resource
    resource.module, resource.label = f"[export]{export.module}", export.label
    taking = Global(I32, True, [Instruction("i32.const", (0,))], name=f"{export.label}.taking", synthetic=KIND)
    module.add(taking)
    imports = {name: outer_call(module, f"resource.{name}", resource) for name in ("new", "rep", "drop")}
    given: dict[str, CoreItem] = {"rep": imports["rep"], "drop": imports["drop"], "taking": taking}
    take = link(module, __package__, "take.wat", given=given, kind=KIND, prefix=export.label)["take"]
    module.notes.append(Exposed(resource, give=imports["new"], take=take))
    if resource.dtor is not None:
        given = {"dtor": resource.dtor, "taking": taking}
        export.drop = link(module, __package__, "dtor.wat", given=given, kind=KIND, prefix=export.label)["dtor"]
        name = fresh_name(module, export.drop, f"{export.module}#[dtor]{export.label}")
        module.exports.append(Export(name, export.drop))
