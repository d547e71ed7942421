"""Regular expressions that are compiled on first use: most of those of a module take no part in most runs."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _Late:
    """A pattern; after the first use of a method it is an attribute, as fast as that of a compiled one."""

    def __init__(self, source: str | bytes, flags: int) -> None:
        self._source, self._flags = source, flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found: Any = getattr(re.compile(self._source, self._flags), name)
        setattr(self, name, found)
        return found


def late(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """A pattern as `re.compile` gives it, but for its type. An error in it is raised on first use."""
    return cast("re.Pattern[AnyStr]", _Late(source, flags))
