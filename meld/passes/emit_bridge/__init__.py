"""The pass `emit-bridge`: a bridge for each cluster of linked instances, and the shims of its instances.

What the shims do stands in emit_bridge.wat; this file lays out the memory and splices the templates.
Source: specs/stream-contract.md.
"""

from __future__ import annotations

import math
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.module import CoreItem, Function, Memory, Module
from meld.ir.notes import Instance
from meld.ir.types import Limits
from meld.notes.streams import Bridge, Carried, Domain, IntrinsicEntry, Shim, keep_on_host
from meld.passes.base import Pass, PassContext, option
from meld.rewriting.splice import splice
from meld.rewriting.state import State
from meld.rewriting.template import template
from meld.support.records import record

KIND = "stream-bridge"
PAGE = 1 << 16
RINGS = 1 << 16
"""Offset of the first ring; headers are below."""
MAX_SLOTS = RINGS // 16


HEADER = 16
"""Bytes of a slot's header."""


@record(frozen=True)
class Layout:
    """The region of one bridge in the state memory, from `base` on.

    First come `slots` headers of streams, from `RINGS` on one ring of `ring` bytes each. If there are futures (`value`,
    the bytes of room for the value of one, is not 0), their headers follow, then their values.
    """

    slots: int
    ring: int
    value: int = 0
    base: int = 0

    @property
    def rings(self) -> int:
        """Address of the first ring."""
        return self.base + RINGS

    @property
    def slot_bits(self) -> int:
        """Bits of a handle that hold the slot."""
        return max(1, (self.slots - 1).bit_length())

    @property
    def futures(self) -> int:
        """Address of the first header of a future."""
        return -(-(self.rings + self.slots * self.ring) // HEADER) * HEADER

    @property
    def values(self) -> int:
        """Address of the first value of a future."""
        return self.futures + (HEADER << self.slot_bits)

    @property
    def pages(self) -> int:
        """Where the region ends, in pages of 64 KiB from address 0 on."""
        end = self.values + self.slots * self.value if self.value else self.rings + self.slots * self.ring
        return -(-end // PAGE)

    def params(self, kind: str = "stream") -> dict[str, Any]:
        """The parameters of a template that the layout decides; `kind` is ``stream`` or ``future``."""
        headers, tag = (self.base, 0x80000000) if kind == "stream" else (self.futures, 0xA0000000)
        return {
            "kind": kind,
            "tag": f"{tag:#x}",
            "words": headers,
            "read": headers + 4,
            "key": headers + 8,
            "state": headers + 12,
            "pages": self.pages,
            "slots": self.slots,
            "headers": 1 << self.slot_bits,
            "slot_bits": self.slot_bits,
            "slot_mask": (1 << self.slot_bits) - 1,
            "state_limit": ((1 << (29 - self.slot_bits)) - 1) << 2,
            "rings": self.rings,
            "ring": self.ring,
            "ring_bits": self.ring.bit_length() - 1,
            "ring_mask": self.ring - 1,
            "values": self.values,
            "value": self.value,
        }


def few(simd: bool) -> dict[str, Any]:
    """The parameters of copies that are no bulk copy: of how many bytes, and up to which address."""
    short = 256 if simd else 16
    return {"simd": simd, "short": short, "furthest": -short - 1}


TEMPLATES = {"stream": "emit_bridge.wat", "future": "emit_bridge_futures.wat"}


class EmitBridge(Pass):
    """Add a bridge for each cluster of linked instances, and the shims of each instance in a bridged domain.

    A cluster has slots, rings and handles of its own, in the state memory: in another cluster a handle names another
    stream or none, and no other cluster can use up its slots. Inside a cluster handles are plain numbers, so members of
    a cluster trust each other.

    The shims are not called yet: `rewire-calls` does that. Each passes handles of the host on to the function that the
    instance called before.

        (import "pulseengine:async" "stream_write" (func $a/stream_write …))
    gets
        (@meld.bridge (memory $state) (slots 8) (ring 4096))
        (func $a/stream_write.shim (@meld.shim stream_write (replaces $a/stream_write) …)
          ;; a handle of the bridge: memory.copy into its ring
          ;; a handle of the host: call $a/stream_write
          …)
    """

    name = "emit-bridge"
    requires = frozenset({"stream-pairs"})
    establishes = frozenset({"stream-bridge"})
    slots: int = option(8, "streams that can be open at once inside the module, 1 to 4096")
    ring: int = option(4096, "bytes that a stream can hold, a power of two from 4")
    simd: bool = option(True, "whether copies of few bytes may use SIMD")

    def __post_init__(self) -> None:
        if not 1 <= self.slots <= MAX_SLOTS:
            raise MeldError(f"`emit-bridge` has room for 1 to {MAX_SLOTS} slots, not {self.slots}")
        if self.ring < 4 or self.ring & (self.ring - 1):
            raise MeldError(f"`ring` must be a power of two from 4 on, not {self.ring}")
        if Layout(self.slots, self.ring).pages > PAGE:
            raise MeldError(f"{self.slots} rings of {self.ring} bytes do not fit into a memory of 4 GiB")

    def run(self, module: Module, cx: PassContext) -> None:
        _keep_on_host(module, self.ring, cx)
        found = list(module.notes_of(Domain))
        domains = [d for d in found if d.bridged]
        if not domains:
            if any(d.carried == Carried.HOST.value for d in found):
                cx.remark("no stream domain is bridged; no bridge is added (--explain says why)")
            return
        if "one-memory" in module.facts:
            raise MeldError(
                "the memories that streams would be copied between are regions of one already",
                hint="run lower-multi-memory after rewire-calls",
            )
        state = State.of(module)
        layouts = self._lay_out(domains)
        state.fixed(max(layout.pages for layout in layouts.values()) * PAGE)
        entries = _entries(module)
        bridged = set()
        for cluster, layout in layouts.items():
            module.notes.append(Bridge(state.memory, self.slots, self.ring, layout.value, layout.base, cluster))
            for kind in TEMPLATES:
                of_kind = [d for d in domains if d.cluster == cluster and d.future == (kind == "future")]
                for instance in dict.fromkeys(i for d in of_kind for i in d.instances):
                    sizes = [d.size for d in of_kind if instance in d.instances]
                    self._emit(module, layout, state.memory, instance, kind, sizes, entries[instance])
                    bridged.add(instance)
        cx.stats["bridged instances"] = len(bridged)
        cx.stats["bridges"] = len(layouts)

    def _lay_out(self, domains: list[Domain]) -> dict[int, Layout]:
        """The regions of the bridges, one behind the other, by the clusters' numbers."""
        layouts: dict[int, Layout] = {}
        base = 0
        for cluster in sorted({d.cluster for d in domains}):
            sizes = [d.size for d in domains if d.cluster == cluster and d.future]
            value = max((-(-max(size, 1) // 8) * 8 for size in sizes), default=0)
            layouts[cluster] = Layout(self.slots, self.ring, value, base)
            base = layouts[cluster].pages * PAGE
            if base > PAGE * PAGE:
                raise MeldError(
                    f"the bridges of {len({d.cluster for d in domains})} clusters do not fit into a memory of 4 GiB",
                    hint="give emit-bridge fewer slots or smaller rings: emit-bridge{slots=4,ring=1024}",
                )
        return layouts

    def _emit(
        self,
        module: Module,
        layout: Layout,
        bridge: Memory,
        instance: Instance,
        kind: str,
        sizes: list[int],
        entries: dict[str, Function],
    ) -> None:
        caller = _memory_of(module, instance)
        if caller is None:
            # whatever bytes go to or from it are out of bounds
            caller = Memory(Limits(0, 0), name=f"{instance.name}/no-memory", synthetic=KIND)
            module.memories.append(caller)
        page_bits = caller.limits.page_size_log2
        params = layout.params(kind) | {
            "page_bits": 16 if page_bits is None else page_bits,
            **few(self.simd),
        }
        if kind == "stream":
            params |= {"whole": math.gcd(*sizes), "unit": math.lcm(*sizes)}
        else:
            params |= {"size": sizes[0]}  # detect-pairs saw to it that they are the same
        shims = template(__name__, TEMPLATES[kind], params)
        bindings: dict[CoreItem, CoreItem] = {}
        for item in list(shims.imports):
            assert item.imported is not None
            match item.imported.module, item.imported.field:
                case "meld", "bridge":
                    bindings[item] = bridge
                case "meld", "memory":
                    bindings[item] = caller
                case "host", field if field in entries:
                    bindings[item] = entries[field]
                case "host", _:
                    bindings[item] = item  # never used: its shim is removed below
                case other:
                    raise AssertionError(other)
        absent = {export.item for export in shims.exports if export.name not in entries}
        shims.functions = [f for f in shims.functions if f not in absent]
        shims.exports = [export for export in shims.exports if export.item not in absent]
        spliced = splice(
            shims, module, bindings, synthetic=KIND, rename=lambda item: f"{instance.name}/{item.name}.shim"
        )
        for intrinsic, shim in spliced.exports.items():
            shim.notes.append(Shim(intrinsic, entries[intrinsic], instance))


def _keep_on_host(module: Module, ring: int, cx: PassContext) -> None:
    """Streams that the shims cannot carry stay on the host, and with them those that share intrinsics."""
    domains = [domain for domain in module.notes_of(Domain) if domain.bridged]
    obstacles = []
    for domain in domains:
        obstacle = _obstacle(module, domain, ring)
        if obstacle is None and not cx.allows("bridge", domain):
            obstacle = "its bridge was held back"
        if obstacle is not None:
            obstacles.append((domain, obstacle))
    for domain in keep_on_host(domains, obstacles):
        cx.remark(f"domain `{domain.name}` stays on the host: {domain.why}")


def _obstacle(module: Module, domain: Domain, ring: int) -> str | None:
    """The reason why the shims cannot carry a domain; None if they can."""
    for instance in domain.instances:
        entry = _entry_of(module, instance)
        if entry is not None and entry.memory is not None and entry.memory.limits.is64:
            return f"the memory of `{instance.name}` has addresses of 64 bits, the intrinsics' pointers have 32"
        if entry is not None and entry.memories > 1:
            return f"`{instance.name}` has {entry.memories} memories, and its calls say which one they mean"
    if domain.future:
        return None
    if domain.size > ring:
        return f"its elements of {domain.size} bytes do not fit into a ring of {ring} bytes"
    for instance in domain.instances:
        sizes = sorted(
            {d.size for d in module.notes_of(Domain) if d.bridged and not d.future and instance in d.instances}
        )
        whole = math.lcm(*sizes)
        if whole > ring:
            # writes take space in multiples of all sizes, since they do not know whose stream it is
            shown = ", ".join(map(str, sizes[:-1])) + f" and {sizes[-1]}"
            return (
                f"`{instance.name}` has elements of {shown} bytes, which its intrinsics cannot tell apart, "
                f"and a ring of {ring} bytes does not hold {whole}"
            )
    return None


def _entries(module: Module) -> dict[Instance, dict[str, Function]]:
    """For each instance, the functions that it calls for intrinsics, by their names."""
    found: dict[Instance, dict[str, Function]] = {}
    for item, n in module.noted(IntrinsicEntry, module.items()):
        if isinstance(item, Function):
            found.setdefault(n.instance, {})[n.intrinsic] = item
    return found


def _entry_of(module: Module, instance: Instance) -> IntrinsicEntry | None:
    """The note on one of the intrinsics of an instance; the notes of all of them name the same memories."""
    notes = (n for _, n in module.noted(IntrinsicEntry, module.items()))
    return next((n for n in notes if n.instance is instance), None)


def _memory_of(module: Module, instance: Instance) -> Memory | None:
    """The memory that an instance's pointers mean."""
    entry = _entry_of(module, instance)
    return None if entry is None else entry.memory
