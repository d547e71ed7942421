"""Notes about core modules that the host provides and the program instantiates, which no other core module can hold.

`merge` writes them down, and `wrap` makes the instances, in front of that of the fused module or behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.module import KEYWORD_OF, CoreItem, Module, Table
from meld.ir.notes import NameOf, Note, Quoted, Resolve, Sexp, Symbol, coded, flag, note, ref, text
from meld.support.records import record

MODULE = "meld:host-module"
"""The module name of the imports that such instances give, and the beginning of the names of exports for them."""


KINDS: dict[str, type[CoreItem]] = {keyword: kind for kind, keyword in KEYWORD_OF.items()}


@record(frozen=True)
class Given:
    """An import of such an instance, `module` and `name` of a `kind`: the export `label` of another one.

    Without an instance it is the export of the fused module that is called so.
    """

    kind: str
    module: str
    name: str
    instance: HostModule | None
    label: str


def _write_given(given: tuple[Given, ...], name_of: NameOf) -> list[Sexp]:
    def written(one: Given) -> list[Sexp]:
        of = [] if one.instance is None else [name_of("note", one.instance)]
        return [Symbol(one.kind), Quoted(one.module), Quoted(one.name), *of, Quoted(one.label)]

    return [written(one) for one in given]


def _read_given(parts: list[Sexp], resolve: Resolve) -> tuple[Given, ...]:
    found = []
    for part in parts:
        match part:
            case [Symbol(kind), Quoted(module), Quoted(name), Quoted(label)] if kind in KINDS:
                found.append(Given(kind, module, name, None, label))
            case [Symbol(kind), Quoted(module), Quoted(name), of, Quoted(label)] if kind in KINDS:
                found.append(Given(kind, module, name, resolve("note", of), label))
            case _:
                raise MeldError("what an instance is given: a kind, a module, a name, an instance or none, an export")
    return tuple(found)


@note("host-module", declares=True)
class HostModule(Note):
    """On the module: an instance of a core module that the host provides as `field` of `module`, or of the root.

    Attributes:
        late: whether it is made behind the instance of the fused module. The module gets its functions only.
        then: the export of the fused module that is called when a late one is made; empty if none is.
    """

    module: str = text()
    field: str = text()
    given: tuple[Given, ...] = coded(_write_given, _read_given, default=())
    late: bool = flag(default=False)
    then: str = text(default="")

    def problems(self, holder: Any, program: Any) -> Iterable[str]:
        exports = {export.name: export.item for export in getattr(holder, "exports", ())}
        for one in self.given:
            if one.instance is None and not isinstance(exports.get(one.label), KINDS[one.kind]):
                yield f"is given the {one.kind} `{one.label}`, which the module does not export"
            elif one.instance is not None and one.instance.late and not self.late:
                yield f"is given `{one.label}` of an instance that is made later"
        if self.then and self.then not in exports:
            yield f"calls `{self.then}`, which the module does not export"


@note("host-module-export")
class HostModuleExport(Note):
    """On an import: what an instance of a core module of the host exports under the name `label`."""

    instance: HostModule = ref("note", positional=True)
    label: str = text(positional=True)

    def problems(self, holder: Any, program: Any) -> Iterable[str]:
        if getattr(holder, "imported", None) is None:
            yield "stands on something that is no import"


def reached(module: Module, instance: HostModule) -> list[CoreItem]:
    """The items of the fused module that the code of an instance may use, by itself or by one that it takes from.

    Those that it is given, and tables that it defines, which may hold functions of the module.
    """
    exports = {export.name: export.item for export in module.exports}
    instances, found = [instance], dict[CoreItem, None]()
    for of in instances:
        instances += [one.instance for one in of.given if one.instance is not None and one.instance not in instances]
        found.update((exports[one.label], None) for one in of.given if one.instance is None)
    tables = [item for item, n in module.noted(HostModuleExport) if n.instance in instances and isinstance(item, Table)]
    return [*found, *tables]
