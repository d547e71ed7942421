"""The sections `producers` of several modules as one.

Source: WebAssembly tool conventions, ProducersSection.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from meld.binary.cursor import Cursor
from meld.binary.leb import unsigned
from meld.diagnostics import MeldError

SECTION = "producers"

FIELDS = ("language", "processed-by", "sdk")
"""The fields that the conventions know, in their order. Others come behind them."""

Producers = dict[str, dict[str, list[str]]]
"""Versions by tool, by field."""


def merged(sections: Iterable[bytes | memoryview]) -> tuple[bytes, int]:
    """One section that names the tools of all, each once in a field, and the size of those that are malformed.

    A tool that several versions of were used has them all, separated by commas. Without any tool the section is empty.
    """
    fields: Producers = {name: {} for name in FIELDS}
    malformed = 0
    for data in sections:
        try:
            for name, tools in _read(data).items():
                into = fields.setdefault(name, {})
                for tool, versions in tools.items():
                    have = into.setdefault(tool, [])
                    have += [version for version in versions if version not in have]
        except MeldError:
            malformed += len(data)
    return _written({name: tools for name, tools in fields.items() if tools}), malformed


def _read(data: bytes | memoryview) -> Producers:
    """The tools that a section names. Raises MeldError."""
    c = Cursor(data, SECTION)
    found: Producers = {}
    for _ in range(c.count("fields")):
        tools = found.setdefault(c.name("field"), {})
        for _ in range(c.count("tools")):
            tools.setdefault(c.name("tool"), []).append(c.name("version"))
    if c.pos != len(data):
        raise c.error("bytes behind the last field", c.pos)
    return found


def _written(fields: Producers) -> bytes:
    out = []
    for name, tools in fields.items():
        entries = [_counted(tool) + _counted(", ".join(filter(None, versions))) for tool, versions in tools.items()]
        out.append(_counted(name) + unsigned(len(entries)) + b"".join(entries))
    return unsigned(len(out)) + b"".join(out) if out else b""


def _counted(text: str) -> bytes:
    data = text.encode()
    return unsigned(len(data)) + data
