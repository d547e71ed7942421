"""What engines and tools take of a core module: more than this is refused when a product is written.

Source: WebAssembly JavaScript Interface, Limits (the limits that engines have agreed on); `wasm-tools validate`.
"""

from __future__ import annotations

from meld.diagnostics import MeldError
from meld.ir.module import SPACE_OF, Module

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
WAYS_OUT = {
    "memories": "`lower-multi-memory` makes one of all: append it to the --passes that `meldc plan` prints",
    "tables": "fuse fewer components at a time",
}

MAX_NAME = 100_000
"""Bytes of the name of an import or export."""


def check_counts(module: Module) -> None:
    """Raises MeldError if a module has more of something than engines take."""
    imported: dict[str, int] = {}
    for item in module.imports:
        space = SPACE_OF[type(item)]
        imported[space] = imported.get(space, 0) + 1
        if item.imported is not None and max(len(item.imported.module), len(item.imported.field)) > MAX_NAME // 4:
            _check_name(item.imported.module)
            _check_name(item.imported.field)
    for export in module.exports:
        if len(export.name) > MAX_NAME // 4:
            _check_name(export.name)
    for kind, limit in COUNTS.items():
        count = len(getattr(module, kind)) + imported.get(kind, 0)
        if count > limit:
            what = WORDS.get(kind, kind)
            raise MeldError(f"the module has {count} {what}; engines take {limit} at most", hint=WAYS_OUT.get(kind))


def _check_name(name: str) -> None:
    size = len(name.encode())
    if size > MAX_NAME:
        raise MeldError(f"the name `{name[:40]}…` takes {size} bytes; engines take {MAX_NAME} at most")
