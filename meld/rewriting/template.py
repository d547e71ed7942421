"""WAT templates of passes: the files beside them, with their parameters filled in."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from meld.ir.module import Module
from meld.support import cache
from meld.support.packaged import packaged
from meld.support.records import record


@functools.cache
def _text(package: str, name: str) -> str:
    return packaged(package, name)


_CONDITIONAL = r"(?ms)^ *;; with (\w+)\n(.*?)^ *;; end \1\n"


def template_text(package: str, name: str, params: dict[str, Any]) -> str:
    """The text of a template: ``{include file}`` is that file; each ``{param}`` is what is given for it.

    Lines between ``;; with param`` and ``;; end param`` are left out unless the parameter is true.
    """
    text = re.sub(r"\{include ([\w.]+)\}", lambda match: _text(package, match[1]), _text(package, name))
    if ";; with " in text:
        text = re.sub(_CONDITIONAL, lambda match: match[2] if params[match[1]] else "", text)
    return filled(text, params)


def filled(text: str, params: dict[str, Any]) -> str:
    """A text with what is given for each ``{param}`` in its place."""
    return re.sub(r"\{(\w+)\}", lambda match: str(params[match[1]]), text)


def template(package: str, name: str, params: dict[str, Any]) -> Module:
    """A template, a file of a pass's package, as a module to be spliced.

    Args:
        package: ``__package__`` of the pass.
        name: the file beside its modules.
        params: what stands for each ``{param}``.
    """
    return generated(template_text(package, name, params), name)


@record(frozen=True)
class Prepared:
    """What is done to a generated module: `run`; `key` tells it from what is done otherwise."""

    name: str
    key: bytes
    run: Callable[[Module], object]


KEPT = 1024
"""Modules of a kind that stay in the cache."""


def generated(text: str, name: str, prepared: Prepared | None = None) -> Module:
    """Generated text as a module. Its binary is cached, since the next run mostly generates the same.

    Args:
        prepared: what is done to the module before it is cached, if anything.
    """
    kind, key = f"module-{name}", text.encode()
    if prepared is not None:
        kind, key = f"{kind}-{prepared.name}", prepared.key + key
    binary = cache.load(kind, key)
    if binary is not None:
        from meld.binary.reader import read_module

        return read_module(binary, name)
    from meld.binary.writer import write_module
    from meld.text.reading.program import parse_module

    module = parse_module(text, name)
    if prepared is not None:
        prepared.run(module)
    cache.save(kind, key, write_module(module), KEPT)
    return module
