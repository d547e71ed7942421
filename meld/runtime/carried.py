"""What a binary says of its component functions: `meld.signature-manifest`, as the notes that it was made of."""

from __future__ import annotations

import json
from typing import Any

from meld.abi.options import Options
from meld.abi.wit_reader import read_wit
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import CoreItem, Function, Memory, Module
from meld.ir.notes import Instance
from meld.notes.boundaries import HostExport
from meld.passes.finish.signature_manifest import SECTION, VERSION, core_row

ENTERED = "entered"
"""The fact that exported functions return their results: how tasks run is the affair of the module."""
ENCODINGS = ("utf8", "utf16", "latin1+utf16")


def describe_exports(module: Module) -> None:
    """Notes the component functions that the manifest of a module describes, if the module itself says nothing.

    A row that does not fit the module, or that has handles or streams, is left out.
    """
    if module.notes_of(HostExport):
        return
    exports: dict[str, CoreItem] = {export.name: export.item for export in module.exports}
    instances: dict[str, Instance] = {}
    for section in module.customs:
        if section.name == SECTION:
            for row in _rows(bytes(section.data)):
                try:
                    found = _export(row, exports, instances)
                except (MeldError, KeyError, TypeError, ValueError, AttributeError):
                    continue  # the section is data; what does not fit is no description
                module.notes.append(found)
    if ENTERED not in module.facts and any(n.type.is_async for n in module.notes_of(HostExport)):
        module.facts.append(ENTERED)
    module.notes += instances.values()


def _rows(data: bytes) -> list[Any]:
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        return []
    if not isinstance(manifest, dict) or manifest.get("version") != VERSION:
        return []
    rows = manifest.get("exports")
    return rows if isinstance(rows, list) else []


def _export(row: Any, exports: dict[str, CoreItem], instances: dict[str, Instance]) -> HostExport:
    """The note that a row was made of. Raises MeldError, or what comes of a row that is malformed."""
    target = exports[row["export"]]
    if not isinstance(target, Function) or core_row(target.signature) != row["core"]:
        raise MeldError("another function")
    params = tuple((str(name), read_wit(text)) for name, text in row["wit"]["params"])
    result = row["wit"]["result"]
    t = c.CompFuncType(params, None if result is None else read_wit(result), is_async=row["async"] is True)

    def named(key: str, kind: type[CoreItem]) -> Any:
        name = row[key]
        item = None if name is None else exports[name]
        if item is not None and not isinstance(item, kind):
            raise MeldError(f"`{name}` is something else")
        return item

    if row["encoding"] not in ENCODINGS:
        raise MeldError("unknown encoding")
    lift = Options(row["encoding"], named("memory", Memory), named("realloc", Function), named("post_return", Function))
    instance = instances.setdefault(str(row["instance"]), Instance(name=str(row["instance"])))
    return HostExport(row["export"], instance, target, t, lift)
