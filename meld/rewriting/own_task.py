"""Imports that stand for calls of functions that the guest does not lift, where these run as tasks of their own."""

from __future__ import annotations

from meld.ir.module import Function, ImportName, Module
from meld.ir.notes import Instance
from meld.notes.boundaries import CANON_MODULE
from meld.notes.tasks import SynchronousCall


def own_task(module: Module, instance: Instance, target: Function, label: str, name: str) -> Function:
    """Adds the import that calls a destructor or a start function as a synchronous task.

    Args:
        label: what is called, for people.
        name: the import's.
    """
    made = Function(
        target.type,
        name=name,
        imported=ImportName(CANON_MODULE, name),
        owner=instance,
        notes=[SynchronousCall(instance, target, label)],
    )
    module.add(made)
    return made
