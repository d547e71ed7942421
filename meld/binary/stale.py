"""Custom sections with offsets into other sections: right only as long as those sections are unchanged."""

from __future__ import annotations

from meld.binary.cursor import Cursor
from meld.binary.names import CUT_SHORT, SECTION_NAME, subsections
from meld.diagnostics import Remark
from meld.ir.module import CustomSection, Module

SPEAK_OF_PLACES = (".debug_", "reloc.", "metadata.code.", "linking", "sourceMappingURL", "external_debug_info")
"""How the names of such sections begin (tool conventions, DWARF for WebAssembly, code metadata)."""


def drop_stale(module: Module, before: bytes | memoryview, after: bytes) -> Remark | None:
    """Drops sections with offsets if the binary of a module differs from the one it was read from.

    Args:
        before, after: binaries; of their custom sections nothing matters.

    Returns:
        What was dropped; None if nothing was.
    """
    stale = [custom for custom in module.customs if _speaks(custom)]
    if not stale or _sections(before) == _sections(after):
        return None
    module.customs = [custom for custom in module.customs if custom not in stale]
    names = ", ".join(dict.fromkeys(described(custom) for custom in stale))
    return Remark("writing", f"dropped, since they contain offsets that have changed: {names}")


def speaks_of_places(module: Module) -> bool:
    """Whether a module has such sections."""
    return any(_speaks(custom) for custom in module.customs)


def _speaks(custom: CustomSection) -> bool:
    return custom.name.startswith(SPEAK_OF_PLACES) or custom.name == SECTION_NAME


def described(custom: CustomSection) -> str:
    """The name; of a name section, also the subsections that are not understood: they may go by indices."""
    if custom.name not in (SECTION_NAME, "component-name"):
        return f"`{custom.name}`"
    numbers = {number for number, _, _ in subsections(Cursor(custom.data))}
    known = ", ".join(map(str, sorted(numbers - {CUT_SHORT})))
    parts = [f"subsection{'s' if len(numbers - {CUT_SHORT}) > 1 else ''} {known}"] if known else []
    if CUT_SHORT in numbers:
        parts.append("a subsection that is cut short")
    return f"`{custom.name}`, {' and '.join(parts)}"


def _sections(data: bytes | memoryview) -> list[tuple[int, bytes]]:
    cursor, found = Cursor(data, start=8), []
    while cursor.more():
        number = cursor.u8("section")
        section = cursor.sub(cursor.u32("size"), "section")
        if number:
            found.append((number, bytes(section.data[section.pos : section.end])))
    return found
