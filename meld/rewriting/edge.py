"""Canonical options by export names: the host needs them to serve the imports of a module and call its exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from meld.abi.options import Options
from meld.abi.types import function_types
from meld.ir import component as c
from meld.ir.component import ExportDecl, Sort
from meld.ir.module import CoreItem, Export, Function, ImportName, Module
from meld.ir.notes import Note
from meld.notes.boundaries import CanonCall, HostBuiltin, HostCall, HostExport, OuterCall
from meld.rewriting.world import read_world, world_note, write_section

TRAPPED = "meld:trapped"
"""The export by which a host says that it trapped; no component exports a name with a single colon and no slash."""

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
    calls = [n.lower for _, n in module.noted(HostCall)]
    return [*(n.lift for n in module.notes_of(HostExport)), *calls]


def export_options(module: Module) -> None:
    """Exports each memory and `realloc` of `host_options`, and writes the section that holds the world.

    The first goes under the name that `wasm-tools component new` expects, others under a name of their own; whether one
    of each is enough decides how the section is called.
    """
    have = {export.item for export in module.exports}
    for options in host_options(module):
        for item, name in ((options.memory, "memory"), (options.realloc, "cabi_realloc")):
            if item is not None and item not in have:
                module.exports.append(Export(fresh_name(module, item, name), item))
                have.add(item)
    world = world_note(module)
    if world is not None:
        exports = [decl for decl in read_world(world).decls if isinstance(decl, ExportDecl)]
        plain = all(decl.sort in (Sort.FUNC, Sort.INSTANCE) for decl in exports)
        write_section(module, tools=plain and fits_tools(module))


def fresh_name(module: Module, item: CoreItem, name: str) -> str:
    """A name for an export: the one that is wished, or else qualified by the instance that the item belongs to."""
    taken = {export.name for export in module.exports}
    owner = (item.owner.name if item.owner is not None else None) or "meld"
    found, n = name, 1
    while found in taken:
        found = f"{owner}/{name}" if n == 1 else f"{owner}/{name}#{n}"
        n += 1
    return found


PLAIN = {"memory": "memory", "realloc": "cabi_realloc"}
"""Options of a call by their conventional export names: what a host that goes by names believes."""


def names_apart(module: Module) -> dict[Function, str]:
    """New names for imports of one name that stand for a function of the host lowered in different ways.

    The one that goes by the conventional names keeps its name: `PLAIN`, UTF-8. Others are qualified by their instance,
    so that a host that goes by names alone refuses the module, and does not read the wrong memory.
    """
    names: dict[ImportName, dict[Options, list[Function]]] = {}
    for item, n in module.noted(HostCall):
        if isinstance(item, Function) and item.imported is not None:
            names.setdefault(item.imported, {}).setdefault(n.lower, []).append(item)
    exported = {export.name: export.item for export in module.exports}
    taken = {item.imported for item in module.imports}
    found: dict[Function, str] = {}
    for name, by_options in names.items():
        for options, items in by_options.items() if len(by_options) > 1 else ():
            if not _is_plain(options, exported):
                new = _fresh_field(name, items[0], taken)
                taken.add(ImportName(name.module, new))
                found |= dict.fromkeys(items, new)
    return found


def _is_plain(options: Options, exported: Mapping[str, CoreItem]) -> bool:
    by_name = all(getattr(options, key) in (None, exported.get(name)) for key, name in PLAIN.items())
    return by_name and options.encoding == "utf8" and not options.is_async


def _fresh_field(name: ImportName, item: Function, taken: set[ImportName | None]) -> str:
    call = item.note(HostCall)
    assert call is not None
    field, n = f"{call.instance.name}/{name.field}", 1
    while ImportName(name.module, field) in taken:
        n += 1
        field = f"{call.instance.name}/{name.field}#{n}"
    return field


def host_name(imported: ImportName, n: Note) -> ImportName:
    """The name by which the host knows what an import stands for: another one if several were told apart."""
    return ImportName(imported.module, n.label) if isinstance(n, HostCall) else imported


def is_host_call(n: Note) -> bool:
    """Whether what an import stands for can be made where the module is instantiated."""
    own = isinstance(n, CanonCall) and n.builtin == "task.return"
    return own or isinstance(n, HostCall | OuterCall | HostBuiltin)


def edge_problem(export: HostExport) -> str | None:
    """Why a function cannot be lifted outside the module for the handles in its type; None if it can."""
    for t in function_types(export.type):
        if not isinstance(t, c.Own | c.Borrow):
            continue
        resource: Any = t.resource
        if not resource.is_outer:
            return f"handles of `{resource.label}` live inside the module (expose-resources has not run in time)"
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
            and options.memory in (None, exported.get("memory"))
            and options.realloc in (None, exported.get("cabi_realloc"))
            for options in host_options(module)
        )
        and all(any(is_host_call(n) for n in item.notes) for item in module.imports)
        and all(edge_problem(n) is None for n in module.notes_of(HostExport))
        and all(
            exported.get(f"[async-lift]{n.label}" if n.lift.is_async else n.label) is n.target
            and n.lift.post_return in (None, exported.get(f"cabi_post_{n.label}"))
            for n in module.notes_of(HostExport)
        )
    )
