"""Instances of core modules that the host provides, in front of the instance of the fused module and behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from meld.ir import component as c
from meld.ir.component import Definition
from meld.ir.module import CoreItem, Export, Global, ImportName, Module
from meld.notes.host_modules import KINDS, MODULE, Given, HostModule, HostModuleExport
from meld.passes.wrap.helpers import CORE_SORTS
from meld.support.records import record


@record()
class HostModules:
    """Instantiates the core modules of the host.

    Attributes:
        module: the fused module.
        into: where the instances go.
        find: the core module that the host provides under a name.
        core: an item of the fused module, when that is instantiated.
    """

    module: Module
    into: list[Definition]
    find: Callable[[ImportName], Definition]
    core: Callable[[CoreItem], Definition]
    _made: dict[HostModule, Definition] = field(default_factory=dict)
    _aliases: dict[tuple[HostModule, str], Definition] = field(default_factory=dict)
    _constants: dict[CoreItem, Definition] = field(default_factory=dict)

    @property
    def late(self) -> list[HostModule]:
        """Those that are made behind the fused module, in their order."""
        return [n for n in self.module.notes_of(HostModule) if n.late]

    def before(self) -> tuple[dict[CoreItem, Definition], list[tuple[str, Definition]]]:
        """Instantiates those that are made in front of the fused module.

        Returns:
            What the imports of the module that they give are in the component, and the module's argument with those.
        """
        early = [n for n in self.module.notes_of(HostModule) if not n.late]
        self._hold_constants([one for n in early for one in n.given if one.instance is None])
        for note in early:
            self.instantiate(note)
        given: dict[CoreItem, Definition] = {}
        for item, n in self.module.noted(HostModuleExport):
            if not n.instance.late:
                given[item] = self.export(n.instance, n.label, CORE_SORTS[type(item)])
        if not given:
            return {}, []
        exports = [(item.imported.field, alias) for item, alias in given.items() if item.imported]
        self.into.append(c.CoreInlineInstance(exports))
        return given, [(MODULE, self.into[-1])]

    def instantiate(self, note: HostModule) -> None:
        """Makes an instance, with what it is given."""
        args: dict[str, list[tuple[str, Definition]]] = {}
        of = self.find(ImportName(note.module, note.field))
        for one in note.given:
            args.setdefault(one.module, []).append((one.name, self._given(one)))
        inline: list[tuple[str, Definition]] = [(name, c.CoreInlineInstance(given)) for name, given in args.items()]
        self._made[note] = c.CoreInstance(of, inline)
        self.into += [*(instance for _, instance in inline), self._made[note]]

    def export(self, note: HostModule, label: str, sort: c.Sort) -> Definition:
        """What an instance exports."""
        if (note, label) not in self._aliases:
            self._aliases[note, label] = c.CoreExportAlias(self._made[note], label, sort)
            self.into.append(self._aliases[note, label])
        return self._aliases[note, label]

    def item(self, label: str) -> CoreItem:
        """What the fused module exports."""
        return next(export.item for export in self.module.exports if export.name == label)

    def _given(self, one: Given) -> Definition:
        if one.instance is not None:
            return self.export(one.instance, one.label, CORE_SORTS[KINDS[one.kind]])
        item = self.item(one.label)
        return self._constants[item] if item in self._constants else self.core(item)

    def _hold_constants(self, given: list[Given]) -> None:
        """Instantiates a module with the constants that instances in front are given."""
        items = dict.fromkeys(self.item(one.label) for one in given)
        if not items:
            return
        module = Module(name="constants")
        for number, item in enumerate(items):
            assert isinstance(item, Global) and item.init is not None
            copy = Global(item.type, init=list(item.init))
            module.globals.append(copy)
            module.exports.append(Export(str(number), copy))
        core = c.CoreModule(module, name="constants")
        instance = c.CoreInstance(core, name="constants")
        self.into += [core, instance]
        for number, item in enumerate(items):
            self._constants[item] = c.CoreExportAlias(instance, str(number), c.Sort.CORE_GLOBAL)
            self.into.append(self._constants[item])
