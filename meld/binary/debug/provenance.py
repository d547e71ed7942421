"""Where each function of a fused module comes from, for tools downstream: the section `component-provenance`.

The bytes are those of the form ``SCPV``, version 3, that analysers of fused modules read; numbers are little-endian:

    "SCPV", version: u8, bounded memory: u8, closed world: u8, SHA-256: 32 bytes, count: u32, then for each function
    index: u32, size of the id: u32, id: UTF-8, original index: u32, ranged: u8 and, if 1, start: u32, end: u32

A range lies in the contents of the code section. The hash is that of the module without this section, which comes last.

Version 4 has the same head, and behind it runs of functions; its numbers are LEB128:

    count of ids, each: size and UTF-8; count of runs, each:
    id, index less that behind the last run, original index of its first function, how many functions
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import sha256

from meld.binary.leb import name, unsigned
from meld.ir.module import Function, Module
from meld.ir.notes import Instance

SECTION = "component-provenance"
MAGIC = b"SCPV"
VERSION, COMPACT = 3, 4
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
    return b"".join([_head(module, VERSION, rest), INDEX.pack(count), entries])


def compact(module: Module, rest: Iterable[bytes | memoryview]) -> bytes:
    """The contents of the section in version 4; arguments as for `provenance`."""
    ids: dict[str, int] = {}
    runs: list[tuple[int, int, int, int]] = []  # id, index, original index, count
    first = sum(1 for item in module.imports if isinstance(item, Function))
    for index, function in enumerate(module.functions, first):
        if function.synthetic is not None or function.owner is None or function.origin is None:
            continue
        original, core = function.origin
        number = ids.setdefault(component_name(function.owner, core), len(ids))
        if runs:
            of, start, was, count = runs[-1]
            if (of, start + count, was + count) == (number, index, original):
                runs[-1] = of, start, was, count + 1
                continue
        runs.append((number, index, original, 1))
    behind, out = 0, bytearray()
    for number, start, original, count in runs:
        out += b"".join(map(unsigned, (number, start - behind, original, count)))
        behind = start + count
    names = b"".join(map(name, ids))
    return b"".join([_head(module, COMPACT, rest), unsigned(len(ids)), names, unsigned(len(runs)), out])


def _head(module: Module, version: int, rest: Iterable[bytes | memoryview]) -> bytes:
    digest = sha256()
    for piece in rest:
        digest.update(piece)
    return MAGIC + bytes((version, _bounded(module), not module.imports)) + digest.digest()


def _bounded(module: Module) -> bool:
    """True only if every memory has maximum = minimum; absence of `memory.grow` is not considered."""
    return all(memory.limits.maximum == memory.limits.minimum for memory in module.space("memories"))
