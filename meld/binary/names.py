"""The name section (WebAssembly 3.0, appendix: custom sections; the extended name section proposal)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from meld.binary.cursor import Cursor
from meld.binary.leb import name, section, unsigned, vector
from meld.diagnostics import MeldError
from meld.ir.instructions import Code
from meld.ir.module import LABELLED, Function, Module
from meld.ir.types import StructType

MODULE, FUNCTIONS, LOCALS, LABELS, TYPES, FIELDS = 0, 1, 2, 3, 4, 10
SPACE_OF_SUBSECTION = {
    FUNCTIONS: "functions",
    TYPES: "types",
    5: "tables",
    6: "memories",
    7: "globals",
    8: "elements",
    9: "datas",
    11: "tags",
}


def read_names(module: Module, c: Cursor) -> None:
    """Takes the names of a name section over; one that is malformed is left out, as the specification advises."""
    found: dict[int, Any] = {}
    try:
        while c.more():
            number = c.u8("name subsection")
            sub = c.sub(c.u32("size of a name subsection"), "name subsection")
            if number == MODULE:
                found[number] = sub.name("module name")
            elif number in SPACE_OF_SUBSECTION:
                found[number] = _name_map(sub)
            elif number in (LOCALS, LABELS, FIELDS):
                found[number] = {sub.u32("index"): _name_map(sub) for _ in range(sub.count("name maps"))}
    except MeldError:
        return
    module.name = found.get(MODULE, module.name)
    for number, space in SPACE_OF_SUBSECTION.items():
        items = module.space(space) if number in found else []
        for index, text in found.get(number, {}).items():
            if index < len(items):
                items[index].name = text
    functions = module.space("functions") if LOCALS in found or LABELS in found else []
    for index, names in found.get(LOCALS, {}).items():
        if index < len(functions):
            functions[index].local_names = names
    for index, names in found.get(LABELS, {}).items():
        if index < len(functions) and functions[index].body is not None:
            functions[index].label_names = names
    types = module.typedefs() if FIELDS in found else []
    for index, names in found.get(FIELDS, {}).items():
        if index < len(types):
            types[index].field_names = names


def _name_map(c: Cursor) -> dict[int, str]:
    return {c.u32("index"): c.name("name") for _ in range(c.count("names"))}


def write_names(module: Module) -> bytes:
    """The name section of a module; empty if nothing has a name."""
    parts: dict[int, bytes] = {}
    if module.name is not None:
        parts[MODULE] = name(module.name)
    for number, space in SPACE_OF_SUBSECTION.items():
        named = enumerate(module.space(space))
        parts[number] = _map((i, item.name) for i, item in named if item.name is not None)
    functions = module.space("functions")
    parts[LOCALS] = _maps(functions, lambda f: f.local_names)
    parts[LABELS] = _maps(functions, label_names)
    parts[FIELDS] = _maps(module.typedefs(), lambda t: t.field_names if isinstance(t.shape, StructType) else {})
    payload = b"".join(section(number, parts[number]) for number in sorted(parts) if parts[number])
    return section(0, name("name") + payload) if payload else b""


def label_names(function: Function) -> Mapping[int, str]:
    """The names of the labels of a function, by the order of the blocks."""
    if not isinstance(function.body, Code):
        return function.label_names
    blocks = (i for i in function.body.instructions if i.op in LABELLED)
    return {number: i.label for number, i in enumerate(blocks) if i.label is not None}


def _map(names: Iterable[tuple[int, str]]) -> bytes:
    out, count = bytearray(), 0
    for index, text in names:
        data = text.encode()
        out += unsigned(index)
        out += unsigned(len(data))
        out += data
        count += 1
    return unsigned(count) + out if count else b""


def _maps(items: Iterable[Any], names_of: Callable[[Any], Mapping[int, str]]) -> bytes:
    named = ((i, names) for i, item in enumerate(items) if (names := names_of(item)))
    parts = [unsigned(i) + _map(sorted(names.items())) for i, names in named]
    return vector(parts) if parts else b""
