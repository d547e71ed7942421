"""Small pieces of the component binary format: sorts, names of imports and exports, references."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from meld.binary.component.codes import CORE_SORT_BY_CODE, MAX_NESTING, SORT_BY_CODE
from meld.binary.component.spaces import Spaces, type_of
from meld.binary.cursor import Cursor
from meld.diagnostics import MeldError
from meld.ir.component import Definition, ExternName, Sort

T = TypeVar("T")


def sort(c: Cursor) -> Sort:
    """A sort."""
    at = c.pos
    code = c.u8("sort")
    if code == 0:
        return core_sort(c)
    if code not in SORT_BY_CODE:
        raise c.error(f"unknown sort {code:#04x}", at)
    return SORT_BY_CODE[code]


def core_sort(c: Cursor) -> Sort:
    """A core sort."""
    at = c.pos
    code = c.u8("core sort")
    if code not in CORE_SORT_BY_CODE:
        raise c.error(f"unknown core sort {code:#04x}", at)
    return CORE_SORT_BY_CODE[code]


def extern_name(c: Cursor) -> ExternName:
    """The name of an import or export, in each of its three forms."""
    at = c.pos
    form = c.u8("form of a name")
    if form > 2:
        raise c.error(f"unknown form {form:#04x} of an import or export name", at)
    text = c.name("import or export name")
    found: dict[str, str] = {}
    for _ in range(c.count("attributes of a name") if form == 2 else 0):
        at = c.pos
        code = c.u8("attribute of a name")
        if code > 2:
            raise c.error(f"unknown attribute {code:#04x} of the name `{text}`", at)
        attribute = ("implements", "version_suffix", "external_id")[code]
        if attribute in found:
            raise c.error(f"the name `{text}` has the attribute {attribute.replace('_', '-')} twice", at)
        found[attribute] = c.name("attribute of a name")
    return ExternName(text, found.get("version_suffix"), found.get("implements"), found.get("external_id"))


def zero(c: Cursor, what: str, hint: str | None = None) -> None:
    """A byte that has to be zero."""
    byte = c.u8(what)
    if byte != 0:
        raise c.error(f"malformed {what}: {byte:#04x} where zero is due", c.pos - 1, hint=hint)


def optional(c: Cursor, what: str, read: Callable[[], T]) -> T | None:
    """A zero byte for nothing, or a one byte and something."""
    byte = c.u8(what)
    if byte > 1:
        raise c.error(f"malformed {what}: {byte:#04x} where 0 or 1 is due", c.pos - 1)
    return read() if byte else None


def reference(c: Cursor, spaces: Spaces, of: Sort) -> Definition:
    """An index in the index space of a sort."""
    at = c.pos
    if at < c.end and (index := c.data[at]) < 128:  # what it is called is for errors only
        c.pos = at + 1
    else:
        index = c.u32(f"{of.value} index")
    return lookup(c, spaces, of, index, at)


def lookup(c: Cursor, spaces: Spaces, of: Sort, index: int, at: int) -> Definition:
    """The definition of a sort that has an index; an error at `at` if there is none."""
    space = spaces.of(of)
    if index >= len(space):
        raise c.error(f"unknown {of.value} {index}", at, hint=f"there are {len(space)} of them up to here")
    return space[index]


def typed_reference(c: Cursor, spaces: Spaces, kinds: tuple[type, ...], what: str) -> Definition:
    """A type index; an error if the type is known to be of another kind than `kinds`."""
    at = c.pos
    item = reference(c, spaces, Sort.TYPE)
    found = type_of(item)
    if found is not None and not isinstance(found, kinds):
        raise c.error(f"this type is not {what}", at)
    return item


def too_deep(c: Cursor, at: int) -> MeldError:
    """The error of components or types that nest too deep."""
    return c.error(f"components and types nest more than {MAX_NESTING} deep", at)
