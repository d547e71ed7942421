"""What tells whether files have changed since they were read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int] | None
"""When a file was changed, in nanoseconds, and its size; None if it cannot be told."""


def stamps(paths: Iterable[str]) -> dict[str, Stamp]:
    """What tells whether files have changed."""
    return {path: _stamp(path) for path in paths}


def _stamp(path: str) -> Stamp:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
