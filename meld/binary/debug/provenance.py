"""Where each function of a fused module comes from, for tools downstream: the section `component-provenance`.

The bytes are those of the form ``SCPV``, version 3, that analysers of fused modules read; numbers are little-endian:

    "SCPV", version: u8, bounded memory: u8, closed world: u8, SHA-256: 32 bytes, count: u32, then for each function
    index: u32, size of the id: u32, id: UTF-8, original index: u32, ranged: u8 and, if 1, start: u32, end: u32

A range lies in the contents of the code section. The hash is that of the module without this section, which comes last.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import sha256

from meld.ir.module import Function, Module
from meld.ir.notes import Instance

SECTION = "component-provenance"
MAGIC = b"SCPV"
VERSION = 3
INDEX, RANGE = struct.Struct("<I"), struct.Struct("<IBII")


def component_name(instance: Instance, core: int) -> str:
    """What the section calls a core instance of a component instance."""
    return f"{instance.name}/{core}" if core else instance.name or ""


def provenance(module: Module, code: Iterable[tuple[int, int]], rest: Iterable[bytes | memoryview]) -> bytes:
    """The contents of the section: the origins of all defined functions that the compiler did not make, in order.

    Args:
        module: the module that is being written.
        code: for each defined function the start and end of its body in the code section.
        rest: the module without this section, in pieces.
    """
    digest = sha256()
    for piece in rest:
        digest.update(piece)
    first = sum(1 for item in module.imports if isinstance(item, Function))
    heads: dict[tuple[Instance, int], bytes] = {}
    entries, count = bytearray(), 0
    for index, (function, (start, end)) in enumerate(zip(module.functions, code, strict=True), first):
        if function.synthetic is not None or function.owner is None or function.origin is None:
            continue
        original, core = function.origin
        place = function.owner, core
        if place not in heads:
            label = component_name(*place).encode()
            heads[place] = INDEX.pack(len(label)) + label
        entries += INDEX.pack(index)
        entries += heads[place]
        entries += RANGE.pack(original, 1, start, end)
        count += 1
    flags = bytes((VERSION, _bounded(module), not module.imports))
    return b"".join([MAGIC, flags, digest.digest(), INDEX.pack(count), entries])


def _bounded(module: Module) -> bool:
    """True only if every memory has maximum = minimum; absence of `memory.grow` is not considered."""
    return all(memory.limits.maximum == memory.limits.minimum for memory in module.space("memories"))
