"""What a program is made of, for `meldc inspect`: plain data, read off a module and its notes.

`inspect` gives a dictionary of lists of dictionaries, which is also what ``--json`` prints. Names of instances are
those of the module's notes; a core module that no component describes has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from meld.abi.intrinsics import MODULE
from meld.abi.types import Resource
from meld.abi.wit_text import wit, wit_function
from meld.ir.describe import item_type
from meld.ir.module import KEYWORD_OF, CoreItem, Memory, Module
from meld.ir.notes import Instance, Note
from meld.notes.boundaries import Boundary, CanonCall, Edge, HostCall, HostExport, Wired
from meld.notes.linking import Link
from meld.notes.streams import Carried, Domain, Pair, pairs_by_domain

Row: TypeAlias = dict[str, Any]

HOST = "(host)"
CANON = "(built-in)"
"""What stands for the host, and for the canonical built-ins, where an instance is named."""


def inspect(module: Module) -> dict[str, Any]:
    """What there is to know of a module.

    Returns:
        ``facts``: a list of names. ``instances``, ``imports``, ``exports``, ``memories``, ``calls``, ``streams``,
        ``resources``: lists of rows, each with the same keys.
    """
    return {
        "facts": list(module.facts),
        "instances": list(_instances(module)),
        "imports": [_import(item) for item in module.imports],
        "exports": list(_exports(module)),
        "memories": [_memory(number, memory) for number, memory in enumerate(module.space("memories"))],
        "calls": list(_calls(module)),
        "streams": list(_streams(module)),
        "resources": [_resource(resource) for resource in module.notes_of(Resource)],
    }


def _name(instance: Instance | None) -> str | None:
    return None if instance is None else instance.name


def _names(instances: tuple[Instance, ...]) -> str:
    return ", ".join(instance.name or "" for instance in instances)


def _instances(module: Module) -> Iterator[Row]:
    counts: dict[Instance | None, dict[str, int]] = {}
    cores: dict[Instance | None, set[int]] = {}
    for item in module.items():
        if item.imported is None:
            kinds = counts.setdefault(item.owner, {})
            kind = KEYWORD_OF[type(item)]
            kinds[kind] = kinds.get(kind, 0) + 1
            if item.origin is not None:
                cores.setdefault(item.owner, set()).add(item.origin[1])
    for instance in module.notes_of(Instance):
        kinds = counts.get(instance, {})
        yield {
            "name": instance.name,
            "core-instances": len(cores.get(instance, ())),
            "functions": kinds.get("func", 0),
            "memories": kinds.get("memory", 0),
            "tables": kinds.get("table", 0),
            "globals": kinds.get("global", 0),
        }


def _import(item: CoreItem) -> Row:
    assert item.imported is not None
    stands_for, component = "host", None
    for note in item.notes:
        match note:
            case Boundary() | Edge():
                stands_for, component = "call", wit_function(note.type)
            case CanonCall():
                stands_for = "built-in"
            case HostCall():
                component = wit_function(note.type)
    if item.imported.module == MODULE:
        stands_for = "stream"
    return {
        "module": item.imported.module,
        "name": item.imported.field,
        "kind": KEYWORD_OF[type(item)],
        "type": item_type(item),
        "instance": _name(item.owner),
        "stands-for": stands_for,
        "component-type": component,
    }


def _exports(module: Module) -> Iterator[Row]:
    described = {note.label: note for note in module.notes_of(HostExport)}
    for export in module.exports:
        note = described.get(export.name)
        yield {
            "name": export.name,
            "kind": KEYWORD_OF[type(export.item)],
            "type": item_type(export.item),
            "instance": _name(note.instance if note else export.item.owner),
            "component-type": wit_function(note.type) if note else None,
        }


def _memory(number: int, memory: Memory) -> Row:
    return {
        "index": number,
        "name": memory.name,
        "instance": _name(memory.owner),
        "minimum": memory.limits.minimum,
        "maximum": memory.limits.maximum,
        "address": "i64" if memory.limits.is64 else "i32",
        "shared": memory.limits.shared,
        "imported": str(memory.imported) if memory.imported else None,
        "made-for": memory.synthetic,
    }


def _calls(module: Module) -> Iterator[Row]:
    for wired in module.notes_of(Wired):
        yield _call(_name(wired.caller), _name(wired.callee), wired.label, wit_function(wired.type), wired.how)
    for item, note in module.noted(Note):
        match note:
            case Boundary():
                yield _call(_name(note.caller), _name(note.callee), note.label, wit_function(note.type), "pending")
            case HostCall():
                assert item.imported is not None
                interface = "" if item.imported.module == "$root" else f"{item.imported.module}#"
                yield _call(_name(note.instance), HOST, interface + note.label, wit_function(note.type), "host")
            case CanonCall():
                of = f" {wit(note.type)}" if note.type is not None else ""
                yield _call(_name(note.instance), CANON, note.builtin + of, item_type(item), "built-in")


def _call(caller: str | None, callee: str | None, function: str, type_: str, how: str) -> Row:
    label = function.removeprefix(f"{callee}/")
    return {"caller": caller, "callee": callee, "function": label, "type": type_, "how": how}


def _streams(module: Module) -> Iterator[Row]:
    pairs = pairs_by_domain(module.notes_of(Pair))
    for domain in module.notes_of(Domain):
        kind = "future" if domain.future else "stream"
        for producers, consumers in (flow for pair in pairs.get(domain, ()) for flow in pair.flows()):
            yield {
                "kind": kind,
                "element": None if domain.element is None else wit(domain.element),
                "producer": _names(producers),
                "consumer": _names(consumers),
                "where": "host" if domain.carried == Carried.HOST.value else "module",
                "carried": domain.carried,
                "reason": domain.why,
            }
    if not pairs:
        for link in module.notes_of(Link):
            yield {
                "kind": "link",
                "element": None,
                "producer": _name(link.exporter),
                "consumer": _name(link.importer),
                "where": "undecided",
                "reason": None,
            }


def _resource(resource: Resource) -> Row:
    return {
        "name": resource.label,
        "instance": _name(resource.owner) or HOST,
        "destructor": resource.dtor is not None,
    }
