"""Notes about core modules that the host provides and the program instantiates, which no other core module can hold.

`merge` writes them down, and `wrap` makes the instances, in front of that of the fused module.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.module import KEYWORD_OF, CoreItem
from meld.ir.notes import NameOf, Note, Quoted, Resolve, Sexp, Symbol, coded, note, ref, text
from meld.support.records import record

MODULE = "meld:host-module"
"""The module name of the imports that such instances give."""


KINDS: dict[str, type[CoreItem]] = {keyword: kind for kind, keyword in KEYWORD_OF.items()}


@record(frozen=True)
class Given:
    """An import of such an instance, `module` and `name` of a `kind`: the export `label` of another one."""

    kind: str
    module: str
    name: str
    instance: HostModule
    label: str


def _write_given(given: tuple[Given, ...], name_of: NameOf) -> list[Sexp]:
    return [
        [Symbol(one.kind), Quoted(one.module), Quoted(one.name), name_of("note", one.instance), Quoted(one.label)]
        for one in given
    ]


def _read_given(parts: list[Sexp], resolve: Resolve) -> tuple[Given, ...]:
    found = []
    for part in parts:
        match part:
            case [Symbol(kind), Quoted(module), Quoted(name), of, Quoted(label)] if kind in KINDS:
                found.append(Given(kind, module, name, resolve("note", of), label))
            case _:
                raise MeldError("what an instance is given: a kind, a module, a name, an instance, an export of it")
    return tuple(found)


@note("host-module", declares=True)
class HostModule(Note):
    """On the module: an instance of a core module that the host provides as `field` of `module`, or of the root."""

    module: str = text()
    field: str = text()
    given: tuple[Given, ...] = coded(_write_given, _read_given, default=())


@note("host-module-export")
class HostModuleExport(Note):
    """On an import: what an instance of a core module of the host exports under the name `label`."""

    instance: HostModule = ref("note", positional=True)
    label: str = text(positional=True)

    def problems(self, holder: Any, program: Any) -> Iterable[str]:
        if getattr(holder, "imported", None) is None:
            yield "stands on something that is no import"
