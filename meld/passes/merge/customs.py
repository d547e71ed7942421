"""Custom sections of the inputs in the fused module.

One rule for core modules and components. A section is carried, once if several inputs have the same one, unless

- it has a form of its own that several are merged in: `producers`, and of core modules `target_features`;
- its offsets or indices would be wrong (`OF_PLACES`), or it says something of one input that would be believed of the
  whole program (`OF_ONE`): then it is dropped with a remark;
- it is malformed: dropped with a remark, too.

Of components, `target_features` and debugging information are dropped, since they describe a core module; names are
carried elsewhere, and what a name section has beside them is dropped.

Source: WebAssembly tool conventions (Linking.md, ProducersSection.md, Debugging.md); wasm-metadata for what registries
read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from meld.binary.names import SECTION_NAME
from meld.binary.stale import described
from meld.ir.module import CustomSection, Module
from meld.passes.base import PassContext
from meld.passes.merge.producers import SECTION as PRODUCERS
from meld.passes.merge.producers import merged
from meld.rewriting import target_features as features

DEBUG = ".debug_"

OF_PLACES = ("reloc.", "linking", "metadata.code.", "sourceMappingURL", "external_debug_info", "dylink")
"""How names of sections begin that contain indices or offsets, which merging changes."""

OF_ONE = ("build_id", "component-type", "wit-component-encoding", "component-provenance", "meld", "signature", "jwt")
"""How names of sections begin that contain a world, or that hosts and tools believe of a whole program: a claim of one
input is not one of the program."""

OF_REGISTRIES = frozenset(
    {"authors", "description", "homepage", "licenses", "registry-metadata", "revision", "source", "version"}
)
"""Sections that registries show of a whole program."""

_OF_CODE = (DEBUG, features.SECTION)
"""Sections of core modules that are carried in another way: debugging information stays with the code section that it
describes (`CodeSection.debug`), and `_carry_features` merges the other ones."""


def carry_customs(modules: list[Module], components: Iterable[CustomSection], module: Module, cx: PassContext) -> None:
    """Puts what is carried into the fused module; remarks list what is dropped, by name and size in bytes.

    Args:
        modules: the core modules that were instantiated.
        components: the custom sections of the components that were.
    """
    dropped: Counter[str] = Counter()
    carried: dict[tuple[str, bytes], None] = {}
    producers: list[bytes | memoryview] = []
    of_modules = [section for source in modules for section in source.customs]
    kept = [section for section in of_modules if not section.name.startswith(_OF_CODE)]
    for section in (*kept, *components):
        if section.name == PRODUCERS:
            producers.append(section.data)
        elif _is_dropped(section.name):
            dropped[described(section)] += len(section.data)
        else:
            carried[section.name, bytes(section.data)] = None
    module.customs += [CustomSection(name, data) for name, data in carried]
    made, malformed = merged(producers)
    if made:
        module.customs.append(CustomSection(PRODUCERS, made))
    dropped[f"`{PRODUCERS}`"] += malformed
    dropped[f"`{features.SECTION}`"] += _carry_features(modules, module, cx)
    if any(section.name.startswith(DEBUG) for section in of_modules):
        cx.remark("of the debugging information of the inputs, functions and lines are carried, the rest is dropped")
    dropped = +dropped
    if dropped:
        names = ", ".join(f"{name} ({size} bytes)" for name, size in sorted(dropped.items()))
        why = "since they contain offsets, a world or facts about one module or component, or are malformed"
        cx.remark(f"custom sections dropped, {why}: {names}")


def _is_dropped(name: str) -> bool:
    return (
        name in OF_REGISTRIES
        or name in (SECTION_NAME, "component-name")
        or name.startswith((*OF_PLACES, *OF_ONE, *_OF_CODE))
    )


def _carry_features(modules: list[Module], module: Module, cx: PassContext) -> int:
    """The sections `target_features` as one; returns the bytes of those that are malformed."""
    found = features.merged(modules)
    if found is None:
        return 0
    if found.used:
        module.customs.append(CustomSection(features.SECTION, features.written(found.used)))
    for why, names in (("that others use", found.conflicts), ("which is said of one module alone", found.disallowed)):
        if names:
            listed = ", ".join(f"`{name}`" for name in sorted(names))
            cx.remark(f"`{features.SECTION}`: inputs disallow {listed}, {why}; the product does not disallow them")
    return found.malformed
