"""Writing and reading the world of a program: a component type, in the form that wit-component reads.

Source: wit-component, src/metadata.rs (the section's form).
"""

from __future__ import annotations

from typing import Any

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import ExternName, ExternType, Sort
from meld.ir.module import CustomSection, Module
from meld.notes.world import World

SECTION = "meld:world"
TOOL_SECTION = "component-type:meld"
"""The section's name where `wasm-tools component new` may take the module as it is."""

ENCODING_VERSION = b"\x04\x00"
"""Of wit-component's section: the version of its form, and UTF-8 as the encoding of strings."""


def write_world(world: c.ComponentType) -> World:
    """The note that holds a world. Raises MeldError: it cannot be written."""
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
    return World(write_component(holder))


def world_note(module: Module) -> World | None:
    """The world of a module, if the program has one."""
    return next(iter(module.notes_of(World)), None)


def read_world(world: World) -> c.ComponentType:
    """The component type in the note. Raises MeldError: it holds something else."""
    from meld.binary.component.reader import read_component

    holder = read_component(world.data, where="the world of the program")
    for outer in holder.of(c.TypeDefinition):
        decls: list[Any] = outer.type.decls if isinstance(outer.type, c.ComponentType) else []
        for decl in decls:
            inner = decl.type.type if isinstance(decl, c.ExportDecl) else None
            if isinstance(inner, c.TypeDefinition) and isinstance(inner.type, c.ComponentType):
                return inner.type
    raise MeldError("holds no world", where="the world of the program")


def write_section(module: Module, *, tools: bool) -> None:
    """Puts the world into a section of the module, in place of one that was put there before.

    Args:
        tools: whether `wasm-tools component new` may take the module as it is.
    """
    world = world_note(module)
    drop_section(module)
    if world is not None:
        module.customs.append(CustomSection(TOOL_SECTION if tools else SECTION, world.data))


def drop_section(module: Module) -> None:
    """Takes the section out again, if the program has a world."""
    if world_note(module) is not None:
        module.customs = [section for section in module.customs if section.name not in (SECTION, TOOL_SECTION)]
