"""Notes about the memory that holds what generated code keeps: tables of handles, channels, tasks, the bridge."""

from __future__ import annotations

from meld.ir.module import Function, Global, Memory, Module
from meld.ir.notes import Note, note, number, ref, symbol


@note("state")
class StateMemory(Note):
    """On the module: the memory of all that generated code keeps (`meld.rewriting.state`).

    Attributes:
        base, top: the globals that hold where its heap begins, and where the part begins that was never given out.
        size: bytes of the static regions at its start.
    """

    memory: Memory = ref("memories", positional=True)
    base: Global = ref("globals")
    top: Global = ref("globals")
    size: int = number(default=0)


def state_memories(module: Module) -> list[Memory]:
    """The memory of generated code, if the module has one: the host and instances reach it through generated code."""
    return [n.memory for n in module.notes_of(StateMemory)]


@note("linked")
class Linked(Note):
    """On the module: a function of the runtime that has been linked in, by the name that templates import it by."""

    label: str = symbol(positional=True)
    function: Function = ref("functions", positional=True)
