"""Canonical built-ins of the component around the module, which the runtime calls, as imports of the module."""

from __future__ import annotations

from dataclasses import field

from meld.abi.options import Options
from meld.abi.types import Type
from meld.ir.builtins import BUILTINS
from meld.ir.module import Function, ImportName, Module
from meld.ir.types import FuncType
from meld.notes.boundaries import CANON_MODULE, HostBuiltin
from meld.support.records import record

OWN_TASK = "own-task"
"""See `HostBuiltin`."""


@record()
class HostBuiltins:
    """The built-ins that were asked for; `imports` are to be added to the module."""

    module: Module
    imports: list[Function] = field(default_factory=list)

    def add(self, builtin: str, about: Type | None, options: Options, shape: FuncType) -> Function:
        """A new import that stands for a built-in about a type."""
        assert builtin in BUILTINS or builtin == OWN_TASK
        made = Function(
            self.module.func_type(shape.params, shape.results),
            name=f"host/{builtin}",
            imported=ImportName(CANON_MODULE, f"{builtin} {len(self.imports)}"),
            notes=[HostBuiltin(builtin, about, options)],
        )
        self.imports.append(made)
        return made
