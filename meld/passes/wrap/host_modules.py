"""Instances of core modules that the host provides, in front of the instance of the fused module."""

from __future__ import annotations

from collections.abc import Callable

from meld.ir import component as c
from meld.ir.component import Definition
from meld.ir.module import CoreItem, ImportName, Module
from meld.notes.host_modules import KINDS, MODULE, HostModule, HostModuleExport
from meld.passes.wrap.helpers import CORE_SORTS


def instantiate(
    module: Module, into: list[Definition], find: Callable[[ImportName], Definition]
) -> tuple[dict[CoreItem, Definition], list[tuple[str, Definition]]]:
    """Instantiates the core modules of the host.

    Args:
        module: the fused module.
        into: where the instances go.
        find: the core module that the host provides under a name.

    Returns:
        What the imports of the module that they give are in the component, and the module's argument with those.
    """
    made: dict[HostModule, Definition] = {}
    for note in module.notes_of(HostModule):
        args: dict[str, list[tuple[str, Definition]]] = {}
        of = find(ImportName(note.module, note.field))
        for one in note.given:
            alias = c.CoreExportAlias(made[one.instance], one.label, CORE_SORTS[KINDS[one.kind]])
            into.append(alias)
            args.setdefault(one.module, []).append((one.name, alias))
        inline: list[tuple[str, Definition]] = [(name, c.CoreInlineInstance(given)) for name, given in args.items()]
        made[note] = c.CoreInstance(of, inline)
        into += [*(instance for _, instance in inline), made[note]]
    given: dict[CoreItem, Definition] = {}
    for item, n in module.noted(HostModuleExport):
        given[item] = c.CoreExportAlias(made[n.instance], n.label, CORE_SORTS[type(item)])
        into.append(given[item])
    if not given:
        return {}, []
    exports = [(item.imported.field, alias) for item, alias in given.items() if item.imported]
    into.append(c.CoreInlineInstance(exports))
    return given, [(MODULE, into[-1])]
