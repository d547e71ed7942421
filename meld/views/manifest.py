"""`--manifest=FILE`: what tools downstream want to know of a fused module, as one JSON document.

The same as the sections `meld.signature-manifest` and `component-provenance` say, and a map of the imports.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from meld.abi.intrinsics import MODULE
from meld.binary.debug.provenance import component_name
from meld.ir.describe import item_type
from meld.ir.module import KEYWORD_OF, SPACE_OF, CoreItem, Function, Module
from meld.ir.notes import Instance
from meld.notes.boundaries import HostCall
from meld.passes.finish.signature_manifest import Row, core_row, exported_names, import_row, signatures


def manifest(module: Module) -> Row:
    """The document, for the module as it stands.

    Returns:
        ``version``, ``exports`` and ``omitted`` as in `meld.passes.finish.signature_manifest`; ``imports``: a row for
        each import, by its index among those of its kind; ``functions``: a row for each defined function, by its index;
        ``components``: the component instances, and where in the composition each stands if its name does not tell.
    """
    return {
        **signatures(module),
        "imports": list(_imports(module)),
        "components": [{"name": n.name, "path": n.path} for n in module.notes_of(Instance)],
        "functions": list(_functions(module)),
    }


def manifest_text(module: Module) -> str:
    """The document as text, the same each time."""
    return json.dumps(manifest(module), indent=1, ensure_ascii=False) + "\n"


def _imports(module: Module) -> Iterator[Row]:
    names = exported_names(module)
    counts: dict[str, int] = {}
    for item in module.imports:
        assert item.imported is not None
        space = SPACE_OF[type(item)]
        index = counts.get(space, 0)
        counts[space] = index + 1
        row: Row = {
            "index": index,
            "module": item.imported.module,
            "name": item.imported.field,
            "kind": _kind(item),
            "instance": None if item.owner is None else item.owner.name,
        }
        if isinstance(item, Function):
            row["core"] = core_row(item.signature)
            call = item.note(HostCall)
            row |= {"wit": None} if call is None else import_row(item, call, names)
        else:
            row["type"] = item_type(item)
        yield row


def _kind(item: CoreItem) -> str:
    """What kind of import it is; functions are told apart by what serves them."""
    assert item.imported is not None
    if not isinstance(item, Function):
        return KEYWORD_OF[type(item)]
    if item.imported.module == MODULE:
        return "stream"
    if item.imported.field.startswith("[resource-"):
        return "resource"
    return "wasi" if item.imported.module.startswith("wasi:") else "function"


def _functions(module: Module) -> Iterator[Row]:
    first = sum(1 for item in module.imports if isinstance(item, Function))
    for index, function in enumerate(module.functions, first):
        row: Row = {"index": index, "name": function.name}
        if function.synthetic is None and function.owner is not None and function.origin is not None:
            original, core = function.origin
            row |= {
                "component": component_name(function.owner, core),
                "instance": function.owner.name,
                "core_instance": core,
                "original": original,
            }
        else:
            row["made"] = function.synthetic or "unknown"
        yield row
