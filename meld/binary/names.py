"""The name section (WebAssembly 3.0, appendix: custom sections; the extended name section proposal)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from meld.binary.cursor import Cursor
from meld.binary.leb import name, section, unsigned, vector
from meld.diagnostics import MeldError
from meld.ir.instructions import Code
from meld.ir.module import LABELLED, CustomSection, Function, Module, Tag
from meld.ir.types import FuncType, StructType, TypeDef

SECTION_NAME = "name"
MODULE, FUNCTIONS, LOCALS, LABELS, TYPES, FIELDS, PARAMS, TAG_PARAMS = 0, 1, 2, 3, 4, 10, 12, 13
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


def read_names(module: Module, c: Cursor) -> bytes:
    """Takes over the names in a name section.

    A name for what is not there is left out.

    Returns:
        The subsections that are not understood, unknown, malformed or cut short, as they are.
    """
    return take_each(c, lambda number, sub: _take(module, number, sub))


def take_each(c: Cursor, take: Callable[[int, Cursor], None]) -> bytes:
    """Gives the number and contents of each subsection of a name section to `take`.

    Returns:
        Those that it does not understand, as they are: it raises MeldError if malformed, KeyError if unknown.
    """
    rest = bytearray()
    for number, sub, whole in subsections(c):
        try:
            take(number, sub)
        except (MeldError, KeyError):
            rest += whole
    return bytes(rest)


CUT_SHORT = -1
"""In place of the number of a subsection: the section ends inside it."""


def subsections(c: Cursor) -> Iterator[tuple[int, Cursor, bytes]]:
    """The subsections of a name section: number (or `CUT_SHORT`), contents, and the whole of it."""
    while c.more():
        start = c.pos
        try:
            number = c.u8("name subsection")
            sub = c.sub(c.u32("size of a name subsection"), "name subsection")
        except MeldError:
            number, sub, c.pos = CUT_SHORT, c, c.end
        yield number, sub, bytes(c.data[start : c.pos])


def _take(module: Module, number: int, c: Cursor) -> None:
    if number == MODULE:
        module.name = c.name("module name")
        return
    if number in SPACE_OF_SUBSECTION:
        items = module.space(SPACE_OF_SUBSECTION[number])
        for index, text in name_map(c).items():
            if index < len(items):
                items[index].name = text
        return
    space, name_inside = _NAMED_INSIDE[number]
    items = module.space(space)
    for index, names in {c.u32("index"): name_map(c) for _ in range(c.count("name maps"))}.items():
        if index < len(items):
            name_inside(items[index], names)


def _name_locals(function: Function, names: dict[int, str]) -> None:
    function.local_names = {**function.local_names, **names}


def _name_labels(function: Function, names: dict[int, str]) -> None:
    if isinstance(function.body, Code):
        blocks = (i for i in function.body.instructions if i.op in LABELLED)
        for number, instruction in enumerate(blocks):
            instruction.label = names.get(number, instruction.label)
    elif function.body is not None:
        function.label_names = {**function.label_names, **names}


def _name_fields(typedef: TypeDef, names: dict[int, str]) -> None:
    if isinstance(typedef.shape, StructType):
        typedef.field_names |= names


def _name_params(typedef: TypeDef, names: dict[int, str]) -> None:
    if isinstance(typedef.shape, FuncType):
        typedef.field_names |= names


def _name_tag_params(tag: Tag, names: dict[int, str]) -> None:
    tag.param_names = {**tag.param_names, **names}


_NAMED_INSIDE: dict[int, tuple[str, Callable[[Any, dict[int, str]], None]]] = {
    LOCALS: ("functions", _name_locals),
    LABELS: ("functions", _name_labels),
    FIELDS: ("types", _name_fields),
    PARAMS: ("types", _name_params),
    TAG_PARAMS: ("tags", _name_tag_params),
}


def take_names(module: Module) -> None:
    """Takes over the names in custom sections called ``name``, which text has; what is not known of them stays."""
    for custom in [custom for custom in module.customs if custom.name == SECTION_NAME]:
        custom.data = read_names(module, Cursor(custom.data))
        if not custom.data:
            module.customs.remove(custom)


def name_map(c: Cursor) -> dict[int, str]:
    return {c.u32("index"): c.name("name") for _ in range(c.count("names"))}


def write_names(module: Module) -> bytes:
    """The name section of a module, with the subsections that are carried as they are; empty if nothing has a name."""
    parts: dict[int, bytes] = {}
    if module.name is not None:
        parts[MODULE] = name(module.name)
    for number, space in SPACE_OF_SUBSECTION.items():
        named = enumerate(module.space(space))
        parts[number] = _map((i, item.name) for i, item in named if item.name is not None)
    functions = module.space("functions")
    parts[LOCALS] = _maps(functions, lambda f: f.local_names)
    parts[LABELS] = _maps(functions, label_names)
    types = module.typedefs()
    parts[FIELDS] = _maps(types, lambda t: t.field_names if isinstance(t.shape, StructType) else {})
    parts[PARAMS] = _maps(types, lambda t: t.field_names if isinstance(t.shape, FuncType) else {})
    parts[TAG_PARAMS] = _maps(module.space("tags"), lambda tag: tag.param_names)
    payload = b"".join(section(number, parts[number]) for number in sorted(parts) if parts[number])
    return written_with(SECTION_NAME, payload, module.customs)


def written_with(label: str, payload: bytes, customs: Iterable[CustomSection]) -> bytes:
    """A name section with the subsections that are carried in sections of its name; empty if there is none.

    What is cut short stands at the end, as in the input. Of several such parts, each further one has a section of its
    own: what followed it would be taken for the rest of it.
    """
    payloads = [payload]
    cut: list[bytes] = []
    for custom in customs:
        if custom.name == label:
            for number, _, whole in subsections(Cursor(custom.data)):
                (cut if number == CUT_SHORT else payloads).append(whole)
    payloads = [b"".join([*payloads, *cut[:1]]), *cut[1:]]
    return b"".join(section(0, name(label) + payload) for payload in payloads if payload)


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
