"""Canonical options with their core items, and how a note writes them.

Source: Component Model, CanonicalABI.md, LiftLowerOptions.
"""

from __future__ import annotations

from typing import Any

from meld.diagnostics import MeldError
from meld.ir.module import Function, Memory
from meld.ir.notes import NameOf, Ref, Resolve, Sexp, Symbol
from meld.support.records import record


@record(frozen=True)
class Options:
    """Canonical options with their core items (CanonicalABI.md, LiftLowerOptions)."""

    encoding: str = "utf8"
    memory: Memory | None = None
    realloc: Function | None = None
    post_return: Function | None = None
    is_async: bool = False
    callback: Function | None = None


def write_options(options: Options, name_of: NameOf) -> list[Sexp]:
    out: list[Sexp] = [] if options.encoding == "utf8" else [Symbol(options.encoding)]
    for key, space in _OPTION_SPACES.items():
        item = getattr(options, key)
        if item is not None:
            out.append([Symbol(key.replace("_", "-")), name_of(space, item)])
    return [*out, Symbol("async")] if options.is_async else out


_OPTION_SPACES = {"memory": "memories", "realloc": "functions", "post_return": "functions", "callback": "functions"}


def read_options(parts: list[Sexp], resolve: Resolve) -> Options:
    values: dict[str, Any] = {}
    for part in parts:
        match part:
            case Symbol("async"):
                values["is_async"] = True
            case Symbol("utf8" | "utf16" | "latin1+utf16" as encoding):
                values["encoding"] = encoding
            case [Symbol(key), (Ref() | Symbol()) as item] if key.replace("-", "_") in _OPTION_SPACES:
                field = key.replace("-", "_")
                values[field] = resolve(_OPTION_SPACES[field], item)
            case _:
                raise MeldError("expected a canonical option: an encoding, `async`, `(memory $m)`, `(realloc $f)`, …")
    return Options(**values)
