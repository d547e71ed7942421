"""What the host needs of a module to serve its imports and call its exports: canonical options, by export names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meld.abi.options import Options
from meld.abi.types import function_types
from meld.ir import component as c
from meld.ir.component import ExportDecl, Sort
from meld.ir.module import CoreItem, Export, Module
from meld.ir.notes import Note
from meld.notes.boundaries import HostCall, HostExport, resource_of
from meld.rewriting.world import SECTION, TOOL_SECTION, read_world, world_section

CORE_OPTIONS = ("memory", "realloc", "post_return", "callback")
"""The options that are core items."""


def option_items(options: Options) -> Iterator[CoreItem]:
    """The core items among some options."""
    for key in CORE_OPTIONS:
        item = getattr(options, key)
        if item is not None:
            yield item


def host_options(module: Module) -> list[Options]:
    """The options of all calls of the host and of all exports to it, exports first."""
    calls = [n.lower for item in module.imports for n in item.notes if isinstance(n, HostCall)]
    return [*(n.lift for n in module.notes_of(HostExport)), *calls]


def export_options(module: Module) -> None:
    """Exports each memory and `realloc` of `host_options`, and names the world's section by whether one is enough.

    The first goes under the name that `wasm-tools component new` expects, others under a name of their own.
    """
    have = {export.item for export in module.exports}
    for options in host_options(module):
        for item, name in ((options.memory, "memory"), (options.realloc, "cabi_realloc")):
            if item is not None and item not in have:
                module.exports.append(Export(fresh_name(module, item, name), item))
                have.add(item)
    section = world_section(module)
    if section is not None:
        exports = [decl for decl in read_world(section).decls if isinstance(decl, ExportDecl)]
        plain = all(decl.sort in (Sort.FUNC, Sort.INSTANCE) for decl in exports)
        section.name = TOOL_SECTION if plain and fits_tools(module) else SECTION


def fresh_name(module: Module, item: CoreItem, name: str) -> str:
    """A name for an export: the one that is wished, or else qualified by the instance that the item belongs to."""
    taken = {export.name for export in module.exports}
    owner = (item.owner.name if item.owner is not None else None) or "meld"
    found, n = name, 1
    while found in taken:
        found = f"{owner}/{name}" if n == 1 else f"{owner}/{name}#{n}"
        n += 1
    return found


def is_host_call(n: Note) -> bool:
    """Whether what an import stands for can be made where the module is instantiated."""
    resource = resource_of(n)
    return isinstance(n, HostCall) or (resource is not None and not resource.is_inside)


def edge_problem(export: HostExport) -> str | None:
    """Why a function cannot be lifted outside the module for the handles in its type; None if it can."""
    for t in function_types(export.type):
        if not isinstance(t, c.Own | c.Borrow):
            continue
        resource: Any = t.resource
        if resource.is_inside:
            return f"handles of `{resource.label}` live inside the module (expose-resources has not run in time)"
        if isinstance(t, c.Borrow) and resource.owner not in (None, export.instance):
            return f"it borrows the resource `{resource.label}`, which another component of the program defines"
    return None


def fits_tools(module: Module) -> bool:
    """Whether `wasm-tools component new` makes the right component of a module.

    It lifts and lowers everything with UTF-8, the memory `memory` and the function `cabi_realloc`; so nothing may need
    another one. Imports have to be functions of the host, exports have to have the names that they have in the world.
    """
    exported = {export.name: export.item for export in module.exports}
    return (
        all(
            options.encoding == "utf8"
            and not options.is_async
            and options.memory in (None, exported.get("memory"))
            and options.realloc in (None, exported.get("cabi_realloc"))
            for options in host_options(module)
        )
        and all(any(is_host_call(n) for n in item.notes) for item in module.imports)
        and all(edge_problem(n) is None for n in module.notes_of(HostExport))
        and all(
            exported.get(n.label) is n.target and n.lift.post_return in (None, exported.get(f"cabi_post_{n.label}"))
            for n in module.notes_of(HostExport)
        )
    )
