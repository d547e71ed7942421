"""Whether the functions that `wrap` lifts and lowers have the types that the world declares for them.

The world says what the host will read and write, the notes of the module say what its core functions expect; both come
from the composition, by two ways. A core type does not tell them apart: a string and a list of pairs flatten alike.
"""

from __future__ import annotations

from dataclasses import field, fields, is_dataclass
from typing import Any

from meld.abi.types import Resource, show
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import Definition
from meld.support.records import record


@record()
class Agreement:
    """Compares declared types with resolved ones; a declared resource means the same resource each time.

    Attributes:
        resources: declared resource types, and what they mean.
    """

    resources: dict[Definition, Resource] = field(default_factory=dict)
    _equal: dict[tuple[int, int], tuple[Any, Any]] = field(default_factory=dict)  # by identity; both are kept alive

    def require(self, declared: Definition | None, found: c.CompFuncType, what: str) -> None:
        """Raises MeldError if the world declares another type for a function than the program has."""
        if not self.same(declared, found):
            raise MeldError(
                f"the world declares another type for {what} than the program has, which is {show(found)}",
                hint="the note `@meld.world` is not the one that `merge` made",
            )

    def same(self, declared: Any, found: Any) -> bool:
        """Whether a declared type, or a part of one, is the resolved type."""
        meant = _meant(declared)
        if isinstance(meant, Definition):
            return isinstance(found, Resource) and self.resources.setdefault(meant, found) is found
        if isinstance(meant, tuple):
            alike = isinstance(found, tuple) and len(meant) == len(found)
            return alike and all(self.same(a, b) for a, b in zip(meant, found, strict=True))
        if not is_dataclass(meant):
            return bool(meant == found)
        if type(meant) is not type(found):
            return False
        key = id(meant), id(found)
        if key not in self._equal:
            if not all(self.same(getattr(meant, f.name), getattr(found, f.name)) for f in fields(meant)):
                return False
            self._equal[key] = meant, found
        return True


def _meant(declared: Any) -> Any:
    """The type that a declaration resolves to; for a resource, the declaration that defines it."""
    while True:
        match declared:
            case c.TypeDefinition(type=c.ResourceType()):
                return declared
            case c.TypeDefinition(type=of):
                return of
            case c.Import(type=c.ExternType(type=of)) | c.ExportDecl(type=c.ExternType(type=of)):
                if of is None:
                    return declared
                declared = of
            case c.OuterAlias(target=target) | c.Export(target=target):
                declared = target
            case c.ExportAlias():
                declared = _exported(declared)
            case _:
                return declared


def _exported(alias: c.ExportAlias) -> Definition:
    """The declaration that an alias of an instance's export means. Raises MeldError."""
    instance = alias.instance
    while isinstance(instance, c.ExportAlias | c.OuterAlias):
        instance = _exported(instance) if isinstance(instance, c.ExportAlias) else instance.target
    of = _meant(instance)
    for decl in of.decls if isinstance(of, c.InstanceType) else ():
        if isinstance(decl, c.ExportDecl) and str(decl.extern) == alias.export:
            return decl
    raise MeldError(f"the world has an alias of `{alias.export}`, which is not there")
