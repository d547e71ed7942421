"""Templates of WAT whose imports are found by name: what stands in a template as an import from ``meld``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meld.abi.traps import Trap, trap_function
from meld.ir.module import CoreItem, Function, Module
from meld.rewriting.splice import splice
from meld.rewriting.template import template


def link(
    module: Module,
    package: str,
    name: str,
    params: Mapping[str, Any] | None = None,
    given: Mapping[str, CoreItem] | None = None,
    *,
    kind: str,
    prefix: str = "",
) -> dict[str, Function]:
    """Adds the items of a template to a module.

    Args:
        package, name, params: as for `template`.
        given: what stands for its imports from ``meld``, by their names; ``trap X`` is what traps for a reason.
        kind: what the items are, for attribution.
        prefix: what their names begin with; the kind if it is empty.

    Returns:
        Its exported functions by name.
    """
    source = template(package, name, dict(params or {}))
    bindings = {item: _bound(module, item, {} if given is None else given) for item in source.imports}
    spliced = splice(source, module, bindings, synthetic=kind, rename=lambda item: f"{prefix or kind}.{item.name}")
    return {label: f for label, f in spliced.exports.items() if isinstance(f, Function)}


def _bound(module: Module, item: CoreItem, given: Mapping[str, CoreItem]) -> CoreItem:
    assert item.imported is not None
    what, _, reason = item.imported.field.partition(" ")
    return trap_function(module, Trap[reason]) if what == "trap" else given[what]
