"""The section `target_features`: the features that a module uses, by the names that linkers and `wasm-opt` know.

Source: WebAssembly tool conventions, Linking.md (Target Features Section).
"""

from __future__ import annotations

from collections.abc import Iterable

from meld.binary.cursor import Cursor
from meld.binary.leb import name, unsigned
from meld.diagnostics import MeldError
from meld.ir.features import of_item
from meld.ir.module import Global, Item, Module
from meld.support.records import record

SECTION = "target_features"
USED, DISALLOWED, REQUIRED = "+", "-", "="
"""`=` is an old spelling of `+`, which linkers still read."""

NAMES: dict[str, tuple[str, ...]] = {
    "bulk-memory": ("bulk-memory", "bulk-memory-opt"),
    "bulk-memory-opt": ("bulk-memory-opt",),
    "exceptions": ("exception-handling",),
    "extended-const": ("extended-const",),
    "function-references": ("gc", "reference-types"),
    "gc": ("gc", "reference-types"),
    "memory64": ("memory64",),
    "multi-memory": ("multimemory",),
    "multi-value": ("multivalue",),
    "reference-types": ("reference-types",),
    "relaxed-simd": ("relaxed-simd", "simd128"),
    "saturating-float-to-int": ("nontrapping-fptoint",),
    "sign-extension": ("sign-ext",),
    "simd": ("simd128",),
    "tail-call": ("tail-call",),
    "threads": ("atomics",),
    "wide-arithmetic": ("wide-arithmetic",),
}
"""Features by the names of `meld.ir.features`, with those of the section; others have none there."""


@record()
class Merged:
    """What several sections say together.

    Attributes:
        used: the features that one of them uses, or that a module uses which says nothing.
        conflicts: those that one disallows and another uses.
        disallowed: those that one disallows and none uses.
        malformed: bytes of sections that cannot be read.
    """

    used: set[str]
    conflicts: set[str]
    disallowed: set[str]
    malformed: int = 0


def merged(modules: Iterable[Module]) -> Merged | None:
    """What the sections of core modules say together; None if there is none."""
    silent: list[Module] = []
    said: dict[str, set[str]] = {USED: set(), DISALLOWED: set()}
    malformed, found = 0, False
    for module in modules:
        sections = [section.data for section in module.customs if section.name == SECTION]
        try:
            for data in sections[:1]:
                for prefix, feature in read(data):
                    said[USED if prefix == REQUIRED else prefix].add(feature)
                found = True
        except MeldError:
            malformed += len(sections[0])
            sections = []
        if not sections:
            silent.append(module)
    if not found:
        return Merged(set(), set(), set(), malformed) if malformed else None
    for module in silent:
        said[USED] |= used_by(module, (*module.items(), *module.elements, *module.datas))
    used, disallowed = said[USED], said[DISALLOWED]
    return Merged(used, used & disallowed, disallowed - used, malformed)


def used_by(module: Module, items: Iterable[Item]) -> set[str]:
    """The features that items of a module use, and its imports, exports and index spaces."""
    needs: set[str] = set()
    for item in items:
        needs |= set(of_item(item))
    needs |= {"multi-memory"} if len(module.space("memories")) > 1 else set()
    needs |= {"reference-types"} if len(module.space("tables")) > 1 else set()
    found = {one for feature in needs for one in NAMES.get(feature, ())}
    outside: list[object] = [*module.imports, *(export.item for export in module.exports)]
    if any(isinstance(item, Global) and item.mutable for item in outside):
        found.add("mutable-globals")
    return found


def extend(module: Module) -> None:
    """Adds what generated items use to the section of a module, if it has one."""
    for section in module.customs:
        if section.name == SECTION:
            have = {feature for _, feature in read(section.data)}
            generated = [item for item in module.items() if item.synthetic is not None]
            section.data = written(have | used_by(module, generated))


def written(features: Iterable[str]) -> bytes:
    """The contents of a section that says that features are used."""
    names = sorted(set(features))
    return unsigned(len(names)) + b"".join(USED.encode() + name(one) for one in names)


def read(data: bytes | memoryview) -> list[tuple[str, str]]:
    """Prefixes and features. Raises MeldError."""
    c = Cursor(data, SECTION)
    found = []
    for _ in range(c.count("features")):
        prefix = chr(c.u8("prefix of a feature"))
        if prefix not in (USED, DISALLOWED, REQUIRED):
            raise c.error(f"unknown prefix `{prefix}`", c.pos - 1)
        found.append((prefix, c.name("feature")))
    if c.pos != len(data):
        raise c.error("bytes behind the last feature", c.pos)
    return found
