"""Bare modules: core modules that import `pulseengine:async`, and that nothing in their component instantiates.

Such a module is instantiated for the component that holds it. What it imports becomes an import of the fused module.
A guest numbers its own memories, the host those of the module, so each instance calls an intrinsic with an argument
`mem` through a shim that maps the one to the other. The merged number is an `IndexOf`: it is fixed when the module is
encoded, so no pass can make it wrong. A number that is none of the guest's memories becomes −1, which the host refuses.
"""

from __future__ import annotations

from dataclasses import field, replace

from meld.abi.intrinsics import INTRINSICS, MODULE, Intrinsic
from meld.diagnostics import MeldError
from meld.ir.component import CoreModule
from meld.ir.describe import signature
from meld.ir.instructions import Code, IndexOf
from meld.ir.module import CoreItem, Function, Memory, Module
from meld.ir.notes import Instance
from meld.notes.streams import IntrinsicEntry
from meld.rewriting.labels import code
from meld.rewriting.splice import Spliced
from meld.support.records import record

KIND = "adapter-shim"


RESERVED = ("memory", "_initialize", "_start")
RESERVED_STARTS = ("cabi_", "canonical_abi_", "cm32p2", "meld", "[", "__")
"""Export names that hosts and tools act on, or that stand for an item of the program."""


def is_reserved(name: str) -> bool:
    """Whether no export of a bare core module may be called `name`, since hosts give it a meaning."""
    return name in RESERVED or name.startswith(RESERVED_STARTS)


def intrinsic_of(item: CoreItem) -> Intrinsic | None:
    """The intrinsic that an import names."""
    assert item.imported is not None
    if not isinstance(item, Function) or item.imported.module != MODULE:
        return None
    return INTRINSICS.get(item.imported.field)


def check_imports(definition: CoreModule, where: str) -> None:
    """Refuses a bare core module that wants anything but intrinsics, each of its type. Raises MeldError."""
    name = definition.name or definition.module.name
    who = f"the core module `{name}`" if name else "a core module"
    for wanted in definition.module.imports:
        intrinsic = intrinsic_of(wanted)
        if intrinsic is None:
            raise MeldError(
                f"{who}, which is not instantiated, imports {wanted.imported}; such a module gets the functions of "
                f"{MODULE} and nothing else",
                where=where,
                hint="instantiate it in the component, with what it imports",
            )
        assert isinstance(wanted, Function)
        if wanted.signature != intrinsic.type:
            wants, has = signature(wanted.signature), signature(intrinsic.type)
            raise MeldError(f"{who} imports {wanted.imported} as {wants}, and it is {has}", where=where)


def memory_shim(host: CoreItem) -> Function:
    """The shim in front of a host intrinsic, still without a body."""
    assert isinstance(host, Function)
    return Function(host.type, Code(), name=f"{host.name}.mem", synthetic=KIND)


def fill_memory_shim(shim: Function, host: CoreItem, intrinsic: Intrinsic, memories: list[Memory]) -> None:
    """Gives the shim its body; `memories` are the guest's, in the guest's order."""
    mapped = code("i32.const -1")
    for number, memory in enumerate(memories):
        mapped = code(
            "i32.const $index  $mapped  local.get $mem  i32.const $number  i32.eq  select",
            **{"index": IndexOf(memory), "mapped": mapped, "mem": intrinsic.mem, "number": number},
        )
    params = range(len(shim.signature.params))
    arguments = " ".join("$mapped" if i == intrinsic.mem else f"local.get {i}" for i in params)
    shim.body = Code([], code(f"{arguments} call $host", mapped=mapped, host=host))


@record()
class BareModule:
    """A bare module that is being instantiated.

    Attributes:
        host: what its imports become.
        shims: for an import that takes the number of a memory, the function that maps it, in front of the host's.
        called: the intrinsics that it imports.
    """

    source: Module
    instance: Instance
    host: dict[CoreItem, CoreItem] = field(default_factory=dict)
    shims: dict[CoreItem, Function] = field(default_factory=dict)
    called: dict[CoreItem, Intrinsic] = field(default_factory=dict)

    def imports(self, module: Module) -> dict[CoreItem, CoreItem]:
        """A binding for each import of the source, added to the fused module."""
        memories = self.source.space("memories")
        for wanted in self.source.imports:
            self.host[wanted] = entry = _host_item(wanted, self.instance)
            module.add(entry)
            intrinsic = intrinsic_of(wanted)
            if intrinsic is None:
                continue
            self.called[wanted] = intrinsic
            if intrinsic.mem is not None and memories:
                self.shims[wanted] = memory_shim(entry)
                module.add(self.shims[wanted])
        return self.host | self.shims

    def settle(self, spliced: Spliced) -> None:
        """Notes the entries, and gives the shims their bodies, now that the memories of the instance are there."""
        memories = [spliced.new.get(memory, memory) for memory in self.source.space("memories")]
        first = memories[0] if memories else None
        for wanted, intrinsic in self.called.items():
            entry = self.shims.get(wanted, self.host[wanted])
            entry.notes.append(IntrinsicEntry(intrinsic.name, self.instance, first, len(memories)))
        for wanted, shim in self.shims.items():
            fill_memory_shim(shim, self.host[wanted], self.called[wanted], memories)


def _host_item(wanted: CoreItem, instance: Instance) -> CoreItem:
    """A copy of a core module's import as an import of the fused module."""
    assert wanted.imported is not None
    name = f"{instance.name}/{wanted.name or wanted.imported.field}"
    return replace(wanted, name=name, owner=instance, notes=list(wanted.notes))
