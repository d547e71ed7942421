"""A journal as a file: JSON, one line for each symbol, step and text."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import fields
from json.encoder import encode_basestring
from operator import attrgetter
from pathlib import Path
from typing import Any

from meld.diagnostics import MeldError
from meld.journal import Change, Journal, Size, StepRecord, Symbol, What
from meld.journal.graph import Graph

FORMAT = 1
"""Version of the format; a reader refuses others."""

PLAIN = ("version", "command", "inputs", "plan", "status", "message", "decisions")
"""The fields of a journal that JSON has as they are."""


def to_json(journal: Journal) -> str:
    """The text of the file: symbols as rows of their fields, enums as their values."""
    head = _dump({"format": FORMAT, **{name: getattr(journal, name) for name in PLAIN}})[:-1]
    symbols = ",\n".join(map(_symbol_row, journal.symbols))
    steps = ",\n".join(_dump(_step_row(s)) for s in journal.steps)
    blobs = ",\n".join(f'"{key}": {_dump(text)}' for key, text in journal.blobs.items())
    return f'{head},\n"symbols": [\n{symbols}],\n"steps": [\n{steps}],\n"blobs": {{\n{blobs}}}}}\n'


def _names(kind: type) -> list[str]:
    return [f.name for f in fields(kind)]


_dump = json.JSONEncoder(ensure_ascii=False).encode

_texts = attrgetter(*_names(Symbol)[:-1])


def _symbol_row(symbol: Symbol) -> str:
    """The fields of a symbol, of which all but the last one are texts or None: there are many symbols."""
    texts = ["null" if text is None else encode_basestring(text) for text in _texts(symbol)]
    return f"[{', '.join(texts)}, {symbol.size}]"


_OWN_FORM = ("changes", "sizes", "graph")


def _step_row(step: StepRecord) -> dict[str, Any]:
    return {
        **{name: getattr(step, name) for name in _names(StepRecord) if name not in _OWN_FORM},
        "sizes": [[getattr(size, name) for name in _names(Size)] for size in step.sizes],
        "graph": None if step.graph is None else step.graph.to_row(),
        "changes": [(c.symbol, c.what.value, c.before, c.after) for c in step.changes],
    }


def read(path: str | Path) -> Journal:
    """Reads a file; ``-`` is the standard input. MeldError if it is no journal, is broken, or is of another version."""
    try:
        text = str(sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes(), "utf-8")
    except OSError as e:
        raise MeldError(f"cannot read: {e.strerror}", where=str(path)) from e
    except ValueError:
        text = ""
    try:
        data = json.loads(text)
        if re.search(r"\\u[dD][89abAB]", text):
            _dump(data).encode()  # half a character cannot be shown
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or "format" not in data:
        raise MeldError("is not a journal", where=str(path), hint="`meldc INPUT… --journal=FILE` writes one")
    if data["format"] != FORMAT:
        raise MeldError(f"a journal of format {data['format']}, not {FORMAT}", where=str(path))
    try:
        return _journal_of(data)
    except (TypeError, KeyError, ValueError, AttributeError, IndexError) as e:
        said = f"no `{e.args[0]}`" if isinstance(e, KeyError) else str(e)
        raise MeldError(f"is not a whole journal: {said}", where=str(path)) from e


def _journal_of(data: dict[str, Any]) -> Journal:
    journal = Journal(
        version=_is(data["version"], str),
        command=_list(data["command"], str),
        inputs=[(_is(name, str), _is(size, int), _is(digest, str)) for name, size, digest in data["inputs"]],
        plan=_list(data["plan"], str),
        status=_is(data["status"], str),
        message=_is(data["message"], str),
        symbols=[_symbol_of(row) for row in data["symbols"]],
        blobs=_dict(data["blobs"], str),
    )
    journal.decisions = [(a, b, c, d, e) for a, b, c, d, e in (_list(row, str) for row in data["decisions"])]
    journal.steps = [_step_of(row, number, journal) for number, row in enumerate(data["steps"])]
    if not journal.steps:
        raise ValueError("no steps")
    return journal


def _symbol_of(row: list[Any]) -> Symbol:
    kind, name, origin, synthetic, imported, owner, size = row
    a, b, c, d = (_text_or_none(part) for part in (origin, synthetic, imported, owner))
    return Symbol(_is(kind, str), _is(name, str), a, b, c, d, _is(size, int))


def _step_of(row: dict[str, Any], number: int, journal: Journal) -> StepRecord:
    if row["number"] != number:
        raise ValueError(f"step {row['number']} where {number} should be")
    step = StepRecord(
        number,
        _is(row["label"], str),
        _is(row["spec"], str),
        _is(row["language"], str),
        _list(row["facts"], str),
        float(row["seconds"]),
        _is(row["peak"], int),
        _dict(row["stats"], int),
        _list(row["remarks"], str),
        [(_is(what, str), _text_or_none(name), bool(done)) for what, name, done in row["rewrites"]],
        _dict(row["counts"], int),
        [Size(_text_or_none(a), _text_or_none(b), *_list(rest, int)) for a, b, *rest in row["sizes"]],
        None if row["graph"] is None else Graph.of_row(row["graph"]),
    )
    for symbol, what, before, after in row["changes"]:
        if not 0 <= _is(symbol, int) < len(journal.symbols):
            raise ValueError(f"step {number} changes symbol {symbol}, which is not there")
        for text in (before, after):
            if text is not None and text not in journal.blobs:
                raise ValueError(f"the text {text} is missing")
        step.changes.append(Change(symbol, What(what), before, after))
    return step


def _is(value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"`{str(value)[:40]}` where a value of type {kind.__name__} should be")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _is(value, str)


def _list(value: Any, kind: type[Any]) -> list[Any]:
    return [_is(part, kind) for part in _is(value, list)]


def _dict(value: Any, kind: type[Any]) -> dict[str, Any]:
    return {key: _is(part, kind) for key, part in _is(value, dict).items()}
