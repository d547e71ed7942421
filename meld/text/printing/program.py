"""A program as text: a module or a component."""

from __future__ import annotations

from meld.ir.component import Component
from meld.ir.module import Module
from meld.text.printing.module import module_lines


def print_program(program: Module | Component) -> str:
    """The text of a program, ending in a newline.

    Raises:
        MeldError: something refers to an object that is not in the program, or a body that is still encoded is
            malformed.
    """
    if isinstance(program, Component):
        from meld.text.printing.component import print_component

        return print_component(program)
    return "\n".join(module_lines(program)) + "\n"
