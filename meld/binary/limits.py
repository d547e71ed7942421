"""What engines and tools take of a core module: more than this is refused where it is read and where it is written.

Source: WebAssembly JavaScript Interface, Limits (the limits that engines have agreed on); `wasm-tools validate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from meld.diagnostics import MeldError
from meld.ir.module import SPACE_OF, Module
from meld.ir.types import FuncType, RecGroup, StructType, TypeDef

COUNTS: dict[str, int] = {
    "types": 1_000_000,
    "functions": 1_000_000,
    "imports": 1_000_000,
    "exports": 1_000_000,
    "globals": 1_000_000,
    "tags": 1_000_000,
    "elements": 100_000,
    "datas": 100_000,
    "tables": 100,
    "memories": 100,
}
"""Items of a kind, imports included."""

WORDS = {"elements": "element segments", "datas": "data segments"}
_LESS = "fuse fewer components at a time"
_FEWER = f"{_LESS}, or leave out unneeded exports: --drop-exports=GLOB"
WAYS_OUT = {
    "memories": "`--target=wasm2` makes one of all (`lower-multi-memory`); or fuse fewer components at a time",
    "tables": "`--target=lime1` merges those that are never written; or fuse fewer components at a time",
    "types": _FEWER,
    "functions": _FEWER,
    "imports": "fuse what provides them as well",
    "exports": "leave out unneeded ones: --drop-exports=GLOB",
    "globals": _FEWER,
    "elements": _LESS,
    "datas": f"{_LESS}; `finish` joins segments that lie one behind the other",
}

ALONE = "an input has them by itself, which engines refuse as well: split it into several modules where it is made"
"""The way out of a module that no fusion made."""

SHOWN = 3
"""Contributors that an error names."""

MAX_TABLE = 10_000_000
"""Elements of a table at first."""

MAX_MODULE = 1 << 30
"""Bytes of a module."""

MAX_NAME = 100_000
"""Bytes of a name of an import, an export, a field or the like."""

MAX_PARAMS = 1_000
"""Parameters, and results, of a function."""

MAX_FIELDS = 10_000
"""Fields of a struct type."""

MAX_SUPERS = 63
"""Steps of a chain of supertypes."""

MAX_LOCALS = 50_000
"""Locals of a function, parameters included."""

MAX_BODY = 7_654_321
"""Bytes of a function body."""


MAX_INNER = 999
"""Core modules and components in a component, at all depths."""


def check_counts(module: Module) -> None:
    """Raises MeldError if a module has more of something than engines take."""
    check_types(module.types)
    imported: dict[str, int] = {}
    for item in module.imports:
        space = SPACE_OF[type(item)]
        imported[space] = imported.get(space, 0) + 1
        if item.imported is not None:
            check_length(item.imported.module)
            check_length(item.imported.field)
    for export in module.exports:
        check_length(export.name)
    for kind, limit in COUNTS.items():
        count = len(getattr(module, kind)) + imported.get(kind, 0)
        if count > limit:
            what = WORDS.get(kind, kind)
            said = f"the module has {count} {what}; engines take {limit} at most{_contributors(module, kind)}"
            raise MeldError(said, hint=WAYS_OUT.get(kind) if "merged" in module.facts else ALONE)


def check_tables(module: Module) -> None:
    """Raises MeldError if a table has more elements at first than engines take.

    The core specification has no such limit, so this is said of a product that is for an engine, and of nothing else.
    """
    for table in module.space("tables"):
        if table.limits.minimum > MAX_TABLE:
            called = f"the table `{table.name}`" if table.name else "a table"
            raise MeldError(f"{called} has {table.limits.minimum} elements at first; engines take {MAX_TABLE} at most")


def check_size(pieces: Iterable[bytes | memoryview]) -> None:
    """Raises MeldError if a module, given in pieces, has more bytes than engines take."""
    size = sum(map(len, pieces))
    if size > MAX_MODULE:
        hint = "--provenance=off and finish{lines=false} leave out what only tools read; or fuse fewer components"
        raise MeldError(f"the module takes {size} bytes; engines take {MAX_MODULE} at most", hint=hint)


def _contributors(module: Module, kind: str) -> str:
    """Who has the most items of a kind, for people."""
    if kind in ("types", "imports", "exports"):
        items = [export.item for export in module.exports] if kind == "exports" else getattr(module, kind)
    else:
        items = module.space(kind)
    owners = Counter(_owner(item) for item in items)
    if len(owners) < 2:
        return ""
    shown = ", ".join(f"{count} of {name}" for name, count in owners.most_common(SHOWN))
    more = f", and of {len(owners) - SHOWN} others" if len(owners) > SHOWN else ""
    return f": {shown}{more}"


def _owner(item: object) -> str:
    owner, made = getattr(item, "owner", None), getattr(item, "synthetic", None)
    if owner is not None and owner.name:
        return f"`{owner.name}`"
    return f"generated code ({made})" if made else "the module itself"


def check_length(name: str) -> None:
    """Raises MeldError if a name takes more bytes than engines take."""
    if len(name) <= MAX_NAME // 4:
        return
    size = len(name.encode())
    if size > MAX_NAME:
        raise MeldError(f"the name `{name[:40]}…` takes {size} bytes; engines take {MAX_NAME} at most")


def check_types(groups: Iterable[RecGroup], depths: dict[TypeDef, int] | None = None) -> None:
    """Raises MeldError if a type is larger than engines take.

    Args:
        depths: how many types are above each that has any; for groups that come one after the other.
    """
    depths = {} if depths is None else depths
    for group in groups:
        for t in group.types:
            shape = t.shape
            if type(shape) is FuncType:
                _check_size(t, "parameters", len(shape.params), MAX_PARAMS)
                _check_size(t, "results", len(shape.results), MAX_PARAMS)
            elif type(shape) is StructType:
                _check_size(t, "fields", len(shape.fields), MAX_FIELDS)
            if t.supers:
                depths[t] = max([depths.get(above, 0) for above in t.supers]) + 1
                _check_size(t, "supertypes, one above the other", depths[t], MAX_SUPERS)


def _check_size(t: TypeDef, what: str, count: int, limit: int) -> None:
    if count > limit:
        called = f"the type `{t.name}`" if t.name else "a type"
        raise MeldError(f"{called} has {count} {what}; engines take {limit} at most", span=t.span)


def check_body(size: int) -> None:
    """Raises MeldError if a function body of so many bytes is larger than engines take."""
    if size > MAX_BODY:
        raise MeldError(
            f"its body takes {size} bytes; engines take {MAX_BODY} at most", hint="split the function into several"
        )


def check_locals(count: int) -> None:
    """Raises MeldError if a function has more locals, parameters included, than engines take."""
    if count > MAX_LOCALS:
        raise MeldError(f"it has {count} locals; engines take {MAX_LOCALS} at most")


def inner_excess() -> str:
    """What is said of a component that holds more than `MAX_INNER`."""
    return f"more than {MAX_INNER} core modules and components in one component; engines take no more"
