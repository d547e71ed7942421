"""The world of a program as a custom section of a module, in the form that wit-component reads.

Source: wit-component, src/metadata.rs (the form of the section).
"""

from __future__ import annotations

from typing import Any

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import ExternName, ExternType, Sort
from meld.ir.module import CustomSection, Module

SECTION = "meld:world"

TOOL_SECTION = "component-type:meld"
"""The section's name where `wasm-tools component new` may take the module as it is."""

ENCODING_VERSION = b"\x04\x00"
"""Of wit-component's section: the version of its form, and UTF-8 as the encoding of strings."""


def attach_world(module: Module, world: c.ComponentType) -> None:
    """Adds the custom section that holds a world."""
    from meld.binary.component.writer import write_component

    inner = c.TypeDefinition(world)
    outer = c.TypeDefinition(
        c.ComponentType([inner, c.ExportDecl(ExternName("root:component/root"), ExternType(Sort.COMPONENT, inner))])
    )
    holder = c.Component(
        [
            c.Custom(CustomSection("wit-component-encoding", ENCODING_VERSION)),
            outer,
            c.Export(ExternName("root"), outer),
        ]
    )
    module.customs.append(CustomSection(SECTION, write_component(holder)))


def world_section(module: Module) -> CustomSection | None:
    """The custom section that holds the world of a module, if it has one."""
    return next((s for s in module.customs if s.name in (SECTION, TOOL_SECTION)), None)


def read_world(section: CustomSection) -> c.ComponentType:
    """The world in a section. Raises MeldError: the section holds something else."""
    from meld.binary.component.reader import read_component

    holder = read_component(bytes(section.data), where=f"custom section `{section.name}`")
    for outer in holder.of(c.TypeDefinition):
        decls: list[Any] = outer.type.decls if isinstance(outer.type, c.ComponentType) else []
        for decl in decls:
            inner = decl.type.type if isinstance(decl, c.ExportDecl) else None
            if isinstance(inner, c.TypeDefinition) and isinstance(inner.type, c.ComponentType):
                return inner.type
    raise MeldError("holds no world", where=f"custom section `{section.name}`")
