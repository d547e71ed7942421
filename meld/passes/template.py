"""WAT templates of passes: the files beside them, with their parameters filled in."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

from meld.ir.module import Module


@cache
def _text(name: str) -> str:
    return files("meld.passes").joinpath(name).read_text(encoding="utf-8")


def template_text(name: str, params: dict[str, Any]) -> str:
    """The text of a template: ``{include file}`` is that file; each ``{param}`` is what is given for it."""
    text = re.sub(r"\{include ([\w.]+)\}", lambda match: _text(match[1]), _text(name))
    return re.sub(r"\{(\w+)\}", lambda match: str(params[match[1]]), text)


def template(name: str, params: dict[str, Any]) -> Module:
    """A template as a module, to be spliced."""
    from meld.ir.parser import parse_module

    return parse_module(template_text(name, params), name)
